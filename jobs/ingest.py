"""The line of the house: what a platform says becomes what the store holds.

For each stream, page by page (small ones together, jobs/gathering.py):

    state ─▶ connector.pull ─▶ redact ─▶ known? ─▶ hear what is new ─▶ save_page ─▶ finish_run
             (the network)     └────── jobs/hearing.py (pure) ──────┘  (one transaction: mentions,
                                                                        cursor, coverage, dirty days)

What must hold, and why it does:

- Killed anywhere, nothing is lost and nothing doubled. The cursor is committed with the page it stands for;
  a page that was fetched and not committed is fetched again, and the store knows its mentions by their key.
- One failing stream never stops the others. What is foreseen (rate limit, quota, credential, outage) becomes
  the run's outcome and the stream's rest (``jobs/pacing.py``); a bug is logged with its traceback, the stream
  marked failed, the others pulled, and then it is raised.
- A stream is pulled by one process at a time: a lease, renewed with each request. A page that was fetched under
  a lease since lost is not saved, however late its process comes back: the save itself asks for the fence.
- Budgets hold over a day of the platform's, however many runs it has and however many at once: each request is
  booked in the store before it is made (``jobs/budget.py``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import connectors as installed
from connectors.base import Cursor, Meter, StreamSpec, Window
from jobs import leases
from jobs.attempt import Ending, attempt, ending_refused
from jobs.connections import Connections, Platforms, stream_state
from jobs.gathering import AT_ONCE, Gathered, gather
from jobs.hearing import Hearing, account_names, analyzer_for
from jobs.pacing import Outcome, is_resting
from jobs.reading import changed_days
from listener.errors import BudgetHeld, ConfigError, LeaseHeld, ListenerError
from listener.signals.taxonomy import Taxonomy
from listener.usage import Usage
from storage.records import PageCounts, text_fingerprint
from storage.registry import stream_lease

if TYPE_CHECKING:
    from connectors.base import Page
    from listener.clock import Clock
    from listener.mention import Mention
    from listener.settings import Settings
    from listener.signals.analysis import Analyzer
    from storage.records import Record, StreamState, Turn
    from storage.store import MentionStore

logger = logging.getLogger(__name__)

LEASE_TTL = timedelta(minutes=5)
"""Longer than a request and the page it brings take; a killed process's lease stands in nobody's way on the same
machine."""

OnPage = Callable[[StreamSpec, int], None]
"""Told of each page: its stream, and how many mentions it brought."""

Keep = Callable[[Gathered, Sequence["Record"], Mapping[str, str]], PageCounts]
"""Keeps pages: their records, and the fingerprints of those that the store had before."""


@dataclass(frozen=True, slots=True)
class Duty:
    """A turn of one stream, taken by a worker under a lease that it holds already."""

    stream: StreamSpec
    turn: Turn
    lease: leases.Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What became of one stream: ``fetched`` mentions came, ``counts`` says what they were to the store.

    ``error`` is the foreseen error that ended the run, ``resume_at`` (UTC) when the scheduler tries again.
    """

    stream: StreamSpec
    outcome: Outcome
    pages: int = 0
    fetched: int = 0
    counts: PageCounts = field(default_factory=PageCounts)
    skipped: int = 0
    usage: Usage = field(default_factory=Usage)
    error: ListenerError | None = None
    resume_at: datetime | None = None


def ingest(
    settings: Settings,
    store: MentionStore,
    *,
    clock: Clock,
    channels: Sequence[str] = (),
    organizations: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    on_page: OnPage | None = None,
    duty: Duty | None = None,
    at_once: int = AT_ONCE,
    platforms: Platforms = installed,
) -> list[RunReport]:
    """Pull what is new from the chosen streams (default: all) into the store, one after the other.

    ``since`` and ``until`` (UTC) ask for a window; ``limit`` keeps that many mentions a stream at the most;
    ``dry_run`` fetches and counts and stores nothing. Pages are kept together until they have ``at_once`` mentions
    (:mod:`jobs.gathering`). Once ``stop`` is set the page in hand is kept and the
    rest left for next time. ``duty`` is how a worker pulls one stream on its schedule: it lets a resting
    stream rest, and the turn is done with the run, unless that was interrupted or has to wait for others. Asked
    for by hand a resting stream is tried, for whoever asks may just have mended it.

    Raises ``ConfigError`` and ``StoreError`` that no other stream would be spared, and at the end the first
    bug. Every other error is in its stream's report.
    """
    if since is not None and until is not None and until < since:
        raise ConfigError(f"until {until.isoformat()} lies before since {since.isoformat()}: swap them")
    streams = [
        stream
        for stream, _ in platforms.streams(settings)
        if (not channels or stream.channel in channels)
        and (not organizations or stream.organization in organizations)
        and (duty is None or stream == duty.stream)
    ]
    order = _Order(Window(since, until, limit), stop or threading.Event(), on_page or _unheard, duty, at_once)
    with Connections(settings, store, clock, platforms) as connections:
        puller = _Puller(settings, store, clock, connections, order)
        if dry_run:
            reports = [puller.rehearse(stream) for stream in streams]
        else:
            if duty is None:
                # Else whoever takes turns has done so, once: with each turn two configurations would take turns.
                store.declare(settings.organizations, puller.taxonomy)
            reports = [puller.run(stream) for stream in streams]
    if puller.bug is not None:
        raise puller.bug
    return reports


def _unheard(_stream: StreamSpec, _count: int) -> None:
    """Stand in where nobody wants to be told of pages."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked of every stream."""

    window: Window
    stop: threading.Event
    on_page: OnPage
    duty: Duty | None
    at_once: int


@dataclass(slots=True)
class _Progress:
    """How far a run has come: what it brought, what it took, and the cursor that is safe to keep."""

    cursor: Cursor
    meter: Meter = field(default_factory=Meter)
    pages: int = 0
    fetched: int = 0
    counts: PageCounts = field(default_factory=PageCounts)
    skipped: int = 0

    def keep(self, gathered: Gathered, counts: PageCounts) -> None:
        self.cursor = gathered.cursor
        self.pages += len(gathered.sizes)
        self.fetched += len(gathered.mentions)
        self.counts = self.counts + counts
        self.skipped += len(gathered.skipped)

    def report(self, stream: StreamSpec, ending: Ending) -> RunReport:
        return RunReport(
            stream=stream,
            outcome=ending.verdict.outcome,
            pages=self.pages,
            fetched=self.fetched,
            counts=self.counts,
            skipped=self.skipped,
            usage=self.meter.usage,
            error=ending.error,
            resume_at=ending.verdict.paused_until,
        )


class _Puller:
    """One call of :func:`ingest`: what all its streams share."""

    def __init__(
        self, settings: Settings, store: MentionStore, clock: Clock, connections: Connections, order: _Order
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._connections = connections
        self._order = order
        secret = settings.author_secret
        self._author_secret = secret.get_secret_value() if secret else None
        self.taxonomy = Taxonomy.load(settings.topics_file)
        self._analyzer: Analyzer = analyzer_for(settings, self.taxonomy)
        self._rehearsed: dict[str, Usage] = {}
        self._foreseen: dict[str, dict[str, str]] = {}
        self.bug: Exception | None = None

    def run(self, stream: StreamSpec) -> RunReport:
        """Pull one stream into the store, unless it rests, another process has it or we are to stop."""
        if self._order.stop.is_set():
            return RunReport(stream=stream, outcome="interrupted")
        state = stream_state(self._store, stream)
        duty = self._order.duty
        if duty is not None:
            if is_resting(state.paused_until, self._clock.now()):
                return RunReport(stream=stream, outcome="paused", resume_at=state.paused_until)
            return self._pull(stream, state, duty.lease, duty.turn)
        try:
            with leases.held(self._store, stream_lease(state.id), LEASE_TTL, self._clock) as lease:
                # Asked again: who held the lease until now may have moved the cursor.
                return self._pull(stream, stream_state(self._store, stream), lease)
        except LeaseHeld as error:
            return RunReport(stream=stream, outcome="held", error=error)

    def _pull(
        self, stream: StreamSpec, state: StreamState, lease: leases.Lease, turn: Turn | None = None
    ) -> RunReport:
        window = self._order.window
        run_id = self._store.begin_run(state.id, since=window.since, until=window.until)
        progress = _Progress(state.cursor)
        coverage = state.coverage
        zone = self._settings.organization(stream.organization).zone

        def save(gathered: Gathered, records: Sequence[Record], known: Mapping[str, str]) -> PageCounts:
            nonlocal coverage
            del known
            lease.renew()
            read = coverage
            for span in gathered.covered:
                read = read.add(*span)
            counts = self._store.save_page(
                stream_id=state.id,
                run_id=run_id,
                records=records,
                cursor=gathered.cursor,
                coverage=read,
                coverage_days=changed_days(coverage, read, zone),
                usage=progress.meter.usage,
                pages=len(gathered.sizes),
                skipped=len(gathered.skipped),
                fence=lease.fence,
            )
            coverage = read
            return counts

        def meter() -> Meter:
            return self._connections.meter(stream.channel, "ingest", lease)

        with ending_refused(self._store, run_id, lambda: progress.meter.usage):
            ending = self._attempt(stream, state.failures, lambda: self._read(stream, progress, meter, save))
        self._store.finish_run(
            run_id,
            outcome=ending.verdict.outcome,
            usage=progress.meter.usage,
            error=ending.message,
            failures=ending.verdict.failures,
            paused_until=ending.verdict.paused_until,
            fence=lease.fence,
            # What was broken off is still to be done, by whoever takes it up.
            turn=None if ending.verdict.outcome == "interrupted" else turn,
            again_at=ending.verdict.paused_until if isinstance(ending.error, BudgetHeld) else None,
        )
        return progress.report(stream, ending)

    def rehearse(self, stream: StreamSpec) -> RunReport:
        """Fetch one stream from where it stands and count what is new, without a trace in the store."""
        if self._order.stop.is_set():
            return RunReport(stream=stream, outcome="interrupted")
        state = self._store.find_stream(organization=stream.organization, channel=stream.channel, key=stream.key)
        progress = _Progress(state.cursor if state else {})
        failures = state.failures if state else 0
        foreseen = self._foreseen.setdefault(stream.channel, {})

        def remember(gathered: Gathered, records: Sequence[Record], known: Mapping[str, str]) -> PageCounts:
            del gathered
            foreseen.update({each.mention.external_id: text_fingerprint(each.mention.text) for each in records})
            return forecast(records, known)

        rehearsed = self._rehearsed.get(stream.channel, Usage())

        def meter() -> Meter:
            return self._connections.rehearsal_meter(stream.channel, rehearsed)

        ending = self._attempt(stream, failures, lambda: self._read(stream, progress, meter, remember))
        self._rehearsed[stream.channel] = rehearsed + progress.meter.usage
        return progress.report(stream, ending)

    def _attempt(self, stream: StreamSpec, failures: int, work: Callable[[], Outcome]) -> Ending:
        ending = attempt(stream, work, failures=failures, clock=self._clock)
        self.bug = self.bug or ending.bug
        return ending

    def _read(self, stream: StreamSpec, progress: _Progress, meter: Callable[[], Meter], keep: Keep) -> Outcome:
        """Read a stream page by page and have each kept; returns how far it came."""
        progress.meter = meter()
        try:
            return self._read_on(stream, progress, keep)
        finally:
            progress.meter.let_go()

    def _read_on(self, stream: StreamSpec, progress: _Progress, keep: Keep) -> Outcome:
        connector = self._connections.connector(stream.channel)
        hearing = self._hearing(stream)
        order = self._order
        pages = connector.pull(stream, progress.cursor, order.window, progress.meter)
        limit, at_once = order.window.limit, order.at_once
        for gathered in gather(
            self._until_stopped(pages), progress.cursor, limit=limit, at_once=at_once, clock=self._clock
        ):
            for item in gathered.skipped:
                logger.warning("%s: skipped %s: %s", stream, item.external_id or "an item", item)
            known = self._known(stream.channel, gathered.mentions)
            records = hearing.records(gathered.mentions, known)
            progress.keep(gathered, keep(gathered, records, known))
            for size in gathered.sizes:
                order.on_page(stream, size)
            if gathered.is_last:
                return "partial"
        return "interrupted" if order.stop.is_set() else "done"

    def _until_stopped(self, pages: Iterator[Page]) -> Iterator[Page]:
        for page in pages:
            yield page
            if self._order.stop.is_set():
                return

    def _known(self, channel: str, mentions: Sequence[Mention]) -> dict[str, str]:
        """Return the fingerprints of what the store has of them, or would have after what was rehearsed."""
        identities = [mention.external_id for mention in mentions]
        foreseen = self._foreseen.get(channel, {})
        return self._store.known(channel, identities) | {
            identity: foreseen[identity] for identity in identities if identity in foreseen
        }

    def _hearing(self, stream: StreamSpec) -> Hearing:
        return Hearing(
            channel=stream.channel,
            analyzer=self._analyzer,
            zone=self._settings.organization(stream.organization).zone,
            own_accounts=account_names(stream.own_accounts),
            author_key=self._settings.privacy.author_key,
            author_secret=self._author_secret,
            derived_metrics=self._connections.derived_metrics(stream.channel),
            # Of the whole run: a page may be kept long after it was asked for, and one answer be several pages.
            asked_at=self._clock.now(),
        )


def forecast(records: Sequence[Record], known: Mapping[str, str]) -> PageCounts:
    """Count what a page would be to the store, by its texts alone: only the store sees a changed metric."""
    distinct = {record.mention.external_id: record for record in records}
    inserted = len(distinct.keys() - known.keys())
    updated = sum(identity in known and record.signals is not None for identity, record in distinct.items())
    # As in the store, copies of one mention on a page are unchanged.
    return PageCounts(inserted=inserted, updated=updated, unchanged=len(records) - inserted - updated)
