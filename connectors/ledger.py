"""Where it is written what a platform's day has cost: by one run for itself, or for all workers in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from listener.usage import Usage

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.base import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a platform's day stands at the moment in which something is taken from it.

    ``spent`` was taken. ``held`` is reserved by others, whose answers are under way: some of it may come back,
    and ``again_at`` is when to ask for it. ``resets_at`` is when the day ends. Both moments are UTC.
    """

    limits: Limits
    spent: Usage
    held: Usage
    resets_at: datetime | None
    again_at: datetime | None


class Ledger(Protocol):
    """What one run takes of a platform's day; where workers share it, each call is one step that none halves."""

    @property
    def reserved(self) -> Usage:
        """What this run holds for an answer that has not come yet."""
        ...

    def take(self, choose: Callable[[Standing], Usage]) -> None:
        """Book what ``choose`` decides to take; what it raises leaves nothing booked."""
        ...

    def reserve(self, choose: Callable[[Standing], Usage]) -> None:
        """Hold what ``choose`` decides, in place of what was held before; what it raises leaves nothing held."""
        ...

    def settle(self, amounts: Usage) -> None:
        """Book what an answer turned out to cost, and let go of what was held for it."""
        ...


class OwnLedger:
    """One run's own book: nobody else takes from its day. ``spent`` is what others took before."""

    def __init__(self, limits: Limits, *, spent: Usage, resets_at: datetime | None) -> None:
        self._limits = limits
        self._spent = spent
        self._resets_at = resets_at
        self.reserved = Usage()

    def take(self, choose: Callable[[Standing], Usage]) -> None:
        """Book what ``choose`` decides to take."""
        self._spent += choose(self._standing())

    def reserve(self, choose: Callable[[Standing], Usage]) -> None:
        """Hold what ``choose`` decides."""
        self.reserved = Usage()
        self.reserved = choose(self._standing())

    def settle(self, amounts: Usage) -> None:
        """Book what an answer cost."""
        self._spent += amounts
        self.reserved = Usage()

    def _standing(self) -> Standing:
        return Standing(
            limits=self._limits, spent=self._spent, held=Usage(), resets_at=self._resets_at, again_at=None
        )
