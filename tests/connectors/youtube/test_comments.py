"""No comment is lost, whatever happens below a video."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from listener.errors import RetryLater
from listener.mention import Kind, Mention
from listener.standins.posts import Edit, Post
from listener.standins.server import Fault
from listener.standins.youtube_resources import refusal

if TYPE_CHECKING:
    from conftest import Desk

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
THREADS = "/commentThreads$"


def test_a_video_without_comments_allowed_is_left_out_and_the_others_read(desk: Desk) -> None:
    closed, open_ = desk.video(), desk.video()
    lost, read = desk.comment(closed), desk.comment(open_)
    desk.standin.comments_disabled.add(closed.external_id)
    got = desk.pull()
    assert read.external_id in got
    assert lost.external_id not in got
    assert got[closed.external_id].metrics.replies is None
    asked = len(desk.asked("/commentThreads"))
    desk.step(HOUR)
    desk.pull()
    assert len(desk.asked("/commentThreads")) == asked, "not asked again every time"
    desk.standin.comments_disabled.clear()
    desk.step(HOUR)
    assert lost.external_id in desk.pull()


@pytest.mark.parametrize("reason", ["commentsDisabled", "videoNotFound"])
def test_a_video_that_closes_after_its_count_was_asked_is_left_out(desk: Desk, reason: str) -> None:
    first, second = desk.video(), desk.video()
    comments = [desk.comment(first), desk.comment(second)]
    body = refusal(404, reason, "No.", domain="youtube.commentThread").body
    desk.standin.fail(Fault(what="status", status=404, body=body, path=THREADS))
    read = {comment.external_id for comment in comments} & desk.pull().keys()
    assert len(read) == 1
    assert desk.pages[-1].covered


def test_every_reply_is_read_however_many_there_are(desk: Desk) -> None:
    desk.standin.page_size_cap = 4
    video = desk.video()
    tops = [desk.comment(video, 2 * HOUR) for _ in range(3)]
    replies = [desk.comment(tops[1]) for _ in range(11)]
    got = desk.pull()
    assert got.keys() >= {reply.external_id for reply in replies}
    assert {got[reply.external_id].conversation_id for reply in replies} == {video.external_id}
    assert got[tops[1].external_id].metrics.replies == 11
    assert got[video.external_id].metrics.replies == 14


def test_many_replies_are_read_through_stop_after_stop(desk: Desk) -> None:
    desk.standin.page_size_cap = 2
    video = desk.video()
    posts = [desk.comment(video, 3 * HOUR) for _ in range(5)]
    posts += [desk.comment(top) for top in posts[:4] for _ in range(7)]
    got: set[str] = set()
    for _ in range(40):
        got |= desk.pull(pages=1).keys()
        if desk.pages[-1].covered:
            break
    assert got == {video.external_id, *(post.external_id for post in posts)}
    assert desk.pages[-1].covered


def test_a_thread_that_goes_while_its_replies_are_asked_for_is_left_out(desk: Desk) -> None:
    video = desk.video()
    top = desk.comment(video, 2 * HOUR)
    replies = {desk.comment(top).external_id for _ in range(8)}
    body = refusal(404, "commentNotFound", "No.", domain="youtube.comment").body
    desk.standin.fail(Fault(what="status", status=404, body=body, path="/comments$"))
    assert len(desk.pull().keys() & replies) == 5
    assert desk.pages[-1].covered


def test_a_quiet_video_costs_nothing(desk: Desk) -> None:
    desk.comment(desk.video())
    desk.pull()
    desk.step(HOUR)
    desk.pull()
    assert len(desk.asked("/commentThreads")) == 1


def test_a_busy_video_is_read_back_to_its_watermark(desk: Desk) -> None:
    desk.standin.page_size_cap = 5
    video = desk.video(40 * HOUR)
    for age in range(30):
        desk.comment(video, timedelta(hours=10 + age))
    desk.pull()
    asked = len(desk.asked("/commentThreads"))
    desk.step(3 * HOUR)
    fresh = [desk.comment(video) for _ in range(2)]
    got = desk.pull()
    assert {fresh[0].external_id, fresh[1].external_id} <= got.keys()
    assert len(desk.asked("/commentThreads")) - asked <= 2
    assert len(got) == 3


def test_a_new_reply_below_an_old_thread_is_found(desk: Desk) -> None:
    desk.standin.page_size_cap = 5
    video = desk.video(40 * HOUR)
    tops = [desk.comment(video, timedelta(hours=10 + age)) for age in range(30)]
    desk.pull()
    desk.step(3 * HOUR)
    reply = desk.comment(tops[-1])
    assert reply.external_id in desk.pull()


def test_a_comment_held_back_and_released_later_is_found(desk: Desk) -> None:
    video = desk.video(9 * DAY)
    desk.comment(video, 6 * DAY)
    desk.pull()
    desk.step(HOUR)
    released = desk.comment(video, 8 * DAY)
    assert released.external_id in desk.pull()
    assert len(desk.asked("/commentThreads")) == 3, "once to see that nothing new explains it, once for everything"


def test_a_removed_comment_does_not_hide_a_new_one_for_long(desk: Desk) -> None:
    desk.options = {"reread_every": "1d"}
    video = desk.video()
    old = desk.comment(video)
    desk.pull()
    desk.step(6 * HOUR)
    desk.remove(old)
    hidden = desk.comment(video, 5 * HOUR)
    assert hidden.external_id not in desk.pull(), "the count is what it was"
    desk.step(DAY)
    assert hidden.external_id in desk.pull()


def test_an_edit_is_noticed_when_everything_is_read_again(desk: Desk) -> None:
    video = desk.video(5 * DAY)
    comments = [desk.comment(video, 3 * DAY) for _ in range(3)]
    desk.pull()
    desk.step(DAY)
    edited_at = desk.clock.now() - HOUR
    desk.publish(replace(comments[1], edits=(Edit(at=edited_at, text="Better now."),)))
    got = desk.pull()
    assert (got[comments[1].external_id].text, got[comments[1].external_id].edited_at) == (
        "Better now.",
        edited_at,
    )


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_below_a_video_everything_is_read(desk: Desk, seed: int) -> None:
    """Comments, replies, removals and releases at random, stops and failures too: nothing is missing."""
    chance = random.Random(seed)
    desk.standin.page_size_cap = chance.choice([3, 7, 100])
    desk.standin.out_of_order = chance.random() < 0.5
    desk.standin.duplicates = chance.random() < 0.5
    posts: dict[str, Post] = {}
    got: dict[str, Mention] = {}
    for _ in range(30):
        desk.step(timedelta(hours=chance.randint(1, 9)))
        for _ in range(chance.randint(0, 6)):
            there = [post for post in posts.values() if not post.removed_at and post.kind is not Kind.REPLY]
            ago = timedelta(minutes=chance.choice([1, 1, 20, 3000]))
            under = chance.choice(there) if there and chance.random() < 0.9 else None
            fresh = desk.comment(under, ago) if under else desk.video(min(ago, HOUR))
            posts[fresh.external_id] = fresh
        leaves = posts.keys() - {post.parent_id for post in posts.values()}
        for identity in chance.sample(sorted(leaves), min(len(leaves), chance.choice([0, 0, 1]))):
            desk.remove(posts[identity])
            posts[identity] = replace(posts[identity], removed_at=desk.clock.now())
        if chance.random() < 0.2:
            desk.standin.fail(Fault(what="status", status=503, skip=chance.randint(0, 5)))
        try:
            got |= desk.pull(pages=chance.choice([None, None, 1, 4]))
        except RetryLater:
            got |= desk.got
        desk.standin.heal()
    desk.step(2 * DAY)
    got |= desk.pull()
    missing = {identity for identity, post in posts.items() if not post.removed_at} - got.keys()
    assert not missing
