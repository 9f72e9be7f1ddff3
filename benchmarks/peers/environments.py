"""A throw-away virtual environment for a peer, with its version pinned."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def make(folder: Path, requirement: str) -> Path:
    """Make an environment in ``folder`` that has ``requirement``; return the folder of its commands."""
    if uv := shutil.which("uv"):
        steps = [
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(folder), requirement],
        ]
    else:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        steps = [[sys.executable, "-m", "venv", str(folder)], [*pip, requirement]]
    for step in steps:
        subprocess.run(step, check=True)
    return folder / "bin"
