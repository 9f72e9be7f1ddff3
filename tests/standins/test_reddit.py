"""The Reddit stand-in, asked by praw's own objects: what praw makes of it is what it would make of Reddit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import praw
import prawcore
import pytest
import requests

from listener.clock import SteppedClock
from listener.mention import Kind, Metrics
from listener.standins.posts import Edit, Post
from listener.standins.reddit import RedditStandin, matcher
from listener.standins.server import Fault

# Late in the ten minutes of the rate limit, so that prawcore sees no reason to pace its requests.
NOW = datetime(2026, 11, 10, 15, 9, 50, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def standin() -> Iterator[RedditStandin]:
    with RedditStandin(SteppedClock(NOW)) as standin:
        yield standin


@pytest.fixture
def reddit(standin: RedditStandin) -> Iterator[praw.Reddit]:
    session = requests.Session()
    session.trust_env = False
    with session:
        yield praw.Reddit(
            "DEFAULT",
            **standin.secrets,
            user_agent="tests of the stand-in",
            reddit_url=standin.base_url,
            oauth_url=standin.base_url,
            check_for_updates=False,
            check_for_async=False,
            requestor_kwargs={"session": session},
        )


def head(identity: str = "head", *, ago: timedelta = 90 * MINUTE, **fields: Any) -> Post:
    plain = Post(
        channel="reddit",
        external_id=f"t3_{identity}",
        kind=Kind.POST,
        published_at=NOW - ago,
        title="Waiting at St. Elsewhere",
        text="Six hours & counting.",
        author_id="river",
        community="Hamilton",
        conversation_id=f"t3_{identity}",
        metrics=Metrics(likes=7),
    )
    return replace(plain, **fields)


def below(identity: str, parent: str, *, ago: timedelta = 30 * MINUTE, **fields: Any) -> Post:
    plain = Post(
        channel="reddit",
        external_id=f"t1_{identity}",
        kind=Kind.COMMENT if parent.startswith("t3_") else Kind.REPLY,
        published_at=NOW - ago,
        text=f"comment {identity}",
        author_id="ward",
        community="Hamilton",
        parent_id=parent,
        conversation_id="t3_head",
        metrics=Metrics(likes=2),
    )
    return replace(plain, **fields)


def heads(count: int) -> list[Post]:
    return [head(f"p{number}", ago=(count - number) * MINUTE) for number in range(count)]


def found(reddit: praw.Reddit, query: str = '"St. Elsewhere"', *, where: str = "all", **how: Any) -> list[str]:
    return [thing.fullname for thing in reddit.subreddit(where).search(query, sort="new", limit=None, **how)]


def test_a_search_pages_newest_first(standin: RedditStandin, reddit: praw.Reddit) -> None:
    standin.publish(*heads(230), head("other", title="Elsewhere else"))
    assert found(reddit) == [f"t3_p{number}" for number in reversed(range(230))]
    assert sum(request.path == "/r/all/search/" for request in standin.requests) == 3


def test_a_listing_ends_at_a_thousand(standin: RedditStandin, reddit: praw.Reddit) -> None:
    standin.publish(*heads(1005))
    assert len(found(reddit)) == 1000


def test_a_search_keeps_to_its_subreddit_and_its_time(standin: RedditStandin, reddit: praw.Reddit) -> None:
    standin.publish(head("old", ago=timedelta(days=3)), head("new"), head("away", community="Toronto"))
    assert found(reddit, where="hamilton") == ["t3_new", "t3_old"]
    assert found(reddit, where="hamilton", time_filter="day") == ["t3_new"]
    assert found(reddit, where="hamilton+toronto", time_filter="hour") == []
    assert len(found(reddit)) == 3


def test_a_search_matches_any_term_in_title_or_text() -> None:
    matches = matcher('"St. Elsewhere" OR (elsewhere AND ward) OR @StElsewhere OR ')
    assert matches("at ST. ELSEWHERE today")
    assert matches("ask @stelsewhere!")
    assert not matches("elsewhere")
    assert not matcher("")("anything")


def test_a_submission_has_what_reddit_gives(standin: RedditStandin, reddit: praw.Reddit) -> None:
    edit = Edit(at=NOW - 5 * MINUTE, text="Nine hours <now>.")
    standin.publish(head(edits=(edit,)), below("a", "t3_head"), head("link", text="", metrics=Metrics(replies=9)))
    link, submission = reddit.info(fullnames=["t3_link", "t3_head"])
    assert submission.title == "Waiting at St. Elsewhere"
    assert submission.selftext == "Nine hours <now>."
    assert submission.author.name == "river"
    assert submission.created_utc == (NOW - 90 * MINUTE).timestamp()
    assert submission.edited == edit.at.timestamp()
    assert (submission.score, submission.num_comments) == (7, 1)
    assert submission.permalink == "/r/Hamilton/comments/head/waiting_at_st_elsewhere/"
    assert submission.subreddit.display_name == "Hamilton"
    assert submission.is_self
    assert (link.is_self, link.selftext, link.num_comments, link.edited) == (False, "", 9, False)


def test_without_raw_json_texts_are_escaped(standin: RedditStandin, reddit: praw.Reddit) -> None:
    standin.publish(head(), below("a", "t3_head", text="a < b"))
    reddit.request(method="GET", path="api/info")
    token = next(request.headers["authorization"] for request in standin.requests if request.path == "/api/info")
    url = f"{standin.base_url}/comments/head.json"
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = token
        (above, tree), raw = session.get(url).json(), session.get(url, params={"raw_json": "1"}).json()
    assert above["data"]["children"][0]["data"]["selftext"] == "Six hours &amp; counting."
    assert tree["data"]["children"][0]["data"]["body"] == "a &lt; b"
    assert raw[0]["data"]["children"][0]["data"]["selftext"] == "Six hours & counting."


def test_comments_of_a_subreddit_come_newest_first(standin: RedditStandin, reddit: praw.Reddit) -> None:
    standin.publish(head(), below("a", "t3_head", ago=9 * MINUTE), below("b", "t1_a", ago=8 * MINUTE))
    standin.publish(below("c", "t3_gone", conversation_id="t3_gone", community="Toronto", ago=7 * MINUTE))
    hamilton = list(reddit.subreddit("hamilton").comments(limit=None))
    assert [comment.fullname for comment in hamilton] == ["t1_b", "t1_a"]
    assert hamilton[0].link_title == "Waiting at St. Elsewhere"
    assert hamilton[0].parent_id == "t1_a"
    assert [comment.fullname for comment in reddit.subreddit("all").comments(limit=1)] == ["t1_c"]


def thread(count: int) -> list[Post]:
    """A head, and comments of which each third answers the one before."""
    posts: list[Post] = [head()]
    for number in range(count):
        parent = f"t1_c{number - 1}" if number % 3 else "t3_head"
        posts.append(below(f"c{number}", parent, ago=(count - number) * timedelta(seconds=10)))
    return posts


@pytest.mark.parametrize("more_after", [None, 1, 4, 20])
@pytest.mark.parametrize("sort", ["new", "old"])
def test_praw_reads_every_comment_of_a_tree(
    standin: RedditStandin, reddit: praw.Reddit, more_after: int | None, sort: str
) -> None:
    standin.publish(*thread(40))
    standin.more_after = more_after
    submission = reddit.submission("head")
    submission.comment_sort = sort
    submission.comments.replace_more(limit=None)
    comments = submission.comments.list()
    assert sorted(comment.fullname for comment in comments) == sorted(f"t1_c{number}" for number in range(40))
    parents = {comment.fullname: comment.parent_id for comment in comments}
    assert parents["t1_c1"] == "t1_c0"
    assert parents["t1_c3"] == "t3_head"
    assert (len(standin.requests) > 2) == (more_after is not None)


def test_a_deep_thread_is_continued_elsewhere(standin: RedditStandin, reddit: praw.Reddit) -> None:
    chain = [below(f"c{number}", f"t1_c{number - 1}" if number else "t3_head") for number in range(25)]
    standin.publish(head(), *chain)
    submission = reddit.submission("head")
    submission.comments.replace_more(limit=None)
    assert len(submission.comments.list()) == 25
    assert any("/_/" in request.path for request in standin.requests)


def test_what_is_removed_leaves_the_listings_and_stays_as_a_mark(
    standin: RedditStandin, reddit: praw.Reddit
) -> None:
    gone = NOW - MINUTE
    standin.publish(head(removed_at=gone), below("a", "t3_head", removed_at=gone), below("b", "t1_a"))
    assert found(reddit) == []
    assert [comment.fullname for comment in reddit.subreddit("all").comments()] == ["t1_b"]
    submission, comment = reddit.info(fullnames=["t3_head", "t1_a"])
    assert submission.author is None
    assert submission.selftext in {"[deleted]", "[removed]"}
    assert submission.title == submission.selftext
    assert comment.author is None
    assert comment.body in {"[deleted]", "[removed]"}
    tree = reddit.submission("head").comments
    assert [comment.fullname for comment in tree.list()] == ["t1_a", "t1_b"]


def test_a_look_up_leaves_out_what_is_missing(standin: RedditStandin, reddit: praw.Reddit) -> None:
    standin.publish(*heads(3), head("future", ago=-MINUTE))
    names = ["t3_p2", "t3_never", "t1_never", "t3_future", "t3_p0"]
    assert [thing.fullname for thing in reddit.info(fullnames=names)] == ["t3_p2", "t3_p0"]


def test_pages_can_be_small_repeat_items_and_lose_their_order(standin: RedditStandin, reddit: praw.Reddit) -> None:
    standin.publish(*heads(12))
    plain = found(reddit)
    standin.page_size_cap = 5
    standin.duplicates = True
    repeated = found(reddit)
    assert len(repeated) == 14
    assert list(dict.fromkeys(repeated)) == plain
    standin.duplicates = False
    standin.out_of_order = True
    jumbled = found(reddit)
    assert jumbled != plain
    assert sorted(jumbled) == sorted(plain)


def test_nothing_comes_after_an_item_that_is_gone(standin: RedditStandin, reddit: praw.Reddit) -> None:
    standin.publish(*heads(5))
    assert len(found(reddit, params={"after": "t3_p3"})) == 3
    assert found(reddit, params={"after": "t3_gone"}) == []


def test_unknown_places_are_not_found(standin: RedditStandin, reddit: praw.Reddit) -> None:
    standin.publish(head())
    for path in ("comments/never", "comments/head/_/never", "r/hamilton/about", "user/river"):
        with pytest.raises(prawcore.NotFound):
            reddit.get(path)
    form = {"link_id": "t3_never", "children": "a"}
    assert reddit.post("api/morechildren/", data=form) == []


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
def test_a_bad_credential_is_refused(standin: RedditStandin, name: str) -> None:
    pair = {**standin.secrets, name: "wrong"}
    answer = requests.post(
        f"{standin.base_url}/api/v1/access_token",
        auth=(pair["client_id"], pair["client_secret"]),
        data={"grant_type": "client_credentials"},
        timeout=5,
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert answer.json() == {"message": "Unauthorized", "error": 401}


def test_an_unknown_grant_gets_no_token(standin: RedditStandin) -> None:
    pair = (standin.secrets["client_id"], standin.secrets["client_secret"])
    url = f"{standin.base_url}/api/v1/access_token"
    answer = requests.post(url, auth=pair, data={"grant_type": "password"}, timeout=5)
    assert answer.json() == {"error": "unsupported_grant_type"}


def test_a_token_is_good_for_a_day(standin: RedditStandin, reddit: praw.Reddit) -> None:
    url = f"{standin.base_url}/api/info"
    found(reddit)
    token = {"Authorization": standin.requests[-1].headers["authorization"]}
    assert requests.get(url, headers=token, timeout=5).status_code == 200
    standin.clock.step_to(NOW + timedelta(days=1))
    late = requests.get(url, headers=token, timeout=5)
    assert late.status_code == 401
    assert "invalid_token" in late.headers["www-authenticate"]


def test_the_rate_limit_is_told_and_kept_for_ten_minutes(standin: RedditStandin, reddit: praw.Reddit) -> None:
    standin.requests_per_window = 3
    reddit.request(method="GET", path="api/info")
    token = {"Authorization": standin.requests[-1].headers["authorization"]}
    answers = [requests.get(f"{standin.base_url}/api/info", headers=token, timeout=5) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    names = ("X-Ratelimit-Used", "X-Ratelimit-Remaining", "X-Ratelimit-Reset")
    assert [answers[1].headers[name] for name in names] == ["3", "0.0", "10"]
    standin.clock.step_to(NOW + timedelta(seconds=10))
    assert requests.get(f"{standin.base_url}/api/info", headers=token, timeout=5).status_code == 200


def test_revoked_tokens_are_renewed_by_praw(
    standin: RedditStandin, reddit: praw.Reddit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    standin.publish(*heads(2))
    found(reddit)
    standin.revoke_tokens()
    assert len(found(reddit)) == 2


def test_it_fails_as_it_is_told(standin: RedditStandin, reddit: praw.Reddit) -> None:
    standin.fail(Fault(what="status", path="/search", status=403, body={"reason": "private"}))
    with pytest.raises(prawcore.Forbidden):
        found(reddit)
    assert found(reddit) == []


def test_example_posts_are_of_every_kind_and_hang_together() -> None:
    posts = RedditStandin.example_posts(10, NOW)
    by_id = {post.external_id: post for post in posts}
    assert len(by_id) == 10
    assert {post.kind for post in posts} == {Kind.POST, Kind.COMMENT, Kind.REPLY}
    for post in posts:
        parent = by_id[post.parent_id] if post.parent_id else None
        assert (parent is None) == (post.kind is Kind.POST)
        if parent:
            assert parent.published_at < post.published_at
            assert parent.conversation_id == post.conversation_id
    assert not set(by_id) & {post.external_id for post in RedditStandin.example_posts(10, NOW + MINUTE)}
