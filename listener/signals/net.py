"""Phrases as one nondeterministic automaton over the units of a text: words, and the separators between them.

It is small since alternatives stay alternatives, and phrases that begin alike share their beginning.
:mod:`listener.signals.automaton` walks it. How phrases are written is told in :mod:`listener.signals.phrases`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from listener.signals.phrases import GAP, GAP_SEPARATOR, is_word, parse_phrase, segment, written_out

Label = str | re.Pattern[str]
"""What an edge asks of a unit: a word, ``"wait*"`` for any that begins so, "" for any at all; a separator as it
is, or an expression for all of it."""

ANY_WORD = ""
_PHRASE_PART = re.compile(r"\w+\*?|\W+")
_GAP_WORDS = 4
_GLUE = re.compile(r"[.,:']")
"""Alone between two words of a gap it makes them one: "2.5", "wasn't"."""
_NEXT_GAP_SEPARATOR = rf"(?!{_GLUE.pattern}\Z){GAP_SEPARATOR}"
_ANYTHING = "(?s:.*)"


class Net:
    """The automaton: nodes are numbers, each with its edges. Complete, it is only read."""

    def __init__(self) -> None:
        self.edges: defaultdict[int, list[tuple[Label, int]]] = defaultdict(list)
        # The nodes within a gap, told apart by nothing but the words still allowed: the first allows most.
        self.alike: dict[int, int] = {}
        self._nodes = 1
        # Whoever is in a node is in these too.
        self.also: defaultdict[int, list[int]] = defaultdict(list)
        self.complete: defaultdict[int, list[int]] = defaultdict(list)
        self._behind: dict[tuple[int, str], int] = {}

    def add(self, number: int, phrase: str) -> None:
        """Add a phrase under its number; raises ``PhraseError`` where it is not in the phrase language."""
        rows = parse_phrase(phrase)
        if all(segment(part).plain for row in rows for part in row):
            for row in rows:
                self._add_row(number, row)
        else:
            for variant in written_out(phrase):
                self._add_variant(number, variant.split())

    def _node(self) -> int:
        self._nodes += 1
        return self._nodes - 1

    def _add_row(self, number: int, row: Sequence[str]) -> None:
        """Add a phrase whose words all begin and end with letters; phrases that begin alike share nodes."""
        node = 0
        for part in row:
            behind = self._behind.get((node, part))
            if behind is None:
                behind = self._behind[node, part] = self._add_segment(node, part)
            node = behind
        self.complete[node].append(number)

    def _add_segment(self, start: int, part: str) -> int:
        if part == GAP:
            return self._add_gap([(start, "")])[0]
        end = self._node()
        for words in segment(part).alternatives:
            if not words:
                self.also[start].append(end)
                continue
            node = start
            for word in words[:-1]:
                node = self._add_gap([(node, "")])[0] if word == GAP else self._add_word(node, word, self._node())
            if words[-1] == GAP:
                self.also[self._add_gap([(node, "")])[0]].append(end)
            else:
                self._add_word(node, words[-1], end)
        return end

    def _add_word(self, node: int, word: str, end: int) -> int:
        """Lead from ``node`` over a phrase's word, which may be several units ("didn't"), to ``end``."""
        if word.isalnum() or word[:-1].isalnum():
            self.edges[node].append((word, end))
            return end
        *parts, last = _PHRASE_PART.findall(word)
        for part in parts:
            after = self._node()
            self.edges[node].append((part, after))
            node = after
        self.edges[node].append((last, end))
        return end

    def _add_gap(self, places: Sequence[tuple[int, str]]) -> tuple[int, list[tuple[int, str]]]:
        """Lead over a gap; return where its next word is awaited, and the places before the separator ahead of it.

        A place is a node and an expression for what has been read since of a separator.
        """
        end = self._node()
        before = self._node()
        self.also[before].append(end)
        behind = []
        for node, read in places:
            self._add_separator(node, read + GAP_SEPARATOR, before)
            behind.append((node, read + GAP_SEPARATOR))
        awaiting, words, glueds = before, before + 1, before + 2
        self.alike[before] = awaiting
        for count in range(1, _GAP_WORDS + 1):
            word, glued = self._node(), self._node()
            self.alike[word], self.alike[glued] = words, glueds
            self.edges[before].append((ANY_WORD, word))
            self.edges[word].append((_GLUE, glued))
            self.edges[glued].append((ANY_WORD, word))
            before = self._node() if count < _GAP_WORDS else end
            self._add_separator(word, _NEXT_GAP_SEPARATOR, before)
            if before != end:
                self.also[before].append(end)
                self.alike[before] = awaiting
            behind.append((word, _NEXT_GAP_SEPARATOR))
        return end, behind

    def _add_separator(self, node: int, expression: str, end: int) -> None:
        compiled = _compiled(expression)
        self.edges[node].append((compiled, end))
        # A single space is no unit.
        if node and compiled.fullmatch(" "):
            self.also[node].append(end)

    def _add_variant(self, number: int, words: Sequence[str]) -> None:
        """Add one way to write a phrase, whatever its words begin and end with."""
        places = [(0, _ANYTHING)]
        awaited: int | None = 0
        before = ""
        for word in words:
            if word == GAP:
                awaited, places = self._add_gap(places)
            elif before not in ("", GAP):
                places = [(node, read + " ") for node, read in places]
                awaited = None
            for part in () if word == GAP else _PHRASE_PART.findall(word):
                if not is_word(part[0]):
                    places = [(node, read + re.escape(part)) for node, read in places]
                    awaited = None
                    continue
                if awaited is None:
                    awaited = self._node()
                    for node, read in places:
                        self._add_separator(node, read, awaited)
                end = self._node()
                self.edges[awaited].append((part, end))
                places = [(end, "")]
                awaited = None
            before = word
        end = self._node()
        for node, read in places:
            if read:
                self._add_separator(node, read + _ANYTHING, end)
            else:
                self.also[node].append(end)
        self.complete[end].append(number)


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)
