"""The floor: the same rows into one bare table, with nothing but the driver.

Each row is a tuple of text and numbers, ready made; each page is one transaction. Every copy overwrites what
is there: no look before, no counts, no topics in a table of their own, no cursor.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from sqlalchemy.engine import make_url

from listener.signals.analysis import Signals
from storage.bulk import batches

if TYPE_CHECKING:
    from storage.records import Record

Row: TypeAlias = tuple[Any, ...]

_NUMBERS = ("likes", "replies", "shares", "views")
_KEY = ("channel", "external_id")
_WORDS = ("kind", "published_at", "language", "text", "permalink", "parent", "conversation", "author", "topics")
_COLUMNS = (*_KEY, *_WORDS, *_NUMBERS)
_NAMES = ", ".join(_COLUMNS)
_TABLE = (
    f"CREATE TABLE bare ({', '.join(f'{name} TEXT' for name in (*_KEY, *_WORDS))}, "
    f"{', '.join(f'{name} BIGINT' for name in _NUMBERS)}, PRIMARY KEY ({', '.join(_KEY)}))"
)
_OVERWRITE = (
    f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in (*_WORDS, *_NUMBERS))}"
)


def bare_row(record: Record) -> Row:
    """Return all that is kept of a record as one flat row."""
    mention, signals = record.mention, record.signals or Signals(None)
    return (
        mention.channel,
        mention.external_id,
        mention.kind.value,
        mention.published_at.isoformat(),
        signals.language,
        mention.text,
        mention.permalink,
        mention.parent_external_id,
        mention.conversation_id,
        record.pseudonym,
        ",".join(hit.slug for hit in signals.topics),
        *(getattr(mention.metrics, name) for name in _NUMBERS),
    )


def prepare(url: str) -> None:
    """Make the bare table in an empty database."""
    _with_connection(url, lambda connection: connection.execute(_TABLE))


def write(url: str, rows: Sequence[Row], page: int) -> None:
    """Write ``rows``, ``page`` of them a transaction, the quickest bare way that the database has."""
    put = _put_sqlite if url.startswith("sqlite") else _put_postgresql
    _with_connection(url, lambda connection: [put(connection, some) for some in batches(rows, page)])


def _with_connection(url: str, work: Callable[[Any], object]) -> None:
    parsed = make_url(url)
    if parsed.drivername == "sqlite":
        assert parsed.database is not None
        with closing(sqlite3.connect(parsed.database)) as connection:
            # As the store has it.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            work(connection)
            connection.commit()
        return
    plain = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as server:
        work(server)


def _put_sqlite(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    places = ", ".join("?" * len(_COLUMNS))
    with connection:
        connection.executemany(f"INSERT INTO bare ({_NAMES}) VALUES ({places}) {_OVERWRITE}", rows)


def _put_postgresql(connection: psycopg.Connection, rows: Sequence[Row]) -> None:
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS page (LIKE bare) ON COMMIT DELETE ROWS")
    with connection.cursor() as cursor, cursor.copy(f"COPY page ({_NAMES}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    connection.execute(f"INSERT INTO bare ({_NAMES}) SELECT {_NAMES} FROM page {_OVERWRITE}")
    connection.commit()
