"""How things are measured and shown: CPU seconds, wall time, peak memory, medians, the machine's facts.

CPU seconds (user and system) are those of the process that is named; other work on the machine hardly changes
them. Wall time is what a person waits, and grows with whatever else the machine does.
"""

from __future__ import annotations

import gc
import os
import platform
import re
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Cost:
    """What some work took: CPU seconds of this process, wall seconds, CPU seconds of the database server."""

    cpu: float
    wall: float
    server: float | None = None

    def __add__(self, other: Cost) -> Cost:
        served = None if self.server is None or other.server is None else self.server + other.server
        return Cost(self.cpu + other.cpu, self.wall + other.wall, served)


def cost(work: Callable[[], object], *, server: Callable[[], float] | None = None) -> Cost:
    """Measure ``work``; ``server`` tells the CPU seconds that the database server has used so far."""
    gc.collect()
    # What the benchmark itself holds would be walked again and again by the collector, at the work's expense.
    gc.freeze()
    try:
        served = server() if server else 0.0
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return Cost(cpu, wall, server() - served if server else None)
    finally:
        gc.unfreeze()


def median_cost(costs: Iterable[Cost]) -> Cost:
    """Return the median of each figure."""
    costs = list(costs)
    served = [each.server for each in costs if each.server is not None]
    return Cost(
        statistics.median(each.cpu for each in costs),
        statistics.median(each.wall for each in costs),
        statistics.median(served) if served else None,
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """What a process of its own took: seconds of wall and CPU time, and its peak memory in MB."""

    wall: float
    cpu: float
    peak_mb: float


# A child's peak begins with what its parent had when it forked: so the parent is one that has next to nothing.
_LAUNCH = """
import os, sys, time
before = time.perf_counter()
null = os.open(os.devnull, os.O_WRONLY)
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
_, status, usage = os.wait4(pid, 0)
print(time.perf_counter() - before, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, status)
"""


def process(arguments: Sequence[str]) -> Ended:
    """Run a command to its end and return what it took; raises ``RuntimeError`` where it fails."""
    launch = [sys.executable, "-I", "-S", "-c", _LAUNCH, *arguments]
    launched = subprocess.run(launch, capture_output=True, text=True, check=True)
    wall, cpu, peak, status = map(float, launched.stdout.split())
    if status:
        code = os.waitstatus_to_exitcode(int(status))
        raise RuntimeError(f"{' '.join(arguments)} ended with {code}: {launched.stderr[-500:]}")
    # Kilobytes on Linux, bytes on macOS (getrusage(2) of each).
    return Ended(wall, cpu, peak / (1024**2 if sys.platform == "darwin" else 1024))


def listener(*arguments: str) -> list[str]:
    """Return the command line of ``listener``: the console script where it is installed, else the module."""
    script = Path(sys.executable).with_name("listener")
    return [*([str(script)] if script.exists() else [sys.executable, "-m", "listener"]), *arguments]


def show(title: str, head: Sequence[str], rows: Iterable[Sequence[object]], *, note: str = "") -> None:
    """Print a table in Markdown, numbers to the right, so that it can be pasted."""
    print(f"\n## {title}\n")
    if note:
        print(f"{note}\n")
    print("| " + " | ".join(head) + " |")
    print("|---|" + "---:|" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(_cell(cell) for cell in row) + " |")
    sys.stdout.flush()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def progress(words: str) -> None:
    """Tell on standard error what is being measured."""
    print(f"… {words}", file=sys.stderr, flush=True)


def machine(postgresql: str | None) -> list[tuple[str, str]]:
    """Return the facts that figures hang on; ``postgresql`` is the server's version, where one runs."""
    return [
        ("date", f"{datetime.now(UTC):%Y-%m-%d}"),
        ("processor", f"{_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start"),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("SQLite", sqlite3.sqlite_version),
        ("PostgreSQL", postgresql or "not started"),
    ]


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists() and (found := re.search(r"^model name\s*:\s*(.+)$", facts.read_text(), re.MULTILINE)):
        return found[1]
    return platform.processor() or platform.machine()
