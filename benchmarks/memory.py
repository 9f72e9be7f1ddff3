"""How much memory the commands take at their peak, each in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import filling, ingest, latency, world
from benchmarks.measure import Ended, listener, process, progress, show
from benchmarks.platforms import serving
from listener.clock import SystemClock
from storage.store import MentionStore

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.databases import Databases

GOAL = 300
"""The MB that none of them is to take more than."""


def run(databases: Databases, scale: str, config: Path | None = None) -> None:
    """Run the commands and print their peaks; ``config`` is that of a filled store, else one is filled."""
    count = latency.SIZES[scale]["sqlite"][-1]
    if config is None:
        progress(f"memory: filling SQLite up to {count:,} mentions")
        url = databases.url("sqlite")
        config = filling.write_config(databases.folder / "memory", url)
        with MentionStore.open(url, clock=world.clock()) as store:
            filling.Filling(store, world.settings_of(config)).grow(count)
    posts = ingest.SIZES[scale].posts
    asked = {
        "summary --week 2026-W46": ("summary", "--week", "2026-W46", "-o", str(databases.folder / "summary.csv")),
        f"query, all {count:,} rows to CSV": ("query", "-o", str(databases.folder / "all.csv")),
        f"query, all {count:,} rows to Parquet": ("query", "-o", str(databases.folder / "all.parquet")),
    }
    ended = {
        "--version": process(listener("--version")),
        f"ingest, {posts:,} posts of X into SQLite": _ingest(databases, posts),
    }
    for name, arguments in asked.items():
        progress(f"memory: {name}")
        ended[name] = process(listener("-c", str(config), *arguments))
    rows = [(f"listener {name}", each.peak_mb, each.cpu, each.wall) for name, each in ended.items()]
    note = (
        "Maximum resident set of the process, start to end; the whole command's CPU and wall seconds beside it. "
    )
    note += f"None is to take more than {GOAL} MB."
    show("Peak memory", ("command", "peak MB", "CPU s", "wall s"), rows, note=note)


def _ingest(databases: Databases, posts: int) -> Ended:
    progress(f"memory: ingest of {posts:,} posts of X")
    # The command goes by the machine's clock, and so must the platform.
    with serving("twitter", posts, SystemClock().now()) as address:
        url = databases.url("sqlite")
        config = world.write_config(databases.folder / "memory-x", url, {"twitter": address})
        ended = process(listener("-c", str(config), "ingest", "--channel", "twitter"))
    databases.drop(url)
    return ended
