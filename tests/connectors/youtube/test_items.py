"""Looking up again, options, and resources that become mentions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connectors._youtube_items import read_thread, tombstone
from connectors.base import Meter
from connectors.youtube import YoutubeOptions, normalise
from listener.errors import SkipItem
from listener.mention import Kind
from listener.standins.server import Fault
from listener.standins.youtube_resources import refusal

if TYPE_CHECKING:
    from conftest import Desk

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_recheck_of_many_long_ids_goes_as_one_request(desk: Desk) -> None:
    """The client library turns a URL over 2,048 characters into a POST."""
    top = desk.comment(desk.video(), 2 * HOUR)
    replies = [desk.comment(top).external_id for _ in range(50)]
    (page,) = desk.connector.recheck(replies, Meter())
    assert {mention.external_id for mention in page.mentions if not mention.removed_at} == set(replies)
    assert [request.method for request in desk.standin.requests] == ["POST"]


def test_a_recheck_tells_as_much_as_a_pull(desk: Desk) -> None:
    video = desk.video()
    top = desk.comment(video)
    reply = desk.comment(top)
    pulled = desk.pull()
    pages = desk.connector.recheck([post.external_id for post in (video, top, reply)], Meter())
    assert {mention.external_id: mention for page in pages for mention in page.mentions} == pulled


@pytest.mark.parametrize(
    ("resource", "reason"), [("commentThreads", "commentThreadNotFound"), ("comments", "commentNotFound")]
)
def test_a_batch_refused_for_one_missing_comment_is_halved(desk: Desk, resource: str, reason: str) -> None:
    video = desk.video()
    top = desk.comment(video)
    there = [top, desk.comment(video), desk.comment(top), desk.comment(top)]
    body = refusal(404, reason, "No.", domain=f"youtube.{resource[:-1]}").body
    desk.standin.fail(Fault(what="status", status=404, body=body, path=f"/{resource}$"))
    (page,) = desk.connector.recheck([post.external_id for post in there], Meter())
    assert {mention.external_id for mention in page.mentions if not mention.removed_at} == {
        post.external_id for post in there
    }


def test_a_comment_refused_alone_is_gone(desk: Desk) -> None:
    body = refusal(404, "commentNotFound", "No.", domain="youtube.comment").body
    desk.standin.fail(Fault(what="status", status=404, body=body, times=None))
    (page,) = desk.connector.recheck(["Ugone.two"], Meter())
    assert [(mention.kind, mention.removed_at) for mention in page.mentions] == [(Kind.REPLY, NOW)]


@pytest.mark.parametrize(
    ("external_id", "kind"),
    [("UgAAAAAAAAA", Kind.VIDEO), ("Ug" + "a" * 24, Kind.COMMENT), ("Ug" + "a" * 24 + ".b", Kind.REPLY)],
)
def test_an_id_tells_its_kind_by_its_shape(external_id: str, kind: Kind) -> None:
    assert tombstone(external_id, NOW).kind is kind


def test_options_are_written_as_they_can_be_read_again() -> None:
    options = YoutubeOptions.model_validate({"search_every": "6h", "reread_every": "2d"})
    written = options.model_dump(mode="json")
    assert (written["search_every"], written["reread_every"]) == ("21600s", "172800s")
    assert YoutubeOptions.model_validate(written) == options


@pytest.mark.parametrize(
    "wrong", [{"account": "@handle"}, {"max_videos": 0}, {"search_every": "soon"}, {"every_day": 1}]
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        YoutubeOptions.model_validate(wrong)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {"kind": "youtube#channel", "id": "UC1"},
        {"kind": "youtube#video", "id": 7, "snippet": {}},
        {"kind": "youtube#video", "id": "a b", "snippet": {}},
        {"kind": "youtube#video", "id": "abc", "snippet": []},
        {"kind": "youtube#commentThread", "id": "Ugx", "snippet": {"topLevelComment": 5}},
        {
            "kind": "youtube#comment",
            "id": "Ugx",
            "snippet": {"textDisplay": "x", "publishedAt": "2026-11-10T15:00:00"},
        },
        {
            "kind": "youtube#comment",
            "id": "Ugx",
            "snippet": {"textDisplay": "x", "publishedAt": "0001-01-01T00:00:00+14:00"},
        },
        {"kind": "youtube#comment", "id": "Ugx", "snippet": {"publishedAt": "2026-11-10T15:00:00Z"}},
        {
            "kind": "youtube#comment",
            "id": "Ugx",
            "snippet": {"textDisplay": "x", "publishedAt": "2026-11-10T15:00:00Z", "videoId": "\x00"},
        },
    ],
    ids=str,
)
def test_an_item_that_cannot_be_read_is_skipped(payload: Any) -> None:
    with pytest.raises(SkipItem):
        normalise(payload)


@pytest.mark.parametrize(
    ("count", "likes"),
    [
        (5, 5),
        ("5", 5),
        (True, None),
        (-1, None),
        ("-1", None),
        ("\uff19", None),
        ("9" * 30, None),
        (2**70, None),
        (1.5, None),
    ],
)
def test_a_count_is_a_number_that_a_database_holds(count: Any, likes: int | None) -> None:
    snippet = {"textDisplay": "x", "publishedAt": "2026-11-10T15:00:00Z", "likeCount": count}
    assert normalise({"kind": "youtube#comment", "id": "Ugx", "snippet": snippet}).metrics.likes == likes


@pytest.mark.parametrize(
    "payload", [None, [], {"snippet": 1}, {"snippet": {"videoId": []}, "replies": {"comments": "none"}}], ids=str
)
def test_a_thread_of_no_known_form_gives_itself_to_be_skipped(payload: Any) -> None:
    thread = read_thread(payload)
    assert (thread.external_id, thread.video_id, thread.replies, thread.brought) == (None, None, 0, 0)
    assert thread.payloads == (payload,)
