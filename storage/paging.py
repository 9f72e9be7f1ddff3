"""Pages of a long answer: where one ends, told in a cursor, and how far a page of the newest need look.

A cursor names the last mention of a page by what the rows are sorted by and by its natural key, and holds nothing
of its text. So the next page begins right behind it, whatever came or went meanwhile.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, tuple_

from listener.errors import ConfigError
from storage.partitions import is_partitioned
from storage.schema import Moment, mentions

if TYPE_CHECKING:
    from sqlalchemy import Connection

NAME = ("channel", "external_id", "organization")
"""What tells one row of an answer from every other."""
_UNFIT = ("topics", "text", "corrected")
"""Columns that no cursor holds: they are worked out for each row, or are what somebody wrote."""
_REACHES = (50, 1_000)
"""How many of the newest mentions are looked through first for each that is asked for."""
_MOST_OF_A_PAGE = 500


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
        told = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        made_for, value, *name = told
        channel, external_id, organization = map(str, name)
        if isinstance(column.type, Moment):
            value = datetime.fromisoformat(value) if value is not None else None
    except (binascii.Error, ValueError, TypeError) as error:
        raise ConfigError(
            "the cursor is not one that a query has printed: copy it whole, or begin anew"
        ) from error
    if made_for != sort:
        raise ConfigError(f"the cursor is of rows sorted by {made_for!r}, not {sort!r}: ask with the same sort")
    return Place(value, (channel, external_id, organization))


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
    """A stretch of time at the beginning of an answer: where it ends, and the lowest and highest id in it."""

    condition: ColumnElement[bool]
    ids: tuple[int, int]


def reaches(connection: Connection, *, sort: str, limit: int | None, place: Place | None) -> Iterator[Reach]:
    """Yield stretches of time in which a page of a search is worth looking for, before all of the store is.

    A common word has a page's worth among the newest mentions; to collect all that have it, only to show the
    newest fifty, took SQLite most of a second at a million. Where a stretch holds a whole page, it is the page,
    for rows are sorted by time. Nothing is yielded for other sorts, long pages, or a stretch without an end.
    """
    column = mentions.c.published_at
    if sort.removeprefix("-") != column.name or limit is None or limit > _MOST_OF_A_PAGE:
        return
    downward = sort.startswith("-")
    for times in _REACHES:
        order = column.desc() if downward else column.asc()
        ahead = [] if place is None else [column <= place.value if downward else column >= place.value]
        last = connection.execute(
            select(column).where(*ahead).order_by(order).offset(times * limit).limit(1)
        ).scalar_one_or_none()
        if last is None:
            return
        inside = and_(column >= last if downward else column <= last, *ahead)
        low, high = connection.execute(
            select(func.min(mentions.c.id), func.max(mentions.c.id)).where(inside)
        ).one()
        # The ids of a partitioned store say in which months that is.
        months = [mentions.c.id.between(low, high)] if is_partitioned(connection) else []
        yield Reach(and_(inside, *months), (low, high))
