"""Finds mentions by their words: a search's tree as a question to the full-text index of either database.

FTS5 knows no NOT without something beside it, and PostgreSQL's index is slow at one. So every search is brought to
one of two forms: a question that finds, or the whole store without what such a question finds (:func:`split`).
Both dialects are asked for the same tokens. What they are asked is bound, and made of tokens and operators alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, cast, literal, literal_column, select
from sqlalchemy.dialects.postgresql import TSQUERY

from storage.expression import Every, Node, Some, Term, Without
from storage.indexing import row_id
from storage.schema import mention_words, mentions
from storage.words import STEM, stem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class AllBut:
    """What ``found`` finds and ``left_out`` does not."""

    found: Question
    left_out: Question


@dataclass(frozen=True, slots=True)
class AllOf:
    """What every one of the questions finds."""

    parts: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """What at least one of the questions finds."""

    parts: tuple[Question, ...]


Question = Term | AllOf | AnyOf | AllBut
"""What an index can be asked: it finds something by what is there, never by what is not alone."""


@dataclass(frozen=True, slots=True)
class Split:
    """A search as a question; with ``is_rest`` the search is for what the question does not find."""

    question: Question
    is_rest: bool = False


def split(node: Node) -> Split:
    """Return the search as a question that finds, or as the rest of one (de Morgan)."""
    match node:
        case Term():
            return Split(node)
        case Without(part):
            inner = split(part)
            return Split(inner.question, not inner.is_rest)
        case Every(parts):
            found, left_out = _sorted(parts)
            if not found:
                return Split(_any(left_out), is_rest=True)
            return Split(AllBut(_all(found), _any(left_out)) if left_out else _all(found))
        case Some(parts):
            found, left_out = _sorted(parts)
            if not left_out:
                return Split(_any(found))
            return Split(AllBut(_all(left_out), _any(found)) if found else _all(left_out), is_rest=True)


def _sorted(parts: Sequence[Node]) -> tuple[list[Question], list[Question]]:
    halves = [split(part) for part in parts]
    return (
        [half.question for half in halves if not half.is_rest],
        [half.question for half in halves if half.is_rest],
    )


def _all(parts: Sequence[Question]) -> Question:
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _any(parts: Sequence[Question]) -> Question:
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def fts5(question: Question) -> str:
    """Return the question in the language of SQLite's FTS5."""
    return _written(question, _fts5_phrase, " AND ", " OR ", " NOT ")


def tsquery(question: Question) -> str:
    """Return the question as PostgreSQL writes a ``tsquery``."""
    return _written(question, _tsquery_phrase, " & ", " | ", " & !")


def _written(question: Question, phrase: Callable[[Term], str], both: str, either: str, but: str) -> str:
    def inner(part: Question) -> str:
        return f"({_written(part, phrase, both, either, but)})"

    match question:
        case Term(is_beginning=True):
            return phrase(question)
        case Term(tokens):
            # A text in another language has no stems: it is found by its words alone.
            return either.join([phrase(question), phrase(Term(tuple(STEM + stem(token) for token in tokens)))])
        case AllOf(parts):
            return both.join(map(inner, parts))
        case AnyOf(parts):
            return either.join(map(inner, parts))
        case AllBut(found, left_out):
            return f"{inner(found)}{but}{inner(left_out)}"


def _fts5_phrase(term: Term) -> str:
    return f'"{" ".join(term.tokens)}"' + (" *" if term.is_beginning else "")


def _tsquery_phrase(term: Term) -> str:
    return "(" + " <-> ".join(f"'{token}'" for token in term.tokens) + (":*)" if term.is_beginning else ")")


def holds(connection: Connection, node: Node, *, among: tuple[int, int] | None = None) -> ColumnElement[bool]:
    """Return the condition that a mention's text is one that the search finds; a tombstone has no text.

    ``among`` tells the lowest and the highest id that the other conditions leave: SQLite's index then looks at no
    others.
    """
    half = split(node)
    condition: ColumnElement[bool]
    if connection.dialect.name == "sqlite":
        rows = row_id(connection)
        table: ColumnElement[str] = literal_column("mention_words")
        asked = literal(fts5(half.question))
        found = select(rows).select_from(mention_words).where(table.op("MATCH")(asked))
        if among is not None:
            found = found.where(rows.between(*among))
        condition = mentions.c.id.not_in(found) if half.is_rest else mentions.c.id.in_(found)
    else:
        query = cast(literal(tsquery(half.question)), TSQUERY)
        of_mention = select(mention_words.c.mention_id).where(mention_words.c.mention_id == mentions.c.id)
        there = of_mention.where(mention_words.c.tokens.op("@@")(query))
        condition = ~there.exists() if half.is_rest else there.exists()
    return and_(mentions.c.removed_at.is_(None), condition) if half.is_rest else condition
