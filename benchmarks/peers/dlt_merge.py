"""Loads JSON pages into SQLite by dlt's merge on ``id``: ``python dlt_merge.py PAGES DATABASE``, with dlt alone.

What it keeps of an item is flat: words, moment, author, figures. It analyses nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from dlt.destinations import sqlalchemy


def _x(item: dict[str, Any]) -> dict[str, Any]:
    figures = item.get("public_metrics", {})
    return {
        "id": item["id"],
        "channel": "twitter",
        "created_at": item["created_at"],
        "text": item.get("note_tweet", item)["text"],
        "author": item.get("author_id"),
        "conversation": item.get("conversation_id"),
        "language": item.get("lang"),
        "likes": figures.get("like_count"),
        "replies": figures.get("reply_count"),
    }


def _reddit(item: dict[str, Any]) -> dict[str, Any]:
    data = item["data"]
    words = (data.get(name) for name in ("title", "selftext", "body"))
    return {
        "id": data["name"],
        "channel": "reddit",
        "created_at": data["created_utc"],
        "text": "\n\n".join(word for word in words if word),
        "author": data["author"],
        "conversation": data.get("link_id", data["name"]),
        "language": None,
        "likes": data["score"],
        "replies": data.get("num_comments"),
    }


def _rows(pages: Path) -> Iterator[list[dict[str, Any]]]:
    for file in sorted((pages / "twitter").glob("*.json")):
        yield [_x(item) for item in json.loads(file.read_bytes())["data"]]
    for file in sorted((pages / "reddit").glob("*.json")):
        yield [_reddit(item) for item in json.loads(file.read_bytes())["data"]["children"]]


if __name__ == "__main__":
    given, database = map(Path, sys.argv[1:])
    pipeline = dlt.pipeline(
        "bench",
        destination=sqlalchemy(f"sqlite:///{database}"),
        dataset_name="main",
        pipelines_dir=str(database.with_suffix(".pipeline")),
    )
    pages = dlt.resource(_rows(given), name="mentions", write_disposition="merge", primary_key="id")
    print(pipeline.run(pages))
