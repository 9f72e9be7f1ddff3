"""Which part of each day a stream has really read: the rows of ``coverage_days``, from spans alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from listener.calendar import day_span, local_day
from listener.coverage import Span, Spans
from storage.records import CoverageDay

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_INSTANT = timedelta(microseconds=1)


def lost(coverage: Spans) -> tuple[Span, ...]:
    """Return the gaps between the first and the last moment read.

    A stream's cursor only moves forward, so what lies behind its newest moment and was not read will not be
    read by any later run on the schedule: the platform no longer gave it (X beyond seven days, Reddit beyond a
    thousand items). A backfill over the gap takes it back.
    """
    if not coverage.spans:
        return ()
    return coverage.gaps_within(coverage.spans[0][0], coverage.spans[-1][1])


def changed_days(before: Spans, after: Spans, zone: ZoneInfo) -> tuple[CoverageDay, ...]:
    """Return the local days whose seconds read or lost differ once ``before`` has grown to ``after``."""
    grown = [gap for start, end in after.spans for gap in before.gaps_within(start, end)]
    lost_now = lost(after)
    known_lost = set(lost(before))
    days = _days_of([*grown, *(gap for gap in lost_now if gap not in known_lost)], zone)
    gaps = Spans(lost_now)
    return tuple(
        CoverageDay(
            day=day,
            covered_seconds=round(after.seconds_within(*day_span(day, zone))),
            lost_seconds=round(gaps.seconds_within(*day_span(day, zone))),
        )
        for day in days
    )


def _days_of(spans: Iterable[Span], zone: ZoneInfo) -> list[int]:
    days: set[int] = set()
    for start, end in spans:
        days.update(range(local_day(start, zone), local_day(end - _INSTANT, zone) + 1))
    return sorted(days)
