"""``python -m benchmarks [NAME …] [--scale small|full]``: tables in Markdown, progress on standard error."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from benchmarks import archives, cluster, ingest, latency, memory, signals, startup
from benchmarks.databases import databases
from benchmarks.measure import machine, progress, show

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = ("startup", "signals", "ingest", "archives", "cluster", "latency", "memory")


def main() -> None:
    """Run the benchmarks that were asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_NAMES)} (default: all)")
    parser.add_argument("--scale", choices=("small", "full"), default="full", help="small: a look in a minute")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(_NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join(_NAMES)}")
    names = [name for name in _NAMES if not asked.names or name in asked.names]
    started = time.perf_counter()
    with databases() as made:
        has_server = {"ingest", "latency"} & set(names)
        facts = machine(made.version() if has_server else None)
        show(
            "Machine", ("what", "is"), facts, note="CPU seconds are a process's own; wall time is what one waits."
        )
        filled: Path | None = None
        if "startup" in names:
            startup.run(made, asked.scale)
        if "signals" in names:
            signals.run(made, asked.scale)
        if "ingest" in names:
            ingest.run(made, asked.scale)
        if "archives" in names:
            archives.run(made, asked.scale)
        if "cluster" in names:
            cluster.run(made, asked.scale)
        if "latency" in names:
            filled = latency.run(made, asked.scale)
        if "memory" in names:
            memory.run(made, asked.scale, filled)
    progress(f"{time.perf_counter() - started:,.0f} s in all")


if __name__ == "__main__":
    main()
