"""Where ingest spends its time: a clock at the doors of the platforms and of the store, while the whole runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import connectors
from benchmarks.measure import cost
from jobs.ingest import ingest
from storage.store import MentionStore

if TYPE_CHECKING:
    from connectors.base import Connector, Page
    from jobs.ingest import RunReport
    from listener.clock import Clock
    from listener.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Stages:
    """CPU seconds within one ingest: at the platform, in the store by what was asked of it, and in all.

    ``wall`` is all of it in wall seconds; ``pages`` and ``mentions`` (each once) are what came.
    """

    pull: float = 0.0
    known: float = 0.0
    save: float = 0.0
    books: float = 0.0
    whole: float = 0.0
    wall: float = 0.0
    pages: float = 0
    mentions: float = 0

    @property
    def rest(self) -> float:
        """What is neither the platform's nor the store's: hearing, and the set-up."""
        return self.whole - self.pull - self.known - self.save - self.books


def middle(stages: Sequence[Stages]) -> Stages:
    """Return the median of each figure."""
    names = [field.name for field in fields(Stages)]
    return Stages(**{name: statistics.median(getattr(each, name) for each in stages) for name in names})


def ingest_in_stages(settings: Settings, url: str, channel: str, clock: Clock) -> Stages:
    """Pull a channel into the empty database at ``url``; return what each stage took."""
    stages = Stages()
    with cast("_TimedStore", _TimedStore.open(url, clock=clock)) as store:
        store.stages = stages
        reports: list[RunReport] = []
        platforms = _TimedPlatforms(stages)
        taken = cost(
            lambda: reports.extend(ingest(settings, store, clock=clock, channels=[channel], platforms=platforms))
        )
    (report,) = reports
    stages.whole, stages.wall = taken.cpu, taken.wall
    stages.pages, stages.mentions = report.pages, report.counts.inserted
    if report.outcome != "done" or not stages.mentions:
        raise RuntimeError(f"ingest did not do what is measured: {report}")
    return stages


class _TimedPlatforms:
    """The installed connectors, each with a clock at its door."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def __getattr__(self, name: str) -> Any:
        return getattr(connectors, name)

    def connect(self, settings: Settings, channel: str, *, clock: Clock) -> Any:
        return _TimedConnector(connectors.connect(settings, channel, clock=clock), self._stages)


class _TimedConnector:
    def __init__(self, inner: Connector, stages: Stages) -> None:
        self._inner = inner
        self._stages = stages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def pull(self, *arguments: Any) -> Iterator[Page]:
        pages = self._inner.pull(*arguments)
        while True:
            before = time.process_time()
            page = next(pages, None)
            self._stages.pull += time.process_time() - before
            if page is None:
                return
            yield page


def _timed(stage: str, method: Callable[P, T]) -> Callable[P, T]:
    def timed(*arguments: P.args, **options: P.kwargs) -> T:
        store: Any = arguments[0]
        before = time.process_time()
        try:
            return method(*arguments, **options)
        finally:
            if store.stages is not None:
                taken = time.process_time() - before
                setattr(store.stages, stage, getattr(store.stages, stage) + taken)

    return timed


class _TimedStore(MentionStore):
    stages: Stages | None = None

    known = _timed("known", MentionStore.known)
    save_page = _timed("save", MentionStore.save_page)
    declare = _timed("books", MentionStore.declare)
    stream = _timed("books", MentionStore.stream)
    begin_run = _timed("books", MentionStore.begin_run)
    finish_run = _timed("books", MentionStore.finish_run)
    give_up_held = _timed("books", MentionStore.give_up_held)
    acquire_lease = _timed("books", MentionStore.acquire_lease)
    release_lease = _timed("books", MentionStore.release_lease)
