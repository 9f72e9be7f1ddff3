"""Who is listened for, where and how it went: organizations, topics, channels, streams and their runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func, insert, select, update

from listener.calendar import local_day
from listener.coverage import Spans
from listener.usage import Usage
from storage.bulk import upsert
from storage.records import CoverageDay, LastRun, PageCounts, StreamState, StreamStatus
from storage.schema import (
    ALL,
    Job,
    channels,
    coverage_days,
    dirty_days,
    leases,
    mention_organizations,
    mentions,
    organizations,
    runs,
    streams,
    topics,
    weekly_volume,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from listener.settings import OrganizationSettings
    from listener.signals.topics import Taxonomy

_USAGE = tuple(amount.name for amount in fields(Usage))
_COUNTS = tuple(count.name for count in fields(PageCounts))
_REDATED_AT_ONCE = 5_000
_STREAM = "stream:"


def declared(
    connection: Connection, wanted: Sequence[OrganizationSettings], taxonomy: Taxonomy
) -> dict[Table, list[dict[str, Any]]]:
    """Return the rows that the configuration asks for and the store does not have so, by table."""
    names = {stream.channel for organization in wanted for stream in organization.streams}
    rows: dict[Table, list[dict[str, Any]]] = {
        organizations: [{"slug": one.slug, "name": one.name, "timezone": one.timezone} for one in wanted],
        channels: [{"name": name} for name in sorted(names)],
        topics: [
            {
                "slug": topic.slug,
                "name": topic.name,
                "group_name": topic.group,
                "definition": topic.definition,
                "taxonomy_version": taxonomy.version,
            }
            for topic in taxonomy.topics
        ],
    }
    return {table: _missing(connection, table, asked) for table, asked in rows.items()}


def _missing(connection: Connection, table: Table, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = [column.name for column in table.columns if column.name != "id"]
    stored = {tuple(row) for row in connection.execute(select(*(table.c[name] for name in names)))}
    return [row for row in asked if tuple(row[name] for name in names) not in stored]


def write_declared(connection: Connection, rows: Mapping[Table, Sequence[Mapping[str, Any]]]) -> None:
    """Write what :func:`declared` found; a changed time zone moves the organization's mentions to its days."""
    moved = _moved(connection, rows[organizations])
    for table, asked in rows.items():
        natural = "name" if table is channels else "slug"
        for row in asked:
            statement = upsert(connection, table).values(row)
            others = {name: statement.excluded[name] for name in row if name != natural}
            connection.execute(
                statement.on_conflict_do_update(index_elements=[natural], set_=others)
                if others
                else statement.on_conflict_do_nothing()
            )
    for organization_id, timezone in moved:
        _redate(connection, organization_id, ZoneInfo(timezone))


def _moved(connection: Connection, asked: Iterable[Mapping[str, Any]]) -> list[tuple[int, str]]:
    zones = {row["slug"]: row["timezone"] for row in asked}
    query = select(organizations.c.id, organizations.c.slug, organizations.c.timezone)
    return [
        (row, zones[slug])
        for row, slug, timezone in connection.execute(query)
        if zones.get(slug, timezone) != timezone
    ]


def _redate(connection: Connection, organization_id: int, zone: ZoneInfo) -> None:
    """Count the organization's mentions on the days of its new time zone; the old and new days become dirty."""
    links = mention_organizations
    last = 0
    while True:
        query = (
            select(links.c.mention_id, links.c.day, mentions.c.published_at)
            .join(mentions, mentions.c.id == links.c.mention_id)
            .where(links.c.organization_id == organization_id, links.c.mention_id > last)
            .order_by(links.c.mention_id)
            .limit(_REDATED_AT_ONCE)
        )
        rows = list(connection.execute(query))
        if not rows:
            return
        last = rows[-1].mention_id
        moves = [
            {"row": row, "old": old, "new": new}
            for row, old, published_at in rows
            if (new := local_day(published_at, zone)) != old
        ]
        if not moves:
            continue
        connection.execute(
            update(links)
            .where(links.c.mention_id == bindparam("row"), links.c.organization_id == organization_id)
            .values(day=bindparam("new")),
            moves,
        )
        days = sorted({day for move in moves for day in (move["old"], move["new"])})
        connection.execute(insert(dirty_days), [{"organization_id": organization_id, "day": day} for day in days])


def topic_ids(connection: Connection) -> dict[str, int]:
    """Return every topic's id by its slug."""
    return {topic.slug: topic.id for topic in connection.execute(select(topics.c.slug, topics.c.id))}


def channel_id(connection: Connection, name: str) -> int | None:
    """Return the id of a channel, or None where nothing of it is stored."""
    return connection.execute(select(channels.c.id).where(channels.c.name == name)).scalar_one_or_none()


def find_stream(connection: Connection, organization: str, channel: str, key: str) -> StreamState | None:
    """Return where the stream stands, or None for one that was never declared."""
    query = (
        select(streams)
        .join(organizations, organizations.c.id == streams.c.organization_id)
        .join(channels, channels.c.id == streams.c.channel_id)
        .where(organizations.c.slug == organization, channels.c.name == channel, streams.c.key == key)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return StreamState(
        id=row.id,
        cursor=row.cursor,
        coverage=Spans.from_json(row.coverage),
        failures=row.failures,
        paused_until=row.paused_until,
        newest_published_at=row.newest_published_at,
    )


def make_stream(
    connection: Connection,
    *,
    organization: str,
    channel: str,
    kind: str,
    query: str,
    options: Mapping[str, Any],
    key: str,
    now: datetime,
) -> None:
    """Make the stream's row, unless the organization was not declared or the row is there already."""
    owner = connection.execute(
        select(organizations.c.id).where(organizations.c.slug == organization)
    ).scalar_one_or_none()
    if owner is None:
        return
    connection.execute(upsert(connection, channels).values(name=channel).on_conflict_do_nothing())
    values = {
        "organization_id": owner,
        "channel_id": channel_id(connection, channel),
        "kind": kind,
        "query": query,
        "options": dict(options),
        "key": key,
        "cursor": {},
        "coverage": [],
        "failures": 0,
        "created_at": now,
    }
    connection.execute(upsert(connection, streams).values(values).on_conflict_do_nothing())


def stream_owner(connection: Connection, stream_id: int) -> tuple[int, int, datetime | None]:
    """Return a stream's channel, organization and newest mention; raises ``LookupError`` for no such stream."""
    query = select(streams.c.channel_id, streams.c.organization_id, streams.c.newest_published_at).where(
        streams.c.id == stream_id
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise LookupError(f"there is no stream {stream_id}")
    return row.channel_id, row.organization_id, row.newest_published_at


def keep_place(
    connection: Connection,
    stream_id: int,
    *,
    cursor: Mapping[str, Any],
    newest: datetime | None,
    coverage: Spans | None,
    days: Sequence[CoverageDay],
) -> None:
    """Keep the cursor, the newest mention, and what has been read."""
    values: dict[str, Any] = {"cursor": dict(cursor), "newest_published_at": newest}
    if coverage is not None:
        values["coverage"] = coverage.to_json()
    connection.execute(update(streams).where(streams.c.id == stream_id).values(values))
    if days:
        statement = upsert(connection, coverage_days)
        seconds = {name: statement.excluded[name] for name in ("covered_seconds", "lost_seconds")}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["stream_id", "day"], set_=seconds),
            [{"stream_id": stream_id, **asdict(day)} for day in days],
        )


def count_page(
    connection: Connection,
    run_id: int,
    *,
    pages: int,
    fetched: int,
    counts: PageCounts,
    skipped: int,
    usage: Usage,
) -> None:
    """Add pages to their run; ``usage`` is what the run took so far."""
    added = {"pages": pages, "fetched": fetched, "skipped": skipped, **asdict(counts)}
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values({name: runs.c[name] + count for name, count in added.items()} | asdict(usage))
    )


def used_since(connection: Connection, channel: str, since: datetime, job: str | None) -> Usage:
    """Return what the channel's runs took that started at ``since`` or later, those of one job or all."""
    query = (
        select(*(func.coalesce(func.sum(runs.c[name]), 0).label(name) for name in _USAGE))
        .join(streams, streams.c.id == runs.c.stream_id)
        .join(channels, channels.c.id == streams.c.channel_id)
        .where(channels.c.name == channel, runs.c.started_at >= since)
    )
    if job is not None:
        query = query.where(runs.c.job == job)
    # PostgreSQL sums bigints as numeric.
    return Usage(**{name: int(total) for name, total in connection.execute(query).one()._mapping.items()})


def stream_lease(stream_id: int) -> str:
    """Return the name of the lease under which a stream is pulled, which is that of its turns as well."""
    return f"{_STREAM}{stream_id}"


def statuses(connection: Connection, now: datetime) -> list[StreamStatus]:
    """Return every stream, by organization, channel and age."""
    query = (
        select(streams, organizations.c.slug, channels.c.name.label("channel"))
        .join(organizations, organizations.c.id == streams.c.organization_id)
        .join(channels, channels.c.id == streams.c.channel_id)
        .order_by(organizations.c.slug, channels.c.name, streams.c.id)
    )
    held = _held(connection)
    last = _last_runs(connection)
    holders = _holders(connection, now)
    return [
        StreamStatus(
            stream_id=row.id,
            organization=row.slug,
            channel=row.channel,
            kind=row.kind,
            query=row.query,
            key=row.key,
            has_cursor=bool(row.cursor),
            coverage=Spans.from_json(row.coverage),
            newest_published_at=row.newest_published_at,
            failures=row.failures,
            paused_until=row.paused_until,
            mentions=held.get((row.organization_id, row.channel_id), 0),
            last_run=last.get(row.id),
            holder=holders.get(stream_lease(row.id)),
        )
        for row in connection.execute(query)
    ]


def _held(connection: Connection) -> dict[tuple[int, int], int]:
    # From the rollup: to count the mentions themselves took as long as there are many.
    every = select(topics.c.id).where(topics.c.slug == ALL).scalar_subquery()
    owner, channel = weekly_volume.c.organization_id, weekly_volume.c.channel_id
    query = (
        select(owner, channel, func.sum(weekly_volume.c.mentions))
        .where(weekly_volume.c.topic_id == every)
        .group_by(owner, channel)
    )
    return {(organization, where): int(count) for organization, where, count in connection.execute(query)}


def _holders(connection: Connection, now: datetime) -> dict[str, str]:
    query = select(leases.c.name, leases.c.owner).where(
        leases.c.name.startswith(_STREAM, autoescape=True), leases.c.expires_at > now
    )
    return {row.name: row.owner for row in connection.execute(query)}


def _last_runs(connection: Connection) -> dict[int, LastRun]:
    # Asked for each stream by its index: the runs of years need not be walked through.
    newest = (
        select(runs.c.id)
        .where(runs.c.stream_id == streams.c.id, runs.c.job == Job.INGEST.value)
        .order_by(runs.c.started_at.desc(), runs.c.id.desc())
        .limit(1)
        .correlate(streams)
        .scalar_subquery()
    )
    last = select(newest.label("run_id")).select_from(streams).subquery()
    return {
        row.stream_id: LastRun(
            started_at=row.started_at,
            finished_at=row.finished_at,
            outcome=row.outcome,
            error=row.error,
            counts=PageCounts(*(getattr(row, name) for name in _COUNTS)),
        )
        for row in connection.execute(select(runs).join(last, last.c.run_id == runs.c.id))
    }


def end_run(
    connection: Connection, run_id: int, outcome: str, usage: Usage, error: str | None, now: datetime
) -> None:
    """Record the end of a run."""
    # An error may repeat what a platform sent; PostgreSQL stores neither NUL nor lone surrogates.
    words = error and error.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(finished_at=now, outcome=str(outcome), error=words, **asdict(usage))
    )
