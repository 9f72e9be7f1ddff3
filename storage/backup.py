"""Copies a database to a file while others go on using it."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from listener.errors import ConfigError, StoreError
from storage.opening import Database, connect
from storage.refusals import refusals

if TYPE_CHECKING:
    import psycopg

# Only the copy is written to, so these are about its disk.
_UNWRITABLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC)


def backup(url: str, file: Path, *, pg_dump: str | None = None) -> None:
    """Copy the database at ``url`` to ``file``, as it is at one moment; the file appears whole or not at all.

    SQLite gives a database that can be used as it is, PostgreSQL an archive for ``pg_restore``. ``pg_dump``
    names that program; by default it is looked for on the path. Raises ``ConfigError`` where ``file`` is the
    database itself or cannot be written, ``StoreError`` where the database cannot be read, or where
    PostgreSQL's ``pg_dump`` is missing or fails.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    database = connect(url, read_only=True)
    try:
        if not file.parent.is_dir():
            raise ConfigError(f"cannot write {file}: create the folder {file.parent} first")
        # Made first, for its owner alone: what people wrote is in it. Python's error says why a file cannot be
        # written, SQLite's does not.
        beside.touch(mode=0o600)
        if database.is_sqlite:
            _refuse_itself(database, file)
            _copy_sqlite(database, beside)
        else:
            _dump_postgresql(database, beside, pg_dump or shutil.which("pg_dump"))
        beside.replace(file)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}; name another file") from error
    finally:
        database.close()
        beside.unlink(missing_ok=True)


def _refuse_itself(database: Database, file: Path) -> None:
    # Put in the database's place, the copy would lose what others are writing, and get its write-ahead log.
    live = [Path(f"{database.place}{ending}") for ending in ("", "-wal", "-shm")]
    if any(file.exists() and one.exists() and file.samefile(one) for one in live):
        raise ConfigError(f"cannot write {file}: it is the database itself; name another file")


def _copy_sqlite(database: Database, file: Path) -> None:
    with database.reading.connect() as connection, refusals(database.place):
        source = cast("sqlite3.Connection", connection.connection.dbapi_connection)
        try:
            with closing(sqlite3.connect(file)) as target:
                source.backup(target)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) in _UNWRITABLE:
                raise OSError(errno.ENOSPC, str(error)) from error
            raise


def _dump_postgresql(database: Database, file: Path, program: str | None) -> None:
    if program is None:
        raise StoreError(
            "pg_dump was not found: install the PostgreSQL client programs, or run pg_dump on the server"
        )
    with database.read() as connection:
        driver = cast("psycopg.Connection[Any]", connection.connection.dbapi_connection)
        # The driver's own account of where it is connected leaves the password out.
        where, password = driver.info.dsn, driver.info.password
    try:
        done = subprocess.run(  # noqa: S603 - a list of arguments, no shell
            [program, "--format=custom", "--no-password", f"--file={file}", f"--dbname={where}"],
            env={**os.environ, **({"PGPASSWORD": password} if password else {})},
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise StoreError(f"{program} cannot be run: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise StoreError(f"pg_dump failed: {said[-1]}")
