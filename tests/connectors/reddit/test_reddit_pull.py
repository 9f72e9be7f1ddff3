"""Which listings a pull reads, how far, and what it says it has read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import Window
from listener.errors import AuthError, ConfigError
from listener.mention import Kind
from listener.standins.posts import Post
from listener.standins.server import Fault

if TYPE_CHECKING:
    from conftest import Site

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_named_subreddits_are_searched_and_their_comments_heard(site: Site) -> None:
    about = site.head("about", community="Hamilton")
    else_ = site.head("else", community="hamilton", title="Best parking?", text="Downtown.")
    site.comment("c1", about)
    site.comment("c2", else_, text="Anywhere but at St. Elsewhere!")
    site.comment("c3", else_, text="Not here.")
    away = site.head("away", community="Toronto")
    site.comment("c4", away)
    site.comment("c5", site.head("else2", community="ontario", title="x"), text="@StElsewhere is fine")
    reading = site.pull(subreddits=["Hamilton", "ontario"])
    assert reading.ids == {"about", "c1", "c2", "c5"}
    assert reading.mentions["t1_c5"].kind is Kind.COMMENT
    assert site.asked("/r/Hamilton/comments/") == 1


def test_everywhere_means_search_alone(site: Site) -> None:
    site.comment("c1", site.head("else", title="Parking"), text="Anywhere but at St. Elsewhere!")
    site.comment("c2", site.head("about", community="Toronto"))
    assert site.pull().ids == {"about", "c2"}
    assert site.asked("/r/all/comments") == 0


def test_without_a_name_no_subreddits_comments_are_read(site: Site) -> None:
    site.comment("c1", site.head("about"))
    assert site.pull(names=(), subreddits=["hamilton"]).ids == {"about", "c1"}
    assert site.asked("/r/hamilton/comments") == 0


@pytest.mark.parametrize("status", [302, 403, 404])
def test_one_of_several_subreddits_may_be_closed(
    site: Site, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    site.head("away", community="toronto")
    site.standin.fail(
        Fault(what="status", status=status, path="^/r/hamilton/", times=None, body={"reason": "private"})
    )
    reading = site.pull(subreddits=["hamilton", "toronto"])
    assert reading.error is None
    assert reading.ids == {"away"}
    assert [start < end for start, end in reading.covered] == [True]
    assert "r/hamilton is left out" in caplog.text
    site.standin.heal()
    site.head("home")
    assert site.pull(reading.cursor, subreddits=["hamilton", "toronto"]).ids >= {"home"}


def test_a_stream_of_which_nothing_can_be_read_says_so(site: Site) -> None:
    site.standin.fail(Fault(what="status", status=404, path="^/r/hamilton/", times=None))
    reading = site.pull(subreddits=["hamilton"])
    assert isinstance(reading.error, ConfigError)
    assert "/r/hamilton/search" in str(reading.error)


def test_an_application_that_may_not_search_at_all_needs_mending(site: Site) -> None:
    site.standin.fail(Fault(what="status", status=403, path="^/r/all/", times=None))
    assert isinstance(site.pull().error, AuthError)


def test_a_sweep_whose_place_is_gone_begins_again(site: Site) -> None:
    site.standin.page_size_cap = 4
    posts = [site.head(f"p{number}", ago=(20 - number) * MINUTE) for number in range(12)]
    before = site.pull(at_most=1)
    place = before.cursor["sweeps"]["search:all"]["pending"]["after"]
    gone = next(post for post in posts if post.external_id == place)
    site.standin.publish(replace(gone, removed_at=site.clock.now()))
    after = site.pull(before.cursor)
    assert before.ids | after.ids == {f"p{number}" for number in range(12)}


def test_an_empty_last_page_is_the_end(site: Site) -> None:
    site.head("p1")
    ended: list[str] = []

    def promise(body: Any) -> Any:
        body["data"]["after"] = "t3_gone" if body["data"]["children"] else None
        ended.append(body["data"]["after"])
        return body

    site.standin.fail(Fault(what="change", path="/search", times=None, change=promise))
    reading = site.pull()
    assert reading.error is None
    assert reading.ids == {"p1"}
    assert ended == ["t3_gone", None, "t3_gone", None]


def test_a_stopped_round_is_brought_to_its_end_first(site: Site) -> None:
    site.comment("c1", site.head("first"))
    stopped = site.pull(at_most=1)
    assert stopped.ids == {"first"}
    assert not stopped.covered
    site.step(DAY)
    site.head("second", ago=timedelta(0))
    rest = site.pull(stopped.cursor)
    assert rest.ids == {"first", "c1", "second"}
    assert [end for _, end in rest.covered] == [NOW, NOW + DAY]
    assert "done" not in rest.cursor


def test_a_listing_that_ends_too_early_leaves_a_gap(site: Site) -> None:
    site.head("old", ago=30 * MINUTE)
    cursor = site.pull(subreddits=["hamilton"]).cursor
    site.step(2 * DAY)
    talk = site.head("talk", title="Small talk", ago=DAY)
    comments = [
        Post(
            channel="reddit",
            external_id=f"t1_n{number}",
            kind=Kind.COMMENT,
            published_at=site.clock.now() - (1200 - number) * MINUTE,
            text="noise",
            author_id="x",
            community="hamilton",
            parent_id=talk.external_id,
            conversation_id=talk.external_id,
        )
        for number in range(1200)
    ]
    site.standin.publish(*comments)
    reading = site.pull(cursor, subreddits=["hamilton"])
    assert reading.covered == [(site.clock.now() - 1000 * MINUTE, site.clock.now())]
    site.step(HOUR)
    later = site.pull(reading.cursor, subreddits=["hamilton"])
    assert later.covered[0][0] <= site.clock.now() - HOUR
    assert later.covered[0][1] == site.clock.now()


def test_a_search_that_may_have_ended_too_early_claims_what_it_saw(site: Site) -> None:
    for number in range(210):
        site.head(f"p{number}", ago=(number + 1) * MINUTE)
    reading = site.pull(window=Window(since=NOW - 3 * DAY), follow_comments=False)
    assert len(reading.ids) == 210
    assert reading.covered == [(NOW - 210 * MINUTE, NOW)]
    few = site.pull(window=Window(since=NOW - 3 * DAY), subreddits=["elsewhere"])
    assert few.covered == [(NOW - 3 * DAY, NOW)]


def test_a_listing_begun_again_from_the_top_is_counted_from_the_top(site: Site) -> None:
    for number in range(210):
        site.head(f"p{number}", ago=(number + 1) * MINUTE)

    def endless(body: Any) -> Any:
        body["data"]["after"] = body["data"]["after"] or (body["data"]["children"] and "t3_gone") or None
        return body

    site.standin.fail(Fault(what="change", path="/search", times=None, change=endless))
    reading = site.pull(window=Window(since=NOW - 3 * DAY), follow_comments=False)
    assert reading.covered == [(NOW - 210 * MINUTE, NOW)]


def test_a_first_search_that_finds_nothing_covers_a_week(site: Site) -> None:
    assert site.pull().covered == [(NOW - 7 * DAY, NOW)]


def test_a_limited_pull_that_is_repeated_moves_on(site: Site) -> None:
    made = {f"p{number}" for number in range(30)}
    for number in range(30):
        site.head(f"p{number}", ago=MINUTE * number)
    cursor: dict[str, Any] = {}
    found: set[str] = set()
    for _ in range(3):
        reading = site.pull(cursor, Window(limit=10), at_most=1)
        found |= reading.ids
        assert len(reading.ids) == 10
        cursor = reading.cursor
    assert found == made
    assert site.asked("/search") == 3
