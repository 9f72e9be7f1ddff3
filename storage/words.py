"""The words of a text, as the full-text index keeps them and a search asks for them: text in, tokens out, no I/O.

Both databases get the same tokens from here and are asked for the same tokens, so that neither's own notion of a
word, of case or of a language has a say in what is found. A token holds letters, digits and their marks only, or
is one emoji; nothing in it is a sign to either database's language of searches.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from listener.marks import thinned

MOST_WORDS = 8_000
"""How many words of a text are indexed, from its beginning: stems stand behind the words, and PostgreSQL numbers
16,383 places."""
MOST_BYTES = 400_000
"""How many bytes (UTF-8) the indexed words of a text may take: PostgreSQL refuses 1 MiB with stems and places."""
MOST_OF_ONE_WORD = 255
"""How often one word is indexed in one text: PostgreSQL keeps that many places of it."""
LONGEST_WORD = 64
"""Characters of a word that count; longer ones are cut, in texts and searches alike."""

STEM = "\ue000"
"""What stands before a stem: no word begins with it, so that words and stems cannot be taken for each other."""
FILLER = "\ue001"
"""What stands where a word is not indexed any more: the words around it keep their distance."""

# Marks that people leave out or a search should not mind: accents of Latin, Greek and Cyrillic, the points of
# Hebrew and Arabic, enclosing marks. Other scripts' marks (the vowels of Devanagari) are part of the word.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
# Letters that Unicode does not take apart, as people write them on a keyboard that has none of them.
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ł": "l", "ı": "i"})  # noqa: RUF001
# Scripts that put no space between words: Thai, Lao, Myanmar, Khmer, kana, Bopomofo, Han.
_UNSPACED = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x312F)),
    *((0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF)),
)
_PICTURES = ((0x2600, 0x27BF), (0x1F000, 0x1FAFF))
_SKIN_TONES = ((0x1F3FB, 0x1F3FF),)
_VARIATIONS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
_ZERO_WIDTH_SPACE = 0x200B
_ASCII_WORD = re.compile("[a-z0-9]+")
# Endings by which French stems are told, as they are without their accents.
_FRENCH_ENDINGS = tuple(
    (re.compile(f"{bare}(s?)$"), rf"{accented}\1")
    for bare, accented in (("iere", "ière"), ("ee", "ée"), ("ite", "ité"))
)


def fold(text: str) -> str:
    """Return ``text`` without its case and accents, its compatibility forms (ﬁ, ①, full width) made plain."""
    if text.isascii():
        return text.lower()
    # Without accents first: what stands between the marks of a row may be one.
    plain = thinned(_ACCENTS.sub("", text))
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", plain)).casefold()
    # A folded letter may have accents of its own again (İ), and the pieces of Hangul belong together.
    return unicodedata.normalize(
        "NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", bare)).translate(_LIGATURES)
    )


class _Shapes(dict[int, str | int | None]):
    """What becomes of each character of a folded text: kept, left out, a word of its own, or the end of a word."""

    def __missing__(self, code: int) -> str | int | None:
        self[code] = shape = _shape(code)
        return shape


def _shape(code: int) -> str | int | None:
    category = unicodedata.category(chr(code))
    if _is_in(code, _UNSPACED) and category[0] in "LMN":
        return f" {chr(code)} "
    is_unseen = category == "Cf" and code != _ZERO_WIDTH_SPACE
    if is_unseen or _is_in(code, _SKIN_TONES) or _is_in(code, _VARIATIONS):
        return None
    if category == "So" and _is_in(code, _PICTURES):
        return f" {chr(code)} "
    return code if category[0] in "LMN" else " "


def _is_in(code: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(first <= code <= last for first, last in ranges)


_SHAPES = _Shapes()


def words(text: str) -> list[str]:
    """Return the words of ``text`` in their order, folded.

    Every sign ends a word, apostrophes and hyphens too: ``l'hôpital`` is ``l hopital``. In a script without spaces
    each character is a word, and so is each emoji, whatever its skin tone.
    """
    folded = fold(text)
    found = _ASCII_WORD.findall(folded) if folded.isascii() else folded.translate(_SHAPES).split()
    return [word[:LONGEST_WORD] for word in found]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return the French stem of a folded word (Snowball's algorithm), folded.

    The algorithm goes by accents that a folded word has lost and that many people do not write: where an ending
    tells where they were, they are put back first. So ``infirmière``, ``infirmiere`` and ``infirmiers`` are one.
    """
    # This module and not the package's factory, which takes another implementation where one is installed. One
    # stemmer a word: it is not safe to share between threads.
    from snowballstemmer.french_stemmer import FrenchStemmer

    for ending, accented in _FRENCH_ENDINGS:
        restored = ending.sub(accented, word)
        if restored != word:
            break
    stemmed: str = FrenchStemmer().stemWord(restored)
    return fold(stemmed)


def is_french(language: str | None) -> bool:
    """Say whether texts in ``language`` (a code, lower-case) are also found by stems."""
    return language is not None and language.partition("-")[0] == "fr"


def index_tokens(text: str, language: str | None) -> list[str]:
    """Return the tokens to index for ``text``, in order: its words, and its stems if it is French.

    What the databases' limits leave out is left out here, for both alike.
    """
    found = words(text)
    # So few words are within every limit, and most texts have no more.
    is_short = len(found) <= MOST_OF_ONE_WORD
    kept = found if is_short else list(_within(found))
    stems = [STEM + stem(word) for word in kept] if is_french(language) else []
    return kept + stems if is_short else [*_thinned(kept), *_thinned(stems)]


def _within(found: Iterable[str]) -> Iterator[str]:
    size = 0
    for count, word in enumerate(found):
        size += len(word.encode())
        if count == MOST_WORDS or size > MOST_BYTES:
            return
        yield word


def _thinned(tokens: list[str]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for token in tokens:
        seen[token] += 1
        yield token if seen[token] <= MOST_OF_ONE_WORD else FILLER
