"""Reddit's submissions and comments as the public monthly dumps hold them: one object a line. No network, no file.

A dump has the ``data`` of the API's items, without their ``kind``, as they were soon after they were written; its
texts carry HTML entities, as the API gives them without ``raw_json``. Older dumps leave ``name`` out and write
numbers as texts.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from connectors._reddit_items import normalise
from connectors.base import Archived
from listener.errors import SkipItem

FORMATS = ("reddit-dump",)
_TEXTS = ("title", "selftext", "body")
_MOMENTS = ("created_utc", "edited")
_LONGEST_NUMBER = 20


def archive_format(payload: Mapping[str, Any]) -> str | None:
    """Return which format ``payload`` is of, or None."""
    has_place = "subreddit" in payload and "created_utc" in payload
    return "reddit-dump" if has_place and ("body" in payload or "title" in payload) else None


def archived(payload: Mapping[str, Any], *, seen_at: datetime) -> Iterator[Archived | SkipItem]:
    """Yield the submission or comment that ``payload`` is."""
    is_comment = "body" in payload
    if not is_comment and "title" not in payload:
        yield SkipItem("neither a submission nor a comment of Reddit's")
        return
    data = {**payload, **{name: _number(payload[name]) for name in _MOMENTS if name in payload}}
    for name in _TEXTS:
        if isinstance(data.get(name), str):
            data[name] = html.unescape(data[name])
    kind = "t1" if is_comment else "t3"
    if not isinstance(data.get("name"), str):
        data["name"] = f"{kind}_{data.get('id')}"
    if is_comment and not isinstance(data.get("parent_id"), str):
        data["parent_id"] = data.get("link_id")
    try:
        mention = normalise({"kind": kind, "data": data}, seen_at=seen_at)
    except SkipItem as problem:
        yield problem
        return
    subreddit = data.get("subreddit")
    yield Archived(mention=mention, places=(f"r/{subreddit}",) if isinstance(subreddit, str) else ())


def _number(value: Any) -> Any:
    """Return a number that an old dump wrote as a text; anything else as it is."""
    is_digits = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _LONGEST_NUMBER
    return int(value) if is_digits else value
