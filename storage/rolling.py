"""The rollup: counts by day and by week, of the days that changed or of all.

A mention counts once in the topic "all"; whether it counts in each of its topics (or in "(untagged)"), or is left
out for its purpose or until it is reviewed, is told in :mod:`storage.counting`. What the organization wrote itself
is left out; a tombstone goes on counting. Engagement is likes + replies + shares, as far as they
are given. A week's authors are its distinct pseudonyms in a channel.

Days are counted for one organization at a time, a chunk in one transaction. On PostgreSQL several connections,
of one process or of several, may count at once, each another organization. What all organizations have together is
summed from that at the end (:mod:`storage.totals`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    true,
    union,
    union_all,
)

from listener.calendar import iso_week, week_end, week_of_day, week_start
from listener.mention import Sentiment
from storage.bulk import upsert
from storage.counting import is_counted, standing
from storage.locks import Room
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
    organizations,
    topics,
    week_of,
    weekly_volume,
    weeks,
)
from storage.totals import mark_all_totals, mark_totals, sum_totals

if TYPE_CHECKING:
    from sqlalchemy import CompoundSelect, Connection, FromClause

    from storage.opening import Database

REBUILD_CHUNK_DAYS = 91
"""How many days a rebuild counts in one transaction: whole weeks, so that few are counted twice, and not so many
that a writer of a large SQLite store would wait for longer than its patience lasts."""

_VOLUME = ("mentions", "negative", "neutral", "positive", "unscored", "engagement")


def roll_up(
    database: Database, *, chunk_days: int, progress: Callable[[int], None] | None = None, connections: int = 1
) -> int:
    """Count the dirty days, chunk by chunk, then sum their totals; return how many days were counted.

    Where others do the same, they share the organizations; what was dirty at the beginning is counted at the end,
    by whomever. On PostgreSQL ``connections`` of this process share them, too; SQLite has one writer.
    """
    work = _Counting(database, chunk_days, progress)
    if connections == 1 or database.is_sqlite:
        work.run()
    else:
        with ThreadPoolExecutor(connections) as pool:
            counting = [pool.submit(work.run) for _ in range(connections)]
            try:
                for each in counting:
                    each.result()
            except BaseException:
                work.stop.set()
                raise
    sum_totals(database, chunk_days=chunk_days)
    return work.done


class _Counting:
    """What those who count at once share: until when, and how many days are done."""

    def __init__(self, database: Database, chunk_days: int, progress: Callable[[int], None] | None) -> None:
        self._database = database
        self._chunk_days = chunk_days
        self._progress = progress
        self._adding = threading.Lock()
        self.stop = threading.Event()
        self.done = 0

    def run(self) -> None:
        """Count chunk after chunk until nothing is dirty, or one of them fails."""
        try:
            while not self.stop.is_set() and self._count_next():
                pass
        except BaseException:
            self.stop.set()
            raise

    def _count_next(self) -> bool:
        with self._database.write() as connection:
            organization_id = _take_next(connection)
            if organization_id is None:
                return False
            days = _dirty(connection, organization_id, self._chunk_days)
            _count(connection, organization_id, days)
        with self._adding:
            self.done += len(days)
            if self._progress and days:
                self._progress(self.done)
        return True


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
        mark_all_totals(connection)
        # Two who count at once would wait for each other's new weeks.
        waiting = select(week_of(dirty_days.c.day).label("week")).distinct().order_by("week")
        _name_weeks(connection, list(connection.execute(waiting).scalars()))


def _take_turn(connection: Connection, organization_id: int, *, wait: bool = True) -> bool:
    """Wait until nobody else counts this organization; without ``wait`` return False where somebody does."""
    if connection.dialect.name != "postgresql":
        return True
    how = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    lock = text(f"SELECT {how}(:room, :organization)")
    taken = connection.execute(
        lock, {"room": Room.ORGANIZATION.value, "organization": organization_id}
    ).scalar_one()
    # The lock that waits returns nothing, which the driver gives as an empty text.
    return wait or bool(taken)


def wait_for_every_turn(connection: Connection) -> None:
    """Wait until no other transaction counts any organization; on PostgreSQL, none begins until this one ends."""
    for organization_id in connection.execute(select(organizations.c.id).order_by(organizations.c.id)).scalars():
        _take_turn(connection, organization_id)


def _take_next(connection: Connection) -> int | None:
    """Return the first organization that has dirty days and that nobody counts, or wait for the first.

    By then its days may be clean. None where nothing is dirty.
    """
    first = after = _next_organization(connection, None)
    while after is not None:
        if _take_turn(connection, after, wait=False):
            return after
        after = _next_organization(connection, after)
    if first is not None:
        _take_turn(connection, first)
    return first


def _next_organization(connection: Connection, after: int | None) -> int | None:
    query = select(func.min(dirty_days.c.organization_id))
    if after is not None:
        query = query.where(dirty_days.c.organization_id > after)
    found: int | None = connection.execute(query).scalar_one()
    return found


def _dirty(connection: Connection, organization_id: int, limit: int) -> list[int]:
    query = (
        select(dirty_days.c.day)
        .where(dirty_days.c.organization_id == organization_id)
        .distinct()
        .order_by(dirty_days.c.day)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def _count(connection: Connection, organization_id: int, days: Sequence[int]) -> None:
    if not days:
        return
    # Clean first, then count: a mention that is saved meanwhile marks its day again, or is counted.
    _mark_clean(connection, organization_id, days)
    _recount(connection, organization_id, days)
    mark_totals(connection, days)


def _mark_clean(connection: Connection, organization_id: int, days: Sequence[int]) -> None:
    connection.execute(
        delete(dirty_days).where(dirty_days.c.organization_id == organization_id, dirty_days.c.day.in_(days))
    )


def _recount(connection: Connection, organization_id: int, days: Sequence[int]) -> None:
    if connection.dialect.name == "postgresql":
        # What was published within some days was mostly stored together, which the planner does not know: it would
        # go through all of a table, store-wide, rather than look up a chunk's mentions in a few pages.
        connection.exec_driver_sql("SET LOCAL random_page_cost = 1.1")
    touched = sorted({week_of_day(day) for day in days})
    _name_weeks(connection, touched)
    on_days, their_tags = _linked_on(connection, organization_id, days)
    connection.execute(
        delete(daily_volume).where(daily_volume.c.organization_id == organization_id, daily_volume.c.day.in_(days))
    )
    connection.execute(
        insert(daily_volume).from_select(
            ["organization_id", "day", "channel_id", "topic_id", *_VOLUME], daily_counts(on_days, their_tags)
        )
    )
    in_weeks, their_tags = _linked_on(
        connection, organization_id, [week * 7 + day for week in touched for day in range(-3, 4)]
    )
    connection.execute(
        delete(weekly_volume).where(
            weekly_volume.c.organization_id == organization_id, weekly_volume.c.week.in_(touched)
        )
    )
    connection.execute(
        insert(weekly_volume).from_select(
            ["organization_id", "week", "channel_id", "topic_id", *_VOLUME, "authors"],
            weekly_counts(in_weeks, their_tags),
        )
    )


def _linked_on(
    connection: Connection, organization_id: int, days: Sequence[int]
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the condition on the links of some days, and the one on the topics that go with them."""
    links = mention_organizations
    linked = and_(
        links.c.organization_id == organization_id,
        links.c.day.in_(days),
        in_days(connection, min(days), max(days), links.c.mention_id),
    )
    return linked, in_days(connection, min(days), max(days), mention_topics.c.mention_id)


def _name_weeks(connection: Connection, touched: Sequence[int]) -> None:
    """Give these weeks their names; in their order, or two transactions could wait for each other for ever."""
    if not touched:
        return
    connection.execute(
        upsert(connection, weeks).on_conflict_do_nothing(),
        [
            {"week": week, "iso_week": iso_week(week), "week_start": week_start(week), "week_end": week_end(week)}
            for week in touched
        ],
    )


def daily_counts(where: ColumnElement[bool], tags: ColumnElement[bool] | None = None) -> CompoundSelect[Any]:
    """Count the linked mentions that ``where`` chooses, in the columns of ``daily_volume``.

    ``tags`` is a condition that all of their topics meet, where not all partitions are to be looked into.
    """
    return _counts(where, tags, mention_organizations.c.day)


def weekly_counts(where: ColumnElement[bool], tags: ColumnElement[bool] | None = None) -> CompoundSelect[Any]:
    """Count the linked mentions that ``where`` chooses, in the columns of ``weekly_volume``; ``tags`` as there."""
    return _counts(where, tags, week_of(mention_organizations.c.day), with_authors=True)


def _counts(
    where: ColumnElement[bool],
    tags: ColumnElement[bool] | None,
    period: ColumnElement[int],
    *,
    with_authors: bool = False,
) -> CompoundSelect[Any]:
    links = mention_organizations
    given = [func.coalesce(mention_metrics.c[name], 0) for name in ("likes", "replies", "shares")]
    # Asked for four times and joined once: to look up a mention and its metrics is what counting takes.
    every = (
        select(
            links.c.organization_id,
            period.label("period"),
            mentions.c.channel_id,
            links.c.mention_id,
            mentions.c.author_id,
            mentions.c.sentiment,
            (given[0] + given[1] + given[2]).label("engagement"),
            standing().label("standing"),
            is_counted().label("is_counted"),
        )
        .select_from(
            links.join(mentions, mentions.c.id == links.c.mention_id).outerjoin(
                mention_metrics, mention_metrics.c.mention_id == links.c.mention_id
            )
        )
        .where(where, links.c.own.is_(False))
        .cte("every")
    )
    of_it = and_(mention_topics.c.mention_id == every.c.mention_id, true() if tags is None else tags)
    # Both witnesses of a topic have a row of their own.
    tagged = (
        select(every, mention_topics.c.topic_id).join(mention_topics, of_it).where(every.c.is_counted).distinct()
    )
    by_topic = tagged.subquery()
    return union_all(
        _grouped(every, _pseudo_topic(ALL), with_authors=with_authors),
        _grouped(every, _pseudo_topic(UNTAGGED), with_authors=with_authors).where(
            every.c.is_counted, ~select(mention_topics.c.mention_id).where(of_it).exists()
        ),
        _grouped(every, topics.c.id, with_authors=with_authors)
        .join(topics, topics.c.slug == every.c.standing)
        .group_by(topics.c.id),
        _grouped(by_topic, by_topic.c.topic_id, with_authors=with_authors).group_by(by_topic.c.topic_id),
    )


def _grouped(source: FromClause, topic: Any, *, with_authors: bool) -> Select[Any]:
    """Return the counts of ``source`` for each organization, period and channel, under ``topic``."""
    keys = (source.c.organization_id, source.c.period, source.c.channel_id)

    def tone(value: Sentiment) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((source.c.sentiment == value.value, 1), else_=0)), 0)

    counts = (
        func.count(),
        tone(Sentiment.NEGATIVE),
        tone(Sentiment.NEUTRAL),
        tone(Sentiment.POSITIVE),
        func.sum(case((source.c.sentiment.is_(None), 1), else_=0)),
        func.sum(source.c.engagement),
    )
    named = [count.label(name) for name, count in zip(_VOLUME, counts, strict=True)]
    authors = [func.count(distinct(source.c.author_id)).label("authors")] if with_authors else []
    return select(*keys, topic.label("topic_id"), *named, *authors).select_from(source).group_by(*keys)


def _pseudo_topic(slug: str) -> Any:
    return select(topics.c.id).where(topics.c.slug == slug).scalar_subquery()
