"""Pages of a long answer: where one ends, told in a cursor, and how far a page of the newest need look.

A cursor names the last mention of a page by what the rows are sorted by and by its natural key, and holds nothing
of its text. So the next page begins right behind it, whatever came or went meanwhile.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Text,
    and_,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from listener.calendar import local_day
from listener.errors import ConfigError
from storage.partitions import is_partitioned
from storage.schema import Moment, mention_organizations, mentions, organizations

if TYPE_CHECKING:
    from sqlalchemy import Connection

NAME = ("channel", "external_id", "organization")
"""What tells one row of an answer from every other."""
_UNFIT = ("topics", "text", "corrected")
"""Columns that no cursor holds: they are worked out for each row, or are what somebody wrote."""
_REACHES = (4, 50, 1_000)
"""How many of the newest mentions are looked through first for each that is asked for; of words not the first."""
_MOST_OF_A_PAGE = 500
_BITS = 64
"""Of the largest numbers of both databases, with their sign."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the value that rows are sorted by, and the last row's name."""

    value: Any
    name: tuple[str, str, str]


def cursor_at(row: Mapping[str, Any], sort: str) -> str:
    """Return the cursor of the page that ends with ``row``; raises ``ConfigError`` where ``sort`` takes none."""
    value = row[_fit(sort)]
    if isinstance(value, datetime):
        value = value.isoformat()
    told = json.dumps([sort, value, *(row[part] for part in NAME)])
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def place_at(cursor: str, sort: str, column: ColumnElement[Any]) -> Place:
    """Return the place that a cursor of this sort tells; ``column`` is what rows are sorted by.

    Raises ``ConfigError`` for a cursor of another sort, or one that :func:`cursor_at` did not make.
    """
    _fit(sort)
    try:
        made_for, value, *name = _unpacked(cursor)
        channel, external_id, organization = map(_words, name)
        made_for = _words(made_for)
        # Of another sort, and told as such below: its value is of another kind.
        value = _value(value, column) if made_for == sort else None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ConfigError(
            "the cursor is not one that a query has printed: copy it whole, or begin anew"
        ) from error
    if made_for != sort:
        raise ConfigError(f"the cursor is of rows sorted by {made_for!r}, not {sort!r}: ask with the same sort")
    return Place(value, (channel, external_id, organization))


def _unpacked(cursor: str) -> list[Any]:
    told = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    if not isinstance(told, list):
        raise TypeError
    return told


def _value(told: Any, column: ColumnElement[Any]) -> Any:
    """Return a value that can stand in ``column``; raises for one that cannot."""
    if told is None:
        if not getattr(column, "nullable", True):
            raise ValueError
        return None
    if isinstance(column.type, Moment):
        moment = datetime.fromisoformat(told)
        if moment.tzinfo is None:
            raise ValueError
        # At the edge of the calendar there is none.
        return moment.astimezone(UTC)
    if isinstance(column.type, Text):
        return _words(told)
    is_number = isinstance(told, int | float) and not isinstance(told, bool)
    is_fit: bool = (
        isinstance(told, bool)
        if isinstance(column.type, Boolean)
        else is_number and isfinite(told)
        if isinstance(column.type, Float)
        else isinstance(told, int) and is_number and told.bit_length() < _BITS
    )
    if not is_fit:
        raise TypeError
    return told


def _words(told: Any) -> str:
    """Return a text that a database takes; raises for what is none."""
    if not isinstance(told, str) or "\0" in told:
        raise TypeError
    told.encode()
    return told


def has_pages(sort: str) -> bool:
    """Say whether rows of this sort have cursors."""
    return sort.removeprefix("-") not in _UNFIT


def _fit(sort: str) -> str:
    name = sort.removeprefix("-")
    if not has_pages(sort):
        raise ConfigError(
            f"rows sorted by {name!r} have no pages: sort by another column, or take them all at once"
        )
    return name


def behind(place: Place, sort: str, column: ColumnElement[Any], ties: Sequence[ColumnElement[Any]]) -> Any:
    """Return the condition that a row stands behind ``place``; missing values stand last, ties in their order."""
    later_tie = tuple_(*ties) > tuple_(*(literal(part) for part in place.name))
    if place.value is None:
        return and_(column.is_(None), later_tie)
    value = literal(place.value, column.type)
    downward = sort.startswith("-")
    beyond = column < value if downward else column > value
    from_here = column <= value if downward else column >= value
    # Said twice: an index serves the first, which lets through a little more.
    exact = or_(beyond, and_(column == value, later_tie))
    if getattr(column, "nullable", True):
        return or_(column.is_(None), exact)
    return and_(from_here, exact)


@dataclass(frozen=True, slots=True)
class Reach:
    """A stretch of time at the beginning of an answer, and the index that finds it.

    ``ids`` are the lowest and the highest id in it, where they were asked for.
    """

    condition: ColumnElement[bool]
    index: Index
    ids: tuple[int, int] | None = None


BY_TIME = next(one for one in mentions.indexes if [*one.columns] == [mentions.c.published_at])
"""The index that walks the mentions in the order of time."""
BY_DAY = next(one for one in mention_organizations.indexes if mention_organizations.c.day in [*one.columns])
"""The index that walks the mentions of one organization by their days."""


def reaches(
    connection: Connection,
    *,
    sort: str,
    limit: int | None,
    place: Place | None,
    organization: int | None = None,
    by_words: bool = False,
) -> Iterator[Reach]:
    """Yield stretches of time in which a page is worth looking for, before all of the store is.

    What is common has a page's worth among the newest mentions (of the one ``organization``, if there is one): to
    collect all that match, only to show the newest fifty, took SQLite most of a second at a million. Where a
    stretch holds a whole page, it is the page, for rows are sorted by time, and an organization's days follow one
    another as time does. ``by_words`` asks for the ids in a stretch. Nothing is yielded for other sorts, long
    pages, or a stretch without an end.
    """
    if sort.removeprefix("-") != mentions.c.published_at.name or limit is None or limit > _MOST_OF_A_PAGE:
        return
    downward = sort.startswith("-")
    column: Column[Any] = mentions.c.published_at
    start = place and place.value
    inside: list[ColumnElement[bool]] = []
    if organization is not None and not by_words:
        column = mention_organizations.c.day
        start = start and local_day(start, _zone_of(connection, organization))
        inside.append(mention_organizations.c.organization_id == organization)
    order = column.desc() if downward else column.asc()
    ahead = inside if start is None else [*inside, column <= start if downward else column >= start]
    for times in _REACHES[by_words:]:
        last = connection.execute(
            select(column).where(*ahead).order_by(order).offset(times * limit).limit(1)
        ).scalar_one_or_none()
        if last is None:
            return
        stretch = and_(*ahead, column >= last if downward else column <= last)
        by_time = column is mentions.c.published_at
        is_parted = by_time and is_partitioned(connection)
        ids = _ids_in(connection, stretch) if by_words or is_parted else None
        # The ids of a partitioned store say in which months that is.
        months = [mentions.c.id.between(*ids)] if is_parted and ids else []
        yield Reach(and_(stretch, *months), BY_TIME if by_time else BY_DAY, ids if by_words else None)


def _ids_in(connection: Connection, stretch: ColumnElement[bool]) -> tuple[int, int]:
    low, high = connection.execute(select(func.min(mentions.c.id), func.max(mentions.c.id)).where(stretch)).one()
    return low, high


def _zone_of(connection: Connection, organization: int) -> ZoneInfo:
    query = select(organizations.c.timezone).where(organizations.c.id == organization)
    return ZoneInfo(connection.execute(query).scalar_one())
