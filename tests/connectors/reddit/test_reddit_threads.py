"""Which threads are read, how whole, and for how long."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connectors._reddit_threads import FOLLOWED_AT_MOST
from connectors.base import Window
from listener.mention import Kind
from listener.standins.posts import Edit
from listener.standins.server import Fault

if TYPE_CHECKING:
    from conftest import Site

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_only_threads_with_other_comments_are_read_again(site: Site) -> None:
    # Too old for a later search to show them again.
    busy, quiet, _ = (site.head(name, ago=10 * DAY) for name in ("busy", "quiet", "lonely"))
    site.comment("c1", busy)
    site.comment("c2", quiet)
    first = site.pull(follow_days=30)
    assert first.ids == {"busy", "quiet", "lonely", "c1", "c2"}
    assert site.asked("/comments/") == 2
    site.step(23 * HOUR)
    site.comment("c3", busy)
    second = site.pull(first.cursor, follow_days=30)
    assert second.ids == {"busy", "c1", "c3"}
    assert second.mentions["t3_busy"].metrics.replies == 2
    assert site.asked("/comments/") == 3
    site.step(30 * MINUTE)
    assert site.pull(second.cursor, follow_days=30).ids == set()
    assert site.asked("/comments/") == 3


def test_a_removed_comment_does_not_hide_a_new_one_for_long(site: Site) -> None:
    """Reddit's number counts no comment that a moderator took away."""
    head = site.head("head", ago=2 * DAY)
    site.comment("c1", head)

    def one_comment(body: Any) -> Any:
        for child in body["data"]["children"]:
            child["data"]["num_comments"] = 1
        return body

    site.standin.fail(Fault(what="change", path="/search|/api/info", times=None, change=one_comment))
    cursor = site.pull().cursor
    site.comment("c2", head)
    site.step(23 * HOUR)
    hidden = site.pull(cursor)
    assert "c2" not in hidden.ids
    site.step(HOUR)
    found = site.pull(hidden.cursor)
    assert "c2" in found.ids
    asked = site.asked("/comments/")
    site.step(HOUR)
    site.pull(found.cursor)
    assert site.asked("/comments/") == asked


@pytest.mark.parametrize("more_after", [None, 1, 3, 7])
def test_every_comment_of_a_large_thread_comes_once(site: Site, more_after: int | None) -> None:
    site.standin.more_after = more_after
    parent = head = site.head("head")
    for number in range(30):
        parent = site.comment(f"c{number}", parent if number % 14 else head, ago=(40 - number) * MINUTE)
    reading = site.pull()
    assert reading.ids == {"head", *(f"c{number}" for number in range(30))}
    assert reading.mentions["t1_c1"].kind is Kind.REPLY
    assert reading.mentions["t1_c1"].parent_external_id == "t1_c0"
    given = [
        mention.external_id for page in reading.pages for mention in page.mentions if mention.kind is not Kind.POST
    ]
    assert len(given) == len(set(given))
    assert site.asked("/_/" if more_after is None else "morechildren") > 0


def test_a_thread_that_never_ends_is_left_with_a_word(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    head = site.head("head")
    site.comment("c1", head)
    site.comment("c2", head)
    site.standin.more_after = 1
    numbers = iter(range(10**6))

    def endless(_: Any) -> Any:
        more = {"parent_id": "t3_head", "children": [f"x{next(numbers)}"]}
        return {"json": {"data": {"things": [{"kind": "more", "data": more}]}}}

    site.standin.fail(Fault(what="change", path="morechildren", times=None, change=endless))
    reading = site.pull()
    assert reading.error is None
    assert len(reading.ids) == 2
    assert "more comments than are read at once" in caplog.text


def test_a_list_that_leads_to_itself_is_asked_for_once(site: Site) -> None:
    head = site.head("head")
    site.comment("c1", head)
    site.comment("c2", head)
    site.standin.more_after = 1
    same = {"kind": "more", "data": {"parent_id": "t3_head", "children": ["x"]}}
    answer = {"json": {"data": {"things": [same]}}}
    site.standin.fail(Fault(what="replace", path="morechildren", times=None, body=answer))
    assert site.pull().error is None
    assert site.asked("morechildren") == 2


def test_a_thread_is_followed_for_some_days(site: Site) -> None:
    head = site.head("head")
    cursor = site.pull(follow_days=2).cursor
    site.step(DAY)
    site.comment("c1", head)
    second = site.pull(cursor, follow_days=2)
    assert second.ids == {"head", "c1"}
    site.step(DAY)
    site.comment("c2", head)
    third = site.pull(second.cursor, follow_days=2)
    # The day it falls due it is read a last time.
    assert third.ids == {"head", "c1", "c2"}
    assert "followed" not in third.cursor
    site.comment("c3", head, ago=timedelta(0))
    assert site.pull(third.cursor, follow_days=2).ids == set()


def test_an_old_thread_that_is_found_only_now_is_read_once(site: Site) -> None:
    head = site.head("head", ago=60 * DAY)
    site.comment("c1", head, ago=59 * DAY)
    reading = site.pull()
    assert reading.ids == {"head", "c1"}
    assert "followed" not in reading.cursor


def test_comments_need_not_be_followed(site: Site) -> None:
    site.comment("c1", site.head("head"))
    assert site.pull(follow_comments=False).ids == {"head"}
    assert site.asked("/comments/") == site.asked("/api/info") == 0


def test_a_followed_submission_that_changes_is_told_again(site: Site) -> None:
    edited, removed, vanished, kept = (
        site.head(name, ago=10 * DAY) for name in ("edited", "removed", "vanished", "kept")
    )
    cursor = site.pull(follow_days=30).cursor
    site.step(DAY)
    site.standin.publish(
        replace(edited, edits=(Edit(at=site.clock.now(), text="Seven hours."),)),
        replace(removed, removed_at=site.clock.now()),
        replace(vanished, published_at=site.clock.now() + DAY),
    )
    reading = site.pull(cursor, follow_days=30)
    assert reading.ids == {"edited", "removed", "vanished"}
    assert reading.mentions["t3_edited"].text.endswith("Seven hours.")
    assert reading.mentions["t3_removed"].removed_at == site.clock.now()
    assert reading.mentions["t3_vanished"].removed_at == site.clock.now()
    assert reading.mentions["t3_vanished"].published_at == vanished.published_at
    assert reading.cursor["followed"].keys() == {edited.external_id, kept.external_id}


def test_the_last_comments_of_a_removed_submission_are_read(site: Site) -> None:
    head = site.head("head")
    cursor = site.pull().cursor
    site.step(HOUR)
    site.comment("c1", head)
    site.standin.publish(replace(head, removed_at=site.clock.now()))
    second = site.pull(cursor)
    assert second.mentions["t3_head"].removed_at
    assert second.mentions["t1_c1"].text
    third = site.pull(second.cursor)
    assert third.ids == {"head"}
    assert "followed" not in third.cursor


def test_an_unreadable_submission_goes_on_being_followed(site: Site) -> None:
    head = site.head("head")
    cursor = site.pull().cursor
    site.step(DAY)
    site.comment("c1", head)

    def broken(body: Any) -> Any:
        for child in body["data"]["children"]:
            child["data"]["created_utc"] = "never"
        return body

    site.standin.fail(Fault(what="change", path="/api/info", change=broken))
    reading = site.pull(cursor)
    assert [problem.external_id for page in reading.pages for problem in page.skipped] == ["t3_head"]
    assert site.pull(reading.cursor).ids == {"head", "c1"}


def test_a_closed_thread_is_left_out_and_the_others_are_read(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("open", "closed"):
        site.comment(f"in_{name}", site.head(name))
    site.standin.fail(Fault(what="status", status=403, path="^/comments/closed", times=None))
    reading = site.pull()
    assert reading.error is None
    assert reading.ids == {"open", "closed", "in_open"}
    assert "the comments of t3_closed are left out" in caplog.text
    assert site.asked("/comments/closed") == 1
    site.pull(reading.cursor)
    assert site.asked("/comments/closed") == 1


def test_no_more_threads_are_followed_than_the_cursor_may_hold(site: Site) -> None:
    for number in range(FOLLOWED_AT_MOST + 20):
        site.head(f"p{number}", ago=(number + 1) * MINUTE)
    reading = site.pull()
    assert len(reading.mentions) == FOLLOWED_AT_MOST + 20
    assert len(reading.cursor["followed"]) == FOLLOWED_AT_MOST
    assert "t3_p0" in reading.cursor["followed"]
    assert len(json.dumps(reading.cursor)) < 32 * 1024


def test_comments_after_a_window_are_read_by_the_next_pull(site: Site) -> None:
    head = site.head("head", ago=9 * HOUR)
    site.comment("before", head, ago=8 * HOUR)
    site.comment("after", head, ago=HOUR)
    first = site.pull(window=Window(NOW - DAY, NOW - 2 * HOUR))
    assert first.ids == {"head", "before"}
    assert first.covered == [(NOW - DAY, NOW - 2 * HOUR)]
    assert site.pull(first.cursor).ids >= {"after"}
