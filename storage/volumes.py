"""Reads the rollup: volumes by day and by week, of one organization or of all together. No mention is read.

What all organizations have together lies summed in the store: a read is as small for a thousand of them as for
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Table, func, select

from listener.calendar import day_date, day_number
from storage import schema
from storage.choosing import ids_of
from storage.schema import ALL, channels, organizations, topics

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from storage.store import MentionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyVolume:
    """One count of the weekly rollup: ``week`` is a week number, ``topic`` a slug or a pseudo-topic."""

    week: int
    channel: str
    topic: str
    mentions: int
    authors: int
    negative: int
    neutral: int
    positive: int
    unscored: int
    engagement: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyVolume:
    """One count of the daily rollup: ``day`` is the organization's own day, ``topic`` a slug or a pseudo-topic."""

    day: date
    channel: str
    topic: str
    mentions: int
    negative: int
    neutral: int
    positive: int
    unscored: int
    engagement: int


_DAILY = ("mentions", "negative", "neutral", "positive", "unscored", "engagement")
_WEEKLY = ("mentions", "authors", "negative", "neutral", "positive", "unscored", "engagement")


def weekly_volume(store: MentionStore, *, organization: str | None, weeks: Sequence[int]) -> list[WeeklyVolume]:
    """Return the counts of these weeks by channel and topic, in that order, from the rollup alone.

    ``organization`` is a slug, or None for the sums over all of them, the authors' too: who wrote about two is
    two. Channel "all" sums the channels, its authors too. A week in which nothing was heard has no rows. Raises
    ``ConfigError`` for an organization that the store does not have.
    """
    volume = schema.weekly_totals if organization is None else schema.weekly_volume
    with store.database.read() as connection:
        wanted = [*_of(connection, volume, organization), volume.c.week.in_(weeks)]
        return [
            WeeklyVolume(week=week, channel=channel, topic=topic, **dict(zip(_WEEKLY, counts, strict=True)))
            for week, channel, topic, *counts in _counts(connection, volume, _WEEKLY, wanted)
        ]


def daily_volume(
    store: MentionStore, *, organization: str | None, first_day: date, last_day: date
) -> list[DailyVolume]:
    """Return the counts of these days, both included, by channel and topic, in that order, from the rollup alone.

    As :func:`weekly_volume` has them: ``organization`` None for all of them together, each on its own day; channel
    "all" sums the channels; a day on which nothing was heard has no rows.
    """
    volume = schema.daily_totals if organization is None else schema.daily_volume
    with store.database.read() as connection:
        wanted = [
            *_of(connection, volume, organization),
            volume.c.day.between(day_number(first_day), day_number(last_day)),
        ]
        return [
            DailyVolume(day=day_date(day), channel=channel, topic=topic, **dict(zip(_DAILY, counts, strict=True)))
            for day, channel, topic, *counts in _counts(connection, volume, _DAILY, wanted)
        ]


def _of(connection: Connection, volume: Table, organization: str | None) -> list[ColumnElement[bool]]:
    if organization is None:
        return []
    (organization_id,) = ids_of(connection, organizations, "slug", "organization", [organization])
    return [volume.c.organization_id == organization_id]


def _counts(
    connection: Connection, volume: Table, names: Sequence[str], wanted: Sequence[ColumnElement[bool]]
) -> list[tuple[Any, ...]]:
    """Return period, channel, topic and counts, in that order, with the sums over the channels among them."""
    period = next(column for column in volume.primary_key if column.name in ("day", "week"))
    counts = [volume.c[name] for name in names]
    by_channel = (
        select(period, channels.c.name, topics.c.slug, *counts)
        .join(channels, channels.c.id == volume.c.channel_id)
        .join(topics, topics.c.id == volume.c.topic_id)
        .where(*wanted)
    )
    together = (
        select(period, topics.c.slug, *(func.sum(count) for count in counts))
        .join(topics, topics.c.id == volume.c.topic_id)
        .where(*wanted)
        .group_by(period, topics.c.slug)
    )
    # PostgreSQL sums bigints as numeric.
    found = [(*row[:3], *map(int, row[3:])) for row in connection.execute(by_channel)]
    found += [(row[0], ALL, row[1], *map(int, row[2:])) for row in connection.execute(together)]
    return sorted(found, key=lambda row: row[:3])
