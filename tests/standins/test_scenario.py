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
from listener.standins.posts import Meaning
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
    truth = ended.truth()
    naive: Counter[tuple[str, str]] = Counter()
    for posts in ended.posts_by_channel.values():
        for post in posts:
            if not post.own:
                week = post.published_at.astimezone(START.tzinfo).strftime("%G-W%V")
                naive[week, post.channel] += 1
                naive[week, "all"] += 1

    assert truth == naive
    assert {week for week, _ in truth} == {f"2026-W{week}" for week in range(35, 47)}


def test_meanings_are_of_what_a_pipeline_can_hear_and_counts(ended: World) -> None:
    posts = {(post.channel, post.external_id): post for some in ended.posts_by_channel.values() for post in some}
    meanings, derived = ended.meanings(), ended.meanings(derived_metrics=True)

    assert {channel for channel, _ in meanings} == {"twitter", "reddit"}
    assert meanings == {key: meaning for key, meaning in derived.items() if key[0] != "youtube"}
    left_out = [post for key, post in posts.items() if key not in derived]
    assert {post.language for post in left_out if not post.own} == {"es", "pt"}
    assert not any(posts[key].own or posts[key].language in ("es", "pt") for key in derived)
    assert all(posts[key].purpose is meaning.purpose for key, meaning in derived.items() if not posts[key].edits)
    assert {posts[key].language for key, meaning in meanings.items() if meaning.topics} == {"en", "fr"}
    assert any(posts[key].removed_at and meaning.topics for key, meaning in meanings.items())


def test_the_spike_stands_out(ended: World) -> None:
    by_week: Counter[str] = Counter()
    for posts in ended.posts_by_channel.values():
        for post in posts:
            if "waiting-times" in post.topics and not post.own:
                by_week[post.published_at.astimezone(START.tzinfo).strftime("%G-W%V")] += 1
    calm = [count for week, count in by_week.items() if week != SPIKE_WEEK]

    assert by_week[SPIKE_WEEK] > 3 * sum(calm) / len(calm)
    assert by_week[SPIKE_WEEK] > 1.5 * max(calm)


def test_an_edit_counts_from_its_moment_on() -> None:
    world = World()
    edited = next(
        post for post in world.posts_by_channel["twitter"] if post.edits and post.edits[0].purpose != post.purpose
    )
    edit, key = edited.edits[0], ("twitter", edited.external_id)
    world.clock.step_to(edit.at - timedelta(seconds=1))
    assert world.meanings()[key] == edited.meaning
    world.clock.step_to(edit.at)
    assert world.meanings()[key] == Meaning(purpose=edit.purpose, sentiment=edit.sentiment, topics=edit.topics)


def test_the_future_is_not_counted() -> None:
    world = World()
    assert world.truth() == {}
    assert world.meanings() == {}
    world.clock.step_to(START + 3 * DAY)
    shown = world.published("twitter")
    assert shown
    assert all(post.published_at <= world.clock.now() for post in shown.values())
    assert sum(count for (_, channel), count in world.truth().items() if channel == "twitter") == sum(
        not post.own for post in shown.values()
    )
    assert {external_id for channel, external_id in world.meanings() if channel == "twitter"} <= shown.keys()


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
