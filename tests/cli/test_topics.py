"""``listener topics`` with and without a configuration."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from listener.cli.taxonomy import heard_lines, vote_table
from listener.mention import Purpose, Sentiment
from listener.signals.analysis import Signals, Vote
from listener.signals.taxonomy import Taxonomy

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
    assert "(own)" not in result.out


def test_an_unknown_topic_is_refused_with_the_nearest(run: Run) -> None:
    result = run("topics", "show", "waiting-time")
    assert result.code == 2
    assert "did you mean 'waiting-times'?" in result.complaint


@pytest.mark.no_cover
def test_a_text_is_tried_and_explained(run: Run) -> None:
    result = run(
        "topics", "test", "Waited six hours in the waiting room, write me at ann@example.org, says @StElsewhere"
    )
    assert result.code == 0
    assert "ann@example.org" not in result.out
    assert "@StElsewhere" not in result.out
    assert "language: en" in result.out
    assert "purpose: experience (" in result.out
    assert "sentiment: negative (-" in result.out
    head, given, *_ = result.out.partition("sentiment: ")[2].splitlines()[1:]
    assert head.split() == ["topic", "given", "score", "needed", "phrases"]
    assert set(given) <= {"─", " "}
    assert any(line.split()[:2] == ["waiting-times", "yes"] for line in result.out.splitlines())
    assert run("topics", "test", "Bonjour tout le monde, il fait très beau aujourd'hui").out.endswith(
        "topics: none\n"
    )
    assert "language: not recognized" in run("topics", "test", "42").out


@pytest.mark.no_cover
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


OWN = """
version = "5"
extends = "shipped"
off = ["parking"]
[groups]
spirit = "Spiritual care"
[[topics]]
slug = "chapel"
name = "Chapel"
group = "spirit"
definition = "Chaplains, and the chapel."
phrases = ["chaplain*", "chaplains"]
exclude = ["chaplain street"]
phrases_fr = ["aumônier"]
exclude_fr = ["rue de l'aumônier"]
cpes = ["emotional-support"]
picker = ["emotional-support"]
[[topics]]
slug = "pain"
name = "Pain and its relief"
phrases = ["zebra pain"]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A taxonomy that builds upon ours, in force."""
    (tmp_path / "mine.toml").write_text(OWN, encoding="utf-8")
    (tmp_path / "listener.toml").write_text('topics.file = "mine.toml"\n', encoding="utf-8")
    return tmp_path / "mine.toml"


@pytest.mark.usefixtures("own")
def test_what_is_ones_own_is_shown_as_such(run: Run) -> None:
    assert run("topics", "show", "chapel").out.splitlines() == [
        f"chapel: Chapel (Spiritual care; taxonomy {Taxonomy.load().version}+5)  (own)",
        "Chaplains, and the chapel.",
        "CPES-IC: emotional-support",
        "Picker: emotional-support",
        "Phrases:",
        "  chaplain*  (own)",
        "  chaplains  (own)",
        "Excluded:",
        "  chaplain street",
        "French phrases:",
        "  aumônier  (own)",
        "Excluded in French:",
        "  rue de l'aumônier",
    ]
    pain = run("topics", "show", "pain").out
    assert pain.startswith("pain: Pain and its relief")
    assert [line for line in pain.splitlines() if "(own)" in line] == ["  zebra pain  (own)"]
    assert "is switched off" in run("topics", "show", "parking").complaint


def test_the_taxonomy_in_force_is_checked(run: Run, own: Path) -> None:
    result = run("topics", "validate")
    topics = len(Taxonomy.load().topics)
    assert result.code == 0
    version = f"{Taxonomy.load().version}+5"
    assert result.out == f"{own} is valid: version {version}, {topics} topics, 1 switched off\n"
    assert "warning: 'chaplains' of chapel is covered by 'chaplain*' already\n" in result.err


@pytest.mark.no_cover
def test_without_a_configuration_the_shipped_taxonomy_is_checked(run: Run) -> None:
    result = run("topics", "validate")
    assert result.code == 0
    assert result.out.startswith(f"the shipped taxonomy is valid: version {Taxonomy.load().version}, ")


def test_a_taxonomy_that_is_wrong_has_a_line_for_each_thing(run: Run, own: Path) -> None:
    own.write_text(OWN.replace('"parking"', '"parkin"').replace("chaplain*", "c*"), encoding="utf-8")
    result = run("topics", "validate", own)
    assert (result.code, result.out) == (2, "")
    assert [line.split(" = ")[0] for line in result.err.splitlines()] == [
        f"listener: {own}: topics[0].phrases[0]",
        f"listener: {own}: off[0]",
    ]
    assert run("topics", "validate", "none.toml").complaint == "listener: no taxonomy at none.toml: check its name"


def test_two_taxonomies_are_compared(run: Run, own: Path) -> None:
    result = run("topics", "diff", "shipped", own)
    assert result.code == 0
    ours = {topic.slug: topic.name for topic in Taxonomy.load().topics}
    found = sorted(csv.DictReader(io.StringIO(result.out)), key=lambda row: row["topic"])
    assert found == [
        {"topic": "chapel", "what": "added", "removed": "", "added": "Chapel"},
        {"topic": "pain", "what": "renamed", "removed": ours["pain"], "added": "Pain and its relief"},
        {"topic": "pain", "what": "phrases", "removed": "", "added": "zebra pain"},
        {"topic": "parking", "what": "switched off", "removed": ours["parking"], "added": ""},
    ]
    in_json = json.loads(run("topics", "diff", "shipped", own, "--format", "json").out)
    assert {"topic": "pain", "what": "phrases", "removed": [], "added": ["zebra pain"]} in in_json
    assert "zebra pain" in run("topics", "diff", "shipped", own, "--format", "table").out


def test_taxonomies_that_do_not_differ_are_no_mistake(run: Run) -> None:
    result = run("topics", "diff", "shipped", "shipped")
    assert result.code == 0
    assert list(csv.DictReader(io.StringIO(result.out))) == []
    version = Taxonomy.load().version
    assert result.complaint == f"no difference between {version} and {version}"
    assert run("topics", "diff", "shipped", "none.toml").complaint == (
        "listener: no taxonomy at none.toml: check its name"
    )


@pytest.mark.parametrize(
    ("signals", "told"),
    [
        (Signals(language="en"), ["language: en"]),
        (Signals(language=None), ["language: not recognized"]),
        (
            Signals(language="en", purpose=Purpose.EXPERIENCE, purpose_score=0.913),
            ["language: en", "purpose: experience (0.91)"],
        ),
        (
            Signals(language="en", purpose=Purpose.NEWS, purpose_score=0.4, needs_review=True),
            ["language: en", "purpose: news (0.40; for review)"],
        ),
        (
            Signals(
                language="fr",
                sentiment=Sentiment.NEGATIVE,
                sentiment_score=-0.5,
                positive_part=0.25,
                negative_part=0.75,
            ),
            ["language: fr", "sentiment: negative (-0.50; positive 0.25, negative 0.75)"],
        ),
        (
            Signals(language="fr", sentiment=Sentiment.NEUTRAL, sentiment_score=0.0),
            ["language: fr", "sentiment: neutral (0.00)"],
        ),
    ],
)
def test_what_is_heard_is_told_and_no_more(signals: Signals, told: list[str]) -> None:
    assert list(heard_lines(signals)) == told


def test_what_speaks_for_a_topic_is_told_and_what_overruled_it() -> None:
    rows, columns = vote_table(
        [
            Vote("cleanliness", ("clean",), 0.21, 0.4, given=False),
            Vote("discharge", (), 0.3, 0.5, given=False),
            Vote("parking", ("parking", "garage"), 0.93, 0.45, given=True),
            Vote("zoo", ("zebra*",), None, None, given=True),
        ]
    )
    assert columns == ("topic", "given", "score", "needed", "phrases")
    assert [tuple(row[column] for column in columns) for row in rows] == [
        ("parking", True, 0.93, 0.45, "parking, garage"),
        ("zoo", True, None, None, "zebra*"),
        ("cleanliness", False, 0.21, 0.4, "clean"),
        ("discharge", False, 0.3, 0.5, ""),
    ]
    # In French the phrases decide alone.
    _, unscored = vote_table([Vote("parking", ("stationnement",), None, None, given=True)])
    assert unscored == ("topic", "given", "phrases")


@pytest.mark.usefixtures("own")
def test_a_phrase_of_ones_own_is_enough(run: Run) -> None:
    said = "The chaplain walked along with zebra pain"
    lines = [line.split() for line in run("topics", "test", said).out.splitlines()]
    assert ["chapel", "yes", "chaplain*"] in lines
    assert [line[1] for line in lines if line[:1] == ["pain"]] == ["yes"]


@pytest.mark.parametrize("command", [("list",), ("diff", "shipped", "mine.toml")])
@pytest.mark.usefixtures("own")
def test_tables_can_be_kept_as_parquet(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    assert run("topics", *command, "-o", tmp_path / "kept.csv").code == 0
    assert run("topics", *command, "-o", tmp_path / "kept.parquet").code == 0
    read = parquet.read_table(tmp_path / "kept.parquet")
    with (tmp_path / "kept.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [{key: str(value or "") for key, value in row.items()} for row in read.to_pylist()] == written
    counts = {"phrases", "phrases_fr"} & set(read.column_names)
    assert {str(read.schema.field(name).type) for name in counts} <= {"int64"}
