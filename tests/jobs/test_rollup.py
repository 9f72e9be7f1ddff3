from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from jobs.crew import connections_of, cores
from jobs.ingest import ingest
from jobs.rollup import roll_up
from listener.errors import ConfigError


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


@pytest.mark.parametrize(
    ("asked", "connections"),
    [
        ({"cluster": None, "processes": 1}, 1),
        ({"cluster": None, "processes": 3}, 3),
        ({"cluster": "local:5", "processes": 1}, 5),
    ],
)
def test_a_rebuild_has_as_many_connections_as_are_asked_for(asked, connections):
    assert connections_of(**asked) == connections


def test_a_scheduler_cannot_help_the_database(monkeypatch):
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    assert connections_of(cluster="auto", processes=1) == cores()
    with pytest.raises(ConfigError, match=r"workers at tcp://10.0.0.5:8786 could not help it: .* local:N"):
        connections_of(cluster="tcp://10.0.0.5", processes=1)
    with pytest.raises(ConfigError, match="leave one out"):
        connections_of(cluster="local", processes=2)


def test_a_rebuild_over_connections_gives_the_same_numbers(store, ingested):
    roll_up(store)
    before = volumes(store)
    assert roll_up(store, rebuild=True, connections=2) >= 10
    assert volumes(store) == before
