"""The main job whole, through the real SDKs: what is counted at the end is what was written."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from jobs.ingest import ingest
from jobs.rollup import roll_up
from jobs.summary import weekly_summary, write_summaries
from listener.cli import main
from listener.settings import load
from listener.standins.agreement import Agreement, agreement
from listener.standins.posts import Post
from listener.standins.scenario import END, ORGANIZATION_SLUG, START, ZONE, World, demo_environment, walk
from storage import queries
from storage.store import MentionStore

Cell: TypeAlias = tuple[str, str, str]
"""Week, channel and topic."""
# Below what the shipped rules and models reach on the stand-ins' sentences, far above what a broken one would.
TOPICS_FLOOR = 0.85
PURPOSES_FLOOR = 0.8
SENTIMENTS_FLOOR = 0.65


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code


def iso_week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def recount(mentions: Iterable[Mapping[str, Any]]) -> dict[Cell, int]:
    """Count stored mentions by week, channel and topic: decision 17 said once more, in plain Python."""
    counts: Counter[Cell] = Counter()
    for row in mentions:
        if row["own"]:
            continue
        if row["needs_review"]:
            topics = {"(to review)"}
        elif row["purpose"] in ("experience", "question"):
            topics = {"(care)", *(row["topics"] or ["(untagged)"])}
        elif row["purpose"] is None:
            topics = set(row["topics"] or ["(untagged)"])
        else:
            topics = {"(other purposes)"}
        moment = row["published_at"]
        moment = moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
        week = iso_week(moment.astimezone(ZONE).date())
        for topic in {"all"} | topics:
            counts[week, row["channel"], topic] += 1
            counts[week, "all", topic] += 1
    return dict(counts)


def volumes(counts: Mapping[Cell, int]) -> dict[tuple[str, str], int]:
    """Return how many mentions there were by week and channel, whatever they are about."""
    return {(week, channel): count for (week, channel, topic), count in counts.items() if topic == "all"}


def assert_heard_well(world: World, mentions: Iterable[Mapping[str, Any]]) -> Agreement:
    """Assert that no signal is broken: what was heard agrees with what was meant, with room for mistakes."""
    found = agreement(world.meanings(), mentions)
    assert found.topics is not None
    assert found.topics > TOPICS_FLOOR
    assert found.purposes is not None
    assert found.purposes > PURPOSES_FLOOR
    assert found.sentiments is not None
    assert found.sentiments > SENTIMENTS_FLOOR
    return found


def stored(config: Path, file: Path) -> list[dict[str, Any]]:
    """Return every mention, as a query exports it."""
    assert run("-q", "-c", str(config), "query", "-o", str(file)) == 0
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.timeout(400)
def test_the_demo_counts_exactly_what_was_written_and_a_second_run_adds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    first = subprocess.run(
        [sys.executable, "-m", "listener", "demo", "--directory", str(folder)],
        # A shell that points at a real store must not lead the demo there.
        env={**os.environ, "LISTENER_DATABASE_URL": "sqlite:////nowhere/at-all.db", "COLUMNS": "100"},
        check=True,
        capture_output=True,
        text=True,
    )
    table = [line for line in first.stdout.splitlines() if line.startswith(("week", "2026-"))]
    assert len(table) == 1 + 12
    assert max(map(len, table)) <= 100
    assert "left out" in table[0]
    assert "equals what the generator wrote" in first.stderr
    assert "equals a recount of the stored mentions" in first.stderr

    mentions = stored(folder / "listener.toml", tmp_path / "first.jsonl")
    counts = recount(mentions)
    world = World()
    world.clock.step_to(world.last_pull)
    assert volumes(counts) == world.truth()
    assert len(mentions) > 3_500
    assert counts["2026-W42", "all", "waiting-times"] > 2 * counts["2026-W41", "all", "waiting-times"]

    heard = assert_heard_well(world, mentions)
    assert f"Heard as meant: {heard}" in first.stderr.splitlines()
    of_language = {row["external_id"]: row["language"] for row in mentions}
    others = {row["external_id"] for row in mentions if row["language"] in ("es", "pt")}
    assert sum(of_language[one.external_id] == one.language for one in foreign(world)) >= 20
    assert not any(row["topics"] for row in mentions if row["external_id"] in others)

    with (folder / "listener-weekly-st-elsewhere-2026-W46.csv").open(encoding="utf-8", newline="") as file:
        weekly = list(csv.DictReader(file))
    assert {
        (row["iso_week"], row["channel"], row["topic"]): int(row["mentions"])
        for row in weekly
        if row["mentions"] != "0"
    } == {key: count for key, count in counts.items() if key[0] == "2026-W46"}
    assert {row["coverage"] for row in weekly} == {"1.0"}

    assert run("demo", "--directory", str(folder)) == 0
    assert capsys.readouterr().err.splitlines()[1].startswith("0 new mentions, 0 changed")
    assert stored(folder / "listener.toml", tmp_path / "second.jsonl") == mentions


def foreign(world: World) -> list[Post]:
    return [post for posts in world.posts_by_channel.values() for post in posts if post.language in ("es", "pt")]


def test_a_demo_upon_other_mentions_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    with World(seed=7, per_week=20) as other, MentionStore.open(f"sqlite:///{folder / 'listener.db'}") as store:
        config = folder / "listener.toml"
        config.write_text(other.settings_toml("sqlite:///listener.db"), encoding="utf-8")
        other.clock.step_to(START + timedelta(days=2))
        ingest(load(config, environ=demo_environment()), store, clock=other.clock)
    assert run("demo", "--directory", str(folder)) == 2
    assert f"{folder} holds mentions of another demo" in capsys.readouterr().err


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


@pytest.mark.no_cover
@pytest.mark.timeout(400)
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
            counts = {(row.iso_week, row.channel, row.topic): row.mentions for row in rows if row.mentions}
            mentions = list(queries.rows(store, queries.Filters()))
            assert volumes(counts) == world.truth()
            assert counts == recount(mentions)
            assert_heard_well(world, mentions)
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
