"""Runs the jobs on their schedule: any number of processes on one database, each stream at its own pace.

One process leads, by a lease: it plans, which is to write down what is due (``jobs/planning.py``). Every process
takes what is due and does it, each turn under a lease of its own (``jobs/workers.py``). So a process more takes a
share of the streams, and what one leaves behind when it dies is taken up by the others.

What the database keeps of the schedule is when each job's last turn was planned, and whether it is due: how often
comes from the configuration at every start, and what was missed meanwhile is caught up from the cursors.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import connectors as installed
from jobs import leases
from jobs.connections import stream_state
from jobs.ingest import Duty, ingest
from jobs.planning import Job, Planner
from jobs.refresh import refresh, refresh_lease
from jobs.rollup import roll_up
from jobs.stopping import stop_on_signal
from jobs.workers import Threads, Work, Worker
from listener.errors import LeaseHeld, StoreError
from listener.signals.taxonomy import Taxonomy
from storage.records import Fence
from storage.registry import stream_lease

if TYPE_CHECKING:
    from connectors.base import StreamSpec
    from jobs.connections import Platforms
    from listener.clock import Clock
    from listener.settings import Settings
    from storage.records import Turn
    from storage.store import MentionStore

logger = logging.getLogger(__name__)

LEASE = "scheduler"
ROLLUP = "rollup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the jobs that are no stream's run, and for how long a silent process keeps its leases.

    ``lease`` is the leader's, ``turn`` that of whoever does a turn. ``poll`` is how often the leader looks for
    what to plan, and a thread without work for what is due. ``late``: where a turn has waited for longer than
    this when the next one comes, that one is recorded as missed.
    """

    rollup: timedelta = timedelta(minutes=1)
    refresh: timedelta = timedelta(hours=6)
    lease: timedelta = timedelta(seconds=30)
    turn: timedelta = timedelta(minutes=5)
    poll: timedelta = timedelta(seconds=1)
    late: timedelta = timedelta(hours=1)

    @property
    def heartbeat(self) -> timedelta:
        """How often the leader renews its lease, and a standby asks for it."""
        return self.lease / 3


DEFAULT_PACE = Pace()


def connections_for(threads: int) -> int:
    """Return how many connections a process needs that reads with ``threads``: they, who counts and who plans."""
    return threads + 2


def run_scheduler(
    settings: Settings,
    store: MentionStore,
    *,
    clock: Clock,
    pace: Pace = DEFAULT_PACE,
    threads: int,
    stop: threading.Event | None = None,
    platforms: Platforms = installed,
) -> None:
    """Pull every configured stream on its schedule until ``stop`` is set or SIGTERM or SIGINT arrives.

    Other processes may do the same on the same database: they share the streams, and one of them plans. This
    one reads ``threads`` streams at once, and counts beside that. Told to stop, the pages in hand are finished
    and kept, and the leases let go. A second signal ends the process as it ends any other.

    Raises ``ConfigError`` and ``StoreError`` at the start; later a database that refuses is waited for.
    """
    jobs, work = _jobs(settings, store, clock, pace, platforms)
    # Who counts does nothing else: figures must not wait until the streams' first hours of reading are over.
    counting = Worker(store, clock, {ROLLUP: work.pop(ROLLUP)}, hold=pace.turn)
    reading = [Worker(store, clock, work, hold=pace.turn) for _ in range(threads)]
    team = Threads([counting, *reading], poll=pace.poll, wait=pace.heartbeat)
    election = _Election(store, pace)
    with stop_on_signal(stop) as asked:
        stopping = asked.event
        planner: Planner | None = None
        team.start()
        try:
            while not stopping.is_set():
                fence = election.fence()
                if fence is None:
                    planner = None
                    stopping.wait(pace.heartbeat.total_seconds())
                else:
                    planner = planner or Planner(store, clock, jobs, late=pace.late)
                    _plan(planner, fence, election)
                    stopping.wait(min(pace.heartbeat, pace.poll).total_seconds())
        finally:
            team.end()
            election.resign()


def _plan(planner: Planner, fence: Fence, election: _Election) -> None:
    try:
        planner.plan(fence)
    except LeaseHeld:
        election.doubt()
    except StoreError as error:
        logger.error("nothing can be planned: %s", error)  # noqa: TRY400 - foreseen: no traceback


class _Election:
    """Who leads: the holder of a lease in the database."""

    def __init__(self, store: MentionStore, pace: Pace) -> None:
        self._store = store
        self._owner = leases.owner_name()
        self._pace = pace
        self._asks_at = 0.0
        self._sure_until = 0.0
        self._fence: Fence | None = None
        self._led: bool | None = None

    def fence(self) -> Fence | None:
        """Take or renew the lease in good time, and return its fence; None where this process does not lead.

        Where the database does not answer, a leader goes on until its lease must have run out.
        """
        if time.monotonic() >= self._asks_at:
            self._ask()
        leads = time.monotonic() < self._sure_until
        if leads != self._led:
            logger.info("leading" if leads else "standing by: another process leads")
            self._led = leads
        return self._fence if leads else None

    def _ask(self) -> None:
        asked_at = time.monotonic()
        self._asks_at = asked_at + self._pace.heartbeat.total_seconds()
        try:
            number = leases.acquire(self._store, LEASE, self._owner, self._pace.lease)
        except StoreError as error:
            logger.error("the scheduler's lease could not be renewed: %s", error)  # noqa: TRY400 - foreseen: no traceback
        else:
            self._fence = None if number is None else Fence(LEASE, self._owner, number)
            self._sure_until = asked_at + self._pace.lease.total_seconds() if number is not None else 0.0

    def doubt(self) -> None:
        """Ask at once: another process has taken the lease."""
        self._asks_at = 0.0

    def resign(self) -> None:
        """Let the lease go, so that a standby need not wait for it to run out."""
        with contextlib.suppress(StoreError):
            self._store.release_lease(LEASE, self._owner)


def _jobs(
    settings: Settings, store: MentionStore, clock: Clock, pace: Pace, platforms: Platforms
) -> tuple[dict[str, Job], dict[str, Work]]:
    """Return every job with its pace, and how it is done, by the name of its lease."""
    streams = platforms.streams(settings)
    store.declare(settings.organizations, Taxonomy.load(settings.topics_file))
    does = _Work(settings, store, clock, platforms)
    jobs: list[Job] = []
    work: dict[str, Work] = {}
    for stream, configured in streams:
        stream_id = stream_state(store, stream).id
        job = Job(stream_lease(stream_id), configured.every, stream_id, str(stream))
        jobs.append(job)
        work[job.name] = partial(does.pull, stream)
    for channel in sorted({stream.channel for stream, _ in streams}):
        jobs.append(Job(refresh_lease(channel), pace.refresh))
        work[jobs[-1].name] = partial(does.refresh, channel)
    jobs.append(Job(ROLLUP, pace.rollup))
    work[ROLLUP] = does.roll_up
    return {job.name: job for job in jobs}, work


class _Work:
    """How a turn of each job is done; each returns whether it is done, or was broken off."""

    def __init__(self, settings: Settings, store: MentionStore, clock: Clock, platforms: Platforms) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._platforms = platforms

    def pull(self, stream: StreamSpec, turn: Turn, lease: leases.Lease, stop: threading.Event) -> bool:
        reports = ingest(
            self._settings,
            self._store,
            clock=self._clock,
            duty=Duty(stream, turn, lease),
            stop=stop,
            platforms=self._platforms,
        )
        for report in reports:
            logger.info(
                "%s: %s, %d new, %d changed", stream, report.outcome, report.counts.inserted, report.counts.updated
            )
        return all(report.outcome != "interrupted" for report in reports)

    def refresh(self, channel: str, turn: Turn, lease: leases.Lease, stop: threading.Event) -> bool:
        del turn
        reports = refresh(
            self._settings,
            self._store,
            clock=self._clock,
            channels=[channel],
            stop=stop,
            lease=lease,
            platforms=self._platforms,
        )
        return all(report.outcome != "interrupted" for report in reports)

    def roll_up(self, turn: Turn, lease: leases.Lease, stop: threading.Event) -> bool:
        del turn, stop
        roll_up(self._store, progress=lambda _days: lease.renew())
        return True
