"""A platform's budget of the day, shared by all workers: what is taken is booked in the store beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from connectors.ledger import Standing
from jobs.ration import rationed
from listener.usage import Usage
from storage.spending import TAKEN, holder_of

if TYPE_CHECKING:
    from connectors.base import Connector, ConnectorSettings, Limits
    from jobs.leases import Lease
    from listener.clock import Clock
    from storage.spending import Part
    from storage.store import MentionStore

Job = Literal["ingest", "refresh"]

ASK_AGAIN = timedelta(seconds=15)
"""Most answers have come by then, and with them what was held for them and not used."""


class SharedLedger:
    """What one run takes of a platform's day, and of the next where the day ends meanwhile.

    ``job`` tells pulls from look-ups, which have a ration. ``lease`` is the run's: it is renewed before anything
    is taken, and where it is lost ``LeaseHeld`` is raised, so that nobody pays for what cannot be kept.
    """

    def __init__(
        self,
        store: MentionStore,
        kind: type[Connector],
        settings: ConnectorSettings,
        *,
        clock: Clock,
        job: Job,
        lease: Lease,
    ) -> None:
        self._store = store
        self._kind = kind
        self._settings = settings
        self._clock = clock
        self._job = job
        self._lease = lease
        self._holder = holder_of(lease.fence)
        self._reserved_on: datetime | None = None
        self.reserved = Usage()

    def take(self, choose: Callable[[Standing], Usage]) -> None:
        """Book what ``choose`` decides to take of the present day."""
        self._lease.renew()
        self._book(lambda standing: {(self._job, TAKEN): choose(standing)})

    def reserve(self, choose: Callable[[Standing], Usage]) -> None:
        """Hold what ``choose`` decides of the present day."""
        self._lease.renew()
        if self.reserved != Usage():
            self.settle(Usage())
        chosen = Usage()

        def hold(standing: Standing) -> Mapping[Part, Usage]:
            nonlocal chosen
            chosen = choose(standing)
            return {(self._job, self._holder): chosen}

        self._reserved_on = self._book(hold)
        self.reserved = chosen

    def settle(self, amounts: Usage) -> None:
        """Book what an answer cost, on the day that it was asked for."""
        held = self.reserved

        def change(taken: Mapping[Part, Usage]) -> Mapping[Part, Usage]:
            if (self._job, self._holder) in taken:
                return {(self._job, TAKEN): amounts, (self._job, self._holder): Usage() - held}
            # Another has the lease by now, and counted as taken all that was held.
            return {(self._job, TAKEN): amounts - held}

        self._store.book(self._kind.channel, self._reserved_on or self._today()[1], change)
        self.reserved, self._reserved_on = Usage(), None

    def _book(self, change: Callable[[Standing], Mapping[Part, Usage]]) -> datetime:
        limits, day_began, ends = self._today()
        again_at = min(ends, self._clock.now() + ASK_AGAIN)
        own = self.reserved if self._reserved_on == day_began else Usage()

        def decide(taken: Mapping[Part, Usage]) -> Mapping[Part, Usage]:
            pulled, pulling = taken["ingest", TAKEN], _held(taken, "ingest")
            looked_up, looking_up = taken["refresh", TAKEN], _held(taken, "refresh")
            if self._job == "refresh":
                # What pulls merely hold may come back: it is held from the ration, not taken.
                allowed, tied = rationed(limits, pulled), rationed(limits, pulled + pulling)
                spent, held = looked_up, looking_up + _between(allowed, tied)
            else:
                allowed, spent, held = limits, pulled + looked_up, pulling + looking_up
            return change(
                Standing(limits=allowed, spent=spent, held=held - own, resets_at=ends, again_at=again_at)
            )

        self._store.book(self._kind.channel, day_began, decide)
        return day_began

    def _today(self) -> tuple[Limits, datetime, datetime]:
        return self._kind.budget(self._settings, self._clock.now())


def _between(more: Limits, less: Limits) -> Usage:
    """Return what the one allows beyond the other; 0 where there is no limit."""
    names = [amount.name for amount in fields(Usage)]
    return Usage(**{name: (getattr(more, name) or 0) - (getattr(less, name) or 0) for name in names})


def _held(taken: Mapping[Part, Usage], job: Job) -> Usage:
    return sum((amounts for (one, holder), amounts in taken.items() if one == job and holder != TAKEN), Usage())
