"""Decides which job is due when, and has it written down: what the one process does that leads."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from listener.usage import Usage

if TYPE_CHECKING:
    from listener.clock import Clock
    from storage.records import Fence
    from storage.store import MentionStore

logger = logging.getLogger(__name__)

_MOST_JITTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Job:
    """What is done ``every`` so often under the lease ``name``; ``stream_id`` where it is the pull of a stream."""

    name: str
    every: timedelta
    stream_id: int | None = None
    title: str = ""
    """What people call it."""


def next_turn(job: Job, planned_at: datetime | None, now: datetime) -> datetime:
    """Return when the job's next turn is due, where its last one was planned at ``planned_at`` (None: never).

    Up to a tenth of the interval earlier or later, a minute at the most: streams that began together do not ask
    their platform together for ever. Whoever leads comes to the same moment.
    """
    if planned_at is None:
        return now
    # The clock of who led before may have been ahead of this one.
    last = min(planned_at, now)
    digest = hashlib.blake2b(f"{job.name} {planned_at.isoformat()}".encode(), digest_size=4).digest()
    lot = int.from_bytes(digest) / 2**31 - 1
    return last + job.every + lot * min(_MOST_JITTER, job.every / 10)


class Planner:
    """Plans the turns of ``jobs``; one that waited longer than ``late`` when the next came has missed that one."""

    def __init__(self, store: MentionStore, clock: Clock, jobs: Mapping[str, Job], *, late: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._jobs = jobs
        self._late = late
        self._swept = False

    def plan(self, fence: Fence) -> None:
        """Write down what is due by now, under the leader's ``fence``.

        Raises ``LeaseHeld`` where another leads by now, ``StoreError`` where the database refuses: what was
        not written down is due still.
        """
        if not self._swept:
            self._store.plan_only(list(self._jobs), fence=fence)
            self._swept = True
        planned = self._store.planned()
        now = self._clock.now()
        for job in self._jobs.values():
            if next_turn(job, planned.get(job.name), now) <= now:
                waiting = self._store.plan_turn(job.name, fence=fence)
                if waiting is not None and now - waiting.due_at > self._late:
                    self._record_missed(job)

    def _record_missed(self, job: Job) -> None:
        """Leave a run in the store for a turn that fell to one still waiting; the stream's rest stays as it is."""
        logger.warning("%s: missed a turn, for what ran before it took too long", job.title or job.name)
        if job.stream_id is not None:
            run_id = self._store.begin_run(job.stream_id, since=None, until=None)
            self._store.finish_run(run_id, outcome="missed", usage=Usage())
