"""The trained models: linear, small, read from files, and the same answer whatever else is read beside.

The files lie in ``listener/signals/weights``: ``signals.json`` (vocabulary, lexicon, labels, thresholds),
``signals.npz`` (weights as bytes, with a scale for each column) and ``manifest.json`` (version, and the SHA-256
of both). ``python -m benchmarks.train`` makes them, ``docs/models/`` describes them. Nothing is unpickled.

A text is a set of features and of words (:mod:`listener.signals.featurizer`). Words and pairs of them weigh by how
rare they are and are brought to length one; so are the pieces of words, whose length is that of the words' pieces
as if no two words shared any, so that a word's share is worked out once. Cues weigh as they are. A matrix of
weights, features by columns, adds up to the scores of all that is judged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from listener.signals.featurizer import Features, Featurizer

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

CUE_WEIGHTS = {"cue:": 0.3, "tone:": 0.3, "rule:": 0.6, "hint:": 0.6}
"""How much a feature weighs that is neither a word nor a piece of one, by how it begins."""
WEIGHTS = Path(__file__).with_name("weights")
_AT_ONCE = 256
"""How many texts are added up at a time: some 20 MB for posts of the usual length."""


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


class Word:
    """A word by the numbers of its pieces, and what they add to each column and to the square of the length.

    The sums are float32, as bytes; None until they are first needed.
    """

    __slots__ = ("pieces", "sums")

    def __init__(self, pieces: tuple[int, ...]) -> None:
        self.pieces = pieces
        self.sums: bytes | None = None


_WORD = 0
_NOTHING = (0,)


class Models:
    """The trained models of one set of files. Safe to share between threads."""

    def __init__(self, document: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], version: str) -> None:
        self.version = version
        self.vocabulary: dict[str, int] = {name: number for number, name in enumerate(document["features"])}
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
        self._is_word: npt.NDArray[np.bool_] = arrays["kind"] == _WORD
        # Whole numbers: to turn the whole matrix would take longer than all else of loading.
        self._weights: npt.NDArray[np.int8] = arrays["weights"]
        self._sentiments_from = len(self.judges) + len(self.purposes)
        """The columns from this one on are the gate's and the experts'."""
        self._sentiment_weights = np.ascontiguousarray(self._weights[:, self._sentiments_from :])
        self._scale: Floats = arrays["scale"].astype(np.float32)
        self._bias: Floats = arrays["bias"].astype(np.float32)
        self._no_word = (Word(()),)
        self.featurizer: Featurizer[Word] = Featurizer(self.vocabulary.get, document["lexicon"], Word)

    def mentions(self, texts: Sequence[Features[Word]]) -> tuple[Floats, Floats, Floats]:
        """Return the probabilities of topics, purposes and sentiments.

        Texts by :attr:`judges`, by :attr:`purposes`, and by negative, neutral, positive.
        """
        scores = self._scores(texts)
        topics, purposes = len(self.judges), self._sentiments_from
        return (
            _expit(scores[:, :topics] * self._slopes + self._offsets),
            _softmax(scores[:, topics:purposes] * self._purpose_scale),
            self._sentiments(scores[:, purposes:]),
        )

    def sentiments(self, texts: Sequence[Features[Word]]) -> Floats:
        """Return the probabilities of sentiments alone, in less time: texts by negative, neutral, positive."""
        return self._sentiments(self._scores(texts, only_sentiments=True))

    def _sentiments(self, scores: Floats) -> Floats:
        where = _softmax(scores[:, : self._domains])
        experts = scores[:, self._domains :].reshape(len(scores), self._domains, 3) + self._nudges
        return _softmax((where[:, :, None] * experts).sum(axis=1) * self._sentiment_scale)

    def _scores(self, texts: Sequence[Features[Word]], *, only_sentiments: bool = False) -> Floats:
        """Return texts by columns."""
        first = self._sentiments_from if only_sentiments else 0
        weights = self._sentiment_weights if only_sentiments else self._weights
        parts = [self._added(texts[at : at + _AT_ONCE], weights) for at in range(0, len(texts), _AT_ONCE)]
        added = np.concatenate(parts) if parts else np.zeros((0, weights.shape[1]), np.float32)
        result: Floats = added * self._scale[first:] + self._bias[first:]
        return result

    def _added(self, texts: Sequence[Features[Word]], columns: npt.NDArray[np.int8]) -> Floats:
        # A text without any feature would make its sum another's: it reads one, which weighs nothing there.
        some = [text.numbers or _NOTHING for text in texts]
        lengths = np.fromiter(map(len, some), np.intp, len(some))
        numbers = np.fromiter(chain.from_iterable(some), np.intp, lengths.sum())
        starts = _starts(lengths)
        weights = self._weight[numbers]
        weights[starts[[not text.numbers for text in texts]]] = 0
        is_word = self._is_word[numbers]
        lengths_of_words = np.add.reduceat(weights * weights * is_word, starts)
        weights /= np.where(is_word, np.repeat(_length(lengths_of_words), lengths), 1)
        added = np.add.reduceat(columns[numbers] * weights[:, None], starts, axis=0)
        words = [text.words or self._no_word for text in texts]
        result: Floats = added + self._added_by_pieces(words, columns.shape[1])
        return result

    def _added_by_pieces(self, texts: Sequence[Sequence[Word]], columns: int) -> Floats:
        """Return texts by the last ``columns``."""
        words = [word for text in texts for word in text]
        self._work_out(dict.fromkeys([word for word in words if word.sums is None]))
        sums = np.frombuffer(b"".join([word.sums or b"" for word in words]), np.float32)
        sums = sums.reshape(len(words), len(self._scale) + 1)[:, -columns - 1 :]
        starts = _starts(np.fromiter(map(len, texts), np.intp, len(texts)))
        added: Floats = np.add.reduceat(sums, starts, axis=0)
        result: Floats = added[:, :-1] / _length(added[:, -1:])
        return result

    def _work_out(self, words: Collection[Word]) -> None:
        """Work out the sums of words that are met for the first time, all at once."""
        if not words:
            return
        pieces = [word.pieces or _NOTHING for word in words]
        lengths = np.fromiter(map(len, pieces), np.intp, len(pieces))
        numbers = np.fromiter(chain.from_iterable(pieces), np.intp, lengths.sum())
        starts = _starts(lengths)
        weights = self._weight[numbers][:, None]
        weights[starts[[not word.pieces for word in words]]] = 0
        added = np.add.reduceat(np.hstack([self._weights[numbers] * weights, weights * weights]), starts, axis=0)
        for word, sums in zip(words, added, strict=True):
            word.sums = sums.tobytes()


def _starts(lengths: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return np.concatenate(([0], np.cumsum(lengths)[:-1]))


def _length(squares: Floats) -> Floats:
    """Return the roots, but one of nothing: what has no length is divided by it."""
    result: Floats = np.sqrt(np.where(squares > 0, squares, 1))
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
