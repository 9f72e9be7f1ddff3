"""When people post: days and nights, weekdays and weekends, as a rate that points in time are drawn from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random
    from zoneinfo import ZoneInfo

# Relative volume by local hour, midnight first: quiet nights, a rise at breakfast, a crest after supper.
_HOURS = (
    *(0.35, 0.2, 0.12, 0.1, 0.1, 0.2),
    *(0.5, 0.9, 1.2, 1.3, 1.35, 1.4),
    *(1.5, 1.4, 1.35, 1.35, 1.4, 1.5),
    *(1.6, 1.75, 1.8, 1.6, 1.2, 0.7),
)
# Monday first.
_WEEKDAYS = (1.08, 1.12, 1.1, 1.08, 1.02, 0.8, 0.8)
_MEAN = sum(_HOURS) * sum(_WEEKDAYS) / 168
_CREST = max(_HOURS) * max(_WEEKDAYS) / _MEAN
_HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)


class Rhythm:
    """The weekly pattern of one place, in its own time zone (so daylight saving time moves the nights)."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def weight(self, moment: datetime) -> float:
        """Return how busy ``moment`` is; the mean over a week is 1."""
        local = moment.astimezone(self._zone)
        return _HOURS[local.hour] * _WEEKDAYS[local.weekday()] / _MEAN

    def is_awake(self, moment: datetime, rng: Random) -> bool:
        """Say by chance whether somebody posts at ``moment``: always at the crest, seldom at night."""
        return rng.random() * _CREST < self.weight(moment)

    def arrivals(
        self,
        rng: Random,
        *,
        start: datetime,
        end: datetime,
        per_week: float,
        lift: Callable[[datetime], float],
    ) -> Iterator[datetime]:
        """Yield moments (UTC, whole seconds) from ``start`` to before ``end``, a mean of ``per_week`` a week.

        A Poisson process whose rate is constant within each hour; ``lift`` multiplies it. Nothing is kept of
        what was yielded.
        """
        at = start.astimezone(UTC)
        while at < end:
            hour_ends = min(at.replace(minute=0, second=0, microsecond=0) + _HOUR, end)
            rate = per_week * self.weight(at) * lift(at) / WEEK.total_seconds()
            # The process has no memory: where the next one falls beyond the hour, draw anew from there.
            while rate and (at := at + timedelta(seconds=rng.expovariate(rate))) < hour_ends:
                yield at.replace(microsecond=0)
            at = hour_ends
