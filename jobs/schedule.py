"""Runs the jobs on their schedule: any number of processes on one database, each stream at its own pace.

One process leads, by a lease: it plans, which is to write down what is due (``jobs/planning.py``) when its clock,
an APScheduler in memory, tells that it is time. Every process takes what is due and does it, each turn under a
lease of its own (``jobs/workers.py``). So a process more takes a share of the streams, and what one leaves behind
when it dies is taken up by the others.

What the database keeps of the schedule is when each job's last turn was planned, and whether it is due: how often
comes from the configuration at every start, and what was missed meanwhile is caught up from the cursors.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import connectors as installed
from jobs import leases
from jobs.connections import stream_state
from jobs.ingest import Duty, ingest
from jobs.planning import Job, Planner, interval
from jobs.refresh import refresh, refresh_lease
from jobs.rollup import roll_up
from jobs.stopping import stop_on_signal
from jobs.workers import Places, Refusals, Threads, Work, Worker
from listener.errors import BudgetHeld, LeaseHeld, StoreError
from listener.signals.taxonomy import Taxonomy
from storage.records import Fence
from storage.registry import stream_lease

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

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

    ``lease`` is the leader's, ``turn`` that of whoever does a turn. ``poll`` is how often a thread without work
    looks for what is due. ``late``: where a turn has waited for longer than this when the next one comes, that
    one is recorded as missed.
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
    """Return how many connections a process needs: ``threads`` that read, one that counts, leads, plans."""
    return threads + 3


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
    refusals = Refusals()
    places = Places({job.name: job.channel for job in jobs if job.channel is not None})
    reading = [
        Worker(store, clock, work, hold=pace.turn, refusals=refusals, places=places) for _ in range(threads)
    ]
    lead = _Lead(Planner(store, clock, jobs, late=pace.late))
    election = _Election(store, pace)
    with stop_on_signal(stop) as asked:
        stopping = asked.event
        # They hear of a signal at once, not only after whatever the leader is waiting for.
        team = Threads([counting, *reading], poll=pace.poll, wait=pace.heartbeat, stop=stopping)
        try:
            team.start()
            while not stopping.is_set():
                lead.keep(election.fence())
                stopping.wait(pace.heartbeat.total_seconds())
        finally:
            # First of all: whatever goes wrong below, a second signal among it, no thread goes on for ever.
            team.stop()
            try:
                lead.end()
            finally:
                try:
                    team.end()
                finally:
                    election.resign()


class _Lead:
    """What a process does while it leads: its clock runs, and writes each turn down when it is time."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._scheduler: BackgroundScheduler | None = None
        self._fence: Fence | None = None
        self._over = threading.Event()

    def keep(self, fence: Fence | None) -> None:
        """Have the clock run under the leader's ``fence``; None stops it.

        It is set anew, by what the database tells, where another may have led meanwhile, and where something
        could not be written down: that is due still.
        """
        if fence != self._fence or self._over.is_set():
            self.end()
            self._fence = fence
            self._over.clear()
            if fence is not None:
                with self._trying():
                    self._begin(fence)

    def end(self) -> None:
        """Stop the clock: a turn that is just being written down is finished, what comes after it is due still."""
        self._over.set()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)
            self._scheduler = None

    def _begin(self, fence: Fence) -> None:
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        due = self._planner.begin(fence)
        scheduler = BackgroundScheduler(
            timezone=UTC,
            # To write a turn down is quick: one thread is enough, and one connection to the database.
            executors={"default": ThreadPoolExecutor(1)},
            # However late the clock is, after a machine slept, a job has one turn then, and has it.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for job, at in due:
            scheduler.add_job(
                partial(self._plan, job, fence),
                "interval",
                id=job.name,
                name=job.title or job.name,
                seconds=interval(job).total_seconds(),
                # What is overdue comes at once, in the order of the configuration: the pulls first.
                next_run_time=max(at, datetime.now(UTC)),
            )
        scheduler.start()
        self._scheduler = scheduler

    def _plan(self, job: Job, fence: Fence) -> None:
        """Write a turn down. What is foreseen is one line in the log, a bug is logged in full by APScheduler."""
        if not self._over.is_set():
            with self._trying():
                self._planner.plan(job, fence)

    @contextlib.contextmanager
    def _trying(self) -> Iterator[None]:
        """Note where something could not be done, for ``keep``: a clock cannot be stopped from its own thread."""
        try:
            yield
        except LeaseHeld as error:
            logger.info("%s", error)
            self._over.set()
        except StoreError as error:
            logger.error("nothing can be planned: %s", error)  # noqa: TRY400 - foreseen: no traceback
            self._over.set()
        except Exception:  # any: the clock alone would come back to this turn only when the next one is due
            self._over.set()
            raise


class _Election:
    """Who leads: the holder of a lease in the database."""

    def __init__(self, store: MentionStore, pace: Pace) -> None:
        self._store = store
        self._owner = leases.owner_name()
        self._pace = pace
        self._sure_until = 0.0
        self._fence: Fence | None = None
        self._led: bool | None = None

    def fence(self) -> Fence | None:
        """Take or renew the lease, and return its fence; None where this process does not lead.

        Where the database does not answer, a leader goes on until its lease must have run out.
        """
        asked_at = time.monotonic()
        try:
            number = leases.acquire(self._store, LEASE, self._owner, self._pace.lease)
        except StoreError as error:
            logger.error("the scheduler's lease could not be renewed: %s", error)  # noqa: TRY400 - foreseen: no traceback
        else:
            self._fence = None if number is None else Fence(LEASE, self._owner, number)
            self._sure_until = asked_at + self._pace.lease.total_seconds() if number is not None else 0.0
        leads = time.monotonic() < self._sure_until
        if leads != self._led:
            logger.info("leading" if leads else "standing by: another process leads")
            self._led = leads
        return self._fence if leads else None

    def resign(self) -> None:
        """Let the lease go, so that a standby need not wait for it to run out."""
        with contextlib.suppress(StoreError):
            self._store.release_lease(LEASE, self._owner)


def _jobs(
    settings: Settings, store: MentionStore, clock: Clock, pace: Pace, platforms: Platforms
) -> tuple[list[Job], dict[str, Work]]:
    """Return every job with its pace, and how each is done, by the name of its lease."""
    streams = platforms.streams(settings)
    store.declare(settings.organizations, Taxonomy.load(settings.topics_file))
    does = _Work(settings, store, clock, platforms)
    jobs: list[Job] = []
    work: dict[str, Work] = {}
    for stream, configured in streams:
        stream_id = stream_state(store, stream).id
        job = Job(stream_lease(stream_id), configured.every, stream_id, str(stream), stream.channel)
        jobs.append(job)
        work[job.name] = partial(does.pull, stream)
    for channel in sorted({stream.channel for stream, _ in streams}):
        jobs.append(Job(refresh_lease(channel), pace.refresh, channel=channel))
        work[jobs[-1].name] = partial(does.refresh, channel)
    jobs.append(Job(ROLLUP, pace.rollup))
    work[ROLLUP] = does.roll_up
    return jobs, work


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
        reports = refresh(
            self._settings,
            self._store,
            clock=self._clock,
            channels=[channel],
            stop=stop,
            lease=lease,
            platforms=self._platforms,
        )
        if waits := [report.resume_at for report in reports if isinstance(report.error, BudgetHeld)]:
            # As a pull: what others hold may come back soon.
            self._store.finish_turn(turn, fence=lease.fence, again_at=waits[0])
            return False
        return all(report.outcome != "interrupted" for report in reports)

    def roll_up(self, turn: Turn, lease: leases.Lease, stop: threading.Event) -> bool:
        del turn, stop
        roll_up(self._store, progress=lambda _days: lease.renew())
        return True
