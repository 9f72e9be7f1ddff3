"""The store alone beside its yardstick: the same rows into the same tables by hand-written SQL, in one run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import corpus, upserts, world, yardsticks
from benchmarks.measure import Cost, cost, median_cost, progress, show
from jobs.connections import stream_state
from listener.usage import Usage
from storage.bulk import batches
from storage.store import MentionStore

if TYPE_CHECKING:
    from benchmarks.databases import Databases
    from benchmarks.upserts import Page
    from benchmarks.world import Line
    from listener.settings import Settings
    from storage.records import Record

PAGE = 1_000
KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
GOALS = {"sqlite": 0.5, "postgresql": 0.6}
"""What of the yardstick's speed the store is to reach, fresh and equal."""
_STATES = ("fresh", "equal")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    mentions: int
    rounds: int


SIZES = {"small": Size(4_000, 3), "full": Size(20_000, 5)}


@dataclass(frozen=True, slots=True)
class Heard:
    """The records of each stream, as hearing gives them and as it gives them when the store has them."""

    settings: Settings
    lines: Sequence[Line]
    records: Mapping[str, Sequence[Record]]

    def of(self, line: Line, state: str) -> Sequence[Record]:
        """Return a stream's records; an equal copy's text is not heard again."""
        records = self.records[line.stream.channel]
        return records if state == "fresh" else [replace(record, signals=None) for record in records]


def run(databases: Databases, scale: str) -> None:
    """Measure, and print how the store stands beside its yardstick."""
    size = SIZES[scale]
    progress(f"store: hearing {size.mentions:,} mentions")
    heard = _heard(databases, size.mentions)
    for kind, name in KINDS.items():
        costs: defaultdict[str, list[Cost]] = defaultdict(list)
        for number in range(size.rounds):
            progress(f"store: round {number + 1} of {size.rounds}, {name}")
            pages = _store(databases, kind, heard, costs)
            _upserts(databases, kind, heard, pages, costs)
            _bare(databases, kind, heard, costs)
        _show(kind, costs, size)


def _heard(databases: Databases, count: int) -> Heard:
    files = corpus.write(databases.folder / "store-pages", count)
    settings = world.settings_of(world.write_config(databases.folder / "store", "sqlite://", {}))
    lines = [world.line(settings, channel) for channel in files]
    return Heard(
        settings,
        lines,
        {
            line.stream.channel: [
                record
                for file in files[line.stream.channel]
                for record in line.hearing.records(corpus.read(line.stream.channel, file), {})
            ]
            for line in lines
        },
    )


def _ready(url: str, heard: Heard) -> MentionStore:
    """Return an open store that knows organizations, topics and streams, and no mention."""
    store = MentionStore.open(url, clock=world.clock())
    store.declare(heard.settings.organizations, heard.lines[0].taxonomy)
    for line in heard.lines:
        stream_state(store, line.stream)
    return store


def _store(databases: Databases, kind: str, heard: Heard, costs: dict[str, list[Cost]]) -> list[Page]:
    """Measure the store; return the rows it made."""
    url = databases.url(kind)
    with _ready(url, heard) as store:
        for state in _STATES:
            given = [(line, heard.of(line, state)) for line in heard.lines]
            costs[f"store {state}"].append(cost(partial(_save, store, given), server=databases.server_cpu(kind)))
            databases.settle(url)
    pages = upserts.pages_of(url, PAGE)
    databases.drop(url)
    return pages


def _save(store: MentionStore, given: Sequence[tuple[Line, Sequence[Record]]]) -> None:
    for line, records in given:
        stream = stream_state(store, line.stream)
        run_id = store.begin_run(stream.id, since=None, until=None)
        for some in batches(records, PAGE):
            store.save_page(stream_id=stream.id, run_id=run_id, records=some, cursor={"at": 1}, usage=Usage())


def _upserts(
    databases: Databases, kind: str, heard: Heard, pages: Sequence[Page], costs: dict[str, list[Cost]]
) -> None:
    url = databases.url(kind)
    _ready(url, heard).close()
    for state in _STATES:
        costs[f"upserts {state}"].append(
            cost(partial(upserts.write, url, pages), server=databases.server_cpu(kind))
        )
        databases.settle(url)
    made = upserts.counts(url)
    if any(made[name] != len({row[:3] for page in pages for row in page[name]}) for name in upserts.NAMES):
        raise RuntimeError(f"the yardstick did not write what the store wrote: {made}")
    databases.drop(url)


def _bare(databases: Databases, kind: str, heard: Heard, costs: dict[str, list[Cost]]) -> None:
    rows = [yardsticks.bare_row(record) for line in heard.lines for record in heard.of(line, "fresh")]
    url = databases.url(kind)
    yardsticks.prepare(url)
    for state in _STATES:
        work = partial(yardsticks.write, url, rows, PAGE)
        costs[f"bare {state}"].append(cost(work, server=databases.server_cpu(kind)))
    databases.drop(url)


_WAYS = {
    "upserts": "hand-written, the same tables",
    "store": "the store",
    "bare": "hand-written, one bare table",
}


def _show(kind: str, costs: Mapping[str, Sequence[Cost]], size: Size) -> None:
    rows = []
    for state in _STATES:
        floor = median_cost(costs[f"upserts {state}"])
        for way, words in _WAYS.items():
            taken = median_cost(costs[f"{way} {state}"])
            both = None if taken.server is None else (floor.cpu + (floor.server or 0)) / (taken.cpu + taken.server)
            figures = (size.mentions / taken.cpu, taken.server, size.mentions / taken.wall)
            rows.append((f"{words}, {state}", *figures, floor.cpu / taken.cpu, both, floor.wall / taken.wall))
    head = (
        *("way", "per CPU-second of the client", "server CPU s", "per wall second"),
        *("speed by the client's CPU", "by client's and server's CPU", "by wall time"),
    )
    note = (
        f"{size.mentions:,} heard mentions of X and Reddit in pages of {PAGE:,}, a transaction each; medians of "
        f"{size.rounds} alternating rounds. Speeds are shares of the hand-written upserts' (1.00); the store is "
        f"to reach {GOALS[kind]}. It decides, makes fingerprints, ids and search words, keeps cursor and run; the "
        "hand-written ways get their rows ready made. Equal: all of it a second time."
    )
    show(f"The store alone on {KINDS[kind]}", head, rows, note=note)
