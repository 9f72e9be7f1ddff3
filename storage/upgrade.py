"""Looks after the schema: upgrade it, tell its version, check everything, make a backup."""

from __future__ import annotations

from storage.backup import backup
from storage.checking import check
from storage.migrating import migrate
from storage.opening import connect, revision
from storage.schema import SCHEMA_VERSION

__all__ = ["backup", "check", "current", "upgrade"]


def upgrade(url: str) -> tuple[str | None, str]:
    """Upgrade the database at ``url``; return the schema's version before (None: it was empty) and after.

    Raises ``StoreError`` where the database cannot be reached or a newer Listener wrote it.
    """
    database = connect(url)
    try:
        with database.read() as connection:
            before = revision(connection)
        migrate(database)
    finally:
        database.close()
    return before, SCHEMA_VERSION


def current(url: str) -> str | None:
    """Return the version of the schema at ``url``, None for an empty database; raises ``StoreError``."""
    database = connect(url, read_only=True)
    try:
        with database.read() as connection:
            return revision(connection)
    finally:
        database.close()
