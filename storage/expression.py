"""The language of searches: a text that a person writes, read into a tree. No database.

::

    expression  = both ("OR" both)*
    both        = one (["AND"] one)*          side by side is AND
    one         = ("NOT" | "-") one | "(" expression ")" | phrase | word
    phrase      = '"' words ["*"] '"'         the words one after another
    word        = a word, or its beginning and "*"

``NOT`` binds closest, then ``AND``, then ``OR``. The operators are written in capitals: ``and`` is a word. What a
word is, is told in :mod:`storage.words`; where signs cut it into several (``l'hôpital``) it is a phrase.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from listener.errors import ConfigError
from storage.words import words

MOST_CHARACTERS = 2_000
MOST_TERMS = 64
"""Words and phrases in one search."""
MOST_TOKENS = 128
"""Words in one search, those of its phrases counted each."""
DEEPEST = 6
"""Parentheses and NOTs within one another: each may put a dozen symbols on FTS5's stack, which holds a hundred."""
SHORTEST_BEGINNING = 2
"""Letters before a ``*``: half of a language begins with one letter."""

_SHOWN = 72
_QUOTES = str.maketrans(dict.fromkeys("“”„«»", '"'))
_DASHES = "-−"  # noqa: RUF001 - the minus sign is meant
_PIECE = re.compile(
    rf'\s*(?:(?P<minus>[{_DASHES}])(?=\S)|(?P<bracket>[()])|"(?P<phrase>[^"]*)(?P<end>"?)|(?P<word>[^\s()"]+))'
)

_CLOSES_NOTHING = 'this ")" closes nothing; take it away, or open it with "("'
_NOT_CLOSED = 'this "(" is not closed; write a ")"'


@dataclass(frozen=True, slots=True)
class Term:
    """Words one after another, folded; of the last one only the beginning where ``is_beginning`` says so."""

    tokens: tuple[str, ...]
    is_beginning: bool = False


@dataclass(frozen=True, slots=True)
class Every:
    """All of the parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of the parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Without:
    """What the part does not find."""

    part: Node


Node = Term | Every | Some | Without


@dataclass(frozen=True, slots=True)
class _Piece:
    """An operator, a parenthesis or a term as it was written, and where."""

    kind: str
    at: int
    text: str = ""


def parse(expression: str) -> Node:
    """Return what ``expression`` asks for.

    Raises ``ConfigError`` that shows the place and names the fix.
    """
    if len(expression) > MOST_CHARACTERS:
        raise ConfigError(
            f"the search has {len(expression):,} characters; at most {MOST_CHARACTERS:,} are read: make it shorter"
        )
    return _Reader(expression).read()


class _Reader:
    """Goes over the pieces from the left, one function for each line of the grammar."""

    def __init__(self, expression: str) -> None:
        # One character for one: a place in this text is a place in what was written.
        self._text = expression.translate(_QUOTES)
        self._pieces = list(self._split())
        self._next = 0
        self._depth = 0
        self._terms = 0
        self._tokens = 0

    def read(self) -> Node:
        if not self._pieces:
            raise ConfigError("the search is empty: write a word to look for")
        node = self._expression()
        if (piece := self._peek()) is not None:
            # Everything else goes on an expression.
            self._fail(piece.at, _CLOSES_NOTHING)
        return node

    def _split(self) -> Iterator[_Piece]:
        at = 0
        while at < len(self._text.rstrip()):
            found = _PIECE.match(self._text, at)
            assert found is not None  # noqa: S101 - the pattern takes whatever comes after white space
            kind = str(found.lastgroup) if found["end"] is None else "phrase"
            start = found.start(kind) - (kind == "phrase")
            at = found.end()
            if kind == "phrase" and not found["end"]:
                self._fail(start, 'this quote is not closed; write a second "')
            text = found[kind]
            if kind == "word" and text in ("AND", "OR", "NOT"):
                yield _Piece(text, start)
            else:
                yield _Piece({"minus": "NOT", "bracket": text}.get(kind, kind), start, text)

    def _peek(self) -> _Piece | None:
        return self._pieces[self._next] if self._next < len(self._pieces) else None

    def _take(self, *kinds: str) -> _Piece | None:
        piece = self._peek()
        if piece is None or piece.kind not in kinds:
            return None
        self._next += 1
        return piece

    def _expression(self, after: _Piece | None = None) -> Node:
        parts = [self._both(after)]
        while operator := self._take("OR"):
            parts.append(self._both(operator))
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _both(self, after: _Piece | None) -> Node:
        parts = [self._one(after)]
        while True:
            operator = self._take("AND")
            piece = self._peek()
            if operator is None and (piece is None or piece.kind in ("OR", ")")):
                return parts[0] if len(parts) == 1 else Every(tuple(parts))
            parts.append(self._one(operator))

    def _one(self, after: _Piece | None) -> Node:
        piece = self._peek()
        if piece is None or piece.kind in ("AND", "OR", ")"):
            self._fail_for_want_of(after, piece)
        self._next += 1
        match piece.kind:
            case "NOT":
                with_depth = self._deeper(piece)
                node: Node = Without(self._one(piece))
            case "(":
                with_depth = self._deeper(piece)
                node = self._expression(piece)
                if not self._take(")"):
                    self._fail(piece.at, _NOT_CLOSED)
            case _:
                return self._term(piece)
        self._depth -= with_depth
        return node

    def _deeper(self, piece: _Piece) -> int:
        self._depth += 1
        if self._depth > DEEPEST:
            self._fail(piece.at, f"more than {DEEPEST} levels lie within one another; write it flatter")
        return 1

    def _fail_for_want_of(self, before: _Piece | None, after: _Piece | None) -> NoReturn:
        """Say what wants a word: the piece that one should stand behind, or the one that it should precede."""
        if before is not None and before.kind != "(":
            name = before.text or before.kind
            self._fail(
                before.at, f'nothing to look for stands after "{name}"; write a word there{_quoted(before)}'
            )
        if after is not None and after.kind != ")":
            self._fail(
                after.at, f'nothing to look for stands before "{after.kind}"; write a word there{_quoted(after)}'
            )
        if after is None:
            # An expression begins with a piece: this is the end of it.
            assert before is not None  # noqa: S101
            self._fail(before.at, _NOT_CLOSED)
        if before is None:
            self._fail(after.at, _CLOSES_NOTHING)
        self._fail(before.at, "there is nothing in these parentheses; write a word into them")

    def _term(self, piece: _Piece) -> Term:
        text = piece.text.rstrip()
        is_beginning = text.endswith("*")
        bare = text.removesuffix("*")
        begin = piece.at + (piece.kind == "phrase")
        if "*" in bare:
            self._fail(
                begin + bare.index("*"),
                '"*" stands for the rest of a word and comes at its end, in a phrase at the end of the last word; '
                "take this one away",
            )
        tokens = tuple(words(bare))
        if not tokens:
            self._fail(piece.at, _why_nothing(piece, bare, is_beginning=is_beginning))
        if is_beginning:
            self._check_beginning(begin + len(bare), bare, tokens[-1])
        self._count(piece, len(tokens))
        return Term(tokens, is_beginning)

    def _check_beginning(self, at: int, bare: str, last: str) -> None:
        # Between two letters a sign parts words; a letter, or an accent of its own, does not.
        if words(f"x{bare[-1]}x") == ["x", "x"]:
            self._fail(at, 'no letter stands right before this "*"; write the beginning of a word there')
        if len(last) < SHORTEST_BEGINNING and last.isascii():
            self._fail(at, f'at least {SHORTEST_BEGINNING} letters stand before "*"; write more of the word')

    def _count(self, piece: _Piece, tokens: int) -> None:
        self._terms += 1
        self._tokens += tokens
        if self._terms > MOST_TERMS:
            self._fail(piece.at, f"there are more than {MOST_TERMS} words and phrases; ask in several searches")
        if self._tokens > MOST_TOKENS:
            self._fail(piece.at, f"there are more than {MOST_TOKENS} words; ask in several searches")

    def _fail(self, at: int, why: str) -> NoReturn:
        start = max(0, min(at - _SHOWN // 2, len(self._text) - _SHOWN))
        excerpt = "".join(letter if letter.isprintable() else " " for letter in self._text[start : start + _SHOWN])
        raise ConfigError(f"the search fails at character {at + 1}: {why}\n  {excerpt}\n  {' ' * (at - start)}^")


def _quoted(piece: _Piece) -> str:
    return f', or "{piece.kind}" in quotes for the word' if piece.text == "" else ""


def _why_nothing(piece: _Piece, bare: str, *, is_beginning: bool) -> str:
    if is_beginning and not bare.strip():
        return '"*" alone looks for nothing; write the beginning of a word before it'
    if not bare.strip():
        return "there is nothing in these quotes; write a word into them"
    noun = "these quotes hold" if piece.kind == "phrase" else "this is"
    return f"{noun} nothing but signs, which are not searched for; write a word"
