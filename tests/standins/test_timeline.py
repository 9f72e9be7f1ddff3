"""What a stand-in shows of its posts, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from listener.clock import SteppedClock
from listener.mention import Kind
from listener.standins.posts import Edit, Post, Timeline

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def post(number: int, **fields: object) -> Post:
    plain = Post(
        channel="reddit",
        external_id=f"t3_{number}",
        kind=Kind.POST,
        published_at=START + number * HOUR,
        text=f"number {number}",
    )
    return replace(plain, **fields)


def ids(timeline: Timeline, **how: object) -> list[str]:
    return [post.external_id for post in timeline.visible(**how)]


def test_nothing_of_the_future_is_visible_and_the_order_is_the_clocks() -> None:
    clock = SteppedClock(START + 2 * HOUR)
    timeline = Timeline(clock, (post(number) for number in range(10**9)))
    timeline.publish([post(5), replace(post(1), external_id="t3_late")])
    assert ids(timeline) == ["t3_0", "t3_1", "t3_late", "t3_2"]
    assert ids(timeline, newest_first=True) == ["t3_2", "t3_late", "t3_1", "t3_0"]
    assert ids(timeline, since=START + HOUR) == ["t3_1", "t3_late", "t3_2"]
    assert timeline.get("t3_5") is None
    clock.step_to(START + 5 * HOUR)
    assert ids(timeline, since=START + 3 * HOUR) == ["t3_3", "t3_4", "t3_5"]


def test_a_post_published_again_takes_the_place_of_the_first() -> None:
    timeline = Timeline(SteppedClock(START + 9 * HOUR))
    timeline.publish([post(1), post(2), post(3, conversation_id="t3_1"), post(4, conversation_id="t3_1")])
    timeline.publish([post(1, text="mended"), post(3, conversation_id="t3_2", published_at=START)])
    assert ids(timeline) == ["t3_3", "t3_1", "t3_2", "t3_4"]
    assert timeline.get("t3_1").text == "mended"
    assert [post.external_id for post in timeline.thread("t3_1")] == ["t3_4"]
    assert [post.external_id for post in timeline.thread("t3_2")] == ["t3_3"]


def test_edits_and_removals_come_on_time() -> None:
    clock = SteppedClock(START + HOUR)
    edits = (Edit(at=START + 2 * HOUR, text="second"), Edit(at=START + 3 * HOUR, text="third"))
    timeline = Timeline(clock)
    timeline.publish([post(0, edits=edits, removed_at=START + 4 * HOUR)])
    seen = []
    for hour in (1, 2, 3, 4):
        clock.step_to(START + hour * HOUR)
        now = timeline.get("t3_0")
        seen.append((now.text, len(now.edits), now.removed_at is not None))
    assert seen == [("number 0", 0, False), ("second", 1, False), ("third", 2, False), ("third", 2, True)]


def test_a_thread_is_what_lies_below_its_head() -> None:
    clock = SteppedClock(START + 2 * HOUR)
    timeline = Timeline(clock)
    timeline.publish(post(number, conversation_id="t3_0") for number in (3, 2, 0, 1))
    assert [post.external_id for post in timeline.thread("t3_0")] == ["t3_1", "t3_2"]
    assert timeline.thread("t3_9") == []
