"""Posts of X as archives hold them: responses of the API v2, and what twarc makes of them. No network, no file.

A response is a page (``data``, ``includes``, ``meta``), as the API sends it and as twarc writes one a line; twarc
flattens pages into posts that carry their author. Posts that are only referred to (in ``includes``) are context
that nobody asked for, and retweets repeat a text that is counted already (a search on X has given none since
2026-05): both are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from connectors._x_posts import is_id, normalise
from connectors.base import Archived
from listener.errors import SkipItem
from listener.mention import Author

FORMATS = ("x-v2", "twarc")


def archive_format(payload: Mapping[str, Any]) -> str | None:
    """Return which format ``payload`` is of, or None."""
    if "__twarc" in payload:
        return "twarc"
    meta = payload.get("meta")
    is_page = isinstance(payload.get("data"), list | dict) and ("includes" in payload or isinstance(meta, Mapping))
    is_empty_page = isinstance(meta, Mapping) and meta.get("result_count") == 0
    is_post = (
        is_id(payload.get("id")) and "text" in payload and ("author_id" in payload or "created_at" in payload)
    )
    return "x-v2" if is_page or is_empty_page or is_post else None


def archived(payload: Mapping[str, Any]) -> Iterator[Archived | SkipItem]:
    """Yield the posts of a page, or the one post that ``payload`` is."""
    data = payload.get("data")
    if isinstance(data, Mapping):
        data = [data]
    if isinstance(data, list):
        names = _handles(payload.get("includes"))
        for post in data:
            yield from _post(post, names)
    elif "id" in payload:
        yield from _post(payload, {})
    elif not isinstance(payload.get("meta"), Mapping):
        old = " (one of its API v1.1 is not read)" if "id_str" in payload else ""
        yield SkipItem(f"neither a post of X nor a page of posts{old}")


def _post(post: Any, handles: Mapping[str, str]) -> Iterator[Archived | SkipItem]:
    if _is_retweet(post):
        return
    try:
        mention = normalise(post)
    except SkipItem as problem:
        yield problem
        return
    author = mention.author
    if author is not None:
        inline = post.get("author")
        handle = inline.get("username") if isinstance(inline, Mapping) else handles.get(author.id)
        if isinstance(handle, str) and handle:
            mention = replace(mention, author=Author(id=author.id, handle=handle))
    answered = post.get("in_reply_to_user_id")
    yield Archived(mention=mention, places=(answered,) if isinstance(answered, str) else ())


def _handles(includes: Any) -> dict[str, str]:
    """Return the handles of the users that came along with a page, by id."""
    users = includes.get("users") if isinstance(includes, Mapping) else None
    return {
        user["id"]: user["username"]
        for user in (users if isinstance(users, list) else ())
        if isinstance(user, Mapping) and isinstance(user.get("id"), str) and isinstance(user.get("username"), str)
    }


def _is_retweet(post: Any) -> bool:
    references = post.get("referenced_tweets", post.get("referenced_posts")) if isinstance(post, Mapping) else None
    return isinstance(references, list) and any(
        isinstance(one, Mapping) and one.get("type") == "retweeted" for one in references
    )
