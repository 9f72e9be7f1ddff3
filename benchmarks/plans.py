"""What the database does for a question: which tables it reads from end to end instead of by an index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from storage.schema import metadata

if TYPE_CHECKING:
    from storage.opening import Database


_SHARES = ("(channel_id=?)", "(organization_id=?)", "(source=?)")
"""What SQLite searches an index for where it reads a good share of the table: nothing else narrows it."""


@contextmanager
def statements(database: Database, *, every: bool = False) -> Iterator[list[tuple[str, Any]]]:
    """Note what a block asks of the database, with its parameters; with ``every``, what it writes, too."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if every or statement.lstrip().upper().startswith(("SELECT", "WITH")):
            asked.append((statement, parameters))

    # Of the engine that both kinds of transaction share: a listener on a copy with options hears nothing.
    event.listen(database.writing, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(database.writing, "before_cursor_execute", note)


def read_whole(database: Database, asked: Iterable[tuple[str, Any]], *, larger_than: int = 1_000) -> list[str]:
    """Return the tables of more than ``larger_than`` rows that these statements read from end to end.

    A walk along an index that leaves nothing out counts too, marked ``by index``: it is as long.
    """
    with database.read() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        cursor = raw.cursor()
        found: dict[str, None] = {}
        for statement, parameters in asked:
            steps = _sqlite_scans if database.is_sqlite else _postgresql_scans
            # Many rows that one statement writes are planned as one.
            first = parameters[0] if isinstance(parameters, list) else parameters
            for table, how in steps(cursor, statement, first):
                cursor.execute(
                    f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {larger_than + 1}) AS rows_there"
                )
                (count,) = cursor.fetchall()[0]
                if count > larger_than:
                    found[f"{table}{how}"] = None
        return list(found)


def _sqlite_scans(cursor: Any, statement: str, parameters: Any) -> Iterator[tuple[str, str]]:
    for *_, step in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall():
        words = step.split()
        if "VIRTUAL TABLE INDEX" in step and words[-1].partition(":")[2]:
            # The full-text index, asked for words or for rows.
            continue
        if words[0] == "SCAN" and words[1] in metadata.tables:
            yield words[1], " by index" if "INDEX" in words else ""
        elif words[0] == "SEARCH" and words[1] in metadata.tables and words[-1] in _SHARES:
            yield words[1], f" by {words[-1].strip('()')}"


def _postgresql_scans(cursor: Any, statement: str, parameters: Any) -> Iterator[tuple[str, str]]:
    (plan,) = cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters).fetchone()
    waiting = [step["Plan"] for step in plan]
    while waiting:
        step = waiting.pop()
        waiting += step.get("Plans", ())
        if step.get("Relation Name") not in metadata.tables:
            continue
        if step["Node Type"] == "Seq Scan":
            yield step["Relation Name"], ""
        elif "Index Cond" not in step and step["Node Type"] in ("Index Scan", "Index Only Scan"):
            yield step["Relation Name"], " by index"
