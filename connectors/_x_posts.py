"""What X sends, read without a network: snowflake ids, posts, pages."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.base import clean_text, read_count
from listener.errors import RetryLater, SkipItem
from listener.mention import Author, Kind, Mention, Metrics

CHANNEL = "twitter"
_EPOCH = 1_288_834_974_657
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[0-9]{1,19}")
_GONE = ("resource-not-found", "not-authorized-for-resource")
_FIRST_SNOWFLAKE = datetime(2010, 11, 5, tzinfo=UTC)
# X writes languages it is not sure of as private codes, and three by names that BCP 47 gave up.
_NO_LANGUAGE = re.compile(r"und|zxx|q[a-t][a-z]")
_RENAMED_LANGUAGE = {"in": "id", "iw": "he", "ji": "yi"}


def id_at(moment: datetime) -> int:
    """Return the lowest id X can give at ``moment``: ``(milliseconds - 1288834974657) << 22``, a snowflake."""
    return max((moment - _UNIX) // timedelta(milliseconds=1) - _EPOCH, 0) << 22


def moment_of(identity: int) -> datetime:
    """Return when X gave the id ``identity``."""
    return _UNIX + timedelta(milliseconds=(identity >> 22) + _EPOCH)


def is_id(value: object) -> bool:
    """Tell whether ``value`` is written as X writes an id."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def normalise(payload: Mapping[str, Any]) -> Mention:
    """Return one post of X's API v2 as a mention; raises ``SkipItem`` where it is not what X promises.

    An edit is a post of its own on X. The mention keeps the id of the first version, and its moment, which
    the id tells; ``edited_at`` is when the newest version was written.
    """
    identity = payload.get("id") if isinstance(payload, Mapping) else None
    if not isinstance(identity, str) or not is_id(identity):
        raise SkipItem("a post of X has no id")
    created_at = _created_at(payload, identity)
    first = versions(payload)[0]
    return Mention(
        channel=CHANNEL,
        external_id=first,
        kind=Kind.REPLY if (parent := _parent(payload)) else Kind.POST,
        published_at=_first_published(first, created_at) if first != identity else created_at,
        text=_text(payload, identity),
        author=Author(id=author) if isinstance(author := payload.get("author_id"), str) and author else None,
        permalink=f"https://x.com/i/web/status/{first}",
        parent_external_id=parent,
        conversation_id=thread if is_id(thread := payload.get("conversation_id")) else None,
        language=_language(payload.get("lang")),
        edited_at=created_at if first != identity else None,
        metrics=_metrics(payload.get("public_metrics")),
    )


def versions(payload: Mapping[str, Any]) -> list[str]:
    """Return the ids of every version of a post, the first one first; the post's own id where X names none."""
    history = payload.get("edit_history_tweet_ids", payload.get("edit_history_post_ids"))
    if isinstance(history, list) and history and all(is_id(identity) for identity in history):
        return history
    return [payload["id"]]


def tombstone(external_id: str, now: datetime) -> Mention:
    """Return the mark of a post that X no longer shows."""
    published_at = moment_of(int(external_id)).replace(microsecond=0)
    return Mention(
        channel=CHANNEL,
        external_id=external_id,
        kind=Kind.POST,
        published_at=published_at if _FIRST_SNOWFLAKE < published_at <= now else now,
        text="",
        removed_at=now,
    )


def _created_at(payload: Mapping[str, Any], identity: str) -> datetime:
    written = payload.get("created_at")
    # OverflowError: at the edge of the calendar a moment may have none in UTC.
    with contextlib.suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(written) if isinstance(written, str) else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC).replace(microsecond=0)
    raise SkipItem(f"post {identity} of X has no readable created_at", external_id=identity)


def _first_published(first: str, edited_at: datetime) -> datetime:
    published_at = moment_of(int(first)).replace(microsecond=0)
    return published_at if _FIRST_SNOWFLAKE < published_at <= edited_at else edited_at


def _text(payload: Mapping[str, Any], identity: str) -> str:
    note = payload.get("note_tweet", payload.get("note_post"))
    text = note.get("text") if isinstance(note, Mapping) else None
    text = payload.get("text") if text is None else text
    if not isinstance(text, str):
        raise SkipItem(f"post {identity} of X has no text", external_id=identity)
    return clean_text(text, unescape=True)


def _parent(payload: Mapping[str, Any]) -> str | None:
    references = payload.get("referenced_tweets", payload.get("referenced_posts"))
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, Mapping) and reference.get("type") == "replied_to" and is_id(reference.get("id")):
            return str(reference["id"])
    return None


def _language(code: object) -> str | None:
    primary = code.lower().partition("-")[0] if isinstance(code, str) else ""
    if not re.fullmatch(r"[a-z]{2,3}", primary) or _NO_LANGUAGE.fullmatch(primary):
        return None
    return _RENAMED_LANGUAGE.get(primary, primary)


def _metrics(counts: object) -> Metrics:
    if not isinstance(counts, Mapping):
        return Metrics()

    def count(name: str) -> int | None:
        return read_count(counts.get(name))

    shared = [number for name in ("retweet_count", "quote_count") if (number := count(name)) is not None]
    return Metrics(
        likes=count("like_count"),
        replies=count("reply_count"),
        shares=sum(shared) if shared else None,
        views=count("impression_count"),
    )


def page_of(answer: Mapping[str, Any]) -> tuple[list[Any], str | None]:
    """Return a page's posts and the token of the next; raises ``RetryLater`` where it is not a page."""
    meta = answer.get("meta")
    if not isinstance(meta, dict):
        raise RetryLater("X sent a page without meta: trying again later")
    items = answer.get("data", [] if meta.get("result_count") == 0 else None)
    if not isinstance(items, list):
        raise RetryLater("X sent a page without posts: trying again later")
    token = meta.get("next_token")
    if token is not None and not (isinstance(token, str) and token):
        raise RetryLater("X sent a page token that is no text: trying again later")
    return items, token


def gone(answer: Mapping[str, Any]) -> set[str]:
    """Return the ids that X says are deleted or no longer public."""
    errors = answer.get("errors")
    return {
        str(error.get("value") or error.get("resource_id"))
        for error in (errors if isinstance(errors, list) else ())
        if isinstance(error, dict) and str(error.get("type")).endswith(_GONE)
    }


def ids(items: Iterable[Any]) -> list[int]:
    """Return the ids of a page, of posts that cannot be read too."""
    return [int(item["id"]) for item in items if isinstance(item, dict) and is_id(item.get("id"))]
