"""Reddit's JSON read: one item into a mention, one listing into its items. Pure, and suspicious of every type."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from connectors.base import clean_text, read_count, read_each
from listener.errors import RetryLater, SkipItem
from listener.mention import Author, Kind, Mention, Metrics

CHANNEL = "reddit"
_SITE = "https://www.reddit.com"
_GONE = ("[deleted]", "[removed]", "[ Removed by Reddit ]", "[deleted by user]")
_FULLNAME = re.compile(r"t[13]_\w{1,40}", re.ASCII)
_SUBREDDIT = re.compile(r"[\w-]{2,50}", re.ASCII)


def normalise(payload: Any, *, seen_at: datetime | None = None) -> Mention:
    """Return one ``t3`` or ``t1``, as the API gives it with ``raw_json=1``, as a mention.

    What was deleted or removed is a tombstone of the moment ``seen_at`` (default: now), because Reddit does
    not say when. Raises ``SkipItem`` for anything that is not a submission or comment of the promised shape.
    """
    data = payload.get("data") if isinstance(payload, Mapping) else None
    name = data.get("name") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(name, str) or not _FULLNAME.fullmatch(name):
        raise SkipItem("an item of Reddit's without a fullname of a submission or comment is left out")
    try:
        return _mention(name, data, seen_at)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise SkipItem(f"Reddit's {name} cannot be read: {error}", external_id=name) from error


def _mention(name: str, data: Mapping[str, Any], seen_at: datetime | None) -> Mention:
    is_post = name.startswith("t3_")
    conversation = name if is_post else _name(data, "link_id")
    parent = None if is_post else _name(data, "parent_id")
    kind = Kind.POST if is_post else Kind.REPLY if parent and parent.startswith("t1_") else Kind.COMMENT
    published_at = _moment(data.get("created_utc"))
    metrics = Metrics(
        likes=read_count(data.get("score"), negative=True),
        replies=read_count(data.get("num_comments")) if is_post else None,
    )
    words = [_words(data, key) for key in (("title", "selftext") if is_post else ("body",))]
    if data.get("removed_by_category") or any(word.strip() in _GONE for word in words):
        return Mention(
            channel=CHANNEL,
            external_id=name,
            kind=kind,
            published_at=published_at,
            text="",
            parent_external_id=parent,
            conversation_id=conversation,
            removed_at=seen_at or datetime.now(UTC),
            metrics=metrics,
        )
    return Mention(
        channel=CHANNEL,
        external_id=name,
        kind=kind,
        published_at=published_at,
        text=clean_text("\n\n".join(word for word in words if word)),
        author=_author(data),
        permalink=_permalink(name, conversation, data.get("subreddit")),
        parent_external_id=parent,
        conversation_id=conversation,
        edited_at=_moment(data["edited"]) if _is_number(data.get("edited")) else None,
        metrics=metrics,
    )


def read_items(items: Iterable[Any], *, seen_at: datetime) -> tuple[dict[str, Mention], tuple[SkipItem, ...]]:
    """Return the mentions among ``items`` by id, and what could not be read."""
    mentions, skipped = read_each(partial(normalise, seen_at=seen_at), items)
    return {mention.external_id: mention for mention in mentions}, skipped


def tombstone(name: str, *, seen_at: datetime, published_at: datetime | None = None) -> Mention:
    """Return what is left of an item that Reddit no longer knows; its publication is ``seen_at`` if unknown."""
    return Mention(
        channel=CHANNEL,
        external_id=name,
        kind=Kind.POST if name.startswith("t3_") else Kind.COMMENT,
        published_at=published_at or seen_at,
        text="",
        conversation_id=name if name.startswith("t3_") else None,
        removed_at=seen_at,
    )


def read_listing(answer: Any) -> tuple[list[Any], str | None]:
    """Return a listing's items and where its next page begins; raises ``RetryLater`` for anything else."""
    data = answer.get("data") if isinstance(answer, Mapping) else None
    children = data.get("children") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(children, list):
        raise RetryLater("Reddit sent something that is not a listing: trying again later")
    after = data.get("after")
    if after is not None and not (isinstance(after, str) and re.fullmatch(r"\w+", after, re.ASCII)):
        raise RetryLater("Reddit sent a listing that goes on from nowhere: trying again later")
    return children, after


def read_tree(answer: Any) -> list[Any]:
    """Return the comments and ``more`` of a ``/comments/<id>`` answer in one row; raises ``RetryLater``."""
    if not isinstance(answer, list) or len(answer) != 2:  # noqa: PLR2004 - the submission and its comments
        raise RetryLater("Reddit sent something that is not a comment tree: trying again later")
    return list(_unrolled(read_listing(answer[1])[0]))


def read_things(answer: Any) -> list[Any]:
    """Return the comments and ``more`` of a ``morechildren`` answer; raises ``RetryLater`` for anything else."""
    inner = answer.get("json") if isinstance(answer, Mapping) else None
    data = inner.get("data") if isinstance(inner, Mapping) else None
    things = data.get("things") if isinstance(data, Mapping) else None
    if not isinstance(things, list):
        raise RetryLater("Reddit sent something that is not more comments: trying again later")
    return list(_unrolled(things))


def read_more(item: Any) -> tuple[str, tuple[str, ...]] | None:
    """Return the parent and the ids of a ``more`` (no ids: "continue this thread"), or None for another item."""
    if not isinstance(item, Mapping) or item.get("kind") != "more":
        return None
    data = item.get("data")
    parent = data.get("parent_id") if isinstance(data, Mapping) else None
    children = data.get("children") if isinstance(data, Mapping) else None
    if not isinstance(parent, str) or not isinstance(children, list):
        raise RetryLater("Reddit sent a list of further comments that cannot be read: trying again later")
    return parent, tuple(child for child in children if isinstance(child, str) and child)


def _unrolled(children: list[Any]) -> Iterator[Any]:
    waiting = children[::-1]
    while waiting:
        item = waiting.pop()
        yield item
        data = item.get("data") if isinstance(item, Mapping) else None
        replies = data.get("replies") if isinstance(data, Mapping) else None
        if replies:
            waiting.extend(reversed(read_listing(replies)[0]))


def _words(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    # A link has no selftext; a comment without a body or a submission without a title is none.
    if value is None and key == "selftext":
        return ""
    if not isinstance(value, str):
        raise TypeError(f"its {key} is no text")
    return value


def _name(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not _FULLNAME.fullmatch(value):
        raise TypeError(f"its {key} is no fullname")
    return value


def _author(data: Mapping[str, Any]) -> Author | None:
    name = data.get("author")
    if name is not None and not isinstance(name, str):
        raise TypeError("its author is no name")
    name = clean_text(name or "")
    return Author(id=name, handle=name) if name and name not in _GONE else None


def _permalink(name: str, conversation: str, subreddit: Any) -> str | None:
    """Return an address of the item without its title, which Reddit's own ``permalink`` repeats unredacted."""
    if not isinstance(subreddit, str) or not _SUBREDDIT.fullmatch(subreddit):
        return None
    thread = f"{_SITE}/r/{subreddit}/comments/{conversation.removeprefix('t3_')}/"
    return thread if name == conversation else f"{thread}_/{name.removeprefix('t1_')}/"


def _moment(value: Any) -> datetime:
    if not _is_number(value):
        raise TypeError("its time is no number")
    return datetime.fromtimestamp(math.floor(value), UTC)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
