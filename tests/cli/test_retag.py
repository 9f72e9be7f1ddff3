"""``retag``: what it says, what its rehearsal shows, and its exit codes."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.leases import owner_name
from listener.clock import SystemClock
from storage.store import MentionStore

Run = Callable[..., Any]


@pytest.fixture
def aged(filled: Path) -> Path:
    """A store that an unknown version heard: no topic anywhere, nothing counted."""
    with closing(sqlite3.connect(filled)) as database, database:
        database.execute("UPDATE mentions SET signals_version = NULL")
        database.execute("DELETE FROM mention_topics")
        database.execute("DELETE FROM signal_changes")
    return filled


def column(file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as database:
        return [row[0] for row in database.execute(statement)]


def test_stored_mentions_are_heard_again(run: Run, aged: Path) -> None:
    (total,) = column(aged, "SELECT count(*) FROM mentions WHERE removed_at IS NULL")
    result = run("retag")
    assert (result.code, result.out) == (0, "")
    assert result.complaint.startswith(f"{total} mentions heard again with ")
    assert "changed; " in result.complaint
    assert result.complaint.endswith("days recounted")
    assert column(aged, "SELECT count(*) FROM mention_topics")[0] > 0
    assert column(aged, "SELECT count(*) FROM dirty_days") == [0]
    assert run("db", "check").code == 0
    assert run("retag").complaint.startswith("0 mentions heard again with ")
    assert "Last re-tagged on " in run("summary", "--format", "table").err


def test_a_rehearsal_shows_what_would_move(run: Run, aged: Path, tmp_path: Path) -> None:
    result = run("retag", "--dry-run")
    found = list(csv.DictReader(io.StringIO(result.out)))
    assert (result.code, list(found[0])) == (0, ["topic", "before", "after", "change"])
    assert (found[0]["topic"], found[0]["change"]) == ("all", "0")
    tagged = {row["topic"]: int(row["after"]) for row in found}
    assert tagged["waiting-times"] > 0
    assert "would change; nothing was written" in result.complaint
    assert column(aged, "SELECT count(*) FROM mention_topics") == [0]
    file = tmp_path / "moves.json"
    assert run("retag", "--dry-run", "-o", file).code == 0
    assert {row["topic"]: row["after"] for row in json.loads(file.read_text(encoding="utf-8"))} == tagged


def test_a_day_and_a_version_choose(run: Run, aged: Path) -> None:
    tomorrow = (SystemClock().now() + timedelta(days=2)).date()
    assert run("retag", "--since", tomorrow).complaint.startswith("0 mentions heard again")
    assert run("retag", "--topic-version", "1999.1").complaint.startswith("0 mentions heard again")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "yesterday"), "--since yesterday: not a day of the calendar"),
        (("--format", "json"), "--format and -o are for the table of --dry-run"),
        (("-o", "moves.csv"), "--format and -o are for the table of --dry-run"),
    ],
)
def test_what_was_typed_wrong(run: Run, aged: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run("retag", *arguments)
    assert result.code == 2
    assert said in result.complaint


def test_where_another_process_hears_again_it_says_so(run: Run, aged: Path) -> None:
    with MentionStore.open(f"sqlite:///{aged}") as store:
        store.acquire_lease("retag", owner_name(), timedelta(minutes=5))
        result = run("retag")
    assert result.code == 6
    assert "another process holds the lease 'retag'" in result.complaint


def test_without_a_store_a_rehearsal_has_nothing_to_show(run: Run, config: Path) -> None:
    result = run("retag", "--dry-run")
    assert result.code == 0
    assert result.complaint.startswith("0 mentions would be heard again")
