"""What re-checks may take of a platform's day: a share of each limit, and nothing that pulls have taken.

What a pull cannot read for want of budget may be out of the platform's reach the next week, a re-check can
wait: so the budget is the pulls', and look-ups get a ration of it.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from connectors.base import Limits

if TYPE_CHECKING:
    from listener.usage import Usage

ONE_IN = 4
"""Re-checks take at most one in so many of what each limit allows in a day."""


def rationed(limits: Limits, pulled: Usage) -> Limits:
    """Return the day's limits for re-checks, where pulls took ``pulled`` of ``limits``; searches: none."""
    shares = {
        limit.name: None if allowed is None else max(0, min(allowed // ONE_IN, allowed - taken))
        for limit in fields(Limits)
        for allowed, taken in [(getattr(limits, limit.name), getattr(pulled, limit.name))]
    }
    return Limits(**shares | {"searches": 0})
