"""Reads the store for people: rows, counts, weekly volumes and coverage. Nothing here writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, FromClause, Index, Select, func, literal, or_, select, text, union_all

from listener.calendar import day_date, iso_week
from listener.coverage import Spans
from listener.errors import ConfigError
from listener.settings import nearest
from storage import schema
from storage.changes import SignalChange, every_change
from storage.choosing import chosen, one_organization
from storage.corrected import corrected_parts
from storage.counting import is_counted
from storage.filters import UNSCORED, Filters
from storage.paging import NAME, Place, behind, cursor_at, place_at, reaches
from storage.schema import (
    OTHER_PURPOSES,
    TO_REVIEW,
    UNTAGGED,
    channels,
    mention_metrics,
    mention_organizations,
    mention_topics,
    mentions,
    organizations,
    streams,
    topics,
    week_of,
)
from storage.volumes import DailyVolume, WeeklyVolume, daily_volume, weekly_volume

if TYPE_CHECKING:
    from sqlalchemy import CompoundSelect, RowMapping

    from storage.store import MentionStore

__all__ = [
    "COLUMNS",
    "COUNT_FIELDS",
    "FRAMEWORKS",
    "NO_DOMAIN",
    "CoverageRow",
    "DailyVolume",
    "Filters",
    "SignalChange",
    "StreamRow",
    "WeeklyVolume",
    "count_by",
    "coverage_days",
    "cursor_at",
    "daily_volume",
    "replayed_until",
    "rows",
    "signal_changes",
    "stream_channels",
    "stream_rows",
    "weekly_volume",
]

_ROWS_AT_ONCE = 1_000


def _topic_slugs() -> Any:
    slugs = (
        select(topics.c.slug)
        .join(mention_topics, mention_topics.c.topic_id == topics.c.id)
        .where(mention_topics.c.mention_id == mentions.c.id)
        .distinct()
        .order_by(topics.c.slug)
        .correlate(mentions)
        .subquery()
    )
    return select(func.aggregate_strings(slugs.c.slug, ",")).select_from(slugs).scalar_subquery()


_SELECTED: dict[str, Any] = {
    "channel": channels.c.name,
    "external_id": mentions.c.external_id,
    "kind": mentions.c.kind,
    "organization": organizations.c.slug,
    "published_at": mentions.c.published_at,
    "edited_at": mentions.c.edited_at,
    "removed_at": mentions.c.removed_at,
    "language": mentions.c.language,
    "purpose": mentions.c.purpose,
    "topics": _topic_slugs(),
    "sentiment": mentions.c.sentiment,
    "sentiment_score": mentions.c.sentiment_score,
    "text": mentions.c.text,
    "permalink": mentions.c.permalink,
    "parent_external_id": mentions.c.parent_external_id,
    "likes": mention_metrics.c.likes,
    "replies": mention_metrics.c.replies,
    "shares": mention_metrics.c.shares,
    "views": mention_metrics.c.views,
    "own": mention_organizations.c.own,
    "purpose_score": mentions.c.purpose_score,
    "needs_review": mentions.c.needs_review,
    "positive_part": mentions.c.positive_part,
    "negative_part": mentions.c.negative_part,
    "signals_version": mentions.c.signals_version,
    "corrected": corrected_parts(),
}
_LISTS = ("topics", "corrected")
COLUMNS = tuple(_SELECTED)
"""The columns of a query, in their order; ``topics`` is a list of slugs, sorted, ``corrected`` of parts."""

_LINKED = (
    mention_organizations.join(mentions, mentions.c.id == mention_organizations.c.mention_id)
    .join(organizations, organizations.c.id == mention_organizations.c.organization_id)
    .join(channels, channels.c.id == mentions.c.channel_id)
    .outerjoin(mention_metrics, mention_metrics.c.mention_id == mentions.c.id)
)


def rows(
    store: MentionStore,
    filters: Filters,
    *,
    sort: str = "-published_at",
    limit: int | None = None,
    after: str | None = None,
) -> Generator[dict[str, Any], None, None]:
    """Yield the mentions that match, one a mention and organization, in the columns of ``COLUMNS``.

    ``sort`` is a column, with ``-`` before it for descending; missing values come last, and ties stand in
    the order of channel, external id and organization. ``after`` is a cursor (:func:`cursor_at`): only rows
    behind it are yielded. Memory stays flat however many there are. Moments are UTC. Who may stop before the end
    closes the generator before the store. Raises ``ConfigError`` for a sort key, cursor, organization, channel or
    topic that does not exist.
    """
    column = _sorted_by(sort)
    place = None if after is None else place_at(after, sort, column)
    with store.database.read() as connection:
        # Days narrow the answer already.
        if not filters.days:
            by_words = filters.contains is not None
            alone = one_organization(connection, filters)
            for reach in reaches(
                connection, sort=sort, limit=limit, place=place, organization=alone, by_words=by_words
            ):
                query = _page(chosen(connection, filters, among=reach.ids), sort, place, limit)
                query = query.where(reach.condition)
                if not by_words:
                    query = _by(query, reach.index)
                found = connection.execute(query).mappings().all()
                if len(found) == limit:
                    yield from map(_listed, found)
                    return
        query = _page(
            chosen(connection, filters, few=True),
            sort,
            place,
            limit,
            by_index=bool(filters.contains or filters.topics),
        )
        streaming = connection.execution_options(yield_per=_ROWS_AT_ONCE)
        # A reader that stops in the middle must not leave PostgreSQL's cursor open.
        with streaming.execute(query) as result:
            yield from map(_listed, result.mappings())


def _by(query: Select[Any], index: Index) -> Select[Any]:
    """Have SQLite take this index: without statistics it scans the links, whatever it is asked for."""
    table = index.table
    assert table is not None  # noqa: S101 - an index of the schema has its table
    return query.with_hint(table, f"INDEXED BY {index.name}", "sqlite")


def _page(
    condition: ColumnElement[bool], sort: str, place: Place | None, limit: int | None, *, by_index: bool = False
) -> Select[Any]:
    """Return the query for a page; ``by_index`` tells that few mentions match, which another index finds."""
    column = _sorted_by(sort)
    ties = [_SELECTED[name] for name in NAME]
    # A database that may walk an index of the sort key until it has met enough rows does so for rare words, too,
    # and walks through everything. No index serves this expression.
    first = func.coalesce(column, column) if by_index else column
    order = first.desc() if sort.startswith("-") else first.asc()
    # An index cannot serve NULLS LAST on SQLite, so it is said only where there can be a NULL.
    if getattr(column, "nullable", True):
        order = order.nulls_last()
    return (
        select(*(column.label(name) for name, column in _SELECTED.items()))
        .select_from(_LINKED)
        .where(condition, *([] if place is None else [behind(place, sort, column, ties)]))
        .order_by(order, *ties)
        .limit(limit)
    )


def _listed(row: RowMapping) -> dict[str, Any]:
    return {**row, **{name: row[name].split(",") if row[name] else [] for name in _LISTS}}


def _sorted_by(sort: str) -> Any:
    name = sort.removeprefix("-")
    if name not in COLUMNS:
        raise ConfigError(f"no sort key {name!r}{nearest(name, COLUMNS)} (there are: {', '.join(COLUMNS)})")
    return _SELECTED[name]


_COUNTED: dict[str, Any] = {
    "organization": organizations.c.slug,
    "channel": channels.c.name,
    "week": week_of(mention_organizations.c.day),
    "day": mention_organizations.c.day,
    "kind": mentions.c.kind,
    "language": mentions.c.language,
    "purpose": mentions.c.purpose,
    "sentiment": func.coalesce(mentions.c.sentiment, UNSCORED),
}
_TAGS: dict[str, Any] = {
    "topic": func.coalesce(topics.c.slug, UNTAGGED),
    "group": func.coalesce(topics.c.group_name, UNTAGGED),
}
_TAGGED = _LINKED.outerjoin(mention_topics, mention_topics.c.mention_id == mentions.c.id).outerjoin(
    topics, topics.c.id == mention_topics.c.topic_id
)
FRAMEWORKS = ("hcahps", "cpes", "picker")
"""What mentions can be counted by where a crosswalk tells which of its domains a topic belongs to."""
COUNT_FIELDS = (*_COUNTED, *_TAGS, *FRAMEWORKS)
"""What mentions can be counted by."""
NO_DOMAIN = "(none)"
"""How counts name mentions of which no topic belongs to any domain."""

Crosswalk = Mapping[str, Sequence[str]]
"""The domains that each topic belongs to, by its slug."""


def count_by(
    store: MentionStore,
    filters: Filters,
    fields: Sequence[str],
    *,
    crosswalks: Mapping[str, Crosswalk] | None = None,
    every_purpose: bool = False,
) -> list[dict[str, Any]]:
    """Count the mentions that match, by ``fields`` (of ``COUNT_FIELDS``); the count is ``mentions``.

    A mention of two organizations counts for each; one with several topics counts once in each topic (or
    group of topics), one without in ``"(untagged)"``. By a framework (of ``FRAMEWORKS``; ``crosswalks`` tells
    its domains) it counts once in each domain that any of its topics belongs to, or in ``"(none)"``; together
    with topics, in the domains of that topic. By any of these only mentions are counted that the volumes count
    (:mod:`storage.counting`), unless ``filters`` ask for purposes, a review or what is left out, or
    ``every_purpose`` is set. Weeks are ISO weeks, days dates. Rows stand in the order of the fields, missing
    values last. Raises ``ConfigError`` as :func:`rows` does.
    """
    fields = list(dict.fromkeys(fields))
    for field in fields:
        if field not in COUNT_FIELDS:
            raise ConfigError(
                f"cannot count by {field!r}{nearest(field, COUNT_FIELDS)} (there are: {', '.join(COUNT_FIELDS)})"
            )
    shape = _shape(fields, crosswalks or {})
    as_volumes = shape.is_distinct and not every_purpose and not _asks_otherwise(filters)
    with store.database.read() as connection:
        # Grouped by the labels of a subquery: PostgreSQL takes two copies of one expression with parameters
        # for two expressions.
        links = (
            select(*(shape.columns[field].label(field) for field in fields))
            .select_from(shape.source)
            .where(chosen(connection, filters), *shape.conditions, *([is_counted()] if as_volumes else []))
            .add_columns(mentions.c.id.label("mention_id"), organizations.c.id.label("for_organization"))
        )
        # Two sources may tell one topic, and a group has several. Made distinct after the filters: a subquery of
        # every mention's topics cost SQLite half a minute for one week of a million mentions.
        found = (links.distinct() if shape.is_distinct else links).subquery()
        by = [found.c[field] for field in fields]
        query = select(*by, func.count().label("mentions")).select_from(found).group_by(*by)
        counts = [dict(row) for row in connection.execute(query).mappings()]
    # Sorted here: PostgreSQL would sort the names of domains, which are no column's, by the server's locale.
    counts.sort(key=lambda row: [(row[field] is None, row[field]) for field in fields])
    return [_named(row) for row in counts]


def _asks_otherwise(filters: Filters) -> bool:
    left_out = {OTHER_PURPOSES, TO_REVIEW}.intersection(filters.topics)
    return bool(filters.purposes or left_out) or filters.needs_review is not None


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a count selects: its columns by their names, from where, and on which conditions."""

    columns: Mapping[str, Any]
    source: FromClause
    conditions: Sequence[ColumnElement[bool]]
    is_distinct: bool


def _shape(fields: Sequence[str], crosswalks: Mapping[str, Crosswalk]) -> _Shape:
    by_topic = not _TAGS.keys().isdisjoint(fields)
    columns = _COUNTED | _TAGS
    source: FromClause = _TAGGED if by_topic else _LINKED
    conditions: list[ColumnElement[bool]] = []
    frameworks = [field for field in fields if field in FRAMEWORKS]
    for name in frameworks:
        crosswalk = crosswalks.get(name, {})
        domains = _domains(crosswalk).subquery(name)
        tags = mention_topics if by_topic else mention_topics.alias(f"tags_{name}")
        if not by_topic:
            source = source.outerjoin(tags, tags.c.mention_id == mentions.c.id)
            # A topic without a domain says nothing of a mention that has one with a domain.
            conditions.append(or_(domains.c.domain.is_not(None), ~_has_domain(crosswalk)))
        source = source.outerjoin(domains, domains.c.topic_id == tags.c.topic_id)
        columns[name] = func.coalesce(domains.c.domain, NO_DOMAIN)
    return _Shape(columns, source, conditions, by_topic or bool(frameworks))


def _domains(crosswalk: Crosswalk) -> CompoundSelect[Any]:
    members: defaultdict[str, list[str]] = defaultdict(list)
    for slug, domains in crosswalk.items():
        for domain in domains:
            members[domain].append(slug)
    # One that has no topic keeps the statement whole where no topic has a domain.
    return union_all(
        *(
            select(topics.c.id.label("topic_id"), literal(domain).label("domain")).where(topics.c.slug.in_(slugs))
            for domain, slugs in {**members, "": []}.items()
        )
    )


def _has_domain(crosswalk: Crosswalk) -> ColumnElement[bool]:
    tags = mention_topics.alias()
    ids = select(topics.c.id).where(topics.c.slug.in_([slug for slug, domains in crosswalk.items() if domains]))
    return select(tags.c.mention_id).where(tags.c.mention_id == mentions.c.id, tags.c.topic_id.in_(ids)).exists()


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    named = dict(row)
    if "week" in named:
        named["week"] = iso_week(named["week"])
    if "day" in named:
        named["day"] = day_date(named["day"])
    return named


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream that an organization has or had; ``read_until`` is None where nothing was read yet."""

    id: int
    organization: str
    timezone: str
    channel: str
    key: str
    read_until: datetime | None


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """How many seconds of one local day a stream read, and how many the platform no longer gave."""

    channel: str
    stream_id: int
    day: int
    covered_seconds: int
    lost_seconds: int


def stream_rows(store: MentionStore, *, organization: str | None) -> list[StreamRow]:
    """Return every stream that the organization has or had (None: any organization), by its id."""
    names = (organizations.c.slug, organizations.c.timezone, channels.c.name.label("channel"))
    query = select(streams.c.id, *names, streams.c.key, streams.c.coverage).order_by(streams.c.id)
    with store.database.read() as connection:
        return [
            StreamRow(row.id, row.slug, row.timezone, row.channel, row.key, _end(Spans.from_json(row.coverage)))
            for row in connection.execute(_of(query, organization))
        ]


def _end(read: Spans) -> datetime | None:
    return read.spans[-1][1] if read.spans else None


def coverage_days(
    store: MentionStore, *, organization: str | None, first_day: int, last_day: int
) -> list[CoverageRow]:
    """Return what was read on these days, both included, by channel, stream and day.

    ``organization`` None stands for all of them.
    """
    days = schema.coverage_days
    query = (
        select(channels.c.name, days.c.stream_id, days.c.day, days.c.covered_seconds, days.c.lost_seconds)
        .join(streams, streams.c.id == days.c.stream_id)
        .where(days.c.day.between(first_day, last_day))
        .order_by(channels.c.name, days.c.stream_id, days.c.day)
    )
    with store.database.read() as connection:
        return [CoverageRow(*row) for row in connection.execute(_of(query, organization))]


def stream_channels(store: MentionStore, *, organization: str) -> dict[int, str]:
    """Return the channel of each stream that the organization has or had, by the stream's id."""
    return {row.id: row.channel for row in stream_rows(store, organization=organization)}


def _of(query: Select[Any], organization: str | None) -> Select[Any]:
    joined = query.join(channels, channels.c.id == streams.c.channel_id).join(
        organizations, organizations.c.id == streams.c.organization_id
    )
    return joined if organization is None else joined.where(organizations.c.slug == organization)


def replayed_until(store: MentionStore) -> datetime | None:
    """Return when the last change was made that a replica of PostgreSQL has; None where this is no replica.

    None, too, where it has had no change since it started, so that nothing is known.
    """
    if store.database.is_sqlite:
        return None
    query = text("SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() END")
    with store.database.read() as connection:
        moment: datetime | None = connection.execute(query).scalar_one()
    return moment and moment.astimezone(UTC)


def signal_changes(store: MentionStore) -> list[SignalChange]:
    """Return when figures began to be heard by another version, the oldest first (:mod:`storage.changes`)."""
    with store.database.read() as connection:
        return every_change(connection)
