"""Kills ingest while it reads the platforms through their SDKs.

Called as `kill_platforms_process.py URL CONFIG MOMENT KILLS SEED`; prints how many children were killed. The
stand-ins run in the process that started this one. A child that ends before it is killed has read everything;
the last one is let live.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from datetime import datetime
from pathlib import Path

import googleapiclient.discovery  # noqa: F401 - imported once here, not in each child
import praw  # noqa: F401 - as above
import tweepy  # noqa: F401 - as above
from kill_process import TEXTS, fork

from jobs.hearing import analyzer_for
from jobs.ingest import ingest
from jobs.rollup import roll_up
from listener.clock import SteppedClock
from listener.settings import load
from listener.signals.taxonomy import Taxonomy
from storage.store import MentionStore


def read_everything(url: str, config: str, moment: str) -> None:
    settings = load(Path(config))
    clock = SteppedClock(datetime.fromisoformat(moment))
    with MentionStore.open(url, clock=clock) as store:
        for report in ingest(settings, store, clock=clock, on_page=lambda stream, count: roll_up(store)):
            if report.outcome != "done":
                raise SystemExit(f"{report.stream}: {report.outcome}: {report.error}")
        roll_up(store)


def main(url: str, config: str, moment: str, kills: str, seed: str) -> None:
    # Read once here, not in each child.
    settings = load(Path(config))
    analyzer_for(settings, Taxonomy.load(settings.topics_file)).analyze(TEXTS[0])
    assert len(list(Path("/proc/self/task").iterdir())) == 1
    chance = random.Random(int(seed))
    killed = 0
    for _ in range(int(kills)):
        child = fork(lambda: read_everything(url, config, moment))
        time.sleep(chance.uniform(0.1, 0.9))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.waitstatus_to_exitcode(status):
            raise SystemExit("a child failed")
    _, status = os.waitpid(fork(lambda: read_everything(url, config, moment)), 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit("the last child failed")
    sys.stdout.write(str(killed))


if __name__ == "__main__":
    main(*sys.argv[1:])
