"""The space of features: which of them a model knows, how much each weighs, and texts as rows of a matrix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from listener.signals.featurizer import Featurizer
from listener.signals.hints import hint_of, with_hints
from listener.signals.models import CUE_WEIGHTS, hint_feature, rule_feature
from listener.signals.taxonomy import Language, Taxonomy
from listener.signals.topics import TopicMatcher

Rows = npt.NDArray[np.intp]
ENGLISH: Language = "en"
FRENCH: Language = "fr"

_MOST_PIECES = 35_000
_SEEN = {"word": 5, "piece": 8, "cue": 3}
_SEEN_IN_CARE = {"word": 2, "piece": 4, "cue": 2}


@dataclass(frozen=True)
class Corpus:
    """Every text as a row over every feature asked for: ones, and of pieces how many of its words have them.

    Some stand in no row: of each token it is asked what it would be at the end of a text, or negated.
    """

    names: npt.NDArray[np.str_]
    matrix: csr_matrix
    kinds: npt.NDArray[np.str_]
    """Of each feature: word, piece or cue."""
    words: csr_matrix
    """Texts by words: which words stand in which text."""
    pieces: csr_matrix
    """Words by features: which pieces a word has."""

    @classmethod
    def read(
        cls,
        texts: Sequence[str],
        french: Sequence[bool],
        taxonomy: Taxonomy,
        lexicon: dict[str, int],
    ) -> Corpus:
        """Read the texts as the models will, rules included; ``french`` says whose phrases to look for."""
        # A vocabulary that takes every feature it is asked for.
        vocabulary: defaultdict[str, int] = defaultdict()
        vocabulary.default_factory = vocabulary.__len__
        spelt: dict[tuple[int, ...], int] = {}
        featurizer = Featurizer(
            vocabulary.__getitem__, lexicon, lambda pieces: spelt.setdefault(pieces, len(spelt))
        )
        matchers = {
            is_french: TopicMatcher(with_hints(taxonomy), language)
            for is_french, language in ((False, ENGLISH), (True, FRENCH))
        }
        rows, words = [], []
        for text, is_french in zip(texts, french, strict=True):
            whole = featurizer.read(text).whole
            numbers = set(whole.numbers)
            for hit in matchers[is_french].match(text):
                hint = hint_of(hit.slug)
                numbers.add(vocabulary[rule_feature(hit.slug) if hint is None else hint_feature(hint)])
            rows.append(sorted(numbers))
            words.append(sorted(set(whole.words)))
        names = np.array(list(vocabulary))
        order = np.argsort(names, kind="stable")
        place = np.empty(len(names), np.int64)
        place[order] = np.arange(len(names))
        pieces = _ones(list(spelt), len(names), place)
        of_texts = _ones(words, len(spelt), np.arange(len(spelt)))
        matrix = (_ones(rows, len(names), place) + of_texts @ pieces).tocsr()
        matrix.sort_indices()
        names = names[order]
        return cls(names, matrix, np.array([_kind(name) for name in names]), of_texts, pieces)


def _ones(rows: Sequence[Sequence[int]], width: int, place: npt.NDArray[np.int64]) -> csr_matrix:
    """Return a matrix with a one in each row at the ``place`` of each of its numbers."""
    ends = np.cumsum([0, *map(len, rows)])
    columns = place[np.fromiter((number for row in rows for number in row), np.int64, ends[-1])]
    return csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=(len(rows), width))


def _kind(name: str) -> str:
    if name.startswith("~"):
        return "piece"
    return "cue" if name.startswith(tuple(CUE_WEIGHTS)) else "word"


@dataclass(frozen=True)
class Space:
    """The features that some training rows support, and their weights (inverse document frequency)."""

    corpus: Corpus
    columns: Rows
    weights: npt.NDArray[np.float64]

    @classmethod
    def of(cls, corpus: Corpus, rows: Rows, care: Rows) -> Space:
        """Choose by how often a feature stands in ``rows``, or in ``care``, those that speak of care."""
        seen = corpus.matrix[rows].getnnz(axis=0)
        in_care = corpus.matrix[care].getnnz(axis=0)
        keep = np.zeros(len(seen), bool)
        for kind, least in _SEEN.items():
            of_kind = corpus.kinds == kind
            keep |= of_kind & ((seen >= least) | (in_care >= _SEEN_IN_CARE[kind]))
        pieces = np.flatnonzero(keep & (corpus.kinds == "piece"))
        if len(pieces) > _MOST_PIECES:
            rarest = pieces[np.argsort(-(seen[pieces] + 20 * in_care[pieces]), kind="stable")[_MOST_PIECES:]]
            keep[rarest] = False
        columns = np.flatnonzero(keep)
        weights = np.log((1 + len(rows)) / (1 + seen[columns])) + 1
        for beginning, weight in CUE_WEIGHTS.items():
            weights[np.char.startswith(corpus.names[columns], beginning)] = weight
        return cls(corpus, columns, weights)

    @property
    def names(self) -> list[str]:
        """The features, in the order of the matrix's columns."""
        return self.corpus.names[self.columns].tolist()

    @property
    def kinds(self) -> npt.NDArray[np.str_]:
        """Of each column: word, piece or cue."""
        return self.corpus.kinds[self.columns]

    def rows(self, rows: Rows | Iterable[int]) -> csr_matrix:
        """Return texts as rows: words of length one, pieces by the length of the words', cues as they are."""
        matrix = self.corpus.matrix[rows][:, self.columns].astype(np.float64)
        matrix = matrix.multiply(self.weights).tocsr()
        kinds = self.kinds
        of_words = matrix.multiply(matrix) @ (kinds == "word").astype(np.float64)
        of_pieces = self.corpus.words[rows] @ self._squares
        at = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        for kind, squares in (("word", of_words), ("piece", of_pieces)):
            mine = (kinds == kind)[matrix.indices]
            matrix.data[mine] /= np.sqrt(np.where(squares > 0, squares, 1.0))[at[mine]]
        return matrix

    @cached_property
    def _squares(self) -> npt.NDArray[np.float64]:
        """Of each word, the square of the length of its pieces."""
        squares = np.zeros(len(self.corpus.names))
        squares[self.columns] = self.weights**2
        return np.asarray(self.corpus.pieces @ squares)
