"""The calls to YouTube's Data API, through Google's client: one request each, no retries, errors by what to do."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors.base import PerThread, is_loopback, no_answer
from listener.errors import AuthError, QuotaExhausted, RetryLater

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from connectors.base import Meter
    from listener.clock import Clock

HOST = "https://youtube.googleapis.com"
"""Where Google's client asks, unless it is told another place."""
IDS_AT_ONCE = 50
"""A look-up takes no more of them."""
PACIFIC = ZoneInfo("America/Los_Angeles")
"""Google counts a day's quota from midnight to midnight here."""

_LISTS = {
    "search": "youtube#searchListResponse",
    "videos": "youtube#videoListResponse",
    "commentThreads": "youtube#commentThreadListResponse",
    "comments": "youtube#commentListResponse",
}
_KEY = re.compile(r"[!-~]+")
_REASON = re.compile(r"[A-Za-z][A-Za-z_]{2,60}")
_LONGEST_MESSAGE = 300
_LONGEST_WAIT = timedelta(days=1)

_DAY_IS_SPENT = {"quotaExceeded", "dailyLimitExceeded", "dailyLimitExceededUnreg"}
_GONE = {
    "commentsDisabled",
    "videoNotFound",
    "commentNotFound",
    "commentThreadNotFound",
    "parentCommentNotFound",
    "channelNotFound",
}
_TOO_FAST = {"rateLimitExceeded", "userRateLimitExceeded"}
_BAD_KEY = {"keyInvalid", "keyExpired", "API_KEY_INVALID", "API_KEY_EXPIRED"}


def quota_day(now: datetime) -> tuple[datetime, datetime]:
    """Return when the quota's day that holds ``now`` began and ends: Pacific midnights, in UTC."""
    today = now.astimezone(PACIFIC).date()
    began, ends = (datetime.combine(day, time(), PACIFIC) for day in (today, today + timedelta(days=1)))
    return began.astimezone(UTC), ends.astimezone(UTC)


class ItemGone(Exception):  # noqa: N818 - no error: what was asked for is not there, or its comments are turned off
    """The video, comment or channel that was asked about gives nothing; everything else goes on."""


class TokenRefused(Exception):  # noqa: N818 - no error: a token outlived its listing
    """The page token is no longer good: the listing has to begin anew."""


class Refused(Exception):  # noqa: N818 - an answer, which ``explain`` turns into an error
    """The API answered with an error status. Nothing in it tells the key.

    It is raised below Google's client, whose own ``HttpError`` writes the whole URL into its message and
    fails on error bodies that are not of the documented shape.
    """

    def __init__(self, status: int, content: bytes, *, retry_after: str | None = None) -> None:
        error = _error_of(content)
        entries = [entry for name in ("errors", "details") for entry in _list(error.get(name))]
        reasons = [str(entry.get("reason")) for entry in entries if isinstance(entry, dict)]
        self.status = status
        self.retry_after = retry_after
        self.reasons = frozenset(reason for reason in reasons if _REASON.fullmatch(reason))
        self.domains = frozenset(str(entry.get("domain")) for entry in entries if isinstance(entry, dict))
        message = error.get("message")
        self.message = " ".join(message.split())[:_LONGEST_MESSAGE] if isinstance(message, str) else ""
        said = ", ".join(filter(None, [*sorted(self.reasons), self.message]))
        super().__init__(f"HTTP {status}{f' ({said})' if said else ''}")


def explain(refused: Refused, *, now: datetime, paging: bool = False) -> Exception:
    """Return what a refusal means: a ``ListenerError``, ``ItemGone``, or (``paging``) ``TokenRefused``."""
    words = f"YouTube answered {refused}"
    if refused.reasons & _DAY_IS_SPENT or "per day" in refused.message.casefold():
        return QuotaExhausted(f"{words}: the day's quota is used up", at=quota_day(now)[1])
    if paging and "invalidPageToken" in refused.reasons:
        return TokenRefused(words)
    if refused.reasons & _GONE or ("forbidden" in refused.reasons and _about_comments(refused)):
        return ItemGone(words)
    return _explain_outage(refused, words, now)


def _explain_outage(refused: Refused, words: str, now: datetime) -> AuthError | RetryLater:
    if refused.reasons & _TOO_FAST or refused.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}:
        return RetryLater(f"{words}: too many requests", at=_retry_at(refused, now))
    if refused.reasons & _BAD_KEY or refused.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return AuthError(
            f"{words}: check LISTENER_YOUTUBE_API_KEY, and that YouTube Data API v3 is enabled for it"
        )
    if refused.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RetryLater(words, at=_retry_at(refused, now))
    return RetryLater(f"{words}: check the stream's query and connectors.youtube.base_url")


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list: its items as sent, and the token of the next page, if there is one."""

    items: tuple[Any, ...]
    next_token: str | None


class YoutubeApi:
    """The four lists, for any number of threads: each has a client and a connection of its own."""

    def __init__(
        self, *, base_url: str | None, timeout: float, key: SecretStr, user_agent: str, clock: Clock
    ) -> None:
        if not _KEY.fullmatch(key.get_secret_value()):
            raise AuthError("LISTENER_YOUTUBE_API_KEY holds a character that no API key has: copy the key again")
        self._base_url = base_url
        self._timeout = timeout
        self._key = key
        self._user_agent = user_agent
        self._clock = clock
        self._lines = PerThread(self._open, _Line.close)

    def ask(self, resource: str, meter: Meter, **parameters: Any) -> ListPage:
        """Make one request of ``resource`` (``"videos"``); parameters that are None are left out.

        A search counts as one search, everything else as one unit of quota. Raises ``AuthError``,
        ``QuotaExhausted``, ``RetryLater``, ``ItemGone`` or ``TokenRefused``.
        """
        meter.request(**({"searches": 1} if resource == "search" else {"quota_units": 1}))
        given = {name: value for name, value in parameters.items() if value is not None}
        try:
            body = self._execute(resource, given)
        except Refused as refused:
            raise explain(refused, now=self._clock.now(), paging="pageToken" in given) from refused
        return _read_page(resource, body)

    def look_up(self, resource: str, identities: list[str], meter: Meter, **parameters: str) -> list[Any]:
        """Return what is there of up to 50 ids, halving them where the API says that one of them is not."""
        if not identities:
            return []
        try:
            return list(self.ask(resource, meter, **parameters, id=",".join(identities)).items)
        except ItemGone:
            middle = len(identities) // 2
            halves = (identities[:middle], identities[middle:]) if middle else ()
            return [item for half in halves for item in self.look_up(resource, half, meter, **parameters)]

    def close(self) -> None:
        """Close every connection; the next call opens new ones."""
        self._lines.close()

    def _execute(self, resource: str, parameters: Mapping[str, Any]) -> Any:
        from http.client import HTTPException

        from googleapiclient.errors import Error
        from httplib2 import HttpLib2Error

        try:
            return self._lines.get().lists[resource].list(**parameters).execute(num_retries=0)
        except (OSError, HttpLib2Error, HTTPException) as error:
            # Nobody knows what state the connection is in after a failure.
            self._lines.drop()
            configured = self._base_url is not None
            raise RetryLater(
                no_answer("YouTube", "youtube", self._base_url or HOST, error, configured=configured)
            ) from error
        except (Error, ValueError, RecursionError) as error:
            # ValueError: bytes that are no text, and JSON that the standard library alone refuses.
            raise RetryLater(f"YouTube's answer cannot be read: {type(error).__name__}") from error

    def _open(self) -> _Line:
        from googleapiclient.discovery import build

        transport = self._connect()
        # No developerKey: it would go into every URL, and from there into logs and errors.
        service = build(
            "youtube",
            "v3",
            http=transport,
            static_discovery=True,
            cache_discovery=False,
            client_options={"api_endpoint": self._base_url} if self._base_url else None,
        )
        return _Line(transport, {name: getattr(service, name)() for name in _LISTS})

    def _connect(self) -> _Transport:
        import httplib2

        proxies = {"proxy_info": None} if is_loopback(self._base_url) else {}
        connection = httplib2.Http(timeout=self._timeout, **proxies)
        # A redirect would carry the key to wherever it points.
        connection.follow_redirects = False
        return _Transport(connection, self._key, self._user_agent)


@dataclass(frozen=True, slots=True)
class _Line:
    """One thread's connection, and the library's object for each list that is asked over it."""

    transport: _Transport
    lists: Mapping[str, Any]

    def close(self) -> None:
        self.transport.close()


class _Transport:
    """What Google's client sends its requests through: adds the key on the way out, refuses on the way in."""

    def __init__(self, connection: Any, key: SecretStr, user_agent: str) -> None:
        self._connection = connection
        self._key = key
        self._user_agent = user_agent

    def request(
        self, uri: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Any, bytes]:
        """Make one request; raises ``Refused`` for any status but a success."""
        key = self._key.get_secret_value()
        added = {"x-goog-api-key": key, "user-agent": f"{self._user_agent} (gzip)"}
        response, content = self._connection.request(uri, method, body=body, headers={**(headers or {}), **added})
        if response.status != HTTPStatus.OK:
            # Google names the key in some refusals ("Consumer 'api_key:…' has been suspended").
            content = content.replace(key.encode(), b"[key]")
            raise Refused(response.status, content, retry_after=response.get("retry-after"))
        return response, content

    def close(self) -> None:
        self._connection.close()


def _read_page(resource: str, body: Any) -> ListPage:
    if not isinstance(body, dict) or body.get("kind") != _LISTS[resource]:
        raise RetryLater(f"YouTube's answer on {resource} is not the list it should be")
    items, token = body.get("items", []), body.get("nextPageToken")
    if not isinstance(items, list) or not isinstance(token, str | None):
        raise RetryLater(f"YouTube's list of {resource} is not of the form it should have")
    return ListPage(tuple(items), token or None)


def _error_of(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _about_comments(refused: Refused) -> bool:
    """Tell a private video's ``forbidden`` from a key's: its domain is the list that was asked."""
    return any(domain.startswith("youtube.comment") for domain in refused.domains)


def _retry_at(refused: Refused, now: datetime) -> datetime | None:
    if refused.retry_after and refused.retry_after.isdecimal():
        return now + min(timedelta(seconds=min(int(refused.retry_after[:9]), 10**9)), _LONGEST_WAIT)
    return None
