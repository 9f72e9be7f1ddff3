"""Days and weeks as whole numbers: an organization's own days, and ISO 8601 weeks that begin on Monday.

A day is the number of days since 1970-01-01, a week the number of Mondays since 1969-12-29 (the Monday of
the week that holds 1970-01-01). Both are small integers, so every database counts, compares and groups them
alike, and ``week = (day + 3) // 7`` is the same arithmetic in Python and in SQL.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from listener.errors import ConfigError

_EPOCH = date(1970, 1, 1).toordinal()
YEARS = range(1970, 9999)
"""Years whose weeks have neighbours and moments in every time zone; before them nothing was on the web."""
_ISO_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})")


def day_number(day: date) -> int:
    """Return how many days after 1970-01-01 ``day`` is (negative before it)."""
    return day.toordinal() - _EPOCH


def day_date(day: int) -> date:
    """Return the date of the day number ``day``, as :func:`day_number` counts."""
    return date.fromordinal(day + _EPOCH)


def local_day(moment: datetime, zone: ZoneInfo) -> int:
    """Return the day number that ``moment`` (timezone-aware) falls on where the clocks show ``zone``."""
    return day_number(moment.astimezone(zone).date())


def week_of_day(day: int) -> int:
    """Return the week number of a day number; weeks begin on Monday, as ISO 8601 has it."""
    return (day + 3) // 7


@lru_cache(maxsize=1024)
def iso_week(week: int) -> str:
    """Return the ISO 8601 name of a week number: ``"2026-W46"``. Its year is that of its Thursday."""
    year, number, _ = week_start(week).isocalendar()
    return f"{year:04d}-W{number:02d}"


def parse_iso_week(name: str) -> int:
    """Return the week number of an ISO 8601 week such as ``"2026-W46"``.

    Raises ``ConfigError`` where it is not written so, or where that year has no such week (2025 ends with
    W52; only years of 53 Thursdays have a W53).
    """
    match = _ISO_WEEK.fullmatch(name)
    if not match:
        raise ConfigError(
            f'no such week {name!r}: write an ISO week as year, -W and two digits, such as "2026-W46"'
        )
    year, number = int(match[1]), int(match[2])
    if year not in YEARS:
        raise ConfigError(f"no such week {name!r}: years go from {YEARS[0]} to {YEARS[-1]}")
    # 28 December always lies in the last ISO week of its year.
    last = date(year, 12, 28).isocalendar().week
    if not 1 <= number <= last:
        raise ConfigError(f"no such week {name!r}: {year} has the weeks {year}-W01 to {year}-W{last}")
    return week_of_day(day_number(date.fromisocalendar(year, number, 1)))


def week_start(week: int) -> date:
    """Return the Monday that a week number begins with."""
    return day_date(week * 7 - 3)


def week_end(week: int) -> date:
    """Return the Sunday that a week number ends with."""
    return day_date(week * 7 + 3)


def day_span(day: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the half-open span ``[from, to)`` in UTC of a local day.

    It is 23 or 25 hours long where the clocks change, and begins at the first moment of that date even where
    the change swallows midnight.
    """
    return _midnight(day_date(day), zone), _midnight(day_date(day + 1), zone)


def week_span(week: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the half-open span ``[from, to)`` in UTC of a local week, Monday to Monday."""
    monday = week_start(week)
    return _midnight(monday, zone), _midnight(monday + timedelta(days=7), zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # fold=0 takes the earlier of two midnights, and the moment of the change where there is none (PEP 495).
    return datetime.combine(day, time.min, zone).astimezone(UTC)
