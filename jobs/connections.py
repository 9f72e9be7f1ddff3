"""The platforms as a job meets them: one connector a channel, and a meter that knows what the day has cost."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from connectors.base import Meter
from jobs.budget import SharedLedger

if TYPE_CHECKING:
    from connectors.base import Connector, ConnectorSettings, StreamSpec
    from jobs.budget import Job
    from jobs.leases import Lease
    from listener.clock import Clock
    from listener.settings import Settings, StreamSettings
    from listener.usage import Usage
    from storage.records import StreamState
    from storage.store import MentionStore


class Platforms(Protocol):
    """What a job asks of the platforms; the package :mod:`connectors` is one."""

    def streams(self, settings: Settings) -> list[tuple[StreamSpec, StreamSettings]]:
        """Return every configured stream with its schedule; raises ``ConfigError``."""
        ...

    def connect(self, settings: Settings, channel: str, *, clock: Clock) -> Connector:
        """Return a ready connector; raises ``ConfigError``, or ``AuthError`` for a missing secret."""
        ...

    def connector_class(self, channel: str) -> type[Connector]:
        """Return the connector's class; raises ``ConfigError``."""
        ...

    def connector_settings(self, settings: Settings, channel: str) -> ConnectorSettings:
        """Return ``[connectors.<channel>]``, validated; raises ``ConfigError``."""
        ...


def stream_state(store: MentionStore, stream: StreamSpec) -> StreamState:
    """Return where ``stream`` stands in the store, which makes a row for it at first sight."""
    return store.stream(
        organization=stream.organization,
        channel=stream.channel,
        kind=stream.kind,
        query=stream.query,
        options=stream.options,
        key=stream.key,
    )


class Connections:
    """The connectors of one job, each made when it is first needed and closed with the job.

    Used by one thread: no platform's SDK is safe to share between threads.
    """

    def __init__(self, settings: Settings, store: MentionStore, clock: Clock, platforms: Platforms) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._platforms = platforms
        self._open: dict[str, Connector] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connector in self._open.values():
            connector.close()

    def connector(self, channel: str) -> Connector:
        """Return the connector of ``channel``; raises ``ConfigError``, or ``AuthError`` for a missing secret."""
        if channel not in self._open:
            self._open[channel] = self._platforms.connect(self._settings, channel, clock=self._clock)
        return self._open[channel]

    def settings(self, channel: str) -> ConnectorSettings:
        """Return ``[connectors.<channel>]``; raises ``ConfigError``."""
        return self._platforms.connector_settings(self._settings, channel)

    def derived_metrics(self, channel: str) -> bool:
        """Tell whether the platform's terms, as the operator accepted them, allow topics and sentiment."""
        return bool(getattr(self.settings(channel), "derived_metrics", True))

    def meter(self, channel: str, job: Job, lease: Lease) -> Meter:
        """Return a meter for one run of ``job`` under ``lease``; all runs share the platform's day."""
        ledger = SharedLedger(
            self._store,
            self._platforms.connector_class(channel),
            self.settings(channel),
            clock=self._clock,
            job=job,
            lease=lease,
        )
        self._store.give_up_held(channel, lease.fence.name)
        return Meter(ledger=ledger)

    def rehearsal_meter(self, channel: str, besides: Usage) -> Meter:
        """Return a meter for a pull that leaves no trace in the store; ``besides`` was taken in the same way."""
        kind = self._platforms.connector_class(channel)
        limits, began, ends = kind.budget(self.settings(channel), self._clock.now())
        spent = sum(self._store.spent(channel, began).values(), besides)
        return Meter(limits, spent=spent, resets_at=ends)
