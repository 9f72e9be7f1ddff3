"""The totals: the counts of all organizations together, by day and by week, summed from those of each.

They are summed anew, never moved by differences: a sum that is repeated is the same sum. Whoever counts days of an
organization marks them in the same transaction; who sums takes the marks away first, so that what is counted
meanwhile is marked still. A mention of two organizations counts for each, and so do its authors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, delete, func, insert, select, text, union

from listener.calendar import week_of_day
from storage.locks import Lock
from storage.schema import daily_totals, daily_volume, dirty_totals, weekly_totals, weekly_volume

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from storage.opening import Database


def sum_totals(database: Database, *, chunk_days: int) -> int:
    """Sum the marked days and their weeks anew, each chunk in one transaction; return how many days.

    One process at a time does so on PostgreSQL; a second one waits, and finds nothing left. It locks nothing that
    a count waits for.
    """
    done = 0
    while True:
        with database.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": Lock.TOTALS.value})
            days = _next_marked(connection, chunk_days)
            if not days:
                return done
            connection.execute(delete(dirty_totals).where(dirty_totals.c.day.in_(days)))
            _sum_anew(connection, daily_totals, daily_volume, days)
            _sum_anew(connection, weekly_totals, weekly_volume, sorted({week_of_day(day) for day in days}))
        done += len(days)


def mark_totals(connection: Connection, days: Sequence[int]) -> None:
    """Mark these days to be summed anew."""
    connection.execute(insert(dirty_totals), [{"day": day} for day in days])


def mark_all_totals(connection: Connection) -> None:
    """Mark every day and week that has totals: of those that nothing is counted for any more, nothing is left."""
    thursday = weekly_totals.c.week * 7
    everything = union(select(daily_totals.c.day), select(thursday))
    connection.execute(insert(dirty_totals).from_select(["day"], everything))


def sums_of(volume: Table, periods: Sequence[int] | None = None) -> Select[Any]:
    """Return the sums of ``volume`` over the organizations, in the columns of its totals.

    ``periods`` are days or weeks; None stands for all.
    """
    keys, counts = _columns(volume)
    query = select(*keys, *(func.sum(count).label(count.name) for count in counts)).group_by(*keys)
    return query if periods is None else query.where(keys[0].in_(periods))


def _sum_anew(connection: Connection, totals: Table, volume: Table, periods: Sequence[int]) -> None:
    keys, counts = _columns(volume)
    connection.execute(delete(totals).where(totals.c[keys[0].name].in_(periods)))
    names = [column.name for column in (*keys, *counts)]
    connection.execute(insert(totals).from_select(names, sums_of(volume, periods)))


def _columns(volume: Table) -> tuple[list[Any], list[Any]]:
    keys = [column for column in volume.primary_key if column.name != "organization_id"]
    return keys, [column for column in volume.c if not column.primary_key]


def _next_marked(connection: Connection, limit: int) -> list[int]:
    query = select(dirty_totals.c.day).distinct().order_by(dirty_totals.c.day).limit(limit)
    return list(connection.execute(query).scalars())
