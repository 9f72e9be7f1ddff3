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
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from listener.marks import thinned

GAP = "..."
"""The word of a phrase that stands for up to four words of the text."""

GAP_SEPARATOR = r"[^\w.!?]++"
"""What may stand between two words where a gap is: anything that is no word and ends no sentence."""

_ALTERNATIVES = re.compile(r"\(([^()]*)\)")
_BEGINNING = re.compile(r"\*| \.\.\.")
_SEGMENT = re.compile(r"(?:\([^()]*\)|[^ ()])+")
# Brackets that hold whole words with the space behind them, or before them, or nothing: "(very |)(very |)kind".
_WORDS_BEFORE = re.compile(r"(?:(?<= )|(?<!.))(?:\((?:[^()|]* )?(?:\|(?:[^()|]* )?)*\))+")
_WORDS_BEHIND = re.compile(r"(?:\((?: [^()|]*)?(?:\|(?: [^()|]*)?)*\))+(?= |$)")
_SIMPLE = re.compile(r"(?:\w{3,}\*|\w+)(?: (?:\w{3,}\*|\w+))*")
_PLAIN_WORD = re.compile(r"\w+\*?(?:[^\w*]+\w+\*?)*")
_MAX_VARIANTS = 400
_MIN_STEM = 3
# A gap of up to four words that crosses no end of sentence; "2.5", "10:30" and "wasn't" are one word. Every
# repetition is possessive, bounded, or ends where it must: a hostile text cannot make it backtrack. Not a
# possessive group, which within a lazy one goes wrong before CPython 3.11.5 (gh-106052).
_GAP = rf"{GAP_SEPARATOR}(?:\w++(?:[.,:']\w++)*(?![.,:']\w){GAP_SEPARATOR}){{0,4}}?"


Row = tuple[str, ...]
"""The segments of a phrase, as they are written."""


class PhraseError(ValueError):
    """A phrase is not written in the phrase language; the message says how to mend it."""


class Pattern(NamedTuple):
    """One way to write a phrase, ready to match in a normalised text.

    ``literal`` must stand in the text as it is, beginning at the beginning of a word. After it the word ends,
    unless ``open_end``; where ``rest`` is given, that regular expression decides instead, matched from where the
    literal begins.
    """

    literal: str
    open_end: bool = False
    rest: str | None = None


class Segment(NamedTuple):
    """A part of a phrase between two spaces outside its brackets; each alternative is a sequence of words.

    It is ``plain`` where every word begins and ends with a letter or digit (a star may follow), and ``sound``
    where each word by itself is in the phrase language. The rest says what its alternatives are like: some
    alternative has no word, begins with a gap, ends with one.
    """

    alternatives: tuple[tuple[str, ...], ...]
    plain: bool = True
    sound: bool = True
    may_be_empty: bool = False
    gap_first: bool = False
    gap_last: bool = False


def is_word(character: str) -> bool:
    """Return whether a character belongs to a word, exactly as the ``re`` module has it."""
    return character.isalnum() or character == "_"


def normalize(text: str) -> str:
    """Return ``text`` in the one form that phrases are matched in (see the module's docstring)."""
    if text.isascii():
        folded = text.lower()
    else:
        # A lone surrogate is no text, and no phrase can mean it.
        written = text.encode("utf-8", "replace").decode("utf-8")
        folded = unicodedata.normalize("NFKC", thinned(written)).casefold()
        folded = folded.replace("\u2019", "'").replace("\u2018", "'").replace("\u02bc", "'")
        folded = folded.replace("\u2010", " ").replace("\u00ad", "")
    return " ".join(folded.replace("-", " ").split())


def parse_phrase(phrase: str) -> tuple[Row, ...]:
    """Return ``phrase`` as a row of segments, or as two rows: as it is written, and without its apostrophes.

    What a segment's alternatives are, :func:`segment` tells. Raises ``PhraseError`` where the phrase is not in the
    phrase language. The time grows with what is written, not with the variants.
    """
    return tuple(_row(form, phrase) for form in _forms(phrase))


@lru_cache(maxsize=4096)
def segment(written: str) -> Segment:
    """Return what a segment of a parsed phrase says."""
    if written.isalnum():
        return Segment(((written,),))
    variants = _expand(written) if "(" in written else [written]
    choices = [variant.split() for variant in variants]
    if all(not variant or _SIMPLE.fullmatch(variant) for variant in variants):
        return Segment(tuple(map(tuple, choices)), may_be_empty="" in variants)
    alternatives = tuple(dict.fromkeys(tuple(_joined(words)) for words in choices))
    ends = [alternative for alternative in alternatives if alternative]
    return Segment(
        alternatives,
        plain=all(word == GAP or _PLAIN_WORD.fullmatch(word) for words in ends for word in words),
        sound=not any(_problem(word) for words in choices for word in words) and not any(map(_doubles_gap, ends)),
        may_be_empty=len(ends) < len(alternatives),
        gap_first=any(words[0] == GAP for words in ends),
        gap_last=any(words[-1] == GAP for words in ends),
    )


def _joined(words: Sequence[str]) -> Iterator[str]:
    """Yield the words, those as one between which more stands than a space: "a & e"."""
    joined = ""
    for word in words:
        if (
            GAP in (word, joined)
            or not joined
            or (is_word(word[0]) and (is_word(joined[-1]) or joined[-1] == "*"))
        ):
            if joined:
                yield joined
            joined = word
        else:
            joined += " " + word
    if joined:
        yield joined


def written_out(phrase: str) -> tuple[str, ...]:
    """Return every variant of ``phrase``, in its order, then those that have lost their apostrophes."""
    return tuple(dict.fromkeys(variant for form in _forms(phrase) for variant in _expand(form)))


def compile_phrase(phrase: str) -> tuple[Pattern, ...]:
    """Return every way to write ``phrase``; raises ``PhraseError`` where it is not in the phrase language."""
    patterns: list[Pattern] = []
    expressions: defaultdict[str, list[str]] = defaultdict(list)
    for variant in written_out(phrase):
        words = variant.split()
        _check(words)
        body = variant.removesuffix("*")
        if "*" in body or GAP in words:
            expressions[_BEGINNING.split(variant, maxsplit=1)[0]].append(_expression(words))
        else:
            patterns.append(Pattern(body, open_end=body != variant or not is_word(body[-1])))
    # Variants that begin alike become one expression: each is tried wherever the beginning stands.
    patterns += [Pattern(literal, rest="|".join(rest)) for literal, rest in expressions.items()]
    return tuple(patterns)


def _forms(phrase: str) -> tuple[str, ...]:
    form = normalize(phrase)
    return (form, " ".join(form.replace("'", "").split())) if "'" in form else (form,)


def _segments(form: str) -> Row:
    _check_brackets(form)
    if " |" in form or "|)" in form or "(|" in form or "| " in form:
        form = _WORDS_BEFORE.sub(lambda match: match[0].replace(")", ") "), form)
        form = _WORDS_BEHIND.sub(lambda match: match[0].replace("(", " ("), form)
    return tuple(_SEGMENT.findall(form))


def _row(form: str, phrase: str) -> Row:
    if _SIMPLE.fullmatch(form):
        return tuple(form.split(" "))
    row = _segments(form)
    parts = [segment(written) for written in row]
    if not _is_sound(parts):
        for variant in written_out(phrase):
            _check(variant.split())
    return row if all(part.plain for part in parts) else _merged(list(row))


def _is_sound(parts: Sequence[Segment]) -> bool:
    """Return whether every variant is in the language: what may stand last is looked at segment by segment."""
    nothing, gap = True, False
    for part in parts:
        if not part.sound or (part.gap_first and (nothing or gap)):
            return False
        nothing, gap = nothing and part.may_be_empty, part.gap_last or (gap and part.may_be_empty)
    return not nothing and not gap


def _merged(row: list[str]) -> Row:
    """Return the row with what is not plain made one segment with what stands beside it: "nice (and|&) clean"."""
    while len(row) > 1:
        rough = next((at for at, written in enumerate(row) if not segment(written).plain), None)
        if rough is None:
            break
        beside = slice(max(rough - 1, 0), rough + 2)
        row[beside] = [" ".join(row[beside])]
    return tuple(row)


def _check_brackets(form: str) -> None:
    pieces = _ALTERNATIVES.split(form)
    if any(mark in piece for piece in pieces[::2] for mark in "()|"):
        raise PhraseError("write alternatives as (one|two), every bracket closed and none inside another")
    count = 1
    for piece in pieces[1::2]:
        count *= piece.count("|") + 1
    if count > _MAX_VARIANTS:
        raise PhraseError(f"has {count} variants, more than {_MAX_VARIANTS}: write it as several phrases")


def _expand(form: str) -> list[str]:
    _check_brackets(form)
    pieces = _ALTERNATIVES.split(form)
    choices = [piece.split("|") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    return [" ".join("".join(parts).split()) for parts in itertools.product(*choices)]


def _check(words: list[str]) -> None:
    if not words:
        raise PhraseError("matches nothing: write at least one word in every alternative")
    if GAP in (words[0], words[-1]) or _doubles_gap(words):
        raise PhraseError('"..." stands between two words, such as "wait* ... hours"')
    for word in words:
        if problem := _problem(word):
            raise PhraseError(problem)


def _doubles_gap(words: Sequence[str]) -> bool:
    return any(a == b == GAP for a, b in itertools.pairwise(words))


def _problem(word: str) -> str | None:
    stem = word.removesuffix("*")
    if "*" in stem:
        return '"*" stands only at the end of a word, such as "wait*"'
    if stem != word and (len(stem) < _MIN_STEM or not is_word(stem[-1])):
        return f'"*" needs at least {_MIN_STEM} letters before it, or it matches far too much'
    return None


def _expression(words: list[str]) -> str:
    expression = ""
    for before, word in zip(["", *words], words, strict=False):
        if word == GAP:
            expression += _GAP
            continue
        if before not in ("", GAP):
            expression += " "
        stem = word.removesuffix("*")
        expression += r"(?<!\w)" if before == GAP and is_word(stem[0]) else ""
        expression += re.escape(stem) + (r"\w*+" if stem != word else "")
        expression += r"(?!\w)" if is_word(stem[-1]) else ""
    return expression
