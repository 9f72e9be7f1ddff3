"""Archives: a Reddit dump packed with zstd, of which a few lines name the hospital, read and imported.

What is measured is how many lines a second go by: unpacked alone, unpacked and searched, imported whole; and what
an import takes at its peak. The dump is made here, of comments that nobody wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from random import Random
from typing import TYPE_CHECKING

import zstandard

from benchmarks import world
from benchmarks.measure import Cost, cost, listener, median_cost, process, progress, show
from jobs.archives.files import opened
from jobs.archives.lines import TOP, blocks
from jobs.archives.owners import searched_names
from jobs.archives.sieve import Sieve

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.databases import Databases
    from listener.settings import Settings

SEED = 2026
_NAMED_ONE_IN = 10_000
_ACCENTED_ONE_IN = 40
_NAMED = "We waited eight hours in emergency at St. Elsewhere Hospital with my mother and nobody told us anything"
_WORDS = (
    *(
        "the",
        "a",
        "and",
        "to",
        "of",
        "in",
        "it",
        "that",
        "was",
        "for",
        "on",
        "with",
        "this",
        "they",
        "have",
        "not",
    ),
    *("but", "you", "just", "like", "get", "so", "what", "people", "time", "know", "would", "think", "really"),
    *("then", "them", "more", "want", "one", "out", "game", "work", "year", "good", "make", "day", "way", "thing"),
    *("even", "right", "back", "well", "also", "never", "much", "movie", "phone", "house", "team", "money"),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: lines of the dump, rounds."""

    lines: int
    rounds: int


SIZES = {"small": Size(100_000, 1), "full": Size(5_000_000, 3)}


def run(databases: Databases, scale: str) -> None:
    """Measure reading, searching and importing, and print what they take."""
    size = SIZES[scale]
    progress(f"archives: writing a dump of {size.lines:,} lines")
    files = [databases.folder / f"RC_{number}.zst" for number in range(2)]
    unpacked = write_dump(files[0], size.lines, SEED)
    settings = world.settings_of(world.write_config(databases.folder / "archives", "sqlite://", {}))
    ways: dict[str, list[Cost]] = {"unpacked": [], "unpacked and searched": []}
    for number in range(size.rounds):
        progress(f"archives: round {number + 1} of {size.rounds}")
        ways["unpacked"].append(cost(lambda: _unpack(files[0])))
        ways["unpacked and searched"].append(cost(lambda: search(str(files[0]), settings)))
    rows = [_row(way, median_cost(costs), size.lines, unpacked) for way, costs in ways.items()]
    progress("archives: importing")
    config = world.write_config(databases.folder / "archives", databases.url("sqlite"), {})
    ended = process(listener("-c", str(config), "import", str(files[0])))
    rows.append(_row("imported into SQLite (the command)", Cost(ended.cpu, ended.wall), size.lines, unpacked))
    progress("archives: two files, in one process and in two")
    write_dump(files[1], size.lines, SEED + 1)
    for workers in (1, 2):
        took = cost(partial(_in_processes, files, config, workers))
        name = f"searched, two files in {workers} process{'es' if workers > 1 else ''}"
        rows.append(_row(name, Cost(0.0, took.wall), 2 * size.lines, 2 * unpacked))
    head = ("way", "lines, per CPU-second", "lines, per wall second", "unpacked MB, per wall second")
    note = (
        f"{size.lines:,} comments, {unpacked / 1e6:,.0f} MB, {files[0].stat().st_size / 1e6:,.0f} MB packed; one "
        f"in {_NAMED_ONE_IN:,} names the hospital, one in {_ACCENTED_ONE_IN} has an accent. Medians of "
        f"{size.rounds} rounds, the command once; its peak is {ended.peak_mb:,.0f} MB."
    )
    show("Archives", head, rows, note=note)


def _row(way: str, taken: Cost, lines: int, unpacked: int) -> tuple[object, ...]:
    return way, lines / taken.cpu if taken.cpu else None, lines / taken.wall, unpacked / taken.wall / 1e6


def write_dump(file: Path, lines: int, seed: int, *, named_one_in: int = _NAMED_ONE_IN) -> int:
    """Write a dump of so many comments; return how many bytes it has unpacked."""
    size = 0
    with file.open("wb") as packed, zstandard.ZstdCompressor(level=3).stream_writer(packed) as writer:
        for line in _comments(lines, seed, named_one_in):
            size += writer.write(line)
    return size


def _comments(lines: int, seed: int, named_one_in: int) -> Iterator[bytes]:
    """Yield comments as a dump has them: a few hundred bytes of text among as many of everything else."""
    chance = Random(seed)
    pool = [_body(chance) for _ in range(5_000)]
    for number in range(lines):
        body = pool[number * 7919 % len(pool)]
        if number % named_one_in == named_one_in // 2:
            body = f"{_NAMED}, visit {number}"
        told = {
            "all_awardings": [],
            "archived": False,
            "author": f"user{number % 99_991}",
            "body": body,
            "author_flair_text": None,
            "controversiality": 0,
            "created_utc": 1_790_000_000 + number // 50,
            "distinguished": None,
            "edited": False,
            "gilded": 0,
            "id": f"p{number:x}",
            "link_id": "t3_abc12",
            "parent_id": "t3_abc12",
            "permalink": f"/r/AskReddit/comments/abc12/_/p{number:x}/",
            "score": 1,
            "retrieved_on": 1_790_100_000,
            "stickied": False,
            "subreddit": "AskReddit",
            "total_awards": 0,
        }
        yield json.dumps(told, ensure_ascii=number % 2 == 0).encode() + b"\n"


def _body(chance: Random) -> str:
    words = [chance.choice(_WORDS) for _ in range(chance.randint(5, 90))]
    if chance.randrange(_ACCENTED_ONE_IN) == 0:
        words.append("café")
    return f"{' '.join(words)}… “{chance.choice(_WORDS)}”\n\n&gt; {chance.choice(_WORDS)} 🙂"


def _unpack(file: Path) -> None:
    with opened(str(file)) as content:
        while content.read(1 << 18):
            pass


def search(file: str, settings: Settings) -> int:
    """Unpack a file and search its lines; return how many go through."""
    sieve = Sieve(searched_names(settings.organizations, ["reddit"]))
    with opened(file) as content:
        return sum(1 for block in blocks(content, TOP) for _ in sieve.lines(block.data))


def _search_by_config(task: tuple[str, Path]) -> int:
    file, config = task
    return search(file, world.settings_of(config))


def _in_processes(files: list[Path], config: Path, workers: int) -> None:
    tasks = [(str(file), config) for file in files]
    if workers == 1:
        list(map(_search_by_config, tasks))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_search_by_config, tasks))
