"""The truth behind a stand-in: what was posted on a platform, when it was edited, when it was removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from listener.mention import Kind, Metrics, Purpose, Sentiment

if TYPE_CHECKING:
    from datetime import datetime

    from listener.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A later version of a post's text, and the topics that version has."""

    at: datetime
    text: str
    topics: frozenset[str] = frozenset()


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


class Timeline:
    """The posts of one platform as a clock shows them: nothing of the future, edits and removals on time.

    Posts may come as an endless generator in order of publication: it is read only as far as the clock is.
    """

    def __init__(self, clock: Clock, posts: Iterable[Post] = ()) -> None:
        self.clock = clock
        self._posts: dict[str, Post] = {}
        self._coming = iter(posts)
        self._next: Post | None = next(self._coming, None)

    def publish(self, posts: Iterable[Post]) -> None:
        """Add posts at once, or replace those with the same id (to edit or remove one)."""
        for post in posts:
            self._posts[post.external_id] = post

    def get(self, external_id: str) -> Post | None:
        """Return the post as the clock shows it now, or None where there is none; a removed one keeps its mark."""
        self._catch_up()
        post = self._posts.get(external_id)
        return self._as_of_now(post) if post and post.published_at <= self.clock.now() else None

    def visible(self) -> Iterator[Post]:
        """Yield every post published by now, as it reads now, oldest first; removed ones keep their mark."""
        self._catch_up()
        now = self.clock.now()
        for post in sorted(self._posts.values(), key=lambda post: (post.published_at, post.external_id)):
            if post.published_at <= now:
                yield self._as_of_now(post)

    def _catch_up(self) -> None:
        now = self.clock.now()
        while self._next is not None and self._next.published_at <= now:
            self._posts[self._next.external_id] = self._next
            self._next = next(self._coming, None)

    def _as_of_now(self, post: Post) -> Post:
        now = self.clock.now()
        edits = tuple(edit for edit in post.edits if edit.at <= now)
        removed_at = post.removed_at if post.removed_at and post.removed_at <= now else None
        if edits:
            return replace(post, text=edits[-1].text, topics=edits[-1].topics, edits=edits, removed_at=removed_at)
        if post.edits or removed_at != post.removed_at:
            return replace(post, edits=(), removed_at=removed_at)
        return post
