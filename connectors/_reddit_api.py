"""Reddit's API through praw: one request at a time, counted, kept within the rate limit, and without a long sleep.

praw does the tokens, the headers and the JSON; what comes back is the platform's own JSON, not praw's objects:
one item of a wrong shape must not take the other 99 of its page along. praw gets its HTTP session from here,
so that every request it makes, for tokens too, is announced to the meter, has a timeout and an error that says
what to do. prawcore's own pauses (up to ten seconds between requests, and until the reset of the rate limit)
never come about: it does not see the headers it would derive them from, and this module keeps the limit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from connectors.base import Meter, is_loopback, no_answer
from listener.errors import AuthError, ConfigError, RetryLater

if TYPE_CHECKING:
    import praw
    import requests
    from pydantic import SecretStr

    from connectors.base import ConnectorSettings
    from listener.clock import Clock

OAUTH_URL = "https://oauth.reddit.com"
SITE_URL = "https://www.reddit.com"
_TOKEN_PATH = "/api/v1/access_token"  # noqa: S105 - a path, not a token
_PAUSE_SECONDS = 0.5
_OK, _REDIRECT, _UNAUTHORIZED, _TIMED_OUT, _TOO_MANY, _BROKEN = 200, 300, 401, 408, 429, 500


class Unreadable(ConfigError):  # noqa: N818 - named for what it says of the place, as SkipItem is
    """Reddit does not show this place: a subreddit or thread that is private, banned or misspelt.

    ``status`` is the HTTP status it said so with.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class _TokenRefused(AuthError):  # noqa: N818 - see Unreadable
    """The bearer token is not, or no longer, good: a fresh one may be."""


class _Dropped(RetryLater):
    """The connection broke or never came about: at once it may."""


class RedditApi:
    """What the connector asks of Reddit, for one thread at a time (as praw demands)."""

    def __init__(
        self, settings: ConnectorSettings, secrets: Mapping[str, SecretStr], *, clock: Clock, user_agent: str
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._user_agent = user_agent
        self._wire = _Wire(settings, clock)
        self._reddit: praw.Reddit | None = None

    def get(self, path: str, params: Mapping[str, str | int], meter: Meter) -> Any:
        """Return the JSON at ``path``.

        Raises ``AuthError``, ``RetryLater``, ``QuotaExhausted``, or ``Unreadable`` for this path alone.
        """
        return self._request("GET", path, meter, params=dict(params))

    def post(self, path: str, data: Mapping[str, str], meter: Meter) -> Any:
        """Return what ``path`` answers to a form; raises like :meth:`get`."""
        return self._request("POST", path, meter, data=dict(data))

    def close(self) -> None:
        """Let go of the connections."""
        self._wire.close()

    def _request(self, method: str, path: str, meter: Meter, **what: Any) -> Any:
        self._wire.meter = meter
        try:
            return self._send(method, path, **what)
        except _TokenRefused:
            # Tokens run out after a day and can be revoked before: praw asks for a new one when it is new itself.
            self._reddit = None
            return self._send(method, path, **what)

    def _send(self, method: str, path: str, **what: Any) -> Any:
        from prawcore.exceptions import BadJSON, RequestException

        if self._reddit is None:
            self._reddit = self._connect()
        try:
            return self._reddit.request(method=method, path=path, **what)
        except RequestException as error:
            # prawcore wraps whatever its session raises; the wire's own errors are what to say.
            failure = error.original_exception
            raise failure from failure.__cause__
        except (BadJSON, RecursionError) as error:
            raise RetryLater(f"Reddit's answer to {path} is not JSON: trying again later") from error

    def _connect(self) -> praw.Reddit:
        import praw

        _ignore_praw_ini()
        base = self._settings.base_url.rstrip("/") if self._settings.base_url else None
        return praw.Reddit(
            "DEFAULT",
            client_id=self._secrets["client_id"].get_secret_value(),
            client_secret=self._secrets["client_secret"].get_secret_value(),
            user_agent=self._user_agent,
            # Named so that no environment variable of praw's turns this into a login.
            username=None,
            password=None,
            refresh_token=None,
            redirect_uri=None,
            oauth_url=f"{base or OAUTH_URL}/",
            reddit_url=base or SITE_URL,
            check_for_updates=False,
            check_for_async=False,
            ratelimit_seconds=0,
            requestor_kwargs={"session": self._wire},
        )


class _Wire:
    """The HTTP session that praw works with: what it uses of ``requests.Session``, and what it lacks."""

    def __init__(self, settings: ConnectorSettings, clock: Clock) -> None:
        import requests

        self.meter = Meter()
        self._timeout = settings.timeout_seconds
        self._is_configured = settings.base_url is not None
        self._clock = clock
        self._full_until: datetime | None = None
        self._session = requests.Session()
        self.headers = self._session.headers
        if is_loopback(settings.base_url):
            self._session.trust_env = False

    def request(self, method: str, url: str, **what: Any) -> requests.Response:
        """Make one request; returns only what Reddit answered with status 200."""
        if self._full_until and self._clock.now() < self._full_until:
            raise RetryLater("Reddit's rate limit is used up until its reset", at=self._full_until)
        response = self._persist(method, url, **what)
        self._keep_limit(response)
        status, path = response.status_code, urlsplit(url).path
        if status == _TOO_MANY:
            raise RetryLater("Reddit's rate limit is used up (429)", at=self._reset_of(response))
        if status >= _BROKEN or status == _TIMED_OUT:
            raise RetryLater(f"Reddit answers {path} with status {status}: trying again later")
        if path.endswith(_TOKEN_PATH):
            _refuse_token(response)
        elif status != _OK:
            _refuse(status, path)
        return response

    def close(self) -> None:
        self._session.close()

    def _persist(self, method: str, url: str, **what: Any) -> requests.Response:
        """Ask, and once more after a 5xx or a dropped connection: one alone is common, and a pull asks often."""
        try:
            response = self._ask(method, url, **what)
        except _Dropped:
            response = None
        if response is not None and response.status_code < _BROKEN:
            return response
        time.sleep(_PAUSE_SECONDS)
        return self._ask(method, url, **what)

    def _ask(self, method: str, url: str, **what: Any) -> requests.Response:
        import requests

        self.meter.request()
        try:
            return self._session.request(method, url, **{**what, "timeout": self._timeout})
        except requests.RequestException as error:
            message = no_answer("Reddit", "reddit", url, error, configured=self._is_configured)
            dropped = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
            if isinstance(error, dropped) and not isinstance(error, requests.Timeout):
                raise _Dropped(message) from error
            raise RetryLater(message) from error

    def _keep_limit(self, response: requests.Response) -> None:
        """Note when the limit is used up, and take its headers away from prawcore, which would sleep on them."""
        remaining = _number(response.headers.pop("x-ratelimit-remaining", None))
        reset = _number(response.headers.get("x-ratelimit-reset"))
        if remaining is not None and reset is not None and remaining < 1:
            self._full_until = self._after(reset)

    def _reset_of(self, response: requests.Response) -> datetime | None:
        for name in ("retry-after", "x-ratelimit-reset"):
            if (seconds := _number(response.headers.get(name))) is not None:
                return self._after(seconds)
        return None

    def _after(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)


def _refuse(status: int, path: str) -> None:
    if status == _UNAUTHORIZED:
        raise _TokenRefused("Reddit refuses the token it gave (401): check the app at reddit.com/prefs/apps")
    if status < _REDIRECT:
        raise RetryLater(f"Reddit answers {path} with status {status} and nothing to read: trying again later")
    raise Unreadable(
        f"Reddit does not show {path} (status {status}): private, banned, misspelt or not to be asked so",
        status=status,
    )


def _refuse_token(response: requests.Response) -> None:
    status = response.status_code
    fix = "check LISTENER_REDDIT_CLIENT_ID and LISTENER_REDDIT_CLIENT_SECRET"
    if status != _OK:
        raise AuthError(f"Reddit refuses the client id or its secret (status {status}): {fix}")
    try:
        answer = response.json()
    except (ValueError, RecursionError) as error:
        raise RetryLater("Reddit's answer to the token request is not JSON: trying again later") from error
    if isinstance(answer, dict) and "error" in answer:
        raise AuthError(f"Reddit gives this application no token: {fix}")
    if not (
        isinstance(answer, dict)
        and isinstance(answer.get("access_token"), str)
        and answer["access_token"].isascii()
        and isinstance(answer.get("expires_in"), int)
        and isinstance(answer.get("scope"), str)
    ):
        raise RetryLater("Reddit's answer to the token request holds no token: trying again later")


def _number(text: str | None) -> float | None:
    """Return a header's seconds or count, or None where it says nothing usable."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number <= timedelta(days=1).total_seconds() else None


def _ignore_praw_ini() -> None:
    """Give praw its own defaults: for each key left out it would read a praw.ini of the working or home folder."""
    import configparser
    from importlib.resources import files

    from praw.config import Config

    with Config.LOCK:
        if Config.CONFIG is None:
            shipped = configparser.ConfigParser(interpolation=None)
            shipped.read_string(files("praw").joinpath("praw.ini").read_text(encoding="utf-8"))
            Config.CONFIG = shipped
