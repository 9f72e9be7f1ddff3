"""A timeline against the same thing said naively: every post in a plain list, looked through each time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from listener.clock import SteppedClock
from listener.mention import Kind, Purpose, Sentiment
from listener.standins.posts import Edit, Post, Timeline

START = datetime(2026, 11, 2, tzinfo=UTC)
HOURS = st.integers(min_value=0, max_value=12)


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


@st.composite
def posts(draw: st.DrawFn) -> Post:
    published = draw(HOURS)
    edits = sorted(draw(st.lists(HOURS, max_size=3)))
    return Post(
        channel="toy",
        external_id=draw(st.sampled_from("abcdefgh")),
        kind=Kind.POST,
        published_at=at(published),
        text="first",
        conversation_id=draw(st.sampled_from(["a", "b", None])),
        edits=tuple(
            Edit(at=at(hour), text=f"edit {number}", topics=frozenset({f"{number}"}), purpose=Purpose.NEWS)
            for number, hour in enumerate(edits)
        ),
        removed_at=draw(st.none() | HOURS.map(at)),
        topics=frozenset({"first"}),
        purpose=Purpose.QUESTION,
        sentiment=Sentiment.NEUTRAL,
    )


def naively(post: Post, now: datetime) -> Post:
    done = [edit for edit in post.edits if edit.at <= now]
    removed = post.removed_at if post.removed_at and post.removed_at <= now else None
    says = done[-1] if done else post
    what = {name: getattr(says, name) for name in ("text", "topics", "purpose", "sentiment")}
    return replace(post, edits=tuple(done), removed_at=removed, **what)


@given(st.lists(posts(), max_size=12), HOURS, HOURS)
def test_a_timeline_shows_what_a_plain_list_would(published: list[Post], hour: int, since: int) -> None:
    timeline = Timeline(SteppedClock(at(hour)))
    for post in published:
        timeline.publish([post])
    last = {post.external_id: post for post in published}
    expected = sorted(
        (naively(post, at(hour)) for post in last.values() if post.published_at <= at(hour)),
        key=lambda post: (post.published_at, post.external_id),
    )
    assert list(timeline.visible()) == expected
    assert list(timeline.visible(newest_first=True)) == expected[::-1]
    assert list(timeline.visible(since=at(since))) == [p for p in expected if p.published_at >= at(since)]
    seen = {post.external_id: post for post in expected}
    for external_id in "abcdefgh":
        assert timeline.get(external_id) == seen.get(external_id)
        below = [p for p in expected if p.conversation_id == external_id and p.external_id != external_id]
        assert timeline.thread(external_id) == below


@given(st.lists(HOURS, max_size=12), st.lists(HOURS, min_size=1, max_size=4))
def test_posts_that_come_with_the_clock_are_those_published_by_hand(
    published: list[int], looks: list[int]
) -> None:
    plain = [
        Post(channel="toy", external_id=f"{number}", kind=Kind.POST, published_at=at(hour), text="x")
        for number, hour in enumerate(sorted(published))
    ]
    clock = SteppedClock(START)
    coming = Timeline(clock, iter(plain))
    by_hand = Timeline(clock)
    by_hand.publish(plain)
    for hour in sorted(looks):
        clock.step_to(at(hour))
        assert list(coming.visible()) == list(by_hand.visible())


def test_an_endless_generator_is_read_no_further_than_the_clock() -> None:
    made: list[int] = []

    def endless() -> object:
        for number in range(10**9):
            made.append(number)
            yield Post(channel="toy", external_id=f"{number}", kind=Kind.POST, published_at=at(number), text="x")

    timeline = Timeline(SteppedClock(at(3)), endless())
    assert len(list(timeline.visible())) == 4
    assert len(made) == 5
