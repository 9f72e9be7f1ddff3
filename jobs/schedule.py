"""Runs the jobs on their schedule: one leader among any number of processes, each stream at its own pace.

Nothing about the schedule is kept in the database: it is made from the configuration at every start, and what
was missed meanwhile is caught up from the cursors. Only two things are shared between processes: the lease
that says who leads, and each stream's own lease, rest and cursor.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import connectors as installed
from jobs import leases
from jobs.connections import stream_state
from jobs.ingest import ingest
from jobs.refresh import refresh
from jobs.rollup import roll_up
from jobs.stopping import stop_on_signal
from listener.errors import ListenerError, StoreError
from listener.usage import Usage

if TYPE_CHECKING:
    from apscheduler.events import JobEvent
    from apscheduler.schedulers.background import BackgroundScheduler

    from connectors.base import StreamSpec
    from jobs.connections import Platforms
    from listener.clock import Clock
    from listener.settings import Settings
    from storage.store import MentionStore

logger = logging.getLogger(__name__)

LEASE = "scheduler"
_INGEST = "ingest "
_MOST_JITTER = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the jobs that are no stream's run, and how long a silent leader keeps its lease.

    ``late``: a run that could not start for longer than this is recorded as missed and left to its next turn.
    """

    rollup: timedelta = timedelta(minutes=1)
    refresh: timedelta = timedelta(hours=6)
    lease: timedelta = timedelta(seconds=30)
    late: timedelta = timedelta(hours=1)

    @property
    def heartbeat(self) -> timedelta:
        """How often the leader renews its lease, and a standby asks for it."""
        return self.lease / 3


DEFAULT_PACE = Pace()


def run_scheduler(
    settings: Settings,
    store: MentionStore,
    *,
    clock: Clock,
    pace: Pace = DEFAULT_PACE,
    stop: threading.Event | None = None,
    platforms: Platforms = installed,
) -> None:
    """Pull every configured stream on its schedule until ``stop`` is set or SIGTERM or SIGINT arrives.

    Only the holder of the lease works; any other process stands by and takes over when the lease runs out, at
    once where its holder was killed on the same machine. Told to stop, the pages in hand are finished and
    kept, and the lease is let go. A second signal ends the process as it ends any other.

    Raises ``ConfigError`` at the start. A database that refuses is waited for.
    """
    streams = {str(stream): (stream, configured.every) for stream, configured in platforms.streams(settings)}
    owner = leases.owner_name()
    with stop_on_signal(stop) as asked:
        stopping = asked.event
        term = _Term(settings, store, clock, pace, platforms, streams)
        election = _Election(store, owner, pace)
        try:
            while not stopping.is_set():
                if election.leads():
                    term.begin()
                else:
                    term.end()
                stopping.wait(pace.heartbeat.total_seconds())
        finally:
            term.end()
            election.resign()


class _Election:
    """Who leads: the holder of a lease in the database."""

    def __init__(self, store: MentionStore, owner: str, pace: Pace) -> None:
        self._store = store
        self._owner = owner
        self._pace = pace
        self._sure_until = 0.0
        self._led: bool | None = None

    def leads(self) -> bool:
        """Take or renew the lease, and tell whether this process has it.

        Where the database does not answer, a leader goes on until its lease must have run out.
        """
        asked_at = time.monotonic()
        try:
            fence = leases.acquire(self._store, LEASE, self._owner, self._pace.lease)
        except StoreError as error:
            logger.error("the scheduler's lease could not be renewed: %s", error)  # noqa: TRY400 - foreseen: no traceback
        else:
            self._sure_until = asked_at + self._pace.lease.total_seconds() if fence is not None else 0.0
        leads = time.monotonic() < self._sure_until
        if leads != self._led:
            logger.info("leading" if leads else "standing by: another process leads")
            self._led = leads
        return leads

    def resign(self) -> None:
        """Let the lease go, so that a standby need not wait for it to run out."""
        with contextlib.suppress(StoreError):
            self._store.release_lease(LEASE, self._owner)


class _Term:
    """The time during which this process leads: its scheduler and its jobs."""

    def __init__(
        self,
        settings: Settings,
        store: MentionStore,
        clock: Clock,
        pace: Pace,
        platforms: Platforms,
        streams: dict[str, tuple[StreamSpec, timedelta]],
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._pace = pace
        self._platforms = platforms
        self._streams = streams
        self._scheduler: BackgroundScheduler | None = None
        self._halt = threading.Event()

    def begin(self) -> None:
        """Start the jobs, unless they run already."""
        if self._scheduler is None:
            self._halt = threading.Event()
            self._scheduler = self._make_scheduler()
            self._scheduler.start()

    def end(self) -> None:
        """Have every page in hand finished, and stop."""
        if self._scheduler is not None:
            self._halt.set()
            self._scheduler.shutdown(wait=True)
            self._scheduler = None

    def _make_scheduler(self) -> BackgroundScheduler:
        from apscheduler.events import EVENT_JOB_MISSED
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        channels = sorted({stream.channel for stream, _ in self._streams.values()})
        scheduler = BackgroundScheduler(
            timezone=UTC,
            # One thread a platform: its SDK is never shared, and two runs never spend the same budget.
            executors={"default": ThreadPoolExecutor(1), **{name: ThreadPoolExecutor(1) for name in channels}},
            job_defaults={
                "coalesce": True,
                "max_instances": 1,
                "misfire_grace_time": max(1, round(self._pace.late.total_seconds())),
            },
        )
        for name, (stream, every) in self._streams.items():
            self._add(scheduler, f"{_INGEST}{name}", partial(self._pull, stream), every, executor=stream.channel)
        for channel in channels:
            refreshing = partial(self._refresh, channel)
            self._add(scheduler, f"refresh {channel}", refreshing, self._pace.refresh, executor=channel)
        self._add(scheduler, "rollup", self._roll_up, self._pace.rollup)
        scheduler.add_listener(self._record_missed, EVENT_JOB_MISSED)
        return scheduler

    def _add(
        self,
        scheduler: BackgroundScheduler,
        name: str,
        work: Callable[[], None],
        every: timedelta,
        *,
        executor: str = "default",
    ) -> None:
        seconds = every.total_seconds()
        scheduler.add_job(
            partial(_do, name, work),
            "interval",
            id=name,
            name=name,
            executor=executor,
            seconds=seconds,
            jitter=min(_MOST_JITTER, seconds / 10),
            # Nobody knows how long nothing ran: each job begins with catching up.
            next_run_time=datetime.now(UTC),
        )

    def _pull(self, stream: StreamSpec) -> None:
        reports = ingest(
            self._settings,
            self._store,
            clock=self._clock,
            only=stream,
            scheduled=True,
            stop=self._halt,
            platforms=self._platforms,
        )
        for report in reports:
            logger.info(
                "%s: %s, %d new, %d changed", stream, report.outcome, report.counts.inserted, report.counts.updated
            )

    def _refresh(self, channel: str) -> None:
        refresh(
            self._settings,
            self._store,
            clock=self._clock,
            channels=[channel],
            stop=self._halt,
            platforms=self._platforms,
        )

    def _roll_up(self) -> None:
        if not self._halt.is_set():
            roll_up(self._store)

    def _record_missed(self, event: JobEvent) -> None:
        """Leave a run in the store for a pull that could not start in time; its stream's rest stays as it is."""
        logger.warning("%s: missed, for what ran before it took too long", event.job_id)
        name = event.job_id.removeprefix(_INGEST)
        if name not in self._streams:
            return
        stream, _ = self._streams[name]
        state = stream_state(self._store, stream)
        run_id = self._store.begin_run(state.id, since=None, until=None)
        self._store.finish_run(run_id, outcome="missed", usage=Usage())


def _do(name: str, work: Callable[[], None]) -> None:
    """Do a job. What is foreseen is one line in the log; a bug goes on to APScheduler, which logs it in full."""
    try:
        work()
    except ListenerError as error:
        logger.error("%s: %s", name, error)  # noqa: TRY400 - foreseen: no traceback
