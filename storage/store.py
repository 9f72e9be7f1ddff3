"""MentionStore: the contract of the store in prose, and its face in code.

The store owes its callers this:

- A page is saved in one transaction: mentions, topics, metrics, the stream's cursor and coverage, the days to
  be counted again, and the run's counts so far. A process may be killed at any moment: what was saved is
  whole, what was not is read again from the kept cursor. Saving a page twice is saving it once.
- Where mentions come that another version of taxonomy and models has heard, the change is written down with them
  (:mod:`storage.changes`): a series of figures has a break there.
- Mentions are unique by channel and external id. What a second copy means is told in
  :mod:`storage.decide`; a copy that says nothing new costs no write.
- The rollup is derived: :meth:`MentionStore.roll_up` counts the days that changed, and
  :meth:`MentionStore.rebuild_rollups` everything, with the same result.
- SQLite and PostgreSQL behave alike, to the order of rows. Several processes may write at once.
- What is saved under a lease names its fence. Where the lease has another holder by then, however late whoever
  asks for it comes back, nothing is saved and ``LeaseHeld`` is raised.
- What the database refuses (unreachable, full, read-only, damaged, of another version) is a ``StoreError``
  that names the fix; it never holds a password. Anything else that goes wrong is a bug and looks like one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import insert, select, update

from listener.calendar import day_number
from listener.clock import Clock, SystemClock
from listener.coverage import Spans
from listener.mention import Mention
from listener.usage import Usage
from storage import leasing, registry, rolling, spending, turns
from storage.bulk import among, batches
from storage.changes import note_version
from storage.opening import Database, connect, ready
from storage.paging import BY_TIME
from storage.partitions import in_days
from storage.records import (
    CoverageDay,
    Fence,
    LastRun,
    PageCounts,
    Record,
    StreamState,
    StreamStatus,
    Turn,
    text_fingerprint,
)
from storage.schema import Job, mentions, runs, streams
from storage.writing import Target, mark_checked, save_mentions, take_turn

if TYPE_CHECKING:
    import pandas as pd

    from listener.settings import OrganizationSettings
    from listener.signals.analysis import Signals
    from listener.signals.topics import Taxonomy

__all__ = [
    "CoverageDay",
    "Fence",
    "LastRun",
    "MentionStore",
    "PageCounts",
    "Record",
    "StreamState",
    "StreamStatus",
    "Turn",
    "text_fingerprint",
]


_LOOKED_THROUGH_AT_ONCE = 1_000


def _always(_published_at: datetime, _checked_at: datetime) -> bool:
    return True


def _versions(records: Sequence[Record]) -> set[str]:
    return {record.signals.version for record in records if record.signals}


class MentionStore:
    """The mentions and all that is known of them, in one database. Safe to share between threads.

    Every method may raise ``StoreError``.
    """

    def __init__(self, database: Database, *, clock: Clock | None = None) -> None:
        self.database = database
        self._clock = clock or SystemClock()
        self._topic_ids: dict[str, int] = {}

    @classmethod
    def open(
        cls, url: str, *, clock: Clock | None = None, read_only: bool = False, connections: int | None = None
    ) -> MentionStore:
        """Open the store at ``url``; an empty database gets its tables (unless ``read_only``).

        ``connections`` is how many are kept open, where it is known how many threads there will be.
        Raises ``StoreError`` where it cannot be reached or read, or where its schema is older (the message
        names ``listener db upgrade``) or newer than this program; ``ConfigError`` for a URL that is none.
        """
        database = connect(url, read_only=read_only, connections=connections)
        try:
            ready(database, read_only=read_only)
        except BaseException:
            database.close()
            raise
        return cls(database, clock=clock)

    def close(self) -> None:
        """Let go of every connection."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def declare(self, organizations: Sequence[OrganizationSettings], taxonomy: Taxonomy) -> None:
        """Make the store know these organizations, their channels, and these topics; twice is once.

        What is no longer declared stays, as its history does. Where an organization's time zone changed, its
        mentions move to the days of the new one.
        """
        with self.database.read() as connection:
            rows = registry.declared(connection, organizations, taxonomy)
        if any(rows.values()):
            with self.database.write() as connection:
                registry.write_declared(connection, rows)

    def stream(
        self, *, organization: str, channel: str, kind: str, query: str, options: Mapping[str, Any], key: str
    ) -> StreamState:
        """Return where a stream stands; it is made on first sight. ``key`` changes with what is asked."""
        with self.database.read() as connection:
            found = registry.find_stream(connection, organization, channel, key)
        if found:
            return found
        with self.database.write() as connection:
            registry.make_stream(
                connection,
                organization=organization,
                channel=channel,
                kind=kind,
                query=query,
                options=options,
                key=key,
                now=self._clock.now(),
            )
            made = registry.find_stream(connection, organization, channel, key)
        if made is None:
            raise LookupError(f"the organization {organization!r} was not declared to the store")
        return made

    def find_stream(self, *, organization: str, channel: str, key: str) -> StreamState | None:
        """Return where a stream stands, or None for one that was never read; nothing is made."""
        with self.database.read() as connection:
            return registry.find_stream(connection, organization, channel, key)

    def begin_run(
        self, stream_id: int, *, since: datetime | None, until: datetime | None, job: str = Job.INGEST
    ) -> int:
        """Record that a run begins, for this window; return its id. ``job`` is a :class:`storage.schema.Job`."""
        values = {
            "stream_id": stream_id,
            "job": str(job),
            "started_at": self._clock.now(),
            "since": since,
            "until": until,
        }
        with self.database.write() as connection:
            return int(connection.execute(insert(runs).values(values).returning(runs.c.id)).scalar_one())

    def known(self, channel: str, external_ids: Sequence[str]) -> dict[str, str]:
        """Return the text fingerprints of those mentions that are stored, by external id."""
        found: dict[str, str] = {}
        with self.database.read() as connection:
            channel_id = registry.channel_id(connection, channel)
            for some in batches(external_ids):
                query = select(mentions.c.external_id, mentions.c.text_fingerprint).where(
                    mentions.c.channel_id == channel_id, among(connection, mentions.c.external_id, some)
                )
                found.update((name, kept) for name, kept in connection.execute(query).all())
        return found

    def save_page(
        self,
        *,
        stream_id: int,
        run_id: int,
        records: Sequence[Record],
        cursor: Mapping[str, Any],
        usage: Usage,
        coverage: Spans | None = None,
        coverage_days: Sequence[CoverageDay] = (),
        pages: int = 1,
        skipped: int = 0,
        fence: Fence | None = None,
    ) -> PageCounts:
        """Save a page in one transaction, or small ``pages`` together; return what became of their mentions.

        ``cursor`` is kept with the data; ``coverage`` (None: as it was) and ``coverage_days`` replace what
        was known of the stream and those days; ``usage`` is what the run took so far, this page included.
        Raises ``LeaseHeld`` where ``fence`` no longer holds.
        """
        now = self._clock.now()
        topic_ids = self._topics(records)
        with self.database.write() as connection:
            leasing.require(connection, fence)
            channel_id, organization_id, newest = registry.stream_owner(connection, stream_id)
            target = Target(channel_id=channel_id, organization_id=organization_id, topic_ids=topic_ids, now=now)
            note_version(connection, _versions(records), now)
            counts = save_mentions(connection, target, records)
            seen = [record.mention.published_at for record in records]
            registry.keep_place(
                connection,
                stream_id,
                cursor=cursor,
                newest=max([*seen, *([newest] if newest else [])], default=None),
                coverage=coverage,
                days=coverage_days,
            )
            registry.count_page(
                connection,
                run_id,
                pages=pages,
                fetched=len(records),
                counts=counts,
                skipped=skipped,
                usage=usage,
            )
        return counts

    def _topics(self, records: Sequence[Record]) -> Mapping[str, int]:
        slugs = {hit.slug for record in records if record.signals for hit in record.signals.topics}
        if not slugs <= self._topic_ids.keys():
            with self.database.read() as connection:
                self._topic_ids = registry.topic_ids(connection)
            if unknown := slugs - self._topic_ids.keys():
                raise LookupError(f"topics that were not declared to the store: {', '.join(sorted(unknown))}")
        return self._topic_ids

    def finish_run(
        self,
        run_id: int,
        *,
        outcome: str,
        usage: Usage,
        error: str | None = None,
        failures: int | None = None,
        paused_until: datetime | None = None,
        fence: Fence | None = None,
        turn: Turn | None = None,
        again_at: datetime | None = None,
    ) -> None:
        """Record how a run ended, and with it the stream's failures in a row and until when it pauses.

        ``outcome`` is one of :class:`storage.schema.Outcome`, ``usage`` what the whole run took. Where
        ``failures`` is None the run says nothing of the stream, which goes on as it was. ``turn`` is done with
        the run, or due again at ``again_at``. Where ``fence`` no longer holds, stream and turn are their new
        holder's and left alone.
        """
        with self.database.write() as connection:
            registry.end_run(connection, run_id, outcome, usage, error, self._clock.now())
            if fence is not None and not leasing.holds(connection, fence):
                return
            if turn is not None:
                turns.strike_off(connection, turn, again_at=again_at)
            if failures is None:
                return
            of_run = select(runs.c.stream_id).where(runs.c.id == run_id).scalar_subquery()
            connection.execute(
                update(streams).where(streams.c.id == of_run).values(failures=failures, paused_until=paused_until)
            )

    def usage_since(self, channel: str, since: datetime, *, job: str | None = None) -> Usage:
        """Return what this channel's runs took that began at ``since`` or later, killed ones included.

        ``job`` (a :class:`storage.schema.Job`) asks for the pulls or the look-ups alone.
        """
        with self.database.read() as connection:
            return registry.used_since(connection, channel, since, job)

    def spent(self, channel: str, day_began: datetime) -> Mapping[spending.Part, Usage]:
        """Return what pulls and look-ups took of the channel's day, and what they hold of it."""
        with self.database.read() as connection:
            return spending.taken(connection, channel, day_began)

    def book(
        self,
        channel: str,
        day_began: datetime,
        change: Callable[[Mapping[spending.Part, Usage]], Mapping[spending.Part, Usage]],
    ) -> None:
        """Add what ``change`` returns to what the channel's day has cost, in one step; if it raises, nothing.

        ``change`` is given what :meth:`spent` returns, and nobody else books while it decides.
        """
        with self.database.write() as connection:
            spending.book(connection, channel, day_began, change)

    def give_up_held(self, channel: str, lease: str) -> None:
        """Count as taken what former holders of ``lease`` hold still: they died, or are late, and may have paid.

        To be called by who has the lease, before it holds anything.
        """
        with self.database.read() as connection:
            days = spending.days_held(connection, channel, lease)
        for day_began in days:
            self.book(channel, day_began, lambda taken: spending.given_up(taken, lease))

    def give_up_lapsed(self) -> None:
        """Count as taken what is held under leases that have run out; their streams may be configured no more."""
        with self.database.read() as connection:
            lapsed = spending.lapsed(connection, self._clock.now())
        for channel, day_began, holder in lapsed:
            self.book(channel, day_began, partial(spending.given_up, lease=holder))

    def roll_up(self, *, chunk_days: int = 31, progress: Callable[[int], None] | None = None) -> int:
        """Count the days again that changed, ``chunk_days`` at a time, each chunk in one transaction.

        ``progress`` is called after each chunk with the days counted so far. Returns the number of days (a
        day counts once for each organization).
        """
        return rolling.roll_up(self.database, chunk_days=chunk_days, progress=progress)

    def rebuild_rollups(self, *, progress: Callable[[int], None] | None = None, connections: int = 1) -> int:
        """Count every day again; the result is that of :meth:`roll_up`. Readers see numbers all the while.

        On PostgreSQL so many ``connections`` count at once, each another organization.
        """
        rolling.mark_everything(self.database)
        return rolling.roll_up(
            self.database, chunk_days=rolling.REBUILD_CHUNK_DAYS, progress=progress, connections=connections
        )

    def due_for_recheck(
        self,
        channel: str,
        *,
        published_since: datetime,
        checked_before: datetime,
        limit: int,
        is_due: Callable[[datetime, datetime], bool] = _always,
    ) -> list[str]:
        """Return external ids that are worth looking up again, the longest unchecked first; no tombstones.

        ``is_due`` decides over each one's ``published_at`` and ``checked_at``: what they say together needs
        arithmetic with moments, which every database writes in its own way.
        """
        with self.database.read() as connection:
            since_day = day_number(published_since.astimezone(UTC).date())
            query = (
                select(mentions.c.external_id, mentions.c.published_at, mentions.c.checked_at)
                .where(
                    in_days(connection, since_day, None, mentions.c.id),
                    mentions.c.channel_id == registry.channel_id(connection, channel),
                    mentions.c.published_at >= published_since,
                    mentions.c.checked_at < checked_before,
                    mentions.c.removed_at.is_(None),
                )
                .order_by(mentions.c.checked_at, mentions.c.external_id)
                # SQLite would else read all that the channel ever had.
                .with_hint(mentions, f"INDEXED BY {BY_TIME.name}", "sqlite")
                .execution_options(yield_per=_LOOKED_THROUGH_AT_ONCE)
            )
            with connection.execute(query) as rows:
                due = (one for one, published_at, checked_at in rows if is_due(published_at, checked_at))
                return list(islice(due, limit))

    def save_recheck(
        self,
        channel: str,
        mentions: Sequence[tuple[Mention, Signals | None]],
        *,
        run_id: int,
        usage: Usage,
        skipped: int = 0,
        fence: Fence | None = None,
        asked_at: datetime | None = None,
    ) -> PageCounts:
        """Save what a re-check found, for every organization that has the mentions, in one transaction.

        A mention that the store does not have counts as unchanged and is not added. Signals are None where
        the text is what the store has. ``usage`` is what the run took so far; ``asked_at`` is as in
        :class:`Record`. Raises ``LeaseHeld`` where ``fence`` no longer holds.
        """
        records = [
            Record(mention=one, pseudonym=None, own=False, day=0, signals=heard, asked_at=asked_at)
            for one, heard in mentions
        ]
        topic_ids = self._topics(records)
        now = self._clock.now()
        with self.database.write() as connection:
            leasing.require(connection, fence)
            channel_id = registry.channel_id(connection, channel)
            if channel_id is None:
                return PageCounts(unchanged=len(records))
            target = Target(channel_id=channel_id, organization_id=None, topic_ids=topic_ids, now=now)
            note_version(connection, _versions(records), now)
            counts = save_mentions(connection, target, records)
            mark_checked(connection, channel_id, [one.external_id for one, _ in mentions], now)
            registry.count_page(
                connection,
                run_id,
                pages=1,
                fetched=len(records),
                counts=counts,
                skipped=skipped,
                usage=usage,
            )
        return counts

    def mark_checked(self, channel: str, external_ids: Sequence[str], *, fence: Fence | None = None) -> None:
        """Remember that these were looked up now, though the platform had nothing to say of them.

        Raises ``LeaseHeld`` where ``fence`` no longer holds.
        """
        now = self._clock.now()
        with self.database.write() as connection:
            leasing.require(connection, fence)
            channel_id = registry.channel_id(connection, channel)
            if channel_id is not None:
                take_turn(connection, channel_id)
                mark_checked(connection, channel_id, external_ids, now)

    def acquire_lease(self, name: str, owner: str, ttl: timedelta) -> int | None:
        """Take or renew the lease ``name`` for ``ttl``; return its fence, or None where another holds it.

        The fence grows each time the lease changes hands or lapses, and stays while it is renewed in time.
        """
        with self.database.write() as connection:
            return leasing.acquire(connection, name, owner, now=self._clock.now(), ttl=ttl)

    def release_lease(self, name: str, owner: str) -> None:
        """Let the lease go, if ``owner`` holds it."""
        with self.database.write() as connection:
            leasing.release(connection, name, owner, now=self._clock.now())

    def lease_owner(self, name: str) -> str | None:
        """Return who holds the lease now, or None where nobody does."""
        with self.database.read() as connection:
            return leasing.owner(connection, name, now=self._clock.now())

    def planned(self) -> dict[str, datetime]:
        """Return when the last turn of each job was planned, by the job's name."""
        with self.database.read() as connection:
            return turns.planned(connection)

    def plan_turn(self, name: str, *, fence: Fence) -> Turn | None:
        """Write down that a turn of the job is due now; return the one before, where that still waits to be begun.

        That one and the new one are one turn then, and it keeps its place. Raises ``LeaseHeld`` where ``fence``,
        that of who plans, no longer holds.
        """
        with self.database.write() as connection:
            leasing.require(connection, fence)
            return turns.plan(connection, name, at=self._clock.now())

    def plan_only(self, names: Collection[str], *, fence: Fence) -> None:
        """Forget the turns of every other job; raises ``LeaseHeld`` where ``fence`` no longer holds."""
        with self.database.write() as connection:
            leasing.require(connection, fence)
            turns.keep_only(connection, names)

    def due_turns(self) -> list[Turn]:
        """Return the turns that are due, with who is about them: those that wait the longest first."""
        with self.database.read() as connection:
            return turns.due(connection, now=self._clock.now())

    def is_due(self, turn: Turn) -> bool:
        """Tell whether the turn is still to be done: to be asked once its lease is had."""
        with self.database.read() as connection:
            return turns.is_due(connection, turn)

    def finish_turn(self, turn: Turn, *, fence: Fence, again_at: datetime | None = None) -> None:
        """Note that the turn is done, or due again at ``again_at``.

        Raises ``LeaseHeld`` where ``fence`` no longer holds.
        """
        with self.database.write() as connection:
            leasing.require(connection, fence)
            turns.strike_off(connection, turn, again_at=again_at)

    def status(self) -> list[StreamStatus]:
        """Return every stream, by organization and channel, with its last pull and who is about it."""
        with self.database.read() as connection:
            return registry.statuses(connection, self._clock.now())

    def query(self, *, sort: str = "-published_at", limit: int | None = None, **filters: Any) -> pd.DataFrame:
        """Return the mentions that match as a DataFrame, one row a mention and organization.

        ``filters`` are the fields of :class:`storage.queries.Filters`::

            store.query(organizations="st-elsewhere", topics=["parking", "sensory-experience"], weeks="2026-W46")

        Moments are ``datetime64[us, UTC]``, counts ``Int64``, words ``string``; what is not known is missing.
        Raises ``ConfigError`` for a filter, a value or a sort key that does not exist.
        """
        from storage.frames import frame

        return frame(self, sort=sort, limit=limit, **filters)
