"""How requests reach X: whereto, with which credential, for how long, and what its refusals mean."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from connectors.base import clean_text, is_loopback, utc_day
from listener.errors import AuthError, ListenerError, QuotaExhausted, RetryLater

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

    from listener.clock import Clock

HOST = "https://api.twitter.com"
"""The host tweepy is built for; X answers there as at api.x.com."""
WINDOW = timedelta(minutes=15)
"""X counts requests by windows of this length."""
_DAY = timedelta(days=1)


class Refused(RetryLater):
    """X takes the request for wrong (400); ``parameters`` are those it names."""

    def __init__(self, message: str, *, parameters: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.parameters = parameters


class Transport:
    """What tweepy's session sends its requests through (it has no timeout, no other host of its own).

    It alone holds the bearer token, so that tweepy, which logs its headers, never sees it, and it turns every
    refusal into one of our errors before tweepy reads it: tweepy trips over an error whose body is not an object.
    """

    def __init__(
        self, inner: HTTPAdapter, *, base_url: str | None, timeout_seconds: float, token: str, clock: Clock
    ) -> None:
        self._inner = inner
        self._base_url = (base_url or HOST).rstrip("/")
        self._loopback = is_loopback(self._base_url)
        self._timeout = timeout_seconds
        self._token = token
        self._clock = clock
        self.exhausted_until: datetime | None = None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send one request; raises ``ListenerError`` for any answer but 200, a redirect too."""
        request.url = self._base_url + (request.url or "").removeprefix(HOST)
        request.headers["Authorization"] = f"Bearer {self._token}"
        options["timeout"] = self._timeout
        if self._loopback:
            options["proxies"] = {}
        response = self._inner.send(request, **options)
        self.exhausted_until = _exhausted_until(response.headers, self._clock.now())
        if response.status_code != HTTPStatus.OK:
            raise refusal(
                response.status_code,
                response.headers,
                response.text.replace(self._token, "[token]"),
                now=self._clock.now(),
            )
        return response

    def close(self) -> None:
        """Let go of connections."""
        self._inner.close()


def open_client(
    token: str, *, base_url: str | None, timeout_seconds: float, user_agent: str, clock: Clock
) -> tuple[Any, Transport]:
    """Return a tweepy ``Client`` and the transport its requests go through; raises ``AuthError``."""
    import tweepy
    from requests.adapters import HTTPAdapter

    token = token.strip()
    if not re.fullmatch(r"[!-~]+", token):
        # The HTTP library would refuse it too, and quote it in its message.
        raise AuthError("LISTENER_TWITTER_BEARER_TOKEN holds characters that no token has: copy it again")
    # tweepy writes whole answers, people's posts as they came, into its log at level DEBUG.
    logging.getLogger("tweepy.client").setLevel(logging.INFO)
    client = tweepy.Client("held by the transport", return_type=dict, wait_on_rate_limit=False)
    client.user_agent = user_agent
    transport = Transport(
        HTTPAdapter(), base_url=base_url, timeout_seconds=timeout_seconds, token=token, clock=clock
    )
    # With no other adapter there is no other host that a request could go to.
    client.session.adapters.clear()
    client.session.mount(f"{HOST}/", transport)
    return client, transport


def refusal(status: int, headers: Mapping[str, str], body: str, *, now: datetime) -> ListenerError:
    """Return what an answer other than 200 means for the caller, from its status, headers and text.

    The monthly cap (429, ``UsageCapExceeded``) and spent credits (402) come without the moment they end: the
    account's billing day is not told, and asking again costs nothing, so the next UTC day is tried.
    """
    problem = _problem(body)
    said = _said(problem)
    if status == HTTPStatus.UNAUTHORIZED:
        return AuthError(
            f"X refused the bearer token (401{said}): make a new one in the developer portal and set "
            "LISTENER_TWITTER_BEARER_TOKEN"
        )
    if status == HTTPStatus.FORBIDDEN:
        return AuthError(f"X does not allow this to the app (403{said}): check its access in the developer portal")
    if status == HTTPStatus.PAYMENT_REQUIRED or "usage-capped" in str(problem.get("type")):
        return QuotaExhausted(
            f"X gives no more posts to this account for now ({status}{said})", at=utc_day(now)[1]
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        at = _reset(headers, now) or now + WINDOW
        return RetryLater(f"X's rate limit is used up until {at:%H:%M:%S} UTC", at=at)
    if status == HTTPStatus.BAD_REQUEST:
        return Refused(f"X takes the request for wrong (400{said})", parameters=_parameters(problem))
    return RetryLater(f"X answered with status {status}{said}: the rest is read later")


def _reset(headers: Mapping[str, str], now: datetime) -> datetime | None:
    written = headers.get("x-rate-limit-reset", "")
    # A moment beyond a day is no reset of a 15-minute window, whatever wrote it.
    if not written.isdecimal() or not now.timestamp() <= int(written) <= (now + _DAY).timestamp():
        return None
    return datetime.fromtimestamp(int(written), UTC)


def _exhausted_until(headers: Mapping[str, str], now: datetime) -> datetime | None:
    return _reset(headers, now) if headers.get("x-rate-limit-remaining") == "0" else None


def _problem(body: str) -> Mapping[str, Any]:
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _errors(problem: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    errors = problem.get("errors")
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _said(problem: Mapping[str, Any]) -> str:
    """Return X's own words as ``": …"``, short and on one line, or an empty string."""
    messages = [error.get("message") for error in _errors(problem)]
    words = next((each for each in (*messages, problem.get("detail"), problem.get("title")) if each), "")
    line = " ".join(clean_text(words).split())[:200] if isinstance(words, str) else ""
    return f": {line}" if line else ""


def _parameters(problem: Mapping[str, Any]) -> frozenset[str]:
    named = [error.get("parameters") for error in _errors(problem)]
    return frozenset(name for parameters in named if isinstance(parameters, dict) for name in parameters)
