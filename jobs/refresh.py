"""Looks mentions up again: edits are taken over, and what was removed on its platform is removed here.

X demands that what it deleted or changed be deleted or changed, Reddit that deletions be followed within 48
hours as a routine, YouTube that data not refreshed for 30 days be let go. Each look-up of a post on X is paid
like its first reading: so where a platform does not say how often (``recheck_every`` of its connector), a
mention is looked up at a few ages (:data:`jobs.pacing.RECHECK_AGES`), and all look-ups of a day get a ration of
its budget (:mod:`jobs.ration`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import connectors as installed
from connectors.base import Meter, Page, StreamSpec
from jobs import leases
from jobs.attempt import attempt, ending_refused
from jobs.connections import Connections, Platforms, stream_state
from jobs.hearing import analyzer_for, hear
from jobs.pacing import RECHECK_AGES, Outcome, is_due_again
from listener.errors import LeaseHeld
from listener.signals.taxonomy import Taxonomy
from listener.usage import Usage
from storage.records import PageCounts

if TYPE_CHECKING:
    from datetime import datetime

    from listener.clock import Clock
    from listener.errors import ListenerError
    from listener.settings import Settings
    from listener.signals.analysis import Analyzer
    from storage.store import MentionStore

logger = logging.getLogger(__name__)

LOOK_BACK = RECHECK_AGES[-1] + timedelta(days=1)
"""Mentions published this long ago or less are looked up again: a day is left for the look-up at the last age."""
CHECK_EVERY = timedelta(hours=24)
"""A mention that was first read or last looked up more recently than this is left, whatever age it reached."""
AT_MOST = 10_000
"""Mentions of a channel looked up in one go; the longest unchecked come first."""
LEASE_TTL = timedelta(minutes=5)
"""Longer than a request and the page it brings take."""
_BATCH = 500


def refresh_lease(channel: str) -> str:
    """Return the name of the lease under which a channel's mentions are looked up, and of its turns."""
    return f"refresh:{channel}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshReport:
    """What became of one channel's mentions: ``checked`` came back, as they are or as tombstones."""

    channel: str
    outcome: Outcome
    checked: int = 0
    counts: PageCounts = field(default_factory=PageCounts)
    usage: Usage = field(default_factory=Usage)
    error: ListenerError | None = None
    resume_at: datetime | None = None


def refresh(
    settings: Settings,
    store: MentionStore,
    *,
    clock: Clock,
    channels: Sequence[str] = (),
    look_back: timedelta = LOOK_BACK,
    check_every: timedelta = CHECK_EVERY,
    stop: threading.Event | None = None,
    lease: leases.Lease | None = None,
    platforms: Platforms = installed,
) -> list[RefreshReport]:
    """Look up again what the chosen channels (default: all) brought in the last ``look_back``.

    One process at a time looks up a channel's mentions; ``lease`` says that the caller holds that of the one
    channel. Each page is stored by itself, so that a run which ends early has kept what it saw. What it takes
    counts against the day's budget, of which pulls are left the most. Raises ``ConfigError`` and ``StoreError``,
    and at the end the first bug; every other error is in its channel's report.
    """
    first_stream: dict[str, StreamSpec] = {}
    for stream, _ in platforms.streams(settings):
        if not channels or stream.channel in channels:
            first_stream.setdefault(stream.channel, stream)
    taxonomy = Taxonomy.load(settings.topics_file)
    if lease is None:
        # Else whoever takes turns has done so, once: with each turn two configurations would take turns.
        store.declare(settings.organizations, taxonomy)
    with Connections(settings, store, clock, platforms) as connections:
        analyzer = analyzer_for(settings, taxonomy)
        refresher = _Refresher(store, clock, connections, platforms, analyzer, stop or threading.Event())
        reports = [refresher.run(stream, look_back, check_every, lease) for stream in first_stream.values()]
    if refresher.bug is not None:
        raise refresher.bug
    return reports


class _Refresher:
    """One call of :func:`refresh`: what all its channels share."""

    def __init__(
        self,
        store: MentionStore,
        clock: Clock,
        connections: Connections,
        platforms: Platforms,
        analyzer: Analyzer,
        stop: threading.Event,
    ) -> None:
        self._store = store
        self._clock = clock
        self._connections = connections
        self._platforms = platforms
        self._analyzer = analyzer
        self._stop = stop
        self.bug: Exception | None = None

    def run(
        self, stream: StreamSpec, look_back: timedelta, check_every: timedelta, lease: leases.Lease | None
    ) -> RefreshReport:
        """Look up the mentions of one channel; ``stream``, its first, has the cost booked to it."""
        if self._stop.is_set():
            return RefreshReport(channel=stream.channel, outcome="interrupted")
        if lease is not None:
            return self._run(stream, look_back, check_every, lease)
        try:
            with leases.held(self._store, refresh_lease(stream.channel), LEASE_TTL, self._clock) as own:
                return self._run(stream, look_back, check_every, own)
        except LeaseHeld as error:
            return RefreshReport(channel=stream.channel, outcome="held", error=error)

    def _run(
        self, stream: StreamSpec, look_back: timedelta, check_every: timedelta, lease: leases.Lease
    ) -> RefreshReport:
        now = self._clock.now()
        every = self._platforms.connector_class(stream.channel).recheck_every
        due = self._store.due_for_recheck(
            stream.channel,
            published_since=now - look_back,
            checked_before=now - check_every,
            limit=AT_MOST,
            is_due=lambda published_at, checked_at: is_due_again(published_at, checked_at, now, every=every),
        )
        if not due:
            return RefreshReport(channel=stream.channel, outcome="done")
        state = stream_state(self._store, stream)
        run_id = self._store.begin_run(state.id, since=now - look_back, until=None, job="refresh")
        progress = _Progress(now)
        with ending_refused(self._store, run_id, lambda: progress.meter.usage):
            ending = attempt(
                f"refresh of {stream.channel}",
                lambda: self._look_up(stream.channel, due, run_id, progress, lease),
                failures=state.failures,
                clock=self._clock,
            )
        self.bug = self.bug or ending.bug
        # Whether the stream is pulled, and when, is not for a look-up to decide: nothing is said of its rest.
        self._store.finish_run(
            run_id, outcome=ending.verdict.outcome, usage=progress.meter.usage, error=ending.message
        )
        return RefreshReport(
            channel=stream.channel,
            outcome=ending.verdict.outcome,
            checked=progress.checked,
            counts=progress.counts,
            usage=progress.meter.usage,
            error=ending.error,
            resume_at=ending.verdict.paused_until,
        )

    def _look_up(
        self, channel: str, due: Sequence[str], run_id: int, progress: _Progress, lease: leases.Lease
    ) -> Outcome:
        progress.meter = self._connections.meter(channel, "refresh", lease)
        try:
            return self._look_on(channel, due, run_id, progress, lease)
        finally:
            progress.meter.let_go()

    def _look_on(
        self, channel: str, due: Sequence[str], run_id: int, progress: _Progress, lease: leases.Lease
    ) -> Outcome:
        connector = self._connections.connector(channel)
        for start in range(0, len(due), _BATCH):
            batch = due[start : start + _BATCH]
            seen: set[str] = set()
            for page in connector.recheck(batch, progress.meter):
                self._keep(channel, page, run_id, progress, lease)
                seen.update(mention.external_id for mention in page.mentions)
                if self._stop.is_set():
                    return "interrupted"
            # What the platform passes over in silence would else be the longest unchecked for ever.
            if passed_over := [external_id for external_id in batch if external_id not in seen]:
                self._store.mark_checked(channel, passed_over, fence=lease.fence)
        return "done"

    def _keep(self, channel: str, page: Page, run_id: int, progress: _Progress, lease: leases.Lease) -> None:
        for item in page.skipped:
            logger.warning("%s: skipped %s: %s", channel, item.external_id or "an item", item)
        known = self._store.known(channel, [mention.external_id for mention in page.mentions])
        derived_metrics = self._connections.derived_metrics(channel)
        redacted = [replace(mention, text=self._analyzer.redact(mention.text)) for mention in page.mentions]
        heard = hear(self._analyzer, redacted, known, derived_metrics=derived_metrics)
        lease.renew()
        counts = self._store.save_recheck(
            channel,
            list(zip(redacted, heard, strict=True)),
            run_id=run_id,
            usage=progress.meter.usage,
            skipped=len(page.skipped),
            fence=lease.fence,
            asked_at=progress.began,
        )
        progress.keep(page, counts)


@dataclass(slots=True)
class _Progress:
    """How far a look-up has come, and what it took."""

    began: datetime
    meter: Meter = field(default_factory=Meter)
    checked: int = 0
    counts: PageCounts = field(default_factory=PageCounts)

    def keep(self, page: Page, counts: PageCounts) -> None:
        self.checked += len(page.mentions)
        self.counts = self.counts + counts
