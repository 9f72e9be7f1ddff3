"""YouTube's Data API v3 on loopback: search, videos, comment threads and comments, with keys and quota."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo

from listener.mention import Kind, Metrics
from listener.standins.identifiers import IdSource, youtube_channel_id
from listener.standins.posts import Post
from listener.standins.server import Request, Response, Standin
from listener.standins.youtube_resources import comment, listing, refusal, search_result, thread, video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from listener.clock import Clock

_PACIFIC = ZoneInfo("America/Los_Angeles")
_MOST_IDS = 50
_LOOSE = timedelta(hours=3)
_EXAMPLE = (Kind.VIDEO, Kind.VIDEO, Kind.COMMENT, Kind.VIDEO, Kind.REPLY)
_FOUND, _THREADS, _COMMENTS, _VIDEOS = "search", "commentThread", "comment", "video"
_DEFAULT_PAGE = {_FOUND: 5, _THREADS: 20, _COMMENTS: 20}
_LARGEST_PAGE = {_FOUND: 50, _THREADS: 100, _COMMENTS: 100}


class YoutubeStandin(Standin):
    """A YouTube that knows one API key, sent as ``key`` or in ``X-Goog-Api-Key``.

    What a test may set:
    ``page_size_cap`` is the most items to a page; ``out_of_order`` mixes what was posted within three hours;
    ``duplicates`` begins each page with the last item of the page before; ``comments_disabled`` holds the ids
    of videos without comments; ``daily_searches`` and ``daily_units`` are the quota of one Pacific day.

    A comment whose own parent was removed is in no list any more, and can still be looked up by its id.
    """

    channel: ClassVar[str] = "youtube"
    secrets: ClassVar[Mapping[str, str]] = {"api_key": "AIzaStandinYoutubeKey_0123456789abcdefg"}

    def __init__(
        self,
        clock: Clock,
        posts: Iterable[Post] = (),
        *,
        port: int = 0,
        page_size_cap: int | None = None,
        out_of_order: bool = False,
        duplicates: bool = False,
    ) -> None:
        super().__init__(clock, posts, port=port)
        self.page_size_cap = page_size_cap
        self.out_of_order = out_of_order
        self.duplicates = duplicates
        self.comments_disabled: set[str] = set()
        self.daily_searches = 100
        self.daily_units = 10_000
        self._day: date | None = None
        self._spent: Counter[str] = Counter()

    @classmethod
    def example_posts(cls, count: int, start: datetime, step: timedelta = timedelta(minutes=30)) -> list[Post]:
        """Return ``count`` videos, comments and replies (see :class:`Standin`), with true counts of replies."""
        posts: list[Post] = []
        for number in range(count):
            published = (start + number * step).astimezone(UTC).replace(microsecond=0)
            kind = _EXAMPLE[number % len(_EXAMPLE)]
            ids = IdSource(Random(f"youtube {published.timestamp()}"))  # noqa: S311 - ids, not secrets
            above = {Kind.COMMENT: -1, Kind.REPLY: -2}.get(kind)
            parent = posts[above] if above else None
            identity = ids.youtube_comment(parent.external_id if kind is Kind.REPLY and parent else None)
            if kind is Kind.VIDEO:
                identity = ids.video()
            visitor = f"visitor {number % 7}"
            posts.append(
                Post(
                    channel=cls.channel,
                    external_id=identity,
                    kind=kind,
                    published_at=published,
                    title=f"A night at St. Elsewhere, {number}" if kind is Kind.VIDEO else None,
                    text=f"Waited {number + 2} hours at St. Elsewhere, the nurses were kind & patient.",
                    author_id=youtube_channel_id(visitor),
                    author_handle=f"@{visitor.replace(' ', '-')}",
                    community=youtube_channel_id(visitor) if kind is Kind.VIDEO else None,
                    parent_id=parent.external_id if parent else None,
                    conversation_id=(parent.conversation_id if parent else None) or identity,
                    language="en" if kind is Kind.VIDEO else None,
                    metrics=Metrics(likes=number % 50, views=10 * number if kind is Kind.VIDEO else None),
                )
            )
        below = Counter(identity for post in posts if post.parent_id for identity in _heads_of(post))
        return [_with_replies(post, below[post.external_id]) for post in posts]

    def respond(self, request: Request) -> Response:
        """Serve one of the four lists, after the key and the quota."""
        # The client library sends a long GET as a POST that says it is one.
        asked = dict(request.query) | (dict(request.form) if request.method == "POST" else {})
        if refused := self._check_key(request, asked):
            return refused
        method = request.path.removeprefix("/youtube/v3/")
        serve: Callable[[dict[str, str]], Response] | None = {
            "search": self._search,
            "videos": self._videos,
            "commentThreads": self._threads,
            "comments": self._comments,
        }.get(method)
        if serve is None:
            return Response(
                404, "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>", {"Content-Type": "text/html"}
            )
        if refused := self._spend("searches" if method == "search" else "units"):
            return refused
        if not asked.get("part"):
            return refusal(400, "missingRequiredParameter", "No filter selected.", status="INVALID_ARGUMENT")
        try:
            return serve(asked)
        except _Invalid as invalid:
            return invalid.response

    def _check_key(self, request: Request, asked: Mapping[str, str]) -> Response | None:
        key = request.headers.get("x-goog-api-key") or asked.get("key")
        if not key:
            words = "Method doesn't allow unregistered callers (callers without established identity)."
            return refusal(403, "forbidden", words, status="PERMISSION_DENIED")
        if key != self.secrets["api_key"]:
            words = "API key not valid. Please pass a valid API key."
            return refusal(400, "badRequest", words, status="INVALID_ARGUMENT", detail="API_KEY_INVALID")
        return None

    def _spend(self, bucket: str) -> Response | None:
        today = self.clock.now().astimezone(_PACIFIC).date()
        if today != self._day:
            self._day, self._spent = today, Counter()
        self._spent[bucket] += 1
        if self._spent[bucket] <= (self.daily_searches if bucket == "searches" else self.daily_units):
            return None
        words = 'The request cannot be completed because you have exceeded your <a href="/quota">quota</a>.'
        return refusal(403, "quotaExceeded", words, domain="youtube.quota")

    def _search(self, asked: dict[str, str]) -> Response:
        since, until = _moment(asked, "publishedAfter"), _moment(asked, "publishedBefore")
        terms = _terms(asked.get("q", ""))
        found = [
            post
            for post in self.timeline.visible(since=since, newest_first=True)
            if post.kind is Kind.VIDEO
            and post.removed_at is None
            and (until is None or post.published_at <= until)
            and _matches(post, terms)
        ]
        page, token = self._page(found, asked, _FOUND)
        return listing(_FOUND, [search_result(post) for post in page], next_token=token, total=len(found))

    def _videos(self, asked: dict[str, str]) -> Response:
        parts = asked["part"].split(",")
        found = [post for post in self._look_up(asked) if post.kind is Kind.VIDEO]
        items = [video(post, parts, self._comment_count(post.external_id)) for post in found]
        return listing(_VIDEOS, items, next_token=None, total=len(items))

    def _threads(self, asked: dict[str, str]) -> Response:
        below: dict[str, dict[str, list[Post]]] = {}
        if "id" in asked:
            tops = [post for post in self._look_up(asked) if post.kind is Kind.COMMENT]
            page, token = tops, None
        else:
            videos = self._commented(asked)
            for identity in videos:
                below[identity] = self._conversation(identity)
            tops = [top for threads in below.values() for top in threads[""]]
            page, token = self._page(tops, asked, _THREADS)
        items = [
            thread(
                top,
                (below.get(_head_of(top)) or self._conversation(_head_of(top))).get(top.external_id, []),
                self._channel_of(top),
                as_html=asked.get("textFormat") != "plainText",
                parts=asked["part"].split(","),
            )
            for top in page
        ]
        return listing(_THREADS, items, next_token=token, total=len(tops))

    def _comments(self, asked: dict[str, str]) -> Response:
        token = None
        if parent_id := asked.get("parentId"):
            parent = self._present(parent_id)
            if parent is None:
                words = "The comment that the parentId parameter names could not be found."
                return refusal(404, "commentNotFound", words, domain="youtube.comment")
            found = self._conversation(_head_of(parent)).get(parent_id, [])
            found, token = self._page(found, asked, _COMMENTS)
        else:
            found = [post for post in self._look_up(asked) if post.kind is not Kind.VIDEO]
        as_html, parts = asked.get("textFormat") != "plainText", asked["part"].split(",")
        items = [comment(post, self._channel_of(post), as_html=as_html, parts=parts) for post in found]
        return listing(_COMMENTS, items, next_token=token, total=len(items))

    def _commented(self, asked: Mapping[str, str]) -> list[str]:
        """Return the videos whose threads are asked for; raises ``_Invalid`` as the API refuses."""
        if account := asked.get("allThreadsRelatedToChannelId"):
            videos = [post for post in self.timeline.visible() if post.kind is Kind.VIDEO and not post.removed_at]
            on_channel = [post.external_id for post in videos if account in {post.community, post.author_id}]
            return [identity for identity in on_channel if identity not in self.comments_disabled]
        video_id = asked.get("videoId", "")
        if self._present(video_id) is None:
            words = "The video identified by the videoId parameter could not be found."
            raise _Invalid(refusal(404, "videoNotFound", words, domain="youtube.commentThread"))
        if video_id in self.comments_disabled:
            words = "The video identified by the videoId parameter has disabled comments."
            raise _Invalid(refusal(403, "commentsDisabled", words, domain="youtube.commentThread"))
        return [video_id]

    def _conversation(self, video_id: str) -> dict[str, list[Post]]:
        """Return what stands below a video, newest first: its threads under ``""``, replies by their parent."""
        below: dict[str, list[Post]] = {"": []}
        for post in reversed(self.timeline.thread(video_id)):
            if post.removed_at is None:
                below.setdefault((post.kind is Kind.REPLY and post.parent_id) or "", []).append(post)
        return below

    def _comment_count(self, video_id: str) -> int | None:
        if video_id in self.comments_disabled:
            return None
        below = self._conversation(video_id)
        return sum(1 + len(below.get(top.external_id, ())) for top in below[""])

    def _channel_of(self, post: Post) -> str | None:
        head = self.timeline.get(_head_of(post))
        return head.community if head else None

    def _present(self, identity: str) -> Post | None:
        post = self.timeline.get(identity)
        return post if post and post.removed_at is None else None

    def _look_up(self, asked: Mapping[str, str]) -> list[Post]:
        identities = [identity for identity in asked.get("id", "").split(",") if identity]
        if not 1 <= len(identities) <= _MOST_IDS:
            raise _Invalid(
                refusal(400, "invalidParameter", f"Between 1 and {_MOST_IDS} ids.", domain="youtube.parameter")
            )
        return [post for identity in identities if (post := self._present(identity))]

    def _page(self, posts: Sequence[Post], asked: Mapping[str, str], kind: str) -> tuple[list[Post], str | None]:
        wanted = asked.get("maxResults") or str(_DEFAULT_PAGE[kind])
        if not wanted.isdecimal() or not 1 <= int(wanted) <= _LARGEST_PAGE[kind]:
            words = f"Invalid value {wanted!r}. Values must be within the range: [1, {_LARGEST_PAGE[kind]}]"
            raise _Invalid(refusal(400, "invalidParameter", words, domain="youtube.parameter"))
        size = min(int(wanted), self.page_size_cap or _LARGEST_PAGE[kind])
        ordered = sorted(posts, key=self._place)
        question = sorted((name, value) for name, value in asked.items() if name not in {"pageToken", "key"})
        mark = hashlib.sha256(json.dumps([kind, question]).encode()).hexdigest()[:8]
        first = 0
        if token := asked.get("pageToken"):
            last = _read_token(token, mark)
            first = sum(self._place(post) <= last for post in ordered)
        start = max(first - 1, 0) if self.duplicates else first
        page = ordered[start : first + size]
        more = first + size < len(ordered)
        return page, _write_token(mark, self._place(page[-1])) if more else None

    def _place(self, post: Post) -> tuple[float, str]:
        moment = post.published_at.timestamp()
        if self.out_of_order:
            return (-(moment // _LOOSE.total_seconds()), post.external_id)
        return (-moment, post.external_id)


class _Invalid(Exception):  # noqa: N818 - carries the API's answer out of the depth, and never leaves this file
    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def _write_token(mark: str, place: tuple[float, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([mark, *place]).encode()).decode()


def _read_token(token: str, mark: str) -> tuple[float, str]:
    """Return where the page before ended; a token of another question, or no token at all, is refused."""
    try:
        found, moment, identity = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError, TypeError):
        found, moment, identity = None, 0.0, ""
    if found != mark:
        words = "The request specifies an invalid page token."
        raise _Invalid(refusal(400, "invalidPageToken", words, domain="youtube.parameter"))
    return moment, identity


def _moment(asked: Mapping[str, str], name: str) -> datetime | None:
    if name not in asked:
        return None
    try:
        moment = datetime.fromisoformat(asked[name])
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        words = f"Invalid value at '{name}' (type.googleapis.com/google.protobuf.Timestamp)"
        raise _Invalid(refusal(400, "invalidParameter", words, status="INVALID_ARGUMENT"))
    return moment


def _terms(query: str) -> list[str]:
    return [term.strip(" \"'()").casefold() for term in re.split(r"\s+OR\s+|\|", query)]


def _matches(post: Post, terms: Sequence[str]) -> bool:
    words = f"{post.title or ''}\n{post.text}".casefold()
    return any(term in words for term in terms)


def _head_of(post: Post) -> str:
    return post.conversation_id or post.parent_id or ""


def _heads_of(post: Post) -> set[str]:
    return {post.conversation_id or "", post.parent_id or ""}


def _with_replies(post: Post, replies: int) -> Post:
    return post if post.kind is Kind.REPLY else replace(post, metrics=replace(post.metrics, replies=replies))
