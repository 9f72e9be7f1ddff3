"""The contract's own parts: the meter, clean text, a stream's key, and how connectors are found and configured."""

from __future__ import annotations

import subprocess
import sys
import threading
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import connectors
from connectors.base import (
    ConnectorSettings,
    Limits,
    Meter,
    PerThread,
    Room,
    StreamSpec,
    batches,
    clean_text,
    is_loopback,
    no_answer,
    read_count,
    utc_day,
)
from listener.clock import SystemClock
from listener.errors import AuthError, ConfigError, QuotaExhausted, RetryLater
from listener.settings import Settings
from listener.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent.parent
RESET = datetime(2026, 11, 11, tzinfo=UTC)
SDKS = ["tweepy", "praw", "prawcore", "googleapiclient", "requests", "httplib2", "pandas", "sqlalchemy"]


# The meter


def test_a_meter_without_limits_only_counts() -> None:
    meter = Meter()
    meter.request()
    meter.request(quota_units=5, searches=1)
    meter.add(posts_read=100, cost_microusd=500_000)
    assert meter.usage == Usage(requests=2, quota_units=5, searches=1, posts_read=100, cost_microusd=500_000)


@pytest.mark.parametrize("name", ["requests", "quota_units", "searches"])
def test_what_a_request_costs_is_refused_before_it_overdraws(name: str) -> None:
    costs = {} if name == "requests" else {name: 1}
    meter = Meter(Limits(**{name: 3}), resets_at=RESET)
    for _ in range(3):
        meter.request(**costs)
    with pytest.raises(QuotaExhausted, match=f"budget of 3 {name.replace('_', ' ')} is used up") as caught:
        meter.request(**costs)
    assert caught.value.at == RESET
    assert getattr(meter.usage, name) == 3
    assert meter.usage.requests == 3


@pytest.mark.parametrize(("name", "said"), [("posts_read", "100 posts"), ("cost_microusd", r"\$0\.0001")])
def test_what_is_known_only_afterwards_stops_the_next_request(name: str, said: str) -> None:
    meter = Meter(Limits(**{name: 100}), resets_at=RESET)
    meter.request()
    meter.add(**{name: 99})
    meter.request()
    meter.add(**{name: 99})
    with pytest.raises(QuotaExhausted, match=f"the day's budget of {said} is used up; the rest"):
        meter.request()
    assert meter.usage.requests == 2


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(cost_microusd=300_000), "$0.30"),
        (Limits(cost_microusd=1_234_500_000), "$1,234.50"),
        (Limits(cost_microusd=125_000), "$0.125"),
        (Limits(posts_read=0), "0 posts"),
        (Limits(searches=1), "1 search"),
        (Limits(quota_units=10_000), "10,000 quota units"),
        (Limits(requests=500), "500 requests"),
    ],
)
def test_a_budget_is_named_as_people_do(limits: Limits, said: str) -> None:
    spent = Usage(requests=500, quota_units=10_000, searches=1, cost_microusd=1_234_500_000)
    with pytest.raises(QuotaExhausted) as caught:
        Meter(limits, spent=spent).request(quota_units=1, searches=1)
    assert str(caught.value) == f"the day's budget of {said} is used up; the rest is read after the reset"


def test_a_meter_says_how_many_posts_the_budget_still_holds() -> None:
    meter = Meter(Limits(cost_microusd=300_000, posts_read=90), spent=Usage(posts_read=20), resets_at=RESET)
    assert meter.afford(least=10, most=100, cost_microusd=5_000) == 60
    assert meter.afford(least=10, most=50, cost_microusd=5_000) == 50
    assert meter.afford(least=10, most=100, cost_microusd=1_000, posts_read=1, searches=1) == 70
    meter.add(cost_microusd=260_000)
    with pytest.raises(QuotaExhausted, match=r"budget of \$0\.30 does not hold 10 posts more") as caught:
        meter.afford(least=10, most=100, cost_microusd=5_000)
    assert caught.value.at == RESET
    meter.add(cost_microusd=40_000)
    with pytest.raises(QuotaExhausted, match=r"budget of \$0\.30 is used up"):
        meter.afford(least=10, most=100, cost_microusd=5_000)


def test_room_is_what_is_still_wanted_within_what_the_platform_takes() -> None:
    room = Room(25)
    assert (room.page_size(100), room.page_size(20), room.page_size(100, least=50)) == (25, 20, 50)
    room.take(20)
    assert (room.page_size(100), room.page_size(100, least=10)) == (5, 10)
    endless = Room(None)
    endless.take(1_000)
    assert endless.page_size(100) == 100


@pytest.mark.parametrize(
    ("url", "configured", "said"),
    [
        ("https://api.example.org/x?key=s", False, "at api.example.org (OSError): the rest is read later"),
        (
            "http://me:secret@127.0.0.1:9/x",
            True,
            "at 127.0.0.1:9 (OSError): check connectors.toy.base_url; the rest is read later",
        ),
    ],
)
def test_a_host_that_does_not_answer_is_named(url: str, configured: bool, said: str) -> None:
    words = no_answer("Toy", "toy", url, OSError("secret"), configured=configured)
    assert words == f"Toy does not answer as it should {said}"


def test_a_request_larger_than_what_is_left_is_refused_and_a_smaller_one_is_not() -> None:
    meter = Meter(Limits(quota_units=10))
    meter.request(quota_units=6)
    with pytest.raises(QuotaExhausted):
        meter.request(quota_units=5)
    meter.request(quota_units=4)
    assert meter.usage == Usage(requests=2, quota_units=10)


def test_what_earlier_runs_took_counts_but_is_not_this_runs_usage() -> None:
    meter = Meter(Limits(requests=5), spent=Usage(requests=4), resets_at=RESET)
    meter.request()
    with pytest.raises(QuotaExhausted):
        meter.request()
    assert meter.usage == Usage(requests=1)


@given(
    limit=st.integers(min_value=0, max_value=30),
    spent=st.integers(min_value=0, max_value=30),
    costs=st.lists(st.integers(min_value=0, max_value=9), max_size=20),
)
def test_a_meter_is_never_overdrawn_and_refuses_nothing_else(limit: int, spent: int, costs: list[int]) -> None:
    meter = Meter(Limits(quota_units=limit), spent=Usage(quota_units=spent))
    for cost in costs:
        before = meter.usage
        fits = spent + before.quota_units + cost <= limit
        try:
            meter.request(quota_units=cost)
        except QuotaExhausted:
            assert not fits
            assert meter.usage == before
        else:
            assert fits


def test_a_cost_that_does_not_exist_is_a_bug() -> None:
    with pytest.raises(TypeError):
        Meter().request(quota=1)
    with pytest.raises(TypeError):
        Meter().add(money=1)


# Text

EVERYTHING = st.text(st.characters(codec=None, categories=None))


@given(EVERYTHING, st.booleans())
def test_clean_text_is_storable_and_cleaning_it_again_changes_nothing(text: str, unescape: bool) -> None:
    clean = clean_text(text, unescape=unescape)
    assert clean.encode("utf-8").decode("utf-8") == clean
    assert not {char for char in clean if unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n"}
    assert clean_text(clean) == clean


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_clean_text_leaves_every_other_character_alone(text: str) -> None:
    assert clean_text(text) == text.strip()


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("a\x00b", "ab"),
        ("\ud83d", "\ufffd"),
        ("a\r\nb\rc\nd\te", "a\nb\nc\nd\te"),
        (" \x07 a \x1b ", "a"),
        ("\x85\x9f\x7f", ""),
        ("🏥\u202e é", "🏥\u202e é"),
        ("&amp;lt; &#39;", "&amp;lt; &#39;"),
        ("", ""),
    ],
)
def test_clean_text_by_example(dirty: str, clean: str) -> None:
    assert clean_text(dirty) == clean


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("&amp;lt; &#39;5&#39; &lt;b&gt;", "&lt; '5' <b>"),
        ("a&#0;b&#13;&#10;c", "a\ufffdb\nc"),
        ("&#xD800;", "\ufffd"),
        ("&notanentity; & &", "¬anentity; & &"),
    ],
)
def test_entities_become_characters_once_where_asked(dirty: str, clean: str) -> None:
    assert clean_text(dirty, unescape=True) == clean


# Streams


def spec(**values: Any) -> StreamSpec:
    given = {"organization": "a", "channel": "toy", "kind": "search", "query": "q", "options": {"x": 1, "y": [2]}}
    return StreamSpec(**{**given, **values})


def test_a_streams_key_changes_with_what_is_asked_and_with_nothing_else() -> None:
    key = spec().key
    assert len(key) == 12
    assert int(key, 16) >= 0
    same = [{"organization": "b"}, {"names": ("A",)}, {"own_accounts": ("1",)}, {"options": {"y": [2], "x": 1}}]
    assert {spec(**values).key for values in same} == {key}
    others = [{"query": "r"}, {"kind": "mentions"}, {"options": {}}, {"options": {"x": 1, "y": [3]}}]
    assert len({key, *(spec(**values).key for values in others)}) == 5


def test_a_streams_key_stays_what_it_was() -> None:
    """Cursors are stored under it: another way to reckon it would read every stream from the beginning."""
    assert spec().key == "375b8de7f788"
    assert str(spec()) == "a/toy/search/375b8de7f788"


# Finding and configuring


def test_each_connector_of_the_folder_is_found_by_its_channel() -> None:
    found = connectors.discover()
    assert list(found) == sorted(found)
    assert {"reddit", "twitter", "youtube"} <= found.keys()
    for channel, kind in found.items():
        assert kind.channel == channel
        assert kind.__module__ == f"connectors.{channel}"
        assert kind.kinds
        assert issubclass(kind.settings_model, ConnectorSettings)
        assert kind.options_model() == kind.options_model.model_validate({})


def test_finding_them_loads_no_sdk() -> None:
    code = f"import sys, connectors; connectors.discover(); print([m for m in {SDKS} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def settings_of(
    streams: list[dict[str, Any]] | None = None,
    connectors: Mapping[str, Any] | None = None,
    own_accounts: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    organization = {"slug": "a", "name": "A", "aliases": ["AA", "@a"], "streams": streams or []}
    return Settings(
        organizations=[{**organization, "own_accounts": own_accounts or {}}],
        connectors=connectors or {},
        environment=environment or {},
    )


STREAM = {"channel": "toy", "query": "q"}


def test_a_stream_becomes_what_its_connector_takes(toy_path: None) -> None:
    settings = settings_of([{**STREAM, "room": "ward"}], own_accounts={"toy": ["1"]})
    connectors.validate(settings)
    ((stream, schedule),) = connectors.streams(settings)
    assert schedule is settings.organizations[0].streams[0]
    assert stream == StreamSpec(
        organization="a",
        channel="toy",
        kind="search",
        query="q",
        options={"room": "ward"},
        names=("A", "AA", "@a"),
        own_accounts=("1",),
    )


def test_an_option_said_or_left_at_its_default_is_the_same_stream(toy_path: None) -> None:
    ((said, _),) = connectors.streams(settings_of([{**STREAM, "room": ""}]))
    ((left, _),) = connectors.streams(settings_of([STREAM]))
    assert said.key == left.key


def test_two_organizations_may_ask_for_the_same(toy_path: None) -> None:
    one = settings_of([STREAM, {**STREAM, "query": "p"}])
    other = one.organizations[0].model_copy(update={"slug": "b"})
    both = one.model_copy(update={"organizations": (*one.organizations, other)})
    assert [stream.organization for stream, _ in connectors.streams(both)] == ["a", "a", "b", "b"]


BAD = {
    "an unknown channel": (
        {"streams": [{"channel": "toi"}]},
        "the configuration: a stream of a: unknown channel 'toi'; did you mean 'toy'? (there are: ",
    ),
    "an unknown channel's table": (
        {"connectors": {"toi": {}}},
        "the configuration: connectors: unknown channel 'toi'; did you mean 'toy'?",
    ),
    "an unknown channel of own accounts": (
        {"own_accounts": {"toi": ["1"]}},
        "the configuration: own_accounts of a: unknown channel 'toi'; did you mean 'toy'?",
    ),
    "an unknown kind": (
        {"streams": [{**STREAM, "kind": "serch"}]},
        "the configuration: the toy stream of a has kind 'serch'; did you mean 'search'? (toy has: search)",
    ),
    "an unknown option": (
        {"streams": [{**STREAM, "rooms": "x"}]},
        "the configuration: unknown key organizations[0].streams[0].rooms; did you mean 'room'?",
    ),
    "a key of every stream, misspelt": (
        {"streams": [STREAM, {**STREAM, "evry": "15m"}]},
        "the configuration: unknown key organizations[0].streams[1].evry; did you mean 'every'?",
    ),
    "nothing to search for": (
        {"streams": [{**STREAM, "query": " "}]},
        "the configuration: organizations[0].streams[0].query = ' ': a stream of kind 'search' needs words",
    ),
    "one stream twice": (
        {"streams": [{**STREAM, "every": "1h"}, {**STREAM, "room": "ward"}, {**STREAM, "room": ""}]},
        "the configuration: organizations[0].streams[0] and organizations[0].streams[2] both ask toy for 'q'",
    ),
    "an option of another type": (
        {"streams": [{**STREAM, "room": 5}]},
        "the configuration: organizations[0].streams[0].room = 5: input should be a valid string",
    ),
    "an unknown key": (
        {"connectors": {"toy": {"base_uri": "http://x"}}},
        "the configuration: unknown key connectors.toy.base_uri; did you mean 'base_url'?",
    ),
    "an address without a scheme": (
        {"connectors": {"toy": {"base_url": "127.0.0.1"}}},
        "the configuration: connectors.toy.base_url = '127.0.0.1': write an address that begins with http:// or",
    ),
    "an address without a host": (
        {"connectors": {"toy": {"base_url": "http://"}}},
        "the configuration: connectors.toy.base_url = 'http://': write an address that begins with http:// or",
    ),
    "an address that is none": (
        {"connectors": {"toy": {"base_url": "http://[::1"}}},
        "the configuration: connectors.toy.base_url = 'http://[::1': write an address that begins with http:// or",
    ),
    "no patience at all": (
        {"connectors": {"toy": {"timeout_seconds": 0}}},
        "the configuration: connectors.toy.timeout_seconds = 0: input should be greater than 0",
    ),
    "no requests at all": (
        {"connectors": {"toy": {"daily_requests": 0}}},
        "the configuration: connectors.toy.daily_requests = 0: input should be greater than or equal to 1",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_belongs_to_a_platform_is_checked_by_its_connector(toy_path: None, what: str) -> None:
    values, expected = BAD[what]
    with pytest.raises(ConfigError) as caught:
        connectors.validate(settings_of(**values))
    assert str(caught.value).startswith(expected)
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_secret_is_named(toy_path: None) -> None:
    with pytest.raises(AuthError, match="toy needs the secret LISTENER_TOY_TOKEN: set it in the environment"):
        connectors.connect(settings_of(), "toy", clock=SystemClock())


def test_a_secret_may_come_from_a_file(toy_path: None, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t\n")
    settings = settings_of(environment={"LISTENER_TOY_TOKEN_FILE": str(tmp_path / "token")})
    connectors.connect(settings, "toy", clock=SystemClock()).close()


def test_a_channel_is_asked_for_by_name(toy_path: None) -> None:
    assert connectors.connector_class("toy").channel == "toy"
    with pytest.raises(ConfigError, match=r"^unknown channel 'twiter'; did you mean 'twitter'"):
        connectors.connector_class("twiter")


def test_an_exhausted_budget_is_something_to_come_back_to() -> None:
    with pytest.raises(RetryLater):
        Meter(Limits(requests=0)).request()


# What connectors share


@pytest.mark.parametrize(
    ("value", "negative", "count"),
    [
        (0, False, 0),
        (7, False, 7),
        (-7, False, None),
        (-7, True, -7),
        (2**53, False, 2**53),
        (2**53 + 1, False, None),
        (-(2**53) - 1, True, None),
        (True, False, None),
        (1.0, False, None),
        ("7", False, None),
        (None, False, None),
    ],
)
def test_a_count_is_a_whole_number_that_a_database_holds(value: Any, negative: bool, count: int | None) -> None:
    assert read_count(value, negative=negative) == count


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (4, [4]), (5, [4, 1]), (8, [4, 4])])
def test_batches_hold_everything_in_its_order(count: int, sizes: list[int]) -> None:
    found = list(batches(iter(range(count)), 4))
    assert [len(batch) for batch in found] == sizes
    assert [number for batch in found for number in batch] == list(range(count))


def test_a_utc_day_is_utcs_wherever_the_moment_was_written() -> None:
    evening_in_toronto = datetime(2026, 11, 10, 22, tzinfo=timezone(timedelta(hours=-5)))
    assert utc_day(evening_in_toronto) == (datetime(2026, 11, 11, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://127.0.0.1:8101", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8101/x", True),
        ("http://localhost:8101", True),
        ("http://LOCALHOST", True),
        ("http://10.0.0.1", False),
        ("https://localhost.example.org", False),
        ("https://api.example.org/?at=127.0.0.1", False),
        (None, False),
    ],
)
def test_loopback_is_told_by_the_host(url: str | None, is_here: bool) -> None:
    assert is_loopback(url) is is_here


def test_each_thread_has_one_of_its_own_until_it_is_dropped_or_closed() -> None:
    gone: list[object] = []
    things: PerThread[object] = PerThread(object, gone.append)
    mine = things.get()
    assert things.get() is mine
    others: list[object] = []
    thread = threading.Thread(target=lambda: others.append(things.get()))
    thread.start()
    thread.join()
    assert others != [mine]
    things.drop()
    assert gone == [mine]
    things.drop()
    assert gone == [mine]
    again = things.get()
    assert again is not mine
    things.close()
    assert set(gone) == {mine, *others, again}
    assert len(gone) == 3
    assert things.get() not in gone
