"""Looks a database over: is the file sound, is the schema ours, do index and counts tell the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKeyConstraint, Table, except_, func, select, true

from listener.calendar import week_of_day
from storage.indexing import differing
from storage.migrating import wrong_version
from storage.opening import Database, connect, revision
from storage.partitions import (
    KEYS,
    UNIQUE_WITHIN,
    is_of_another_day,
    is_partitioned,
    month_in_sql,
    month_of_id,
    partition_names,
    partitioned_tables,
    unconstrained,
)
from storage.rolling import daily_counts, weekly_counts
from storage.schema import (
    SCHEMA_VERSION,
    daily_totals,
    daily_volume,
    dirty_days,
    dirty_totals,
    mention_organizations,
    mention_words,
    mentions,
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
                *_misplaced(connection),
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
    is_sqlite = connection.dialect.name == "sqlite"
    parents = {table.name for table in partitioned_tables(connection)}
    partitions = {name for table in KEYS for name in partition_names(connection, table)}

    def compared(thing: Any, name: str, kind: str, *_: Any) -> bool:
        if kind == "foreign_key_constraint" and _target(thing) in partitions:
            # PostgreSQL's own, of a key that points at the whole table.
            return False
        if kind in ("unique_constraint", "foreign_key_constraint") and thing.table.name in parents:
            return not _holds_within_partitions(thing)
        table = thing.table.name if kind == "index" else name
        # FTS5 keeps tables of its own beside the index, and knows neither types nor keys.
        is_fts5 = is_sqlite and table.startswith(mention_words.name)
        return not (kind in ("table", "index") and (is_fts5 or table in partitions))

    return compared


def _holds_within_partitions(constraint: Any) -> bool:
    if isinstance(constraint, ForeignKeyConstraint):
        return _target(constraint) == mentions.name
    return [column.name for column in constraint.columns] == list(UNIQUE_WITHIN)


def _target(constraint: ForeignKeyConstraint) -> str:
    return constraint.elements[0].target_fullname.split(".")[-2]


def _misplaced(connection: Connection) -> Iterator[str]:
    """Tell what only partitions can have wrong: no index goes over all of them."""
    if not is_partitioned(connection):
        return
    tables = partitioned_tables(connection)
    suffixes = {
        table: {name.removeprefix(f"{table.name}_") for name in partition_names(connection, table)}
        for table in tables
    }
    for table in tables:
        for suffix in sorted(suffixes[table] ^ suffixes[mentions]):
            yield f"only one of {mentions.name} and {table.name} has a partition {suffix}: restore a backup"
        for name in unconstrained(connection, table):
            yield f"the partition {name} was changed by hand: it has lost its unique or foreign key"
    names = select(*(mentions.c[name] for name in UNIQUE_WITHIN)).group_by(
        *(mentions.c[name] for name in UNIQUE_WITHIN)
    )
    twice = names.having(func.count() > 1).subquery()
    if count := connection.execute(select(func.count()).select_from(twice)).scalar_one():
        yield f"{count} mentions are stored in two months: restore a backup"
    elsewhere = month_of_id(mentions.c.id) != month_in_sql(mentions.c.published_at)
    if count := connection.execute(select(func.count()).select_from(mentions).where(elsewhere)).scalar_one():
        yield f"{count} mentions are of another month than their ids say: restore a backup"
    links = mention_organizations.join(mentions, mentions.c.id == mention_organizations.c.mention_id)
    astray = select(func.count()).select_from(links).where(is_of_another_day())
    if count := connection.execute(astray).scalar_one():
        yield f"{count} mentions are counted on another day than they were published on: restore a backup"


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
