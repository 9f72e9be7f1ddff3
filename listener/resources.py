"""Finds the data files that travel with Listener, in a checkout and in an installed wheel alike."""

from __future__ import annotations

from pathlib import Path


def config_file(name: str) -> Path:
    """Return the path of a shipped file of ``config/`` (``"topics.toml"``).

    A wheel carries the folder as ``listener/_config``; a checkout has it beside the packages.
    Raises ``FileNotFoundError`` where neither holds the file.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "_config", here.parent / "config"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"the shipped file {name} is missing from this installation")
