"""Counts what changed: the daily and weekly volumes that every report reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

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
