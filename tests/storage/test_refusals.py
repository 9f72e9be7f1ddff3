"""What a database refuses is told with its fix; a mistake of ours stays one."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest

from listener.errors import StoreError
from storage.refusals import explain, refusals


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
