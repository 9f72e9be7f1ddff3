"""Reaches the database: the engine for each dialect, and whether its schema is the one this program writes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, StaticPool, create_engine, event, inspect, text
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from listener.errors import ConfigError, StoreError
from storage.locks import Lock
from storage.refusals import translate
from storage.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from sqlalchemy import Connection, FromClause
    from sqlalchemy.engine.interfaces import DBAPIConnection

_BUSY_SECONDS = 30
"""How long to wait for another writer: a recount of a large organization holds the lock for many seconds."""
_FTS5 = "fts5"
"""The module of SQLite that the full-text index is a table of."""
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Seconds, and milliseconds for ``tcp_user_timeout``. By default a server that vanished (a pulled plug, a firewall
that forgot) is waited for: hours where nothing is asked, a quarter of an hour where an answer is owed."""


@dataclass(frozen=True, slots=True)
class Database:
    """An open database: ``writing`` begins transactions that may write, ``reading`` ones that cannot.

    Where it was opened to be read alone, neither can.
    """

    place: str
    writing: Engine
    reading: Engine

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite; else it is PostgreSQL."""
        return self.writing.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that may write; it commits at the end of the block, or leaves nothing behind."""
        with self.writing.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that sees a steady picture and cannot write."""
        with self.reading.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of every connection."""
        self.writing.dispose()


def database_url(url: str, *, named: str = "store.url (or LISTENER_DATABASE_URL)") -> URL:
    """Return ``url`` with the driver Listener uses; raises ``ConfigError`` for one that it does not know.

    ``named`` is the setting that holds it.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The cause is not chained: its message may repeat the URL, and with it a password.
        raise ConfigError(
            f"{named} is not a database URL: write "
            "sqlite:///listener.db or postgresql+psycopg://user@host/database"
        ) from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return parsed.set(drivername="sqlite+pysqlite")
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(
        f"{named} names {parsed.drivername!r}, which Listener does not speak: write "
        "sqlite:///listener.db or postgresql+psycopg://user@host/database"
    )


def place_of(url: URL) -> str:
    """Name the database for people: the file, or host, port and database; never the password."""
    if url.drivername.startswith("sqlite"):
        return url.database or ":memory:"
    host = url.host or url.query.get("host") or "the local socket"
    return f"{url.database or ''} at {host}{f':{url.port}' if url.port else ''}".strip()


def connect(url: str, *, read_only: bool = False, connections: int | None = None) -> Database:
    """Return the database at ``url``, whatever it holds; no connection is made yet.

    ``connections`` is how many are kept open at the most (None: as many as SQLAlchemy thinks fit); where more are
    wanted at once, a few more are made for as long as that lasts.
    Raises ``ConfigError`` for a URL that is none, ``StoreError`` where SQLite has no folder or file to open.
    """
    parsed = database_url(url)
    place = place_of(parsed)
    pool = {} if connections is None else {"pool_size": connections}
    engine = (
        _sqlite_engine(parsed, read_only=read_only, pool=pool)
        if parsed.drivername.startswith("sqlite")
        else create_engine(
            parsed, connect_args=_patience(parsed), pool_pre_ping=True, hide_parameters=True, **pool
        )
    )
    translate(engine, place)
    reading = _reading(engine)
    return Database(place=place, writing=reading if read_only else engine, reading=reading)


def _patience(url: URL) -> dict[str, int]:
    """Return after how long a server is held to be gone, where the URL does not say (libpq's parameters)."""
    return {name: value for name, value in _PATIENCE.items() if name not in url.query}


def _reading(engine: Engine) -> Engine:
    if engine.dialect.name == "sqlite":
        return engine.execution_options(listener_reading=True)
    # By default each statement on PostgreSQL would see what was committed since the one before.
    return engine.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")


def _sqlite_engine(url: URL, *, read_only: bool, pool: Mapping[str, int]) -> Engine:
    name = url.database
    arguments: dict[str, Any] = {} if "timeout" in url.query else {"timeout": _BUSY_SECONDS}
    options: dict[str, Any] = {"hide_parameters": True}
    if not name or name == ":memory:":
        # One connection, or each would have an empty database of its own.
        options["poolclass"] = StaticPool
        arguments["check_same_thread"] = False
    else:
        options |= pool
        file = Path(name)
        if not file.parent.is_dir():
            raise StoreError(f"the database {name}: its folder does not exist; create {file.parent}")
        if read_only:
            if not file.exists():
                raise StoreError(f"there is no database at {name} yet: `listener ingest` makes it")
            url = url.set(database=file.resolve().as_uri()).update_query_dict({"mode": "ro", "uri": "true"})
    engine = create_engine(url, connect_args=arguments, **options)
    engine.dialect.statement_compiler = _Compiler
    event.listen(engine, "connect", _prepare_reader if read_only else _prepare)
    event.listen(engine, "begin", _begin)
    return engine


class _Compiler(SQLiteCompiler):
    """Writes hints (``INDEXED BY``) behind their table, which SQLAlchemy leaves out for SQLite."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002 - its caller's
        """Return the hint as it was given."""
        return text


def _prepare_reader(connection: DBAPIConnection, _record: object) -> None:
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - tells mypy the driver
    # Transactions begin in _begin and nowhere else.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _prepare(connection: DBAPIConnection, record: object) -> None:
    _prepare_reader(connection, record)
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - tells mypy the driver
    _use_wal(connection)
    # With WAL a killed process loses nothing that was committed; a power cut can lose the last commits, cursor
    # and data together, and the next run reads them again.
    connection.execute("PRAGMA synchronous = NORMAL")
    # A deleted text is written over within the file; not every SQLite was built to do so by itself.
    connection.execute("PRAGMA secure_delete = ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    # Changing the journal mode does not wait for SQLite's busy timeout: two first openings would collide.
    (wait,) = connection.execute("PRAGMA busy_timeout").fetchone()
    deadline = time.monotonic() + wait / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later can be refused in the middle: writers queue at the start.
    reading = connection.get_execution_options().get("listener_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def revision(connection: Connection) -> str | None:
    """Return the schema's revision, None for an empty database; raises ``StoreError`` for a foreign one."""
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if tables:
        raise StoreError(
            f"the database {place_of(connection.engine.url)}: it holds tables that are not Listener's; "
            "name an empty one in store.url"
        )
    return None


@contextmanager
def migration_transaction(database: Database) -> Iterator[Connection]:
    """One transaction in which only this process makes or upgrades tables."""
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": Lock.MIGRATION.value})
        yield connection


def ready(database: Database, *, read_only: bool = False, wanted: str = SCHEMA_VERSION) -> None:
    """Make the tables in an empty database; raises ``StoreError`` for a schema that is not ``wanted``."""
    with database.read() as connection:
        found = revision(connection)
        if database.is_sqlite:
            _require_fts5(connection, database.place)
    if found == wanted:
        return
    from storage.migrating import migrate, wrong_version

    if found is not None or read_only:
        raise wrong_version(database, found, wanted)
    migrate(database)


def _require_fts5(connection: Connection, place: str) -> None:
    modules = connection.exec_driver_sql("PRAGMA module_list").scalars()
    if _FTS5 not in set(modules):
        raise StoreError(
            f"the database {place}: this Python's SQLite has no full-text search (FTS5); use a Python that was "
            "built with it, as those of python.org and of Linux distributions are"
        )
