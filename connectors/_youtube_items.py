"""From YouTube's resources to mentions: pure, and as wary as data from outside deserves."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.base import clean_text, read_count
from listener.errors import SkipItem
from listener.mention import Author, Kind, Mention, Metrics

CHANNEL = "youtube"
_WATCH = "https://www.youtube.com/watch?v="
_ID = re.compile(r"[!-~]{1,200}")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_].*)?")
_NO_LANGUAGE = {"und", "zxx", "mul", "mis"}
_VIDEO_ID_LENGTH = 11
_LONGEST_COUNT = 20


def normalise(payload: Mapping[str, Any]) -> Mention:
    """Return the mention that one resource is: a video, a comment, or a thread's top comment.

    Dispatches on ``kind``. Raises ``SkipItem`` for a resource that cannot be read.
    """
    if not isinstance(payload, Mapping):
        raise SkipItem(f"YouTube sent {type(payload).__name__} where an item should be")
    kind = payload.get("kind")
    if kind == "youtube#video":
        return _video(payload)
    if kind == "youtube#commentThread":
        snippet = _table(payload, "snippet")
        replies = _count(snippet.get("totalReplyCount"))
        return _comment(_with_video(snippet.get("topLevelComment"), snippet.get("videoId")), replies=replies)
    if kind == "youtube#comment":
        return _comment(payload, replies=None)
    raise SkipItem(f"YouTube sent an item of the unknown kind {str(kind)[:40]!r}", external_id=_shown_id(payload))


def tombstone(external_id: str, removed_at: datetime) -> Mention:
    """Return what is left of an item that a look-up no longer finds.

    The API says nothing of it, so ``published_at`` is the moment it was missed.
    """
    kind = Kind.VIDEO if is_video(external_id) else Kind.REPLY if "." in external_id else Kind.COMMENT
    return Mention(
        channel=CHANNEL,
        external_id=external_id,
        kind=kind,
        published_at=removed_at,
        text="",
        removed_at=removed_at,
    )


def is_video(external_id: str) -> bool:
    """Tell a video's id from a comment's by its shape: videos have 11 characters, comments begin with ``Ug``."""
    return len(external_id) == _VIDEO_ID_LENGTH


@dataclass(frozen=True, slots=True)
class Thread:
    """What reading on needs to know of one thread; the texts stay in ``payloads``.

    ``payloads`` are the thread itself and the replies that came with it, ``replies`` is how many it has in
    all. A thread that cannot be read has no ``external_id``.
    """

    external_id: str | None
    video_id: str | None
    replies: int
    payloads: tuple[Any, ...]

    @property
    def reply_ids(self) -> tuple[str, ...]:
        """The replies that came along."""
        return tuple(identity for reply in self.payloads[1:] if (identity := shown_id(reply)))

    @property
    def brought(self) -> int:
        """How many of its replies came along."""
        return len(self.payloads) - 1


def read_thread(payload: Any) -> Thread:
    """Take a ``commentThread`` apart; what is not as promised is left to :func:`normalise` to refuse."""
    thread = payload if isinstance(payload, Mapping) else {}
    snippet = _table_or_empty(thread.get("snippet"))
    video_id = snippet.get("videoId")
    replies = _table_or_empty(thread.get("replies")).get("comments")
    brought = replies if isinstance(replies, list) else []
    return Thread(
        external_id=_shown_id(thread),
        video_id=video_id if isinstance(video_id, str) and _ID.fullmatch(video_id) else None,
        replies=_count(snippet.get("totalReplyCount")) or 0,
        payloads=(payload, *(_with_video(reply, video_id) for reply in brought)),
    )


def read_reply(payload: Any, video_id: str | None) -> Any:
    """Return a reply as ``comments.list`` sends it, with the video that it may not name."""
    return _with_video(payload, video_id)


def comment_count(payload: Any) -> int | None:
    """Return how many comments and replies a video says it has; None where comments are turned off."""
    video = payload if isinstance(payload, Mapping) else {}
    return _count(_table_or_empty(video.get("statistics")).get("commentCount"))


def found_video(payload: Any) -> str:
    """Return the video id of a search result; raises ``SkipItem`` where there is none."""
    video_id = shown_id(payload)
    if video_id is None:
        raise SkipItem("YouTube sent a search result without a video id")
    return video_id


def shown_id(payload: Any) -> str | None:
    """Return the id of a resource, or of the video a search found, where it shows a readable one."""
    if not isinstance(payload, Mapping):
        return None
    return _shown_id(payload) or _shown_id({"id": _table_or_empty(payload.get("id")).get("videoId")})


def _video(payload: Mapping[str, Any]) -> Mention:
    external_id = _required_id(payload)
    snippet = _table(payload, "snippet")
    statistics = _table_or_empty(payload.get("statistics"))
    title = html.unescape(_words(snippet, "title", external_id))
    description = _words(snippet, "description", external_id) if snippet.get("description") is not None else ""
    return Mention(
        channel=CHANNEL,
        external_id=external_id,
        kind=Kind.VIDEO,
        published_at=_moment(snippet, "publishedAt", external_id),
        text=clean_text(f"{title}\n\n{description}"),
        author=_author(snippet.get("channelId"), snippet.get("channelTitle")),
        permalink=f"{_WATCH}{external_id}",
        conversation_id=external_id,
        language=_language(snippet.get("defaultAudioLanguage")) or _language(snippet.get("defaultLanguage")),
        metrics=Metrics(
            likes=_count(statistics.get("likeCount")),
            replies=_count(statistics.get("commentCount")),
            views=_count(statistics.get("viewCount")),
        ),
    )


def _comment(payload: Any, *, replies: int | None) -> Mention:
    if not isinstance(payload, Mapping):
        raise SkipItem(f"YouTube sent {type(payload).__name__} where a comment should be")
    external_id = _required_id(payload)
    snippet = _table(payload, "snippet")
    video_id = _optional_id(snippet, "videoId", external_id)
    parent_id = _optional_id(snippet, "parentId", external_id)
    published_at = _moment(snippet, "publishedAt", external_id)
    updated_at = _moment(snippet, "updatedAt", external_id) if snippet.get("updatedAt") else published_at
    text = _words(snippet, "textOriginal" if snippet.get("textDisplay") is None else "textDisplay", external_id)
    channel = _table_or_empty(snippet.get("authorChannelId"))
    return Mention(
        channel=CHANNEL,
        external_id=external_id,
        kind=Kind.REPLY if parent_id else Kind.COMMENT,
        published_at=published_at,
        text=clean_text(text),
        author=_author(channel.get("value"), snippet.get("authorDisplayName")),
        permalink=f"{_WATCH}{video_id}&lc={external_id}" if video_id else None,
        parent_external_id=parent_id or video_id,
        conversation_id=video_id,
        edited_at=updated_at if updated_at != published_at else None,
        metrics=Metrics(likes=_count(snippet.get("likeCount")), replies=replies),
    )


def _with_video(payload: Any, video_id: Any) -> Any:
    """Return a comment that names its video: inside a thread or a list of replies it may not."""
    if not isinstance(payload, Mapping) or not isinstance(payload.get("snippet"), Mapping):
        return payload
    return {**payload, "snippet": {"videoId": video_id, **payload["snippet"]}}


def _table(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = payload.get(name)
    if not isinstance(value, Mapping):
        raise SkipItem(f"YouTube sent an item without a readable {name}", external_id=_shown_id(payload))
    return value


def _table_or_empty(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _words(snippet: Mapping[str, Any], name: str, external_id: str) -> str:
    value = snippet.get(name)
    if not isinstance(value, str):
        raise SkipItem(f"{name} of YouTube's {external_id} is no text", external_id=external_id)
    return value


def _moment(snippet: Mapping[str, Any], name: str, external_id: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_words(snippet, name, external_id))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SkipItem(f"{name} of YouTube's {external_id} is no moment", external_id=external_id) from error
    raise SkipItem(f"{name} of YouTube's {external_id} has no time zone", external_id=external_id)


def _shown_id(payload: Mapping[str, Any]) -> str | None:
    value = payload.get("id")
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _required_id(payload: Mapping[str, Any]) -> str:
    external_id = _shown_id(payload)
    if external_id is None:
        raise SkipItem("YouTube sent an item without a readable id")
    return external_id


def _optional_id(snippet: Mapping[str, Any], name: str, external_id: str) -> str | None:
    value = snippet.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise SkipItem(f"{name} of YouTube's {external_id} is no id", external_id=external_id)
    return value


def _author(identity: Any, name: Any) -> Author | None:
    """Return the author, or None: the API leaves the channel of a closed account out."""
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        return None
    return Author(id=identity, handle=(clean_text(name) or None) if isinstance(name, str) else None)


def _count(value: Any) -> int | None:
    """Return a count, which the API writes as a number or as digits; None where it is neither."""
    is_digits = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _LONGEST_COUNT
    return read_count(int(value) if is_digits else value)


def _language(value: Any) -> str | None:
    found = _LANGUAGE.fullmatch(value) if isinstance(value, str) else None
    language = found[1].lower() if found else None
    return None if language in _NO_LANGUAGE else language
