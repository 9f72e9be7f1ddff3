"""Takes what is due and does it: what every process does, the leading one too, on as many threads as it has.

due_turns ─▶ lease of the turn's name ─▶ still due? ─▶ the work, under the lease's fence ─▶ struck off
(oldest first)  (who comes second goes on to the next)   (pages, cursor and the end are refused to a late comer)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from jobs import leases
from listener.errors import LeaseHeld, ListenerError, StoreError

if TYPE_CHECKING:
    from listener.clock import Clock
    from storage.records import Turn
    from storage.store import MentionStore

logger = logging.getLogger(__name__)

Work: TypeAlias = "Callable[[Turn, leases.Lease, threading.Event], bool]"
"""Does one turn under its lease until it is done or told to stop; returns whether it is done."""


class Worker:
    """Does the turns that it has ``work`` for, by name; ``hold`` is how long a silent one keeps its lease."""

    def __init__(self, store: MentionStore, clock: Clock, work: Mapping[str, Work], *, hold: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._work = work
        self._hold = hold

    def take_one(self, stop: threading.Event) -> bool:
        """Do the turn that has waited the longest of those that nobody is about; False where there is none.

        Raises ``StoreError``: what was not done is due still.
        """
        for turn in self._store.due_turns():
            free = turn.holder is None or leases.is_dead(turn.holder)
            if turn.name in self._work and free and self._take(turn, stop):
                return True
        return False

    def _take(self, turn: Turn, stop: threading.Event) -> bool:
        try:
            with leases.held(self._store, turn.name, self._hold, self._clock) as lease:
                if not self._store.is_due(turn):
                    return False
                if self._do(turn, lease, stop):
                    self._store.finish_turn(turn, fence=lease.fence)
                return True
        except LeaseHeld as error:
            logger.info("%s", error)
            return False

    def _do(self, turn: Turn, lease: leases.Lease, stop: threading.Event) -> bool:
        """Do the work. What is foreseen is one line in the log, a bug is logged in full; both end the turn."""
        try:
            return self._work[turn.name](turn, lease, stop)
        except (StoreError, LeaseHeld):
            raise
        except ListenerError as error:
            logger.error("%s: %s", turn.name, error)  # noqa: TRY400 - foreseen: no traceback
        except Exception:  # any: the turns of others go on
            logger.exception("%s: stopped by a bug; the others go on", turn.name)
        return True


class Threads:
    """The threads of this process, one for each of ``workers``: each takes one turn after the other to the end."""

    def __init__(self, workers: Sequence[Worker], *, poll: timedelta, wait: timedelta) -> None:
        """Look for work every ``poll``; after the database refused, wait for ``wait``."""
        self._poll = poll.total_seconds()
        self._wait = wait.total_seconds()
        self._threads = [
            threading.Thread(target=self._run, args=(worker,), name=f"worker {number}")
            for number, worker in enumerate(workers, start=1)
        ]
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin to take turns."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Have every page in hand finished, and stop."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, worker: Worker) -> None:
        while not self._stop.is_set():
            try:
                pause = 0.0 if worker.take_one(self._stop) else self._poll
            except StoreError as error:
                logger.error("no work can be taken: %s", error)  # noqa: TRY400 - foreseen: no traceback
                pause = self._wait
            except Exception:  # any: a thread that died would be missed by nobody
                logger.exception("stopped by a bug; going on")
                pause = self._wait
            self._stop.wait(pause)
