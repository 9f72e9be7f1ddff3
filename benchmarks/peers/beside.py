"""The whole path, from a page of JSON to the stored mention, beside dlt and obsei on the same pages.

Each way is a process of its own, start to end, that the same measure is taken of. dlt loads and analyses nothing;
obsei redacts, hashes and validates, and labels nothing here: its models would be an extra.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from benchmarks import corpus, world
from benchmarks.measure import Ended, process, progress, show
from benchmarks.peers import environments

if TYPE_CHECKING:
    from benchmarks.databases import Databases

DLT = "dlt[sqlalchemy]==1.31.0"
OBSEI = "obsei==1.1.1"
GOALS = {DLT: 0.25, OBSEI: 8.0}
"""How many times a peer's speed the whole path is to have; dlt analyses nothing."""
GOAL = 1_500
"""Mentions per CPU-second that it is to reach."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: mentions, of which obsei gets fewer; rounds, and those of obsei."""

    mentions: int
    of_obsei: int
    rounds: int
    rounds_of_obsei: int


SIZES = {"small": Size(2_000, 500, 1, 1), "full": Size(100_000, 10_000, 5, 2)}

Taken: TypeAlias = dict[str, list[tuple[int, Ended]]]
"""What each way took for so many mentions, round by round."""


def run(databases: Databases, scale: str) -> None:
    """Install the peers, write the pages, take each way in turn, and print how they stand."""
    size = SIZES[scale]
    folder = databases.folder / "peers"
    progress("peers: installing")
    commands = {peer: environments.make(folder / peer.partition("=")[0].partition("[")[0], peer) for peer in GOALS}
    progress(f"peers: writing {size.mentions:,} mentions")
    pages = folder / "pages"
    files = corpus.write(pages, size.mentions)
    few = _few(folder / "few", files, size)
    taken: Taken = defaultdict(list)
    for number in range(size.rounds):
        progress(f"peers: round {number + 1} of {size.rounds}")
        taken["Listener"].append((size.mentions, _listener(folder, pages, size.mentions)))
        taken[DLT].append((size.mentions, _dlt(folder, commands[DLT], pages, size.mentions)))
        if number < size.rounds_of_obsei:
            taken[OBSEI].append((size.of_obsei, _obsei(folder, commands[OBSEI], few, size.of_obsei)))
    _show(taken, size)


def _few(folder: Path, files: dict[str, list[Path]], size: Size) -> Path:
    """Write obsei's share as the lines of JSON that it reads, as much of X and of Reddit as the whole has."""
    folder.mkdir()
    share = {"twitter": round(corpus.X_SHARE * size.of_obsei)}
    share["reddit"] = size.of_obsei - share["twitter"]
    for channel, count in share.items():
        found = [item for file in files[channel] for item in corpus.items(channel, json.loads(file.read_bytes()))]
        # Spread over the whole: the same mixture.
        chosen = [found[place * len(found) // count] for place in range(count)]
        (folder / f"{channel}.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in chosen))
    return folder


def _listener(folder: Path, pages: Path, count: int) -> Ended:
    database = folder / "listener.db"
    config = world.write_config(folder / "listener", f"sqlite:///{database}", {})
    ended = process([sys.executable, "-m", "benchmarks.peers.whole_path", str(pages), str(config)])
    _require(_rows(database, "mentions"), count, "Listener")
    database.unlink()
    return ended


def _dlt(folder: Path, commands: Path, pages: Path, count: int) -> Ended:
    database = folder / "dlt.db"
    script = Path(__file__).with_name("dlt_merge.py")
    ended = process([str(commands / "python"), str(script), str(pages), str(database)])
    _require(_rows(database, "mentions"), count, DLT)
    for left in folder.glob("dlt*.db"):
        left.unlink()
    shutil.rmtree(database.with_suffix(".pipeline"))
    return ended


def _rows(database: Path, table: str) -> int:
    with closing(sqlite3.connect(database)) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(count)


def _obsei(folder: Path, commands: Path, few: Path, count: int) -> Ended:
    database = folder / "obsei.duckdb"
    config = folder / "obsei.yaml"
    config.write_text(_obsei_config(few, database))
    # Authors are pseudonymised with a secret, as Listener does it.
    given = ["/usr/bin/env", f"OBSEI_PSEUDONYM_SALT={'s' * 32}", str(commands / "obsei")]
    ended = process([*given, "run", "-c", str(config), "--db", str(database)])
    counting = (
        "import duckdb, sys; print(duckdb.connect(sys.argv[1]).sql('FROM records').count('*').fetchone()[0])"
    )
    told = subprocess.run(
        [str(commands / "python"), "-c", counting, str(database)], check=True, capture_output=True, text=True
    )
    _require(int(told.stdout), count, OBSEI)
    for left in folder.glob("obsei.duckdb*"):
        left.unlink()
    return ended


def _obsei_config(few: Path, database: Path) -> str:
    """Return obsei's configuration, which is YAML and so may be JSON: two files, redaction on, no model."""
    x = {"text": "text", "id": "id", "created_at": "created_at", "lang": "lang", "author": "author_id"}
    reddit = {"text": ["data.title", "data.selftext", "data.body"], "id": "data.name"}
    reddit |= {"created_at": "data.created_utc", "author": "data.author"}
    sources = [
        {
            "key": channel,
            "type": "jsonl",
            "config": {"path": str(few / f"{channel}.jsonl"), "instance": channel, "fields": fields},
        }
        for channel, fields in (("twitter", x), ("reddit", reddit))
    ]
    return json.dumps(
        {
            "version": 1,
            # Without encryption, which needs an extension that is downloaded.
            "store": {"path": str(database), "unencrypted": True},
            "privacy": {"redact": True},
            "pipelines": [{"name": "bench", "sources": sources}],
        }
    )


def _require(found: int, wanted: int, way: str) -> None:
    # A few items have no text: obsei leaves them out.
    if not 0.95 * wanted <= found <= wanted:
        raise RuntimeError(f"{way} stored {found:,} of {wanted:,} mentions: that is not what is measured")


def _show(taken: Taken, size: Size) -> None:
    speeds = {
        way: statistics.median(count / ended.cpu for count, ended in rounds) for way, rounds in taken.items()
    }
    rows = [
        (
            way,
            rounds[0][0],
            len(rounds),
            speeds[way],
            statistics.median(count / ended.wall for count, ended in rounds),
            statistics.median(ended.peak_mb for _, ended in rounds),
            speeds["Listener"] / speeds[way],
            GOALS.get(way),
        )
        for way, rounds in taken.items()
    ]
    head = (
        *("way", "mentions", "rounds", "per CPU-second", "per wall second", "peak MB"),
        *("Listener's speed, this = 1", "to be at least"),
    )
    note = (
        "JSON pages of X (60%) and Reddit into the way's own store, a process each, start to end, medians; "
        f"Listener is to reach {GOAL:,} per CPU-second. obsei is given {size.of_obsei:,} of the {size.mentions:,} "
        "mentions, ready as lines of JSON, and fewer rounds, or it alone would take most of the time; its fewer "
        "mentions carry its start more. It redacts and pseudonymises, and labels nothing without a model that is "
        "an extra; dlt keeps flat rows by a merge on their id, and analyses nothing. Listener hears every signal, "
        "keeps its normalised tables and the full-text index, and commits every five hundred, as an import does."
    )
    show("The whole path beside its peers", head, rows, note=note)
