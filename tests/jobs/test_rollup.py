from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from jobs.ingest import ingest
from jobs.rollup import roll_up


@pytest.fixture
def ingested(settings, feed, fake, store, clock, platforms):
    feed.mentions = [
        fake.make_mention(number, published_at=fake.START - timedelta(days=number)) for number in range(10)
    ]
    ingest(settings, store, clock=clock, platforms=platforms)


def volumes(store):
    with store.database.read() as connection:
        return [
            connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")).all()
            for table in ("daily_volume", "weekly_volume")
        ]


def test_only_what_changed_is_counted_again(store, ingested):
    told = []
    assert roll_up(store, progress=told.append) == 10
    assert told[-1] == 10
    assert roll_up(store) == 0


def test_a_rebuild_gives_the_same_numbers(store, ingested):
    roll_up(store)
    before = volumes(store)
    assert before[0]
    told = []
    assert roll_up(store, rebuild=True, progress=told.append) >= 10
    assert told
    assert volumes(store) == before
