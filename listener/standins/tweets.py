"""Posts as X writes them: ids, versions of an edited post, and the fields of a payload."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from listener.mention import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from listener.standins.posts import Post, Timeline

EPOCH = 1_288_834_974_657
"""Milliseconds from 1970 to the moment X's ids count from."""
SHORT = 280
EDITABLE = timedelta(minutes=30)
EDITS = 5
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_SEQUENCE = (1 << 22) - 1
_MENTION = re.compile(r"(?<!\w)@(\w{1,15})")
_HASHTAG = re.compile(r"(?<!\w)#(\w+)")
_RENAMED = {
    "note_tweet": "note_post",
    "referenced_tweets": "referenced_posts",
    "edit_history_tweet_ids": "edit_history_post_ids",
}


def snowflake(moment: datetime) -> int:
    """Return the lowest id that X can give at ``moment``."""
    return max(((moment - _UNIX) // timedelta(milliseconds=1) - EPOCH) << 22, 0)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a post: on X each edit is a new id, and all versions carry the whole history of ids."""

    post: Post
    history: tuple[str, ...]
    index: int
    text: str

    @classmethod
    def newest(cls, post: Post) -> Version:
        """Return ``post`` as it reads now."""
        history = _history(post)
        return cls(post, history, len(history) - 1, post.text)

    @classmethod
    def called(cls, identity: str, post: Post, first_text: str) -> Version:
        """Return the version of ``post`` that has this id; ``first_text`` is what the post said at first."""
        history = _history(post)
        index = history.index(identity)
        return cls(post, history, index, post.edits[index - 1].text if index else first_text)

    @property
    def identity(self) -> str:
        """Its id."""
        return self.history[self.index]

    @property
    def number(self) -> int:
        """Its id as a number: X orders by it."""
        return int(self.identity)

    @property
    def created_at(self) -> datetime:
        """When this version was written."""
        return self.post.edits[self.index - 1].at if self.index else self.post.published_at


def _history(post: Post) -> tuple[str, ...]:
    sequence = int(post.external_id) & _SEQUENCE
    return (post.external_id, *(str(snowflake(edit.at) | sequence) for edit in post.edits))


def tweet(version: Version, timeline: Timeline, *, fields: Iterable[str], renamed: bool) -> dict[str, Any]:
    """Return ``version`` as X sends it, with ``fields`` beside those it always sends.

    ``fields`` are named as in ``tweet.fields``, by their older or newer names.
    """
    older = {new: old for old, new in _RENAMED.items()}
    wanted = {"id", "text", "edit_history_tweet_ids"} | {older.get(field, field) for field in fields}
    everything = _short(version) | _long(version, timeline)
    sent = {name: value for name, value in everything.items() if name in wanted and value is not None}
    return {_RENAMED.get(name, name): value for name, value in sent.items()} if renamed else sent


def _short(version: Version) -> dict[str, Any]:
    post = version.post
    return {
        "id": version.identity,
        "text": _escape(_cut(version.text)),
        "edit_history_tweet_ids": list(version.history),
        "created_at": _iso(version.created_at),
        "author_id": post.author_id,
        "conversation_id": post.conversation_id or post.external_id,
        "lang": post.language or "und",
        "edit_controls": {
            "edits_remaining": max(EDITS - len(post.edits), 0),
            "is_edit_eligible": post.kind is Kind.POST,
            "editable_until": _iso(post.published_at + EDITABLE),
        },
    }


def _long(version: Version, timeline: Timeline) -> dict[str, Any]:
    post, text = version.post, version.text
    parent = timeline.get(post.parent_id) if post.parent_id else None
    return {
        "public_metrics": _metrics(post),
        "note_tweet": {"text": _escape(text)} if len(text) > SHORT else None,
        "referenced_tweets": [{"type": "replied_to", "id": post.parent_id}] if post.parent_id else None,
        "in_reply_to_user_id": parent.author_id if parent else None,
        "entities": _entities(_escape(_cut(text))),
    }


def _metrics(post: Post) -> dict[str, int] | None:
    metrics = post.metrics
    counts = {
        "retweet_count": None if metrics.shares is None else metrics.shares - metrics.shares // 4,
        "reply_count": metrics.replies,
        "like_count": metrics.likes,
        "quote_count": None if metrics.shares is None else metrics.shares // 4,
        "bookmark_count": None if metrics.likes is None else metrics.likes // 10,
        "impression_count": metrics.views,
    }
    return {name: count for name, count in counts.items() if count is not None} or None


def _entities(text: str) -> dict[str, Any] | None:
    mentions = [
        {"start": found.start(), "end": found.end(), "username": found[1]} for found in _MENTION.finditer(text)
    ]
    hashtags = [{"start": found.start(), "end": found.end(), "tag": found[1]} for found in _HASHTAG.finditer(text)]
    named = {"mentions": mentions, "hashtags": hashtags}
    return {name: marks for name, marks in named.items() if marks} or None


def _cut(text: str) -> str:
    return text if len(text) <= SHORT else text[: SHORT - 1].rstrip() + "…"


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
