"""The stand-in speaks the Data API's protocol: shapes, paging, keys, quota and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from listener.clock import SteppedClock
from listener.mention import Kind, Metrics
from listener.standins.posts import Edit, Post
from listener.standins.youtube import YoutubeStandin

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY = {"X-Goog-Api-Key": YoutubeStandin.secrets["api_key"]}
VIDEO = "vid00000001"
HOME = "UC" + "h" * 22


def video(number: int = 1, **changes: Any) -> Post:
    post = Post(
        channel="youtube",
        external_id=f"vid{number:08d}",
        kind=Kind.VIDEO,
        published_at=NOW - number * timedelta(hours=1),
        title='Pain & "care" at St. Elsewhere',
        text="A long night.\n\n" + "It was <b>late</b>. " * 30,
        author_id=HOME,
        author_handle="The hospital",
        community=HOME,
        conversation_id=f"vid{number:08d}",
        metrics=Metrics(likes=7, views=100),
    )
    return replace(post, **changes)


def comment(number: int, parent: Post, **changes: Any) -> Post:
    reply = parent.kind is Kind.COMMENT
    post = Post(
        channel="youtube",
        external_id=f"{parent.external_id}.{number}" if reply else f"Ug{number:024d}",
        kind=Kind.REPLY if reply else Kind.COMMENT,
        published_at=NOW - number * MINUTE,
        text=f"Comment {number} <3\nand more",
        author_id=f"UC{number:022d}",
        author_handle=f"@visitor{number}",
        parent_id=parent.external_id,
        conversation_id=parent.conversation_id,
        metrics=Metrics(likes=number),
    )
    return replace(post, **changes)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOW)


@pytest.fixture
def standin(clock: SteppedClock) -> Iterator[YoutubeStandin]:
    with YoutubeStandin(clock, [video()]) as standin:
        yield standin


def get(standin: YoutubeStandin, method: str, headers: dict[str, str] | None = None, **asked: Any) -> Any:
    asked = {"part": "snippet", **asked}
    url = f"{standin.base_url}/youtube/v3/{method}"
    return requests.get(url, params=asked, headers=KEY if headers is None else headers, timeout=5)


def items(standin: YoutubeStandin, method: str, **asked: Any) -> list[Any]:
    """Return every item of a list, page by page."""
    found: list[Any] = []
    while True:
        body = get(standin, method, **asked).json()
        found += body["items"]
        if "nextPageToken" not in body:
            return found
        asked["pageToken"] = body["nextPageToken"]


def reason(response: Any) -> tuple[int, str]:
    error = response.json()["error"]
    assert error["code"] == response.status_code
    assert error["message"]
    return response.status_code, error["errors"][0]["reason"]


# Keys and quota


def test_a_key_is_taken_from_the_header_or_the_query(standin: YoutubeStandin) -> None:
    assert get(standin, "videos", id=VIDEO).status_code == 200
    assert get(standin, "videos", headers={}, id=VIDEO, key=standin.secrets["api_key"]).status_code == 200


def test_a_bad_key_is_refused_as_google_does(standin: YoutubeStandin) -> None:
    error = get(standin, "videos", headers={}, id=VIDEO, key="wrong").json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["details"][0]["reason"] == "API_KEY_INVALID"
    assert error["errors"][0] == {"message": error["message"], "domain": "global", "reason": "badRequest"}
    assert reason(get(standin, "videos", headers={}, id=VIDEO)) == (403, "forbidden")


@pytest.mark.parametrize(("method", "asked"), [("search", {"q": "x"}), ("videos", {"id": VIDEO})])
def test_the_quota_ends_and_comes_back_at_midnight_in_california(
    standin: YoutubeStandin, clock: SteppedClock, method: str, asked: dict[str, str]
) -> None:
    standin.daily_searches = standin.daily_units = 3
    clock.step_to(datetime(2026, 11, 11, 7, 59, tzinfo=UTC))
    assert [get(standin, method, **asked).status_code for _ in range(3)] == [200] * 3
    assert reason(get(standin, method, **asked)) == (403, "quotaExceeded")
    other = ("videos", {"id": VIDEO}) if method == "search" else ("search", {"q": "x"})
    assert get(standin, other[0], **other[1]).status_code == 200, "the two buckets are apart"
    clock.step_to(datetime(2026, 11, 11, 8, tzinfo=UTC))
    assert get(standin, method, **asked).status_code == 200


def test_an_invalid_call_costs_as_much_and_a_bad_key_nothing(standin: YoutubeStandin) -> None:
    standin.daily_units = 1
    get(standin, "videos", headers={}, id=VIDEO, key="wrong")
    assert reason(get(standin, "videos")) == (400, "invalidParameter")
    assert reason(get(standin, "videos", id=VIDEO)) == (403, "quotaExceeded")


# Search and videos


def test_a_search_finds_newest_first_with_entities_and_short_descriptions(standin: YoutubeStandin) -> None:
    standin.publish(video(2), video(3, title="Cats", text="and dogs"), video(4, removed_at=NOW))
    found = items(standin, "search", q='"St. Elsewhere" OR @nobody', type="video", order="date")
    assert [item["id"] for item in found] == [
        {"kind": "youtube#video", "videoId": identity} for identity in (VIDEO, "vid00000002")
    ]
    snippet = found[0]["snippet"]
    assert snippet["title"] == "Pain &amp; &quot;care&quot; at St. Elsewhere"
    assert len(snippet["description"]) < len(video().text)
    assert snippet["publishedAt"] == "2026-11-10T14:00:00Z"
    assert snippet["channelId"] == HOME


def test_a_search_keeps_to_its_moments(standin: YoutubeStandin) -> None:
    standin.publish(video(2), video(3))
    found = items(
        standin,
        "search",
        q="elsewhere",
        publishedAfter="2026-11-10T12:30:00Z",
        publishedBefore="2026-11-10T13:30:00Z",
    )
    assert [item["id"]["videoId"] for item in found] == ["vid00000002"]


@pytest.mark.parametrize("wrong", ["yesterday", "2026-11-10T12:30:00"])
def test_a_moment_that_is_none_is_refused(standin: YoutubeStandin, wrong: str) -> None:
    assert reason(get(standin, "search", q="x", publishedAfter=wrong)) == (400, "invalidParameter")


def test_videos_are_looked_up_and_the_missing_left_out(standin: YoutubeStandin) -> None:
    standin.publish(
        video(2, metrics=Metrics(), author_id=None, language=None), comment(1, video()), video(4, removed_at=NOW)
    )
    standin.publish(comment(2, comment(1, video())))
    body = get(standin, "videos", id=f"{VIDEO},nothing,vid00000002,vid00000004", part="snippet,statistics").json()
    assert body["kind"] == "youtube#videoListResponse"
    first, second = body["items"]
    assert first["statistics"] == {"viewCount": "100", "likeCount": "7", "favoriteCount": "0", "commentCount": "2"}
    assert first["snippet"]["description"] == video().text
    assert first["snippet"]["defaultAudioLanguage"] == "en"
    assert second["statistics"] == {"favoriteCount": "0", "commentCount": "0"}
    assert not {"channelId", "defaultAudioLanguage"} & second["snippet"].keys()
    assert "statistics" not in get(standin, "videos", id=VIDEO).json()["items"][0]


@pytest.mark.parametrize("asked", [{"id": ""}, {"id": ",".join(["x"] * 51)}, {}])
def test_between_one_and_fifty_ids(standin: YoutubeStandin, asked: dict[str, str]) -> None:
    assert reason(get(standin, "videos", **asked)) == (400, "invalidParameter")


def test_a_part_must_be_asked_for(standin: YoutubeStandin) -> None:
    assert reason(get(standin, "videos", id=VIDEO, part="")) == (400, "missingRequiredParameter")


def test_another_path_is_a_page_of_html(standin: YoutubeStandin) -> None:
    response = get(standin, "captions")
    assert response.status_code == 404
    assert response.text.startswith("<!DOCTYPE html>")


# Threads and comments


def test_a_thread_brings_its_five_newest_replies(standin: YoutubeStandin) -> None:
    top = comment(90, video(), edits=(Edit(at=NOW - MINUTE, text="Changed."),))
    standin.publish(top, *(comment(number, top) for number in range(1, 9)), comment(95, video(), author_id=None))
    threads = items(standin, "commentThreads", videoId=VIDEO, part="snippet,replies", textFormat="plainText")
    assert [thread["id"] for thread in threads] == [top.external_id, comment(95, video()).external_id]
    snippet = threads[0]["snippet"]
    assert snippet["totalReplyCount"] == 8
    said = snippet["topLevelComment"]["snippet"]
    assert (said["textDisplay"], said["publishedAt"], said["updatedAt"]) == (
        "Changed.",
        "2026-11-10T13:30:00Z",
        "2026-11-10T14:59:00Z",
    )
    assert (said["authorChannelId"], said["likeCount"], said["videoId"]) == ({"value": top.author_id}, 90, VIDEO)
    replies = threads[0]["replies"]["comments"]
    assert [reply["id"] for reply in replies] == [f"{top.external_id}.{number}" for number in range(1, 6)]
    assert {reply["snippet"]["parentId"] for reply in replies} == {top.external_id}
    assert "replies" not in threads[1]
    assert "authorChannelId" not in threads[1]["snippet"]["topLevelComment"]["snippet"]
    assert "replies" not in items(standin, "commentThreads", videoId=VIDEO, part="snippet")[0]


def test_text_comes_as_html_unless_plain_is_asked_for(standin: YoutubeStandin) -> None:
    standin.publish(comment(1, video()))
    shown = [
        items(standin, "comments", id=comment(1, video()).external_id, **asked)[0]["snippet"]["textDisplay"]
        for asked in ({}, {"textFormat": "plainText"})
    ]
    assert shown == ["Comment 1 &lt;3<br>and more", "Comment 1 <3\nand more"]


def test_all_replies_are_paged(standin: YoutubeStandin) -> None:
    top = comment(90, video())
    standin.publish(top, *(comment(number, top) for number in range(1, 60)), comment(70, top, removed_at=NOW))
    found = items(standin, "comments", parentId=top.external_id, maxResults=25)
    assert [item["id"] for item in found] == [f"{top.external_id}.{number}" for number in range(1, 60)]
    assert reason(get(standin, "comments", parentId="Ugnothing")) == (404, "commentNotFound")


def test_what_was_removed_vanishes_with_what_hangs_below(standin: YoutubeStandin, clock: SteppedClock) -> None:
    top, other = comment(90, video()), comment(80, video())
    below = comment(1, top)
    standin.publish(replace(top, removed_at=NOW + MINUTE), below, other)
    assert len(items(standin, "commentThreads", videoId=VIDEO)) == 2
    clock.step_to(NOW + MINUTE)
    assert [item["id"] for item in items(standin, "commentThreads", videoId=VIDEO)] == [other.external_id]
    count = items(standin, "videos", id=VIDEO, part="statistics")[0]["statistics"]["commentCount"]
    assert count == "1"
    assert [item["id"] for item in items(standin, "comments", id=f"{top.external_id},{below.external_id}")] == [
        below.external_id
    ]


def test_comments_may_be_turned_off(standin: YoutubeStandin) -> None:
    standin.publish(comment(1, video()))
    standin.comments_disabled.add(VIDEO)
    assert reason(get(standin, "commentThreads", videoId=VIDEO)) == (403, "commentsDisabled")
    assert reason(get(standin, "commentThreads", videoId="nothing")) == (404, "videoNotFound")
    assert "commentCount" not in items(standin, "videos", id=VIDEO, part="statistics")[0]["statistics"]
    assert items(standin, "commentThreads", allThreadsRelatedToChannelId=HOME) == []


def test_threads_of_a_channel_and_by_id(standin: YoutubeStandin) -> None:
    elsewhere = video(2, community="UCother", author_id="UCother")
    standin.publish(elsewhere, video(3), comment(1, video()), comment(2, video(3)), comment(3, elsewhere))
    related = items(standin, "commentThreads", allThreadsRelatedToChannelId=HOME)
    assert [thread["snippet"]["videoId"] for thread in related] == [VIDEO, "vid00000003"]
    asked = ",".join([comment(3, elsewhere).external_id, "Ugnothing", VIDEO])
    assert [thread["id"] for thread in items(standin, "commentThreads", id=asked)] == [
        comment(3, elsewhere).external_id
    ]


# Pages


@pytest.mark.parametrize("size", ["0", "101", "many"])
def test_a_page_has_a_size(standin: YoutubeStandin, size: str) -> None:
    assert reason(get(standin, "commentThreads", videoId=VIDEO, maxResults=size)) == (400, "invalidParameter")


@pytest.mark.parametrize("token", ["outlived", "WzEsMl0=", "é"])
def test_a_page_token_of_another_list_is_refused(standin: YoutubeStandin, token: str) -> None:
    assert reason(get(standin, "commentThreads", videoId=VIDEO, pageToken=token)) == (400, "invalidPageToken")


def test_a_page_token_belongs_to_its_question(standin: YoutubeStandin) -> None:
    standin.page_size_cap = 1
    standin.publish(video(2), comment(1, video()), comment(2, video()))
    token = get(standin, "search", q="elsewhere").json()["nextPageToken"]
    assert reason(get(standin, "commentThreads", videoId=VIDEO, pageToken=token)) == (400, "invalidPageToken")
    assert reason(get(standin, "search", q="night", pageToken=token)) == (400, "invalidPageToken")


def test_a_removal_between_two_pages_costs_nobody(standin: YoutubeStandin) -> None:
    standin.page_size_cap = 2
    comments = [comment(number, video()) for number in range(1, 6)]
    standin.publish(*comments)
    first = get(standin, "commentThreads", videoId=VIDEO).json()
    standin.publish(replace(comments[1], removed_at=NOW))
    rest = items(standin, "commentThreads", videoId=VIDEO, pageToken=first["nextPageToken"])
    assert [item["id"] for item in rest] == [post.external_id for post in comments[2:]]


def test_pages_may_repeat_and_mix(standin: YoutubeStandin) -> None:
    standin.page_size_cap = 2
    comments = [comment(number, video()) for number in range(1, 8)]
    standin.publish(*comments)
    standin.duplicates = True
    found = [item["id"] for item in items(standin, "commentThreads", videoId=VIDEO)]
    assert len(found) == 10
    assert list(dict.fromkeys(found)) == [post.external_id for post in comments]
    standin.duplicates, standin.out_of_order = False, True
    standin.publish(comment(9, video(), external_id="Ug" + "0" * 24))
    mixed = [item["id"] for item in items(standin, "commentThreads", videoId=VIDEO)]
    assert mixed == sorted(mixed), "within three hours the moment counts for nothing"
    assert len(mixed) == 8


def test_a_long_question_may_come_as_a_post(standin: YoutubeStandin) -> None:
    url = f"{standin.base_url}/youtube/v3/videos"
    response = requests.post(
        url, data={"part": "id", "id": VIDEO}, headers={**KEY, "X-HTTP-Method-Override": "GET"}, timeout=5
    )
    assert [item["id"] for item in response.json()["items"]] == [VIDEO]


# Examples


def test_examples_are_what_the_platform_will_say() -> None:
    posts = YoutubeStandin.example_posts(40, NOW - timedelta(hours=40))
    assert {post.kind for post in posts[:10]} == {Kind.VIDEO, Kind.COMMENT, Kind.REPLY}
    assert len({post.external_id for post in posts}) == 40
    with YoutubeStandin(SteppedClock(NOW), posts) as standin:
        videos = [post for post in posts if post.kind is Kind.VIDEO]
        assert len(videos) >= 20
        said = items(standin, "videos", id=",".join(post.external_id for post in videos), part="statistics")
        assert [item["statistics"]["commentCount"] for item in said] == [
            str(post.metrics.replies) for post in videos
        ]
        json.dumps(said)
