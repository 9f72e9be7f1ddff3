"""Writes the reference pages from the code before Sphinx reads the folder: they cannot fall behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import reference
import schema_diagram


def write_pages(folder: Path) -> None:
    """Write every generated page and picture into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "cli.md": reference.cli(),
        "configuration.md": reference.configuration(),
        "topics.md": reference.topics(),
        "tables.md": reference.tables(),
        "schema.svg": schema_diagram.svg(),
    }
    for name, content in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Generate the pages when a build begins."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "reference" / "generated"))
    return {"parallel_read_safe": True}
