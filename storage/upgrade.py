"""Looks after the schema: upgrade it, tell its version, partition it, check everything, make a backup."""

from __future__ import annotations

from collections.abc import Callable

from storage.backup import backup
from storage.checking import check
from storage.indexing import rebuild
from storage.migrating import migrate
from storage.opening import connect, ready, revision
from storage.partitioning import partition
from storage.schema import SCHEMA_VERSION

__all__ = ["backup", "check", "current", "partition", "reindex", "upgrade"]


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


def reindex(url: str, *, progress: Callable[[int], None] | None = None) -> int:
    """Make the full-text index at ``url`` anew; return how many mentions it has.

    ``progress`` is called with the number of mentions indexed so far. Raises ``StoreError`` where the database
    cannot be written, or where its schema is of another version.
    """
    database = connect(url)
    try:
        ready(database)
        return rebuild(database, progress=progress)
    finally:
        database.close()


def current(url: str) -> str | None:
    """Return the version of the schema at ``url``, None for an empty database; raises ``StoreError``."""
    database = connect(url, read_only=True)
    try:
        with database.read() as connection:
            return revision(connection)
    finally:
        database.close()
