from __future__ import annotations

import random
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.ingest import ingest
from jobs.rollup import roll_up
from jobs.summary import weekly_summary, write_summaries
from listener.calendar import parse_iso_week
from listener.clock import SteppedClock
from listener.mention import Metrics
from storage.store import MentionStore

TEXTS = (
    "Four hours in the waiting room and no parking",
    "Thank you to the wonderful nurses, the ward was spotless",
    "The bill was wrong and nobody would explain my medication",
    "Passing by St. Elsewhere",
    "Aparcamiento imposible, pero el personal muy amable con mi madre",
)


@pytest.fixture
def life(fake):
    """Four weeks of two channels: answers, edits, removals, the hospital's own posts, two organizations."""
    chance = random.Random(11)
    feeds = {}
    for channel in ("birdsong", "whisper"):
        posts = [
            fake.make_mention(
                number,
                channel=channel,
                text=f"{chance.choice(TEXTS)} ({number})",
                published_at=fake.START - timedelta(minutes=chance.randrange(28 * 1440)),
                author=None if number % 13 == 0 else fake.Author(id=str(chance.choice([1234, *range(40)]))),
                metrics=Metrics(likes=chance.randrange(9), replies=chance.choice([None, 1]), shares=number % 3),
                language=None,
            )
            for number in range(300)
        ]
        later = fake.START + timedelta(hours=1)
        posts += [replace(post, text=TEXTS[0], edited_at=later) for post in posts[::17]]
        posts += [replace(post, text="", author=None, removed_at=later) for post in posts[5:300:23]]
        feeds[channel] = fake.Feed(mentions=posts, page_size=37)
    streams = [{"channel": name, "query": "elsewhere"} for name in feeds]
    settings = fake.make_settings(
        fake.make_organization(streams=streams),
        fake.make_organization("mercy", timezone="Asia/Tokyo", streams=streams),
    )
    return settings, fake.FakePlatforms(**feeds), fake.START


@pytest.mark.no_cover
def test_the_weekly_csv_is_the_same_to_the_byte(
    life, tmp_path, sqlite_template, postgresql_template, partitioned_template, new_postgresql
):
    settings, platforms, start = life
    shutil.copy(sqlite_template, tmp_path / "listener.db")
    urls = {
        "sqlite": f"sqlite:///{tmp_path / 'listener.db'}",
        "postgresql": new_postgresql(postgresql_template),
        "partitioned": new_postgresql(partitioned_template),
    }
    written = {}
    for name, url in urls.items():
        clock = SteppedClock(start)
        with MentionStore.open(url, clock=clock) as store:
            for _ in range(2):
                reports = ingest(settings, store, clock=clock, platforms=platforms)
                assert {report.outcome for report in reports} == {"done"}
                clock.step_to(clock.now() + timedelta(hours=3))
            roll_up(store)
            rows = weekly_summary(
                settings, store, newest=parse_iso_week("2026-W45"), last=6, clock=clock, platforms=platforms
            )
        (path,) = write_summaries(rows, tmp_path / f"{name}.csv")
        written[name] = path.read_bytes()
    assert written["sqlite"] == written["postgresql"] == written["partitioned"]
    assert written["sqlite"].count(b"\n") > 150
    assert any(row.mentions and row.topic == "parking" for row in rows)
    assert any(row.organization == "mercy" and row.mentions for row in rows)
