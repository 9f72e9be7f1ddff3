"""``correct``: what it says, what its rehearsal leaves alone, and its exit codes."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def waiting(filled: Path, run: Run) -> Path:
    """A store in which each third mention waits for review, tagged with parking, and all else is news."""
    with closing(sqlite3.connect(filled)) as database, database:
        database.execute(
            "UPDATE mentions SET purpose = 'news', purpose_score = 0.4, needs_review = id % 3 = 0, "
            "sentiment = 'neutral', sentiment_score = 0.0"
        )
        database.execute("DELETE FROM mention_topics")
        database.execute(
            "INSERT INTO mention_topics SELECT m.id, t.id, 'model', 0.9, '[]' FROM mentions m, topics t"
            " WHERE t.slug = 'parking' AND m.id % 3 = 0"
        )
    assert run("rollup", "--rebuild").code == 0
    return filled


def rows(run: Run, *arguments: str) -> list[dict[str, str]]:
    result = run("query", "--format", "csv", "--no-own", *arguments)
    assert (result.code, result.err) == (0, "")
    return list(csv.DictReader(io.StringIO(result.out)))


def reviewed(run: Run) -> list[dict[str, str]]:
    return rows(run, "--review", "--sort", "external_id", "--channel", "reddit", "--channel", "twitter")


def names(some: Sequence[dict[str, str]]) -> list[str]:
    return [f"{row['channel']}:{row['external_id']}" for row in some]


def by_name(run: Run) -> dict[str, dict[str, str]]:
    found = rows(run)
    return dict(zip(names(found), found, strict=True))


def table_of(printed: str) -> list[list[str]]:
    """The cells of a printed table, without its head and its rule."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in printed.splitlines()[2:]]


def write(file: Path, some: Sequence[dict[str, str]], right: Sequence[dict[str, str]]) -> Path:
    columns = ["right_purpose", "right_sentiment", "right_topics"]
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*some[0], *columns])
        writer.writeheader()
        writer.writerows(row | dict.fromkeys(columns, "") | cells for row, cells in zip(some, right, strict=True))
    return file


def test_named_mentions_are_corrected(run: Run, waiting: Path) -> None:
    chosen = names(reviewed(run)[:2])
    result = run(
        *("correct", *chosen, "--purpose", "experience", "--sentiment", "negative"),
        *("--topic", "waiting-times", "--topic", "pain"),
    )
    assert result.code == 0
    assert table_of(result.out) == [
        ["purpose", "news (to review)", "experience", "2"],
        ["sentiment", "neutral", "negative", "2"],
        ["topics", "parking", "pain, waiting-times", "2"],
    ]
    assert result.complaint.startswith("2 mentions corrected; 2 entered the volumes of topics, 0 left them; ")
    assert result.complaint.endswith(" recounted")
    corrected = {name: row for name, row in by_name(run).items() if row["corrected"]}
    assert sorted(corrected) == sorted(chosen)
    for row in corrected.values():
        assert (row["purpose"], row["purpose_score"], row["needs_review"]) == ("experience", "1.0", "false")
        assert (row["sentiment"], row["sentiment_score"]) == ("negative", "-1.0")
        assert (row["topics"], row["corrected"]) == ("pain,waiting-times", "purpose,sentiment,topics")
    assert sorted(names(rows(run, "--corrected"))) == sorted(chosen)
    assert len(rows(run, "--no-corrected")) == len(rows(run)) - 2
    assert run("db", "check").code == 0
    again = run("correct", *chosen, "--purpose", "experience", "--no-topics")
    assert table_of(again.out) == [["topics", "pain, waiting-times", "(untagged)", "2"]]
    assert {row["topics"] for row in rows(run, "--corrected")} == {""}


def test_what_is_so_already_is_told(run: Run, waiting: Path) -> None:
    (name,) = names(reviewed(run)[:1])
    assert run("correct", name, "--no-topics").code == 0
    result = run("correct", name, name, "--no-topics")
    assert (result.code, result.out) == (0, "")
    assert result.complaint == (
        "0 mentions corrected, 1 so already; 0 entered the volumes of topics, 0 left them; 0 days recounted"
    )


def test_a_rehearsal_says_the_same_and_writes_nothing(run: Run, waiting: Path) -> None:
    (name,) = names(reviewed(run)[:1])
    before = by_name(run)
    rehearsed = run("correct", name, "--purpose", "question", "--dry-run")
    assert rehearsed.code == 0
    assert rehearsed.complaint == (
        "1 mention would be corrected; 1 would enter the volumes of topics, 0 would leave them; "
        "1 day would be recounted; nothing was written"
    )
    assert by_name(run) == before
    done = run("correct", name, "--purpose", "question")
    assert done.out == rehearsed.out
    assert done.complaint == "1 mention corrected; 1 entered the volumes of topics, 0 left them; 1 day recounted"
    assert by_name(run) != before


def test_what_was_corrected_is_taken_back(run: Run, filled: Path) -> None:
    chosen = names(rows(run, "--topic", "(care)", "--channel", "reddit", "--channel", "twitter")[:2])
    before = by_name(run)
    assert "2 left them" in run("correct", *chosen, "--purpose", "promotion", "--no-topics").complaint
    corrected = by_name(run)
    rehearsed = run("correct", *chosen, "--withdraw", "--dry-run")
    assert by_name(run) == corrected
    assert rehearsed.complaint.startswith(
        "2 corrections would be taken back; 2 would enter the volumes of topics, "
    )
    result = run("correct", *chosen, "--withdraw")
    assert (result.code, result.out) == (0, rehearsed.out)
    assert result.complaint.startswith("2 corrections taken back; 2 entered the volumes of topics, 0 left them; ")
    assert by_name(run) == before
    assert run("correct", *chosen, "--withdraw").complaint.startswith("0 corrections taken back, 2 had none; ")
    assert run("db", "check").code == 0


def test_a_retag_leaves_what_was_corrected(run: Run, waiting: Path) -> None:
    (name,) = names(reviewed(run)[:1])
    assert run("correct", name, "--purpose", "question", "--topic", "pain").code == 0
    with closing(sqlite3.connect(waiting)) as database, database:
        database.execute("UPDATE mentions SET signals_version = 'old'")
    assert run("retag").code == 0
    row = by_name(run)[name]
    assert (row["purpose"], row["topics"], row["corrected"]) == ("question", "pain", "purpose,topics")
    assert row["signals_version"] != "old"


def test_a_file_of_corrections(run: Run, waiting: Path, tmp_path: Path) -> None:
    some = reviewed(run)[:4]
    right = [
        {"right_purpose": "Experience", "right_topics": "waiting-times, pain"},
        {"right_topics": "-"},
        {"right_purpose": "news", "right_sentiment": "positive"},
        {},
    ]
    file = write(tmp_path / "right.csv", some, right)
    rehearsed = run("correct", "--file", file, "--dry-run")
    assert rows(run, "--corrected") == []
    result = run("correct", "--file", file)
    assert (result.code, result.out) == (0, rehearsed.out)
    told = "3 mentions corrected, 1 row said nothing; 1 entered the volumes of topics, 0 left them; "
    assert result.complaint.startswith(told)
    assert table_of(result.out)[0] == ["purpose", "news (to review)", "experience", "1"]
    found = by_name(run)
    assert [found[name]["corrected"] for name in names(some)] == [
        *("purpose,topics", "topics", "purpose,sentiment", ""),
    ]
    exported = tmp_path / "corrected.json"
    assert run("query", "--corrected", "-o", exported).code == 0
    assert '"corrected": ["purpose", "sentiment"]' in exported.read_text(encoding="utf-8")
    assert run("query", "--corrected", "-o", tmp_path / "corrected.parquet").code == 0


def test_a_file_with_anything_wrong_changes_nothing(run: Run, waiting: Path, tmp_path: Path) -> None:
    some = reviewed(run)[:3]
    right = [{"right_purpose": "news"}, {"right_purpose": "complaint"}, {"right_topics": "parkin"}]
    before = by_name(run)
    file = write(tmp_path / "right.csv", some, right)
    result = run("correct", "--file", file)
    first, second = result.err.splitlines()
    assert (result.code, result.out) == (2, "")
    assert "right.csv, line " in first
    assert "right_purpose = 'complaint': write one of experience, question," in first
    assert "no topic 'parkin'; did you mean 'parking'?" in second
    assert by_name(run) == before
    assert run("correct", "--file", tmp_path / "none.csv").complaint.endswith("none.csv: check its name")


def test_an_id_that_a_spreadsheet_would_run_is_found(run: Run, waiting: Path, tmp_path: Path) -> None:
    """YouTube's ids may begin with a dash, and stand in CSV with an apostrophe in front."""
    some = reviewed(run)[:1]
    with closing(sqlite3.connect(waiting)) as database, database:
        database.execute(
            "UPDATE mentions SET external_id = '-abc' WHERE external_id = ?", [some[0]["external_id"]]
        )
    exported = [row for row in reviewed(run) if row["external_id"] == "'-abc"]
    file = write(tmp_path / "right.csv", exported, [{"right_purpose": "question"}])
    assert run("correct", "--file", file).code == 0
    assert run("correct", f"{some[0]['channel']}:-abc", "--purpose", "question").complaint.startswith("0 mentions")


def test_videos_are_not_corrected_while_their_terms_forbid_it(run: Run, waiting: Path) -> None:
    (row, *_) = reviewed(run)
    with closing(sqlite3.connect(waiting)) as database, database:
        database.execute(
            "UPDATE mentions SET channel_id = (SELECT id FROM channels WHERE name = 'youtube') "
            "WHERE external_id = ?",
            [row["external_id"]],
        )
    result = run("correct", f"youtube:{row['external_id']}", "--purpose", "question")
    assert result.code == 2
    assert "set connectors.youtube.derived_metrics = true" in result.complaint


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing named": ((), "name the mentions as channel:external_id, or a file of them with --file"),
    "both named": (("reddit:a", "--file", "x.csv"), "or a file of them with --file: not both"),
    "nothing said": (("reddit:a",), "say what is right with --purpose"),
    "no name": (("t3_abc", "--no-topics"), "'t3_abc' names no mention: write channel:external_id"),
    "a purpose and a file": (("--file", "x.csv", "--purpose", "news"), "leave them out with --file"),
    "a topic and a withdrawal": (("reddit:a", "--withdraw", "--no-topics"), "leave them out with --withdraw"),
    "a withdrawal by file": (("--file", "x.csv", "--withdraw"), "leave --file out"),
    "topics and none": (("reddit:a", "--topic", "pain", "--no-topics"), "--topic and --no-topics say opposite"),
    "an unknown topic": (("reddit:a", "--topic", "parkin"), "no topic 'parkin'; did you mean 'parking'?"),
    "an unknown purpose": (("reddit:a", "--purpose", "complaint"), "'complaint' is not one of 'experience'"),
    "an unknown sentiment": (("reddit:a", "--sentiment", "sad"), "'sad' is not one of 'negative'"),
    "an unknown channel": (("redit:a", "--no-topics"), "the store has no channel 'redit'; did you mean 'reddit'?"),
    "an unknown mention": (("reddit:a", "--no-topics"), "the store has no mention reddit:a; `listener query"),
    "nothing to withdraw": (("reddit:a", "--withdraw"), "the store has no mention reddit:a; `listener query"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_was_typed_wrong(run: Run, filled: Path, name: str) -> None:
    arguments, told = WRONG[name]
    result = run("correct", *arguments)
    assert (result.code, result.out) == (2, "")
    assert told in result.complaint


def test_every_mention_that_is_not_there_has_a_line(run: Run, filled: Path) -> None:
    result = run("correct", "reddit:a", "twitter:b", "--no-topics")
    assert (result.code, len(result.err.splitlines())) == (2, 2)
