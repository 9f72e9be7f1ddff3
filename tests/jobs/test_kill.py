"""Ingest killed at random moments loses nothing and doubles nothing; two broken variants show it could fail."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from listener.calendar import local_day
from listener.standins.scenario import World, demo_environment
from storage.store import MentionStore

pytestmark = [
    pytest.mark.kill,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts its threads in /proc before it forks"),
]

SCRIPT = Path(__file__).with_name("kill_process.py")
# The processes fork: numpy's threads, which nothing here needs, would make that a gamble.
ENVIRONMENT = {"PYTHONPATH": str(SCRIPT.parents[2]), "OPENBLAS_NUM_THREADS": "1"}
TORONTO = ZoneInfo("America/Toronto")
KILLS = int(os.environ.get("LISTENER_KILLS", "60"))
"""On SQLite; a quarter of them on PostgreSQL. ``make kill-test`` asks for 200."""


@pytest.fixture(scope="session")
def script():
    spec = importlib.util.spec_from_file_location("kill_process", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Toll:
    """What the kills did to the store, against what the feed served."""

    lost: int
    doubled: int
    wrong: int
    miscounted: int
    mentions: int


@pytest.fixture
def killing(script):
    """Runs ingest, kills it so many times, and compares what is stored with what the feed served."""

    def run(url, variant, kills):
        seed = os.environ.get("LISTENER_KILL_SEED") or str(random.randrange(10**6))
        sys.stdout.write(f"LISTENER_KILL_SEED={seed}\n")
        done = subprocess.run(
            [sys.executable, str(SCRIPT), url, variant, str(kills), seed],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            env={**os.environ, **ENVIRONMENT},
        )
        told = json.loads(done.stdout)
        assert told["killed"] == kills
        toll = compare(url, script, told["length"])
        sys.stdout.write(f"{toll}\n")
        return toll

    return run


def compare(url, script, length):
    served = {}
    parked = {}
    for number in range(length):
        mention = script.item(number)
        served[mention.external_id] = mention
        if mention.removed_at is None:
            parked[mention.external_id] = "parking" in mention.text
    days = Counter(local_day(mention.published_at, TORONTO) for mention in served.values())
    parking = Counter(
        local_day(served[one].published_at, TORONTO) for one, is_parking in parked.items() if is_parking
    )
    with MentionStore.open(url) as store:
        with store.database.read() as connection:
            rows = connection.execute(text("SELECT external_id, text FROM mentions")).all()
        stored = Counter(external_id.split("#")[0] for external_id, _ in rows)
        texts = dict(tuple(row) for row in rows)
        counts = volumes(store)
        store.rebuild_rollups()
        recounted = volumes(store)
    incremental = Counter({day: count for day, topic, count in counts[0] if topic == "all"})
    about_parking = Counter({day: count for day, topic, count in counts[0] if topic == "parking"})
    return Toll(
        lost=len(served.keys() - stored.keys()),
        doubled=stored.total() - len(stored),
        wrong=sum(texts.get(one) != mention.text for one, mention in served.items() if one in stored),
        miscounted=sum(((incremental - days) + (days - incremental)).values())
        + sum(((about_parking - parking) + (parking - about_parking)).values())
        + (counts != recounted),
        mentions=len(served),
    )


def volumes(store):
    """Return the daily and weekly counts, by topic, in one order."""
    with store.database.read() as connection:
        return [
            [
                tuple(row)
                for row in connection.execute(
                    text(
                        f"SELECT v.{period}, t.slug, v.mentions FROM {table} v JOIN topics t ON t.id = v.topic_id "
                        f"ORDER BY v.{period}, t.slug"
                    )
                )
            ]
            for table, period in (("daily_volume", "day"), ("weekly_volume", "week"))
        ]


@pytest.fixture
def sqlite_url(tmp_path, sqlite_template):
    shutil.copy(sqlite_template, tmp_path / "listener.db")
    return f"sqlite:///{tmp_path / 'listener.db'}"


@pytest.fixture
def postgresql_url(postgresql_template, new_postgresql):
    return new_postgresql(postgresql_template)


def test_kills_on_sqlite_lose_nothing_and_double_nothing(killing, sqlite_url):
    toll = killing(sqlite_url, "right", KILLS)
    assert toll == Toll(lost=0, doubled=0, wrong=0, miscounted=0, mentions=toll.mentions)
    assert toll.mentions > KILLS * 10


def test_kills_on_postgresql_lose_nothing_and_double_nothing(killing, postgresql_url):
    toll = killing(postgresql_url, "right", KILLS // 4)
    assert toll == Toll(lost=0, doubled=0, wrong=0, miscounted=0, mentions=toll.mentions)
    assert toll.mentions > KILLS // 4 * 10


def test_a_cursor_committed_before_its_data_is_seen_to_lose(killing, sqlite_url):
    assert killing(sqlite_url, "cursor-first", 20).lost > 0


def test_data_without_a_key_and_before_its_cursor_is_seen_to_double(killing, sqlite_url):
    assert killing(sqlite_url, "without-key", 20).doubled > 0


def test_kills_while_the_platforms_are_read_through_their_sdks_leave_no_mark(tmp_path, sqlite_template):
    """The store of a run that was killed again and again equals that of one that was left in peace."""
    start = datetime(2026, 10, 26, tzinfo=TORONTO)
    process = SCRIPT.with_name("kill_platforms_process.py")
    stores = {}
    with World(per_week=1_000, start=start, end=start + timedelta(days=6), spike=None) as world:
        world.clock.step_to(world.end)
        for name, kills in (("peace", 0), ("kills", 12)):
            folder = tmp_path / name
            folder.mkdir()
            shutil.copy(sqlite_template, folder / "listener.db")
            config = folder / "listener.toml"
            config.write_text(world.settings_toml("sqlite:///listener.db").replace("5.0", "100.0"))
            url = f"sqlite:///{folder / 'listener.db'}"
            done = subprocess.run(
                [sys.executable, str(process), url, str(config), world.end.isoformat(), str(kills), "3"],
                stdout=subprocess.PIPE,
                check=True,
                text=True,
                env={**os.environ, **demo_environment(), **ENVIRONMENT},
            )
            assert int(done.stdout) >= kills * 0.4
            stores[name] = everything(url)
    assert len(stores["peace"]["mentions"]) > 700
    assert stores["kills"] == stores["peace"]


def everything(url):
    """Return what a store holds that a kill could have harmed, without numbers that only order."""
    queries = {
        "mentions": "SELECT external_id, kind, text, removed_at, edited_at FROM mentions",
        "topics": "SELECT m.external_id, t.slug FROM mention_topics x JOIN mentions m ON m.id = x.mention_id "
        "JOIN topics t ON t.id = x.topic_id",
        "metrics": "SELECT m.external_id, likes, replies, shares, views FROM mention_metrics x "
        "JOIN mentions m ON m.id = x.mention_id",
        "coverage": "SELECT stream_id, day, covered_seconds, lost_seconds FROM coverage_days",
        "cursors": "SELECT channel_id, cursor FROM streams",
        "weeks": "SELECT week, c.name, t.slug, mentions, authors, engagement FROM weekly_volume v "
        "JOIN channels c ON c.id = v.channel_id JOIN topics t ON t.id = v.topic_id",
    }
    with MentionStore.open(url) as store, store.database.read() as connection:
        return {
            name: sorted(map(tuple, connection.execute(text(query))), key=repr) for name, query in queries.items()
        }
