r"""Lets the lines of an archive through that may say a name, before anybody parses them.

Of a dump with millions of lines a hospital is named in a few. Whole blocks of bytes are searched, in small
letters, for one word of each name; no line is taken apart that does not have it. What goes through is parsed and
matched exactly afterwards (:class:`listener.names.NamePattern`): the sieve may let too much through, it must never
keep back a line whose text says a name. A letter of a name need not stand in a line as itself:

- as another letter that folds to it, in UTF-8 (``ô``, a full-width letter), or with a mark after it;
- as an escape of JSON (``\u00f4``, ``\u0048``), or as an entity of HTML (``&ocirc;``, ``&#72;``);
- with a control character in between, which is left out of a text (``\b``, ``\u0007``).

So lines that have such a letter, whichever it is, go through too. Letters that no name has do not count: most
quotation marks, dashes and emoji stop nobody.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from html.entities import html5

import numpy as np

from listener.names import fold

_ENDS_OF_FOLDING = ((0x80, 0x20000), (0x2F800, 0x2FA20))
"""Where characters stand that fold to others, or to none; a test holds this against Unicode."""
_AT_ONCE = 64
_SURROGATE = re.compile("[\ud800-\udfff]")
_LEFT_OUT = tuple(map(chr, (*range(9), 11, 12, *range(14, 32), *range(127, 160))))
"""What :func:`connectors.base.clean_text` leaves out of texts."""
_ESCAPED = re.compile(rb"\\[ubf]")
_WORD = re.compile(r"[a-z0-9]+")
_COMMON = frozenset(
    (
        *("centre", "center", "children", "clinic", "clinique", "community", "general", "health", "healthcare"),
        *("hopital", "hospital", "hospitals", "medical", "memorial", "regional", "royal", "saint", "sainte"),
        *("sante", "service", "services", "trust", "university"),
    )
)
"""Words that names of hospitals share: another one tells more, where a name has it."""
_LEAST = 4
_FIRST_LEAD = 0xC2
"""The lowest byte that a character beyond ASCII begins with in UTF-8."""

_Trie = dict[str, "_Trie"]


class Sieve:
    """Finds the lines that may say any of ``names``; accounts are names, too. Safe to share between threads."""

    def __init__(self, names: Iterable[str]) -> None:
        folded = {fold(name).strip().removeprefix("@") for name in names} - {""}
        words = [_WORD.findall(name) for name in folded]
        others = {max(name) for name, said in zip(folded, words, strict=True) if not said}
        needles = {_telling(said) for said in words if said}
        # A name without a letter or digit of ASCII, and without any letter beyond: every line may have it.
        self._takes_all = any(other.isascii() for other in others)
        # What has "elsewhere" in it need not be searched for: who finds that finds this.
        least = [one for one in needles if not any(other in one for other in needles - {one})]
        self._needles = sorted(needle.encode() for needle in least)
        self._words = [tuple(word.encode() for word in said) for said in words if said]
        wanted = frozenset("".join(needles)) | others
        odd = _written_as(wanted)
        in_utf8 = [letter.encode() for letter in odd]
        self._utf8 = _any_of(letter.decode("latin-1") for letter in in_utf8)
        self._begins = np.zeros(1 << 16, dtype=bool)
        self._begins[[letter[0] << 8 | letter[1] for letter in in_utf8]] = True
        self._escape = _escapes(odd, wanted)
        self._entity = _entities(wanted)

    def lines(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Yield where the lines that go through begin and end (without their line feed), in their order.

        ``block`` is whole lines, UTF-8 or anything else.
        """
        found = self._candidates(block.lower())
        yield from sorted(found.items())

    def _candidates(self, block: bytes) -> dict[int, int]:
        if self._takes_all:
            return dict(_every_line(block))
        found: dict[int, int] = {}
        if not block.isascii():
            found.update(self._lines_beyond_ascii(block))
        if b"\\" in block:
            found.update(_lines_with(self._escape, block))
        if b"&" in block:
            found.update(_lines_with(self._entity, block))
        for needle in self._needles:
            at = block.find(needle)
            while at >= 0:
                begin, end = _line_around(block, at)
                if begin not in found and self._may_say_one(block[begin:end]):
                    found[begin] = end
                at = block.find(needle, end)
        return found

    def _lines_beyond_ascii(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Yield the lines with a letter that counts: by the first two bytes of each, then by all of it."""
        there = np.frombuffer(block, dtype=np.uint8)
        leads = np.flatnonzero(there[:-1] >= _FIRST_LEAD)
        pairs = there[leads].astype(np.uint16) << 8 | there[leads + 1]
        end = -1
        for at in leads[self._begins[pairs]].tolist():
            if at > end and self._utf8 is not None and self._utf8.match(block, at):
                begin, end = _line_around(block, at)
                yield begin, end

    def _may_say_one(self, line: bytes) -> bool:
        # A letter of another word may stand there as something else: only a plain line can be judged by all words.
        is_plain = line.isascii() and b"&" not in line and not _ESCAPED.search(line)
        return not is_plain or any(all(word in line for word in words) for words in self._words)


def _telling(words: list[str]) -> str:
    """Return the word of a name that the fewest lines have: as far as its length and hospitals' habits tell."""
    rare = [word for word in words if word not in _COMMON and len(word) >= _LEAST]
    return max(rare or words, key=len)


def _line_around(block: bytes, at: int) -> tuple[int, int]:
    end = block.find(b"\n", at)
    return block.rfind(b"\n", 0, at) + 1, len(block) if end < 0 else end


def _lines_with(pattern: re.Pattern[bytes] | None, block: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while pattern is not None and (hit := pattern.search(block, at)):
        begin, end = _line_around(block, hit.start())
        yield begin, end
        at = end


def _every_line(block: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(block):
        end = block.find(b"\n", at)
        end = len(block) if end < 0 else end
        yield at, end
        at = end + 1


@cache
def _written_as(wanted: frozenset[str]) -> tuple[str, ...]:
    """Return the characters beyond ASCII that fold to something with a wanted letter in it, or to nothing."""
    found = [letter for letter in (*_LEFT_OUT, *sorted(wanted)) if not letter.isascii()]
    for first, last in _ENDS_OF_FOLDING:
        for start in range(first, last, _AT_ONCE):
            some = [letter for letter in map(chr, range(start, start + _AT_ONCE)) if not _SURROGATE.match(letter)]
            if any(map(unicodedata.combining, some)) or not wanted.isdisjoint(fold("".join(some))):
                found += [one for one in some if not (folded := fold(one)) or not wanted.isdisjoint(folded)]
    return tuple(found)


def _escapes(odd: Iterable[str], wanted: Iterable[str]) -> re.Pattern[bytes] | None:
    """Return what finds letters that count where JSON escapes them, ASCII's own too: nothing forbids that."""
    plain = {letter for letter in wanted if letter.isascii()}
    letters = {*odd, *plain, *map(str.upper, plain), *_LEFT_OUT, *"&#;"}
    return _any_of(("\\b", "\\f", *map(_escaped, letters)))


def _escaped(letter: str) -> str:
    """Return a character as JSON escapes it, in small letters and digits; one beyond U+FFFF has two escapes."""
    units = letter.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _entities(wanted: frozenset[str]) -> re.Pattern[bytes] | None:
    """Return what finds entities that stand for a wanted letter; any that is given by its number may."""
    told = {name for name, value in html5.items() if not (said := fold(value)) or not wanted.isdisjoint(said)}
    return _any_of(("&#", *(f"&{name.lower()}" for name in told)))


def _any_of(words: Iterable[str]) -> re.Pattern[bytes] | None:
    """Return what finds any of ``words``, whose letters are bytes: as a tree, which is quicker than a list."""
    root: _Trie = {}
    for word in words:
        node = root
        for letter in word:
            node = node.setdefault(letter, {})
        node[""] = {}
    return re.compile(_branch(root).encode("latin-1"), re.DOTALL) if root else None


def _branch(node: _Trie) -> str:
    if "" in node:
        return ""
    by_rest: dict[str, list[str]] = {}
    for letter, below in node.items():
        by_rest.setdefault(_branch(below), []).append(letter)
    ways = [_class(letters) + rest for rest, letters in by_rest.items()]
    return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"


def _class(letters: list[str]) -> str:
    return re.escape(letters[0]) if len(letters) == 1 else f"[{''.join(map(re.escape, letters))}]"
