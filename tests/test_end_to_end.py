"""The main job whole, through the real SDKs: what is counted at the end is what was written."""

from __future__ import annotations

import csv
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from jobs.ingest import ingest
from jobs.rollup import roll_up
from jobs.summary import weekly_summary, write_summaries
from listener.cli import main
from listener.settings import load
from listener.standins.scenario import END, ORGANIZATION_SLUG, ZONE, World, demo_environment, walk
from storage.store import MentionStore

EPOCH = date(1970, 1, 1)


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code


def iso_week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def recount(file: Path) -> dict[tuple[str, str, str], int]:
    """Count the stored mentions by week, channel and topic, from the rows themselves and by plain Python."""
    with sqlite3.connect(file) as connection:
        topics: dict[int, set[str]] = {}
        for mention, slug in connection.execute(
            "SELECT mention_id, slug FROM mention_topics JOIN topics ON topics.id = topic_id"
        ):
            topics.setdefault(mention, set()).add(slug)
        rows = connection.execute(
            "SELECT mentions.id, channels.name, published_at, own FROM mentions"
            " JOIN channels ON channels.id = channel_id JOIN mention_organizations ON mention_id = mentions.id"
        ).fetchall()
    counts: Counter[tuple[str, str, str]] = Counter()
    for mention, channel, published_at, own in rows:
        if own:
            continue
        moment = datetime.fromisoformat(published_at)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        week = iso_week(moment.astimezone(ZONE).date())
        for topic in {"all"} | (topics.get(mention) or {"(untagged)"}):
            counts[week, channel, topic] += 1
            counts[week, "all", topic] += 1
    return dict(counts)


def test_the_demo_counts_exactly_what_was_written_and_a_second_run_adds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A shell that points at a real store must not lead the demo there.
    monkeypatch.setenv("LISTENER_DATABASE_URL", "sqlite:////nowhere/at-all.db")
    folder = tmp_path / "demo"
    assert run("demo", "--directory", str(folder)) == 0
    first = capsys.readouterr()
    assert "2026-W42" in first.out
    assert "equals what the generator wrote" in first.err

    world = World()
    world.clock.step_to(world.last_pull)
    truth = world.truth()
    assert recount(folder / "listener.db") == truth
    assert sum(count for (_, channel, topic), count in truth.items() if channel == topic == "all") > 3_500
    spike = truth["2026-W42", "all", "waiting-times"]
    assert spike > 3 * truth["2026-W41", "all", "waiting-times"]

    with (folder / "listener-weekly-st-elsewhere-2026-W46.csv").open(encoding="utf-8", newline="") as file:
        weekly = list(csv.DictReader(file))
    assert {
        (row["iso_week"], row["channel"], row["topic"]): int(row["mentions"])
        for row in weekly
        if row["mentions"] != "0"
    } == {key: count for key, count in truth.items() if key[0] == "2026-W46"}
    assert {row["coverage"] for row in weekly} == {"1.0"}

    assert run("demo", "--directory", str(folder)) == 0
    assert capsys.readouterr().err.splitlines()[1].startswith("0 new mentions, 0 changed")
    assert recount(folder / "listener.db") == truth


def test_the_stand_ins_serve_until_they_are_told_to_stop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, found = tmp_path / "standins", []

    def visit() -> None:
        try:
            until = time.monotonic() + 30
            while not (folder / ".env").exists() and time.monotonic() < until:
                time.sleep(0.05)
            listener = [sys.executable, "-m", "listener", "-c", str(folder / "listener.toml")]
            found.extend(
                subprocess.run([*listener, *arguments], check=False, capture_output=True, text=True)
                for arguments in (
                    ["check", "--online"],
                    ["ingest", "--channel", "twitter"],
                    ["query", "--limit", "3"],
                )
            )
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    visitor = threading.Thread(target=visit)
    visitor.start()
    assert run("standins", "--directory", str(folder), "--port", "0") == 0
    visitor.join()
    assert [done.returncode for done in found] == [0, 0, 0], [done.stderr for done in found]
    assert found[2].stdout.count("twitter") == 3
    assert capsys.readouterr().out.startswith("twitter http://127.0.0.1:")


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run("standins", "--directory", str(tmp_path / "standins"), "--port", str(port)) == 2
    assert f"port {port} on 127.0.0.1 cannot be used for twitter" in capsys.readouterr().err


def test_a_demo_that_cannot_write_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run("demo", "--directory", str(tmp_path / "file")) == 2
    assert f"cannot write into {tmp_path / 'file'}" in capsys.readouterr().err


def test_both_databases_give_the_same_bytes_and_reading_all_again_adds_nothing(
    tmp_path: Path, new_postgresql: Callable[..., str]
) -> None:
    urls = {"sqlite": f"sqlite:///{tmp_path / 'listener.db'}", "postgresql": new_postgresql()}
    written: dict[str, list[bytes]] = {}
    for name, url in urls.items():
        start = END - timedelta(weeks=4)
        with World(start=start, per_week=120) as world, MentionStore.open(url, clock=world.clock) as store:
            config = tmp_path / name / "listener.toml"
            config.parent.mkdir()
            config.write_text(world.settings_toml(url), encoding="utf-8")
            settings = load(config, environ=demo_environment())

            def pull(_now: datetime, world: World = world, store: MentionStore = store, settings=settings) -> None:
                assert {report.outcome for report in ingest(settings, store, clock=world.clock)} == {"done"}
                roll_up(store)

            walk(world, pull)
            rows = weekly_summary(settings, store, last=4, clock=world.clock)
            truth = world.truth()
            assert {(row.iso_week, row.channel, row.topic): row.mentions for row in rows if row.mentions} == truth
            folder = tmp_path / name / "csv"
            written[name] = [path.read_bytes() for path in write_summaries(rows, folder)]

            # Another stream key, so a cursor of its own: everything the platforms still show comes again.
            config.write_text(config.read_text(encoding="utf-8").replace('" OR ', '"  OR '), encoding="utf-8")
            again = [
                report
                for report in ingest(load(config, environ=demo_environment()), store, clock=world.clock)
                if report.stream.channel == "twitter"
            ]
            assert again[0].fetched > 0
            assert again[0].counts.inserted == 0
            roll_up(store)
            assert [row.mentions for row in weekly_summary(settings, store, last=4, clock=world.clock)] == [
                row.mentions for row in rows
            ]
    assert len(written["sqlite"]) == 4
    assert written["sqlite"] == written["postgresql"]
    assert ORGANIZATION_SLUG.encode() in written["sqlite"][0]
