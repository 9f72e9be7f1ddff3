"""What a query asks for, checked before it reaches the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from listener.calendar import day_number, parse_iso_week
from listener.errors import ConfigError
from listener.mention import Kind, Purpose, Sentiment
from listener.settings import nearest
from storage.expression import parse

UNSCORED = "unscored"
"""How filters and counts name mentions without a sentiment."""

_WORDS = ("organizations", "channels", "topics", "purposes", "sentiments", "kinds", "languages")
_CHOICES: dict[str, tuple[str, ...]] = {
    "purposes": tuple(map(str, Purpose)),
    "sentiments": (*map(str, Sentiment), UNSCORED),
    "kinds": tuple(map(str, Kind)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which mentions: a mention matches when it matches every field that is given, by any of its values.

    ``organizations`` are slugs, ``topics`` slugs or ``"(untagged)"``, ``sentiments`` may hold
    ``"unscored"``, ``weeks`` are week numbers (see :mod:`listener.calendar`). ``since`` and ``until`` are
    days of the organization's own calendar, both included. ``contains`` is a search of the words, in the
    language of :mod:`storage.expression`; ``own`` tells what the organization wrote itself (True) from what others
    did (False), ``needs_review`` what waits until a person has looked at its purpose from what does not,
    ``corrected`` what a person has set anything of from what is as it was heard. ``topics`` may hold what counts
    beside topics, too: ``"(care)"``, ``"(other purposes)"``, ``"(to review)"`` (see :mod:`storage.counting`).

    Raises ``ConfigError`` for a value that does not exist, for reversed dates and for a search that cannot be
    read.
    """

    organizations: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    sentiments: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    weeks: tuple[int, ...] = ()
    contains: str | None = None
    own: bool | None = None
    needs_review: bool | None = None
    corrected: bool | None = None

    def __post_init__(self) -> None:
        for field in _WORDS:
            # A database driver may write an enum's member by its name.
            object.__setattr__(self, field, tuple(map(str, getattr(self, field))))
        for field, known in _CHOICES.items():
            for word in getattr(self, field):
                if word not in known:
                    noun, there = field.removesuffix("s"), ", ".join(known)
                    raise ConfigError(f"no {noun} {word!r}{nearest(word, known)} (there are: {there})")
        if self.since and self.until and self.since > self.until:
            raise ConfigError(f"since {self.since} is later than until {self.until}: swap the two")
        if self.contains is not None:
            parse(self.contains)

    @classmethod
    def of(cls, **asked: Any) -> Filters:
        """Return filters from what a person writes: one value or several, dates and ISO weeks as text too.

        Raises ``ConfigError`` for a filter that does not exist, or a value that is none.
        """
        known = [field.name for field in fields(cls)]
        for name in asked:
            if name not in known:
                raise ConfigError(f"no filter {name!r}{nearest(name, known)} (there are: {', '.join(known)})")
        values = dict(asked)
        for name in _WORDS:
            if name in asked:
                values[name] = tuple(_several(asked[name]))
        for name in ("since", "until"):
            if isinstance(asked.get(name), str):
                values[name] = _day(name, asked[name])
        if "weeks" in asked:
            values["weeks"] = tuple(
                parse_iso_week(week) if isinstance(week, str) else int(week) for week in _several(asked["weeks"])
            )
        return cls(**values)

    @property
    def days(self) -> tuple[tuple[int | None, int | None], ...]:
        """The ranges of days that may match, both ends included: one for each week, or one for the dates."""
        first = day_number(self.since) if self.since else None
        last = day_number(self.until) if self.until else None
        if not self.weeks:
            return ((first, last),) if first is not None or last is not None else ()
        return tuple(
            (
                max(week * 7 - 3, week * 7 - 3 if first is None else first),
                min(week * 7 + 3, week * 7 + 3 if last is None else last),
            )
            for week in self.weeks
        )


def _several(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int) else value


def _day(name: str, words: str) -> date:
    try:
        return date.fromisoformat(words)
    except ValueError as error:
        raise ConfigError(f"{name} = {words!r} is no date: write it as 2026-11-09") from error
