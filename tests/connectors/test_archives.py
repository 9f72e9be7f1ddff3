"""What archives hold, read by the platforms' connectors: dumps, pages, flattened posts and flat rows."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

import connectors
from connectors.base import Archived
from listener.errors import SkipItem
from listener.mention import Author, Kind, Mention

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
READERS = connectors.archive_readers()


def read(name: str, payload: dict[str, Any]) -> list[Archived | SkipItem]:
    return list(READERS[name].archived(payload, seen_at=NOW))


def mentions(name: str, payload: dict[str, Any]) -> list[Mention]:
    found = read(name, payload)
    assert not [one for one in found if isinstance(one, SkipItem)]
    return [one.mention for one in found if isinstance(one, Archived)]


def problem(name: str, payload: dict[str, Any]) -> str:
    (found,) = read(name, payload)
    assert isinstance(found, SkipItem)
    return str(found)


def post(**changes: Any) -> dict[str, Any]:
    values = {"id": "1850000000000000001", "text": "At St. Elsewhere", "created_at": "2026-10-26T12:00:00.000Z"}
    return values | {"author_id": "77", "edit_history_tweet_ids": ["1850000000000000001"]} | changes


PAGE = {
    "data": [
        post(),
        post(id="1850000000000000002", edit_history_tweet_ids=["1850000000000000002"], author_id="78"),
    ],
    "includes": {
        "users": [{"id": "77", "username": "someone"}, {"id": 5}],
        "tweets": [post(id="1849999999999999999")],
    },
    "meta": {"result_count": 2},
}


def test_every_format_has_its_reader() -> None:
    assert {name: reader.channel for name, reader in READERS.items()} == {
        "reddit-dump": "reddit",
        "x-v2": "twitter",
        "twarc": "twitter",
        "youtube": "youtube",
    }


def test_a_page_of_x_has_its_posts_with_the_handles_that_came_along_and_nothing_else() -> None:
    first, second = mentions("x-v2", PAGE)
    assert first.author == Author(id="77", handle="someone")
    assert second.author == Author(id="78")
    assert mentions("x-v2", {"data": post(), "includes": {"users": 3}}) == [
        Mention(
            channel="twitter",
            external_id="1850000000000000001",
            kind=Kind.POST,
            published_at=datetime(2026, 10, 26, 12, tzinfo=UTC),
            text="At St. Elsewhere",
            author=Author(id="77"),
            permalink="https://x.com/i/web/status/1850000000000000001",
        )
    ]
    assert read("x-v2", {"meta": {"result_count": 0}}) == []


def test_a_flattened_post_brings_its_author_and_whom_it_answers() -> None:
    flat = post(author={"id": "77", "username": "someone"}, in_reply_to_user_id="1234", __twarc={"version": "2"})
    (found,) = read("twarc", flat)
    assert isinstance(found, Archived)
    assert found.mention.author == Author(id="77", handle="someone")
    assert found.places == ("1234",)


def test_retweets_are_left_out_and_quotes_are_not() -> None:
    assert read("twarc", post(referenced_tweets=[{"type": "retweeted", "id": "1"}])) == []
    assert read("twarc", post(referenced_posts=[{"type": "retweeted", "id": "1"}])) == []
    assert len(mentions("twarc", post(referenced_tweets=[{"type": "quoted", "id": "1"}, 7]))) == 1


def test_what_is_no_post_of_the_api_v2_is_told() -> None:
    assert "neither a post of X nor a page" in problem("x-v2", {"full_text": "x"})
    assert "API v1.1 is not read" in problem("x-v2", {"full_text": "x", "id_str": "1"})
    assert "no readable created_at" in problem("x-v2", post(created_at="yesterday"))
    assert "no id" in problem("x-v2", {"data": [7]})
    assert mentions("twarc", {"data": [post(author_id=None)]})[0].author is None


def comment(**changes: Any) -> dict[str, Any]:
    values = {
        "id": "c1",
        "body": "Waited at St. Elsewhere &gt; 8 hours &amp;amp; more",
        "author": "someone",
        "score": 3,
        "subreddit": "Hamilton",
        "link_id": "t3_p1",
        "parent_id": "t1_c0",
        "created_utc": 1_790_000_000,
    }
    return values | {"edited": False, "retrieved_on": 1_790_000_100, "permalink": "/r/x"} | changes


def test_a_comment_of_a_dump_is_what_the_api_gives() -> None:
    (found,) = read("reddit-dump", comment())
    assert isinstance(found, Archived)
    assert found.places == ("r/Hamilton",)
    assert found.mention.external_id == "t1_c1"
    assert found.mention.kind is Kind.REPLY
    assert found.mention.text == "Waited at St. Elsewhere > 8 hours &amp; more"
    assert found.mention.conversation_id == "t3_p1"
    assert found.mention.permalink == "https://www.reddit.com/r/Hamilton/comments/p1/_/c1/"


def test_old_dumps_write_numbers_as_texts_and_leave_names_out() -> None:
    (one,) = mentions("reddit-dump", comment(created_utc="1790000000", edited="1790000050", parent_id=12345))
    assert one.published_at == datetime.fromtimestamp(1_790_000_000, UTC)
    assert one.edited_at == datetime.fromtimestamp(1_790_000_050, UTC)
    assert (one.kind, one.parent_external_id) == (Kind.COMMENT, "t3_p1")


def test_a_submission_of_a_dump() -> None:
    dumped = {
        "id": "p1",
        "title": "St. Elsewhere&#39;s ER",
        "selftext": "Long &lt;wait&gt;",
        "subreddit": "Hamilton",
    }
    (one,) = mentions("reddit-dump", dumped | {"created_utc": 1_790_000_000, "name": "t3_p1", "subreddit": "x"})
    assert (one.external_id, one.kind) == ("t3_p1", Kind.POST)
    assert one.text == "St. Elsewhere's ER\n\nLong <wait>"


def test_what_was_removed_before_the_dump_is_a_tombstone() -> None:
    (one,) = mentions("reddit-dump", comment(body="[deleted]", author="[deleted]", subreddit=7))
    assert (one.removed_at, one.text) == (NOW, "")


def test_what_is_no_item_of_reddits_is_told() -> None:
    assert "neither a submission nor a comment" in problem("reddit-dump", {"id": "x"})
    assert "its time is no number" in problem("reddit-dump", comment(created_utc="soon"))


def snippet(**changes: Any) -> dict[str, Any]:
    values = {"textDisplay": "At St. Elsewhere", "publishedAt": "2026-10-26T12:00:00Z", "channelId": "UCown"}
    return values | {"authorDisplayName": "someone", "authorChannelId": {"value": "UCsome"}} | changes


def test_a_response_of_threads_has_top_comments_and_the_replies_that_came_along() -> None:
    thread = {
        "kind": "youtube#commentThread",
        "id": "Ugx1",
        "snippet": {
            "videoId": "abcdefghijk",
            "channelId": "UCown",
            "totalReplyCount": 1,
            "topLevelComment": {"kind": "youtube#comment", "id": "Ugx1", "snippet": snippet()},
        },
        "replies": {
            "comments": [{"kind": "youtube#comment", "id": "Ugx1.r1", "snippet": snippet(parentId="Ugx1")}, 7]
        },
    }
    top, reply, unreadable = read("youtube", {"kind": "youtube#commentThreadListResponse", "items": [thread]})
    assert isinstance(top, Archived)
    assert isinstance(reply, Archived)
    assert isinstance(unreadable, SkipItem)
    assert top.places == reply.places == ("UCown",)
    assert (top.mention.external_id, top.mention.metrics.replies) == ("Ugx1", 1)
    assert (reply.mention.kind, reply.mention.conversation_id) == (Kind.REPLY, "abcdefghijk")


def test_single_comments_and_videos_are_read() -> None:
    (one,) = mentions("youtube", {"kind": "youtube#comment", "id": "Ugx1", "snippet": snippet()})
    assert one.author == Author(id="UCsome", handle="someone")
    video = {"title": "St. Elsewhere", "publishedAt": "2026-10-26T12:00:00Z", "channelId": "UCown"}
    (one,) = mentions("youtube", {"kind": "youtube#video", "id": "abcdefghijk", "snippet": video})
    assert one.kind is Kind.VIDEO
    assert "unknown kind" in problem("youtube", {"kind": "youtube#playlist", "id": "x"})
    assert "where an item should be" in problem("youtube", {"kind": "x", "items": [7]})


@pytest.mark.parametrize(
    "row",
    [
        {"cid": "Ugx1.r1", "text": "Hi", "time_parsed": 1_793_016_000.0, "channel": "UCsome", "votes": "3"},
        {
            "comment_id": "Ugx1.r1",
            "comment": "Hi",
            "published_at": "2026-10-26T12:00:00",
            "author_channel_id": "UCsome",
        }
        | {"like_count": 3, "parent_id": "Ugx1"},
        {"id": "Ugx1.r1", "textOriginal": "Hi", "publishedAt": "2026-10-26T12:00:00Z", "likeCount": "3"}
        | {"authorChannelId": {"value": "UCsome"}, "parentId": "", "isReplyTo": "Ugx1"},
    ],
)
def test_flat_rows_are_read_under_the_names_that_exporters_give(row: dict[str, Any]) -> None:
    (one,) = mentions("youtube", row)
    assert (one.external_id, one.kind, one.text) == ("Ugx1.r1", Kind.REPLY, "Hi")
    assert one.published_at == datetime(2026, 10, 26, 12, tzinfo=UTC)
    assert one.parent_external_id == "Ugx1"
    assert one.metrics.likes == 3
    assert one.author is not None
    assert one.author.id == "UCsome"


def test_a_flat_row_without_what_is_needed_is_told() -> None:
    assert "readable id" in problem("youtube", {"text": "Hi", "time_parsed": 1.0})
    assert "no text" in problem("youtube", {"cid": "Ugx1", "text": "Hi"})
    assert "no moment" in problem("youtube", {"cid": "Ugx1", "text": "Hi", "date": "2 years ago"})
    assert re.search("no text", problem("youtube", {"cid": "Ugx1", "text": "Hi", "time_parsed": 1e300}))


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (PAGE, "x-v2"),
        ({"meta": {"result_count": 0}}, "x-v2"),
        (post(), "x-v2"),
        (post(__twarc={}), "twarc"),
        (comment(), "reddit-dump"),
        ({"kind": "youtube#comment"}, "youtube"),
        ({"cid": "a", "text": "b", "channel": "c"}, "youtube"),
        ({"id": "a", "text": "b"}, None),
        ({}, None),
    ],
)
def test_a_payload_tells_its_format(payload: dict[str, Any], name: str | None) -> None:
    told = [reader.archive_format(payload) for reader in dict.fromkeys(READERS.values())]
    assert [one for one in told if one] == ([name] if name else [])
