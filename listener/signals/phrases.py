"""The phrase language of the taxonomy: how a line of ``config/topics.toml`` finds words in a text.

A phrase is written as people write, and matches whole words, whatever their case:

``parking fee``
    these words, with any white space or a hyphen between them
``wait*``
    a word that begins so: wait, waits, waited, waiting. At least three letters stand before the star.
``(nurse|doctor) was rude``
    any of the alternatives; an empty one makes the words optional: ``the (long |)wait``
``wait* ... hours``
    up to four other words may stand between, within one sentence
``didn't listen``
    any kind of apostrophe, or none at all

Text and phrase are brought to one form first (:func:`normalize`): Unicode NFKC, case folded, white space
and hyphens as single spaces, straight apostrophes. Words end where Unicode letters, digits and ``_`` end.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import defaultdict
from typing import NamedTuple

_ALTERNATIVES = re.compile(r"\(([^()]*)\)")
_BEGINNING = re.compile(r"\*| \.\.\.")
_MAX_VARIANTS = 400
_MIN_STEM = 3
_GAP_WORD = "..."
# A gap of up to four words that crosses no end of sentence; "2.5", "10:30" and "wasn't" are one word. Every
# repetition is possessive or bounded, so a hostile text cannot make it backtrack.
_GAP = r"[^\w.!?]++(?:\w++(?:[.,:']\w++)*+[^\w.!?]++){0,4}?"


class PhraseError(ValueError):
    """A phrase is not written in the phrase language; the message says how to mend it."""


class Pattern(NamedTuple):
    """One way to write a phrase, ready to match in a normalised text.

    ``literal`` must stand in the text as it is, beginning at the beginning of a word. After it the word ends,
    unless ``open_end``; where ``rest`` is given, that expression decides instead, matched from where the
    literal begins.
    """

    literal: str
    open_end: bool = False
    rest: re.Pattern[str] | None = None


def is_word(character: str) -> bool:
    """Return whether a character belongs to a word, exactly as the ``re`` module has it."""
    return character.isalnum() or character == "_"


def normalize(text: str) -> str:
    """Return ``text`` in the one form that phrases are matched in (see the module's docstring)."""
    if text.isascii():
        folded = text.lower()
    else:
        # A lone surrogate is no text: the matching library refuses it, and no phrase can mean it.
        folded = unicodedata.normalize("NFKC", text.encode("utf-8", "replace").decode("utf-8")).casefold()
        folded = folded.replace("\u2019", "'").replace("\u2018", "'").replace("\u02bc", "'")
        folded = folded.replace("\u2010", " ").replace("\u00ad", "")
    return " ".join(folded.replace("-", " ").split())


def compile_phrase(phrase: str) -> tuple[Pattern, ...]:
    """Return every way to write ``phrase``; raises ``PhraseError`` where it is not in the phrase language."""
    written = _expand(normalize(phrase))
    patterns: list[Pattern] = []
    expressions: defaultdict[str, list[str]] = defaultdict(list)
    for variant in dict.fromkeys([*written, *(variant.replace("'", "") for variant in written)]):
        words = variant.split()
        _check(words)
        body = variant.removesuffix("*")
        if "*" in body or _GAP_WORD in words:
            expressions[_BEGINNING.split(variant, maxsplit=1)[0]].append(_expression(words))
        else:
            patterns.append(Pattern(body, open_end=body != variant or not is_word(body[-1])))
    # Variants that begin alike become one expression: each is tried wherever the beginning stands.
    patterns += [Pattern(literal, rest=re.compile("|".join(rest))) for literal, rest in expressions.items()]
    return tuple(patterns)


def _expand(phrase: str) -> list[str]:
    pieces = _ALTERNATIVES.split(phrase)
    choices = [piece.split("|") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    if any(mark in piece for piece in pieces[::2] for mark in "()|"):
        raise PhraseError("write alternatives as (one|two), every bracket closed and none inside another")
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > _MAX_VARIANTS:
        raise PhraseError(f"has {count} variants, more than {_MAX_VARIANTS}: write it as several phrases")
    return [" ".join("".join(parts).split()) for parts in itertools.product(*choices)]


def _check(words: list[str]) -> None:
    if not words:
        raise PhraseError("matches nothing: write at least one word in every alternative")
    if _GAP_WORD in (words[0], words[-1]) or any(a == b == _GAP_WORD for a, b in itertools.pairwise(words)):
        raise PhraseError('"..." stands between two words, such as "wait* ... hours"')
    for word in words:
        stem = word.removesuffix("*")
        if "*" in stem:
            raise PhraseError('"*" stands only at the end of a word, such as "wait*"')
        if stem != word and (len(stem) < _MIN_STEM or not is_word(stem[-1])):
            raise PhraseError(f'"*" needs at least {_MIN_STEM} letters before it, or it matches far too much')


def _expression(words: list[str]) -> str:
    expression = ""
    for before, word in zip(["", *words], words, strict=False):
        if word == _GAP_WORD:
            expression += _GAP
            continue
        if before not in ("", _GAP_WORD):
            expression += " "
        stem = word.removesuffix("*")
        expression += r"(?<!\w)" if before == _GAP_WORD and is_word(stem[0]) else ""
        expression += re.escape(stem) + (r"\w*+" if stem != word else "")
        expression += r"(?!\w)" if is_word(stem[-1]) else ""
    return expression
