"""What is peculiar to Reddit; what every connector owes is in the conformance suite."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from praw.config import Config
from pydantic import SecretStr, ValidationError

from connectors._reddit_items import name_pattern, read_listing, read_more, read_things, read_tree
from connectors._reddit_pull import time_filter
from connectors._reddit_threads import FOLLOWED_AT_MOST
from connectors.base import ConnectorSettings, Limits, Meter, Page, StreamSpec, Window
from connectors.reddit import RedditConnector, RedditOptions, normalise
from listener.clock import SteppedClock
from listener.errors import AuthError, ConfigError, QuotaExhausted, RetryLater, SkipItem
from listener.mention import Kind, Mention, Metrics
from listener.standins.posts import Edit, Post
from listener.standins.reddit import RedditStandin
from listener.standins.server import Fault

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NAMES = ("St. Elsewhere Hospital", "St. Elsewhere", "@StElsewhere")


class Reading:
    """The pages of one pull and the error that ended it, if any."""

    def __init__(self, pulling: Iterable[Page], at_most: int | None = None) -> None:
        self.pages: list[Page] = []
        self.error: Exception | None = None
        try:
            for page in pulling:
                self.pages.append(page)
                if len(self.pages) == at_most:
                    break
        except (AuthError, ConfigError, RetryLater) as error:
            self.error = error

    @property
    def cursor(self) -> dict[str, Any]:
        return json.loads(json.dumps(self.pages[-1].cursor))

    @property
    def mentions(self) -> dict[str, Mention]:
        return {mention.external_id: mention for page in self.pages for mention in page.mentions}

    @property
    def ids(self) -> set[str]:
        return {identity.split("_", 1)[1] for identity in self.mentions}

    @property
    def covered(self) -> list[tuple[datetime, datetime]]:
        return [page.covered for page in self.pages if page.covered]


class Site:
    """A Reddit of its own, and connectors to it."""

    def __init__(self) -> None:
        self.clock = SteppedClock(NOW)
        self.standin = RedditStandin(self.clock)
        self._connectors: list[RedditConnector] = []

    def connector(self) -> RedditConnector:
        connector = RedditConnector(
            ConnectorSettings(base_url=self.standin.base_url, timeout_seconds=5),
            {name: SecretStr(value) for name, value in self.standin.secrets.items()},
            clock=self.clock,
            user_agent="tests of the connector",
        )
        self._connectors.append(connector)
        return connector

    def pull(
        self,
        cursor: Mapping[str, Any] | None = None,
        window: Window | None = None,
        *,
        connector: RedditConnector | None = None,
        at_most: int | None = None,
        names: tuple[str, ...] = NAMES,
        **options: Any,
    ) -> Reading:
        stream = StreamSpec(
            organization="st-elsewhere",
            channel="reddit",
            kind="search",
            query='"St. Elsewhere"',
            options=RedditOptions(**options).model_dump(mode="json"),
            names=names,
        )
        connector = connector or self.connector()
        return Reading(connector.pull(stream, cursor or {}, window or Window(), Meter()), at_most)

    def asked(self, path: str = "") -> int:
        return sum(path in request.path for request in self.standin.requests)

    def step(self, by: timedelta) -> None:
        self.clock.step_to(self.clock.now() + by)

    def head(self, identity: str, *, ago: timedelta = HOUR, **fields: Any) -> Post:
        plain = Post(
            channel="reddit",
            external_id=f"t3_{identity}",
            kind=Kind.POST,
            published_at=self.clock.now() - ago,
            title=f"At St. Elsewhere ({identity})",
            text="Six hours.",
            author_id="river",
            community="hamilton",
            conversation_id=f"t3_{identity}",
            metrics=Metrics(likes=3),
        )
        post = replace(plain, **fields)
        self.standin.publish(post)
        return post

    def comment(self, identity: str, parent: Post, *, ago: timedelta = MINUTE, **fields: Any) -> Post:
        plain = Post(
            channel="reddit",
            external_id=f"t1_{identity}",
            kind=Kind.COMMENT if parent.kind is Kind.POST else Kind.REPLY,
            published_at=self.clock.now() - ago,
            text=f"Same here, {identity}.",
            author_id="ward",
            community=parent.community,
            parent_id=parent.external_id,
            conversation_id=parent.conversation_id,
        )
        post = replace(plain, **fields)
        self.standin.publish(post)
        return post

    def close(self) -> None:
        for connector in self._connectors:
            connector.close()
        self.standin.stop()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.standin.start()
    yield site
    site.close()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


# The options


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
    ("text", "is_named"),
    [
        ("at ST. ELSEWHERE again", True),
        ("(St.  Elsewhere\nHospital)", True),
        ("St. Elsewheres", False),
        ("ask @stelsewhere.", True),
        ("StElsewhere", True),
        ("MyStElsewhere", False),
        ("elsewhere", False),
        ("", False),
    ],
)
def test_a_comment_names_the_organization(text: str, is_named: bool) -> None:
    pattern = name_pattern(NAMES)
    assert pattern is not None
    assert bool(pattern.search(text)) is is_named


def test_no_names_name_nothing() -> None:
    assert name_pattern([" ", "@"]) is None


# One item


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
    assert mention.permalink == "https://www.reddit.com//evil.example"


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


# Subreddits


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


# Threads


def test_only_threads_with_other_comments_are_read_again(site: Site) -> None:
    # Too old for a later search to show them again.
    busy, quiet, _ = (site.head(name, ago=10 * DAY) for name in ("busy", "quiet", "lonely"))
    site.comment("c1", busy)
    site.comment("c2", quiet)
    first = site.pull(follow_days=30)
    assert first.ids == {"busy", "quiet", "lonely", "c1", "c2"}
    assert site.asked("/comments/") == 2
    site.step(DAY)
    site.comment("c3", busy)
    second = site.pull(first.cursor, follow_days=30)
    assert second.ids == {"busy", "c1", "c3"}
    assert second.mentions["t3_busy"].metrics.replies == 2
    assert site.asked("/comments/") == 3
    site.step(HOUR)
    assert site.pull(second.cursor, follow_days=30).ids == set()
    assert site.asked("/comments/") == 3


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


# Sweeps


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


def test_a_first_search_that_finds_nothing_covers_a_week(site: Site) -> None:
    assert site.pull().covered == [(NOW - 7 * DAY, NOW)]


# The wire


def test_a_used_up_rate_limit_is_waited_for_elsewhere(site: Site, naps: list[float]) -> None:
    for number in range(4):
        site.comment(f"c{number}", site.head(f"p{number}"))
    site.standin.requests_per_window = 3
    reading = site.pull()
    assert isinstance(reading.error, RetryLater)
    assert reading.error.at == NOW + 10 * MINUTE
    # The token, and the three that the limit holds: the one too many was never asked.
    assert site.asked() == 4
    assert naps == []
    site.clock.step_to(reading.error.at)
    site.standin.requests_per_window = 1000
    rest = site.pull(reading.cursor)
    assert reading.ids | rest.ids == {f"{kind}{number}" for kind in "pc" for number in range(4)}


def test_praw_does_not_pace_a_burst_by_sleeping(site: Site, naps: list[float]) -> None:
    for number in range(30):
        site.comment(f"c{number}", site.head(f"p{number}"))
    assert site.pull().error is None
    assert site.asked() > 30
    assert naps == []


def test_a_lone_failure_is_got_over_in_the_same_pull(site: Site, naps: list[float]) -> None:
    site.head("p1")
    site.standin.fail(Fault(what="status", status=503, path="/search"))
    site.standin.fail(Fault(what="reset", path="/api/info"))
    reading = site.pull()
    assert reading.error is None
    assert reading.ids == {"p1"}
    assert naps == [0.5, 0.5]


def test_a_token_that_runs_out_is_renewed(site: Site) -> None:
    connector = site.connector()
    site.head("p1")
    cursor = site.pull(connector=connector).cursor
    site.step(2 * DAY)
    site.head("p2")
    assert site.pull(cursor, connector=connector).ids >= {"p2"}
    site.standin.revoke_tokens()
    connector.check(Meter())
    assert site.asked("access_token") == 3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "invalid_grant"}, AuthError),
        ({"access_token": "x", "expires_in": "soon", "scope": "*"}, RetryLater),
        ({"access_token": "\u2603", "expires_in": 60, "scope": "*"}, RetryLater),
        ("not JSON", RetryLater),
    ],
)
def test_a_token_answer_without_a_token(site: Site, body: Any, expected: type[Exception]) -> None:
    site.standin.fail(Fault(what="replace", path="access_token", body=body, times=None))
    with pytest.raises(expected):
        site.connector().check(Meter())


def test_a_refused_token_without_a_challenge_is_no_bug(site: Site) -> None:
    site.standin.fail(
        Fault(what="status", status=401, path="/search", times=None, body={"message": "Unauthorized"})
    )
    assert isinstance(site.pull().error, AuthError)


@pytest.mark.parametrize("status", [204, 202])
def test_an_answer_without_content_is_no_answer(site: Site, status: int) -> None:
    site.standin.fail(Fault(what="status", status=status, path="/search", times=None, body=""))
    assert isinstance(site.pull().error, RetryLater)


def test_a_senseless_rate_limit_header_is_ignored(site: Site) -> None:
    headers = {"X-Ratelimit-Remaining": "few", "X-Ratelimit-Used": "many", "X-Ratelimit-Reset": "1e99"}
    listing = {"kind": "Listing", "data": {"children": [], "after": None}}
    site.standin.fail(
        Fault(what="status", status=200, times=None, path="^/(r|api/info)", headers=headers, body=listing)
    )
    assert site.pull().error is None


def test_no_praw_ini_and_no_variable_of_praws_is_heard(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = "reddit_url=http://127.0.0.1:9\noauth_url=http://127.0.0.1:9\nusername=somebody\npassword=x\n"
    (tmp_path / "praw.ini").write_text(f"[DEFAULT]\n{keys}[other]\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Config, "CONFIG", None)
    for name, value in {"site": "other", "username": "somebody", "password": "x", "refresh_token": "y"}.items():
        monkeypatch.setenv(f"praw_{name}", value)
    site.head("p1")
    assert site.pull().ids == {"p1"}
    assert {request.form["grant_type"] for request in site.standin.requests if request.form} == {
        "client_credentials"
    }


def test_without_a_base_url_it_is_reddit_itself_that_is_asked(site: Site) -> None:
    nothing_to_spend = Meter(Limits(requests=0))
    secrets = {name: SecretStr(value) for name, value in site.standin.secrets.items()}
    connector = RedditConnector(
        ConnectorSettings(), secrets, clock=site.clock, user_agent="tests of the connector"
    )
    with pytest.raises(QuotaExhausted):
        connector.check(nothing_to_spend)
    connector.close()


def test_threads_share_a_connector(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for number in range(20):
        site.comment(f"c{number}", site.head(f"p{number}"))
    connector = site.connector()
    readings: list[Reading] = []
    pulls = [threading.Thread(target=lambda: readings.append(site.pull(connector=connector))) for _ in range(4)]
    for pull in pulls:
        pull.start()
    for pull in pulls:
        pull.join()
    assert [len(reading.ids) for reading in readings] == [40] * 4
    assert caplog.text == ""


def test_a_recheck_that_knows_nothing_of_many_is_an_outage(site: Site) -> None:
    names = [f"t3_p{number}" for number in range(30)]
    with pytest.raises(RetryLater):
        list(site.connector().recheck(names, Meter()))
    site.head("p7")
    pages = list(site.connector().recheck(names, Meter()))
    kept = [mention.external_id for page in pages for mention in page.mentions if mention.removed_at is None]
    assert kept == ["t3_p7"]
    assert sum(len(page.mentions) for page in pages) == 30


def test_a_recheck_leaves_an_unreadable_item_as_it_is(site: Site) -> None:
    site.head("p1")

    def broken(body: Any) -> Any:
        body["data"]["children"][0]["data"]["title"] = 12
        return body

    site.standin.fail(Fault(what="change", path="/api/info", change=broken))
    (page,) = site.connector().recheck(["t3_p1"], Meter())
    assert page.mentions == ()
    assert [problem.external_id for problem in page.skipped] == ["t3_p1"]
