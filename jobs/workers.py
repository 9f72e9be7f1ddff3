"""Takes what is due and does it: what every process does, the leading one too, on as many threads as it has.

due_turns ─▶ lease of the turn's name ─▶ still due? ─▶ the work, under the lease's fence ─▶ struck off
(oldest first)  (who comes second goes on to the next)   (pages, cursor and the end are refused to a late comer)

A turn whose work the database refuses to keep is put off, ever longer: what it reads is paid for each time.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from jobs import leases
from jobs.pacing import backoff
from listener.errors import LeaseHeld, ListenerError, StoreError

if TYPE_CHECKING:
    from listener.clock import Clock
    from storage.records import Turn
    from storage.store import MentionStore

logger = logging.getLogger(__name__)

Work: TypeAlias = "Callable[[Turn, leases.Lease, threading.Event], bool]"
"""Does one turn under its lease until it is done or told to stop; returns whether it is done."""


_LONGEST_REFUSAL = timedelta(hours=1)


class Refusals:
    """The turns whose work the database refused, and how long each is left alone: one for all threads.

    In memory, for a database that is full may refuse to put a turn off as well.
    """

    def __init__(self) -> None:
        self._in_a_row: dict[str, int] = {}
        self._not_before: dict[str, datetime] = {}

    def add(self, name: str, now: datetime) -> datetime:
        """Note one more refusal; returns when to try again: in 1, 2, 4, … minutes, in an hour at most."""
        self._in_a_row[name] = self._in_a_row.get(name, 0) + 1
        self._not_before[name] = now + min(_LONGEST_REFUSAL, backoff(self._in_a_row[name]))
        return self._not_before[name]

    def forget(self, name: str) -> None:
        """Note that the work was kept."""
        self._in_a_row.pop(name, None)
        self._not_before.pop(name, None)

    def forbids(self, name: str, now: datetime) -> bool:
        """Tell whether it is too early to try the turn again."""
        not_before = self._not_before.get(name)
        return not_before is not None and now < not_before


class Places:
    """At which platforms the threads of this process are; ``channels`` tells each turn's, by its name.

    A platform that is slow, or has very many streams, would else have every thread, and the others wait.
    """

    def __init__(self, channels: Mapping[str, str]) -> None:
        self._channels = channels
        self._at: Counter[str] = Counter()
        self._counting = threading.Lock()

    def free_first(self, turns: Sequence[Turn]) -> list[Turn]:
        """Return the turns of platforms that no thread is at, then the others, each in their order."""
        return sorted(turns, key=lambda turn: self._at[self._channels.get(turn.name, "")] > 0)

    @contextlib.contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Be at the platform of this turn for the block."""
        channel = self._channels.get(name)
        if channel is None:
            yield
            return
        with self._counting:
            self._at[channel] += 1
        try:
            yield
        finally:
            with self._counting:
                self._at[channel] -= 1


class Worker:
    """Does the turns that it has ``work`` for, by name; ``hold`` is how long a silent one keeps its lease.

    ``refusals`` and ``places`` are shared with the other workers of the process.
    """

    def __init__(
        self,
        store: MentionStore,
        clock: Clock,
        work: Mapping[str, Work],
        *,
        hold: timedelta,
        refusals: Refusals | None = None,
        places: Places | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._work = work
        self._hold = hold
        self._refusals = refusals or Refusals()
        self._places = places or Places({})

    def take_one(self, stop: threading.Event) -> bool:
        """Do the turn that has waited the longest of those that nobody is about; False where there is none.

        One of a platform that another thread of this process is at comes after those of the others. Where the
        database refuses one, the next is tried. Raises ``StoreError`` where none could be done for that: what was
        not done is due still, or will be.
        """
        refused: StoreError | None = None
        for turn in self._places.free_first(self._store.due_turns()):
            if stop.is_set():
                return False
            if not self._may_take(turn):
                continue
            try:
                with self._places.at(turn.name):
                    if self._take(turn, stop):
                        return True
            except StoreError as error:
                refused = error
        if refused is not None:
            raise refused
        return False

    def _may_take(self, turn: Turn) -> bool:
        free = turn.holder is None or leases.is_dead(turn.holder)
        return turn.name in self._work and free and not self._refusals.forbids(turn.name, self._clock.now())

    def _take(self, turn: Turn, stop: threading.Event) -> bool:
        try:
            with leases.held(self._store, turn.name, self._hold, self._clock) as lease:
                if not self._store.is_due(turn):
                    return False
                try:
                    if self._do(turn, lease, stop):
                        self._store.finish_turn(turn, fence=lease.fence)
                except StoreError as error:
                    self._put_off(turn, lease, error)
                    raise
                self._refusals.forget(turn.name)
                return True
        except LeaseHeld as error:
            logger.info("%s", error)
            return False

    def _put_off(self, turn: Turn, lease: leases.Lease, error: StoreError) -> None:
        """Let the turns behind this one come first: the work was begun, and to begin it anew costs requests."""
        again_at = self._refusals.add(turn.name, self._clock.now())
        logger.error("%s: put off until %s: %s", turn.name, again_at.isoformat(timespec="seconds"), error)
        with contextlib.suppress(StoreError):
            self._store.finish_turn(turn, fence=lease.fence, again_at=again_at)

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

    def __init__(
        self, workers: Sequence[Worker], *, poll: timedelta, wait: timedelta, stop: threading.Event | None = None
    ) -> None:
        """Look for work every ``poll``, or ``wait`` after the database refused, until ``stop`` is set."""
        self._poll = poll.total_seconds()
        self._wait = wait.total_seconds()
        self._threads = [
            threading.Thread(target=self._run, args=(worker,), name=f"worker {number}")
            for number, worker in enumerate(workers, start=1)
        ]
        self._stop = stop or threading.Event()

    def start(self) -> None:
        """Begin to take turns."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no further turn, and go no further than the page in hand; waits for nothing."""
        self._stop.set()

    def end(self) -> None:
        """Have every page in hand finished, and stop."""
        self.stop()
        for thread in self._threads:
            if thread.is_alive():
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
