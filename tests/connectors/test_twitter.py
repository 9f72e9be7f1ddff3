"""What is peculiar to X: ids that tell time, money, page tokens that expire, edits that are new posts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors._x_posts import id_at, moment_of
from connectors._x_sweep import Position, Sweep
from connectors._x_transport import Refused, Transport, refusal
from connectors.base import Limits, Meter, Page, StreamSpec, Window
from connectors.twitter import BARREN_PAGES, TwitterConnector, TwitterOptions, TwitterSettings, normalise
from listener.clock import Clock, SteppedClock
from listener.errors import AuthError, ConfigError, ListenerError, QuotaExhausted, RetryLater, SkipItem
from listener.mention import Kind, Mention
from listener.standins.posts import Edit, Post
from listener.standins.server import Fault
from listener.standins.twitter import TwitterStandin

NOW = datetime(2026, 11, 10, 15, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
TOKEN = TwitterStandin.secrets["bearer_token"]
SEARCH = StreamSpec(organization="st-elsewhere", channel="twitter", kind="search", query='"St. Elsewhere"')
MENTIONS = replace(SEARCH, kind="mentions", query="", own_accounts=("@StElsewhere", "1234"))
Connect = Callable[..., TwitterConnector]


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOW)


@pytest.fixture
def standin(clock: SteppedClock) -> Iterator[TwitterStandin]:
    with TwitterStandin(clock) as standin:
        standin.accounts["1234"] = "StElsewhere"
        standin.page_size_cap = 10
        yield standin


@pytest.fixture
def connect(standin: TwitterStandin, clock: SteppedClock) -> Iterator[Connect]:
    made: list[TwitterConnector] = []

    def make(*, token: str = TOKEN, clock: Clock = clock, **keys: Any) -> TwitterConnector:
        settings = TwitterSettings(**{"base_url": standin.base_url, "timeout_seconds": 0.5} | keys)
        made.append(
            TwitterConnector(settings, {"bearer_token": SecretStr(token)}, clock=clock, user_agent="listener-test")
        )
        return made[-1]

    yield make
    for connector in made:
        connector.close()


def posts(count: int, start: datetime, step: timedelta = MINUTE, *, text: str | None = None) -> list[Post]:
    made = TwitterStandin.example_posts(count, start, step)
    return [replace(post, text=text) for post in made] if text else made


def found(pages: list[Page]) -> dict[str, Mention]:
    return {mention.external_id: mention for page in pages for mention in page.mentions}


def ids(made: list[Post]) -> set[str]:
    return {post.external_id for post in made}


def pull(
    connector: TwitterConnector,
    cursor: Mapping[str, Any] | None = None,
    window: Window | None = None,
    *,
    stream: StreamSpec = SEARCH,
    meter: Meter | None = None,
    pages: int | None = None,
) -> list[Page]:
    pulling = connector.pull(stream, cursor or {}, window or Window(), meter or Meter())
    if pages is None:
        return list(pulling)
    return [next(pulling) for _ in range(pages)]


def pull_until_error(
    connector: TwitterConnector, *, meter: Meter | None = None
) -> tuple[list[Page], ListenerError | None]:
    """What came before the error, and the error."""
    pages: list[Page] = []
    try:
        for page in connector.pull(SEARCH, {}, Window(), meter or Meter()):
            pages.append(page)  # noqa: PERF402 - list() would lose what came before the error
    except ListenerError as error:
        return pages, error
    return pages, None


def test_an_id_tells_when_it_was_given_and_a_moment_which_ids_were_not_yet() -> None:
    assert moment_of(id_at(NOW)) == NOW
    assert moment_of(id_at(NOW) - 1) < NOW
    assert id_at(datetime(2009, 1, 1, tzinfo=UTC)) == 0


@given(st.datetimes(datetime(2010, 11, 5), datetime(2060, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis asks for naive bounds
def test_ids_and_moments_agree_to_the_millisecond(moment: datetime) -> None:
    assert timedelta() <= moment - moment_of(id_at(moment)) < timedelta(milliseconds=1)


@given(
    st.lists(st.lists(st.integers(1, 10**19 - 1), max_size=4), max_size=5),
    st.one_of(st.none(), st.integers(1, 10**19 - 1)),
)
def test_a_position_survives_its_cursor(read: list[list[int]], watermark: int | None) -> None:
    sweep = Sweep(low=watermark, high=None, reads_from=NOW - WEEK, reads_to=NOW, until=NOW)
    for number, page in enumerate(read):
        sweep = sweep.after(page, f"token {number}")
    position = Position(watermark=watermark, sweep=sweep)
    assert Position.read(position.to_cursor()) == position
    everything = [identity for page in read for identity in page]
    assert (sweep.newest, sweep.oldest) == (max(everything, default=None), min(everything, default=None))
    assert sweep.without_token().high == sweep.oldest


def test_a_day_of_x_is_a_utc_day_and_holds_the_budget() -> None:
    settings = TwitterSettings(daily_budget_usd=5.0, daily_posts=700, daily_requests=90)
    limits, began, ends = TwitterConnector.budget(settings, NOW)
    assert limits == Limits(requests=90, posts_read=700, cost_microusd=5_000_000)
    assert (began, ends) == (datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 11, tzinfo=UTC))
    assert TwitterConnector.budget(TwitterSettings(), NOW)[0] == Limits(cost_microusd=5_000_000)


def test_posts_read_are_counted_at_their_price(standin: TwitterStandin, connect: Connect) -> None:
    standin.publish(*posts(25, NOW - HOUR, text="@StElsewhere: St. Elsewhere kept us waiting"))
    searched, mentioned = Meter(), Meter()
    pull(connect(), meter=searched)
    pull(connect(), stream=MENTIONS, meter=mentioned)
    assert (searched.usage.posts_read, searched.usage.cost_microusd) == (25, 125_000)
    assert (mentioned.usage.posts_read, mentioned.usage.cost_microusd) == (25, 25_000)
    assert (searched.usage.requests, searched.usage.searches) == (3, 3)
    assert (mentioned.usage.requests, mentioned.usage.searches) == (3, 0)


def test_a_spent_budget_stops_between_pages_and_the_rest_comes_the_next_day(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    made = posts(30, NOW - HOUR)
    standin.publish(*made)
    limits, _, resets_at = TwitterConnector.budget(TwitterSettings(daily_budget_usd=0.1), NOW)
    read, error = pull_until_error(connect(), meter=Meter(limits, resets_at=resets_at))
    assert isinstance(error, QuotaExhausted)
    assert error.at == resets_at
    assert len(found(read)) == 20
    clock.step_to(resets_at)
    assert found(read) | found(pull(connect(), read[-1].cursor)) == found(pull(connect()))


@pytest.mark.parametrize(("budget", "asked"), [(0.30, [60]), (0.53, [100]), (1.0, [100, 100])])
def test_a_page_is_no_larger_than_what_the_budget_pays_for(
    standin: TwitterStandin, connect: Connect, budget: float, asked: list[int]
) -> None:
    standin.page_size_cap = None
    standin.publish(*posts(300, NOW - 6 * HOUR))
    meter = Meter(TwitterConnector.budget(TwitterSettings(daily_budget_usd=budget), NOW)[0])
    read, error = pull_until_error(connect(), meter=meter)
    assert isinstance(error, QuotaExhausted)
    assert [int(request.query["max_results"]) for request in standin.requests] == asked
    assert len(found(read)) == sum(asked)
    assert meter.usage.cost_microusd <= budget * 1_000_000


def test_a_look_up_takes_no_more_posts_than_the_budget_holds(standin: TwitterStandin, connect: Connect) -> None:
    made = posts(30, NOW - HOUR)
    standin.publish(*made)
    meter = Meter(Limits(posts_read=25))
    looking = connect().recheck([post.external_id for post in made], meter)
    assert len(next(looking).mentions) == 25
    with pytest.raises(QuotaExhausted, match="25 posts is used up"):
        next(looking)


def test_the_newest_versions_are_looked_up_as_far_as_the_budget_goes_and_nothing_read_is_lost(
    standin: TwitterStandin, connect: Connect
) -> None:
    made = posts(3, NOW - HOUR)
    standin.publish(*(edited(post, NOW - 50 * MINUTE) for post in made[:2]), made[2])
    for budget, read in ((3, {made[2].external_id}), (4, {made[0].external_id, made[2].external_id})):
        meter = Meter(Limits(posts_read=budget))
        # In their order, not as a set has them: the first edited one is looked up first.
        page = next(connect().recheck([post.external_id for post in made], meter))
        assert {mention.external_id for mention in page.mentions} == read
        assert {skip.external_id for skip in page.skipped} == set(ids(made)) - read
        assert meter.usage.posts_read == budget


@pytest.mark.parametrize("limit", [10, 25, 50])
def test_a_limited_pull_that_is_repeated_moves_on(standin: TwitterStandin, connect: Connect, limit: int) -> None:
    standin.page_size_cap = None
    made = posts(100, NOW - 3 * HOUR)
    standin.publish(*made)
    cursor: Mapping[str, Any] = {}
    read: list[Page] = []
    for _ in range(100 // limit):
        read += pull(connect(), cursor, Window(limit=limit), pages=1)
        assert len(read[-1].mentions) == limit
        cursor = read[-1].cursor
    assert found(read).keys() == ids(made)
    assert len(standin.requests) == 100 // limit


@pytest.mark.parametrize(
    ("query", "said"), [("", "needs words"), ("   ", "needs words"), ("x" * 513, "query has 513 characters")]
)
def test_a_query_x_would_not_take_is_a_matter_of_the_configuration(query: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TwitterConnector.check_stream(replace(SEARCH, query=query))
    TwitterConnector.check_stream(replace(SEARCH, query="x" * 512))


def test_a_query_that_x_refuses_is_quoted_from_x(standin: TwitterStandin, connect: Connect) -> None:
    body = {"errors": [{"parameters": {"query": ["("]}, "message": "missing\nEOF at '('"}, "odd"]}
    standin.fail(Fault(status=400, body=body, times=None))
    with pytest.raises(ConfigError, match=r"400: missing EOF at '\('.*change the stream's query"):
        pull(connect())


def test_mentions_of_the_own_account(standin: TwitterStandin, connect: Connect) -> None:
    named = posts(12, NOW - HOUR, text="Thank you @StElsewhere!")
    standin.publish(*named, *posts(3, NOW - 2 * HOUR, text="@StElsewhereOfficial is another account"))
    assert found(pull(connect(), stream=MENTIONS)).keys() == ids(named)
    chosen = replace(MENTIONS, own_accounts=(), options=TwitterOptions(account="1234").model_dump())
    assert found(pull(connect(), stream=chosen)).keys() == ids(named)


@pytest.mark.parametrize("own", [(), ("@StElsewhere",), ("1234", "5678")])
def test_mentions_need_to_know_whose(own: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="account is missing"):
        TwitterConnector.check_stream(replace(MENTIONS, own_accounts=own))
    TwitterConnector.check_stream(MENTIONS)


def test_an_account_x_does_not_know_is_a_matter_of_the_configuration(connect: Connect) -> None:
    with pytest.raises(ConfigError, match="knows no account 99"):
        pull(connect(), stream=replace(MENTIONS, own_accounts=("99",)))


def test_mentions_beyond_the_800_that_x_shows_are_not_called_covered(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    standin.page_size_cap = None
    cursor = pull(connect(), stream=MENTIONS)[-1].cursor
    standin.publish(*posts(1, NOW - HOUR, text="@StElsewhere hello"))
    cursor = pull(connect(), cursor, stream=MENTIONS)[-1].cursor
    clock.step_to(NOW + 10 * DAY)
    made = posts(900, NOW + 9 * DAY, MINUTE, text="@StElsewhere thanks")
    standin.publish(*made)
    pages = pull(connect(), cursor, stream=MENTIONS)
    assert found(pages).keys() == ids(made[100:])
    assert pages[-1].covered == (moment_of(int(made[100].external_id)), clock.now() - timedelta(seconds=30))


def test_mentions_older_than_a_week_are_still_given(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    standin.publish(*posts(1, NOW - HOUR, text="@StElsewhere hello"))
    cursor = pull(connect(), stream=MENTIONS)[-1].cursor
    clock.step_to(NOW + 20 * DAY)
    later = posts(2, NOW + DAY, text="@StElsewhere hello again")
    standin.publish(*later)
    pages = pull(connect(), cursor, stream=MENTIONS)
    assert found(pages).keys() == ids(later)
    assert pages[-1].covered is not None
    assert pages[-1].covered[0] < NOW


def test_a_token_that_x_no_longer_takes_is_replaced_by_the_oldest_id(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    standin.token_life = HOUR
    made = posts(35, NOW - 2 * HOUR)
    standin.publish(*made)
    read = pull(connect(), pages=2)
    clock.step_to(NOW + 2 * HOUR)
    rest = pull(connect(), read[-1].cursor)
    assert found(read).keys() | found(rest).keys() == ids(made)
    assert found(read).keys().isdisjoint(found(rest[:2]))
    assert standin.requests[-3].query["until_id"] == min(found(read), key=int)
    assert rest[1].covered == (NOW - WEEK + 2 * HOUR + MINUTE, NOW - timedelta(seconds=30))


def test_a_platform_whose_clock_is_ahead_may_refuse_the_watermark(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    made = posts(3, NOW - HOUR)
    standin.publish(*made)
    cursor = pull(connect())[-1].cursor
    behind = SteppedClock(made[-1].published_at + WEEK - 2 * MINUTE)
    clock.step_to(behind.now() + 5 * MINUTE)
    fresh = posts(1, NOW + 6 * DAY)
    standin.publish(*fresh)
    assert found(pull(connect(clock=behind), cursor)).keys() == ids(fresh)
    assert [request.query.get("since_id") for request in standin.requests[-2:]] == [str(cursor["since_id"]), None]


def test_a_stream_that_was_away_for_longer_than_a_week_says_what_it_missed(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    standin.publish(*posts(3, NOW - HOUR))
    cursor = pull(connect())[-1].cursor
    lost = posts(2, NOW + DAY)
    clock.step_to(NOW + 9 * DAY)
    fresh = posts(2, NOW + 8 * DAY)
    standin.publish(*lost, *fresh)
    pages = pull(connect(), cursor)
    assert found(pages).keys() == ids(fresh)
    assert [page.covered for page in pages] == [(NOW + 2 * DAY + MINUTE, NOW + 9 * DAY - timedelta(seconds=30))]


def test_a_sweep_cut_off_longer_than_a_week_ago_is_closed_with_what_it_read(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    made = posts(30, NOW - HOUR)
    standin.publish(*made)
    first = pull(connect(), pages=1)
    clock.step_to(NOW + 8 * DAY)
    asked = len(standin.requests)
    rest = pull(connect(), first[-1].cursor)
    assert found(rest) == {}
    assert len(standin.requests) == asked + 1
    assert [page.covered for page in rest] == [None, (NOW + DAY + MINUTE, NOW + 8 * DAY - timedelta(seconds=30))]
    assert "sweep" not in rest[-1].cursor


def test_a_sweep_cut_off_some_days_ago_goes_on_within_the_week(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    old = posts(1, NOW - 6 * DAY)
    standin.publish(*old)
    cursor = pull(connect())[-1].cursor
    clock.step_to(NOW + HOUR)
    made = posts(30, NOW - 2 * DAY, HOUR)
    standin.publish(*made)
    first = pull(connect(), cursor, pages=1)
    clock.step_to(NOW + 2 * DAY)
    rest = pull(connect(), first[-1].cursor)
    assert found(first).keys() | found(rest).keys() == ids(made)
    edge = NOW - 5 * DAY + MINUTE
    assert rest[1].covered == (edge, NOW + HOUR - timedelta(seconds=30))


def test_what_search_shows_half_a_minute_late_is_found_and_little_is_read_twice(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    made = posts(20, NOW - 20 * timedelta(seconds=10), timedelta(seconds=10))
    standin.publish(*made)
    cursor = pull(connect())[-1].cursor
    late = posts(1, NOW - timedelta(seconds=25), text="St. Elsewhere, seen late")
    standin.publish(*late)
    clock.step_to(NOW + HOUR)
    again = found(pull(connect(), cursor))
    assert again.keys() >= ids(late)
    assert len(again) == 4


def test_a_run_told_to_begin_later_leaves_the_rest_for_the_next(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    standin.publish(*posts(1, NOW - DAY))
    cursor = pull(connect())[-1].cursor
    clock.step_to(NOW + 3 * HOUR)
    between, recent = posts(2, NOW + HOUR), posts(2, NOW + 2 * HOUR + MINUTE)
    standin.publish(*between, *recent)
    pages = pull(connect(), cursor, Window(since=NOW + 2 * HOUR))
    assert found(pages).keys() == ids(recent)
    assert pages[-1].covered == (NOW + 2 * HOUR, NOW + 3 * HOUR - timedelta(seconds=30))
    assert pages[-1].cursor == cursor
    assert found(pull(connect(), pages[-1].cursor)).keys() == ids(between) | ids(recent)


def test_a_since_before_the_seven_days_reads_from_their_edge(standin: TwitterStandin, connect: Connect) -> None:
    made = posts(2, NOW - 6 * DAY)
    standin.publish(*made, *posts(2, NOW - 8 * DAY))
    pages = pull(connect(), window=Window(since=NOW - 30 * DAY))
    assert found(pages).keys() == ids(made)
    assert pages[-1].covered == (NOW - WEEK + MINUTE, NOW - timedelta(seconds=30))


def test_an_until_within_the_last_seconds_is_kept_without_asking_x(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    made = posts(4, NOW - timedelta(seconds=20), timedelta(seconds=5))
    standin.publish(*made)
    pages = pull(connect(), window=Window(until=NOW - timedelta(seconds=10)))
    assert found(pages).keys() == ids(made[:2])
    assert "until_id" not in standin.requests[-1].query
    clock.step_to(NOW + HOUR)
    assert found(pull(connect(), pages[-1].cursor)).keys() >= ids(made[2:])


@pytest.mark.parametrize(
    "window", [Window(since=NOW + DAY), Window(until=NOW - 8 * DAY), Window(NOW - 9 * DAY, NOW - 8 * DAY)]
)
def test_a_window_x_has_nothing_of_asks_nothing(standin: TwitterStandin, connect: Connect, window: Window) -> None:
    standin.publish(*posts(3, NOW - HOUR))
    [page] = pull(connect(), window=window)
    assert (page.mentions, page.covered, page.cursor) == ((), None, {})
    assert standin.requests == []


def edited(post: Post, at: datetime) -> Post:
    return replace(post, edits=(Edit(at=at, text=f"{post.text} Edit: it was the other ward."),))


def test_an_edit_keeps_the_id_and_moment_of_the_first_version(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    [post] = posts(1, NOW - 5 * MINUTE)
    standin.publish(edited(post, NOW + 10 * MINUTE))
    before = pull(connect())
    assert found(before)[post.external_id].edited_at is None
    clock.step_to(NOW + HOUR)
    [mention] = found(pull(connect(), before[-1].cursor)).values()
    assert mention.external_id == post.external_id
    assert mention.published_at == post.published_at
    assert mention.edited_at == NOW + 10 * MINUTE
    assert mention.text.endswith("Edit: it was the other ward.")
    assert mention.permalink == f"https://x.com/i/web/status/{post.external_id}"


def test_a_recheck_looks_for_the_newest_version_where_x_shows_the_one_asked_for(
    standin: TwitterStandin, connect: Connect
) -> None:
    first, second = posts(2, NOW - HOUR)
    standin.publish(edited(first, NOW - 50 * MINUTE), second)
    meter = Meter()
    again = found(list(connect().recheck(iter([first.external_id, second.external_id]), meter)))
    assert again[first.external_id].text.endswith("the other ward.")
    assert again[first.external_id].edited_at == NOW - 50 * MINUTE
    assert again[second.external_id].edited_at is None
    assert (meter.usage.requests, meter.usage.posts_read, meter.usage.cost_microusd) == (2, 3, 15_000)


def test_a_post_whose_newest_version_is_gone_is_gone(standin: TwitterStandin, connect: Connect) -> None:
    [post] = posts(1, NOW - HOUR)
    standin.publish(edited(post, NOW - 50 * MINUTE))
    newest = str(id_at(NOW - 50 * MINUTE) | (int(post.external_id) & (2**22 - 1)))
    gone = {"errors": [{"value": newest, "type": "https://api.twitter.com/2/problems/resource-not-found"}]}
    standin.fail(Fault(what="replace", skip=1, body=gone))
    [page] = connect().recheck([post.external_id], Meter())
    assert [(mention.external_id, mention.removed_at) for mention in page.mentions] == [(post.external_id, NOW)]


def test_a_recheck_marks_what_is_gone_and_only_that(standin: TwitterStandin, connect: Connect) -> None:
    made = posts(205, NOW - DAY)
    gone = {made[3].external_id, made[204].external_id}
    standin.publish(*(replace(post, removed_at=NOW) if post.external_id in gone else post for post in made))
    meter = Meter()
    pages = list(connect().recheck([*ids(made), "20", "t3_abc"], meter))
    mentions = found(pages)
    assert {identity for identity, mention in mentions.items() if mention.removed_at} == gone | {"20"}
    assert mentions[made[3].external_id].published_at == made[3].published_at
    assert mentions[made[3].external_id].text == ""
    assert mentions["20"].published_at == NOW
    assert [skip.external_id for page in pages for skip in page.skipped] == ["t3_abc"]
    assert (meter.usage.requests, meter.usage.posts_read) == (3, 203)
    assert all(page.cursor == {} for page in pages)


def test_a_recheck_of_ids_that_are_none_asks_nothing(standin: TwitterStandin, connect: Connect) -> None:
    [page] = connect().recheck(["t3_abc"], Meter())
    assert (page.mentions, len(page.skipped), standin.requests) == ((), 1, [])


def test_a_post_that_is_no_longer_public_is_gone_and_one_x_is_silent_about_is_not(
    standin: TwitterStandin, connect: Connect
) -> None:
    made = posts(3, NOW - HOUR)
    standin.publish(*made)
    first, second, third = (post.external_id for post in made)
    errors = [
        {"resource_id": second, "type": "https://api.twitter.com/2/problems/not-authorized-for-resource"},
        {"resource_id": third, "type": "https://api.twitter.com/2/problems/operational-disconnect"},
        "odd",
    ]

    def hide(body: Any) -> Any:
        return {"data": [*body["data"][:1], "odd"], "errors": errors}

    standin.fail(Fault(what="change", change=hide))
    [page] = connect().recheck([first, second, third], Meter())
    assert {mention.external_id: mention.removed_at for mention in page.mentions} == {first: None, second: NOW}
    assert [skip.external_id for skip in page.skipped] == [third]


@pytest.mark.parametrize("body", [{}, {"data": {}}, {"data": None}, {"data": [], "errors": "gone"}])
def test_a_look_up_that_is_none_marks_nothing_as_gone(
    standin: TwitterStandin, connect: Connect, body: Any
) -> None:
    standin.fail(Fault(what="replace", body=body))
    with pytest.raises(RetryLater):
        list(connect().recheck(["1234567890123456789"], Meter()))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"meta": []},
        {"meta": {"result_count": 3}},
        {"meta": {"result_count": 0}, "data": {}},
        {"meta": {"result_count": 0, "next_token": 7}},
        {"meta": {"result_count": 0, "next_token": ""}},
        '{"meta": {"result_count": ' + "9" * 5000 + "}}",
    ],
)
def test_a_page_that_is_none_is_asked_for_again_later(
    standin: TwitterStandin, connect: Connect, body: Any
) -> None:
    standin.fail(Fault(what="replace", body=body))
    pages, error = pull_until_error(connect())
    assert pages == []
    assert isinstance(error, RetryLater)


def test_empty_pages_without_end_are_left_alone(standin: TwitterStandin, connect: Connect) -> None:
    numbers = iter(range(1000))
    made = posts(3, NOW - HOUR)
    standin.publish(*made)
    barren = Fault(
        what="change",
        times=None,
        change=lambda _: {"meta": {"result_count": 0, "next_token": f"t{next(numbers)}"}},
    )
    standin.fail(barren)
    pages, error = pull_until_error(connect())
    assert isinstance(error, RetryLater)
    assert len(pages) == BARREN_PAGES
    standin.heal()
    assert found(pull(connect(), pages[-1].cursor)).keys() == ids(made)


def test_a_rate_limit_that_x_says_is_used_up_is_not_overdrawn(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    made = posts(30, NOW - HOUR)
    standin.publish(*made)
    standin.limits["search"] = 2
    connector = connect()
    meter = Meter()
    read, error = pull_until_error(connector, meter=meter)
    assert isinstance(error, RetryLater)
    assert error.at == datetime(2026, 11, 10, 15, 15, tzinfo=UTC)
    assert (len(standin.requests), meter.usage.requests) == (2, 2)
    connector.check(Meter())
    clock.step_to(error.at)
    assert found(read).keys() | found(pull(connector, read[-1].cursor, pages=1)).keys() == ids(made)


def test_a_rate_limit_that_somebody_else_used_up(standin: TwitterStandin, connect: Connect) -> None:
    standin.limits["search"] = 0
    _, error = pull_until_error(connect())
    assert type(error) is RetryLater
    assert error.at == datetime(2026, 11, 10, 15, 15, tzinfo=UTC)


def test_the_monthly_cap_is_tried_again_on_the_next_day(
    standin: TwitterStandin, connect: Connect, clock: SteppedClock
) -> None:
    standin.publish(*posts(30, NOW - HOUR))
    standin.monthly_cap = 15
    read, error = pull_until_error(connect())
    assert isinstance(error, QuotaExhausted)
    assert error.at == datetime(2026, 11, 11, tzinfo=UTC)
    assert len(found(read)) == 20
    connect().check(Meter())


REFUSALS: list[tuple[int, dict[str, str], str, type[ListenerError], datetime | None]] = [
    (401, {}, "", AuthError, None),
    (403, {}, '{"title": "Client Forbidden"}', AuthError, None),
    (402, {}, '{"title": "CreditsDepleted"}', QuotaExhausted, datetime(2026, 11, 11, tzinfo=UTC)),
    (429, {"x-rate-limit-reset": "1794323700"}, "", RetryLater, datetime(2026, 11, 10, 15, 15, tzinfo=UTC)),
    (429, {"x-rate-limit-reset": "17943237000000"}, "[]", RetryLater, NOW + 15 * MINUTE),
    (429, {"x-rate-limit-reset": "soon"}, '{"errors": 5}', RetryLater, NOW + 15 * MINUTE),
    (429, {}, '{"type": 5, "errors": ["x", {"message": 5}]}', RetryLater, NOW + 15 * MINUTE),
    (400, {}, "[" * 100_000, Refused, None),
    (404, {}, "null", RetryLater, None),
    (302, {}, "", RetryLater, None),
    (503, {}, "<html>", RetryLater, None),
]


@pytest.mark.parametrize(("status", "headers", "body", "expected", "at"), REFUSALS)
def test_what_a_refusal_means(
    status: int, headers: dict[str, str], body: str, expected: type[ListenerError], at: datetime | None
) -> None:
    error = refusal(status, headers, body, now=NOW)
    assert type(error) is expected
    assert getattr(error, "at", None) == at


def test_a_redirect_is_not_followed(standin: TwitterStandin, connect: Connect) -> None:
    elsewhere = {"Location": f"{standin.base_url}/elsewhere"}
    standin.fail(Fault(status=302, headers=elsewhere, body=""))
    _, error = pull_until_error(connect())
    assert isinstance(error, RetryLater)
    assert [request.path for request in standin.requests] == ["/2/tweets/search/recent"]


def test_a_platform_that_repeats_the_token_does_not_make_us_say_it(
    standin: TwitterStandin, connect: Connect
) -> None:
    standin.fail(Fault(status=401, body={"detail": f"no such token: {TOKEN}"}))
    _, error = pull_until_error(connect())
    assert isinstance(error, AuthError)
    assert TOKEN not in str(error)
    assert "no such token" in str(error)


@pytest.mark.parametrize("token", ["", "two words", "naïve", "line\nbreak"])
def test_a_token_that_can_be_none_is_refused_without_being_said(
    standin: TwitterStandin, connect: Connect, token: str
) -> None:
    with pytest.raises(AuthError) as caught:
        connect(token=token).check(Meter())
    assert not token or token not in str(caught.value)
    assert standin.requests == []


def test_white_space_around_a_token_is_no_part_of_it(connect: Connect) -> None:
    connect(token=f" {TOKEN}\n").check(Meter())


def test_check_is_free_and_wants_to_hear_of_the_usage(standin: TwitterStandin, connect: Connect) -> None:
    meter = Meter()
    connect().check(meter)
    assert [request.path for request in standin.requests] == ["/2/usage/tweets"]
    assert (meter.usage.requests, meter.usage.posts_read, meter.usage.searches) == (1, 0, 0)
    standin.fail(Fault(what="replace", body={"data": []}))
    with pytest.raises(RetryLater):
        connect().check(Meter())


def test_requests_say_who_asks_and_go_to_no_other_host(
    standin: TwitterStandin, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    connector = connect()
    connector.check(Meter())
    assert standin.requests[-1].headers["user-agent"] == "listener-test"
    client = connector._client()
    assert TOKEN not in str(vars(client))
    for other in (standin.base_url, "https://api.twitter.com.example/2/tweets"):
        with pytest.raises(requests.exceptions.InvalidSchema):
            client.session.get(other)
    assert len(standin.requests) == 1


class Recorder:
    """An adapter that answers 200 and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[str, dict[str, Any]]] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.given.append((str(request.url), options))
        response = requests.Response()
        response.status_code = 200
        return response


@pytest.mark.parametrize("base_url", [None, "https://api.twitter.com", "https://gate.example/x/"])
def test_beyond_loopback_the_proxies_of_the_environment_hold(base_url: str | None, clock: SteppedClock) -> None:
    inner = Recorder()
    transport = Transport(inner, base_url=base_url, timeout_seconds=3.0, token=TOKEN, clock=clock)  # type: ignore[arg-type]  # a fake
    request = requests.Request("GET", "https://api.twitter.com/2/tweets?ids=1").prepare()
    transport.send(request, proxies={"https": "http://proxy.example"}, timeout=None)
    base = (base_url or "https://api.twitter.com").rstrip("/")
    expected = {"proxies": {"https": "http://proxy.example"}, "timeout": 3.0}
    assert inner.given == [(f"{base}/2/tweets?ids=1", expected)]
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"


def test_a_proxy_by_name_is_reached_where_it_is(standin: TwitterStandin, connect: Connect) -> None:
    connect(base_url=standin.base_url.replace("127.0.0.1", "localhost") + "/").check(Meter())
    assert [request.path for request in standin.requests] == ["/2/usage/tweets"]


def test_posts_do_not_go_into_the_log_of_the_library(
    standin: TwitterStandin, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    standin.publish(*posts(1, NOW - HOUR, text="St. Elsewhere: my number is 416 555 0100"))
    assert len(found(pull(connect()))) == 1
    assert "555 0100" not in caplog.text


def test_each_thread_has_a_client_of_its_own(standin: TwitterStandin, connect: Connect) -> None:
    standin.publish(*posts(30, NOW - HOUR))
    connector = connect()
    clients: list[Any] = []
    results: list[dict[str, Mention]] = []

    def work() -> None:
        results.append(found(pull(connector)))
        clients.append(connector._client())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in clients}) == 4
    assert [len(result) for result in results] == [30] * 4


def test_the_renamed_fields_say_the_same(standin: TwitterStandin, connect: Connect) -> None:
    made = posts(6, NOW - HOUR)
    long = replace(made[5], text=f"{made[5].text} {'and then we waited & waited, ' * 20}")
    standin.publish(*made[:4], edited(made[4], NOW - 30 * MINUTE), long)
    before = found(pull(connect()))
    standin.renamed_fields = True
    assert found(pull(connect())) == before
    assert before[long.external_id].text == long.text.strip()
    assert {mention.kind for mention in before.values()} == {Kind.POST, Kind.REPLY}


@pytest.mark.parametrize(
    ("payload", "identity"),
    [
        (None, None),
        ([], None),
        ({}, None),
        ({"id": 12}, None),
        ({"id": "t3_abc"}, None),
        ({"id": "12", "text": "x"}, "12"),
        ({"id": "12", "text": "x", "created_at": "2026-11-09T14:03:22"}, "12"),
        ({"id": "12", "text": None, "created_at": "2026-11-09T14:03:22.000Z"}, "12"),
        ({"id": "12", "text": "x", "note_tweet": {"text": 5}, "created_at": "2026-11-09T14:03:22.000Z"}, "12"),
    ],
)
def test_what_cannot_be_read_is_skipped_by_its_id(payload: Any, identity: str | None) -> None:
    with pytest.raises(SkipItem) as caught:
        normalise(payload)
    assert caught.value.external_id == identity


@pytest.mark.parametrize(
    ("written", "language"),
    [
        ("en", "en"), ("EN", "en"), ("zh-TW", "zh"), ("iw", "he"), ("und", None), ("qme", None), ("zxx", None),
        ("", None), (None, None), (5, None), ("english", None),
    ],
)  # fmt: skip
def test_languages(written: Any, language: str | None) -> None:
    payload = {"id": "12", "text": "x", "created_at": "2026-11-09T14:03:22.000Z", "lang": written}
    assert normalise(payload).language == language
