"""Looks a database over: is the file sound, is the schema ours, do index and counts tell the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, except_, select, true

from listener.calendar import week_of_day
from storage.indexing import differing
from storage.migrating import wrong_version
from storage.opening import Database, connect, revision
from storage.rolling import daily_counts, weekly_counts
from storage.schema import (
    SCHEMA_VERSION,
    daily_totals,
    daily_volume,
    dirty_days,
    dirty_totals,
    mention_words,
    metadata,
    organizations,
    weekly_totals,
    weekly_volume,
)
from storage.totals import sums_of

if TYPE_CHECKING:
    from sqlalchemy import Connection


def check(url: str) -> list[str]:
    """Look the database at ``url`` over, whole; return one line for each thing wrong, with its fix.

    Raises ``StoreError`` where it cannot be read, or where its schema is of another version.
    """
    database = connect(url, read_only=True)
    try:
        with database.read() as connection:
            found = revision(connection)
            if found != SCHEMA_VERSION:
                raise wrong_version(database, found)
            return [
                *_unsound(database, connection),
                *_drifted(connection),
                *_misindexed(connection),
                *_miscounted(connection),
                *_missummed(connection),
            ]
    finally:
        database.close()


def _unsound(database: Database, connection: Connection) -> Iterator[str]:
    # PostgreSQL looks after its own files and keys.
    if not database.is_sqlite:
        return
    for (finding,) in connection.exec_driver_sql("PRAGMA integrity_check"):
        if finding != "ok":
            yield f"the file is damaged ({finding}): restore a backup"
    for table, row, target, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} points at no row of {target}: restore a backup"


def _drifted(connection: Connection) -> Iterator[str]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"include_object": _is_compared(connection)})
    for difference in compare_metadata(context, metadata):
        yield f"the schema was changed by hand: {_told(difference)}"


def _is_compared(connection: Connection) -> Callable[..., bool]:
    # FTS5 keeps tables of its own beside the index, and knows neither types nor keys.
    is_sqlite = connection.dialect.name == "sqlite"

    def compared(thing: Any, name: str, kind: str, *_: Any) -> bool:
        table = thing.table.name if kind == "index" else name
        return not (is_sqlite and kind in ("table", "index") and table.startswith(mention_words.name))

    return compared


def _told(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(_told(one) for one in difference)
    return " ".join(str(part) for part in difference)


def _misindexed(connection: Connection) -> Iterator[str]:
    wrong, otherwise = differing(connection)
    if wrong:
        yield f"{wrong} mentions are missing in the full-text index, or too many: run `listener db reindex`"
    if otherwise:
        yield f"{otherwise} mentions are found by other words than they have: run `listener db reindex`"


def _miscounted(connection: Connection) -> Iterator[str]:
    slugs = {row.id: row.slug for row in connection.execute(select(organizations.c.id, organizations.c.slug))}
    waiting = {
        (row.organization_id, row.day)
        for row in connection.execute(select(dirty_days.c.organization_id, dirty_days.c.day).distinct())
    }
    days = _differing(connection, daily_volume, daily_counts(true())) - waiting
    weeks = _differing(connection, weekly_volume, weekly_counts(true())) - {
        (organization, week_of_day(day)) for organization, day in waiting
    }
    for noun, wrong in (("days", days), ("weeks", weeks)):
        for organization in sorted({organization for organization, _ in wrong}):
            count = sum(one == organization for one, _ in wrong)
            yield f"{count} {noun} of {slugs[organization]} are miscounted: run `listener rollup --rebuild`"


def _missummed(connection: Connection) -> Iterator[str]:
    waiting = set(connection.execute(select(dirty_totals.c.day)).scalars())
    days = {day for day, _ in _differing(connection, daily_totals, sums_of(daily_volume))} - waiting
    weeks = {week for week, _ in _differing(connection, weekly_totals, sums_of(weekly_volume))}
    weeks -= set(map(week_of_day, waiting))
    for noun, wrong in (("days", days), ("weeks", weeks)):
        if wrong:
            yield (
                f"the totals of {len(wrong)} {noun} are not the sums over the organizations: "
                "run `listener rollup --rebuild`"
            )


def _differing(connection: Connection, stored: Table, recount: Any) -> set[tuple[int, int]]:
    """Return the first two keys of the stored counts that are not what a recount gives."""
    counted = select(recount.subquery())
    kept = select(stored)
    return {
        (row[0], row[1])
        for one, other in ((counted, kept), (kept, counted))
        for row in connection.execute(except_(one, other))
    }
