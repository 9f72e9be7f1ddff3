from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from listener.calendar import local_day
from listener.clock import SteppedClock
from listener.mention import Kind, Mention, Metrics, Source
from listener.resources import config_file
from listener.settings import OrganizationSettings, StreamSettings
from listener.signals.analysis import Signals
from listener.signals.topics import Taxonomy, TopicHit
from listener.usage import Usage
from storage.store import MentionStore, PageCounts, Record

TORONTO = "America/Toronto"
START = datetime(2026, 11, 9, 12, tzinfo=UTC)


def make_organization(slug: str = "st-elsewhere", timezone: str = TORONTO) -> OrganizationSettings:
    streams = tuple(StreamSettings(channel=channel) for channel in ("twitter", "reddit"))
    return OrganizationSettings(slug=slug, name=f"{slug} Hospital", timezone=timezone, streams=streams)


def make_signals(*topics: str, language: str | None = "en", **more: Any) -> Signals:
    hits = tuple(TopicHit(slug, 1.0, Source.RULE, (slug.replace("-", " "),)) for slug in topics)
    return Signals(language=language, topics=hits, **more)


def make_record(
    external_id: str = "1",
    text: str = "parking was hard",
    *,
    channel: str = "twitter",
    at: datetime = START,
    pseudonym: str | None = "p1",
    own: bool = False,
    zone: str = TORONTO,
    signals: Signals | None = None,
    heard: bool = True,
    **mention: Any,
) -> Record:
    """A record as ingest makes it; ``heard=False`` leaves the signals out."""
    values: dict[str, Any] = {"kind": Kind.POST, "metrics": Metrics(), **mention}
    return Record(
        mention=Mention(channel=channel, external_id=external_id, published_at=at, text=text, **values),
        pseudonym=pseudonym,
        own=own,
        day=local_day(at, ZoneInfo(zone)),
        signals=(signals or make_signals("parking")) if heard else None,
    )


def make_tombstone(external_id: str = "1", *, at: datetime = START, **more: Any) -> Record:
    return make_record(external_id, "", at=at, pseudonym=None, heard=False, removed_at=at, **more)


@dataclass
class Pulling:
    """A store with a stream for each organization and channel, and one run a stream."""

    store: MentionStore
    clock: SteppedClock
    runs: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def stream(self, organization: str = "st-elsewhere", channel: str = "twitter") -> tuple[int, int]:
        key = (organization, channel)
        if key not in self.runs:
            state = self.store.stream(
                organization=organization, channel=channel, kind="search", query="q", options={}, key="k1"
            )
            self.runs[key] = (state.id, self.store.begin_run(state.id, since=None, until=None))
        return self.runs[key]

    def save(self, *records: Record, organization: str = "st-elsewhere", **more: Any) -> PageCounts:
        channel = records[0].mention.channel if records else "twitter"
        stream_id, run_id = self.stream(organization, channel)
        values: dict[str, Any] = {"cursor": {"at": "here"}, "usage": Usage(requests=1), **more}
        return self.store.save_page(stream_id=stream_id, run_id=run_id, records=records, **values)

    def later(self, **span: float) -> None:
        self.clock.step_to(self.clock.now() + timedelta(**span))


@pytest.fixture(scope="session")
def taxonomy() -> Taxonomy:
    return Taxonomy.load(config_file("topics.toml"))


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(START)


@pytest.fixture
def store(store_url: str, taxonomy: Taxonomy, clock: SteppedClock) -> Iterator[MentionStore]:
    with MentionStore.open(store_url, clock=clock) as opened:
        opened.declare([make_organization(), make_organization("general", "Europe/Athens")], taxonomy)
        yield opened


@pytest.fixture
def pulling(store: MentionStore, clock: SteppedClock) -> Pulling:
    return Pulling(store, clock)


@pytest.fixture
def record() -> Callable[..., Record]:
    return make_record


@pytest.fixture
def tombstone() -> Callable[..., Record]:
    return make_tombstone


@pytest.fixture
def signals() -> Callable[..., Signals]:
    return make_signals


@pytest.fixture
def organization() -> Callable[..., OrganizationSettings]:
    return make_organization
