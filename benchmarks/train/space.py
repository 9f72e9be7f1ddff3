"""The space of features: which of them a model knows, how much each weighs, and texts as rows of a matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from listener.signals.featurizer import Featurizer
from listener.signals.models import CUE_WEIGHTS, hint_feature, rule_feature
from listener.signals.taxonomy import Language, Taxonomy
from listener.signals.topics import TopicMatcher

Rows = npt.NDArray[np.intp]
ENGLISH: Language = "en"
FRENCH: Language = "fr"

_MOST_PIECES = 35_000
_SEEN = {"word": 5, "piece": 8, "cue": 3}
_SEEN_IN_CARE = {"word": 2, "piece": 4, "cue": 2}


class _Growing(dict[str, int]):
    """A vocabulary that takes every feature it is asked for."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]


@dataclass(frozen=True)
class Corpus:
    """Every text as a row of zeros and ones over every feature that any of them has."""

    names: npt.NDArray[np.str_]
    matrix: csr_matrix
    kinds: npt.NDArray[np.str_]
    """Of each feature: word, piece or cue."""

    @classmethod
    def read(
        cls,
        texts: Sequence[str],
        french: Sequence[bool],
        taxonomy: Taxonomy,
        hints: Taxonomy,
        lexicon: dict[str, int],
    ) -> Corpus:
        """Read the texts as the models will, rules included; ``french`` says whose phrases to look for."""
        vocabulary = _Growing()
        featurizer = Featurizer(vocabulary, lexicon)
        matchers = {
            is_french: (TopicMatcher(taxonomy, language), TopicMatcher(hints, language))
            for is_french, language in ((False, ENGLISH), (True, FRENCH))
        }
        rows = []
        for text, is_french in zip(texts, french, strict=True):
            numbers = set(featurizer.read(text).whole)
            rules, hinting = matchers[is_french]
            numbers.update(vocabulary[rule_feature(hit.slug)] for hit in rules.match(text))
            numbers.update(vocabulary[hint_feature(hit.slug)] for hit in hinting.match(text))
            rows.append(sorted(numbers))
        names = np.array(list(vocabulary))
        order = np.argsort(names, kind="stable")
        places = np.empty(len(names), np.int64)
        places[order] = np.arange(len(names))
        lengths = np.cumsum([0, *map(len, rows)])
        columns = places[np.fromiter((number for row in rows for number in row), np.int64, lengths[-1])]
        matrix = csr_matrix((np.ones(len(columns), np.float32), columns, lengths), shape=(len(rows), len(names)))
        matrix.sort_indices()
        names = names[order]
        return cls(names, matrix, np.array([_kind(name) for name in names]))


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
        seen = np.asarray(corpus.matrix[rows].sum(axis=0)).ravel()
        in_care = np.asarray(corpus.matrix[care].sum(axis=0)).ravel()
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
        """Return texts as rows: words and pieces each of length one, cues as they are."""
        matrix = self.corpus.matrix[rows][:, self.columns].astype(np.float64)
        matrix = matrix.multiply(self.weights).tocsr()
        kinds = self.kinds
        by_kind = {kind: (kinds == kind).astype(np.float64) for kind in ("word", "piece")}
        scale = np.full(matrix.nnz, 1.0)
        at = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        for of_kind in by_kind.values():
            squares = matrix.multiply(matrix) @ of_kind
            lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
            mine = of_kind[matrix.indices] > 0
            scale[mine] = 1 / lengths[at[mine]]
        matrix.data *= scale
        return matrix
