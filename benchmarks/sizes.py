"""What a million mentions weigh on the disk: tables, their indexes, and the full-text index apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from storage.opening import Database

_POSTGRESQL = text(
    "SELECT c.relname, pg_table_size(c.oid), pg_indexes_size(c.oid) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = current_schema()"
)
# "dbstat" is compiled into the SQLite of Python's own builds for Windows and macOS, and of Debian.
_SQLITE = text(
    "SELECT coalesce(m.tbl_name, s.name), sum(CASE WHEN m.type = 'index' THEN 0 ELSE s.pgsize END), "
    "sum(CASE WHEN m.type = 'index' THEN s.pgsize ELSE 0 END) "
    "FROM dbstat s LEFT JOIN sqlite_schema m ON m.name = s.name GROUP BY 1"
)
_WORDS = "mention_words"
_VOLUME = "_volume"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes: of the mentions' tables, of their indexes, of the full-text index, and of the rollups."""

    tables: int
    indexes: int
    words: int
    rollups: int

    @property
    def of_mentions(self) -> int:
        """What grows with every mention: all but the rollups."""
        return self.tables + self.indexes + self.words


def sizes(database: Database) -> Sizes:
    """Return what lies in the database, once it is written out."""
    with database.read() as connection:
        found = connection.execute(_SQLITE if database.is_sqlite else _POSTGRESQL).all()
    tables = indexes = words = rollups = 0
    for name, table, index in found:
        # FTS5 keeps its index in tables of its own, beside the one that has its name.
        if name.startswith(_WORDS):
            words += table + index
        elif _VOLUME in name:
            rollups += table + index
        else:
            tables, indexes = tables + table, indexes + index
    return Sizes(int(tables), int(indexes), int(words), int(rollups))
