"""``listener import``, as a person types it."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOML = """
[[organizations]]
slug = "st-elsewhere"
name = "St. Elsewhere Hospital"
timezone = "America/Toronto"
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The present folder, with a configuration without any stream and a small dump."""
    (tmp_path / "listener.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / ".env").write_text("LISTENER_AUTHOR_KEY=0123456789abcdef0123456789abcdef\n", encoding="utf-8")
    (tmp_path / "rc.jsonl").write_bytes(dumped(1) + dumped(2, "nothing") + b"{St. Elsewhere Hospital, Ann\n")
    return tmp_path


def dumped(number: int, body: str = "We waited at St. Elsewhere Hospital for eight hours with my son") -> bytes:
    values = {"id": f"c{number}", "body": body, "author": "a", "subreddit": "x", "link_id": "t3_p"}
    return json.dumps(values | {"parent_id": "t3_p", "created_utc": 1_790_000_000 + number}).encode() + b"\n"


def table(out: str) -> dict[str, str]:
    head, row = (line.split() for line in out.splitlines() if line.strip(" ─"))
    return dict(zip(head, row, strict=True))


def test_an_import_is_reported_counted_and_not_repeated(run: Any, here: Path) -> None:
    done = run("import", "rc.jsonl")
    assert done.code == 0
    row = table(done.out)
    assert (row["file"], row["as"], row["outcome"]) == ("rc.jsonl", "reddit-dump", "done")
    assert [row[name] for name in ("read", "matched", "new", "changed", "equal", "rejected")] == list("311001")
    assert done.err == "rc.jsonl.rejects.jsonl tells which lines of rc.jsonl could not be read, and why\n"
    assert "Ann" not in (here / "rc.jsonl.rejects.jsonl").read_text()
    counted = run("query", "--channel", "reddit", "--count-by", "channel", "--format", "csv")
    assert counted.out == "channel,mentions\nreddit,1\n"
    assert run("rollup").err == "0 days recounted\n"
    again = run("import", "rc.jsonl")
    assert table(again.out)["read"] == "0"
    assert "rc.jsonl has been imported before: --restart reads it again" in again.err
    assert table(run("import", "--restart", "rc.jsonl").out)["equal"] == "1"


def test_a_rehearsal_needs_no_store_and_makes_none(run: Any, here: Path) -> None:
    done = run("import", "--dry-run", "rc.jsonl")
    assert (done.code, table(done.out)["new"]) == (0, "1")
    assert done.err.endswith("Nothing was stored\n")
    assert not (here / "listener.db").exists()


def test_a_table_is_mapped_and_counted_under_its_channel(run: Any, here: Path) -> None:
    with (here / "survey.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["Nr", "Day", "What was good", "What was not"])
        rows.writerow(["1", "03/04/2026", "Kind nurses", "Eight hours of waiting with my son"])
    unmapped = run("import", "survey.csv")
    assert unmapped.code == 2
    assert "name it with --map text=COLUMN; there are: Nr, Day, What was good, What was not" in unmapped.complaint
    options = ("--map", "text=What was good,text=What was not,published_at=Day,id=Nr", "--channel", "survey")
    ambiguous = run("import", "survey.csv", *options, "--organization", "st-elsewhere")
    assert ambiguous.code == 2
    assert "1 of the 1 things that were looked at cannot be read as csv" in ambiguous.complaint
    assert '"%d/%m/%Y\\"' in (here / "survey.csv.rejects.jsonl").read_text()
    dated = (*options, "--dates", "%d/%m/%Y")
    nobody = run("import", "survey.csv", *dated)
    assert "Nothing in survey.csv is of an organization: --organization SLUG takes all of it" in nobody.err
    assert table(run("import", "survey.csv", *dated, "--organization", "st-elsewhere").out)["new"] == "1"
    found = run("query", "--channel", "survey", "--format", "jsonl").out
    assert json.loads(found)["text"] == "Kind nurses\n\nEight hours of waiting with my son"
    assert json.loads(found)["published_at"] == "2026-04-03T16:00:00Z"


def test_days_are_covered_where_it_is_said(run: Any, here: Path) -> None:
    covered = run("import", "rc.jsonl", "--covers", "2026-09-21..2026-09-27")
    assert covered.code == 0
    summary = run("summary", "--week", "2026-W39", "--format", "csv").out
    rows = [row for row in csv.DictReader(summary.splitlines()) if row["topic"] == "all"]
    assert {row["channel"]: (row["mentions"], row["coverage"]) for row in rows}["reddit"] == ("1", "1.0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.zst",), "none.zst does not exist: check its name"),
        (("*.zst",), "no file is named as *.zst"),
        (("rc.jsonl", "--as", "redit"), "--as redit: no such format; did you mean 'reddit-dump'?"),
        (("rc.jsonl", "--map", "txt=A"), "--map has no field 'txt'; did you mean 'text'?"),
        (("rc.jsonl", "--channel", "All!"), "--channel All!: use small letters"),
        (("rc.jsonl", "--organization", "st-elswhere"), "did you mean 'st-elsewhere'?"),
        (
            ("rc.jsonl", "--covers", "2026-02-01..2026-01-01"),
            "--covers 2026-02-01..2026-01-01 ends before it begins",
        ),
        (("rc.jsonl", "--covers", "spring"), "--covers spring: not a day of the calendar"),
        (("rc.jsonl", "--as", "csv"), "no column is known to hold the comments"),
        ((), "Missing argument 'FILE'"),
    ],
)
def test_what_is_typed_wrong_is_told(run: Any, here: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run("import", *arguments)
    assert done.code == 2
    assert message in done.complaint


def test_a_file_that_has_changed_is_told(run: Any, here: Path) -> None:
    run("import", "rc.jsonl")
    (here / "rc.jsonl").write_bytes(dumped(1))
    done = run("import", "rc.jsonl")
    assert done.code == 2
    assert "rc.jsonl has changed since it was imported" in done.complaint


def test_what_was_kept_before_an_error_is_counted(run: Any, here: Path) -> None:
    (here / "bad.jsonl").write_bytes(dumped(7) + b"{St. Elsewhere Hospital\n" * 300)
    assert run("import", "bad.jsonl").code == 2
    assert run("rollup").err == "0 days recounted\n"
    assert run("query", "--count-by", "channel", "--format", "csv").out == "channel,mentions\nreddit,1\n"
    assert run("import", "--dry-run", "--restart", "bad.jsonl").code == 2


def test_a_signal_keeps_the_batch_in_hand_and_the_next_import_goes_on(
    spawn: Callable[..., Any], environment: dict[str, str], here: Path
) -> None:
    (here / "large.jsonl").write_bytes(b"".join(dumped(number) for number in range(6_000)))
    started = subprocess.Popen(
        [sys.executable, "-m", "listener", "import", "large.jsonl"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    database = here / "listener.db"
    while started.poll() is None and not (database.exists() and stored(database)):
        time.sleep(0.02)
    started.send_signal(signal.SIGINT)
    out, _ = started.communicate(timeout=60)
    assert (started.returncode, table(out)["outcome"]) == (130, "interrupted")
    done = spawn("import", "large.jsonl")
    assert done.returncode == 0
    assert "large.jsonl was gone on with at line" in done.stderr
    assert stored(database) == 6_000


def stored(database: Path) -> int:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(database, timeout=30)) as connection:
        try:
            (count,) = connection.execute("SELECT count(*) FROM mentions").fetchone()
        except sqlite3.OperationalError:
            return 0
    return int(count)


def test_several_processes_hear_what_one_does(run: Any, here: Path) -> None:
    done = run("import", "--processes", "2", "rc.jsonl")
    assert done.code == 0
    row = table(done.out)
    assert [row[name] for name in ("read", "matched", "new", "changed", "equal", "rejected")] == list("311001")
    assert run("retag", "--processes", "2").complaint.startswith("0 mentions heard again with ")


def test_a_cluster_that_is_none_is_told(run: Any, here: Path) -> None:
    for command in (("import", "rc.jsonl"), ("retag",)):
        refused = run(*command, "--cluster", "everywhere")
        assert (refused.code, refused.out) == (2, "")
        assert refused.complaint == (
            "listener: --cluster everywhere: write auto, local, local:N, or tcp://HOST:8786 (or tls://)"
        )
        both = run(*command, "--cluster", "local", "--processes", "2")
        assert (both.code, both.complaint) == (
            2,
            "listener: --cluster and --processes are two ways of one thing: leave one out",
        )
    unreachable = run("import", "rc.jsonl", "--cluster", "tcp://127.0.0.1:9")
    assert unreachable.code == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9 within 5 seconds" in unreachable.err


BLOCKED = """
import sys
sys.modules["dask"] = sys.modules["distributed"] = None
from listener.cli import main
main()
"""


def test_without_dask_all_but_a_cluster_works(here: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", BLOCKED, *arguments], cwd=here, check=False, capture_output=True, text=True
        )

    assert "--cluster" in command("import", "--help").stdout
    assert command("import", "--dry-run", "rc.jsonl").returncode == 0
    refused = command("import", "rc.jsonl", "--cluster", "local")
    assert refused.returncode == 2
    assert refused.stderr == (
        "listener: --cluster needs Dask, which is not installed: pip install 'hospital-listener[cluster]'; "
        "--processes N needs nothing\n"
    )
