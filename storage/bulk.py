"""Many rows at once, the quickest way each database has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import ARRAY, ColumnElement, Text, any_, bindparam, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from storage.opening import place_of
from storage.refusals import refusals

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection, Table

_AT_ONCE = 1_000
"""How many values one ``IN`` takes: well below SQLite's limit of variables (32,766 since 3.32)."""

Row = Mapping[str, Any]
T = TypeVar("T")


def batches(values: Sequence[T], size: int = _AT_ONCE) -> Iterator[Sequence[T]]:
    """Yield ``values`` in slices of at most ``size``."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def among(connection: Connection, column: ColumnElement[T], values: Sequence[T]) -> ColumnElement[bool]:
    """Whether ``column`` is one of ``values`` (texts or whole numbers), which go as one parameter.

    An ``IN`` is another statement for each number of values, and has a parameter for each: to write and to read
    those costs more than to look the values up.
    """
    if connection.dialect.name == "sqlite":
        told = json.dumps(values, ensure_ascii=False)
        # SQLite's JSON ends a text at a NUL.
        if "\\u0000" in told:
            return column.in_(values)
        each = func.json_each(bindparam(None, told, Text, unique=True)).table_valued("value")
        return column.in_(select(each.c.value))
    return column == any_(bindparam(None, list(values), ARRAY(column.type), unique=True))


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an ``INSERT`` that can say what to do on a conflict; both dialects write it alike."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def same_keys(rows: Iterable[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Return ``rows`` in groups that one statement can write: those with the same keys."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        alike.setdefault(tuple(row), []).append(row)
    return alike.values()


def reserve_ids(connection: Connection, table: Table, count: int) -> list[int]:
    """Return ``count`` ids for new rows of ``table``, so that their links can be written with them.

    On SQLite they hold for the transaction in hand, which is the only one that writes.
    """
    if not count:
        return []
    if connection.dialect.name == "sqlite":
        last = connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
        return list(range(last + 1, last + 1 + count))
    drawn = text("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)")
    return list(connection.execute(drawn, {"table": table.name, "count": count}).scalars())


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert ``rows``, which all have the same keys, as :func:`insert_tuples` does."""
    if rows:
        names = tuple(rows[0])
        insert_tuples(connection, table, names, [tuple([row[name] for name in names]) for row in rows])


def insert_tuples(
    connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert ``rows``, whose values are those of the columns ``names``: ``executemany`` on SQLite, else ``COPY``.

    Both are handed to the driver in one go: SQLAlchemy's own way through each row costs as much as the insert.
    The values must be hashable.
    """
    if not rows:
        return
    given = zip(names, zip(*rows, strict=True), strict=True)
    values = list(zip(*(_written(connection, table, name, column) for name, column in given), strict=True))
    columns = ", ".join(names)
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(names))
        # The names are those of the schema.
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) VALUES ({places})", values)  # noqa: S608
        return
    driver = cast("psycopg.Connection", connection.connection.dbapi_connection)
    with (
        refusals(place_of(connection.engine.url)),
        driver.cursor() as cursor,
        cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy,
    ):
        for row in values:
            copy.write_row(row)


def _written(connection: Connection, table: Table, name: str, values: tuple[Any, ...]) -> Sequence[Any]:
    """Return the values of a column as the driver takes them."""
    kind = table.c[name].type.dialect_impl(connection.dialect)
    writer: Callable[[Any], Any] | None = kind.bind_processor(connection.dialect)
    if writer is None:
        return values
    # The rows of a page say much the same: the moment that it is, the same phrases, no moment at all.
    told = {value: writer(value) for value in set(values)}
    return [told[value] for value in values]
