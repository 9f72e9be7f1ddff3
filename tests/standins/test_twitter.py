"""The X stand-in speaks as X does, seen through plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from listener.clock import SteppedClock
from listener.mention import Kind, Metrics
from listener.standins.posts import Edit, Post
from listener.standins.tweets import EPOCH, snowflake
from listener.standins.twitter import TwitterStandin

NOW = datetime(2026, 11, 10, 15, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
SEARCH = "/2/tweets/search/recent"
EVERYTHING = (
    "created_at,author_id,conversation_id,lang,note_tweet,public_metrics,referenced_tweets,"
    "in_reply_to_user_id,edit_history_tweet_ids,edit_controls,entities,withheld"
)


class X:
    """The stand-in, and a way to ask it."""

    def __init__(self, standin: TwitterStandin, clock: SteppedClock) -> None:
        self.standin = standin
        self.clock = clock

    def get(
        self, path: str, *, token: str = TwitterStandin.secrets["bearer_token"], **query: Any
    ) -> requests.Response:
        params = {name.replace("__", "."): value for name, value in query.items()}
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(self.standin.base_url + path, params=params, headers=headers, timeout=5)

    def search(self, query: str = '"St. Elsewhere"', **more: Any) -> Any:
        response = self.get(SEARCH, query=query, **more)
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, path: str = SEARCH, **query: Any) -> tuple[str, str]:
        """The parameter that X names, and what it says of it."""
        response = self.get(path, **({"query": "x"} | query if path == SEARCH else query))
        assert response.status_code == 400
        body = response.json()
        assert body["title"] == "Invalid Request"
        [error] = body["errors"]
        [name] = error["parameters"]
        return name, error["message"]


@pytest.fixture
def x() -> Iterator[X]:
    clock = SteppedClock(NOW)
    with TwitterStandin(clock) as standin:
        yield X(standin, clock)


def publish(x: X, count: int, start: datetime = NOW - DAY, **changes: Any) -> list[Post]:
    made = [replace(post, **changes) for post in TwitterStandin.example_posts(count, start, MINUTE)]
    x.standin.publish(*made)
    return made


def ids(answer: Any) -> list[str]:
    return [tweet["id"] for tweet in answer.get("data", [])]


def test_ids_are_snowflakes() -> None:
    assert snowflake(NOW) >> 22 == int(NOW.timestamp() * 1000) - EPOCH
    assert snowflake(datetime(1999, 1, 1, tzinfo=UTC)) == 0


def test_search_pages_newest_first_with_counts_and_bounds(x: X) -> None:
    made = [post.external_id for post in publish(x, 25)][::-1]
    first = x.search(max_results=10)
    assert ids(first) == made[:10]
    assert {name: first["meta"][name] for name in ("newest_id", "oldest_id", "result_count")} == {
        "newest_id": made[0],
        "oldest_id": made[9],
        "result_count": 10,
    }
    second = x.search(max_results=10, next_token=first["meta"]["next_token"])
    last = x.search(max_results=10, next_token=second["meta"]["next_token"])
    assert ids(second) + ids(last) == made[10:]
    assert "next_token" not in last["meta"]


def test_nothing_found_is_an_answer_without_data(x: X) -> None:
    assert x.search() == {"meta": {"result_count": 0}}


def test_a_token_goes_on_where_it_stood_when_something_new_comes(x: X) -> None:
    made = [post.external_id for post in publish(x, 20)][::-1]
    first = x.search(max_results=10)
    publish(x, 3, NOW - MINUTE * 5)
    assert ids(x.search(max_results=10, next_token=first["meta"]["next_token"])) == made[10:]


def test_ids_and_times_bound_a_search(x: X) -> None:
    made = publish(x, 10)
    names = [post.external_id for post in made][::-1]
    assert ids(x.search(since_id=made[3].external_id)) == names[:6]
    assert ids(x.search(until_id=made[3].external_id)) == names[7:]
    third = made[3].published_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ids(x.search(start_time=third)) == names[:7]
    assert ids(x.search(end_time=third)) == names[7:]


def test_search_gives_seven_days_and_nothing_of_the_future(x: X) -> None:
    publish(x, 2, NOW - 8 * DAY)
    publish(x, 2, NOW + DAY)
    recent = publish(x, 1, NOW - 6 * DAY)
    assert ids(x.search()) == [recent[0].external_id]


@pytest.mark.parametrize(
    ("query", "parameter", "said"),
    [
        ({"query": ""}, "query", "512"),
        ({"query": "x" * 513}, "query", "512"),
        ({"max_results": 9}, "max_results", "between 10 and 100"),
        ({"max_results": 101}, "max_results", "between 10 and 100"),
        ({"max_results": "many"}, "max_results", "between"),
        ({"sort_order": "oldest"}, "sort_order", "not valid"),
        ({"since_id": "abc"}, "since_id", "not valid"),
        ({"until_id": "9" * 20}, "until_id", "not valid"),
        ({"since_id": snowflake(NOW - 7 * DAY) - 1}, "since_id", "created after 2026-11-03T15:07Z"),
        ({"start_time": "2026-11-03T15:06:59Z"}, "start_time", "seven days"),
        ({"start_time": "yesterday"}, "start_time", "not valid"),
        ({"end_time": "2026-11-10T15:06:51Z"}, "end_time", "10 seconds"),
        ({"since_id": snowflake(NOW), "end_time": "2026-11-10T12:00:00Z"}, "since_id", "in conjunction with"),
        ({"next_token": "b26"}, "next_token", "Invalid"),
    ],
)
def test_what_x_refuses(x: X, query: dict[str, Any], parameter: str, said: str) -> None:
    name, message = x.refused(**query)
    assert name == parameter
    assert said in message


def test_a_token_is_good_for_its_own_query_and_for_its_time(x: X) -> None:
    publish(x, 15)
    x.standin.token_life = timedelta(hours=1)
    token = x.search(max_results=10)["meta"]["next_token"]
    assert x.refused(query="other", next_token=token)[0] == "next_token"
    x.clock.step_to(NOW + timedelta(hours=1))
    assert len(ids(x.search(max_results=10, next_token=token))) == 5
    x.clock.step_to(NOW + timedelta(hours=1, seconds=1))
    assert x.refused(query='"St. Elsewhere"', next_token=token)[0] == "next_token"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('"st. elsewhere"', True),
        ('"Mercy General" OR "St. Elsewhere"', True),
        ("(@StElsewhere OR #StElsewhere) lang:en -is:retweet", True),
        ('nurses "St. Elsewhere"', True),
        ('doctors "St. Elsewhere"', False),
        ("Elsewhere St.", True),
        ("Mercy", False),
        ("-is:retweet", False),
    ],
)
def test_a_query_is_read_simply(x: X, query: str, found: bool) -> None:
    publish(x, 1, text="The nurses at St. Elsewhere, @StElsewhere")
    assert bool(ids(x.search(query))) is found


def test_only_the_fields_that_were_asked_for_are_sent(x: X) -> None:
    [post] = publish(x, 1)
    [plain] = x.search()["data"]
    assert plain.keys() == {"id", "text", "edit_history_tweet_ids"}
    assert plain["text"] == post.text.replace("&", "&amp;")
    [asked] = x.search(tweet__fields="created_at,lang")["data"]
    assert asked["created_at"] == "2026-11-09T15:07:00.000Z"
    assert asked["lang"] == "en"
    assert "author_id" not in asked


def test_a_reply_with_everything(x: X) -> None:
    head, _, reply = TwitterStandin.example_posts(3, NOW - DAY, MINUTE)
    reply = replace(
        reply,
        text="@visitor1 St. Elsewhere #waiting <3",
        parent_id=head.external_id,
        conversation_id=head.external_id,
        metrics=Metrics(likes=20, replies=3, shares=9, views=400),
        language=None,
    )
    x.standin.publish(head, reply)
    [sent, _] = x.search(tweet__fields=EVERYTHING)["data"]
    assert sent == {
        "id": reply.external_id,
        "text": "@visitor1 St. Elsewhere #waiting &lt;3",
        "edit_history_tweet_ids": [reply.external_id],
        "created_at": "2026-11-09T15:09:00.000Z",
        "author_id": reply.author_id,
        "conversation_id": head.external_id,
        "lang": "und",
        "edit_controls": {
            "edits_remaining": 5,
            "is_edit_eligible": False,
            "editable_until": "2026-11-09T15:39:00.000Z",
        },
        "public_metrics": {
            "retweet_count": 7,
            "reply_count": 3,
            "like_count": 20,
            "quote_count": 2,
            "bookmark_count": 2,
            "impression_count": 400,
        },
        "referenced_tweets": [{"type": "replied_to", "id": head.external_id}],
        "in_reply_to_user_id": head.author_id,
        "entities": {
            "mentions": [{"start": 0, "end": 9, "username": "visitor1"}],
            "hashtags": [{"start": 24, "end": 32, "tag": "waiting"}],
        },
    }


def test_what_the_platform_does_not_know_is_left_out(x: X) -> None:
    publish(x, 1, author_id=None, metrics=Metrics(), parent_id="20", kind=Kind.REPLY, text="St. Elsewhere")
    [sent] = x.search(tweet__fields=EVERYTHING)["data"]
    assert not sent.keys() & {"author_id", "public_metrics", "in_reply_to_user_id", "entities", "note_tweet"}


def test_a_long_post_is_cut_and_stands_whole_in_its_note(x: X) -> None:
    text = "St. Elsewhere & " + "so much to say " * 30
    publish(x, 1, text=text)
    [sent] = x.search(tweet__fields="note_tweet")["data"]
    assert sent["note_tweet"]["text"] == text.replace("&", "&amp;")
    assert sent["text"].endswith("…")
    assert len(sent["text"]) <= 280 + len("amp;")


def test_the_new_names_of_fields_are_taken_and_sent(x: X) -> None:
    x.standin.renamed_fields = True
    [post] = publish(x, 1, parent_id="20", kind=Kind.REPLY)
    [sent] = x.search(post__fields="referenced_posts")["data"]
    assert sent["edit_history_post_ids"] == [post.external_id]
    assert sent["referenced_posts"] == [{"type": "replied_to", "id": "20"}]
    assert not sent.keys() & {"edit_history_tweet_ids", "referenced_tweets"}


def test_an_edit_is_a_new_post_and_the_old_version_is_shown_to_who_asks_for_it(x: X) -> None:
    [post] = publish(x, 1, edits=(Edit(at=NOW - 2 * MINUTE, text="St. Elsewhere, edited"),))
    other = publish(x, 1, NOW - 10 * MINUTE)[0]
    newest, _ = x.search(tweet__fields="created_at,edit_controls")["data"]
    assert newest["edit_history_tweet_ids"] == [post.external_id, newest["id"]]
    assert int(newest["id"]) > int(other.external_id)
    assert newest["created_at"] == "2026-11-10T15:05:00.000Z"
    assert newest["text"] == "St. Elsewhere, edited"
    assert newest["edit_controls"]["edits_remaining"] == 4
    answer = x.get("/2/tweets", ids=f"{post.external_id},{newest['id']}").json()
    assert [tweet["text"] for tweet in answer["data"]] == [
        post.text.replace("&", "&amp;"),
        "St. Elsewhere, edited",
    ]
    assert "errors" not in answer


def test_look_up_names_what_is_gone_beside_what_is_there(x: X) -> None:
    there, gone = publish(x, 2)
    x.standin.publish(replace(gone, removed_at=NOW))
    assert gone.external_id not in ids(x.search())
    answer = x.get("/2/tweets", ids=f"{there.external_id},{gone.external_id},20").json()
    assert ids(answer) == [there.external_id]
    assert [(error["value"], error["title"]) for error in answer["errors"]] == [
        (gone.external_id, "Not Found Error"),
        ("20", "Not Found Error"),
    ]
    assert "data" not in x.get("/2/tweets", ids="20").json()


@pytest.mark.parametrize("asked", ["", "abc", "1,", ",".join(map(str, range(1, 102)))])
def test_look_up_takes_up_to_a_hundred_ids(x: X, asked: str) -> None:
    assert x.refused("/2/tweets", ids=asked)[0] == "ids"


def test_mentions_of_an_account_are_the_last_800(x: X) -> None:
    x.standin.accounts["1234"] = "StElsewhere"
    made = [post.external_id for post in publish(x, 820, NOW - 9 * DAY, text="Hello @stelsewhere!")][::-1]
    publish(x, 3, NOW - 2 * DAY, text="@StElsewhereNews, me@StElsewhere and StElsewhere")
    read: list[str] = []
    query: dict[str, Any] = {"max_results": 100}
    for _ in range(8):
        answer = x.get("/2/users/1234/mentions", **query).json()
        read += ids(answer)
        query["pagination_token"] = answer["meta"].get("next_token")
    assert read == made[:800]
    assert query["pagination_token"] is None
    assert x.refused("/2/users/1234/mentions", max_results=4)[0] == "max_results"


def test_an_account_is_known_by_what_it_posted_or_not_at_all(x: X) -> None:
    publish(x, 1, author_id="77", author_handle="Visitor")
    publish(x, 1, NOW - MINUTE, text="cc @visitor")
    assert len(ids(x.get("/2/users/77/mentions").json())) == 1
    unknown = x.get("/2/users/78/mentions")
    assert unknown.status_code == 200
    assert unknown.json()["errors"][0]["resource_type"] == "user"


def test_a_bad_token_and_an_unknown_path(x: X) -> None:
    refused = x.get(SEARCH, token="wrong", query="x")
    assert (refused.status_code, refused.json()["title"]) == (401, "Unauthorized")
    assert x.get("/2/lists/1").status_code == 404


def test_requests_are_counted_by_windows_of_the_clock(x: X) -> None:
    x.standin.limits["search"] = 2
    left = [x.get(SEARCH, query="x").headers["x-rate-limit-remaining"] for _ in range(2)]
    assert left == ["1", "0"]
    over = x.get(SEARCH, query="x")
    assert (over.status_code, over.headers["x-rate-limit-limit"]) == (429, "2")
    reset = datetime.fromtimestamp(int(over.headers["x-rate-limit-reset"]), UTC)
    assert reset == datetime(2026, 11, 10, 15, 15, tzinfo=UTC)
    assert x.get("/2/tweets", ids="20").status_code == 200
    x.clock.step_to(reset)
    assert x.get(SEARCH, query="x").status_code == 200


def test_a_month_has_a_cap_that_is_told_without_its_end(x: X) -> None:
    publish(x, 12)
    x.standin.monthly_cap = 10
    assert len(ids(x.search(max_results=10))) == 10
    capped = x.get(SEARCH, query="x")
    assert (capped.status_code, capped.json()["title"]) == (429, "UsageCapExceeded")
    assert "x-rate-limit-reset" not in capped.headers
    assert x.get("/2/usage/tweets").json()["data"]["project_usage"] == "10"
    x.clock.step_to(datetime(2026, 12, 1, tzinfo=UTC))
    assert x.get(SEARCH, query="x").status_code == 200


def test_disorder_and_repetition_can_be_had(x: X) -> None:
    made = [post.external_id for post in publish(x, 20)][::-1]
    x.standin.page_size_cap = 8
    x.standin.out_of_order = True
    first = x.search(max_results=100)
    assert sorted(ids(first)) == sorted(made[:8])
    assert ids(first) != made[:8]
    x.standin.out_of_order, x.standin.duplicates = False, True
    again = x.search(max_results=100, next_token=first["meta"]["next_token"])
    assert ids(again) == made[7:16]
