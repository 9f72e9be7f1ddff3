"""Kills an import at random moments, in a process of its own: `import_process.py URL FILE KILLS SEED`.

A child imports the file in small batches until it is killed; the last one is let live. Prints how many were killed
before they had read all of it.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from fake_platform import START, TAXONOMY, make_organization, make_settings
from kill_process import fork

from jobs.hearing import analyzer_for
from jobs.importing import import_archives
from listener.clock import SteppedClock
from listener.signals.taxonomy import Taxonomy
from storage.store import MentionStore

SETTINGS = make_settings(make_organization(), make_organization("mercy", name="Mercy", own_accounts={}))


def work(url: str, file: str, told: int) -> None:
    clock = SteppedClock(START)
    with MentionStore.open(url, clock=clock) as store:
        import_archives(
            SETTINGS, store, [file], clock=clock, batch=4, progress=lambda _taken: os.write(told, b".") and None
        )


def main(url: str, file: str, kills: str, seed: str) -> None:
    chance = random.Random(int(seed))
    killed = 0
    for _ in range(int(kills)):
        ready, told = os.pipe()
        child = fork(lambda told=told: work(url, file, told))  # type: ignore[misc]  # bound to this round's pipe
        os.close(told)
        # Of a file that is small each child gets a few batches further.
        os.read(ready, 1)
        time.sleep(chance.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(ready)
        killed += os.WIFSIGNALED(status)
    null = os.open(os.devnull, os.O_WRONLY)
    _, status = os.waitpid(fork(lambda: work(url, file, null)), 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit("the last child failed")
    sys.stdout.write(str(killed))


if __name__ == "__main__":
    analyzer_for(SETTINGS, Taxonomy.load(TAXONOMY)).analyze("My mother was in hospital for a week")
    # One thread, or a fork would be a gamble.
    assert len(list(Path("/proc/self/task").iterdir())) == 1
    main(*sys.argv[1:])
