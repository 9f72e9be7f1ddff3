"""Turns texts into the numbers of their features, fast: a word's pieces are worked out once and remembered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from listener.signals import features

_REMEMBERED = 60_000
"""How many words are remembered: enough for nearly every word of a day, some 40 MB at the most."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as the models read it: the features of all of it, and of each clause (numbers in the vocabulary).

    A clause has an end of its own, and the cues of the whole. The clause of a text that has one only is the text.
    """

    whole: frozenset[int]
    clauses: tuple[frozenset[int], ...]


class Featurizer:
    """Reads texts with one vocabulary (feature → number) and lexicon (word → tone, -4 to 4).

    Deterministic; safe to share between threads.
    """

    def __init__(self, vocabulary: Mapping[str, int], lexicon: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary
        self._lexicon = lexicon
        self._words: dict[str, tuple[int, ...]] = {}

    def read(self, text: str) -> Reading:
        """Return the features of ``text`` that are in the vocabulary."""
        folded = features.fold(text)
        parts: list[list[str]] = []
        for sentence in features.sentences(folded) or [folded]:
            parts += features.clauses(features.words(sentence))
        everything = [token for tokens in parts for token in tokens]
        found = [self._clause(tokens) for tokens in parts]
        # What the text is like holds for each clause, too: where it was written does not change in the middle.
        cues = frozenset(self._numbers(features.cues(folded, everything)))
        whole = cues.union(self._end(everything), *found)
        if len(parts) == 1:
            return Reading(whole, (whole,))
        clauses = (one.union(self._end(tokens), cues) for one, tokens in zip(found, parts, strict=True))
        return Reading(whole, tuple(clauses))

    def _end(self, tokens: list[str]) -> list[int]:
        return self._numbers(features.end_features(tokens, self._lexicon))

    def _clause(self, tokens: list[str]) -> frozenset[int]:
        found = set(self._numbers(features.word_features(tokens, self._lexicon)))
        # Once each, in order: the order of a set of words changes from run to run, and with it the last digit.
        for token in dict.fromkeys(tokens):
            found.update(self._word(token))
        return frozenset(found)

    def _numbers(self, names: Iterable[str]) -> list[int]:
        known = self._vocabulary
        return [known[name] for name in names if name in known]

    def _word(self, word: str) -> tuple[int, ...]:
        found = self._words.get(word)
        if found is None:
            if len(self._words) >= _REMEMBERED:
                self._words.clear()
            found = self._words[word] = tuple(self._numbers(features.pieces(word, self._lexicon)))
        return found
