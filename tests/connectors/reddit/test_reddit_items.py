"""What becomes of an item, an answer and the options of a stream: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors._reddit_items import read_listing, read_more, read_things, read_tree
from connectors._reddit_pull import time_filter
from connectors.reddit import RedditOptions, normalise
from listener.errors import RetryLater, SkipItem
from listener.mention import Kind

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["all"], ("all",)),
        (["r/Hamilton", "/r/ontario", "hamilton"], ("hamilton", "ontario")),
        ([" all "], ("all",)),
    ],
)
def test_subreddits_are_plain_names(written: list[str], read: tuple[str, ...]) -> None:
    assert RedditOptions(subreddits=written).subreddits == read


@pytest.mark.parametrize("written", [[], ["a b"], ["hamilton+ontario"], ["../user"], [""]])
def test_what_is_no_subreddit_is_refused(written: list[str]) -> None:
    with pytest.raises(ValidationError):
        RedditOptions(subreddits=written)


@pytest.mark.parametrize(
    ("back", "expected"),
    [
        (None, "all"),
        (timedelta(minutes=-5), "hour"),
        (6 * HOUR, "day"),
        (24 * HOUR, "week"),
        (6 * DAY, "week"),
        (7 * DAY, "month"),
        (40 * DAY, "year"),
        (366 * DAY, "all"),
    ],
)
def test_the_time_filter_reaches_back_far_enough(back: timedelta | None, expected: str) -> None:
    assert time_filter(NOW, None if back is None else (NOW - back).timestamp()) == expected


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"kind": "t3"},
        {"kind": "t3", "data": []},
        {"kind": "t5", "data": {"name": "t5_2abc"}},
        {"kind": "t3", "data": {"name": 7}},
        {"kind": "more", "data": {"name": "t1__,"}},
    ],
)
def test_what_is_no_item_is_skipped(payload: Any) -> None:
    with pytest.raises(SkipItem) as caught:
        normalise(payload)
    assert caught.value.external_id is None


PLAIN = {"name": "t1_a", "link_id": "t3_b", "parent_id": "t3_b", "body": "hello", "created_utc": 1793030400.0}


@pytest.mark.parametrize(
    "strange",
    [
        {"created_utc": True},
        {"created_utc": "1793030400"},
        {"created_utc": float("nan")},
        {"created_utc": float("inf")},
        {"created_utc": 1e30},
        {"body": None},
        {"link_id": None},
        {"parent_id": "t1_x y"},
        {"author": 12},
        {"edited": 1e30},
    ],
)
def test_an_item_of_a_wrong_shape_is_skipped_by_its_name(strange: dict[str, Any]) -> None:
    assert normalise({"data": PLAIN}).text == "hello"
    with pytest.raises(SkipItem) as caught:
        normalise({"data": PLAIN | strange})
    assert caught.value.external_id == "t1_a"


@pytest.mark.parametrize("words", ["[deleted]", "[removed]", " [deleted]\n", "[ Removed by Reddit ]"])
def test_what_is_removed_is_a_tombstone_of_the_moment_it_was_seen(words: str) -> None:
    mention = normalise({"data": PLAIN | {"body": words, "author": "ward", "permalink": "/r/x/"}}, seen_at=NOW)
    assert (mention.removed_at, mention.text, mention.author, mention.permalink) == (NOW, "", None, None)
    assert (mention.parent_external_id, mention.conversation_id) == ("t3_b", "t3_b")
    assert normalise({"data": PLAIN | {"body": words}}).removed_at is not None


@pytest.mark.parametrize("link", [{"selftext": ""}, {"selftext": None}, {}])
def test_a_link_is_its_title(link: dict[str, Any]) -> None:
    data = {"name": "t3_b", "title": "A new wing", "created_utc": 1793030400, "permalink": "//evil.example"} | link
    mention = normalise({"kind": "t3", "data": data})
    assert (mention.text, mention.author, mention.kind) == ("A new wing", None, Kind.POST)
    assert mention.permalink is None


def test_no_word_of_a_title_is_in_a_permalink() -> None:
    head = {
        "name": "t3_b",
        "title": "Dr. Ann Other rings 905 555 0100",
        "created_utc": 1793030400,
        "subreddit": "hamilton",
        "permalink": "/r/hamilton/comments/b/dr_ann_other_rings_905_555_0100/",
    }
    submission = normalise({"kind": "t3", "data": head})
    comment = normalise({"data": PLAIN | {"subreddit": "u_river-bank", "permalink": f"{head['permalink']}a/"}})
    assert submission.permalink == "https://www.reddit.com/r/hamilton/comments/b/"
    assert comment.permalink == "https://www.reddit.com/r/u_river-bank/comments/b/_/a/"
    assert not [word for word in ("ann", "other", "rings", "905", "0100") if word in str(submission.permalink)]


@pytest.mark.parametrize("subreddit", [None, 5, "a/b", "//evil.example", "a\r\nb", "x" * 51])
def test_a_subreddit_that_is_none_makes_no_permalink(subreddit: Any) -> None:
    assert normalise({"data": PLAIN | {"subreddit": subreddit}}).permalink is None


def test_saying_the_word_is_not_being_removed() -> None:
    assert normalise({"data": PLAIN | {"body": "it says [deleted] there"}}).removed_at is None


@pytest.mark.parametrize(
    ("read", "answer"),
    [
        (read_listing, None),
        (read_listing, {"data": {"children": {}}}),
        (read_listing, {"data": {"children": [], "after": 12}}),
        (read_listing, {"data": {"children": [], "after": "t3_a&b"}}),
        (read_tree, {"data": {"children": []}}),
        (read_tree, [{"data": {"children": []}}]),
        (read_tree, [{}, {"data": {"children": [{"data": {"replies": "none"}}]}}]),
        (read_things, {"json": {"errors": [["RATELIMIT"]]}}),
        (read_things, []),
        (read_more, {"kind": "more", "data": {"parent_id": None, "children": []}}),
        (read_more, {"kind": "more", "data": []}),
    ],
)
def test_an_answer_of_a_wrong_shape_is_read_later(read: Any, answer: Any) -> None:
    with pytest.raises(RetryLater):
        read(answer)
