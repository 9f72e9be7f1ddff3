"""The demo's world: its configuration is valid, its clock walks, and its truth is the posts counted by hand."""

from __future__ import annotations

import itertools
import socket
import tomllib
import urllib.error
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import connectors
from listener import settings
from listener.mention import Kind
from listener.standins.scenario import (
    DAY,
    END,
    ORGANIZATION_SLUG,
    SPIKE_WEEK,
    START,
    World,
    demo_environment,
    demo_settings_toml,
    walk,
)

URLS = {"twitter": "http://127.0.0.1:1", "reddit": "http://127.0.0.1:2", "youtube": "http://127.0.0.1:3"}


@pytest.fixture(scope="module")
def ended() -> World:
    world = World()
    world.clock.step_to(world.last_pull)
    return world


def test_the_configuration_is_valid_and_points_at_the_platforms(tmp_path: Path) -> None:
    file = tmp_path / "listener.toml"
    file.write_text(demo_settings_toml(URLS, 'sqlite:///a "quoted" name.db'), encoding="utf-8")
    loaded = settings.load(file, environ=demo_environment())
    connectors.validate(loaded)

    assert loaded.store.url == 'sqlite:///a "quoted" name.db'
    assert loaded.author_secret is not None
    assert {channel: table["base_url"] for channel, table in loaded.connectors.items()} == URLS
    organization = loaded.organization(ORGANIZATION_SLUG)
    assert [stream.channel for stream in organization.streams] == ["twitter", "reddit", "youtube"]
    for channel, url in URLS.items():
        assert connectors.connector_settings(loaded, channel).base_url == url
        assert set(connectors.connector_class(channel).secrets) == {
            name.removeprefix(f"LISTENER_{channel.upper()}_").lower()
            for name in demo_environment()
            if name.startswith(f"LISTENER_{channel.upper()}_")
        }


def test_the_platforms_listen_while_the_world_is_started(tmp_path: Path) -> None:
    world = World(per_week=10)
    with world:
        urls = world.base_urls
        assert len(set(urls.values())) == 3
        document = tomllib.loads(world.settings_toml("sqlite://"))
        assert {channel: table["base_url"] for channel, table in document["connectors"].items()} == urls
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{urls['twitter']}/2/tweets", timeout=5)
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(urls["twitter"], timeout=5)
    with pytest.raises(RuntimeError, match="not started"):
        world.base_urls  # noqa: B018 - asking is the test


def test_the_world_is_as_large_as_a_demo_should_be(ended: World) -> None:
    posts = [post for posts in ended.posts_by_channel.values() for post in posts]
    reddit_heads = sum(post.channel == "reddit" and post.kind is Kind.POST for post in posts)
    videos = sum(post.kind is Kind.VIDEO for post in posts)

    assert 3_600 < len(posts) < 5_400
    assert 3.5 < reddit_heads / 84 < 6
    assert 2 < videos / 12 < 4


def test_the_truth_is_what_a_naive_count_gives(ended: World) -> None:
    truth = ended.truth(derived_metrics=True)
    naive: Counter[tuple[str, str, str]] = Counter()
    for posts in ended.posts_by_channel.values():
        for post in posts:
            if post.own:
                continue
            local = post.published_at.astimezone(START.tzinfo)
            week = local.strftime("%G-W%V")
            topics = post.edits[-1].topics if post.edits else post.topics
            for topic in [*topics, "all"] if topics else ["(untagged)", "all"]:
                naive[week, post.channel, topic] += 1
                naive[week, "all", topic] += 1

    assert truth == naive
    assert {week for week, _, _ in truth} == {f"2026-W{week}" for week in range(35, 47)}


def test_youtube_is_untagged_unless_its_metrics_may_be_derived(ended: World) -> None:
    truth, derived = ended.truth(), ended.truth(derived_metrics=True)

    assert {topic for _, channel, topic in truth if channel == "youtube"} == {"all", "(untagged)"}
    assert {topic for _, channel, topic in derived if channel == "youtube"} > {"waiting-times"}
    assert {key: count for key, count in truth.items() if key[1] in ("twitter", "reddit")} == {
        key: count for key, count in derived.items() if key[1] in ("twitter", "reddit")
    }
    for (week, channel, topic), count in truth.items():
        if topic == "all":
            assert count == derived[week, channel, topic]


def test_the_spike_stands_out(ended: World) -> None:
    truth = ended.truth()
    by_week = {
        week: count
        for (week, channel, topic), count in truth.items()
        if (channel, topic) == ("all", "waiting-times")
    }
    calm = [count for week, count in by_week.items() if week != SPIKE_WEEK]

    assert by_week[SPIKE_WEEK] > 3 * sum(calm) / len(calm)
    assert by_week[SPIKE_WEEK] > 1.5 * max(calm)


def test_an_edit_counts_from_its_moment_on() -> None:
    world = World()
    edited = next(
        post for post in world.posts_by_channel["twitter"] if post.edits and post.edits[0].topics != post.topics
    )
    world.clock.step_to(edited.edits[0].at - timedelta(seconds=1))
    assert world.topics_of(edited) == edited.topics
    world.clock.step_to(edited.edits[0].at)
    assert world.topics_of(edited) == edited.edits[0].topics


def test_the_future_is_not_counted() -> None:
    world = World()
    assert world.truth() == {}
    world.clock.step_to(START + 3 * DAY)
    shown = world.published("twitter")
    assert shown
    assert all(post.published_at <= world.clock.now() for post in shown.values())
    assert sum(
        count for (_, channel, topic), count in world.truth().items() if (channel, topic) == ("twitter", "all")
    ) == sum(not post.own for post in shown.values())


def test_a_walk_pulls_once_a_day_and_ends_a_day_after_the_last_week() -> None:
    world = World(per_week=10)
    pulls: list[datetime] = []

    assert walk(world, pulls.append) == len(pulls)
    assert len(pulls) == 86
    assert pulls[0] == START + DAY
    assert pulls[-1] == world.clock.now() == END + DAY
    assert all(timedelta(0) < b - a <= DAY for a, b in itertools.pairwise(pulls))
    assert walk(world, pulls.append) == 0


@pytest.mark.parametrize("every", [timedelta(hours=37), timedelta(0), -DAY])
def test_a_walk_with_steps_that_would_miss_something_is_refused(every: timedelta) -> None:
    with pytest.raises(ValueError, match="removed"):
        walk(World(per_week=10), lambda _: None, every=every)


def test_a_short_world_without_a_spike() -> None:
    end = datetime(2026, 8, 31, tzinfo=UTC)
    world = World(end=end, per_week=50, spike=None, seed=1)

    assert world.last_pull == end + DAY
    assert all(post.published_at < end for posts in world.posts_by_channel.values() for post in posts)


def test_a_port_can_be_picked_and_one_that_is_taken_leaves_nothing_listening() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with World(per_week=10, ports={"reddit": port}) as world:
        assert world.base_urls["reddit"] == f"http://127.0.0.1:{port}"
        second = World(per_week=10, ports={"youtube": port})
        with pytest.raises(OSError, match="in use"):
            second.start()
        with pytest.raises(RuntimeError, match="the twitter stand-in is not started"):
            second.standins["twitter"].base_url  # noqa: B018 - asking is the test
