"""The rollup: counts by day and by week, of the days that changed or of all.

A mention counts once in the topic "all"; whether it counts in each of its topics (or in "(untagged)"), or is left
out for its purpose or until it is reviewed, is told in :mod:`storage.counting`. What the organization wrote itself
is left out; a tombstone goes on counting. Engagement is likes + replies + shares, as far as they
are given. A week's authors are its distinct pseudonyms in a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    delete,
    distinct,
    func,
    insert,
    select,
    text,
    union,
    union_all,
)

from listener.calendar import iso_week, week_end, week_of_day, week_start
from listener.mention import Sentiment
from storage.bulk import upsert
from storage.counting import is_counted, standing
from storage.partitions import in_days
from storage.schema import (
    ALL,
    UNTAGGED,
    daily_volume,
    dirty_days,
    mention_metrics,
    mention_organizations,
    mention_topics,
    mentions,
    topics,
    week_of,
    weekly_volume,
    weeks,
)

if TYPE_CHECKING:
    from sqlalchemy import CompoundSelect, Connection, Join

    from storage.opening import Database

REBUILD_CHUNK_DAYS = 91
"""How many days a rebuild counts in one transaction: whole weeks, so that few are counted twice, and not so many
that a writer of a large SQLite store would wait for longer than its patience lasts."""

_ROLLUP_LOCK = 7_041_776_002
"""The PostgreSQL advisory lock under which one process at a time rolls up."""

_VOLUME = ("mentions", "negative", "neutral", "positive", "unscored", "engagement")


def roll_up(database: Database, *, chunk_days: int, progress: Callable[[int], None] | None = None) -> int:
    """Count the dirty days, chunk by chunk; return how many."""
    done = 0
    while True:
        with database.write() as connection:
            wait_for_turn(connection)
            dirty = _next_dirty(connection, chunk_days)
            if not dirty:
                return done
            organization_id, days = dirty
            # Clean first, then count: a mention that is saved meanwhile marks its day again, or is counted.
            _mark_clean(connection, organization_id, days)
            _recount(connection, organization_id, days)
        done += len(days)
        if progress:
            progress(done)


def mark_everything(database: Database) -> None:
    """Mark every day that has mentions or counts, of every organization, to be counted again."""
    links = mention_organizations
    # By a set difference: PostgreSQL compares each week with each day where a range of days joins them.
    weeks_alone = (
        select(weekly_volume.c.organization_id, weekly_volume.c.week)
        .except_(select(daily_volume.c.organization_id, week_of(daily_volume.c.day)))
        .subquery()
    )
    thursday = weeks_alone.c.week * 7
    everything = union(
        select(links.c.organization_id, links.c.day),
        select(daily_volume.c.organization_id, daily_volume.c.day),
        select(weeks_alone.c.organization_id, thursday),
    )
    with database.write() as connection:
        connection.execute(insert(dirty_days).from_select(["organization_id", "day"], everything))


def wait_for_turn(connection: Connection) -> None:
    """Wait until no other transaction rolls up."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ROLLUP_LOCK})


def _next_dirty(connection: Connection, limit: int) -> tuple[int, list[int]] | None:
    first = connection.execute(select(func.min(dirty_days.c.organization_id))).scalar_one()
    if first is None:
        return None
    query = (
        select(dirty_days.c.day)
        .where(dirty_days.c.organization_id == first)
        .distinct()
        .order_by(dirty_days.c.day)
        .limit(limit)
    )
    return first, list(connection.execute(query).scalars())


def _mark_clean(connection: Connection, organization_id: int, days: Sequence[int]) -> None:
    connection.execute(
        delete(dirty_days).where(dirty_days.c.organization_id == organization_id, dirty_days.c.day.in_(days))
    )


def _recount(connection: Connection, organization_id: int, days: Sequence[int]) -> None:
    touched = sorted({week_of_day(day) for day in days})
    _name_weeks(connection, touched)
    on_days = _linked_on(connection, organization_id, days)
    connection.execute(
        delete(daily_volume).where(daily_volume.c.organization_id == organization_id, daily_volume.c.day.in_(days))
    )
    connection.execute(
        insert(daily_volume).from_select(
            ["organization_id", "day", "channel_id", "topic_id", *_VOLUME], daily_counts(on_days)
        )
    )
    in_weeks = _linked_on(
        connection, organization_id, [week * 7 + day for week in touched for day in range(-3, 4)]
    )
    connection.execute(
        delete(weekly_volume).where(
            weekly_volume.c.organization_id == organization_id, weekly_volume.c.week.in_(touched)
        )
    )
    connection.execute(
        insert(weekly_volume).from_select(
            ["organization_id", "week", "channel_id", "topic_id", *_VOLUME, "authors"], weekly_counts(in_weeks)
        )
    )


def _linked_on(connection: Connection, organization_id: int, days: Sequence[int]) -> ColumnElement[bool]:
    links = mention_organizations
    return and_(
        links.c.organization_id == organization_id,
        links.c.day.in_(days),
        in_days(connection, min(days), max(days), links.c.mention_id),
    )


def _name_weeks(connection: Connection, touched: Iterable[int]) -> None:
    connection.execute(
        upsert(connection, weeks).on_conflict_do_nothing(),
        [
            {"week": week, "iso_week": iso_week(week), "week_start": week_start(week), "week_end": week_end(week)}
            for week in touched
        ],
    )


def daily_counts(where: ColumnElement[bool]) -> CompoundSelect[Any]:
    """Count the linked mentions that ``where`` chooses, in the columns of ``daily_volume``."""
    return _counts(where, mention_organizations.c.day)


def weekly_counts(where: ColumnElement[bool]) -> CompoundSelect[Any]:
    """Count the linked mentions that ``where`` chooses, in the columns of ``weekly_volume``."""
    week = week_of(mention_organizations.c.day)
    return _counts(where, week, func.count(distinct(mentions.c.author_id)).label("authors"))


def _counts(where: ColumnElement[bool], period: ColumnElement[int], *more: Any) -> CompoundSelect[Any]:
    links = mention_organizations
    tagged = (
        select(links.c.mention_id, mention_topics.c.topic_id)
        .join(mention_topics, mention_topics.c.mention_id == links.c.mention_id)
        .where(where)
        .distinct()
        .subquery()
    )
    every_topic = tagged.c.topic_id
    untagged = (
        ~select(mention_topics.c.mention_id).where(mention_topics.c.mention_id == links.c.mention_id).exists()
    )

    every = links.join(mentions, mentions.c.id == links.c.mention_id).outerjoin(
        mention_metrics, mention_metrics.c.mention_id == links.c.mention_id
    )

    def grouped(topic: Any, source: Join, *conditions: ColumnElement[bool], by: Sequence[Any] = ()) -> Select[Any]:
        return (
            select(
                links.c.organization_id, period, mentions.c.channel_id, topic.label("topic_id"), *_volume(), *more
            )
            .select_from(source)
            .where(where, links.c.own.is_(False), *conditions)
            .group_by(links.c.organization_id, period, mentions.c.channel_id, *by)
        )

    # By a join: PostgreSQL would take two copies of an expression with parameters for two groupings.
    by_standing = every.join(topics, topics.c.slug == standing())
    by_topic = every.join(tagged, tagged.c.mention_id == links.c.mention_id)
    return union_all(
        grouped(_pseudo_topic(ALL), every),
        grouped(_pseudo_topic(UNTAGGED), every, untagged, is_counted()),
        grouped(topics.c.id, by_standing, by=[topics.c.id]),
        grouped(every_topic, by_topic, is_counted(), by=[every_topic]),
    )


def _volume() -> list[Any]:
    def tone(value: Sentiment) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((mentions.c.sentiment == value.value, 1), else_=0)), 0)

    figures = [func.coalesce(mention_metrics.c[name], 0) for name in ("likes", "replies", "shares")]
    counts = [
        func.count(),
        tone(Sentiment.NEGATIVE),
        tone(Sentiment.NEUTRAL),
        tone(Sentiment.POSITIVE),
        func.sum(case((mentions.c.sentiment.is_(None), 1), else_=0)),
        func.sum(figures[0] + figures[1] + figures[2]),
    ]
    return [count.label(name) for name, count in zip(_VOLUME, counts, strict=True)]


def _pseudo_topic(slug: str) -> Any:
    return select(topics.c.id).where(topics.c.slug == slug).scalar_subquery()
