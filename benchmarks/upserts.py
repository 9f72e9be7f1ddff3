"""The yardstick of the store: the very same rows into the same tables, by hand-written SQL and the driver alone.

The rows are what the store made of the mentions, ids and words for the full-text index included, ready as tuples.
A page is one transaction: on SQLite ``executemany`` with ``ON CONFLICT … DO UPDATE … WHERE`` something differs, on
PostgreSQL ``COPY`` into temporary tables and guarded merges of them. It decides nothing, counts nothing and keeps
no cursor.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
from sqlalchemy.engine import make_url

from storage.bulk import batches

Row: TypeAlias = tuple[Any, ...]
Page: TypeAlias = Mapping[str, Sequence[Row]]
"""The rows of some mentions, by table."""

_WORDS_AT_ONCE = 250
# When a copy was seen differs by itself: no reason to write.
_SEEN = {"first_seen_at", "checked_at", "changed_at", "observed_at"}


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the store: what is unique in it, its other columns, the one that names the mention."""

    name: str
    key: tuple[str, ...]
    others: tuple[str, ...] = ()
    mention: str = "mention_id"
    kept: tuple[str, ...] = ()
    """Columns that are written once."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.key, *self.kept, *self.others)

    def merge(self, rows: str) -> str:
        """Return the upsert of ``rows``: a row that is there is written again only where it differs."""
        insert = f"INSERT INTO {self.name} ({', '.join(self.columns)}) {rows} ON CONFLICT ({', '.join(self.key)})"
        if not self.others:
            return f"{insert} DO NOTHING"
        values = ", ".join(f"{name} = excluded.{name}" for name in self.others)
        told = [name for name in self.others if name not in _SEEN]
        mine, theirs = (", ".join(f"{of}.{name}" for name in told) for of in (self.name, "excluded"))
        # SQLite has IS DISTINCT FROM since 3.39 only.
        differs = "IS NOT" if rows.startswith("VALUES") else "IS DISTINCT FROM"
        return f"{insert} DO UPDATE SET {values} WHERE ({mine}) {differs} ({theirs})"


_TABLES = (
    _Table("authors", ("channel_id", "pseudonym"), kept=("id",)),
    _Table(
        "mentions",
        ("channel_id", "external_id"),
        (
            *("kind", "published_at", "checked_at", "text", "text_fingerprint", "permalink"),
            *("parent_external_id", "conversation_id", "author_id", "language", "purpose", "purpose_score"),
            *("needs_review", "sentiment", "sentiment_score", "positive_part", "negative_part"),
            *("signals_version", "edited_at", "removed_at", "changed_at"),
        ),
        mention="id",
        kept=("id", "first_seen_at"),
    ),
    _Table("mention_metrics", ("mention_id",), ("likes", "replies", "shares", "views", "observed_at")),
    _Table("mention_topics", ("mention_id", "topic_id", "source"), ("score", "phrases")),
    _Table("mention_organizations", ("mention_id", "organization_id"), ("day", "own")),
)
_INDEXED = _Table("mention_words", ("mention_id",), ("tokens",))
# As text: so they go to COPY.
_AS_TEXT = {"phrases", "tokens"}
NAMES = tuple(table.name for table in (*_TABLES, _INDEXED))
"""The tables that are written, but for the days to be counted again."""


def pages_of(url: str, size: int) -> list[Page]:
    """Return all rows of the store at ``url``, those of ``size`` mentions a page."""
    is_sqlite = url.startswith("sqlite")
    with _connection(url) as connection:
        ids = [row for (row,) in connection.execute("SELECT id FROM mentions ORDER BY id")]
        return [_page(connection, some[0], some[-1], is_sqlite=is_sqlite) for some in batches(ids, size)]


def _page(connection: Any, first: int, last: int, *, is_sqlite: bool) -> Page:
    page = {}
    for table in (*_TABLES, _INDEXED):
        between = f"BETWEEN {first} AND {last}"
        names = [f"{name}::text" if not is_sqlite and name in _AS_TEXT else name for name in table.columns]
        where = f"{table.mention} {between}"
        if table.name == "authors":
            where = f"id IN (SELECT author_id FROM mentions WHERE id {between})"
        if is_sqlite and table is _INDEXED:
            names, where = ["rowid", "tokens"], f"rowid {between}"
        page[table.name] = connection.execute(
            f"SELECT {', '.join(names)} FROM {table.name} WHERE {where} ORDER BY 1, 2"
        ).fetchall()
    page["dirty_days"] = sorted({(organization, day) for _, organization, day, _ in page["mention_organizations"]})
    return page


def write(url: str, pages: Sequence[Page]) -> None:
    """Write the pages into the store's tables at ``url``, a transaction each."""
    put = _put_sqlite if url.startswith("sqlite") else _put_postgresql
    with _connection(url) as connection:
        for page in pages:
            put(connection, page)
            connection.commit()


def counts(url: str) -> dict[str, int]:
    """Return how many rows each table has."""
    with _connection(url) as connection:
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in NAMES}


def _connection(url: str) -> Any:
    """Return a connection of the driver's, as the store has it, to be closed by a ``with``."""
    parsed = make_url(url)
    if not parsed.drivername.startswith("sqlite"):
        return psycopg.connect(parsed.set(drivername="postgresql").render_as_string(hide_password=False))
    assert parsed.database is not None
    connection = sqlite3.connect(parsed.database)
    for setting in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}")
    return closing(connection)


_UPSERTS = {table.name: table.merge(f"VALUES ({', '.join('?' * len(table.columns))})") for table in _TABLES}
_MARK = "INSERT INTO dirty_days (organization_id, day) VALUES ({0}, {0})"


def _put_sqlite(connection: sqlite3.Connection, page: Page) -> None:
    written = sum(connection.executemany(sql, page[name]).rowcount for name, sql in _UPSERTS.items())
    for some in batches(page["mention_words"], _WORDS_AT_ONCE):
        # One statement for many rows: FTS5 writes out what it has gathered at the end of each.
        connection.execute(
            f"WITH page (row, tokens) AS (VALUES {', '.join(['(?, ?)'] * len(some))}) "
            "INSERT INTO mention_words (rowid, tokens) SELECT row, tokens FROM page "
            "WHERE NOT EXISTS (SELECT 1 FROM mention_words WHERE mention_words.rowid = page.row)",
            [value for row in some for value in row],
        )
    if written:
        connection.executemany(_MARK.format("?"), page["dirty_days"])


def _put_postgresql(connection: psycopg.Connection, page: Page) -> None:
    written = 0
    with connection.cursor() as cursor:
        for table in (*_TABLES, _INDEXED):
            names = ", ".join(table.columns)
            cursor.execute(
                f"CREATE TEMP TABLE IF NOT EXISTS page_{table.name} (LIKE {table.name}) ON COMMIT DELETE ROWS"
            )
            with cursor.copy(f"COPY page_{table.name} ({names}) FROM STDIN") as copy:
                for row in page[table.name]:
                    copy.write_row(row)
            cursor.execute(table.merge(f"SELECT {names} FROM page_{table.name}"))
            written += cursor.rowcount
        if written:
            cursor.executemany(_MARK.format("%s"), page["dirty_days"])
