"""``ingest``, ``refresh``, ``rollup``, ``status`` and ``run`` through the real SDKs against loopback platforms."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from listener.cli.pull import exit_code
from listener.clock import SystemClock
from listener.errors import AuthError, ListenerError, QuotaExhausted
from listener.standins.posts import Post
from listener.standins.server import Fault, Standin
from storage.store import MentionStore

Run = Callable[..., Any]


def report_of(out: str) -> dict[str, list[str]]:
    """Return the cells of the printed report by the stream's channel."""
    _, _, *lines = out.splitlines()
    cells = [line.split() for line in lines]
    return {row[1]: [" ".join(row[:3]), *row[3:]] for row in cells}


def stored(run: Run, *arguments: str) -> set[str]:
    # Not as CSV, which neutralises a video's id that begins with "-".
    result = run("query", *arguments, "--format", "jsonl")
    assert result.code == 0
    return {json.loads(line)["external_id"] for line in result.out.splitlines()}


@pytest.fixture
def ids(posts: dict[str, list[Post]]) -> set[str]:
    return {post.external_id for some in posts.values() for post in some}


@pytest.mark.usefixtures("config")
def test_ingest_stores_what_the_platforms_have_and_a_second_one_adds_nothing(run: Run, ids: set[str]) -> None:
    first = run("ingest")
    assert (first.code, first.err) == (0, "")
    assert set(report_of(first.out)) == {"twitter", "reddit", "youtube"}
    assert {cells[1] for cells in report_of(first.out).values()} == {"done"}
    assert sum(int(cells[3]) for cells in report_of(first.out).values()) == len(ids)
    assert stored(run) == ids

    second = run("ingest")
    assert second.code == 0
    assert {cells[3] for cells in report_of(second.out).values()} == {"0"}
    assert stored(run) == ids
    assert run("db", "check").out == "the database is sound\n"


@pytest.mark.usefixtures("config")
def test_the_chosen_channel_and_organization_alone_are_pulled(
    run: Run, posts: dict[str, list[Post]], standins: dict[str, Standin]
) -> None:
    result = run("ingest", "--channel", "twitter", "--organization", "st-elsewhere")
    assert list(report_of(result.out)) == ["twitter"]
    assert stored(run) == {post.external_id for post in posts["twitter"]}
    assert not standins["reddit"].requests
    assert not standins["youtube"].requests


@pytest.mark.usefixtures("config")
def test_since_and_until_bound_what_is_read(run: Run, posts: dict[str, list[Post]]) -> None:
    now = SystemClock().now()
    since, until = now - timedelta(days=3), now - timedelta(days=2)
    # Another zone's clock names the same moments.
    there = since.astimezone().isoformat()
    assert run("ingest", "--channel", "twitter", "--since", there, "--until", until.isoformat()).code == 0
    within = {post.external_id for post in posts["twitter"] if since <= post.published_at < until}
    assert stored(run) == within
    assert within


@pytest.mark.usefixtures("config")
def test_a_limit_stops_each_stream_and_the_next_run_goes_on(run: Run, ids: set[str]) -> None:
    result = run("ingest", "--limit", "4")
    assert result.code == 0
    assert {cells[1] for cells in report_of(result.out).values()} == {"partial"}
    assert {cells[2] for cells in report_of(result.out).values()} == {"4"}
    # An item that came twice is stored once.
    assert 3 <= len(stored(run)) <= 12
    assert run("ingest").code == 0
    assert stored(run) == ids


@pytest.mark.usefixtures("config")
def test_a_dry_run_counts_and_leaves_no_trace(run: Run, tmp_path: Path, posts: dict[str, list[Post]]) -> None:
    dry = run("ingest", "--dry-run")
    assert dry.code == 0
    assert int(report_of(dry.out)["twitter"][3]) == len(posts["twitter"])
    assert not (tmp_path / "listener.db").exists()

    (tmp_path / "listener.db").touch()
    assert run("ingest", "--dry-run", "--channel", "reddit").code == 0
    assert (tmp_path / "listener.db").read_bytes() == b""

    assert run("ingest").code == 0
    before = (tmp_path / "listener.db").read_bytes()
    again = run("ingest", "--dry-run")
    assert again.code == 0
    assert {cells[3] for cells in report_of(again.out).values()} == {"0"}
    assert (tmp_path / "listener.db").read_bytes() == before


@pytest.mark.usefixtures("config")
def test_one_failing_platform_stops_no_other_and_is_told_once(
    run: Run, standins: dict[str, Standin], posts: dict[str, list[Post]]
) -> None:
    standins["reddit"].fail(Fault(status=503, times=None))
    result = run("ingest")
    assert result.code == 1
    (line,) = [line for line in result.err.splitlines() if "reddit" in line]
    assert line.startswith("listener: st-elsewhere/reddit/search/")
    assert stored(run) == {post.external_id for some in ("twitter", "youtube") for post in posts[some]}

    standins["reddit"].heal()
    assert run("ingest").code == 0
    assert len(stored(run)) == sum(map(len, posts.values()))


def test_refresh_takes_over_what_changed(
    run: Run, config: Path, standins: dict[str, Standin], posts: dict[str, list[Post]]
) -> None:
    assert run("ingest", "--channel", "twitter").code == 0
    nothing_due = run("refresh", "--channel", "twitter")
    assert nothing_due.code == 0
    assert nothing_due.out.splitlines()[-1].split() == ["twitter", "done", "0", "0", "0"]

    with sqlite3.connect(config.parent / "listener.db") as database:
        database.execute("UPDATE mentions SET checked_at = datetime(checked_at, '-2 days')")
    gone = next(post for post in posts["twitter"] if post.removed_at is None)
    standins["twitter"].publish(replace(gone, removed_at=SystemClock().now() - timedelta(minutes=1)))
    result = run("refresh", "--channel", "twitter")
    assert result.code == 0
    assert int(result.out.splitlines()[-1].split()[3]) >= 1
    with sqlite3.connect(config.parent / "listener.db") as database:
        (removed_at, text) = database.execute(
            "SELECT removed_at, text FROM mentions WHERE external_id = ?", [gone.external_id]
        ).fetchone()
    assert removed_at
    assert text == ""

    with sqlite3.connect(config.parent / "listener.db") as database:
        database.execute("UPDATE mentions SET checked_at = datetime(checked_at, '-2 days')")
    standins["twitter"].fail(Fault(status=401, times=None, body={}))
    refused = run("refresh", "--channel", "twitter")
    assert refused.code == 3
    assert refused.complaint.startswith("listener: twitter: ")


def test_the_rollup_can_be_rebuilt(run: Run, filled: Path) -> None:
    def volumes() -> list[Any]:
        with sqlite3.connect(filled) as database:
            return database.execute("SELECT * FROM daily_volume ORDER BY 1, 2, 3, 4").fetchall()

    before = volumes()
    assert run("rollup").complaint == "0 days recounted"
    with sqlite3.connect(filled) as database:
        database.execute("UPDATE daily_volume SET mentions = mentions + 1")
    wrong = run("db", "check")
    assert wrong.code == 5
    assert "`listener rollup --rebuild`" in wrong.err
    assert run("rollup", "--rebuild", "--cluster", "local:2").code == 0
    assert volumes() == before
    refused = run("rollup", "--processes", "2")
    assert (refused.code, refused.complaint) == (
        2,
        "listener: --cluster and --processes are for --rebuild: what changed is soon counted by one",
    )


def test_status_has_a_row_for_each_stream(run: Run, filled: Path, posts: dict[str, list[Post]]) -> None:
    found = {row["channel"]: row for row in csv.DictReader(io.StringIO(run("status").out))}
    assert {channel: int(row["mentions"]) for channel, row in found.items()} == {
        channel: sum(not post.own for post in some) for channel, some in posts.items()
    }
    assert {row["outcome"] for row in found.values()} == {"done"}
    assert int(found["twitter"]["requests_today"]) > 0
    table = run("status", "--format", "table").out
    assert table.splitlines()[0].split()[-1] == "today"
    assert "$" in table
    with sqlite3.connect(filled) as database:
        database.execute("UPDATE streams SET failures = 3")
    assert run("status", "--format", "table").out.splitlines()[0].split()[-1] == "failures"


@dataclass(frozen=True)
class Ending:
    outcome: str
    error: ListenerError | None = None


@pytest.mark.parametrize(
    ("endings", "code"),
    [
        ([], 0),
        ([Ending("done"), Ending("partial")], 0),
        ([Ending("quota", QuotaExhausted("used up"))], 4),
        ([Ending("quota", QuotaExhausted("used up"))] * 2, 4),
        ([Ending("done"), Ending("auth", AuthError("refused"))], 1),
        ([Ending("quota", QuotaExhausted("used up")), Ending("auth", AuthError("refused"))], 1),
        ([Ending("interrupted")], 1),
    ],
)
def test_the_exit_code_tells_how_several_streams_ended(endings: list[Ending], code: int) -> None:
    assert exit_code(endings) == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 1)])
@pytest.mark.usefixtures("config")
def test_a_signal_ends_ingest_after_the_page_in_hand(
    run: Run, standins: dict[str, Standin], number: int, code: int, ids: set[str]
) -> None:
    before = signal.getsignal(number)
    twitter = standins["twitter"]

    def send(body: Any) -> Any:
        os.kill(os.getpid(), number)
        return body

    twitter.fail(Fault(what="change", path="/2/tweets", change=send))
    result = run("ingest")
    assert result.code == code
    assert "interrupted" in report_of(result.out)["reddit"]
    assert signal.getsignal(number) is before
    kept = stored(run)
    assert kept < ids
    assert run("ingest").code == 0
    assert stored(run) == ids


@pytest.fixture
def scheduler(config: Path, environment: dict[str, str]) -> Any:
    """``listener run`` in a process of its own."""
    processes = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "listener", *arguments],
            env=environment,
            cwd=config.parent,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_run_pulls_on_its_own_and_a_signal_ends_it_with_0(
    run: Run, scheduler: Callable[..., Any], config: Path, ids: set[str]
) -> None:
    process = scheduler("-v", "--log-format", "json", "run", "--threads", "2")
    deadline = time.monotonic() + 60
    found: set[str] = set()
    while found != ids and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.3)
        if (config.parent / "listener.db").exists():
            with MentionStore.open(f"sqlite:///{config.parent / 'listener.db'}") as store:
                found = set(store.query()["external_id"])
    assert found == ids
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == ""
    assert all(line.startswith("{") for line in err.splitlines())
    assert Counter(line.count('"leading"') for line in err.splitlines())[1] == 1


@pytest.mark.usefixtures("config")
def test_run_gives_the_signals_back_when_it_ends(run: Run) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def stop() -> None:
        # Not before somebody listens for it: it would end the whole test run.
        while signal.getsignal(signal.SIGTERM) is before:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    stopping = threading.Thread(target=stop, daemon=True)
    stopping.start()
    result = run("run")
    stopping.join()
    assert (result.code, result.out) == (0, "")
    assert signal.getsignal(signal.SIGTERM) is before
    assert run("status").code == 0
