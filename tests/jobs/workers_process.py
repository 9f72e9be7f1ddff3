"""A worker in a process of its own, on the real connectors: `workers_process.py URL CONFIG HOLD`.

HOLD is for how many seconds it keeps a turn while it is silent. It writes a line for each turn it has done.
"""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from pathlib import Path

from jobs.schedule import Pace, connections_for, run_scheduler
from listener.clock import SystemClock
from listener.settings import load
from storage.store import MentionStore


def main(url: str, config: str, hold: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    pace = Pace(
        rollup=timedelta(seconds=0.5),
        lease=timedelta(seconds=6),
        turn=timedelta(seconds=float(hold)),
        poll=timedelta(seconds=0.05),
    )
    with MentionStore.open(url, connections=connections_for(1)) as store:
        run_scheduler(load(Path(config)), store, clock=SystemClock(), pace=pace, threads=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
