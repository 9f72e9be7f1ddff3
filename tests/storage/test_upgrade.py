"""The migrations make the tables, and a database is checked and backed up."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from listener.errors import ConfigError, StoreError
from storage.backup import backup
from storage.migrating import alembic_config
from storage.opening import connect
from storage.queries import Filters, rows, weekly_volume
from storage.schema import SCHEMA_VERSION
from storage.store import MentionStore, Record
from storage.upgrade import check, current, upgrade


def run(url: str, *statements: str) -> None:
    database = connect(url)
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.close()


def test_the_version_is_the_migrations_head() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [SCHEMA_VERSION]


def test_upgrading_an_empty_database_and_then_again(empty_url: str) -> None:
    if empty_url.startswith("sqlite"):
        with pytest.raises(StoreError, match="there is no database"):
            current(empty_url)
    else:
        assert current(empty_url) is None
    assert upgrade(empty_url) == (None, SCHEMA_VERSION)
    assert upgrade(empty_url) == (SCHEMA_VERSION, SCHEMA_VERSION)
    assert current(empty_url) == SCHEMA_VERSION


def test_migrations_make_exactly_the_tables(store_url: str) -> None:
    assert check(store_url) == []


def test_the_way_back_leaves_nothing(store_url: str) -> None:
    database = connect(store_url)
    with database.write() as connection:
        command.downgrade(alembic_config(connection), "base")
    database.close()
    assert current(store_url) is None
    assert upgrade(store_url) == (None, SCHEMA_VERSION)
    assert check(store_url) == []


START = datetime(2026, 11, 9, 12, tzinfo=UTC)
AT = "'2026-11-09 12:00:00.000000'"
FIRST = (
    "INSERT INTO organizations (id, slug, name, timezone) VALUES (1, 'st-elsewhere', 'x', 'America/Toronto')",
    "INSERT INTO channels (id, name) VALUES (1, 'twitter')",
    "INSERT INTO topics VALUES (9, 'parking', 'Parking', 'travel', 'Parking.', '2026.1')",
    *(
        "INSERT INTO mentions (id, channel_id, external_id, kind, published_at, purpose, sentiment, text, "
        "text_fingerprint, first_seen_at, changed_at, checked_at) "
        f"VALUES ({n}, 1, 'm{n}', 'post', {AT}, {purpose}, 'negative', 'parking', 'f', {AT}, {AT}, {AT})"
        for n, purpose in ((1, "NULL"), (2, "'experience'"), (3, "'news'"))
    ),
    *(
        f"INSERT INTO mention_organizations (mention_id, organization_id, day, own) VALUES ({n}, 1, 20766, false)"
        for n in (1, 2, 3)
    ),
    "INSERT INTO mention_topics (mention_id, topic_id, source, score, phrases) VALUES (1, 9, 'rule', 1.0, '[]')",
    "INSERT INTO mention_topics (mention_id, topic_id, source, score, phrases) VALUES (3, 9, 'rule', 1.0, '[]')",
    "INSERT INTO daily_volume SELECT 1, 20766, 1, id, 3, 3, 0, 0, 0, 0 FROM topics WHERE slug = 'all'",
    "INSERT INTO daily_volume SELECT 1, 20700, 1, id, 7, 7, 0, 0, 0, 0 FROM topics WHERE slug = 'all'",
)


def test_a_filled_store_of_the_first_schema_is_upgraded(empty_url: str) -> None:
    """What was heard stays, who heard it is not known, and every day is counted anew."""
    database = connect(empty_url)
    with database.write() as connection:
        command.upgrade(alembic_config(connection), "0001")
    database.close()
    run(empty_url, *FIRST)
    with pytest.raises(StoreError, match=r"schema 0001 is older"):
        MentionStore.open(empty_url)
    assert upgrade(empty_url) == ("0001", SCHEMA_VERSION)
    assert check(empty_url) == []
    with MentionStore.open(empty_url) as store:
        found = list(rows(store, Filters(), sort="external_id"))
        assert [(row["purpose"], row["topics"]) for row in found] == [
            (None, ["parking"]),
            ("experience", []),
            ("news", ["parking"]),
        ]
        for row in found:
            new = ("purpose_score", "needs_review", "positive_part", "negative_part", "signals_version")
            assert [row[name] for name in new] == [None, False, None, None, None]
        assert store.roll_up() == 2
        week = weekly_volume(store, organization="st-elsewhere", weeks=[2967])
    assert {row.topic: row.mentions for row in week if row.channel == "all"} == {
        "all": 3,
        "(care)": 1,
        "parking": 1,
        "(untagged)": 1,
        "(other purposes)": 1,
    }
    assert check(empty_url) == []


def test_the_way_back_to_the_first_schema_and_up_again(pulling: Any, record: Any, store_url: str) -> None:
    pulling.save(record())
    pulling.store.roll_up()
    database = connect(store_url)
    with database.write() as connection:
        command.downgrade(alembic_config(connection), "0001")
    database.close()
    assert current(store_url) == "0001"
    assert upgrade(store_url) == ("0001", SCHEMA_VERSION)
    assert check(store_url) == []


def totals(url: str) -> list[list[tuple[Any, ...]]]:
    database = connect(url)
    with database.read() as connection:
        found = [
            [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2, 3"))]
            for table in ("daily_totals", "weekly_totals")
        ]
    database.close()
    return found


def test_the_upgrade_sums_what_is_counted_already(pulling: Any, record: Any, store_url: str) -> None:
    pulling.save(record("1"), record("2", at=START + timedelta(days=9)))
    pulling.save(record("1"), organization="general")
    pulling.store.roll_up()
    before = totals(store_url)
    assert [len(table) for table in before] == [4, 4]
    database = connect(store_url)
    with database.write() as connection:
        command.downgrade(alembic_config(connection), "0005")
    database.close()
    assert upgrade(store_url) == ("0005", SCHEMA_VERSION)
    assert totals(store_url) == before
    assert check(store_url) == []


def test_postgresql_vacuums_the_big_tables_early(postgresql_url: str) -> None:
    database = connect(postgresql_url)
    with database.write() as connection:
        told = dict(tuple(row) for row in connection.execute(text("SELECT relname, reloptions FROM pg_class")))
        assert "fillfactor=85" in told["mentions"]
        for name in ("mentions", "mention_organizations", "mention_topics", "mention_metrics", "mention_words"):
            assert "autovacuum_vacuum_insert_scale_factor=0.05" in told[name]
        command.downgrade(alembic_config(connection), "0005")
        options = connection.execute(text("SELECT reloptions FROM pg_class WHERE relname = 'mentions'"))
        assert options.scalar_one() is None
    database.close()


@pytest.mark.parametrize("score", ["-0.1", "1.1"])
def test_a_probability_lies_between_0_and_1(pulling: Any, record: Any, score: str) -> None:
    pulling.save(record())
    with (
        pytest.raises(Exception, match=r"(?i)check constraint"),
        pulling.store.database.write() as connection,
    ):
        connection.execute(text(f"UPDATE mentions SET purpose_score = {score}"))


def test_a_migration_that_fails_leaves_nothing(empty_url: str) -> None:
    run(
        empty_url,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        "CREATE TABLE topics (id int)",
    )
    with pytest.raises(Exception, match="already exists"):
        MentionStore.open(empty_url)
    database = connect(empty_url)
    with database.read() as connection:
        kind = (
            "sqlite_master WHERE type = 'table'" if database.is_sqlite else "pg_tables WHERE schemaname = 'public'"
        )
        assert connection.execute(text(f"SELECT count(*) FROM {kind}")).scalar_one() == 2
    database.close()


def test_what_was_changed_by_hand_is_told(store_url: str) -> None:
    run(store_url, "ALTER TABLE leases ADD COLUMN mood TEXT", "DROP INDEX ix_mention_topics_topic_id")
    told = check(store_url)
    assert len(told) == 2
    assert all(line.startswith("the schema was changed by hand: ") for line in told)
    assert any("mood" in line for line in told)


def test_a_changed_type_is_told(postgresql_url: str) -> None:
    run(
        postgresql_url,
        "ALTER TABLE leases ALTER COLUMN fence TYPE INTEGER",
        "ALTER TABLE runs ALTER pages DROP NOT NULL",
    )
    assert len(check(postgresql_url)) == 2


def test_miscounts_are_told_but_not_what_waits_to_be_counted(
    pulling: Any, record: Callable[..., Record], store_url: str
) -> None:
    pulling.save(record("1"))
    assert check(store_url) == []
    pulling.store.roll_up()
    assert check(store_url) == []
    run(store_url, "UPDATE daily_volume SET negative = 9", "DELETE FROM weekly_volume")
    assert check(store_url) == [
        "1 days of st-elsewhere are miscounted: run `listener rollup --rebuild`",
        "1 weeks of st-elsewhere are miscounted: run `listener rollup --rebuild`",
        "the totals of 1 days are not the sums over the organizations: run `listener rollup --rebuild`",
        "the totals of 1 weeks are not the sums over the organizations: run `listener rollup --rebuild`",
    ]
    pulling.store.rebuild_rollups()
    assert check(store_url) == []


def test_loose_ends_are_told(sqlite_url: str) -> None:
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as careless, careless:
        careless.execute("INSERT INTO dirty_days (organization_id, day) VALUES (77, 1)")
    assert check(sqlite_url) == ["row 1 of dirty_days points at no row of organizations: restore a backup"]


def test_a_damaged_index_is_told(sqlite_url: str) -> None:
    run(sqlite_url, "INSERT INTO leases VALUES ('a', 'b', 1, '2026-01-01 00:00:00.000000')")
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(file)) as careless, careless:
        careless.execute("PRAGMA ignore_check_constraints = ON")
        careless.execute("PRAGMA writable_schema = ON")
        careless.execute("UPDATE sqlite_master SET sql = replace(sql, 'fence BIGINT NOT NULL', 'fence BIGINT')")
    with closing(sqlite3.connect(file)) as careless, careless:
        careless.execute("UPDATE leases SET fence = NULL")
        careless.execute("PRAGMA writable_schema = ON")
        careless.execute("UPDATE sqlite_master SET sql = replace(sql, 'fence BIGINT', 'fence BIGINT NOT NULL')")
    assert check(sqlite_url) == ["the file is damaged (NULL value in leases.fence): restore a backup"]


def test_a_database_of_another_version_is_not_checked(store_url: str) -> None:
    run(store_url, "UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(StoreError, match="not known to this Listener"):
        check(store_url)


def test_a_backup_is_a_whole_database(sqlite_url: str, tmp_path: Path) -> None:
    with MentionStore.open(sqlite_url) as store, store.database.write() as connection:
        connection.execute(text("INSERT INTO leases VALUES ('a', 'b', 1, '2026-01-01 00:00:00.000000')"))
        # Somebody is in the middle of writing: the copy is of what was committed.
        backup(sqlite_url, tmp_path / "copy.db")
    assert check(f"sqlite:///{tmp_path}/copy.db") == []
    with MentionStore.open(f"sqlite:///{tmp_path}/copy.db") as store, store.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM leases")).scalar_one() == 0
    assert list(tmp_path.glob(".copy.db*")) == []


def test_a_backup_replaces_an_older_one(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    file.write_text("an older one")
    backup(sqlite_url, file)
    assert check(f"sqlite:///{file}") == []
    assert file.stat().st_mode & 0o077 == 0


def test_a_backup_that_cannot_be_written(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"create the folder {tmp_path}/none first"):
        backup(sqlite_url, tmp_path / "none" / "copy.db")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=r"cannot write .*folder: Is a directory; name another file"):
        backup(sqlite_url, tmp_path / "folder")
    assert list(tmp_path.glob(".folder*")) == []


def test_a_backup_that_its_disk_has_no_room_for(sqlite_url: str, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk; it holds for a whole process, so for one of its own."""
    program = (
        "import resource, signal, sys; from pathlib import Path; from storage.backup import backup\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "backup(sys.argv[1], Path(sys.argv[2]))"
    )
    arguments = [sys.executable, "-c", program, sqlite_url, str(tmp_path / "copy.db")]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True)
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"listener.errors.ConfigError: cannot write {tmp_path}/copy.db: ")
    assert list(tmp_path.glob("*copy.db*")) == []


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_a_backup_never_takes_the_place_of_the_database(sqlite_url: str, tmp_path: Path, ending: str) -> None:
    with MentionStore.open(sqlite_url) as store, store.database.read() as connection:
        connection.execute(text("SELECT count(*) FROM leases"))
        file = Path(f"{store.database.place}{ending}")
        before = file.stat()
        link = tmp_path / "link.db"
        link.symlink_to(file)
        for same in (file, link):
            with pytest.raises(ConfigError, match=f"cannot write {same}: it is the database itself; name another"):
                backup(sqlite_url, same)
        assert (file.stat().st_ino, link.is_symlink()) == (before.st_ino, True)
    assert check(sqlite_url) == []


@pytest.fixture
def pg_dump(postgresql_programs: Path) -> str:
    return str(postgresql_programs / "pg_dump")


def test_a_backup_of_postgresql_is_an_archive(postgresql_url: str, tmp_path: Path, pg_dump: str) -> None:
    backup(postgresql_url.replace("postgres:@", "postgres:s3cret@"), tmp_path / "listener.dump", pg_dump=pg_dump)
    assert (tmp_path / "listener.dump").read_bytes().startswith(b"PGDMP")
    assert (tmp_path / "listener.dump").stat().st_mode & 0o077 == 0


def test_a_backup_of_postgresql_without_its_program(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match="pg_dump was not found: install the PostgreSQL client programs"):
        backup(postgresql_url, tmp_path / "listener.dump")


def test_a_backup_of_postgresql_that_fails(postgresql_url: str, tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_text(f"#!{shutil.which('sh')}\necho 'pg_dump: error: no such luck' >&2; exit 1\n")
    program.chmod(0o755)
    with pytest.raises(StoreError, match="pg_dump failed: pg_dump: error: no such luck"):
        backup(postgresql_url, tmp_path / "listener.dump", pg_dump=str(program))
    assert [file.name for file in tmp_path.iterdir()] == ["pg_dump"]
    program.chmod(0o644)
    with pytest.raises(StoreError, match=f"{program} cannot be run: Permission denied"):
        backup(postgresql_url, tmp_path / "listener.dump", pg_dump=str(program))
