"""How long the command takes to answer, beside Python itself and the library its commands are made with.

`summary` is asked of the demo's store, which is made first: not for a look in a minute.
"""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING

from benchmarks.measure import Ended, listener, process, progress, show

if TYPE_CHECKING:
    from benchmarks.databases import Databases

TIMES = {"small": 3, "full": 15}
GOALS = {"listener --help": 500, "listener summary": 1_000}
"""Milliseconds of wall time that these are to stay below."""


def run(databases: Databases, scale: str) -> None:
    """Start each command in turn, so often, and print the medians."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        'python -c "import typer"': [sys.executable, "-c", "import typer"],
        "listener --version": listener("--version"),
        "listener --help": listener("--help"),
        "listener query --help": listener("query", "--help"),
    }
    if scale != "small":
        progress("start-up: making the demo's store")
        demo = databases.folder / "demo"
        process(listener("demo", "--directory", str(demo)))
        config = str(demo / "listener.toml")
        commands["listener summary"] = listener("-c", config, "summary", "-o", str(databases.folder / "demo.csv"))
    progress("start-up")
    taken: dict[str, list[Ended]] = {name: [] for name in commands}
    for _ in range(TIMES[scale]):
        for name, command in commands.items():
            taken[name].append(process(command))
    rows = [
        (
            f"`{name}`",
            1000 * statistics.median(each.wall for each in ended),
            1000 * statistics.median(each.cpu for each in ended),
            statistics.median(each.peak_mb for each in ended),
            GOALS.get(name),
        )
        for name, ended in taken.items()
    ]
    note = f"Medians of {TIMES[scale]} in turn, processes of their own."
    show("Start-up", ("command", "wall ms", "CPU ms", "peak MB", "wall ms to be below"), rows, note=note)
