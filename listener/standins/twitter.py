"""X as it answers on loopback: recent search, mentions of an account, look-up by id, usage.

Shapes, limits and refusals follow docs.x.com (X API v2): seven days of recent search, ids that are snowflakes
(``(milliseconds - 1288834974657) << 22``), an edit that is a post of its own with the history of ids, and
``since_id``/``until_id`` that may not stand beside ``start_time``/``end_time``.
"""

from __future__ import annotations

import random
import re
import zlib
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from listener.mention import Kind, Metrics
from listener.standins.posts import Post
from listener.standins.server import Request, Response, Standin
from listener.standins.tweets import Version, snowflake, tweet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

LOOKBACK = timedelta(days=7)
WINDOW = timedelta(minutes=15)
MENTIONS_GIVEN = 800
PAGE = 100
QUERY_LENGTH = 512
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_SEARCH = "/2/tweets/search/recent"
_LOOKUP = "/2/tweets"
_USAGE = "/2/usage/tweets"
_MENTIONS = re.compile(r"/2/users/(\d+)/mentions")
_TERM = re.compile(r'-?"[^"]*"|\S+')
_OPERATOR = re.compile(r"-.*|[a-z_]+:\S+")


class _Refusal(Exception):  # noqa: N818 - an answer, not an error of the stand-in
    """A request that X answers with 400."""

    def __init__(self, parameter: str, value: str, message: str) -> None:
        super().__init__(message)
        self.body = {
            "errors": [{"parameters": {parameter: [value]}, "message": message}],
            "title": "Invalid Request",
            "detail": "One or more parameters to your request was invalid.",
            "type": "https://api.twitter.com/2/problems/invalid-request",
        }


@dataclass(slots=True)
class _Count:
    window: int = -1
    used: int = 0


class TwitterStandin(Standin):
    """X on loopback.

    Attributes to set before or between requests: ``limits`` holds the requests each endpoint grants in 15
    minutes of the clock, ``accounts`` the handle of each account whose mentions are asked for (others are found
    by what they posted themselves), ``monthly_cap`` the posts that may be read in a calendar month,
    ``token_life`` how long a ``next_token`` is taken, ``renamed_fields`` sends ``note_post``,
    ``referenced_posts`` and ``edit_history_post_ids`` in place of the older names.
    """

    channel: ClassVar[str] = "twitter"
    secrets: ClassVar[Mapping[str, str]] = {"bearer_token": "AAAA-standin-bearer-token"}

    page_size_cap: int | None = None
    """Never more items to a page than this: X may always send fewer than ``max_results``."""
    out_of_order: bool = False
    """Within a page items come in no order."""
    duplicates: bool = False
    """Each page begins with the last item of the page before."""
    renamed_fields: bool = False
    monthly_cap: int | None = None
    token_life: timedelta | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.limits = {"search": 450, "mentions": 450, "lookup": 3500, "usage": 50}
        self.accounts: dict[str, str] = {}
        self.posts_read: dict[str, int] = {}
        self._counts: dict[str, _Count] = {}
        self._found: tuple[object, list[Version]] = (None, [])

    @classmethod
    def example_posts(cls, count: int, start: datetime, step: timedelta = timedelta(minutes=30)) -> list[Post]:
        """Return ``count`` posts from ``start`` on, each third a reply to the one before it."""
        posts: list[Post] = []
        for number in range(count):
            published = (start + number * step).astimezone(UTC).replace(microsecond=0)
            identity = str(snowflake(published) + number)
            parent = posts[-1] if number % 3 == 2 else None  # noqa: PLR2004 - each third
            posts.append(
                Post(
                    channel=cls.channel,
                    external_id=identity,
                    kind=Kind.REPLY if parent else Kind.POST,
                    published_at=published,
                    text=f"Waited {number + 2} hours at St. Elsewhere, the nurses were kind & patient.",
                    author_id=str(7000 + number % 7),
                    author_handle=f"visitor{number % 7}",
                    parent_id=parent.external_id if parent else None,
                    conversation_id=parent.conversation_id if parent else identity,
                    metrics=Metrics(likes=number, replies=number % 3, shares=number % 2, views=10 * number),
                )
            )
        return posts

    def publish(self, *posts: Post) -> None:
        """Put posts on the platform, or replace those with the same id."""
        with self.lock:
            super().publish(*posts)
            self._found = (None, [])

    def respond(self, request: Request) -> Response:
        """Answer as X does: 401 without the token, 404 for another path, 429 beyond the limits."""
        if request.headers.get("authorization") != f"Bearer {self.secrets['bearer_token']}":
            return _problem(401, "Unauthorized")
        endpoint, answer = self._route(request.path)
        if answer is None:
            return _problem(404, "Not Found")
        headers, spent = self._count(endpoint)
        if spent:
            return _problem(429, "Too Many Requests", headers)
        if endpoint != "usage" and self._capped():
            # The monthly cap is told without the moment of its reset.
            del headers["x-rate-limit-reset"]
            return Response(429, _CAPPED, headers)
        try:
            return Response(200, answer(request), headers)
        except _Refusal as refusal:
            return Response(400, refusal.body, headers)

    def _route(self, path: str) -> tuple[str, Callable[[Request], Any] | None]:
        if path == _SEARCH:
            return "search", self._search
        if path == _LOOKUP:
            return "lookup", self._lookup
        if path == _USAGE:
            return "usage", self._usage
        return "mentions", self._mentions if _MENTIONS.fullmatch(path) else None

    def _count(self, endpoint: str) -> tuple[dict[str, str], bool]:
        window = (self.clock.now() - _UNIX) // WINDOW
        count = self._counts.setdefault(endpoint, _Count())
        if count.window != window:
            count.window, count.used = window, 0
        limit = self.limits[endpoint]
        spent = count.used >= limit
        count.used += not spent
        reset = int((window + 1) * WINDOW.total_seconds())
        return {
            "x-rate-limit-limit": str(limit),
            "x-rate-limit-remaining": str(limit - count.used),
            "x-rate-limit-reset": str(reset),
        }, spent

    def _month(self) -> str:
        return self.clock.now().strftime("%Y-%m")

    def _capped(self) -> bool:
        return self.monthly_cap is not None and self.posts_read.get(self._month(), 0) >= self.monthly_cap

    def _read(self, versions: Iterable[Version], request: Request) -> list[dict[str, Any]]:
        asked = request.query.get("post.fields") or request.query.get("tweet.fields", "")
        sent = [
            tweet(version, self.timeline, fields=asked.split(","), renamed=self.renamed_fields)
            for version in versions
        ]
        self.posts_read[self._month()] = self.posts_read.get(self._month(), 0) + len(sent)
        return sent

    def _usage(self, _request: Request) -> dict[str, Any]:
        return {
            "data": {
                "cap_reset_day": 1,
                "project_cap": str(self.monthly_cap or 3_000_000),
                "project_id": "1369785403853424",
                "project_usage": str(self.posts_read.get(self._month(), 0)),
            }
        }

    def _lookup(self, request: Request) -> dict[str, Any]:
        text = request.query.get("ids", "")
        identities = text.split(",")
        if not all(re.fullmatch(r"\d{1,19}", identity) for identity in identities) or len(identities) > PAGE:
            raise _Refusal("ids", text, f"The `ids` query parameter value [{text}] is not valid")
        found = {identity: self._version(identity) for identity in dict.fromkeys(identities)}
        answer: dict[str, Any] = {}
        if there := [version for version in found.values() if version]:
            answer["data"] = self._read(there, request)
        if gone := [identity for identity, version in found.items() if version is None]:
            answer["errors"] = [_not_found(identity, "tweet", "ids") for identity in gone]
        return answer

    def _version(self, identity: str) -> Version | None:
        """Return the version with this id: an older one is shown as it was, where its own id is asked for."""
        post = self.timeline.get(identity)
        if post is None:
            edited = (each for each in self.timeline.visible() if each.edits)
            post = next((each for each in edited if identity in Version.newest(each).history), None)
        if post is None or post.removed_at:
            return None
        return Version.called(identity, post, self.timeline.first_text(post.external_id))

    def _search(self, request: Request) -> dict[str, Any]:
        query = request.query.get("query", "")
        if not 1 <= len(query) <= QUERY_LENGTH:
            raise _Refusal("query", query, "Invalid 'query': its length must be 1 to 512 characters.")
        if (order := request.query.get("sort_order", "recency")) not in ("recency", "relevancy"):
            raise _Refusal("sort_order", order, "The `sort_order` query parameter is not valid")
        self._check_recent(request.query)
        return self._page(request, "next_token", lambda: self._newest_first(_matcher(query), LOOKBACK), least=10)

    def _mentions(self, request: Request) -> dict[str, Any]:
        account = request.path.split("/")[3]
        handle = self.accounts.get(account) or next(
            (post.author_handle for post in self.timeline.visible() if post.author_id == account), None
        )
        if handle is None:
            return {"errors": [_not_found(account, "user", "id")]}
        named = re.compile(rf"(?<!\w)@{re.escape(handle)}(?!\w)", re.IGNORECASE)
        return self._page(
            request,
            "pagination_token",
            lambda: self._newest_first(lambda text: named.search(text) is not None, None)[:MENTIONS_GIVEN],
            least=5,
        )

    def _check_recent(self, query: Mapping[str, str]) -> None:
        now = self.clock.now()
        edge = now - LOOKBACK
        by_id = [name for name in ("since_id", "until_id") if name in query]
        by_time = [name for name in ("start_time", "end_time") if name in query]
        if by_id and by_time:
            message = "Invalid use of 'since_id' or 'until_id' in conjunction with 'start_time' or 'end_time'."
            raise _Refusal(by_id[0], query[by_id[0]], message)
        if (since := query.get("since_id")) and _number("since_id", since) < snowflake(edge):
            message = (
                f"'since_id' must be a tweet id created after {edge:%Y-%m-%dT%H:%MZ}. "
                f"Please use a 'since_id' that is larger than {snowflake(edge)}"
            )
            raise _Refusal("since_id", since, message)
        if (start := query.get("start_time")) and _moment("start_time", start) < edge:
            raise _Refusal("start_time", start, f"Invalid 'start_time':'{start}': more than seven days ago.")
        if (end := query.get("end_time")) and _moment("end_time", end) > now - timedelta(seconds=10):
            raise _Refusal("end_time", end, "Invalid 'end_time': it must be 10 seconds before the request.")

    def _newest_first(self, wanted: Callable[[str], bool], lookback: timedelta | None) -> list[Version]:
        since = self.clock.now() - lookback if lookback else None
        found = [
            Version.newest(post)
            for post in self.timeline.visible(since=since)
            if post.removed_at is None and wanted(post.text)
        ]
        return sorted(found, key=lambda version: -version.number)

    def _page(
        self, request: Request, token_name: str, find: Callable[[], list[Version]], *, least: int
    ) -> dict[str, Any]:
        query = request.query
        results = query.get("max_results", "10")
        if not results.isdecimal() or not least <= int(results) <= PAGE:
            message = f"The `max_results` query parameter value [{results}] is not between {least} and {PAGE}"
            raise _Refusal("max_results", results, message)
        asked = [(name, value) for name, value in query.items() if name not in (token_name, "max_results")]
        key = (request.path, asked, self.clock.now())
        if self._found[0] != key:
            # One scan serves a whole sweep, as long as the clock stands still and nothing is published.
            self._found = (key, _within(find(), query))
        found = self._found[1]
        start = 0
        if token := query.get(token_name):
            after = self._open_token(token_name, token, asked)
            start = bisect_left(found, -after + 1, key=lambda version: -version.number)
        size = min(int(results), self.page_size_cap or PAGE)
        page = found[max(start - self.duplicates, 0) : start + size]
        meta: dict[str, Any] = {"result_count": len(page)}
        if page:
            meta = {"newest_id": page[0].identity, "oldest_id": page[-1].identity} | meta
        if start + size < len(found):
            meta["next_token"] = self._token(page[-1].number, asked)
        if self.out_of_order:
            random.Random(len(page)).shuffle(page)  # noqa: S311 - any order that is not the right one
        return {"data": self._read(page, request), "meta": meta} if page else {"meta": meta}

    def _token(self, after: int, asked: list[tuple[str, str]]) -> str:
        return f"b26v{after:x}g{int(self.clock.now().timestamp()):x}h{_asked(asked):x}"

    def _open_token(self, name: str, token: str, asked: list[tuple[str, str]]) -> int:
        parts = re.fullmatch(r"b26v([0-9a-f]+)g([0-9a-f]+)h([0-9a-f]+)", token)
        if parts and int(parts[3], 16) == _asked(asked):
            given = datetime.fromtimestamp(int(parts[2], 16), UTC)
            if self.token_life is None or self.clock.now() <= given + self.token_life:
                return int(parts[1], 16)
        raise _Refusal(name, token, f"Invalid '{name}':'{token}'.")


def _asked(asked: list[tuple[str, str]]) -> int:
    # A token is good only for the very query it was given for.
    return zlib.crc32(repr(sorted(asked)).encode("utf-8", "surrogatepass"))


def _within(found: list[Version], query: Mapping[str, str]) -> list[Version]:
    low = _number("since_id", query.get("since_id", "0"))
    high = _number("until_id", query["until_id"]) if "until_id" in query else None
    start = _moment("start_time", query["start_time"]) if "start_time" in query else None
    end = _moment("end_time", query["end_time"]) if "end_time" in query else None
    return [
        version
        for version in found
        if version.number > low
        and (high is None or version.number < high)
        and (start is None or version.created_at >= start)
        and (end is None or version.created_at < end)
    ]


def _number(name: str, value: str) -> int:
    if not re.fullmatch(r"\d{1,19}", value):
        raise _Refusal(name, value, f"The `{name}` query parameter value [{value}] is not valid")
    return int(value)


def _moment(name: str, value: str) -> datetime:
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _Refusal(name, value, f"The `{name}` query parameter value [{value}] is not valid") from None


def _matcher(query: str) -> Callable[[str], bool]:
    """Read a query simply: alternatives joined by OR, each of quoted phrases and words that must all be there.

    Operators (``-is:retweet``, ``lang:en``) are passed over.
    """
    alternatives = []
    for alternative in re.split(r"\bOR\b", query):
        terms = _TERM.findall(alternative.replace("(", " ").replace(")", " "))
        words = [term.strip('"').casefold() for term in terms if not _OPERATOR.fullmatch(term)]
        if any(words):
            alternatives.append(words)

    def matches(text: str) -> bool:
        folded = text.casefold()
        return any(all(word in folded for word in words) for words in alternatives)

    return matches


def _problem(status: int, title: str, headers: Mapping[str, str] | None = None) -> Response:
    body = {"title": title, "type": "about:blank", "status": status, "detail": title}
    return Response(status, body, headers or {})


_CAPPED = {
    "account_id": 1234,
    "product_name": "standard-basic",
    "title": "UsageCapExceeded",
    "period": "Monthly",
    "scope": "Product",
    "detail": "Usage cap exceeded: Monthly product cap",
    "type": "https://api.twitter.com/2/problems/usage-capped",
}


def _not_found(identity: str, resource: str, parameter: str) -> dict[str, Any]:
    return {
        "value": identity,
        "detail": f"Could not find {resource} with {parameter}: [{identity}].",
        "title": "Not Found Error",
        "resource_type": resource,
        "parameter": parameter,
        "resource_id": identity,
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    }
