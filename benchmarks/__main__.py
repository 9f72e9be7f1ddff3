"""``python -m benchmarks [NAME …] [--scale small|full|huge]``: tables in Markdown, progress on standard error."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks import (
    archives,
    capacity,
    cluster,
    ingest,
    latency,
    memory,
    partitions,
    profile,
    signals,
    startup,
    store,
)
from benchmarks.databases import databases
from benchmarks.measure import machine, progress, show
from benchmarks.peers import beside

_RUNS = {
    "startup": startup.run,
    "signals": signals.run,
    "store": store.run,
    "peers": beside.run,
    "ingest": ingest.run,
    "archives": archives.run,
    "cluster": cluster.run,
    "capacity": capacity.run,
    "partitions": partitions.run,
}
_NAMES = (*_RUNS, "latency", "memory", "profile")
_BY_NAME = ("peers", "profile")
"""Those that install something for themselves, and run only where they are named."""


def main() -> None:
    """Run the benchmarks that were asked for, by default all that need nothing from elsewhere."""
    asked = _asked()
    # What is not about the store's size has nothing larger.
    scale = "full" if asked.scale == "huge" else asked.scale
    names = [name for name in _NAMES if name in asked.names or (not asked.names and name not in _BY_NAME)]
    started = time.perf_counter()
    with databases() as made:
        has_server = {"ingest", "latency", "store", "capacity", "partitions"} & set(names)
        facts = machine(made.version() if has_server else None)
        show(
            "Machine", ("what", "is"), facts, note="CPU seconds are a process's own; wall time is what one waits."
        )
        filled: Path | None = None
        for name in names:
            match name:
                case "latency":
                    filled = latency.run(made, asked.scale)
                case "memory":
                    memory.run(made, scale, filled)
                case "profile":
                    profile.run(made, scale, asked.into)
                case _:
                    _RUNS[name](made, scale)
    progress(f"{time.perf_counter() - started:,.0f} s in all")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(_NAMES)} (default: all but {' and '.join(_BY_NAME)})",
    )
    parser.add_argument(
        "--scale",
        choices=("small", "full", "huge"),
        default="full",
        help="small: a look in a minute; huge: latency on PostgreSQL up to ten million mentions",
    )
    parser.add_argument(
        "--into",
        type=Path,
        default=Path("profiles"),
        help="the folder that `profile` writes to (default: profiles)",
    )
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(_NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join(_NAMES)}")
    return asked


if __name__ == "__main__":
    main()
