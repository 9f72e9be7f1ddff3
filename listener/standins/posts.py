"""The truth behind a stand-in: what was posted on a platform, when it was edited, when it was removed."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from listener.mention import Kind, Metrics, Purpose, Sentiment

if TYPE_CHECKING:
    from datetime import datetime

    from listener.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What somebody meant by a text; without a purpose it is in a language that nobody reads."""

    purpose: Purpose | None
    sentiment: Sentiment | None
    topics: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A later version of a post's text, and what that version means."""

    at: datetime
    text: str
    topics: frozenset[str] = frozenset()
    sentiment: Sentiment | None = None
    purpose: Purpose | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One item on a platform, with what the generator knows to be true of it.

    ``external_id`` is the platform's full id (``t3_…``/``t1_…`` on Reddit). ``title`` is for submissions and
    videos. ``community`` is the subreddit's name, or the id of the YouTube channel the video lies on.
    ``parent_id`` is the item replied to, ``conversation_id`` the head of the thread (the submission or video
    of a comment). ``author_id`` is what a connector reports as ``Author.id`` on that platform; None is an
    author the platform no longer names. ``topics``, ``sentiment``, ``purpose`` and ``own`` are labels that no
    stand-in ever sends.
    """

    channel: str
    external_id: str
    kind: Kind
    published_at: datetime
    text: str
    title: str | None = None
    author_id: str | None = None
    author_handle: str | None = None
    community: str | None = None
    parent_id: str | None = None
    conversation_id: str | None = None
    language: str | None = "en"
    metrics: Metrics = field(default_factory=Metrics)
    edits: tuple[Edit, ...] = ()
    removed_at: datetime | None = None
    own: bool = False
    topics: frozenset[str] = frozenset()
    sentiment: Sentiment | None = None
    purpose: Purpose | None = None

    @property
    def meaning(self) -> Meaning:
        """What its author meant by it."""
        return Meaning(purpose=self.purpose, sentiment=self.sentiment, topics=self.topics)


class Timeline:
    """The posts of one platform as a clock shows them: nothing of the future, edits and removals on time.

    Posts may come as an endless generator in order of publication: it is read only as far as the clock is.
    They are kept in that order, so that a listing reads no more than it shows.
    """

    def __init__(self, clock: Clock, posts: Iterable[Post] = ()) -> None:
        self.clock = clock
        self._posts: dict[str, Post] = {}
        self._order: list[Post] = []
        self._threads: dict[str, dict[str, None]] = {}
        self._coming = iter(posts)
        self._next: Post | None = next(self._coming, None)

    def publish(self, posts: Iterable[Post]) -> None:
        """Add posts at once, or replace those with the same id (to edit or remove one)."""
        fresh = {post.external_id: post for post in posts}
        replaced = [self._posts[external_id] for external_id in fresh if external_id in self._posts]
        if replaced:
            self._order = [post for post in self._order if post.external_id not in fresh]
        for post in replaced:
            self._threads.get(post.conversation_id or "", {}).pop(post.external_id, None)
        for post in fresh.values():
            if post.conversation_id and post.conversation_id != post.external_id:
                self._threads.setdefault(post.conversation_id, {})[post.external_id] = None
        self._posts.update(fresh)
        self._order.extend(fresh.values())
        # All but the fresh ones stand in order already, which this sort makes use of.
        self._order.sort(key=_place)

    def get(self, external_id: str) -> Post | None:
        """Return the post as the clock shows it now, or None where there is none; a removed one keeps its mark."""
        now = self._catch_up()
        post = self._posts.get(external_id)
        return as_of(post, now) if post and post.published_at <= now else None

    def first_text(self, external_id: str) -> str:
        """Return what the post said before any edit; raises ``KeyError`` for an unknown id."""
        return self._posts[external_id].text

    def visible(self, *, since: datetime | None = None, newest_first: bool = False) -> Iterator[Post]:
        """Yield every post published by now, as it reads now, oldest first; removed ones keep their mark.

        With ``since`` only those published then or later; ``newest_first`` turns the order round.
        """
        now = self._catch_up()
        first = bisect_left(self._order, since, key=_published_at) if since else 0
        posts = self._order[first : bisect_right(self._order, now, key=_published_at)]
        for post in reversed(posts) if newest_first else posts:
            yield as_of(post, now)

    def thread(self, conversation_id: str) -> list[Post]:
        """Return what was published by now below the head of a thread, as it reads now, oldest first."""
        now = self._catch_up()
        posts = (self._posts[external_id] for external_id in self._threads.get(conversation_id, ()))
        return sorted((as_of(post, now) for post in posts if post.published_at <= now), key=_place)

    def _catch_up(self) -> datetime:
        now = self.clock.now()
        coming: list[Post] = []
        while self._next is not None and self._next.published_at <= now:
            coming.append(self._next)
            self._next = next(self._coming, None)
        if coming:
            self.publish(coming)
        return now


def _published_at(post: Post) -> datetime:
    return post.published_at


def _place(post: Post) -> tuple[datetime, str]:
    return post.published_at, post.external_id


def as_of(post: Post, now: datetime) -> Post:
    """Return the post as it reads at a moment: without the edits of the future, and its mark if it is removed."""
    if not post.edits and post.removed_at is None:
        return post
    edits = tuple(edit for edit in post.edits if edit.at <= now)
    removed_at = post.removed_at if post.removed_at and post.removed_at <= now else None
    if edits:
        last = edits[-1]
        return replace(
            post,
            text=last.text,
            topics=last.topics,
            sentiment=last.sentiment,
            purpose=last.purpose,
            edits=edits,
            removed_at=removed_at,
        )
    if post.edits or removed_at != post.removed_at:
        return replace(post, edits=(), removed_at=removed_at)
    return post
