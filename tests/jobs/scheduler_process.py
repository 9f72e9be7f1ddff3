"""A scheduler in a process of its own, on a platform in memory: `scheduler_process.py URL LOG`.

Each mention that a pull serves is named in the file LOG together with the process that pulled it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

from fake_platform import FakePlatforms, Feed, make_mention, make_organization, make_settings

from jobs.schedule import Pace, run_scheduler
from listener.clock import SystemClock
from storage.store import MentionStore


class EndlessFeed(Feed):
    """Has one mention more for every request, and writes down who asked."""

    def __init__(self, log: Path) -> None:
        super().__init__(page_size=1)
        self.log = log
        self.before_page = self.grow

    def grow(self, number: int) -> None:
        with self.log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        # Never the last page: the pull goes on until it is told to stop.
        now = SystemClock().now()
        self.mentions += [make_mention(len(self.mentions) + extra, published_at=now) for extra in range(2)]
        time.sleep(0.05)


def main(url: str, log: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    feed = EndlessFeed(Path(log))
    streams = [{"channel": "birdsong", "query": "elsewhere", "every": "10s"}]
    with MentionStore.open(url) as store:
        run_scheduler(
            make_settings(make_organization(streams=streams)),
            store,
            clock=SystemClock(),
            pace=Pace(rollup=timedelta(seconds=1), lease=timedelta(seconds=6), poll=timedelta(seconds=0.1)),
            threads=1,
            platforms=FakePlatforms(birdsong=feed),
        )
    assert threading.active_count() == 1, threading.enumerate()


if __name__ == "__main__":
    main(*sys.argv[1:])
