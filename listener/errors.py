"""What can go wrong, grouped by what the caller should do about it (never by what broke)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datetime import datetime


class ListenerError(Exception):
    """Anything foreseen that stops a piece of work; its message names the thing and the fix.

    ``exit_code`` is what a command that stops with this error returns to the shell.
    """

    exit_code: ClassVar[int] = 1


class ConfigError(ListenerError):
    """The configuration or the command line is wrong: the message names the key, its origin and the fix."""

    exit_code = 2


class AuthError(ListenerError):
    """The platform refused the credential: the stream is paused until somebody mends it, others go on."""

    exit_code = 3


class RetryLater(ListenerError):  # noqa: N818 - named for what the caller does, as the house's words have it
    """A rate limit or an outage: the cursor stays where it is and the scheduler comes back.

    ``at`` is the earliest moment (UTC) worth trying again, or None where the platform does not say.
    """

    exit_code = 1

    def __init__(self, message: str, *, at: datetime | None = None) -> None:
        super().__init__(message)
        self.at = at


class QuotaExhausted(RetryLater):
    """A quota or budget is used up until ``at``; what was read is kept, the rest is resumable."""

    exit_code = 4


class BudgetHeld(RetryLater):
    """What is left of a budget is held by others for answers under way: some of it may come back until ``at``."""


class SkipItem(ListenerError):  # noqa: N818 - see RetryLater
    """One item cannot be read: it is logged and counted, and the page goes on without it.

    ``external_id`` is the platform's id where the item still shows one.
    """

    def __init__(self, message: str, *, external_id: str | None = None) -> None:
        super().__init__(message)
        self.external_id = external_id


class StoreError(ListenerError):
    """The database refused: the message says what to do."""

    exit_code = 5


class LeaseHeld(ListenerError):  # noqa: N818 - see RetryLater
    """Another process holds the lease on this work."""

    exit_code = 6
