"""Runs the migrations, and says what to do about a schema that is not this program's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from listener.errors import StoreError
from storage.opening import migration_transaction, revision
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


def is_older(found: str, wanted: str = SCHEMA_VERSION) -> bool:
    """Say whether ``found`` is a revision that the migrations lead on from."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(alembic_config())
    return found in {script.revision for script in scripts.walk_revisions()} - {wanted}


def wrong_version(database: Database, found: str | None, wanted: str = SCHEMA_VERSION) -> StoreError:
    """Return the error that says what to do about a schema ``found`` that is not the one ``wanted``."""
    if found is None:
        return StoreError(f"the database {database.place}: it is empty; `listener ingest` fills it")
    if is_older(found, wanted):
        return StoreError(
            f"the database {database.place}: its schema {found} is older than this Listener's "
            f"{wanted}; run `listener db upgrade`"
        )
    return StoreError(
        f"the database {database.place}: its schema {found} is not known to this Listener (which has "
        f"{wanted}): a newer one wrote it; install that version"
    )


def migrate(database: Database) -> None:
    """Bring the schema to this program's version in one transaction; other processes wait for it."""
    from alembic import command

    with migration_transaction(database) as connection:
        found = revision(connection)
        if found == SCHEMA_VERSION:
            return
        if found is not None and not is_older(found):
            raise wrong_version(database, found)
        command.upgrade(alembic_config(connection), "head")
