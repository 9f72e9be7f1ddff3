"""Reddit's API on loopback: tokens, search, subreddit comments, comment trees and look-up by name."""

from __future__ import annotations

import base64
import re
import secrets
import zlib
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from listener.mention import Kind, Metrics
from listener.standins.posts import Post
from listener.standins.reddit_payloads import Tree, comment, escaped, listing, short_id, submission
from listener.standins.server import Request, Response, Standin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from listener.clock import Clock

LISTING_END = 1000
"""Reddit's listings end at this many items."""
_PAGE = 100
_DEFAULT_PAGE = 25
_TREE = 500
_INFO = 100
_TOKEN_SECONDS = 86_400
_RATE_WINDOW = 600
_LOOSE = 3 * 3600
_SPANS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "year": 365}
_EXAMPLE = ("t3", "t3", "t1", "t3", "t1")
"""Two heads, a comment, another head, and a reply to that comment: then again."""


class RedditStandin(Standin):
    """A Reddit for application-only clients, with a few dials for tests.

    ``page_size_cap`` is the most items to a page. With ``out_of_order`` items come in no order within some
    hours, with ``duplicates`` each page begins with the last item of the page before. ``more_after`` is how
    many comments an answer with a tree holds before the rest becomes ``more``, ``max_depth`` how deep it goes.
    ``requests_per_window`` is how many requests it takes in ten minutes of the clock.
    """

    channel: ClassVar[str] = "reddit"
    secrets: ClassVar[Mapping[str, str]] = {
        "client_id": "standin-reddit-client",
        "client_secret": "standin-reddit-secret",
    }

    def __init__(
        self,
        clock: Clock,
        posts: Iterable[Post] = (),
        *,
        port: int = 0,
        page_size_cap: int | None = None,
        out_of_order: bool = False,
        duplicates: bool = False,
        more_after: int | None = None,
    ) -> None:
        super().__init__(clock, posts, port=port)
        self.page_size_cap = page_size_cap
        self.out_of_order = out_of_order
        self.duplicates = duplicates
        self.more_after = more_after
        self.max_depth = 10
        self.requests_per_window = 1000
        self._tokens: dict[str, datetime] = {}
        self._window: tuple[int, int] = (0, 0)

    @classmethod
    def example_posts(cls, count: int, start: datetime, step: timedelta = timedelta(minutes=30)) -> list[Post]:
        """Return ``count`` submissions, comments and replies of one subreddit (see :class:`Standin`)."""
        posts: list[Post] = []
        for number in range(count):
            published = (start + number * step).replace(microsecond=0)
            kind = _EXAMPLE[number % len(_EXAMPLE)]
            parent = {2: -1, 4: -2}.get(number % len(_EXAMPLE))
            above = posts[parent] if parent else None
            fullname = f"{kind}_{int(published.timestamp()):x}"
            posts.append(
                Post(
                    channel=cls.channel,
                    external_id=fullname,
                    kind=Kind.POST if above is None else Kind.COMMENT if above.title else Kind.REPLY,
                    published_at=published,
                    title=None if above else f"A night at St. Elsewhere, {number}",
                    text=f"Waited {number + 2} hours, the nurses were kind & patient \N{BLACK HEART SUIT}",
                    author_id=f"visitor_{number % 7}",
                    author_handle=f"visitor_{number % 7}",
                    community="hamilton",
                    parent_id=above.external_id if above else None,
                    conversation_id=(above.conversation_id or above.external_id) if above else fullname,
                    metrics=Metrics(likes=number % 50),
                )
            )
        threads = Counter(post.conversation_id for post in posts if post.parent_id)
        return [
            replace(post, metrics=replace(post.metrics, replies=threads[post.external_id])) if post.title else post
            for post in posts
        ]

    def respond(self, request: Request) -> Response:
        """Serve a token, or with one what the API has; 401, 404 and 429 as Reddit gives them."""
        if request.path == "/api/v1/access_token":
            return self._token(request)
        known = self._tokens.get(request.headers.get("authorization", "").removeprefix("bearer "))
        if known is None or known <= self.clock.now():
            challenge = 'Bearer realm="reddit", error="invalid_token"'
            return _refusal(401, "Unauthorized", {"www-authenticate": challenge})
        headers = self._spend()
        if self._window[1] > self.requests_per_window:
            return _refusal(429, "Too Many Requests", headers)
        answer = self._answer(request)
        if answer is None:
            return _refusal(404, "Not Found", headers)
        return Response(200, answer if request.query.get("raw_json") == "1" else escaped(answer), headers)

    def revoke_tokens(self) -> None:
        """Forget every token handed out: the next request with one is refused."""
        with self.lock:
            self._tokens.clear()

    def _token(self, request: Request) -> Response:
        pair = f"{self.secrets['client_id']}:{self.secrets['client_secret']}".encode()
        if request.headers.get("authorization") != f"Basic {base64.b64encode(pair).decode()}":
            return _refusal(401, "Unauthorized", {"www-authenticate": 'Basic realm="reddit"'})
        if request.form.get("grant_type") != "client_credentials":
            return Response(200, {"error": "unsupported_grant_type"})
        token = secrets.token_urlsafe(24)
        self._tokens[token] = self.clock.now() + timedelta(seconds=_TOKEN_SECONDS)
        return Response(
            200, {"access_token": token, "token_type": "bearer", "expires_in": _TOKEN_SECONDS, "scope": "*"}
        )

    def _spend(self) -> dict[str, str]:
        now = int(self.clock.now().timestamp())
        window, used = self._window
        used = used + 1 if window == now // _RATE_WINDOW else 1
        self._window = (now // _RATE_WINDOW, used)
        return {
            "X-Ratelimit-Used": str(used),
            "X-Ratelimit-Remaining": f"{max(0, self.requests_per_window - used)}.0",
            "X-Ratelimit-Reset": str(_RATE_WINDOW - now % _RATE_WINDOW),
        }

    def _answer(self, request: Request) -> Any:
        path = request.path.strip("/").removesuffix(".json").strip("/")
        for pattern, serve in (
            (r"r/([\w+-]+)/search", self._search),
            (r"r/([\w+-]+)/comments", self._comments),
            (r"comments/(\w+)(?:/_/(\w+))?", self._tree),
            (r"api/info", self._info),
            (r"api/morechildren", self._morechildren),
        ):
            if match := re.fullmatch(pattern, path):
                return serve({**request.query, **request.form}, *match.groups())
        return None

    def _search(self, asked: Mapping[str, str], subreddit: str) -> Any:
        communities = (
            _communities(subreddit) if asked.get("restrict_sr", "").lower() in ("1", "true", "on") else None
        )
        span = _SPANS.get(asked.get("t", "all"))
        since = self.clock.now() - timedelta(days=span) if span else None
        matches = matcher(asked.get("q", ""))
        found = (
            post
            for post in self._newest(Kind.POST, communities, since=since)
            if matches(f"{post.title or ''}\n{post.text}")
        )
        return self._page(found, asked)

    def _comments(self, asked: Mapping[str, str], subreddit: str) -> Any:
        communities = None if subreddit.lower() == "all" else _communities(subreddit)
        return self._page(self._newest(Kind.COMMENT, communities), asked)

    def _newest(self, kind: Kind, communities: set[str] | None, since: datetime | None = None) -> Iterator[Post]:
        for post in self.timeline.visible(since=since, newest_first=True):
            if post.removed_at or (post.kind is Kind.POST) != (kind is Kind.POST):
                continue
            if communities is None or (post.community or "").lower() in communities:
                yield post

    def _page(self, found: Iterator[Post], asked: Mapping[str, str]) -> Any:
        posts = [post for post, _ in zip(found, range(LISTING_END), strict=False)]
        if self.out_of_order:
            posts.sort(key=_loose_place, reverse=True)
        limit = asked.get("limit", "")
        size = min(int(limit) if limit.isdigit() and int(limit) else _DEFAULT_PAGE, _PAGE)
        size = min(size, self.page_size_cap or size)
        start = 0
        if after := asked.get("after"):
            # What is gone is no place to go on from: the rest of the listing is empty, as Reddit has it.
            start = next((at for at, post in enumerate(posts, 1) if post.external_id == after), len(posts))
        end = start + size
        page = posts[max(start - 1, 0) if self.duplicates else start : end]
        return listing(
            [self._thing(post) for post in page], after=page[-1].external_id if end < len(posts) else None
        )

    def _thing(self, post: Post) -> dict[str, Any]:
        if post.kind is Kind.POST:
            return submission(post, comments=len(self.timeline.thread(post.external_id)))
        return comment(post, self.timeline.get(post.conversation_id or ""))

    def _tree(self, asked: Mapping[str, str], identity: str, only: str | None) -> Any:
        head = self.timeline.get(f"t3_{identity}")
        if head is None:
            return None
        tree = self._read_tree(head, asked)
        root = tree.by_id.get(f"t1_{only}")
        if only and root is None:
            return None
        return [listing([self._thing(head)]), tree.nested(root)]

    def _morechildren(self, asked: Mapping[str, str]) -> Any:
        head = self.timeline.get(asked.get("link_id", ""))
        wanted = [f"t1_{short_id(child)}" for child in asked.get("children", "").split(",") if child]
        things = self._read_tree(head, {**asked, "limit": str(_PAGE)}).flat(wanted) if head else []
        return {"json": {"errors": [], "data": {"things": things}}}

    def _read_tree(self, head: Post, asked: Mapping[str, str]) -> Tree:
        limit = asked.get("limit", "")
        room = min(int(limit) if limit.isdigit() else _TREE, self.more_after or _TREE)
        return Tree(
            head,
            self.timeline.thread(head.external_id),
            room=room,
            max_depth=self.max_depth,
            newest_first=asked.get("sort") == "new",
        )

    def _info(self, asked: Mapping[str, str]) -> Any:
        names = [name for name in asked.get("id", "").split(",") if name][:_INFO]
        found = (self.timeline.get(name) for name in names)
        return listing([self._thing(post) for post in found if post])


def matcher(query: str) -> Callable[[str], bool]:
    """Return a test for texts: any term of ``query`` (split at OR, quotes and operators off), case aside."""
    terms = [re.sub(r"[\"'()]|\b(?:AND|NOT)\b", " ", term).split() for term in re.split(r"\bOR\b", query)]
    wanted = [" ".join(term).casefold() for term in terms if term]
    return lambda text: any(term in text.casefold() for term in wanted)


def _communities(subreddit: str) -> set[str]:
    return set(subreddit.lower().split("+"))


def _loose_place(post: Post) -> tuple[float, int]:
    # By the bucket, not by a shuffle: an order that stays when posts come and go does not lose any.
    return post.published_at.timestamp() // _LOOSE, zlib.crc32(post.external_id.encode())


def _refusal(status: int, message: str, headers: Mapping[str, str]) -> Response:
    return Response(status, {"message": message, "error": status}, headers)
