"""What a person has said of a mention: which parts of what is heard are theirs, and are not heard over any more.

A part is a person's where its mark holds a moment: when it was said, never by whom. What they said stands where
what is heard would stand, so that every count and question finds it there; a topic that they gave has the source
``human``. Whatever hears a mention writes what is left (:func:`unguarded`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, literal_column, or_

from storage.schema import mentions

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement


class Part(StrEnum):
    """What can be corrected by itself."""

    PURPOSE = "purpose"
    SENTIMENT = "sentiment"
    TOPICS = "topics"


MARKS: Mapping[Part, Column[Any]] = {part: mentions.c[f"{part.value}_corrected_at"] for part in Part}
"""The columns that hold when a person set a part; NULL where nobody did."""

GUARDED: Mapping[Part, tuple[str, ...]] = {
    Part.PURPOSE: ("purpose", "purpose_score", "needs_review"),
    Part.SENTIMENT: ("sentiment", "sentiment_score"),
    Part.TOPICS: (),
}
"""The columns that are a person's with a part. Topics are rows; both sides of a sentiment stay as heard."""


def is_corrected() -> ColumnElement[bool]:
    """Whether a person has set any part of the mention."""
    return or_(*(mark.is_not(None) for mark in MARKS.values()))


def corrected_parts() -> ColumnElement[str | None]:
    """Return the parts that a person has set, with commas; NULL where there is none."""
    return _CORRECTED_PARTS


# As text: built of expressions, whose cache key SQLAlchemy works out for each page, it made a page that brings
# nothing new take an eighth longer.
_NOTHING = " AND ".join(f"{mark} IS NULL" for mark in MARKS.values())
_TOLD = " || ".join(f"CASE WHEN {mark} IS NULL THEN '' ELSE ',{part}' END" for part, mark in MARKS.items())
_CORRECTED_PARTS: ColumnElement[str | None] = literal_column(
    f"CASE WHEN {_NOTHING} THEN NULL ELSE substr({_TOLD}, 2) END", Text
)


@cache
def parts(told: str | None) -> frozenset[Part]:
    """Return what :func:`corrected_parts` told."""
    return frozenset(map(Part, told.split(","))) if told else frozenset()


def unguarded(columns: Mapping[str, Any], corrected: Iterable[Part]) -> dict[str, Any]:
    """Return what may be written of ``columns`` where these parts are a person's."""
    theirs = {name for part in corrected for name in GUARDED[part]}
    return {name: value for name, value in columns.items() if name not in theirs}
