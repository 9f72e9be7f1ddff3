"""Months as partitions, on PostgreSQL: ids that carry the month of publication, and the tables that hold a month.

In a partitioned store the id of a mention is the month (UTC) in which it was published, above a number of its own.
So ``mentions`` and the tables that hang on it are cut by their ids alone: every primary key stays what it is, no
column is added, and rows that belong together lie in partitions of one month. What an unpartitioned store needs
of this is nothing: its ids are the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Table,
    and_,
    cast,
    extract,
    func,
    literal,
    text,
    true,
)

from listener.calendar import day_date, day_number
from storage.bulk import reserve_ids
from storage.locks import Lock
from storage.schema import mention_metrics, mention_organizations, mention_topics, mention_words, mentions

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection

NUMBER_BITS = 36
"""How many bits of an id are the mention's number. Up to the year 9999 ids stay below 2^53, so that JSON and
floating-point columns hold them."""

KEYS: dict[Table, Column[int]] = {
    mentions: mentions.c.id,
    **{
        table: table.c.mention_id
        for table in (mention_words, mention_organizations, mention_metrics, mention_topics)
    },
}
"""The tables that are partitioned, ``mentions`` first, and the column that each is cut by."""

UNIQUE_WITHIN = ("channel_id", "external_id")
"""What is unique within each partition, and in the whole store because writers of a channel take turns."""

LATEST = 2100 * 12
"""The month from which on partitions are not made by the month."""

_FIRST_DAY, _LAST_DAY = day_number(date.min), day_number(date.max)
_BEFORE = "before"
_AFTER = "after"
_KNOWN = "listener_is_partitioned"
_UPPER_BOUND = re.compile(r"TO \('?(\d+)'?\)")


def month_of(moment: datetime) -> int:
    """Return the month of a moment in UTC, counted from January of the year 0."""
    at = moment.astimezone(UTC)
    return at.year * 12 + at.month - 1


def first_id(month: int) -> int:
    """Return the id below which no mention of ``month`` or later lies."""
    return month << NUMBER_BITS


def month_in_sql(published_at: ColumnElement[Any]) -> ColumnElement[int]:
    """Return the month of a moment in SQL, as :func:`month_of` has it."""
    at = func.timezone("UTC", published_at)
    year, month = (cast(extract(part, at), BigInteger) for part in ("year", "month"))
    return year * 12 + month - 1


def is_of_another_day() -> ColumnElement[bool]:
    """Whether a link's day is none that its mention was published on, in whatever time zone."""
    utc = func.floor(extract("epoch", mentions.c.published_at) / 86_400)
    return func.abs(mention_organizations.c.day - utc) > 1


def month_of_id(key: ColumnElement[int]) -> ColumnElement[int]:
    """Return the month that an id says, in SQL."""
    return key.bitwise_rshift(literal(NUMBER_BITS, Integer))


def id_in_sql(month: ColumnElement[int], number: ColumnElement[int]) -> ColumnElement[int]:
    """Return the id of a mention of ``month`` with this number, in SQL."""
    return month.bitwise_lshift(literal(NUMBER_BITS, Integer)).bitwise_or(number)


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition of each table: how their names end, and its bounds as PostgreSQL writes them."""

    suffix: str
    lower: str
    upper: str

    def name(self, table: Table) -> str:
        """Return the name of the table's part."""
        return f"{table.name}_{self.suffix}"


def before(month: int) -> Partition:
    """Return the partition of everything that was published before ``month``."""
    return Partition(_BEFORE, "MINVALUE", str(first_id(month)))


def of_month(month: int) -> Partition:
    """Return the partition of ``month``, named after PostgreSQL's own examples: ``y2026m11``."""
    return Partition(f"y{month // 12:04}m{month % 12 + 1:02}", str(first_id(month)), str(first_id(month + 1)))


def after() -> Partition:
    """Return the partition of dates that nothing can have: no archive makes thousands of months with them."""
    return Partition(_AFTER, str(first_id(LATEST)), "MAXVALUE")


def is_partitioned(connection: Connection) -> bool:
    """Say whether the store is partitioned.

    Yes is asked for once a connection; no each time, for a store may be partitioned while others have it open.
    """
    if connection.dialect.name == "sqlite":
        return False
    if not connection.info.get(_KNOWN):
        kind = text("SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)")
        connection.info[_KNOWN] = connection.execute(kind, {"name": mentions.name}).scalar_one_or_none() == "p"
    return bool(connection.info[_KNOWN])


def mention_ids(connection: Connection, published: Sequence[datetime]) -> list[int]:
    """Return ids for new mentions that were published at these moments; months that are missing are made."""
    numbers = reserve_ids(connection, mentions, len(published))
    if not numbers or not is_partitioned(connection):
        return numbers
    months = [month_of(moment) for moment in published]
    make_months(connection, set(months))
    return [first_id(month) + number for month, number in zip(months, numbers, strict=True)]


def in_days(
    connection: Connection, first_day: int | None, last_day: int | None, *keys: Column[int]
) -> ColumnElement[bool]:
    """Return the condition on ``keys``, ids of mentions, that lets a partitioned store look at these months alone.

    Days may be those of any time zone: a day more at either end is in. What is joined to the keys is looked for
    in the same months, for as long as the transaction lasts. An unpartitioned store gets no condition.
    """
    if not is_partitioned(connection) or (first_day is None and last_day is None):
        return true()
    # A join that goes partition by partition leaves out those of which one side has none. To plan it takes long
    # where none is left out, so that it is no setting for everything.
    connection.exec_driver_sql("SET LOCAL enable_partitionwise_join = on")
    lower = [] if first_day is None else [key >= first_id(_month_of_day(first_day - 1)) for key in keys]
    upper = [] if last_day is None else [key < first_id(_month_of_day(last_day + 1) + 1) for key in keys]
    return and_(true(), *lower, *upper)


def in_months(moments: Sequence[datetime], key: Column[int]) -> ColumnElement[bool]:
    """Return the condition that the id ``key`` is of the months of ``moments``, or between; without them none."""
    if not moments:
        return true()
    return and_(key >= first_id(month_of(min(moments))), key < first_id(month_of(max(moments)) + 1))


def _month_of_day(day: int) -> int:
    at = day_date(min(max(day, _FIRST_DAY), _LAST_DAY))
    return at.year * 12 + at.month - 1


def make_months(connection: Connection, months: Iterable[int]) -> None:
    """Make the partitions of those of ``months`` that have none, in every partitioned table.

    What one transaction makes others can use once it has committed; who wants the same waits until then.
    """
    if not (missing := _missing(connection, months)):
        return
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": Lock.PARTITIONS.value})
    if not (missing := _missing(connection, missing)):
        return
    # A foreign key takes these locks on the tables that it points at. Taken in the order in which others write to
    # them (storage.registry), so that nobody waits here for somebody who waits for this.
    connection.exec_driver_sql("LOCK TABLE organizations, channels, topics, authors IN SHARE ROW EXCLUSIVE MODE")
    for table in partitioned_tables(connection):
        parameters = _last_parameters(connection, table)
        for month in missing:
            create(connection, table, of_month(month), parameters)
            constrain(connection, table, of_month(month))
            attach(connection, table, of_month(month))


def partitioned_tables(connection: Connection) -> list[Table]:
    """Return those of the tables that are partitioned, ``mentions`` first."""
    if connection.dialect.name == "sqlite":
        return []
    kinds = text(
        "SELECT name FROM unnest(cast(:names AS text[])) AS name "
        "JOIN pg_class ON oid = to_regclass(name) WHERE relkind = 'p'"
    )
    found = set(connection.execute(kinds, {"names": [table.name for table in KEYS]}).scalars())
    return [table for table in KEYS if table.name in found]


def _missing(connection: Connection, months: Iterable[int]) -> list[int]:
    """Return those of ``months`` that no partition of ``mentions`` holds, in their order."""
    wanted = {of_month(month).name(mentions): month for month in sorted(months) if month < LATEST}
    oldest = f"{mentions.name}_{_BEFORE}"
    query = text(
        "SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_inherits JOIN pg_class ON oid = inhrelid "
        "WHERE inhparent = to_regclass(:parent) AND relname = ANY(:names)"
    )
    asked = {"parent": mentions.name, "names": [oldest, *wanted]}
    there: dict[str, str] = dict(tuple(row) for row in connection.execute(query, asked))
    bound = _UPPER_BOUND.search(there.get(oldest, ""))
    first = int(bound[1]) if bound else 0
    return [month for name, month in wanted.items() if name not in there and first_id(month) >= first]


def partition_names(connection: Connection, table: Table) -> list[str]:
    """Return the names of the table's partitions, sorted; none where it is not partitioned."""
    if connection.dialect.name == "sqlite":
        return []
    query = text(
        "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid "
        "WHERE inhparent = to_regclass(:parent) ORDER BY relname"
    )
    return list(connection.execute(query, {"parent": table.name}).scalars())


def unconstrained(connection: Connection, table: Table) -> list[str]:
    """Return the names of those partitions of the table that lack what :func:`constrain` gave them."""
    query = text(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = to_regclass(:parent) AND NOT EXISTS (SELECT FROM pg_constraint "
        "WHERE conrelid = inhrelid AND conname = :rule || relname || :columns) ORDER BY relname"
    )
    rule, columns = _rule(table)
    asked = {"parent": table.name, "rule": f"{rule}_", "columns": f"_{'_'.join(columns)}"}
    return list(connection.execute(query, asked).scalars())


def _rule(table: Table) -> tuple[str, Sequence[str]]:
    return ("uq", UNIQUE_WITHIN) if table is mentions else ("fk", (KEYS[table].name,))


def _last_parameters(connection: Connection, table: Table) -> str:
    # A partitioned table has none of its own: those of its last partition are gone on with.
    return storage_parameters(connection, partition_names(connection, table)[-1])


def storage_parameters(connection: Connection, name: str) -> str:
    """Return the storage parameters that the table of this name was given, as ``WITH`` takes them."""
    query = text(
        "SELECT unnest(reloptions) FROM pg_class WHERE oid = to_regclass(:name) UNION ALL "
        "SELECT 'toast.' || unnest(toast.reloptions) FROM pg_class AS own JOIN pg_class AS toast "
        "ON toast.oid = own.reltoastrelid WHERE own.oid = to_regclass(:name)"
    )
    return ", ".join(connection.execute(query, {"name": name}).scalars())


def create(connection: Connection, table: Table, partition: Partition, parameters: str) -> None:
    """Make a table like ``table``, with its indexes and these storage parameters; it is no part of it yet."""
    options = f" WITH ({parameters})" if parameters else ""
    connection.exec_driver_sql(f"CREATE TABLE {partition.name(table)} (LIKE {table.name} INCLUDING ALL){options}")


def attach(connection: Connection, table: Table, partition: Partition) -> None:
    """Make what :func:`create` made a partition."""
    connection.exec_driver_sql(
        f"ALTER TABLE {table.name} ATTACH PARTITION {partition.name(table)} "
        f"FOR VALUES FROM ({partition.lower}) TO ({partition.upper})"
    )


def constrain(connection: Connection, table: Table, partition: Partition) -> None:
    """Add what holds within a partition alone: channel and external id are unique, links point into its month."""
    name = partition.name(table)
    rule, columns = _rule(table)
    constraint = f"{rule}_{name}_{'_'.join(columns)}"
    listed = ", ".join(columns)
    what = (
        f"UNIQUE ({listed})"
        if table is mentions
        else f"FOREIGN KEY ({listed}) REFERENCES {partition.name(mentions)} (id)"
    )
    connection.exec_driver_sql(f"ALTER TABLE {name} ADD CONSTRAINT {constraint} {what}")
