"""The trained models: linear, small, read from files, and the same answer whatever else is read beside.

The files lie in ``listener/signals/weights``: ``signals.json`` (vocabulary, lexicon, labels, thresholds),
``signals.npz`` (weights as bytes, with a scale for each column) and ``manifest.json`` (version, and the SHA-256
of both). ``python -m benchmarks.train`` makes them, ``docs/models/`` describes them. Nothing is unpickled.

A text is a set of features (:mod:`listener.signals.features`). Words and pieces of words weigh by how rare they
are and are brought to length one, each kind by itself; cues weigh as they are. A head is a matrix of weights,
features by labels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from listener.signals.featurizer import Featurizer

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

CUE_WEIGHTS = {"cue:": 0.3, "tone:": 0.3, "rule:": 0.6, "hint:": 0.6}
"""How much a feature weighs that is neither a word nor a piece of one, by how it begins."""
WEIGHTS = Path(__file__).with_name("weights")
_AT_ONCE = 256
"""How many texts are added up at a time: some 20 MB."""


def rule_feature(slug: str) -> str:
    """Return the feature that says: a phrase of this topic stands in the text."""
    return f"rule:{slug}"


def hint_feature(slug: str) -> str:
    """Return the feature that says: a phrase of this hint of a purpose stands in the text."""
    return f"hint:{slug}"


class WeightsError(RuntimeError):
    """The files of the models are missing, or not what the manifest says: the installation is damaged."""


@dataclass(frozen=True, slots=True)
class TopicJudge:
    """How a topic's margin becomes a probability, and from which probability on a mention has the topic."""

    slope: float
    offset: float
    threshold: float


class Models:
    """The trained models of one set of files. Safe to share between threads."""

    def __init__(self, document: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], version: str) -> None:
        self.version = version
        self.vocabulary: dict[str, int] = {name: number for number, name in enumerate(document["features"])}
        self.featurizer = Featurizer(self.vocabulary, document["lexicon"])
        self.purposes: tuple[str, ...] = tuple(document["purposes"]["labels"])
        self._purpose_scale: float = document["purposes"]["temperature"]
        self.counted_from: float = document["purposes"]["counted_from"]
        self.left_out_to: float = document["purposes"]["left_out_to"]
        self._domains = len(document["sentiment"]["domains"])
        self._nudges = np.array(document["sentiment"]["nudges"], np.float32)
        self._sentiment_scale: float = document["sentiment"]["temperature"]
        self.judges = {slug: TopicJudge(**judge) for slug, judge in document["topics"].items()}
        self._slopes = np.array([judge.slope for judge in self.judges.values()], np.float32)
        self._offsets = np.array([judge.offset for judge in self.judges.values()], np.float32)
        self._weight = arrays["weight"].astype(np.float32)
        self._kind = arrays["kind"]
        self._mention = _Head(arrays, "mention")
        self._sentence = _Head(arrays, "sentence")

    def mentions(self, texts: Sequence[Collection[int]]) -> tuple[Floats, Floats, Floats]:
        """Return the probabilities of topics, purposes and sentiments.

        Texts by :attr:`judges`, by :attr:`purposes`, and by negative, neutral, positive.
        """
        parts = [self._mentions(rows) for rows in self._rows(texts)]
        if not parts:
            return _NO_ROWS, _NO_ROWS, _NO_ROWS
        topics, purposes, sentiments = (np.concatenate(kind) for kind in zip(*parts, strict=True))
        return topics, purposes, sentiments

    def sentiments(self, texts: Sequence[Collection[int]]) -> Floats:
        """Return the probabilities of negative, neutral and positive: texts by 3."""
        parts = [self._sentiments(rows) for rows in self._rows(texts)]
        return np.concatenate(parts) if parts else _NO_ROWS

    def _mentions(self, rows: _Rows) -> tuple[Floats, Floats, Floats]:
        scores = self._mention.add(rows)
        topics = len(self.judges)
        return (
            _expit(scores[:, :topics] * self._slopes + self._offsets),
            _softmax(scores[:, topics:] * self._purpose_scale),
            self._sentiments(rows),
        )

    def _sentiments(self, rows: _Rows) -> Floats:
        scores = self._sentence.add(rows)
        where = _softmax(scores[:, : self._domains])
        experts = scores[:, self._domains :].reshape(len(scores), self._domains, 3) + self._nudges
        return _softmax((where[:, :, None] * experts).sum(axis=1) * self._sentiment_scale)

    def _rows(self, texts: Sequence[Collection[int]]) -> Iterator[_Rows]:
        """Yield the texts, some at a time, with the weight of each feature in its text."""
        for at in range(0, len(texts), _AT_ONCE):
            # A text without any feature would make its sum another's: it reads one, which weighs nothing there.
            some = [text or _NOTHING for text in texts[at : at + _AT_ONCE]]
            lengths = np.fromiter(map(len, some), np.intp, len(some))
            numbers = np.fromiter(chain.from_iterable(some), np.intp, lengths.sum())
            starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
            weights, kinds = self._weight[numbers], self._kind[numbers]
            weights[starts[[text is _NOTHING for text in some]]] = 0
            squares = weights * weights
            scale = np.ones(len(numbers), np.float32)
            for kind in (_WORD, _PIECE):
                mine = kinds == kind
                lengths_of = np.sqrt(np.add.reduceat(squares * mine, starts))
                lengths_of[lengths_of == 0] = 1
                scale[mine] /= np.repeat(lengths_of, lengths)[mine]
            yield _Rows(numbers, weights * scale, starts)


class _Rows(NamedTuple):
    """Texts as sums to be made: the features of all, text after text, their weights, where each text begins."""

    numbers: npt.NDArray[np.intp]
    weights: Floats
    starts: npt.NDArray[np.intp]


_WORD, _PIECE = 0, 1
_NOTHING = (0,)


_NO_ROWS: Floats = np.zeros((0, 0), np.float32)


class _Head:
    """A matrix of weights, kept in the files as whole numbers from -127 to 127 and a scale for each column."""

    def __init__(self, arrays: dict[str, npt.NDArray[Any]], name: str) -> None:
        self._weights: npt.NDArray[np.int8] = arrays[f"{name}_weights"]
        self._scale: Floats = arrays[f"{name}_scale"].astype(np.float32)
        self._bias: Floats = arrays[f"{name}_bias"].astype(np.float32)

    def add(self, rows: _Rows) -> Floats:
        """Return texts by labels."""
        # Whole numbers until here: to turn the whole matrix would take longer than all else of loading.
        added = np.add.reduceat(self._weights[rows.numbers] * rows.weights[:, None], rows.starts, axis=0)
        result: Floats = added * self._scale + self._bias
        return result


def _softmax(scores: Floats) -> Floats:
    powers: Floats = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Floats = powers / powers.sum(axis=1, keepdims=True)
    return result


def _expit(scores: Floats) -> Floats:
    result: Floats = np.float32(1) / (np.float32(1) + np.exp(-scores))
    return result


def read_models(folder: Path) -> Models:
    """Read the models in ``folder``; raises ``WeightsError`` where a file is missing or not as it should be."""
    version, digests = _manifest(folder)
    content = {name: _read(folder / name) for name in ("signals.json", "signals.npz")}
    for name, found in content.items():
        if hashlib.sha256(found).hexdigest() != digests.get(name):
            raise _damaged(folder / name)
    with np.load(BytesIO(content["signals.npz"]), allow_pickle=False) as archive:
        arrays = dict(archive)
    return Models(json.loads(content["signals.json"]), arrays, version)


def _manifest(folder: Path) -> tuple[str, dict[str, str]]:
    """Return the version of the models in ``folder``, and the SHA-256 of each file."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(_read(path))
        return str(manifest["version"]), dict(manifest["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> WeightsError:
    return WeightsError(f"{path} is not the file that Listener was shipped with: install it anew")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}; install Listener anew") from error


@cache
def shipped_models() -> Models:
    """Return the models that Listener ships, read once."""
    return read_models(WEIGHTS)


def models_version() -> str:
    """Return the version of the shipped models, without reading them."""
    version, _ = _manifest(WEIGHTS)
    return version
