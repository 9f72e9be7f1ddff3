"""What the tests of this room share: the shipped taxonomy and what hears with it, and small ones of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from listener.signals.analysis import Analyzer
from listener.signals.topics import Taxonomy, TopicMatcher


@pytest.fixture(scope="session")
def shipped() -> Taxonomy:
    return Taxonomy.load()


@pytest.fixture(scope="session")
def matcher(shipped: Taxonomy) -> TopicMatcher:
    return TopicMatcher(shipped)


@pytest.fixture(scope="session")
def analyzer(shipped: Taxonomy) -> Analyzer:
    return Analyzer(shipped, ["@StElsewhere"])


@pytest.fixture
def write_taxonomy(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a taxonomy file and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "topics.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
