"""What time it is, as a value that can be handed in: jobs, connectors and stand-ins share one clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time. Every place that needs "now" takes one of these."""

    def now(self) -> datetime:
        """Return the current moment, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the current moment in UTC."""
        return datetime.now(UTC)


class SteppedClock:
    """A clock that stands still until it is told otherwise, for the demo, tests and benchmarks."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the moment the clock stands at, in UTC."""
        return self._now

    def step_to(self, moment: datetime) -> None:
        """Move forward to ``moment``; raises ``ValueError`` on a step back."""
        moment = moment.astimezone(UTC)
        if moment < self._now:
            raise ValueError(f"the clock stands at {self._now.isoformat()} and does not run backwards")
        self._now = moment
