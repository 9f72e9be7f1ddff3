"""Looks after the schema: upgrade, its version, a check of everything, and a backup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from listener.errors import StoreError
from storage.opening import connect, migrating, revision
from storage.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

    from storage.opening import Database


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for this store, without an ini file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def is_older(found: str) -> bool:
    """Say whether ``found`` is a revision that the migrations lead on from."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(alembic_config())
    return found in {script.revision for script in scripts.walk_revisions()} - {SCHEMA_VERSION}


def migrate(database: Database) -> None:
    """Bring the schema to this program's version in one transaction; other processes wait for it."""
    from alembic import command

    with migrating(database) as connection:
        found = revision(connection)
        if found == SCHEMA_VERSION:
            return
        if found is not None and not is_older(found):
            raise StoreError(
                f"the database {database.place}: its schema {found} is not known to this Listener (which has "
                f"{SCHEMA_VERSION}): a newer one wrote it; install that version"
            )
        command.upgrade(alembic_config(connection), "head")


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
