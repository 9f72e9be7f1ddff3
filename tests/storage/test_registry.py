"""Organizations, topics, streams, runs and their status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from listener.clock import SteppedClock
from listener.coverage import Spans
from listener.signals.topics import Taxonomy
from listener.usage import Usage
from storage import schema
from storage.counting import PSEUDO_TOPICS
from storage.queries import weekly_volume
from storage.store import LastRun, MentionStore, PageCounts, Record, StreamState

NOW = datetime(2026, 11, 9, 12, tzinfo=UTC)


def names(store: MentionStore, column: Any) -> set[Any]:
    with store.database.read() as connection:
        return set(connection.execute(select(column)).scalars())


def test_declared_once_known_for_ever(
    store: MentionStore, organization: Callable[..., Any], taxonomy: Taxonomy
) -> None:
    slugs = {topic.slug for topic in taxonomy.topics}
    assert names(store, schema.topics.c.slug) == slugs | set(PSEUDO_TOPICS)
    assert names(store, schema.channels.c.name) == {"twitter", "reddit"}
    store.declare([organization(), organization("new-one")], taxonomy)
    assert names(store, schema.organizations.c.slug) == {"st-elsewhere", "general", "new-one"}
    renamed = organization().model_copy(update={"name": "Another Name"})
    store.declare([renamed], taxonomy)
    assert "Another Name" in names(store, schema.organizations.c.name)


def test_declaring_what_is_declared_writes_nothing(
    store: MentionStore, store_url: str, organization: Callable[..., Any], taxonomy: Taxonomy
) -> None:
    if store.database.is_sqlite:
        with MentionStore.open(store_url, read_only=True) as reader:
            reader.declare([organization()], taxonomy)
    before = names(store, schema.topics.c.id)
    store.declare([organization()], taxonomy)
    assert names(store, schema.topics.c.id) == before


def test_a_changed_time_zone_moves_the_mentions(
    pulling: Any, record: Callable[..., Record], organization: Callable[..., Any], taxonomy: Taxonomy
) -> None:
    evening = datetime(2026, 11, 15, 23, tzinfo=UTC)
    pulling.save(record("1", at=evening), record("2", at=evening - timedelta(hours=12)))
    pulling.save(record("1", at=evening, zone="Europe/Athens"), organization="general")
    pulling.store.roll_up()

    def weeks(slug: str) -> dict[int, int]:
        found = weekly_volume(pulling.store, organization=slug, weeks=range(2960, 2975))
        return {row.week: row.mentions for row in found if (row.channel, row.topic) == ("all", "all")}

    before, theirs = weeks("st-elsewhere"), weeks("general")
    (week,) = before
    pulling.store.declare([organization(timezone="Asia/Tokyo")], taxonomy)
    assert pulling.store.roll_up() == 2
    assert weeks("st-elsewhere") == {week: 1, week + 1: 1}
    assert weeks("general") == theirs
    pulling.store.declare([organization(timezone="Asia/Seoul")], taxonomy)
    assert pulling.store.roll_up() == 0


def test_a_stream_is_made_on_first_sight(store: MentionStore, clock: SteppedClock) -> None:
    asked: dict[str, Any] = {
        "organization": "st-elsewhere",
        "channel": "mastodon",
        "kind": "search",
        "query": '"St. Elsewhere"',
        "options": {"tags": ["é"], "deep": {"a": None}},
        "key": "abc",
    }
    named = {name: asked[name] for name in ("organization", "channel", "key")}
    assert store.find_stream(**named) is None
    made = store.stream(**asked)
    assert store.find_stream(**named) == made
    assert made == StreamState(id=made.id)
    assert store.stream(**asked) == made
    assert store.stream(**asked | {"key": "def"}).id != made.id
    assert store.stream(**asked | {"organization": "general"}).id != made.id
    with pytest.raises(LookupError, match="'nobody' was not declared"):
        store.stream(**asked | {"organization": "nobody"})


def test_a_runs_end_is_kept_with_its_streams_state(pulling: Any, record: Callable[..., Record]) -> None:
    store = pulling.store
    stream_id, _ = pulling.stream()
    run = store.begin_run(stream_id, since=NOW - timedelta(days=1), until=None)
    pulling.later(minutes=1)
    later = NOW + timedelta(hours=1)
    store.finish_run(
        run, outcome="auth", usage=Usage(requests=7), error="refused \0 \ud800", failures=3, paused_until=later
    )
    with store.database.read() as connection:
        row = connection.execute(select(schema.runs).where(schema.runs.c.id == run)).one()
    assert (row.since, row.until, row.started_at) == (NOW - timedelta(days=1), None, NOW)
    assert (row.finished_at, row.outcome, row.requests) == (NOW + timedelta(minutes=1), "auth", 7)
    assert row.error == "refused � ?"
    state = store.stream(
        organization="st-elsewhere", channel="twitter", kind="search", query="q", options={}, key="k1"
    )
    assert (state.failures, state.paused_until) == (3, later)
    store.finish_run(store.begin_run(stream_id, since=None, until=None), outcome="missed", usage=Usage())
    assert state == store.stream(
        organization="st-elsewhere", channel="twitter", kind="search", query="q", options={}, key="k1"
    )
    with pytest.raises(Exception, match=r"(?i)ck_runs_outcome"):
        store.finish_run(run, outcome="fine", usage=Usage())


def test_usage_is_summed_by_channel_and_time_killed_runs_included(
    pulling: Any, record: Callable[..., Record]
) -> None:
    store = pulling.store
    used = Usage(requests=1, quota_units=100, searches=1, posts_read=2**33, cost_microusd=5)
    pulling.save(record("1"), usage=used)
    pulling.save(record("1"), organization="general", usage=used)
    pulling.save(record("1", channel="reddit"), usage=Usage(requests=50))
    pulling.later(hours=2)
    stream_id, _ = pulling.stream()
    store.finish_run(store.begin_run(stream_id, since=None, until=None), outcome="done", usage=Usage(requests=9))
    assert store.usage_since("twitter", NOW) == used + used + Usage(requests=9)
    assert store.usage_since("twitter", NOW + timedelta(hours=1)) == Usage(requests=9)
    assert store.usage_since("youtube", NOW) == Usage()
    look_up = store.begin_run(stream_id, since=None, until=None, job="refresh")
    store.finish_run(look_up, outcome="failed", usage=Usage(requests=3))
    assert store.usage_since("twitter", NOW, job="refresh") == Usage(requests=3)
    assert store.usage_since("twitter", NOW, job="ingest") == used + used + Usage(requests=9)
    assert store.usage_since("twitter", NOW) == used + used + Usage(requests=12)
    assert [status.last_run.outcome for status in store.status() if status.stream_id == stream_id] == ["done"]
    with pytest.raises(Exception, match=r"(?i)ck_runs_job"):
        store.begin_run(stream_id, since=None, until=None, job="other")


def test_the_usage_of_a_run_is_what_it_took_so_far(pulling: Any, record: Callable[..., Record]) -> None:
    pulling.save(record("1"), usage=Usage(requests=1))
    pulling.save(record("2"), usage=Usage(requests=2))
    assert pulling.store.usage_since("twitter", NOW) == Usage(requests=2)


def test_status(pulling: Any, record: Callable[..., Record]) -> None:
    store = pulling.store
    span = Spans.of([(NOW - timedelta(days=1), NOW)])
    pulling.save(record("1"), record("2"), coverage=span)
    pulling.save(record("1"))
    _, run = pulling.stream()
    pulling.stream(channel="reddit")
    store.finish_run(run, outcome="partial", usage=Usage(requests=2), error="a page was skipped", failures=1)
    store.roll_up()
    reddit, twitter = store.status()
    assert (reddit.channel, reddit.has_cursor, reddit.mentions) == ("reddit", False, 0)
    assert reddit.last_run == LastRun(
        started_at=NOW, finished_at=None, outcome=None, error=None, counts=PageCounts()
    )
    assert twitter == replace(
        twitter,
        organization="st-elsewhere",
        channel="twitter",
        kind="search",
        query="q",
        key="k1",
        has_cursor=True,
        coverage=span,
        newest_published_at=NOW,
        failures=1,
        paused_until=None,
        mentions=2,
        last_run=LastRun(
            started_at=NOW,
            finished_at=NOW,
            outcome="partial",
            error="a page was skipped",
            counts=PageCounts(inserted=2, unchanged=1),
        ),
    )
    store.stream(organization="general", channel="reddit", kind="search", query="q", options={}, key="k")
    assert [status.organization for status in store.status()] == ["general", "st-elsewhere", "st-elsewhere"]
    assert store.status()[0].last_run is None


def test_counts_add_up() -> None:
    assert PageCounts(1, 2, 3) + PageCounts(10, 20, 30) == PageCounts(11, 22, 33)


def test_a_moment_needs_its_zone(store: MentionStore) -> None:
    with pytest.raises(Exception, match="has no time zone"):
        store.usage_since("twitter", datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake that is tested
