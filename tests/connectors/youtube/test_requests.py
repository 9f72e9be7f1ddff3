"""The key, what refusals mean, threads and connections."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connectors._youtube_api import ItemGone, Refused, TokenRefused, explain
from connectors._youtube_items import tombstone
from connectors.base import Meter, Window
from listener.errors import AuthError, ListenerError, QuotaExhausted, RetryLater
from listener.standins.server import Fault
from listener.standins.youtube import YoutubeStandin
from listener.standins.youtube_resources import refusal

if TYPE_CHECKING:
    from conftest import Desk

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = YoutubeStandin.secrets["api_key"]


def test_the_key_travels_in_a_header_and_never_in_a_url(desk: Desk) -> None:
    desk.comment(desk.video())
    desk.pull()
    assert desk.standin.requests
    for request in desk.standin.requests:
        assert request.headers["x-goog-api-key"] == KEY
        assert KEY not in json.dumps(dict(request.query))
        assert request.headers["user-agent"].startswith("test/1")


def test_a_refusal_that_names_the_key_is_told_without_it(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    words = f"Permission denied: Consumer 'api_key:{KEY}' has been suspended."
    body = refusal(403, "forbidden", words, status="PERMISSION_DENIED", detail="CONSUMER_SUSPENDED").body
    desk.standin.fail(Fault(what="status", status=403, body=body))
    with pytest.raises(AuthError, match=r"CONSUMER_SUSPENDED.*has been suspended") as caught:
        desk.pull()
    told = "".join(traceback.format_exception(caught.value)) + "".join(
        str(vars(record)) for record in caplog.records
    )
    assert KEY not in told
    assert "LISTENER_YOUTUBE_API_KEY" in str(caught.value)


def test_a_redirect_does_not_carry_the_key_away(desk: Desk) -> None:
    with YoutubeStandin(desk.clock) as elsewhere:
        location = {"Location": f"{elsewhere.base_url}/youtube/v3/search"}
        desk.standin.fail(Fault(what="status", status=302, headers=location, body=""))
        with pytest.raises(RetryLater, match="302"):
            desk.pull()
        assert elsewhere.requests == []


@pytest.mark.parametrize("key", ["two\nlines", "trailing ", "ключ", ""])
def test_a_key_that_cannot_be_one_is_refused_unnamed(desk: Desk, key: str) -> None:
    with pytest.raises(AuthError, match="LISTENER_YOUTUBE_API_KEY") as caught:
        desk.connect(desk.standin, key)
    assert not key or key not in "".join(traceback.format_exception(caught.value))


def test_a_proxy_in_the_environment_is_not_asked_for_loopback(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    video = desk.video()
    assert video.external_id in desk.pull()


GOOGLE_ERRORS = [
    (400, "badRequest", "global", "API_KEY_INVALID", AuthError),
    (400, "keyInvalid", "usageLimits", "", AuthError),
    (401, "authError", "global", "", AuthError),
    (403, "accessNotConfigured", "usageLimits", "SERVICE_DISABLED", AuthError),
    (403, "forbidden", "global", "", AuthError),
    (403, "forbidden", "youtube.commentThread", "", ItemGone),
    (403, "commentsDisabled", "youtube.commentThread", "", ItemGone),
    (404, "videoNotFound", "youtube.commentThread", "", ItemGone),
    (404, "notFound", "global", "", RetryLater),
    (403, "quotaExceeded", "youtube.quota", "", QuotaExhausted),
    (403, "dailyLimitExceeded", "usageLimits", "", QuotaExhausted),
    (403, "rateLimitExceeded", "usageLimits", "", RetryLater),
    (429, "rateLimitExceeded", "global", "RATE_LIMIT_EXCEEDED", RetryLater),
    (400, "invalidPageToken", "youtube.parameter", "", TokenRefused),
    (400, "invalidSearchFilter", "youtube.search", "", RetryLater),
    (503, "backendError", "global", "", RetryLater),
]


@pytest.mark.parametrize(("status", "reason", "domain", "detail", "expected"), GOOGLE_ERRORS)
def test_googles_errors_by_status_and_reason(
    status: int, reason: str, domain: str, detail: str, expected: type[Exception]
) -> None:
    body = refusal(status, reason, "In words.", domain=domain, detail=detail).payload
    assert type(explain(Refused(status, body), now=NOW, paging=True)) is expected


def test_a_bucket_emptied_for_the_day_is_a_quota_whatever_its_reason() -> None:
    words = "Quota exceeded for quota metric 'Search Queries' and limit 'Search Queries per day'"
    body = refusal(429, "rateLimitExceeded", words, status="RESOURCE_EXHAUSTED").payload
    error = explain(Refused(429, body), now=NOW)
    assert isinstance(error, QuotaExhausted)
    assert error.at == datetime(2026, 11, 11, 8, tzinfo=UTC)


@pytest.mark.parametrize("after", ["7", "999999999999", "Tue, 10 Nov 2026 16:00:00 GMT", ""])
def test_when_to_come_back(after: str) -> None:
    error = explain(Refused(503, b"", retry_after=after), now=NOW)
    assert isinstance(error, RetryLater)
    assert error.at == {"7": NOW + timedelta(seconds=7), "999999999999": NOW + DAY}.get(after)


STRANGE_BODIES = [
    {"error": "errors and a message"},
    {"error": {"message": 12, "errors": "none", "details": [1, None]}},
    {"error": {"errors": [{"reason": {"not": "a reason"}, "domain": []}]}},
    [],
    [{"error": {"message": "in a list"}}],
    "quotaExceeded",
    b"\xff\xfe",
    b"[" * 100_000,
]


@pytest.mark.parametrize("body", STRANGE_BODIES, ids=lambda body: repr(body)[:30])
@pytest.mark.parametrize(("status", "expected"), [(400, RetryLater), (403, AuthError), (500, RetryLater)])
def test_an_error_body_of_no_known_shape_goes_by_its_status(
    desk: Desk, body: Any, status: int, expected: type[ListenerError]
) -> None:
    desk.standin.fail(Fault(what="status", status=status, body=body))
    with pytest.raises(expected):
        desk.connector.check(Meter())


@pytest.mark.parametrize(
    "body", [{}, {"kind": "youtube#videoListResponse", "items": {}}, {"kind": "youtube#searchListResponse"}]
)
def test_a_list_of_another_form_is_no_reason_for_tombstones(desk: Desk, body: Any) -> None:
    desk.standin.fail(Fault(what="replace", body=body))
    with pytest.raises(RetryLater):
        list(desk.connector.recheck(["abcdefghijk"], Meter()))


def test_an_empty_list_may_leave_its_items_out(desk: Desk) -> None:
    desk.standin.fail(Fault(what="replace", body={"kind": "youtube#videoListResponse", "etag": "x"}))
    (page,) = desk.connector.recheck(["abcdefghijk"], Meter())
    assert page.mentions == (tombstone("abcdefghijk", NOW),)


def test_threads_share_a_connector_and_nothing_else(desk: Desk) -> None:
    posts = [desk.video() for _ in range(4)]
    posts += [desk.comment(video) for video in posts]
    found: list[set[str]] = []

    def pull() -> None:
        pages = desk.connector.pull(desk.stream, {}, Window(), Meter())
        found.append({mention.external_id for page in pages for mention in page.mentions})

    threads = [threading.Thread(target=pull) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert found == [{post.external_id for post in posts}] * 6


def test_a_broken_connection_is_not_used_again(desk: Desk) -> None:
    desk.standin.fail(Fault(what="truncate"))
    with pytest.raises(RetryLater, match="IncompleteRead"):
        desk.connector.check(Meter())
    desk.connector.check(Meter())
    assert len(desk.standin.requests) == 2
