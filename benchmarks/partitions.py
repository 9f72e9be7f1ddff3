"""What partitions by the month cost and give on PostgreSQL: to make them, to save pages, to ask of two weeks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import filling, world
from benchmarks.measure import Cost, cost, progress, show
from listener.standins.generator import CHANNELS
from storage.partitioning import partition
from storage.queries import Filters, count_by, rows
from storage.store import MentionStore

if TYPE_CHECKING:
    from benchmarks.databases import Databases

SIZES: Mapping[str, int] = {"small": 1_000, "full": 200_000}
"""Mentions in the store before it is partitioned."""
_PAGE = 1_000
_TIMES = 20
_WEEKS = Filters(weeks=(2965, 2966))


def run(databases: Databases, scale: str) -> None:
    """Fill a store, measure, partition it, measure again, and print."""
    size = SIZES[scale]
    url = databases.url("postgresql")
    server = databases.server_cpu("postgresql")
    settings = world.settings_of(filling.write_config(databases.folder / "partitions", url))
    with MentionStore.open(url, clock=world.clock()) as store:
        filler = filling.Filling(store, settings)
        progress(f"partitions: filling PostgreSQL up to {size:,} mentions")
        filler.grow(size)
        databases.settle(url)
        before = _measured(store, filler, server)
        progress(f"partitions: partitioning {filler.count:,} mentions")
        count = filler.count
        since = (world.MOMENT - filling.SPAN - timedelta(days=31)).date()
        made = cost(partial(partition, url, since=since), server=server)
        after = _measured(store, filler, server)
    databases.drop(url)
    served = made.server or 0.0
    facts = [(f"{count:,} mentions", made.wall, served, round(count / served) if served else 0)]
    show("Partitioning a store", ("store", "wall s", "server CPU s", "mentions per server-CPU-second"), facts)
    show(
        "One table, and partitions of 24 months",
        ("what", "server CPU ms, one table", "server CPU ms, partitions"),
        [(name, _ms(before[name]), _ms(after[name])) for name in before],
    )


def _ms(one: Cost) -> float:
    return round((one.server or 0.0) * 1_000, 1)


def _measured(store: MentionStore, filler: filling.Filling, server: Callable[[], float] | None) -> dict[str, Cost]:
    asked: dict[str, Callable[[], object]] = {
        f"newest page of 50, {_TIMES} times": lambda: list(rows(store, Filters(), limit=50)),
        f"two weeks by channel and topic, {_TIMES} times": lambda: count_by(store, _WEEKS, ["channel", "topic"]),
    }
    # New mentions of every stream and month, a page of each stream.
    count = _PAGE * len(filling.ORGANIZATIONS) * len(CHANNELS)
    saved, _ = filler.grow(filler.count + count, server=server)
    return {f"{count:,} new mentions, in pages of {_PAGE:,}": saved} | {
        name: cost(lambda ask=ask: [ask() for _ in range(_TIMES)], server=server) for name, ask in asked.items()
    }
