"""Budget and quota, and what a stream remembers from pull to pull."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from connectors._youtube_cursor import Depth, Pull, Reading, State, Video
from connectors.base import Limits, Meter, Window
from connectors.youtube import YoutubeConnector, YoutubeSettings
from listener.errors import QuotaExhausted
from listener.standins.server import Fault
from listener.standins.youtube_resources import refusal

if TYPE_CHECKING:
    from conftest import Desk

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("now", "began", "ends"),
    [
        ("2026-11-10T15:00", "2026-11-10T08:00", "2026-11-11T08:00"),
        ("2026-11-01T07:30", "2026-11-01T07:00", "2026-11-02T08:00"),
        ("2026-03-08T20:00", "2026-03-08T08:00", "2026-03-09T07:00"),
    ],
)
def test_the_quotas_day_is_pacific(now: str, began: str, ends: str) -> None:
    moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, began, ends)]
    settings = YoutubeSettings(daily_searches=3, daily_quota_units=7)
    limits = Limits(searches=3, quota_units=7)
    assert YoutubeConnector.budget(settings, moments[0]) == (limits, moments[1], moments[2])


def test_a_search_and_a_unit_are_counted_apart(desk: Desk) -> None:
    desk.comment(desk.video())
    meter = Meter()
    desk.pull(meter=meter)
    assert (meter.usage.searches, meter.usage.quota_units, meter.usage.requests) == (1, 2, 3)


@pytest.mark.parametrize("whose", ["google's", "the operator's"])
def test_where_the_searches_are_used_up_the_known_videos_are_followed_on(desk: Desk, whose: str) -> None:
    video = desk.video()
    desk.pull()
    desk.step(HOUR)
    comment, unknown = desk.comment(video), desk.video()
    desk.standin.daily_searches = 1 if whose == "google's" else 100
    meter = Meter(Limits(searches=0), resets_at=NOW + DAY) if whose == "the operator's" else Meter()
    for _ in range(2):
        with pytest.raises(QuotaExhausted) as caught:
            desk.pull(meter=meter)
        assert caught.value.at is not None
        assert not [page.covered for page in desk.pages if page.covered]
    assert comment.external_id not in desk.got, "read once, not again"
    late = desk.comment(video, timedelta(0))
    with pytest.raises(QuotaExhausted):
        desk.pull(meter=meter)
    assert late.external_id in desk.got
    desk.standin.daily_searches = 100
    desk.step(DAY)
    assert unknown.external_id in desk.pull()
    assert desk.pages[-1].covered


def test_between_two_searches_only_the_known_videos_are_followed(desk: Desk) -> None:
    desk.options = {"search_every": "6h"}
    video = desk.video()
    desk.pull()
    desk.step(HOUR)
    comment, unknown = desk.comment(video), desk.video()
    got = desk.pull()
    assert comment.external_id in got
    assert unknown.external_id not in got
    assert desk.pages[-1].covered is None
    desk.step(5 * HOUR)
    assert unknown.external_id in desk.pull()
    assert desk.pages[-1].covered == (NOW, NOW + 6 * HOUR)
    assert len(desk.asked("/search")) == 2


def test_a_video_is_followed_until_it_has_been_quiet_for_long(desk: Desk) -> None:
    desk.options = {"follow_days": 10}
    video = desk.video()
    desk.pull()
    for _ in range(3):
        desk.step(8 * DAY)
        comment = desk.comment(video)
        assert comment.external_id in desk.pull()
    desk.step(11 * DAY)
    desk.pull()
    assert desk.state["videos"] == {}


def test_the_liveliest_videos_are_followed_where_there_are_too_many(desk: Desk) -> None:
    desk.options = {"max_videos": 2}
    videos = [desk.video(timedelta(days=3)) for _ in range(3)]
    comments = {desk.comment(video).external_id for video in videos}
    assert desk.pull().keys() >= comments, "each is read once before it is let go"
    assert len(desk.state["videos"]) == 2
    desk.step(3 * DAY)
    newer = [desk.video(), desk.video()]
    desk.pull()
    assert desk.state["videos"].keys() == {video.external_id for video in newer}


def test_a_video_that_is_not_found_for_once_is_not_forgotten(desk: Desk) -> None:
    video = desk.video(5 * DAY)
    desk.comment(video)
    desk.pull()
    desk.standin.fail(
        Fault(what="replace", body={"kind": "youtube#videoListResponse", "items": []}, path="/videos$")
    )
    desk.step(HOUR)
    desk.pull()
    comment = desk.comment(video)
    assert comment.external_id in desk.pull()


def test_a_video_that_the_look_up_refuses_stops_no_other(desk: Desk) -> None:
    """The API promises to leave out what is gone, and documents a 404 for it all the same."""
    gone, there = desk.video(5 * DAY), desk.video(4 * DAY)
    desk.pull()
    comment = desk.comment(there)
    body = refusal(404, "videoNotFound", "No.", domain="youtube.video").body
    # Both together, then the first one alone.
    desk.standin.fail(Fault(what="status", status=404, body=body, path="/videos$", times=2))
    desk.step(HOUR)
    first, second = desk.pull(), desk.pull()
    assert comment.external_id in first | second
    assert {gone.external_id, there.external_id} <= desk.state["videos"].keys()


def test_a_window_that_does_not_join_on_is_read_aside(desk: Desk) -> None:
    early = desk.video(9 * DAY)
    desk.pull()
    before = desk.cursor
    desk.step(10 * DAY)
    between, late = desk.video(5 * DAY), desk.video()
    reply = desk.comment(early)
    got = desk.pull(Window(desk.clock.now() - DAY))
    assert got.keys() == {late.external_id, reply.external_id}
    assert desk.pages[-1].covered == (desk.clock.now() - DAY, desk.clock.now())
    assert desk.cursor == before
    assert desk.pull().keys() >= {between.external_id, late.external_id, reply.external_id}


def test_a_window_of_the_past_is_read_aside_and_can_be_resumed(desk: Desk) -> None:
    desk.standin.page_size_cap = 2
    videos = [desk.video(timedelta(days=5 + number)) for number in range(6)]
    desk.pull()
    before = desk.state
    window = Window(NOW - 20 * DAY, NOW - 4 * DAY)
    got = desk.pull(window, pages=2)
    assert desk.cursor["aside"]
    asked = len(desk.asked("/search"))
    desk.step(HOUR)
    got |= desk.pull(window)
    assert got.keys() == {video.external_id for video in videos}
    assert len(desk.asked("/search")) - asked < 3
    assert "aside" not in desk.cursor
    assert desk.state == before


def test_another_window_aside_takes_the_place_of_the_first(desk: Desk) -> None:
    desk.standin.page_size_cap = 2
    videos = [desk.video(timedelta(days=5 + number)) for number in range(6)]
    desk.pull()
    desk.pull(Window(NOW - 20 * DAY, NOW - 4 * DAY), pages=1)
    got = desk.pull(Window(NOW - 20 * DAY, NOW - 9 * DAY))
    assert got.keys() == {video.external_id for video in videos[5:]}


def test_a_window_does_not_cut_short_a_first_pull_half_done(desk: Desk) -> None:
    desk.standin.page_size_cap = 2
    videos = [desk.video(timedelta(days=2 * number + 1)) for number in range(6)]
    got = desk.pull(pages=1)
    recent = desk.pull(Window(NOW - 4 * DAY))
    assert recent.keys() == {video.external_id for video in videos[:2]}
    got |= desk.pull()
    assert got.keys() == {video.external_id for video in videos}


def test_a_first_window_half_done_may_be_widened(desk: Desk) -> None:
    desk.standin.page_size_cap = 2
    videos = [desk.video(timedelta(days=2 * number + 1)) for number in range(6)]
    desk.pull(Window(NOW - 8 * DAY), pages=1)
    got = desk.pull(Window(NOW - 10 * DAY))
    assert got.keys() == {video.external_id for video in videos[:5]}
    assert desk.state["since"] == int((NOW - 10 * DAY).timestamp())


def test_comments_older_than_where_a_stream_began_stay_out(desk: Desk) -> None:
    desk.listen_to_the_channel()
    video = desk.video(DAY)
    old = desk.comment(video, 20 * HOUR)
    fresh = desk.comment(video)
    assert desk.pull(Window(NOW - 12 * HOUR)).keys() == {fresh.external_id}
    desk.step(HOUR)
    released = desk.comment(video, 19 * HOUR)
    newer = desk.comment(video)
    assert desk.pull().keys() == {fresh.external_id, newer.external_id}
    assert not {old.external_id, released.external_id} & desk.got.keys()


def test_a_pull_that_was_stopped_is_finished_and_then_brought_up_to_date(desk: Desk) -> None:
    desk.standin.page_size_cap = 2
    for _ in range(5):
        desk.video()
    desk.pull(pages=1)
    desk.step(2 * HOUR)
    fresh = desk.video()
    assert fresh.external_id in desk.pull()
    assert [page.covered for page in desk.pages if page.covered][1:] == [(NOW, NOW + 2 * HOUR)]


def test_a_cursor_of_another_version_begins_anew(desk: Desk) -> None:
    video = desk.video()
    desk.cursor = {"v": 0, "whatever": []}
    assert desk.pull().keys() == {video.external_id}


def test_a_state_comes_back_from_json_as_it_was() -> None:
    reading = Reading("vid00000001", Depth.ALL, None, 5, "token", "")
    pull = Pull(7, 1, 8, 2, "t", discovered=True, todo=["a"], waiting={"b": (Depth.NEWEST, 3, 6)}, reading=reading)
    state = State(since=1, searched_to=2, searched_at=3, videos={"a": Video(1, 2, 3, 4), "b": Video(9)}, pull=pull)
    assert State.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_a_filtered_reading_that_was_stopped_reports_everything() -> None:
    state = State(pull=Pull(7, reading=Reading("v", Depth.NEWEST, 3, 5, "token")))
    again = State.from_json(json.loads(json.dumps(state.to_json())))
    assert again.pull is not None
    assert again.pull.reading == Reading("v", Depth.ALL, 3, 5)
