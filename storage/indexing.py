"""Keeps the full-text index in step with the texts: a row for each mention that has a text, none for a tombstone.

Whoever writes texts or languages calls this in the same transaction, with what changed and nothing else. What a
row holds is told in :mod:`storage.words`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import ColumnElement, Integer, delete, func, literal_column, select, text

from storage.bulk import batches, insert_tuples
from storage.schema import mention_words, mentions
from storage.words import FILLER, index_tokens

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from storage.opening import Database

FTS5_TABLE = "CREATE VIRTUAL TABLE mention_words USING fts5(tokens, tokenize = 'ascii', columnsize = 0)"
"""The index on SQLite, as the migration made it."""

_ROWS_A_STATEMENT = 250
_FILLED_AT_ONCE = 2_000


class Worded(NamedTuple):
    """A mention to be indexed, by its row's id: its text, which may be empty, and its language."""

    id: int
    text: str
    language: str | None


def row_id(connection: Connection) -> ColumnElement[int]:
    """Return the column of the index that holds the mention's id."""
    if connection.dialect.name == "sqlite":
        return literal_column("mention_words.rowid", Integer)
    return mention_words.c.mention_id


def index_new(connection: Connection, worded: Iterable[Worded]) -> None:
    """Index mentions that are not indexed yet."""
    is_sqlite = connection.dialect.name == "sqlite"
    shape = " ".join if is_sqlite else _vector
    rows = [(one.id, shape(index_tokens(one.text, one.language))) for one in worded if one.text]
    if not is_sqlite:
        insert_tuples(connection, mention_words, ("mention_id", "tokens"), rows)
        return
    # Several rows a statement: FTS5 writes out what it has gathered at the end of each.
    for some in batches(rows, _ROWS_A_STATEMENT):
        places = ", ".join(["(?, ?)"] * len(some))
        connection.exec_driver_sql(
            f"INSERT INTO mention_words (rowid, tokens) VALUES {places}",  # noqa: S608 - question marks alone
            tuple(value for row in some for value in row),
        )


def index_again(connection: Connection, worded: Sequence[Worded]) -> None:
    """Index mentions whose text or language is another one now."""
    forget(connection, [one.id for one in worded])
    index_new(connection, worded)


def forget(connection: Connection, rows: Sequence[int]) -> None:
    """Take the words of these mentions from the index."""
    for some in batches(rows):
        connection.execute(delete(mention_words).where(row_id(connection).in_(some)))


def _vector(tokens: Sequence[str]) -> str:
    """Return the tokens as a ``tsvector`` is written, with their places."""
    places: dict[str, str] = {}
    for place, token in enumerate(tokens, start=1):
        if token in places:
            places[token] += f",{place}"
        elif token != FILLER:
            places[token] = str(place)
    return " ".join([f"'{token}':{told}" for token, told in places.items()])


def fill(connection: Connection, *, progress: Callable[[int], None] | None = None) -> int:
    """Index every mention that has a text, into an empty index; return how many there are.

    ``progress`` is called with the number of mentions indexed so far, a chunk at a time.
    """
    count = 0
    for chunk in _chunks(connection):
        index_new(connection, chunk)
        count += len(chunk)
        if progress:
            progress(count)
    return count


def _chunks(connection: Connection) -> Iterator[Sequence[Worded]]:
    after = 0
    texts = select(mentions.c.id, mentions.c.text, mentions.c.language).where(mentions.c.text != "")
    while True:
        query = texts.where(mentions.c.id > after).order_by(mentions.c.id).limit(_FILLED_AT_ONCE)
        chunk = [Worded(*row) for row in connection.execute(query)]
        if not chunk:
            return
        yield chunk
        after = chunk[-1].id


def rebuild(database: Database, *, progress: Callable[[int], None] | None = None) -> int:
    """Make the index anew from the texts, in one transaction; return how many mentions it has.

    Writers wait until it is done. ``progress`` is as in :func:`fill`.
    """
    with database.write() as connection:
        if database.is_sqlite:
            connection.execute(text("DROP TABLE mention_words"))
            connection.execute(text(FTS5_TABLE))
        else:
            connection.execute(text("TRUNCATE mention_words"))
        return fill(connection, progress=progress)


def differing(connection: Connection, *, looked_at: int = 500) -> tuple[int, int]:
    """Return how many mentions have a text and no row, or a row and no text, and how many have other words.

    The words are compared for the newest and the oldest ``looked_at`` mentions.
    """
    has_text = mentions.c.text != ""
    # By EXISTS: PostgreSQL goes over the whole of a NOT IN that its memory does not hold, for each row.
    indexed = select(row_id(connection)).select_from(mention_words).where(row_id(connection) == mentions.c.id)
    missing = select(func.count()).select_from(mentions).where(has_text, ~indexed.exists())
    with_text = select(mentions.c.id).where(has_text, mentions.c.id == row_id(connection))
    loose = select(func.count()).select_from(mention_words).where(~with_text.exists())
    wrong = sum(connection.execute(query).scalar_one() for query in (missing, loose))
    return wrong, _worded_otherwise(connection, looked_at)


def _worded_otherwise(connection: Connection, looked_at: int) -> int:
    is_sqlite = connection.dialect.name == "sqlite"
    texts = select(mentions.c.id, mentions.c.text, mentions.c.language).where(mentions.c.text != "")
    chosen = {
        row.id: Worded(*row)
        for order in (mentions.c.id, mentions.c.id.desc())
        for row in connection.execute(texts.order_by(order).limit(looked_at))
    }
    differ = 0
    for some in batches(list(chosen)):
        query = select(row_id(connection), mention_words.c.tokens).where(row_id(connection).in_(some))
        for row, kept in connection.execute(query):
            tokens = index_tokens(chosen[row].text, chosen[row].language)
            differ += kept != " ".join(tokens) if is_sqlite else _places(kept) != _places(_vector(tokens))
    return differ


def _places(vector: str) -> set[str]:
    return set(vector.split())
