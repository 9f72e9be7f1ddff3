"""``listener db``: the database's schema, health and copies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from listener.cli.state import state_of
from listener.errors import StoreError

app = typer.Typer(help="Look after the database.", no_args_is_help=True)


@app.command()
def upgrade(context: typer.Context) -> None:
    """Bring the schema up to date; an empty database gets the whole schema."""
    from storage import upgrade as schema

    state = state_of(context)
    before, after = schema.upgrade(state.settings.database_url)
    state.out.print(f"schema {after}" + (" already" if before == after else f" (was {before or 'empty'})"))


@app.command()
def current(context: typer.Context) -> None:
    """Print the schema version of the database, and the one this Listener needs."""
    from storage import upgrade as schema
    from storage.schema import SCHEMA_VERSION

    state = state_of(context)
    found = schema.current(state.settings.database_url)
    state.out.print(f"database {found or 'empty'}, needed {SCHEMA_VERSION}")


@app.command()
def check(context: typer.Context) -> None:
    """Check the database's integrity, schema, index and counts; leaves with 5 and what is wrong."""
    from storage import upgrade as schema

    state = state_of(context)
    problems = schema.check(state.settings.database_url)
    if problems:
        raise StoreError("\n".join(problems))
    state.out.print("the database is sound")


@app.command()
def reindex(context: typer.Context) -> None:
    """Make the full-text index anew from the texts; nothing is ingested until it is done."""
    from storage import upgrade as schema

    state = state_of(context)
    with state.progress() as bar:
        task = bar.add_task("mentions", total=None)
        count = schema.reindex(state.settings.database_url, progress=lambda done: bar.update(task, completed=done))
    state.out.print(f"{count} mentions indexed")


@app.command()
def backup(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where the copy goes; written whole or not at all.")
    ],
) -> None:
    """Copy the database to FILE while it is in use."""
    from storage import upgrade as schema

    state = state_of(context)
    schema.backup(state.settings.database_url, file)
    state.out.print(str(file))
