"""``listener db``: the database's schema, health and copies."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from listener.cli.state import state_of
from listener.cli.values import day
from listener.clock import SystemClock
from listener.errors import StoreError

if TYPE_CHECKING:
    from rich.progress import TaskID

_YEARS = 5
"""How many years have partitions by the month, if nobody says otherwise: each slows questions without dates."""

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
def partition(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="The first month with partitions of its own [default: five years ago]."),
    ] = None,
) -> None:
    """Partition the mentions by the month of publication: for large stores, on PostgreSQL alone.

    Nothing else reads or writes until it is done. It needs as much free disk as the mentions take now; stopped,
    it leaves the store as it was.
    """
    from storage import upgrade as schema

    state = state_of(context)
    with state.progress() as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        made = schema.partition(
            state.settings.database_url, since=day(since, "--since") or _years_ago(), progress=show
        )
    said = f"{made.mentions} mentions in {made.partitions} partitions"
    state.out.print(said if made.is_new else f"partitioned already: {said}")


def _years_ago() -> date:
    now = SystemClock().now()
    return date(now.year - _YEARS, now.month, 1)


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
