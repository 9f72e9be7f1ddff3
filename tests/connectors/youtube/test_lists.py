"""Lists that do not behave, and the lists of a channel."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import Limits, Meter, Window
from connectors.youtube import YoutubeConnector
from listener.errors import ConfigError, RetryLater
from listener.standins.server import Fault
from listener.standins.youtube import YoutubeStandin
from listener.standins.youtube_resources import refusal

if TYPE_CHECKING:
    from conftest import Desk

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ACCOUNT = "UC" + "h" * 22
THREADS = "/commentThreads$"


def test_a_token_that_outlived_its_listing_begins_the_video_anew(desk: Desk) -> None:
    desk.standin.page_size_cap = 3
    video = desk.video()
    comments = {desk.comment(video).external_id for _ in range(10)}
    got = desk.pull(pages=2)
    assert desk.state["pull"]["reading"][4] is not None
    desk.state["pull"]["reading"][4] = "outlived"
    got |= desk.pull()
    assert got.keys() >= comments
    assert desk.state["pull"] is None


def test_a_token_that_outlived_its_search_begins_the_search_anew(desk: Desk) -> None:
    desk.standin.page_size_cap = 3
    videos = {desk.video().external_id for _ in range(10)}
    desk.pull(pages=1)
    desk.state["pull"]["token"] = "outlived"
    assert desk.pull().keys() == videos


@pytest.mark.parametrize("path", [THREADS, "/search$"])
def test_tokens_refused_again_and_again_are_an_outage(desk: Desk, path: str) -> None:
    desk.standin.page_size_cap = 2
    video = desk.video()
    for _ in range(9):
        desk.video()
        desk.comment(video)
    body = refusal(400, "invalidPageToken", "No.", domain="youtube.parameter").body
    for skip in (1, 2):
        desk.standin.fail(Fault(what="status", status=400, body=body, path=path, skip=skip))
    with pytest.raises(RetryLater, match="again and again"):
        desk.pull()


def test_a_token_refused_where_none_was_sent_is_an_outage(desk: Desk) -> None:
    body = refusal(400, "invalidPageToken", "No.", domain="youtube.parameter").body
    desk.standin.fail(Fault(what="status", status=400, body=body))
    with pytest.raises(RetryLater, match="query"):
        desk.pull()


def test_a_token_of_replies_refused_is_an_outage(desk: Desk) -> None:
    desk.standin.page_size_cap = 6
    top = desk.comment(desk.video(), 2 * HOUR)
    for _ in range(8):
        desk.comment(top)
    body = refusal(400, "invalidPageToken", "No.", domain="youtube.parameter").body
    desk.standin.fail(Fault(what="status", status=400, body=body, path="/comments$", skip=1))
    with pytest.raises(RetryLater, match="replies"):
        desk.pull()
    assert len(desk.got | desk.pull()) == 10


def test_a_list_that_goes_on_with_nothing_new_is_left(desk: Desk) -> None:
    desk.comment(desk.video())
    numbers = iter(range(10**6))

    def endless(body: dict[str, Any]) -> dict[str, Any]:
        return body | {"nextPageToken": f"next{next(numbers)}"}

    real = desk.standin.respond

    class Endless(YoutubeStandin):
        def respond(self, request: Any) -> Any:
            asked = {name: value for name, value in request.query.items() if name != "pageToken"}
            response = real(replace(request, query=asked))
            if not request.path.endswith("/commentThreads"):
                return response
            return replace(response, body=endless(response.body))

    with Endless(desk.clock) as standin:
        connector = desk.connect(standin)
        with pytest.raises(RetryLater, match="circle"):
            list(connector.pull(desk.stream, {}, Window(), Meter(Limits(requests=50))))
        connector.close()
        assert len(standin.requests) < 15


def test_a_search_result_without_an_id_is_skipped(desk: Desk) -> None:
    video = desk.video()
    body = {
        "kind": "youtube#searchListResponse",
        "items": [17, {"id": {"kind": "youtube#channel"}}, {"id": {"videoId": video.external_id}}],
    }
    desk.standin.fail(Fault(what="replace", body=body, path="/search$"))
    assert desk.pull().keys() == {video.external_id}
    assert sum(len(page.skipped) for page in desk.pages) == 2


def test_an_item_that_was_not_asked_for_is_passed_over(desk: Desk) -> None:
    first, second = desk.video(), desk.video()
    stranger = {"kind": "youtube#video", "id": "stranger000", "snippet": {}}
    body = {"kind": "youtube#videoListResponse", "items": [17, stranger]}
    desk.standin.fail(Fault(what="replace", body=body, path="/videos$"))
    assert desk.pull() == {}
    assert sum(len(page.skipped) for page in desk.pages) == 2
    assert desk.state["videos"].keys() == {first.external_id, second.external_id}


def test_a_channels_comments_are_read_without_a_search(desk: Desk) -> None:
    desk.listen_to_the_channel()
    desk.standin.page_size_cap = 2
    own, other = desk.video(9 * DAY, title="Our new wing"), desk.video(community="UC" + "o" * 22, author_id="x")
    tops = [desk.comment(own, 8 * DAY) for _ in range(5)]
    stranger = desk.comment(other)
    replies = [desk.comment(tops[0]) for _ in range(7)]
    got = desk.pull()
    assert got.keys() == {own.external_id, *(post.external_id for post in (*tops, *replies))}
    assert stranger.external_id not in got
    desk.step(3 * HOUR)
    reply, comment = desk.comment(tops[4]), desk.comment(own)
    assert desk.pull().keys() >= {reply.external_id, comment.external_id}
    assert desk.pages[-1].covered == (NOW, NOW + 3 * HOUR)
    assert desk.asked("/search") == []


def test_more_videos_than_are_followed_still_give_their_comments(desk: Desk) -> None:
    desk.listen_to_the_channel(max_videos=1)
    videos = [desk.video(9 * DAY) for _ in range(3)]
    tops = [desk.comment(video, timedelta(days=1 + number)) for number, video in enumerate(videos)]
    replies = [desk.comment(top) for top in tops for _ in range(6)]
    assert desk.pull().keys() >= {post.external_id for post in (*tops, *replies)}
    assert len(desk.state["videos"]) == 1


def test_a_channel_is_read_through_stop_after_stop(desk: Desk) -> None:
    desk.listen_to_the_channel()
    desk.standin.page_size_cap = 3
    video = desk.video(9 * DAY)
    comments = {desk.comment(video, DAY).external_id for _ in range(8)}
    got: set[str] = set()
    for _ in range(20):
        got |= desk.pull(pages=1).keys()
        if desk.pages[-1].covered:
            break
    assert got == {video.external_id, *comments}
    assert desk.pages[-1].covered


def test_a_channel_reads_back_no_further_than_it_must(desk: Desk) -> None:
    desk.listen_to_the_channel()
    desk.standin.page_size_cap = 4
    video = desk.video(90 * DAY)
    for age in range(30):
        desk.comment(video, timedelta(days=10 + age))
    desk.pull()
    asked = len(desk.asked("/commentThreads"))
    desk.step(HOUR)
    desk.pull()
    assert len(desk.asked("/commentThreads")) == asked + 1


@pytest.mark.parametrize(("kind", "query", "said"), [("channel", "x", "account"), ("search", "  ", "query")])
def test_a_stream_that_asks_for_nothing_is_a_mistake(desk: Desk, kind: str, query: str, said: str) -> None:
    stream = replace(desk.stream, kind=kind, query=query)
    with pytest.raises(ConfigError, match=said):
        YoutubeConnector.check_stream(stream)


def test_a_stream_that_asks_for_something_is_none(desk: Desk) -> None:
    YoutubeConnector.check_stream(desk.stream)
    desk.listen_to_the_channel()
    YoutubeConnector.check_stream(replace(desk.stream, query=""))


def test_a_limited_pull_that_is_repeated_moves_on(desk: Desk) -> None:
    videos = [desk.video(timedelta(hours=number + 1)) for number in range(30)]
    comments = [desk.comment(video, MINUTE * number) for number, video in enumerate(videos)]
    for _ in range(20):
        given = 0
        for page in desk.connector.pull(desk.stream, desk.cursor, Window(limit=7), Meter()):
            given += len(page.mentions)
            assert given <= 7
            desk.cursor = page.cursor
            desk.pages.append(page)
            if given == 7:
                break
    assert desk.got.keys() == {post.external_id for post in (*videos, *comments)}


def test_a_channel_that_does_not_exist_is_a_mistake(desk: Desk) -> None:
    desk.listen_to_the_channel()
    body = refusal(404, "channelNotFound", "No.", domain="youtube.commentThread").body
    desk.standin.fail(Fault(what="status", status=404, body=body))
    with pytest.raises(ConfigError, match=ACCOUNT):
        desk.pull()
