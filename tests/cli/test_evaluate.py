"""``listener topics eval``, ``sentiment eval`` and ``purpose eval``, without a configuration and with one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from listener.mention import Purpose, Sentiment
from listener.signals.taxonomy import Taxonomy

Run = Callable[..., Any]

FILES = {
    "topics": "text,Parking,waiting times,trust\nthe parking costs too much,1,0,A\nnice weather today,0,,B\n",
    "sentiment": "text,sentiment\nthe parking costs too much,negative\nnice weather today,\n",
    "purpose": "text,purpose\nthe parking costs too much,experience\nnice weather today,other\n",
}
GROUPS = tuple(FILES)


@pytest.fixture
def labelled(tmp_path: Path) -> dict[str, Path]:
    """A labelled file for each group of commands."""
    paths = {group: tmp_path / f"{group}.csv" for group in FILES}
    for group, path in paths.items():
        path.write_text(FILES[group], encoding="utf-8-sig")
    return paths


@pytest.fixture(autouse=True)
def _small_taxonomy(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Put a taxonomy in force that loads at once, but where a test is about there being no configuration."""
    if "without_a_configuration" in request.node.name:
        return
    tables = "".join(
        f'[[topics]]\nslug = "{slug}"\nname = "{slug}"\ngroup = "g"\ndefinition = "d"\nphrases = ["{phrase}"]\n'
        for slug, phrase in (("parking", "parking"), ("waiting-times", "wait*"))
    )
    (tmp_path / "small.toml").write_text(f'version = "small"\n[groups]\ng = "G"\n{tables}', encoding="utf-8")
    (tmp_path / "listener.toml").write_text('topics.file = "small.toml"\n', encoding="utf-8")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_topics_are_measured_without_a_configuration(run: Run, labelled: dict[str, Path]) -> None:
    result = run("topics", "eval", labelled["topics"])
    assert result.code == 0
    assert [row["label"] for row in rows(result.out)] == [
        "parking",
        "waiting-times",
        "micro",
        "macro",
        "macro (20+)",
    ]
    assert rows(result.out)[0] == {
        "label": "parking",
        "precision": "1.0",
        "recall": "1.0",
        "f1": "1.0",
        "support": "1",
    }
    assert f"ignored, no topics of taxonomy {Taxonomy.load().version}: 'trust'" in result.err
    assert run("-q", "topics", "eval", labelled["topics"]).err == ""


def test_topics_are_measured_group_by_group(run: Run, labelled: dict[str, Path]) -> None:
    result = run("topics", "eval", labelled["topics"], "--group", "trust", "--format", "json")
    assert [(row["group"], row["support"]) for row in json.loads(result.out) if row["label"] == "parking"] == [
        ("(all)", 1),
        ("A", 1),
        ("B", 0),
    ]


def test_the_configured_taxonomy_is_measured(run: Run, labelled: dict[str, Path]) -> None:
    result = run("topics", "eval", labelled["topics"])
    assert [row["label"] for row in rows(result.out)][:2] == ["parking", "waiting-times"]
    assert "ignored, no topics of taxonomy small: 'trust'" in result.err


def test_sentiment_has_its_confusion_beside_it(run: Run, labelled: dict[str, Path]) -> None:
    result = run("sentiment", "eval", labelled["sentiment"])
    assert result.code == 0
    found = {row["label"]: row for row in rows(result.out)}
    assert list(found) == [*map(str, Sentiment), "macro", "accuracy"]
    assert sum(int(found["negative"][f"as_{tone}"]) for tone in Sentiment) == 1
    assert "1 text without a label left out" in result.err


def test_labels_from_1_to_5_are_read_by_scale(run: Run, labelled: dict[str, Path]) -> None:
    path = labelled["sentiment"]
    path.write_text("text,tone\nthe parking costs too much,5\n", encoding="utf-8")
    asked = ("sentiment", "eval", path, "--column", "tone")
    found = {row["label"]: row["support"] for row in rows(run(*asked, "--scale", "1-best").out)}
    assert (found["negative"], found["positive"]) == ("1", "0")
    assert "--scale" in run(*asked).complaint
    assert run(*asked, "--scale", "best").code == 2


def test_purpose_says_what_enters_the_volumes(run: Run, labelled: dict[str, Path]) -> None:
    result = run("purpose", "eval", labelled["purpose"], "--column", "purpose")
    assert result.code == 0
    assert [row["label"] for row in rows(result.out)][len(Purpose) :] == [
        *("macro", "accuracy", "experience against the rest", "counted", "counted, though not care"),
        *("care, yet not counted", "waiting for review", "care, waiting for review"),
    ]


@pytest.mark.parametrize(
    ("group", "titles"),
    [
        ("sentiment", ["figures", "what was taken for what"]),
        ("purpose", ["figures", "what was taken for what", "what enters the volumes"]),
    ],
)
def test_on_the_screen_each_part_is_a_table(
    run: Run, labelled: dict[str, Path], group: str, titles: list[str]
) -> None:
    lines = [line.strip() for line in run(group, "eval", labelled[group], "--format", "table").out.splitlines()]
    assert [line for line in lines if line in ("figures", *titles)] == titles


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_figures_are_written_to_a_file(run: Run, labelled: dict[str, Path], group: str, ending: str) -> None:
    result = run(group, "eval", labelled[group], "-o", f"figures.{ending}")
    assert result.code == 0
    assert Path(f"figures.{ending}").stat().st_size
    if ending == "parquet":
        types = {field.name: str(field.type) for field in parquet.read_schema("figures.parquet")}
        shares = ("precision", "recall", "f1", "share")
        assert types.pop("label") == "string"
        assert types == {name: "double" if name in shares else "int64" for name in types}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"txt,label,parking\na,1,1\n", "has no column 'text'"),
        (b"text\na\n", "has no column"),
        (b"\x89PNG\r\n\x1a\n", "is not UTF-8 text: save it as CSV UTF-8"),
        (b'text,label,parking\n"a,1,1\n', "is not CSV"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(
    run: Run, labelled: dict[str, Path], group: str, content: bytes, says: str
) -> None:
    labelled[group].write_bytes(content)
    result = run(group, "eval", labelled[group])
    assert (result.code, result.out) == (2, "")
    assert f"listener: {labelled[group]}" in result.complaint
    assert says in result.complaint


@pytest.mark.parametrize("group", GROUPS)
def test_a_file_that_is_not_there_is_refused(run: Run, group: str) -> None:
    assert run(group, "eval", "none.csv").complaint == "listener: no file at none.csv: check its name"


@pytest.mark.parametrize("group", GROUPS)
def test_help_says_which_columns_are_read(run: Run, group: str) -> None:
    told = " ".join(run(group, "eval", "--help").out.split())
    assert "FILE has" in told
    assert '"text"' in told
