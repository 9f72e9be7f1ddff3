"""When a stream is pulled again, and what its run came to: decisions without a clock or a database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from listener.errors import AuthError, QuotaExhausted, RetryLater

Outcome = Literal["done", "partial", "interrupted", "rate_limited", "quota", "auth", "failed", "paused", "held"]
"""What became of a run; the words are those of the ``runs`` table.

``done``: read to the end · ``partial``: stopped at the limit asked for · ``interrupted``: asked to stop ·
``rate_limited``, ``quota``: the platform or the budget says when to come back · ``auth``: the credential was
refused · ``failed``: anything else went wrong · ``paused``: not tried, its time has not come · ``held``: not
tried, another process pulls this stream.
"""

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
AUTH_PAUSE = timedelta(hours=1)
_DOUBLINGS = 10

RECHECK_AGES = tuple(timedelta(days=days) for days in (1, 2, 4, 8, 16, 30))
"""How old a mention is when it is looked up again: what is edited or deleted mostly is so soon."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the stream keeps of a run that ended: failures in a row, and until when it rests (UTC)."""

    outcome: Outcome
    failures: int = 0
    paused_until: datetime | None = None


def backoff(failures: int) -> timedelta:
    """Return the rest after so many failures in a row: 1, 2, 4, … minutes, 6 hours at the most."""
    if failures < 1:
        return timedelta()
    return min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(failures - 1, _DOUBLINGS)))


def verdict_on(error: Exception, *, failures: int, now: datetime) -> Verdict:
    """Decide what ``error`` means for a stream that had failed ``failures`` times in a row before.

    A moment that the platform names is kept to and is no failure. Everything else counts as one and rests
    ever longer; a refused credential rests an hour at least, for somebody has to mend it.
    """
    if isinstance(error, RetryLater) and error.at is not None:
        return Verdict("quota" if isinstance(error, QuotaExhausted) else "rate_limited", failures, error.at)
    rest = backoff(failures + 1)
    if isinstance(error, AuthError):
        return Verdict("auth", failures + 1, now + max(rest, AUTH_PAUSE))
    return Verdict("quota" if isinstance(error, QuotaExhausted) else "failed", failures + 1, now + rest)


def is_resting(paused_until: datetime | None, now: datetime) -> bool:
    """Tell whether a stream's time to be pulled again has not come yet."""
    return paused_until is not None and now < paused_until


def is_due_again(
    published_at: datetime, checked_at: datetime, now: datetime, *, every: timedelta | None = None
) -> bool:
    """Tell whether a mention is to be looked up again.

    That is, where the platform wants it ``every`` so often, so long after it was last read or looked up, else
    once it has reached one of :data:`RECHECK_AGES` since then.
    """
    if every is not None:
        return checked_at + every <= now
    return any(checked_at < published_at + age <= now for age in RECHECK_AGES)
