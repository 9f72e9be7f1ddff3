"""What only reads does so from the replica that is named for it; what writes never goes there."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from jobs.ingest import ingest
from jobs.rollup import roll_up
from listener.clock import SystemClock
from listener.settings import load
from storage.queries import replayed_until
from storage.store import MentionStore

Run = Callable[..., Any]
READS = (
    ("query", "--limit", "3", "--format", "csv"),
    ("query", "--count-by", "channel", "--format", "csv"),
    ("summary", "--last", "2", "--format", "csv"),
    ("summary", "--organization", "all", "--format", "csv"),
    ("status", "--format", "csv"),
)


@pytest.fixture
def reader(config: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a filled PostgreSQL store, for a role that may read its tables and nothing else."""
    settings = load(config, environ={})
    with MentionStore.open(postgresql_url) as store:
        ingest(settings, store, clock=SystemClock(), organizations=("st-elsewhere",))
        roll_up(store)
        assert replayed_until(store) is None
    role = f"reader_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    yield make_url(postgresql_url).set(username=role).render_as_string(hide_password=False)
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {role}")
        connection.execute(f"DROP ROLE {role}")


def test_reports_need_a_role_that_reads_and_no_more(
    run: Run, reader: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LISTENER_DATABASE_URL", f"sqlite:///{tmp_path}/nowhere/listener.db")
    monkeypatch.setenv("LISTENER_READ_DATABASE_URL", reader)
    for asked in READS:
        result = run(*asked)
        assert (result.code, result.out.count("\n") > 1) == (0, True), (asked, result.err)
    # What writes goes to the store, which is not there.
    refused = run("rollup")
    assert (refused.code, "nowhere" in refused.err) == (5, True)
    # And would not get far with this URL.
    with MentionStore.open(reader, read_only=True) as store, pytest.raises(Exception, match="it is read-only"):
        store.release_lease("a", "b")


def test_a_file_may_stand_for_the_store_too(run: Run, filled: Path, edit: Callable[..., None]) -> None:
    whole = [run(*asked).out for asked in READS[:2]]
    shutil.copy(filled, filled.with_name("replica.db"))
    edit(('url = "sqlite:///listener.db"', 'url = "sqlite:///listener.db"\nread_url = "sqlite:///replica.db"'))
    with closing(sqlite3.connect(filled)) as database, database:
        database.execute("UPDATE mentions SET text = 'written to the store'")
        database.execute("UPDATE weekly_volume SET mentions = 0")
    assert [run(*asked).out for asked in READS[:2]] == whole
    assert run("rollup", "--rebuild").code == 0
    assert [run(*asked).out for asked in READS[:2]] == whole


def test_check_looks_at_the_replica(run: Run, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "replica" not in run("check").out
    monkeypatch.setenv("LISTENER_READ_DATABASE_URL", f"sqlite:///{filled}")
    assert "listener.db can be read, and its schema is up to date" in run("check").out
    monkeypatch.setenv("LISTENER_READ_DATABASE_URL", f"sqlite:///{filled}.not-there")
    assert "there is no database at" in run("check").out


def test_a_replica_of_another_version_is_refused(run: Run, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = filled.with_name("replica.db")
    shutil.copy(filled, replica)
    with closing(sqlite3.connect(replica)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0005'")
    monkeypatch.setenv("LISTENER_READ_DATABASE_URL", f"sqlite:///{replica}")
    for asked in READS:
        result = run(*asked)
        assert (result.code, "its schema 0005 is older" in result.err) == (5, True)


@pytest.mark.parametrize("url", ["mysql://reader:s3cret@h/db", "http://[s3cret"])
def test_a_replica_that_is_none_is_refused(
    run: Run, filled: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTENER_READ_DATABASE_URL", url)
    for asked in (("status",), ("config", "show"), ("check",)):
        result = run(*asked)
        assert result.code == 2
        assert "store.read_url (or LISTENER_READ_DATABASE_URL)" in result.err + result.out
        assert "s3cret" not in result.err + result.out
