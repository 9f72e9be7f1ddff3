"""Whatever the network or the platform does, a pull ends in a foreseen error and loses nothing."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import connectors
from connectors.base import Limits, Meter
from listener.errors import AuthError, ListenerError, QuotaExhausted, RetryLater, SkipItem
from listener.standins.server import Fault

if TYPE_CHECKING:
    from conftest import Bench, Reading

    from connectors.base import Connector

REFUSED = {"error": "refused", "message": "refused", "detail": "refused"}
WAIT = 120
TIMEOUT = 0.3
STALL = 6.0
PATIENCE = 4.0
"""Seconds; a stalled request with the timeout above is over long before, its repetitions included."""


def refused(status: int, **headers: str) -> dict[str, Any]:
    return {"what": "status", "status": status, "body": REFUSED, "headers": headers}


FAULTS: dict[str, tuple[dict[str, Any], type[ListenerError]]] = {
    "400": (refused(400), ListenerError),
    "401": (refused(401), AuthError),
    "403": (refused(403), ListenerError),
    "404": (refused(404), ListenerError),
    "429 without a word": (refused(429), RetryLater),
    "500": (refused(500), RetryLater),
    "502 with a page of HTML": ({"what": "status", "status": 502, "body": "<html>Bad gateway</html>"}, RetryLater),
    "503": (refused(503), RetryLater),
    "reset": ({"what": "reset"}, RetryLater),
    "stall": ({"what": "stall", "seconds": STALL}, RetryLater),
    "truncated": ({"what": "truncate"}, RetryLater),
    "HTML": ({"what": "replace", "body": "<!doctype html><title>Welcome</title>"}, RetryLater),
    "nothing": ({"what": "replace", "body": ""}, RetryLater),
    "a JSON list": ({"what": "replace", "body": []}, RetryLater),
    "a JSON string": ({"what": "replace", "body": '"ok"'}, RetryLater),
    "a JSON number": ({"what": "replace", "body": 42}, RetryLater),
    "a JSON null": ({"what": "replace", "body": None}, RetryLater),
    "JSON without a bottom": ({"what": "replace", "body": "[" * 100_000}, RetryLater),
    "a number without an end": ({"what": "replace", "body": '{"data": ' + "9" * 5_000 + "}"}, RetryLater),
    "no UTF-8": ({"what": "replace", "body": b'{"data": "\xff\xfe"}'}, RetryLater),
}
PASSING = ["500", "503", "reset", "truncated", "HTML", "stall"]


def assert_foreseen(reading: Reading, expected: type[ListenerError]) -> None:
    assert isinstance(reading.error, expected), repr(reading.error)
    assert not isinstance(reading.error, SkipItem)
    assert str(reading.error).strip()
    assert "\n" not in str(reading.error)
    assert reading.seconds < PATIENCE, "a request without a timeout"


def impatient(bench: Bench, fault: Fault) -> Connector:
    """A connector that waits for no stall; for the other faults it has time on a busy machine."""
    return bench.connector(timeout_seconds=TIMEOUT) if fault.what == "stall" else bench.connector()


def fail_and_heal(bench: Bench, fault: Fault) -> tuple[Reading, Reading]:
    """Read into the fault, mend the platform, and read on from the last cursor with a new connector."""
    bench.standin.fail(fault)
    broken = bench.read(connector=impatient(bench, fault))
    bench.standin.heal()
    return broken, bench.whole(broken.cursor)


@pytest.mark.parametrize("name", FAULTS)
def test_a_failure_at_once(bench: Bench, name: str) -> None:
    posts = bench.posts(12)
    keys, expected = FAULTS[name]
    broken, rest = fail_and_heal(bench, Fault(**keys, times=None))
    assert_foreseen(broken, expected)
    assert broken.mentions == {}
    assert rest.texts == bench.texts(posts)


@pytest.mark.parametrize("name", FAULTS)
def test_a_failure_on_the_way(bench: Bench, name: str) -> None:
    bench.small_pages()
    posts = bench.posts(25)
    requests = bench.whole().requests
    assert requests > 2
    keys, expected = FAULTS[name]
    broken, rest = fail_and_heal(bench, Fault(**keys, skip=requests // 2, times=None))
    assert_foreseen(broken, expected)
    assert broken.texts.items() <= bench.texts(posts).items()
    assert broken.texts | rest.texts == bench.texts(posts)


@pytest.mark.parametrize("name", PASSING)
def test_a_failure_that_passes_at_any_request_loses_nothing(bench: Bench, name: str) -> None:
    bench.small_pages()
    posts = bench.posts(14)
    requests = bench.whole().requests
    for skip in range(0, requests, max(1, requests // 6)):
        broken, rest = fail_and_heal(bench, Fault(**FAULTS[name][0], skip=skip, times=1))
        if broken.error:
            assert_foreseen(broken, RetryLater)
        assert broken.texts | rest.texts == bench.texts(posts), f"after {skip} requests"


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_week_loses_nothing(bench: Bench, seed: int) -> None:
    """Faults, stops and new posts in any order, out of order and doubled; then two quiet pulls."""
    chance = random.Random(seed)
    bench.small_pages()
    bench.standin.out_of_order = bool(seed & 1)
    bench.standin.duplicates = bool(seed & 2)
    posts = bench.posts(20)
    read: dict[str, str] = {}
    cursor: Any = {}
    for _ in range(25):
        keys = FAULTS[chance.choice([name for name in PASSING if name != "stall"])][0]
        bench.standin.fail(Fault(**keys, skip=chance.randrange(12), times=chance.randrange(1, 3)))
        reading = bench.read(cursor, pages=chance.choice([None, 1, 2, 5]))
        if reading.error:
            assert_foreseen(reading, RetryLater)
        read |= reading.texts
        cursor = reading.cursor
        bench.standin.heal()
        minutes = chance.randrange(1, 300)
        bench.step(timedelta(minutes=minutes))
        posts += bench.posts(chance.randrange(4), ago=timedelta(minutes=minutes))
    for _ in range(2):
        reading = bench.whole(cursor)
        read |= reading.texts
        cursor = reading.cursor
    assert read == bench.texts(posts)


@pytest.mark.parametrize("name", FAULTS)
def test_a_failure_of_a_recheck(bench: Bench, name: str) -> None:
    posts = bench.posts(6)
    keys, expected = FAULTS[name]
    identities = [post.external_id for post in posts]
    fault = Fault(**keys, times=None)
    bench.standin.fail(fault)
    broken = bench.recheck(identities, connector=impatient(bench, fault))
    assert_foreseen(broken, expected)
    assert broken.mentions == {}, "a platform that has lost its way is no reason for tombstones"
    bench.standin.heal()
    assert bench.recheck(identities).texts == bench.texts(posts)


def test_a_rate_limit_says_when_to_come_back(bench: Bench) -> None:
    """The headers are those of every platform that has one, and the standard's own Retry-After."""
    bench.posts(6)
    reset = str(int(bench.clock.now().timestamp()) + WAIT)
    headers = {"Retry-After": str(WAIT), "x-rate-limit-reset": reset, "x-ratelimit-reset": str(WAIT)}
    bench.standin.fail(Fault(what="status", status=429, body=REFUSED, headers=headers, times=None))
    broken = bench.read()
    assert isinstance(broken.error, RetryLater)
    assert broken.error.at is not None
    wait = broken.error.at - bench.clock.now()
    assert timedelta(seconds=WAIT - 1) <= wait <= timedelta(minutes=16)


def test_a_rate_limit_with_a_senseless_header_is_a_rate_limit(bench: Bench) -> None:
    bench.posts(6)
    headers = dict.fromkeys(("Retry-After", "x-rate-limit-reset", "x-ratelimit-reset"), "soon")
    bench.standin.fail(Fault(what="status", status=429, body=REFUSED, headers=headers, times=None))
    assert_foreseen(bench.read(), RetryLater)


def test_few_requests_are_made_to_a_platform_that_is_down(bench: Bench) -> None:
    bench.posts(6)
    bench.standin.fail(Fault(what="status", status=503, times=None))
    assert bench.read().requests <= 6


def test_bad_credentials_are_refused(bench: Bench) -> None:
    bench.posts(6)
    for name in bench.standin.secrets:
        connector = bench.connector({**bench.standin.secrets, name: "wrong-but-secret-1234567"})
        broken = bench.read(connector=connector)
        assert_foreseen(broken, AuthError)
        assert "wrong-but-secret" not in str(broken.error)
        with pytest.raises(AuthError):
            connector.check(Meter())
        assert isinstance(bench.recheck(["1"], connector=connector).error, AuthError)


def test_a_check_proves_the_credential_with_little(bench: Bench) -> None:
    meter = Meter()
    bench.connector().check(meter)
    assert 1 <= meter.usage.requests <= 2
    assert meter.usage.requests == len(bench.standin.requests)


def test_a_check_of_a_platform_that_is_down_says_so(bench: Bench) -> None:
    bench.standin.fail(Fault(what="status", status=503, times=None))
    with pytest.raises(RetryLater):
        bench.connector().check(Meter())


def test_nobody_at_home_is_an_outage(bench: Bench) -> None:
    connector = bench.connector()
    bench.standin.stop()
    broken = bench.read(connector=connector)
    assert_foreseen(broken, RetryLater)
    bench.standin.start()


def test_the_days_budget_stops_the_pull_and_tomorrow_reads_the_rest(bench: Bench) -> None:
    bench.small_pages()
    posts = bench.posts(25)
    needed = bench.whole().requests
    for allowed in {1, 2, needed // 2, needed - 1}:
        asked = len(bench.standin.requests)
        stopped = bench.read(meter=bench.meter(daily_requests=allowed))
        assert isinstance(stopped.error, QuotaExhausted)
        assert stopped.error.at is not None
        assert bench.clock.now() < stopped.error.at <= bench.clock.now() + timedelta(days=1, hours=1)
        assert len(bench.standin.requests) - asked <= allowed
        assert stopped.usage.requests <= allowed
        rest = bench.whole(stopped.cursor)
        assert stopped.texts | rest.texts == bench.texts(posts)


def test_a_budget_that_is_enough_is_no_hindrance(bench: Bench) -> None:
    posts = bench.posts(12)
    needed = bench.whole().requests
    reading = bench.read(meter=bench.meter(daily_requests=needed))
    assert reading.error is None
    assert reading.texts == bench.texts(posts)


def test_the_budgets_day_holds_now(bench: Bench) -> None:
    settings = connectors.connector_settings(bench.settings(daily_requests=7), bench.channel)
    limits, began, ends = bench.kind.budget(settings, bench.clock.now())
    assert isinstance(limits, Limits)
    assert limits.requests is not None
    assert limits.requests <= 7
    assert began <= bench.clock.now() < ends
    assert timedelta(hours=23) <= ends - began <= timedelta(hours=25)


def test_a_budget_counts_in_the_cursor_as_json(bench: Bench) -> None:
    bench.small_pages()
    bench.posts(25)
    stopped = bench.read(meter=bench.meter(daily_requests=2))
    assert json.loads(json.dumps(stopped.cursor)) == stopped.cursor


def test_a_platform_that_cannot_be_reached_is_named_with_what_to_check(bench: Bench) -> None:
    connector = bench.connector()
    host = bench.standin.base_url.removeprefix("http://")
    bench.standin.stop()
    error = bench.read(connector=connector).error
    assert isinstance(error, RetryLater)
    assert f" at {host} (" in str(error)
    assert f"check connectors.{bench.channel}.base_url; the rest is read later" in str(error)
