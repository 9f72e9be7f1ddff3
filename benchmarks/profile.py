"""Flame graphs of ingest, import and summary: pages of HTML that pyinstrument writes, one a command.

pyinstrument is installed for this alone, in an environment that is removed; it sees the libraries of the one that
runs. What it writes names the machine's paths: it is to be looked at, not to be kept.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import archives, ingest, world
from benchmarks.measure import progress, show
from benchmarks.peers import environments
from benchmarks.platforms import serving
from listener.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.databases import Databases

_PROFILER = "pyinstrument==5.1.3"


def run(databases: Databases, scale: str, into: Path) -> None:
    """Profile the commands and write what they did below ``into``."""
    into.mkdir(parents=True, exist_ok=True)
    progress("profile: installing")
    python = environments.make(databases.folder / "profiler", _PROFILER) / "python"
    size = ingest.SIZES[scale]
    dump = databases.folder / "RC_profile.zst"
    archives.write_dump(dump, archives.SIZES[scale].lines // 10, archives.SEED)
    # The command goes by the machine's clock, and so must the platform.
    with serving("twitter", size.posts, SystemClock().now()) as address:
        config = world.write_config(databases.folder / "profile", databases.url("sqlite"), {"twitter": address})
        commands = {
            "ingest": ("ingest", "--channel", "twitter"),
            "import": ("import", str(dump)),
            "summary": ("summary", "-o", str(databases.folder / "summary.csv")),
        }
        rows = []
        for name, arguments in commands.items():
            progress(f"profile: {name}")
            page = into / f"{name}.html"
            _profile(python, page, ["-c", str(config), *arguments])
            rows.append((f"listener {name}", str(page), page.stat().st_size))
    show("Flame graphs", ("command", "page", "bytes"), rows, note="Open a page in a browser.")


def _profile(python: Path, page: Path, arguments: Sequence[str]) -> None:
    command = [str(python), "-m", "pyinstrument", "-r", "html", "-o", str(page), "-m", "listener", *arguments]
    # An editable install is found by its own file in site-packages, which a path alone does not read.
    seen = os.pathsep.join([str(Path(__file__).parent.parent), *site.getsitepackages()])
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": seen}, stdout=sys.stderr)
