"""When each job's next turn is due, and that it is written down: what the one process does that leads.

The clock that tells when it is time is in ``jobs/schedule.py``.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
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
    channel: str | None = None
    """The platform that it asks."""


def interval(job: Job) -> timedelta:
    """Return how long it is from one turn of the job to the next.

    Up to a tenth longer or shorter than configured, a minute at the most: streams that began together do not ask
    their platform together for ever. It follows from the job's name, so that it is the same whoever leads.
    """
    digest = hashlib.blake2b(job.name.encode(), digest_size=4).digest()
    lot = int.from_bytes(digest) / 2**31 - 1
    return job.every + lot * min(_MOST_JITTER, job.every / 10)


def next_turn(job: Job, planned_at: datetime | None, now: datetime) -> datetime:
    """Return when the job's next turn is due, where its last one was planned at ``planned_at`` (None: never)."""
    if planned_at is None:
        return now
    # The clock of who led before may have been ahead of this one.
    return min(planned_at, now) + interval(job)


class Planner:
    """Plans the turns of ``jobs``; one that waited longer than ``late`` when the next came has missed that one."""

    def __init__(self, store: MentionStore, clock: Clock, jobs: Sequence[Job], *, late: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._jobs = jobs
        self._late = late

    def begin(self, fence: Fence) -> list[tuple[Job, datetime]]:
        """Return every job with when its next turn is due, and forget the jobs that are no longer configured.

        Raises ``LeaseHeld`` where ``fence``, that of who leads, no longer holds, ``StoreError`` where the database
        refuses.
        """
        self._store.plan_only([job.name for job in self._jobs], fence=fence)
        planned = self._store.planned()
        now = self._clock.now()
        return [(job, next_turn(job, planned.get(job.name), now)) for job in self._jobs]

    def plan(self, job: Job, fence: Fence) -> None:
        """Write down that a turn of the job is due now; raises as ``begin`` does."""
        waiting = self._store.plan_turn(job.name, fence=fence)
        if waiting is not None and self._clock.now() - waiting.due_at > self._late:
            self._record_missed(job)
        # Of a configured stream whoever takes its next turn does so; one that is configured no more has none.
        self._store.give_up_lapsed()

    def _record_missed(self, job: Job) -> None:
        """Leave a run in the store for a turn that fell to one still waiting; the stream's rest stays as it is."""
        logger.warning("%s: missed a turn, for what ran before it took too long", job.title or job.name)
        if job.stream_id is not None:
            run_id = self._store.begin_run(job.stream_id, since=None, until=None)
            self._store.finish_run(run_id, outcome="missed", usage=Usage())
