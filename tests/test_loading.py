"""What takes long to make ready is made ready once in a process, however often streams are pulled."""

from __future__ import annotations

from pathlib import Path

from jobs.hearing import analyzer_for
from listener.settings import OrganizationSettings, Settings
from listener.signals.taxonomy import Taxonomy

OWN = """
version = "1"
extends = "shipped"
off = ["parking"]
"""


def settings(alias: str) -> Settings:
    hospital = OrganizationSettings(slug="one", name="One Hospital", timezone="America/Toronto", aliases=(alias,))
    return Settings(organizations=(hospital,))


def test_the_shipped_taxonomy_is_read_once() -> None:
    assert Taxonomy.load() is Taxonomy.load(None)


def test_an_analyzer_is_made_once_for_a_taxonomy_and_the_handles_it_leaves() -> None:
    shipped = Taxonomy.load()
    first = analyzer_for(settings("@one"), shipped)
    assert analyzer_for(settings("@one"), Taxonomy.load()) is first
    other = analyzer_for(settings("@other"), shipped)
    assert other is not first
    assert other.redact("@one @other") != first.redact("@one @other")


def test_a_taxonomy_of_ones_own_that_changed_is_another_under_the_same_version(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OWN, encoding="utf-8")
    first = analyzer_for(settings("@one"), Taxonomy.load(file))
    assert analyzer_for(settings("@one"), Taxonomy.load(file)) is first
    file.write_text(OWN.replace("parking", "funding"), encoding="utf-8")
    assert analyzer_for(settings("@one"), Taxonomy.load(file)) is not first
