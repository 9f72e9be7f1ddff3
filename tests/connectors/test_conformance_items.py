"""What becomes of an item: edited, removed, without its author, hostile, or not as promised."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from listener.standins.posts import Edit
from listener.standins.server import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Bench, Reading

    from listener.mention import Mention
    from listener.standins.posts import Post

HOSTILE = {
    "NUL": "A\x00B at St. Elsewhere",
    "control characters": "A\x07\x1b[31mred\x7f at St. Elsewhere \x0c\x0b",
    "a lone high surrogate": "broken \ud83d at St. Elsewhere",
    "a lone low surrogate": "broken \ude00 at St. Elsewhere",
    "right-to-left marks": "St. Elsewhere \u202eevil\u202c \u200f\u05e9\u05dc\u05d5\u05dd\u200e \u2067x\u2069",
    "10,000 emoji": "St. Elsewhere " + "🏥" * 10_000,
    "HTML": 'St. Elsewhere <script>alert("1")</script> <b>bold</b><br>new & old',
    "entities": "St. Elsewhere &lt;3 &amp;amp; &#39;quoted&#39; &nbsp;",
    "a formula": '=HYPERLINK("http://x.example","St. Elsewhere")',
    "plus, minus, at": "+1 -1 @SUM(1) St. Elsewhere",
    "line ends": "St. Elsewhere\r\nnext\rlast\u2028end",
    "other scripts": "St. Elsewhere 圣埃尔斯维尔 مستشفى больница e\u0301 \u0000",
    "a URL's own": "St. Elsewhere ?key=a%20b&x={y}#z \\ \" '",
}


def heads_of(posts: list[Post]) -> list[Post]:
    return [post for post in posts if post.parent_id is None]


def leaves_of(posts: list[Post]) -> list[Post]:
    """The last post of each kind that nothing hangs under."""
    parents = {post.parent_id for post in posts} | {
        post.conversation_id for post in posts if post.conversation_id != post.external_id
    }
    return list({post.kind: post for post in posts if post.external_id not in parents}.values())


def assert_tombstone(mention: Mention) -> None:
    assert mention.removed_at is not None
    assert mention.text == ""
    assert mention.author is None
    assert mention.permalink is None


def test_an_edited_text_arrives(bench: Bench) -> None:
    posts = bench.posts(12)
    first = bench.whole()
    bench.step(timedelta(minutes=5))
    edited = [
        replace(post, edits=(Edit(at=bench.clock.now(), text=f"{post.text} Edited: all well again."),))
        for post in leaves_of(posts)
    ]
    bench.standin.publish(*edited)
    bench.step(timedelta(minutes=5))
    later = bench.whole(first.cursor)
    identities = [post.external_id for post in edited]
    rechecked = bench.recheck(identities)
    assert rechecked.error is None
    texts = first.texts | later.texts | rechecked.texts
    expected = bench.texts([replace(post, text=post.edits[-1].text) for post in edited])
    assert {identity: texts[identity] for identity in identities} == expected


def test_a_removed_item_becomes_a_tombstone_and_the_others_stay(bench: Bench) -> None:
    posts = bench.posts(12)
    bench.whole()
    bench.step(timedelta(minutes=5))
    removed = leaves_of(posts)
    bench.standin.publish(*(replace(post, removed_at=bench.clock.now()) for post in removed))
    bench.step(timedelta(minutes=5))
    reading = bench.recheck([post.external_id for post in posts])
    assert reading.error is None
    for post in removed:
        assert_tombstone(reading.mentions[post.external_id])
    kept = [post for post in posts if post not in removed]
    assert {identity: reading.texts[identity] for identity in bench.texts(kept)} == bench.texts(kept)
    assert all(reading.mentions[post.external_id].removed_at is None for post in kept)


def test_a_removed_item_loses_nothing_of_the_others_on_a_pull(bench: Bench) -> None:
    posts = bench.posts(12)
    removed = leaves_of(posts)
    bench.standin.publish(*(replace(post, removed_at=bench.clock.now()) for post in removed))
    reading = bench.whole()
    kept = bench.texts([post for post in posts if post not in removed])
    assert {identity: reading.texts.get(identity) for identity in kept} == kept
    for post in removed:
        if post.external_id in reading.mentions:
            assert_tombstone(reading.mentions[post.external_id])


def test_a_removed_head_leaves_the_others_readable(bench: Bench) -> None:
    posts = bench.posts(12)
    head = heads_of(posts)[1]
    bench.standin.publish(replace(head, removed_at=bench.clock.now()))
    reading = bench.whole()
    thread = {post.external_id for post in posts if post.conversation_id == head.external_id} | {head.external_id}
    others = bench.texts([post for post in posts if post.external_id not in thread])
    assert {identity: reading.texts.get(identity) for identity in others} == others


def test_a_recheck_knows_every_item_in_any_number(bench: Bench) -> None:
    posts = bench.posts(130)
    reading = bench.recheck([post.external_id for post in posts])
    assert reading.error is None
    assert reading.texts == bench.texts(posts)
    assert all(page.cursor == {} for page in reading.pages)
    assert reading.requests < len(posts)
    pulled = bench.whole().mentions
    assert {identity: mention.published_at for identity, mention in reading.mentions.items()} == {
        identity: mention.published_at for identity, mention in pulled.items()
    }
    assert {identity: mention.kind for identity, mention in reading.mentions.items()} == {
        identity: mention.kind for identity, mention in pulled.items()
    }


def test_a_recheck_of_nothing_asks_nothing(bench: Bench) -> None:
    reading = bench.recheck([])
    assert reading.error is None
    assert reading.mentions == {}
    assert reading.requests == 0


def test_a_recheck_of_what_never_was_gives_tombstones(bench: Bench) -> None:
    posts = bench.standin.example_posts(6, bench.clock.now() - timedelta(hours=9))
    reading = bench.recheck([post.external_id for post in posts])
    assert reading.error is None
    assert reading.mentions.keys() == {post.external_id for post in posts}
    for mention in reading.mentions.values():
        assert_tombstone(mention)


def test_an_author_may_be_missing(bench: Bench) -> None:
    posts = bench.posts(12)
    anonymous = leaves_of(posts)
    bench.standin.publish(*(replace(post, author_id=None, author_handle=None) for post in anonymous))
    reading = bench.whole()
    assert reading.texts == bench.texts(posts)
    assert {identity for identity, mention in reading.mentions.items() if mention.author is None} == {
        post.external_id for post in anonymous
    }


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_text_arrives_storable(bench: Bench, what: str) -> None:
    posts = [
        replace(post, text=HOSTILE[what], title=post.title and f"{post.title} {HOSTILE[what][:80]}".strip())
        for post in bench.posts(6)
    ]
    bench.standin.publish(*posts)
    reading = bench.whole()
    for mention in reading.mentions.values():
        assert mention.text.encode("utf-8")
        assert "\x00" not in mention.text
    assert reading.texts == bench.texts(posts)
    rechecked = bench.recheck([post.external_id for post in posts])
    assert rechecked.texts == bench.texts(posts)


MISSING = "(left out)"
"""Stands for a value that is not there at all."""


def exchange(document: Any, strange: Callable[[Any], bool], value: Any) -> Any:
    """Return ``document`` with ``value`` wherever ``strange`` says so of a plain value."""
    if isinstance(document, dict):
        changed = {name: exchange(part, strange, value) for name, part in document.items()}
        return {name: part for name, part in changed.items() if part != MISSING}
    if isinstance(document, list):
        return [exchange(part, strange, value) for part in document]
    return value if strange(document) else document


def is_moment(moment: datetime) -> Callable[[Any], bool]:
    def strange(value: Any) -> bool:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return abs(value - moment.timestamp()) < 1
        return isinstance(value, str) and value.startswith(moment.strftime("%Y-%m-%dT%H:%M:%S"))

    return strange


def is_text(marker: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and marker in value


def is_count(number: int) -> Callable[[Any], bool]:
    return lambda value: value in {number, str(number)} if isinstance(value, int | str) else False


def read_with(bench: Bench, strange: Callable[[Any], bool], value: Any) -> Reading:
    """Read while every answer has ``value`` in place of what is ``strange``; the change must have struck."""
    struck = []

    def change(body: Any) -> Any:
        changed = exchange(body, strange, value)
        struck.append(changed != body)
        return changed

    bench.standin.fail(Fault(what="change", times=None, change=change))
    reading = bench.whole()
    assert any(struck), "the value that was to be changed was never sent"
    return reading


@pytest.mark.parametrize("kind", range(3), ids=["a leaf of kind 1", "of kind 2", "of kind 3"])
@pytest.mark.parametrize("value", ["not a moment", {"wrong": "type"}, [], None, MISSING], ids=repr)
def test_an_item_without_a_readable_moment_is_skipped_alone(bench: Bench, kind: int, value: Any) -> None:
    posts = bench.posts(12)
    victims = leaves_of(posts)
    victim = replace(victims[kind % len(victims)], published_at=datetime(2026, 11, 9, 11, 22, 33, tzinfo=UTC))
    bench.standin.publish(victim)
    reading = read_with(bench, is_moment(victim.published_at), value)
    assert reading.texts == bench.texts([post for post in posts if post.external_id != victim.external_id])
    assert reading.skipped >= 1


@pytest.mark.parametrize("kind", range(3), ids=["a leaf of kind 1", "of kind 2", "of kind 3"])
@pytest.mark.parametrize("value", [{"wrong": "type"}, ["wrong"], 12], ids=repr)
def test_an_item_without_a_readable_text_is_skipped_alone(bench: Bench, kind: int, value: Any) -> None:
    posts = bench.posts(12)
    victims = leaves_of(posts)
    victim = victims[kind % len(victims)]
    victim = replace(victim, text=f"{victim.text} zzvictim", title=victim.title and f"{victim.title} zzvictim")
    bench.standin.publish(victim)
    reading = read_with(bench, is_text("zzvictim"), value)
    assert reading.texts == bench.texts([post for post in posts if post.external_id != victim.external_id])
    assert reading.skipped >= 1


@pytest.mark.parametrize("value", ["many", {"wrong": "type"}, [], None, MISSING], ids=repr)
def test_a_strange_count_costs_no_other_item(bench: Bench, value: Any) -> None:
    posts = bench.posts(12)
    victims = [replace(post, metrics=replace(post.metrics, likes=987_654)) for post in leaves_of(posts)]
    bench.standin.publish(*victims)
    reading = read_with(bench, is_count(987_654), value)
    others = [post for post in posts if post.external_id not in {victim.external_id for victim in victims}]
    assert reading.texts.items() >= bench.texts(others).items()
    assert reading.skipped + len(reading.mentions) >= len(posts)
    for victim in victims:
        if victim.external_id in reading.mentions:
            assert reading.mentions[victim.external_id].metrics.likes is None


def test_the_samples_become_the_mentions_they_should(
    channel: str, toy_path: None, sample_files: list[Path], normalise: Callable[[Any], Mention], as_json: Any
) -> None:
    assert sample_files, f"{channel} has no golden sample"
    for path in sample_files:
        sample = json.loads(path.read_text(encoding="utf-8"))
        mention = as_json(normalise(sample["payload"]))
        assert {name: mention[name] for name in sample["expect"]} == sample["expect"], path.name
