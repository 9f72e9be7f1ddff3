"""``listener topics`` with and without a configuration."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from listener.signals.topics import Taxonomy

Run = Callable[..., Any]


def test_the_shipped_topics_are_listed_without_a_configuration(run: Run, tmp_path: Path) -> None:
    found = list(csv.DictReader(io.StringIO(run("topics", "list").out)))
    assert [row["slug"] for row in found] == list(Taxonomy.load(None).slugs)
    assert run("topics", "list", "-o", tmp_path / "topics.json").code == 0
    missing = run("-c", "missing.toml", "topics", "list")
    assert missing.code == 2
    assert missing.complaint.startswith("listener: no configuration at missing.toml: run `listener init`")


def test_a_topic_is_shown_with_its_definition_and_phrases(run: Run) -> None:
    result = run("topics", "show", "waiting-times")
    assert result.code == 0
    topic = next(topic for topic in Taxonomy.load(None).topics if topic.slug == "waiting-times")
    assert topic.definition in result.out
    assert all(f"  {phrase}\n" in result.out for phrase in topic.phrases)
    with_hcahps = next(topic for topic in Taxonomy.load(None).topics if topic.hcahps)
    assert "HCAHPS: " in run("topics", "show", with_hcahps.slug).out
    without = next(topic for topic in Taxonomy.load(None).topics if not topic.hcahps)
    assert "HCAHPS: " not in run("topics", "show", without.slug).out


def test_an_unknown_topic_is_refused_with_the_nearest(run: Run) -> None:
    result = run("topics", "show", "waiting-time")
    assert result.code == 2
    assert "did you mean 'waiting-times'?" in result.complaint


def test_a_text_is_tried_and_explained(run: Run) -> None:
    result = run(
        "topics", "test", "Waited six hours in the waiting room, write me at ann@example.org, says @StElsewhere"
    )
    assert result.code == 0
    assert "ann@example.org" not in result.out
    assert "@StElsewhere" not in result.out
    assert "language: en" in result.out
    assert any(line.split()[:2] == ["waiting-times", "rule"] for line in result.out.splitlines())
    assert run("topics", "test", "Bonjour tout le monde, il fait très beau aujourd'hui").out.endswith(
        "topics: none\n"
    )
    assert "language: not recognized" in run("topics", "test", "42").out


@pytest.mark.usefixtures("config")
def test_with_a_configuration_the_hospitals_own_handles_stay(run: Run) -> None:
    assert "text: Thanks @StElsewhere\n" in run("topics", "test", "Thanks @StElsewhere").out


@pytest.mark.usefixtures("config")
def test_a_taxonomy_of_ones_own_is_used(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "listener.toml"
    config.write_text('topics.file = "mine.toml"\n' + config.read_text(encoding="utf-8"), encoding="utf-8")
    result = run("topics", "list")
    assert result.code == 2
    assert "mine.toml" in result.complaint
