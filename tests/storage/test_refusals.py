"""What a database refuses is told with its fix; a mistake of ours stays one."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import Connection, insert

from listener.errors import StoreError
from storage.bulk import insert_rows
from storage.refusals import explain, refusals
from storage.schema import organizations
from storage.store import MentionStore


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (sqlite_error(sqlite3.SQLITE_FULL), "the disk is full"),
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), "the disk failed"),
        (sqlite_error(sqlite3.SQLITE_READONLY_DIRECTORY), "it is read-only"),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), "it is damaged"),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), "another process holds it locked"),
        (psycopg.errors.DiskFull("x"), "the server's disk is full"),
        (psycopg.errors.TooManyConnections("x"), "the server is out of resources"),
        (psycopg.errors.ReadOnlySqlTransaction("x"), "it is read-only"),
        (psycopg.errors.InsufficientPrivilege("x"), "the role lacks a privilege"),
        (psycopg.errors.InvalidPassword("x"), "refuses the role or its password"),
        (psycopg.errors.InvalidCatalogName("x"), "there is no such database"),
        (psycopg.errors.DeadlockDetected("x"), "it had to give way"),
        (psycopg.errors.AdminShutdown("x"), "shutting down"),
        (psycopg.OperationalError("the connection is lost"), "the server does not answer"),
    ],
)
def test_refusals_name_the_fix(error: Exception, told: str) -> None:
    assert told in (explain(error) or "")
    with pytest.raises(StoreError, match=f"the database here: .*{told}") as caught, refusals("here"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        sqlite_error(sqlite3.SQLITE_ERROR),
        sqlite_error(sqlite3.SQLITE_CONSTRAINT_UNIQUE),
        psycopg.errors.UndefinedTable("x"),
        psycopg.errors.UniqueViolation("x"),
        psycopg.ProgrammingError("x"),
        ValueError("x"),
    ],
)
def test_mistakes_stay_mistakes(error: Exception) -> None:
    assert explain(error) is None
    with pytest.raises(type(error), match="x"), refusals("here"):
        raise error


@pytest.mark.parametrize(
    "write",
    [
        lambda connection, row: insert_rows(connection, organizations, [row]),
        lambda connection, row: connection.execute(insert(organizations), row),
    ],
    ids=["many at once", "a statement"],
)
def test_a_mistake_does_not_tell_what_stands_in_the_row(
    store_url: str, write: Callable[[Connection, dict[str, str | None]], object]
) -> None:
    row = {"slug": "a", "name": "my nurse was rude", "timezone": None}
    with (
        MentionStore.open(store_url) as store,
        pytest.raises(Exception, match=r"(?i)null") as caught,
        store.database.write() as connection,
    ):
        write(connection, row)
    told = "".join(traceback.format_exception(caught.value))
    assert "timezone" in told
    assert "nurse" not in told
