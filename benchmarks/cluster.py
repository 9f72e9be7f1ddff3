"""Imports that several processes hear: how much quicker, in how much memory, and whether kills harm them.

The dump is a Reddit one, made here. Once few lines name the hospital, so that unpacking and searching is what
takes long; once many do, so that hearing is. What is measured is the command, from start to end.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import world
from benchmarks.archives import write_dump
from benchmarks.measure import listener, progress, show

if TYPE_CHECKING:
    from benchmarks.databases import Databases

SEED = 2026
_EVERY = 0.1
_WAYS: dict[str, tuple[str, ...]] = {
    "one process": (),
    "2 processes": ("--processes", "2"),
    "Dask, 1 worker": ("--cluster", "local:1"),
    "Dask, 2 workers": ("--cluster", "local:2"),
}


@dataclass(frozen=True, slots=True)
class Size:
    """Lines of the dumps, one in how many names the hospital in each, and how often an import is killed."""

    lines: int
    rates: tuple[int, ...]
    kills: int


SIZES = {"small": Size(100_000, (10_000, 50), 3), "full": Size(5_000_000, (10_000, 50), 10)}


@dataclass(slots=True)
class Watched:
    """A command that ran: its wall time, exit code, and the MB of it and of its largest child at each look."""

    wall: float = 0.0
    code: int = 0
    driver: list[float] = field(default_factory=list)
    worker: list[float] = field(default_factory=list)


def run(databases: Databases, scale: str) -> None:
    """Measure imports each way, and kill them; print what they take and what is left."""
    size = SIZES[scale]
    rows: list[tuple[object, ...]] = []
    killed: list[tuple[object, ...]] = []
    for rate in size.rates:
        progress(f"cluster: writing a dump of {size.lines:,} lines, one in {rate:,} named")
        file = databases.folder / f"RC_one_in_{rate}.zst"
        write_dump(file, size.lines, SEED, named_one_in=rate)
        peaceful: list[tuple[object, ...]] | None = None
        for way, options in _WAYS.items():
            progress(f"cluster: one in {rate:,}, {way}")
            url = databases.url("sqlite")
            watched = _imported(_config(databases, url), file, options)
            left = _left(url)
            peaceful = peaceful or left
            databases.drop(url)
            if left != peaceful:
                raise RuntimeError(f"{way} left another store than one process")
            rows.append((f"one in {rate:,}", way, watched.wall, size.lines / watched.wall, *_memory(watched)))
        if rate == size.rates[-1] and peaceful is not None:
            killed = list(_killed(databases, file, size.kills, peaceful))
    head = ("lines named", "heard by", "wall s", "lines, per wall second", "driver MB, halfway / at most")
    show(
        "Imports that others hear",
        (*head, "largest worker MB, halfway / at most"),
        rows,
        note=f"{size.lines:,} comments into SQLite, the command once each way, its start and the recount of days "
        f"in it. {os.cpu_count()} cores.",
    )
    show("Imports that are killed", ("killed", "heard by", "times", "mentions", "lost", "doubled"), killed)


def _config(databases: Databases, url: str) -> Path:
    return world.write_config(databases.folder / f"cluster-{time.monotonic_ns()}", url, {})


def _imported(config: Path, file: Path, options: Sequence[str]) -> Watched:
    with subprocess.Popen(_command(config, file, options), stdout=subprocess.DEVNULL) as command:
        watched = _watch(command)
    if watched.code:
        raise RuntimeError(f"the import ended with {watched.code}")
    return watched


def _command(config: Path, file: Path, options: Sequence[str]) -> list[str]:
    rejects = config.parent / "rejects.jsonl"
    return listener("-c", str(config), "import", str(file), "--rejects", str(rejects), *options)


def _watch(command: subprocess.Popen[bytes]) -> Watched:
    watched, started = Watched(), time.perf_counter()
    driver = psutil.Process(command.pid)
    while command.poll() is None:
        try:
            watched.driver.append(driver.memory_info().rss / 1e6)
            watched.worker.append(max((_resident(child) for child in driver.children(recursive=True)), default=0))
        except psutil.NoSuchProcess:
            break
        time.sleep(_EVERY)
    watched.code = command.wait()
    watched.wall = time.perf_counter() - started
    return watched


def _resident(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


def _memory(watched: Watched) -> Iterator[str]:
    for sampled in (watched.driver, watched.worker):
        half = max(sampled[: len(sampled) // 2 + 1], default=0)
        yield f"{half:,.0f} / {max(sampled, default=0):,.0f}"


def _killed(
    databases: Databases, file: Path, kills: int, peaceful: list[tuple[object, ...]]
) -> Iterator[tuple[object, ...]]:
    chance = Random(SEED)
    for way in ("one process", "2 processes", "Dask, 2 workers"):
        progress(f"cluster: {way}, the command killed {kills} times")
        url = databases.url("sqlite")
        config = _config(databases, url)
        times = 0
        for kill in range(kills):
            # Somewhere in each tenth of the way: by the clock it would be done before it was killed so often.
            enough = (kill + chance.random()) / kills * len(peaceful)
            with subprocess.Popen(_command(config, file, _WAYS[way]), stdout=subprocess.DEVNULL) as command:
                while command.poll() is None:
                    if _stored(url) >= max(1, enough):
                        times += 1
                        command.kill()
                        command.wait()
                    time.sleep(_EVERY)
        _imported(config, file, _WAYS[way])
        yield "the command", way, times, *_harm(_left(url), peaceful)
        databases.drop(url)
        if not _WAYS[way]:
            continue
        progress(f"cluster: {way}, a worker killed mid-way")
        url = databases.url("sqlite")
        command = subprocess.Popen(_command(_config(databases, url), file, _WAYS[way]), stdout=subprocess.DEVNULL)
        times = 0
        while command.poll() is None and times < 1:
            time.sleep(_EVERY)
            if _stored(url):
                heavy = max(psutil.Process(command.pid).children(recursive=True), key=_resident)
                os.kill(heavy.pid, signal.SIGKILL)
                times += 1
        if command.wait():
            raise RuntimeError(f"the import ended with {command.returncode}")
        yield "a worker", way, times, *_harm(_left(url), peaceful)
        databases.drop(url)


def _left(url: str) -> list[tuple[object, ...]]:
    """Return what an import left."""
    return _asked(
        url, "SELECT external_id, text, sentiment_score, signals_version FROM mentions ORDER BY external_id"
    )


def _stored(url: str) -> int:
    return sum(count for (count,) in _asked(url, "SELECT count(*) FROM mentions"))


def _asked(url: str, query: str) -> list[tuple[Any, ...]]:
    """Return the answer of a store; nothing where the import has made no tables yet."""
    file = Path(url.removeprefix("sqlite:///"))
    if not file.exists():
        return []
    with closing(sqlite3.connect(file, timeout=30)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'mentions'").fetchone():
            return []
        return database.execute(query).fetchall()


def _harm(left: list[tuple[object, ...]], peaceful: list[tuple[object, ...]]) -> tuple[int, int, int]:
    return len(left), len(set(peaceful) - set(left)), len(left) - len({row[0] for row in left})
