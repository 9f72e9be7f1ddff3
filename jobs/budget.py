"""A platform's budget of the day, shared by all workers: what is taken is booked in the store beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from connectors.ledger import Standing
from jobs.ration import rationed
from listener.usage import Usage

if TYPE_CHECKING:
    from connectors.base import Connector, ConnectorSettings, Limits
    from listener.clock import Clock
    from storage.spending import Part
    from storage.store import MentionStore

Job = Literal["ingest", "refresh"]

ASK_AGAIN = timedelta(minutes=1)
"""An answer under way has come by then, and with it what was held for it and not used."""


class SharedLedger:
    """What one run takes of a platform's day, and of the next where the day ends meanwhile.

    ``job`` tells pulls from look-ups, which have a ration. ``before`` is called before anything is taken: it
    renews the run's lease, and raises ``LeaseHeld`` where that is lost, so that nobody pays for what cannot be
    kept.
    """

    def __init__(
        self,
        store: MentionStore,
        kind: type[Connector],
        settings: ConnectorSettings,
        *,
        clock: Clock,
        job: Job,
        before: Callable[[], None],
    ) -> None:
        self._store = store
        self._kind = kind
        self._settings = settings
        self._clock = clock
        self._job = job
        self._before = before
        self._reserved_on: datetime | None = None
        self.reserved = Usage()

    def take(self, choose: Callable[[Standing], Usage]) -> None:
        """Book what ``choose`` decides to take of the present day."""
        self._before()
        self._book(lambda standing: {(self._job, False): choose(standing)})

    def reserve(self, choose: Callable[[Standing], Usage]) -> None:
        """Hold what ``choose`` decides of the present day."""
        self._before()
        if self.reserved != Usage():
            self.settle(Usage())
        chosen = Usage()

        def hold(standing: Standing) -> Mapping[Part, Usage]:
            nonlocal chosen
            chosen = choose(standing)
            return {(self._job, True): chosen}

        self._reserved_on = self._book(hold)
        self.reserved = chosen

    def settle(self, amounts: Usage) -> None:
        """Book what an answer cost, on the day that it was asked for."""
        back = Usage() - self.reserved
        changes: Mapping[Part, Usage] = {(self._job, False): amounts, (self._job, True): back}
        day_began = self._reserved_on or self._today()[1]
        self._store.book(self._kind.channel, day_began, lambda _: changes)
        self.reserved, self._reserved_on = Usage(), None

    def _book(self, change: Callable[[Standing], Mapping[Part, Usage]]) -> datetime:
        limits, day_began, ends = self._today()
        again_at = min(ends, self._clock.now() + ASK_AGAIN)
        own = self.reserved if self._reserved_on == day_began else Usage()

        def decide(taken: Mapping[Part, Usage]) -> Mapping[Part, Usage]:
            pulled, pulling = taken["ingest", False], taken["ingest", True]
            looked_up, looking_up = taken["refresh", False], taken["refresh", True]
            if self._job == "refresh":
                allowed, spent, held = rationed(limits, pulled + pulling), looked_up, looking_up
            else:
                allowed, spent, held = limits, pulled + looked_up, pulling + looking_up
            return change(
                Standing(limits=allowed, spent=spent, held=held - own, resets_at=ends, again_at=again_at)
            )

        self._store.book(self._kind.channel, day_began, decide)
        return day_began

    def _today(self) -> tuple[Limits, datetime, datetime]:
        return self._kind.budget(self._settings, self._clock.now())
