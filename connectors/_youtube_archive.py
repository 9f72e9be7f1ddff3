"""YouTube's comments as archives hold them: resources of the Data API v3, and flat rows. No network, no file.

Read are responses of ``commentThreads.list``, ``comments.list`` and ``videos.list``, their single items, and flat
rows: an object (or a row of a table) with an id, a text and a moment under one of the names that exporters give
them. A thread brings the replies that came along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from connectors._youtube_items import normalise, read_thread
from connectors.base import Archived
from listener.errors import SkipItem

FORMATS = ("youtube",)
_COLUMNS = {
    "id": ("comment_id", "commentId", "cid", "id"),
    "text": ("textDisplay", "textOriginal", "text", "comment", "content"),
    "publishedAt": ("publishedAt", "published_at", "time_parsed", "date"),
    "updatedAt": ("updatedAt", "updated_at"),
    "videoId": ("videoId", "video_id"),
    "parentId": ("parentId", "parent_id", "isReplyTo"),
    "likeCount": ("likeCount", "like_count", "likes", "votes"),
    "author": ("authorDisplayName", "authorName", "author_name", "author"),
    "authorId": ("authorChannelId", "author_channel_id", "author_id", "channel"),
}
"""The names that exporters give to what a comment has, the surest first."""


def archive_format(payload: Mapping[str, Any]) -> str | None:
    """Return which format ``payload`` is of, or None."""
    if str(payload.get("kind")).startswith("youtube#"):
        return "youtube"
    is_comments = any(name in payload for name in _COLUMNS["id"][:-1])
    has_place = any(name in payload for name in (*_COLUMNS["videoId"], *_COLUMNS["authorId"]))
    has_text = any(name in payload for name in _COLUMNS["text"])
    return "youtube" if has_text and has_place and is_comments else None


def archived(payload: Mapping[str, Any]) -> Iterator[Archived | SkipItem]:
    """Yield the items of a response, a thread with its replies, or the one item that ``payload`` is."""
    if isinstance(items := payload.get("items"), list):
        for item in items:
            yield from _item(item)
    elif str(payload.get("kind")).startswith("youtube#"):
        yield from _item(payload)
    else:
        yield from _read(_comment_of(payload), None)


def _item(item: Any) -> Iterator[Archived | SkipItem]:
    snippet = item.get("snippet") if isinstance(item, Mapping) else None
    place = snippet.get("channelId") if isinstance(snippet, Mapping) else None
    if isinstance(item, Mapping) and item.get("kind") == "youtube#commentThread":
        for payload in read_thread(item).payloads:
            yield from _read(payload, place)
    else:
        yield from _read(item, place)


def _read(payload: Any, place: Any) -> Iterator[Archived | SkipItem]:
    try:
        yield Archived(mention=normalise(payload), places=(place,) if isinstance(place, str) else ())
    except SkipItem as problem:
        yield problem


def _comment_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resource that a flat row tells of."""
    told = {
        name: next((row[column] for column in columns if row.get(column) not in (None, "")), None)
        for name, columns in _COLUMNS.items()
    }
    identity = told["id"]
    parent = told["parentId"]
    if parent is None and isinstance(identity, str) and "." in identity:
        parent = identity.partition(".")[0]
    author = told["authorId"]
    return {
        "kind": "youtube#comment",
        "id": identity,
        "snippet": {
            "textDisplay": told["text"],
            "publishedAt": _moment(told["publishedAt"]),
            "updatedAt": _moment(told["updatedAt"]),
            "videoId": told["videoId"],
            "parentId": parent,
            "likeCount": told["likeCount"],
            "authorDisplayName": told["author"],
            "authorChannelId": author if isinstance(author, Mapping) else {"value": author},
        },
    }


def _moment(value: Any) -> Any:
    """Return a moment as the API writes it: flat rows have seconds since 1970, or leave the zone (UTC) out."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).isoformat()
        if isinstance(value, str):
            written = datetime.fromisoformat(value)
            return (written if written.tzinfo else written.replace(tzinfo=UTC)).isoformat()
    except (ValueError, OverflowError, OSError):
        pass
    return value
