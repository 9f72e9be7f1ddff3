"""Counts what changed: the daily and weekly volumes that every report reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jobs.crew import both_asked, place_of
from listener.errors import ConfigError

if TYPE_CHECKING:
    from storage.store import MentionStore


def roll_up(
    store: MentionStore,
    *,
    rebuild: bool = False,
    progress: Callable[[int], None] | None = None,
    connections: int = 1,
) -> int:
    """Recount the days that changed since the last time, or with ``rebuild`` every day there is.

    Both give the same numbers. ``progress`` is told the days counted so far; a rebuild on PostgreSQL has so many
    ``connections`` count at once. Returns how many days were counted; raises ``StoreError``. Killed half-way it
    loses nothing: what was not counted is still marked.
    """
    if rebuild:
        return store.rebuild_rollups(progress=progress, connections=connections)
    return store.roll_up(progress=progress)


def connections_of(*, cluster: str | None, processes: int) -> int:
    """Return over how many connections a rebuild counts at once, by ``--cluster`` or ``--processes``.

    It is the database that counts: what it needs of others are connections. Raises ``ConfigError`` for a
    scheduler, whose workers would have to be given the database's address to do no more than that.
    """
    if cluster is None:
        return processes
    if processes > 1:
        raise both_asked()
    place = place_of(cluster)
    if place.address is not None:
        raise ConfigError(
            f"the database counts by itself, and workers at {place.address} could not help it: write "
            "--cluster local:N for N connections at once"
        )
    return place.size
