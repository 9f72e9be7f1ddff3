"""How long a question takes, at ten thousand, a hundred thousand and a million mentions; ten million if asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import filling, world
from benchmarks.measure import Cost, cost, median_cost, progress, show
from benchmarks.multiplying import Multiplying
from benchmarks.plans import read_whole, statements
from jobs.summary import weekly_summary
from storage.queries import Filters, count_by, rows
from storage.store import MentionStore

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.databases import Databases
    from listener.settings import Settings

SIZES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "small": {"sqlite": (2_000, 10_000), "postgresql": (1_000, 5_000)},
    "full": {"sqlite": (10_000, 100_000, 1_000_000), "postgresql": (10_000, 100_000, 1_000_000)},
    "huge": {"sqlite": (10_000, 100_000, 1_000_000), "postgresql": (20_000, 100_000, 1_000_000, 10_000_000)},
}
"""Mentions in the store, by scale and database."""
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_PAGE = 50
_TIMES = 5
_PATIENCE = 5.0
_ONE = filling.ORGANIZATIONS[0]
_WEEK = (2966,)
"""The ISO week 2026-W46, the last whole one before :data:`benchmarks.world.MOMENT`."""


@dataclass(slots=True)
class Answers:
    """How one database answered, by question and number of mentions, and what the plans read whole."""

    kind: str
    sizes: tuple[int, ...]
    multiplied: bool
    """Whether all but the least store was made on the server, of copies of the least."""
    costs: dict[tuple[str, int], Cost] = field(default_factory=dict)
    whole: dict[str, list[str]] = field(default_factory=dict)
    filled: list[tuple[int, Cost, Cost]] = field(default_factory=list)


def run(databases: Databases, scale: str) -> Path:
    """Fill, ask and print; return the configuration of the largest SQLite store, which stays."""
    configs = {}
    for kind, sizes in SIZES[scale].items():
        url = databases.url(kind)
        multiplied = scale == "huge" and kind == "postgresql"
        configs[kind] = filling.write_config(databases.folder / f"latency-{kind}", url)
        answers = _ask(databases, world.settings_of(configs[kind]), url, Answers(kind, sizes, multiplied))
        _show(answers)
        if kind != "sqlite":
            databases.drop(url)
    return configs["sqlite"]


def _ask(databases: Databases, settings: Settings, url: str, answers: Answers) -> Answers:
    server = databases.server_cpu(answers.kind)
    with MentionStore.open(url, clock=world.clock()) as store:
        filler = filling.Filling(store, settings)
        multiplying: Multiplying | None = None
        for size in answers.sizes:
            progress(f"latency: {NAMES[answers.kind]}, filling up to {size:,} mentions")
            if answers.multiplied and multiplying is None and filler.count:
                multiplying = Multiplying(url, settings)
            if multiplying:
                copying = cost(partial(multiplying.grow, size), server=server)
                answers.filled.append((size, copying, cost(store.roll_up, server=server)))
            else:
                answers.filled.append((size, *filler.grow(size, server=server)))
            databases.settle(url)
            progress(f"latency: {NAMES[answers.kind]}, asking {size:,} mentions")
            for question, ask in questions(settings, store).items():
                with statements(store.database) as asked:
                    first = cost(ask)
                answers.whole[question] = read_whole(store.database, asked)
                # A question that takes so long is clear after once.
                times = 0 if first.wall > _PATIENCE else _TIMES
                answers.costs[question, size] = median_cost([cost(ask) for _ in range(times)] or [first])
    return answers


def questions(settings: Settings, store: MentionStore) -> dict[str, Callable[[], object]]:
    """Return what is asked, by the words of the report."""

    def page(**filters: object) -> object:
        return list(rows(store, Filters.of(**filters), limit=_PAGE))

    return {
        "weekly summary of one organization, one week": partial(
            weekly_summary, settings, store, organizations=(_ONE,), clock=world.clock()
        ),
        "weekly summary of one organization, 52 weeks": partial(
            weekly_summary, settings, store, last=52, organizations=(_ONE,), clock=world.clock()
        ),
        "weekly summary of all organizations together, 52 weeks": partial(
            weekly_summary, settings, store, last=52, organizations=("all",), clock=world.clock()
        ),
        "count by week and channel, everything": partial(count_by, store, Filters(), ["week", "channel"]),
        "count by week and channel, one organization": partial(
            count_by, store, Filters(organizations=(_ONE,)), ["week", "channel"]
        ),
        "count by topic, everything": partial(count_by, store, Filters(), ["topic"]),
        "count by topic, one organization, one week": partial(
            count_by, store, Filters(organizations=(_ONE,), weeks=_WEEK), ["topic"]
        ),
        f"newest {_PAGE}, of everything": page,
        f"newest {_PAGE}, one organization, one topic, English": partial(
            page, organizations=_ONE, topics="parking", languages="en"
        ),
        f"newest {_PAGE}, one organization, one week": partial(page, organizations=_ONE, weeks=_WEEK),
        f"newest {_PAGE} with a rare word, of everything": partial(page, contains=filling.RARE_WORD),
        f"newest {_PAGE} with a rare word, one organization, one week": partial(
            page, organizations=_ONE, weeks=_WEEK, contains=filling.RARE_WORD
        ),
    }


def _show(answers: Answers) -> None:
    in_process = answers.kind == "sqlite"
    least, most = answers.sizes[0], answers.sizes[-1]
    table = []
    for question, tables in answers.whole.items():
        taken = [answers.costs[question, size] for size in answers.sizes]
        ends = [each.cpu if in_process else each.wall for each in (taken[0], taken[-1])]
        growth = math.log(ends[1] / ends[0]) / math.log(most / least)
        walls = [1000 * each.wall for each in taken]
        cpu = [1000 * taken[-1].cpu] if in_process else []
        table.append((question, *walls, *cpu, f"{growth:.2f}", ", ".join(tables) or "none"))
    columns = [f"{size:,}" for size in answers.sizes]
    head = ("question", *columns, *(["CPU ms at the most"] if in_process else []), "growth", "read whole")
    note = (
        f"Wall milliseconds, medians of {_TIMES}, by the number of mentions in the store (four organizations, "
        "three channels, two years), in a process that has started. Growth is the exponent of the "
        f"{'CPU' if in_process else 'wall'} time in the number of mentions: 0 stays, 1 grows as the store does. "
        "Read whole: tables of more than 1,000 rows that the largest store's plan reads from end to end; by "
        "index: along one, which stops early where a page is full."
    )
    show(f"Latency on {NAMES[answers.kind]}", head, table, note=note)
    _show_filling(answers)


def _show_filling(answers: Answers) -> None:
    table = [
        (
            f"{size:,}",
            "-" if answers.multiplied and before else (size - before) / saving.cpu,
            (size - before) / saving.wall,
            saving.server,
            counting.cpu,
            counting.wall,
            counting.server,
        )
        for before, (size, saving, counting) in zip((0, *answers.sizes), answers.filled, strict=False)
    ]
    head = (
        *("up to", "saved per CPU-second", "saved per wall second", "server CPU s"),
        *("rollup, CPU s", "rollup, wall s", "server CPU s"),
    )
    note = f"Ready records in pages of {filling.PAGE:,}; the rollup recounts every day of two years."
    if answers.multiplied:
        note += " All but the first were copied on the server, a mention to other weeks, without the store."
    show(f"Filling {NAMES[answers.kind]}", head, table, note=note)
