"""How each stream stands: when it was read, how that went, what it brought and what the day has cost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import connectors as installed
from jobs.leases import holder_name

if TYPE_CHECKING:
    from jobs.connections import Platforms
    from listener.clock import Clock
    from listener.settings import Settings
    from listener.usage import Usage
    from storage.store import MentionStore

STATUS_COLUMNS = (
    *("organization", "channel", "kind", "query", "outcome", "last_run", "new", "mentions"),
    *("newest", "read_until", "failures", "paused_until", "requests_today", "usd_today", "error", "worker"),
)


def replica_line(replayed: datetime, now: datetime) -> str:
    """Say how old a replica may be that was read, whose last change is of ``replayed``.

    Where nothing is written to the primary it is as old, and yet not behind.
    """
    seconds = max(0, round((now - replayed).total_seconds()))
    return (
        f"Read from a replica: the last change that it has was made at {replayed:%Y-%m-%d %H:%M:%S} UTC, "
        f"{timedelta(seconds=seconds)} ago; what came since is missing here"
    )


def status_rows(
    settings: Settings, store: MentionStore, *, clock: Clock, platforms: Platforms = installed
) -> Iterator[dict[str, Any]]:
    """Yield a row of :data:`STATUS_COLUMNS` for every configured stream, in the configuration's order.

    ``outcome`` is ``never`` before the first run and ``running`` while there is no end of one (or it was
    killed). ``new`` is what the last pull brought, ``mentions`` what the rollup has counted of the channel for
    the organization, what it wrote itself left out. ``requests_today`` and ``usd_today`` are the channel's,
    re-checks included, since the platform's own day began. ``worker`` is the machine and process that pulls the
    stream now, since ``last_run``; None where none does. Moments are UTC. Raises ``ConfigError`` and
    ``StoreError``.
    """
    known = {(status.organization, status.channel, status.key): status for status in store.status()}
    used: dict[str, Usage] = {}
    for stream, _ in platforms.streams(settings):
        if stream.channel not in used:
            kind = platforms.connector_class(stream.channel)
            _, began, _ = kind.budget(platforms.connector_settings(settings, stream.channel), clock.now())
            used[stream.channel] = store.usage_since(stream.channel, began)
        usage = used[stream.channel]
        row: dict[str, Any] = dict.fromkeys(STATUS_COLUMNS)
        row |= {
            "organization": stream.organization,
            "channel": stream.channel,
            "kind": stream.kind,
            "query": stream.query,
            "outcome": "never",
            "mentions": 0,
            "failures": 0,
            "requests_today": usage.requests,
            "usd_today": usage.cost_microusd / 1_000_000,
        }
        status = known.get((stream.organization, stream.channel, stream.key))
        if status is not None:
            spans = status.coverage.spans
            row |= {
                "mentions": status.mentions,
                "newest": status.newest_published_at,
                "read_until": spans[-1][1] if spans else None,
                "failures": status.failures,
                "paused_until": status.paused_until,
                "worker": holder_name(status.holder) if status.holder else None,
            }
            if (run := status.last_run) is not None:
                row |= {
                    "outcome": run.outcome or "running",
                    "last_run": run.started_at,
                    "new": run.counts.inserted,
                    "error": run.error,
                }
        yield row
