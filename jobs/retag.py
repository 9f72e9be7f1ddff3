"""Hears the stored mentions again, when taxonomy or models have changed.

    stale? ─▶ read texts ─▶ hear them ─▶ write ─▶ … ─▶ roll_up ─▶ keep_retag
              (by id)       └─ outside   └─ one transaction a chunk
                               of any transaction

What must hold, and why it does:

- Killed anywhere, it resumes: what is done carries the new version, and is not stale any more.
- Texts are redacted already, and are not redacted again; a tombstone has no text, and keeps what it had.
- What a person said of a mention stays. A platform that forbids derived metrics has its language kept alone.
- A day on which nothing is heard otherwise is not counted again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import connectors as installed
from jobs import leases
from jobs.hearing import Hearer
from jobs.hearing_apart import Dictation, Texts, hear_texts
from jobs.rollup import roll_up
from jobs.summary import in_order
from listener.calendar import day_number
from listener.clock import Clock, SystemClock
from listener.errors import ConfigError
from listener.signals.analysis import Signals
from listener.signals.topics import Taxonomy
from storage import retagging
from storage.counting import places
from storage.retagging import StoredText, Wanted

if TYPE_CHECKING:
    from jobs.connections import Platforms
    from jobs.crew import Crew
    from listener.settings import Settings
    from storage.store import MentionStore

LEASE = "retag"
LEASE_TTL = timedelta(minutes=10)
"""Longer than a chunk takes, the slowest models included."""

Progress = Callable[[int, int], None]
"""Told after each chunk how many mentions are done, and of how many."""


@dataclass(frozen=True, slots=True)
class VolumeMove:
    """How many mentions a topic or pseudo-topic counts, over all organizations, and would count."""

    topic: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetagReport:
    """What a retag did, or would do: ``mentions`` heard again, of which ``changed`` are heard otherwise.

    ``days`` were counted again. ``volumes`` are what a rehearsal would move, in the order of the weekly summary.
    """

    version: str
    mentions: int = 0
    changed: int = 0
    days: int = 0
    volumes: tuple[VolumeMove, ...] = ()


def retag(
    settings: Settings,
    store: MentionStore,
    *,
    analyzer: Hearer,
    since: date | None = None,
    topic_version: str | None = None,
    dry_run: bool = False,
    chunk: int = 500,
    progress: Progress | None = None,
    clock: Clock | None = None,
    platforms: Platforms = installed,
    crew: Crew | None = None,
) -> RetagReport:
    """Hear the stored mentions again that another version than the analyzer's has heard, ``chunk`` at a time.

    A ``crew`` hears the chunks that follow while this process writes; without one the ``analyzer`` hears them all.

    ``since`` (a local day) leaves older ones as they are; ``topic_version`` chooses those that this version heard.
    Each chunk is one transaction; at the end the days are counted again and the change is written down. With
    ``dry_run`` nothing is written, and the report tells how the volumes would move (from ``since`` on).

    Raises ``LeaseHeld`` where another process retags, ``ConfigError`` and ``StoreError``.
    """
    taxonomy = Taxonomy.load(settings.topics_file)
    wanted = Wanted(
        version=analyzer.version,
        heard_by=topic_version,
        since_day=day_number(since) if since is not None else None,
    )
    clock = clock or SystemClock()
    work = _Retagger(
        store, analyzer, terms_of(settings, platforms), wanted, chunk, progress, crew, Dictation(taxonomy)
    )
    if dry_run:
        return work.rehearse(taxonomy)
    with leases.held(store, LEASE, LEASE_TTL, clock) as lease:
        store.declare(settings.organizations, taxonomy)
        mentions, changed = work.run(lease.renew)
        days = roll_up(store)
        retagging.keep_retag(store, wanted, mentions_heard=mentions, changed=changed, now=clock.now())
    return RetagReport(version=analyzer.version, mentions=mentions, changed=changed, days=days)


def terms_of(settings: Settings, platforms: Platforms) -> Callable[[str], bool]:
    """Return what tells whether a channel's platform lets topics and sentiment be derived."""
    known: dict[str, bool] = {}

    def allows(channel: str) -> bool:
        if channel not in known:
            try:
                platforms.connector_class(channel)
            except ConfigError:
                # Its connector is gone and took its terms along: heard as it was before.
                known[channel] = True
            else:
                terms = platforms.connector_settings(settings, channel)
                known[channel] = bool(getattr(terms, "derived_metrics", True))
        return known[channel]

    return allows


def hear_stored(
    analyzer: Hearer, some: Sequence[StoredText], allows_derived: Callable[[str], bool]
) -> list[Signals]:
    """Return the signals of stored texts; the language alone where a channel's platform allows no more."""
    return _allowed(some, analyzer.analyze_many(*_told(some)), allows_derived)


def _told(some: Sequence[StoredText]) -> tuple[list[str], list[str | None]]:
    return [one.text for one in some], [one.language for one in some]


def _allowed(
    some: Sequence[StoredText], heard: Sequence[Signals], allows_derived: Callable[[str], bool]
) -> list[Signals]:
    return [
        signals if allows_derived(one.channel) else Signals(language=signals.language, version=signals.version)
        for one, signals in zip(some, heard, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Retagger:
    """One call of :func:`retag`: what is to be heard, by whom, and under which terms."""

    store: MentionStore
    analyzer: Hearer
    allows_derived: Callable[[str], bool]
    wanted: Wanted
    chunk: int
    progress: Progress | None
    crew: Crew | None
    dictation: Dictation

    def run(self, renew: Callable[[], None]) -> tuple[int, int]:
        """Hear and write all of it; return how many mentions were written, and how many of them changed."""
        total = retagging.count_wanted(self.store, self.wanted)
        written = changed = 0
        for some, heard in self._heard():
            # Not after the write: where another has taken over, it does the work.
            renew()
            done = retagging.rewrite(self.store, list(zip(some, heard, strict=True)))
            written, changed = written + done.written, changed + done.changed
            while done.overtaken:
                # What got another text meanwhile is looked at again: unless it was heard by then, it is stale.
                again = retagging.texts(self.store, self.wanted, only=done.overtaken)
                done = retagging.rewrite(self.store, list(zip(again, self._hear(again), strict=True)))
                written, changed = written + done.written, changed + done.changed
            self._tell(written, total)
        return written, changed

    def rehearse(self, taxonomy: Taxonomy) -> RetagReport:
        """Hear all of it, write nothing, and tell what would move."""
        since_day = self.wanted.since_day
        before = retagging.topic_volumes(self.store, since_day=since_day)
        moves: Counter[str] = Counter()
        mentions = changed = 0
        total = retagging.count_wanted(self.store, self.wanted)
        for some, heard in self._heard():
            ids = [text.id for text in some]
            kept = retagging.kept_of(self.store, ids)
            weights = retagging.weights(self.store, ids, since_day=since_day)
            for text, signals in zip(some, heard, strict=True):
                mentions += 1
                if kept[text.id].differs(signals):
                    changed += 1
                    _move(moves, kept[text.id], signals, weights.get(text.id, 0))
            self._tell(mentions, total)
        return RetagReport(
            version=self.analyzer.version,
            mentions=mentions,
            changed=changed,
            volumes=tuple(_moved(before, moves, taxonomy.slugs)),
        )

    def _heard(self) -> Iterator[tuple[list[StoredText], list[Signals]]]:
        """Yield what is to be heard, chunk by chunk, and what is heard in it."""
        if self.crew is None:
            yield from ((some, self._hear(some)) for some in self._chunks())
            return
        for some, heard in self.crew.each(hear_texts, self._tasks()):
            assert heard is not None  # noqa: S101 - each chunk is a task
            yield some, _allowed(some, heard, self.allows_derived)

    def _tasks(self) -> Iterator[tuple[list[StoredText], Texts]]:
        for some in self._chunks():
            label = f"the mentions {some[0].id:,} to {some[-1].id:,}"
            yield some, self.dictation.of(label, tuple(zip(*_told(some), strict=True)))

    def _hear(self, some: Sequence[StoredText]) -> list[Signals]:
        return hear_stored(self.analyzer, some, self.allows_derived)

    def _chunks(self) -> Iterator[list[StoredText]]:
        after = 0
        while some := retagging.texts(self.store, self.wanted, after=after, limit=self.chunk):
            yield some
            after = some[-1].id

    def _tell(self, done: int, total: int) -> None:
        if self.progress:
            self.progress(done, max(done, total))


def _move(moves: Counter[str], kept: retagging.Kept, signals: Signals, weight: int) -> None:
    was = places(kept.columns["purpose"], kept.slugs, needs_review=kept.columns["needs_review"])
    columns = retagging.columns_of(signals, kept)
    slugs = kept.by_people | {slug for slug, *_ in retagging.hits_of(signals, kept)}
    becomes = places(columns["purpose"], slugs, needs_review=columns["needs_review"])
    moves.subtract(dict.fromkeys(was, weight))
    moves.update(dict.fromkeys(becomes, weight))


def _moved(before: Mapping[str, int], moves: Mapping[str, int], topics: Sequence[str]) -> Iterator[VolumeMove]:
    for topic in in_order(topics, {*before, *moves}):
        count = before.get(topic, 0)
        if count or moves.get(topic, 0):
            yield VolumeMove(topic, count, count + moves.get(topic, 0))
