"""The mentions that every way is measured on: JSON as X and Reddit send it, in files of pages written once.

A page of X is an answer of its search, a page of Reddit a listing, a hundred items each. The posts are the
generator's, of the week before :data:`benchmarks.world.MOMENT`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from benchmarks import world
from benchmarks.platforms import posts
from connectors import reddit, twitter
from listener.clock import SteppedClock
from listener.mention import Kind
from listener.standins import reddit_payloads
from listener.standins.posts import Timeline
from listener.standins.tweets import Version, tweet
from storage.bulk import batches

if TYPE_CHECKING:
    from pathlib import Path

    from listener.mention import Mention
    from listener.standins.posts import Post

PAGE = 100
X_SHARE = 0.6
"""Of all mentions; the others are Reddit's."""


def write(folder: Path, count: int) -> dict[str, list[Path]]:
    """Write ``count`` items as JSON pages below ``folder``; return the files by channel."""
    of_x = round(X_SHARE * count)
    return {
        "twitter": _write_pages(folder / "twitter", _tweets(of_x)),
        "reddit": _write_pages(folder / "reddit", _things(count - of_x)),
    }


def _write_pages(folder: Path, pages: Iterator[dict[str, Any]]) -> list[Path]:
    folder.mkdir(parents=True)
    files = []
    for number, page in enumerate(pages):
        files.append(folder / f"{number:05}.json")
        files[-1].write_text(json.dumps(page), encoding="utf-8")
    return files


def _tweets(count: int) -> Iterator[dict[str, Any]]:
    written = list(posts("twitter", count, world.MOMENT))
    timeline = Timeline(SteppedClock(world.MOMENT), written)
    for some in batches(written, PAGE):
        data = [tweet(Version.newest(post), timeline, fields=twitter.FIELDS, renamed=False) for post in some]
        yield {"data": data, "meta": {"result_count": len(data)}}


def _things(count: int) -> Iterator[dict[str, Any]]:
    written = list(posts("reddit", count, world.MOMENT))
    heads = {post.external_id: post for post in written if post.kind is Kind.POST}
    for some in batches(written, PAGE):
        yield reddit_payloads.listing([_thing(post, heads) for post in some])


def _thing(post: Post, heads: dict[str, Post]) -> dict[str, Any]:
    if post.kind is Kind.POST:
        return reddit_payloads.submission(post, comments=post.metrics.replies or 0)
    return reddit_payloads.comment(post, heads.get(post.conversation_id or ""))


def items(channel: str, page: Any) -> list[Any]:
    """Return the items of a page as the platform's JSON has them."""
    found: list[Any] = page["data"] if channel == "twitter" else page["data"]["children"]
    return found


NORMALISE: dict[str, Callable[[Any], Mention]] = {"twitter": twitter.normalise, "reddit": reddit.normalise}
"""The connectors' own way from an item to a mention."""


def read(channel: str, file: Path) -> list[Mention]:
    """Return the mentions of a page's file, as the connector reads them."""
    page = json.loads(file.read_bytes())
    return [NORMALISE[channel](item) for item in items(channel, page)]
