"""Reddit's JSON as its API gives it: submissions, comments, listings and comment trees."""

from __future__ import annotations

import html
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from listener.standins.posts import Post

DELETED = "[deleted]"
_MARKUP = ("title", "selftext", "body", "link_title")


def short_id(fullname: str) -> str:
    """Return the id without its kind: ``abc`` of ``t3_abc``."""
    return fullname.split("_", 1)[-1]


def listing(children: Sequence[Any], *, after: str | None = None) -> dict[str, Any]:
    """Return one page of a listing."""
    data = {"after": after, "before": None, "dist": len(children), "modhash": None, "geo_filter": None}
    return {"kind": "Listing", "data": {**data, "children": list(children)}}


def submission(post: Post, *, comments: int) -> dict[str, Any]:
    """Return ``post`` as a ``t3``; a removed one is kept without its words and its author."""
    words = {"title": post.title or "", "selftext": post.text}
    if post.removed_at:
        words = {"title": _epitaph(post), "selftext": _epitaph(post)}
    data = {
        **_common(post),
        **words,
        "permalink": permalink(post),
        "is_self": bool(post.text),
        "num_comments": comments if comments else post.metrics.replies or 0,
        "upvote_ratio": 0.9,
        "domain": f"self.{post.community}" if post.text else "example.org",
        "url": f"https://www.reddit.com{permalink(post)}" if post.text else "https://example.org/article",
        "is_video": False,
        "spoiler": False,
        "hidden": False,
        "link_flair_text": None,
        "removed_by_category": "deleted" if post.removed_at else None,
    }
    return {"kind": "t3", "data": data}


def comment(post: Post, head: Post | None, *, replies: Any = "", depth: int | None = None) -> dict[str, Any]:
    """Return ``post`` as a ``t1`` below the submission ``head``; ``replies`` is a listing, or ``""`` for none.

    With ``depth`` it is a comment of a tree, without one of a flat listing.
    """
    link_id = post.conversation_id or ""
    data = {
        **_common(post),
        "body": _epitaph(post) if post.removed_at else post.text,
        "link_id": link_id,
        "parent_id": post.parent_id or link_id,
        "permalink": f"{permalink(head or post)}{short_id(post.external_id)}/",
        "replies": replies,
        "score_hidden": False,
        "is_submitter": bool(head and post.author_id and head.author_id == post.author_id),
        "collapsed": False,
        "controversiality": 0,
        "stickied": False,
    }
    if depth is not None:
        return {"kind": "t1", "data": {**data, "depth": depth}}
    around = {"link_title": head.title if head else "", "link_author": _name_of(head) if head else DELETED}
    return {"kind": "t1", "data": {**data, **around}}


def more(parent: str, children: Sequence[str], count: int, depth: int) -> dict[str, Any]:
    """Return a ``more``: the ids left out below ``parent``, or none of them for "continue this thread"."""
    first = short_id(children[0]) if children else "_"
    ids = [short_id(child) for child in children]
    data = {
        "count": count,
        "name": f"t1_{first}",
        "id": first,
        "parent_id": parent,
        "depth": depth,
        "children": ids,
    }
    return {"kind": "more", "data": data}


def permalink(post: Post) -> str:
    """Return the path of a submission on the site."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in post.title or "")
    slug = "_".join(words.lower().split()[:6]) or "post"
    return f"/r/{post.community}/comments/{short_id(post.conversation_id or post.external_id)}/{slug}/"


def escaped(answer: Any) -> Any:
    """Return ``answer`` as it goes to a client that did not ask for ``raw_json``: texts carry HTML entities."""
    if isinstance(answer, dict):
        return {
            name: html.escape(value, quote=False) if name in _MARKUP and isinstance(value, str) else escaped(value)
            for name, value in answer.items()
        }
    return [escaped(value) for value in answer] if isinstance(answer, list) else answer


class Tree:
    """The comments of one submission, and how much of them one answer holds.

    ``room`` is how many comments an answer may carry, ``max_depth`` how deep it goes: below stands a ``more``.
    """

    def __init__(
        self, head: Post, comments: Iterable[Post], *, room: int, max_depth: int, newest_first: bool
    ) -> None:
        self._head = head
        self._room = room
        self._max_depth = max_depth
        self._below: dict[str, list[Post]] = {}
        self.by_id: dict[str, Post] = {}
        for post in sorted(comments, key=lambda post: post.published_at, reverse=newest_first):
            self.by_id[post.external_id] = post
            self._below.setdefault(post.parent_id or head.external_id, []).append(post)

    def nested(self, only: Post | None = None) -> dict[str, Any]:
        """Return the listing below the submission, or the one comment ``only`` with what is below it."""
        roots = [only] if only else self._below.get(self._head.external_id, [])
        return listing(self._branch(self._head.external_id, roots, 0))

    def flat(self, wanted: Iterable[str]) -> list[dict[str, Any]]:
        """Return the comments ``wanted`` and all below them in one row, parents first (``morechildren``)."""
        things: list[dict[str, Any]] = []
        for fullname in wanted:
            if post := self.by_id.get(fullname):
                self._unroll(post.parent_id or self._head.external_id, [post], 0, things.append)
        return things

    def _branch(self, parent: str, posts: list[Post], depth: int) -> list[dict[str, Any]]:
        children: list[dict[str, Any]] = []
        for position, post in enumerate(posts):
            if left_out := self._left_out(parent, posts[position:], depth):
                return [*children, left_out]
            self._room -= 1
            below = self._branch(post.external_id, self._below.get(post.external_id, []), depth + 1)
            children.append(comment(post, self._head, replies=listing(below) if below else "", depth=depth))
        return children

    def _unroll(self, parent: str, posts: list[Post], depth: int, give: Callable[[dict[str, Any]], None]) -> None:
        for position, post in enumerate(posts):
            if left_out := self._left_out(parent, posts[position:], depth):
                give(left_out)
                return
            self._room -= 1
            give(comment(post, self._head, depth=depth))
            self._unroll(post.external_id, self._below.get(post.external_id, []), depth + 1, give)

    def _left_out(self, parent: str, rest: list[Post], depth: int) -> dict[str, Any] | None:
        if depth >= self._max_depth:
            return more(parent, [], 0, depth)
        if self._room > 0:
            return None
        return more(parent, [post.external_id for post in rest], sum(map(self._size, rest)), depth)

    def _size(self, post: Post) -> int:
        return 1 + sum(map(self._size, self._below.get(post.external_id, [])))


def _common(post: Post) -> Mapping[str, Any]:
    created = post.published_at.timestamp()
    name = _name_of(post)
    return {
        "id": short_id(post.external_id),
        "name": post.external_id,
        "author": name,
        **({} if name == DELETED else {"author_fullname": f"t2_{zlib.crc32(name.encode(errors='replace')):x}"}),
        "created": created,
        "created_utc": created,
        "edited": post.edits[-1].at.timestamp() if post.edits else False,
        "subreddit": post.community,
        "subreddit_id": f"t5_{zlib.crc32((post.community or '').encode()):x}",
        "subreddit_name_prefixed": f"r/{post.community}",
        "subreddit_type": "public",
        "score": post.metrics.likes,
        "ups": post.metrics.likes,
        "downs": 0,
        "likes": None,
        "over_18": False,
        "distinguished": None,
        "locked": False,
        "archived": False,
        "stickied": False,
    }


def _name_of(post: Post) -> str:
    return DELETED if post.removed_at or post.author_id is None else post.author_id


def _epitaph(post: Post) -> str:
    """Half of what is gone was taken back by its author, half was taken away by a moderator."""
    return DELETED if zlib.crc32(post.external_id.encode()) % 2 else "[removed]"
