"""The heads: how each is fitted to rows of a space, and what it says of others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize, minimize_scalar
from scipy.sparse import csr_matrix, vstack
from scipy.special import expit, log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from benchmarks.train.data import DOMAINS, SENTIMENTS
from benchmarks.train.space import Rows, Space
from listener.mention import Purpose

Floats = npt.NDArray[np.float64]
PURPOSES = tuple(map(str, Purpose))
CARE = {str(Purpose.EXPERIENCE), str(Purpose.QUESTION)}


@dataclass(frozen=True)
class Head:
    """Weights (features by labels) and biases."""

    weights: Floats
    bias: Floats

    def scores(self, matrix: csr_matrix) -> Floats:
        """Return rows by labels."""
        return np.asarray(matrix @ self.weights + self.bias)


def logistic(
    matrix: csr_matrix, answers: npt.NDArray[Any], labels: tuple[str, ...], *, weight: Floats, strength: float
) -> Head:
    """Fit a multinomial logistic regression; ``strength`` is sklearn's C."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 80 steps are enough: more change nothing that counts
        model = LogisticRegression(C=strength, max_iter=80, tol=1e-4).fit(matrix, answers, sample_weight=weight)
    place = [list(model.classes_).index(label) for label in labels]
    return Head(model.coef_[place].T.astype(np.float64), model.intercept_[place].astype(np.float64))


def read_without(space: Space, rows: Rows, *beginnings: str) -> csr_matrix:
    """Return rows without the features that begin so."""
    allowed = np.array([0.0 if name.startswith(beginnings) else 1.0 for name in space.names])
    return space.rows(rows).multiply(allowed).tocsr()


def topic_rows(space: Space, rows: Rows) -> csr_matrix:
    """Return rows as the topics read them."""
    return read_without(space, rows, "hint:")


def purpose_rows(space: Space, rows: Rows) -> csr_matrix:
    """Return rows as the purposes read them."""
    return read_without(space, rows, "rule:")


def sentiment_rows(space: Space, rows: Rows) -> csr_matrix:
    """Return rows as the sentiments read them: rules and hints belong to no single clause."""
    return read_without(space, rows, "rule:", "hint:")


# ------------------------------------------------------------------------------------------- sentiment

_OTHERS = {"feedback": 0.03, "tweets": 0.1, "reddit": 0.15, "social": 0.5, "french": 0.3}
"""What a text of another domain weighs beside one of the expert's own."""
_STRENGTH = {"feedback": 3.0, "tweets": 0.7, "reddit": 1.0, "social": 1.5, "french": 1.5}
_TAUGHT = {"feedback": 3.0, "tweets": 0.1, "reddit": 0.1, "social": 0.1}
"""What a comment that only a teacher knows weighs to each expert, beside one of its own that a person labelled.

The others hear of care, too: where the gate takes a text for another domain's, its expert should know the words.
"""
_BALANCE = {"feedback": 0.8}
"""How far an expert takes its three sentiments as equally frequent: 1 unless it stands here, 0 is as they are."""
_TELLS = (0.2, 4.0)
"""The least and the most that a feature may tell (:func:`telling`)."""
_GATE_AT_MOST = 3_000
_DECIDED = 2.0
"""Multiplies the scores of the gate: other experts say little of a text that is clearly of one domain."""
_LEANS = {"feedback": 1.0}
"""Added to the scores of the gate: what might be feedback or chat is rather feedback, for it is of a hospital."""
NUDGES = {"feedback": (0.45, 0.0, 0.2), "social": (0.3, 0.0, 0.0), "french": (0.3, 0.0, 0.0)}
"""Added to the scores of (negative, neutral, positive) where people speak of care.

A complaint that is missed is the costly error, and feedback is seldom neutral.
"""


@dataclass(frozen=True)
class Sentiments:
    """A gate that tells what a text is like, and an expert for each domain."""

    gate: Head
    experts: dict[str, Head]
    nudges: Floats
    """Added to the scores of each domain's labels: domains by sentiments."""

    def scores(self, matrix: csr_matrix) -> Floats:
        """Return the logarithms of probabilities up to a constant: rows by (negative, neutral, positive)."""
        where = np.exp(log_softmax(self.gate.scores(matrix), axis=1))
        return sum(
            where[:, [number]] * (self.experts[domain].scores(matrix) + self.nudges[number])
            for number, domain in enumerate(DOMAINS)
        )


def fit_sentiment(space: Space, every: pd.DataFrame, rows: Rows, taught: tuple[Rows, Floats]) -> Sentiments:
    """Fit gate and experts to the rows that have a sentiment, and to what a teacher says of the comments.

    ``taught`` are the rows of the comments, and how probable each sentiment is to the teacher.
    """
    rows = rows[every["sentiment"].iloc[rows].notna().to_numpy()]
    matrix = sentiment_rows(space, rows)
    here = every.iloc[rows]
    domain = here["domain"].to_numpy()
    answers = here["sentiment"].to_numpy(dtype=str)
    size = here.groupby("domain")["text"].transform("size").to_numpy()
    comments = sentiment_rows(space, taught[0])
    balanced = np.minimum(1.0, _GATE_AT_MOST / size) * np.where(domain == "social", 2.0, 1.0)
    gate = logistic(
        vstack([matrix, comments]).tocsr(),
        np.concatenate([domain.astype(str), np.full(len(taught[0]), "feedback")]),
        DOMAINS,
        weight=np.concatenate([balanced, np.ones(len(taught[0]))]),
        strength=3.0,
    )
    leans = np.array([_LEANS.get(name, 0.0) for name in DOMAINS])
    gate = Head(gate.weights * _DECIDED, gate.bias * _DECIDED + leans)
    rarity = (1 / here.groupby(["domain", "sentiment"])["text"].transform("size")).to_numpy()
    lesson = vstack([matrix] + [comments] * len(SENTIMENTS)).tocsr()
    lesson_answers = np.concatenate([answers, np.repeat(SENTIMENTS, len(taught[1]))])
    frequent = taught[1].mean(axis=0) * len(SENTIMENTS)
    taught_in = _ones(comments).T @ taught[1]
    experts = {}
    for name in DOMAINS:
        own = domain == name
        others = min(1.0, 2 * max(own.sum(), 1500) / max((~own).sum(), 1)) * _OTHERS[name]
        balance = _BALANCE.get(name, 1.0)
        weight = np.where(own, (rarity / rarity[own].mean()) ** balance, rarity / rarity[~own].mean() * others)
        # Each comment stands there once for each sentiment, and weighs as much as the teacher finds it probable.
        probable = (taught[1] / frequent**balance).T.ravel()
        weight = np.concatenate([weight, probable * _TAUGHT.get(name, 0.0)])
        use = weight > 0
        told_in = _ones(matrix[own]).T @ (answers[own, None] == np.array(SENTIMENTS))
        tells = telling(told_in + taught_in * min(1.0, _TAUGHT.get(name, 0.0)))
        head = logistic(
            lesson[use].multiply(tells).tocsr(),
            lesson_answers[use],
            SENTIMENTS,
            weight=weight[use],
            strength=_STRENGTH[name],
        )
        experts[name] = Head(head.weights * tells[:, None], head.bias)
    return Sentiments(gate, experts, np.array([NUDGES.get(domain, (0.0, 0.0, 0.0)) for domain in DOMAINS]))


def telling(seen: Floats) -> Floats:
    """Return how much each feature tells of the sentiments, around 1: the larger, the less it must be learnt.

    ``seen``: in how many texts of each sentiment a feature stands, features by sentiments. It is the logarithm of
    how much more frequent, or rarer, the feature is in one sentiment than in the two others (Wang and Manning,
    "Baselines and Bigrams", 2012), of that sentiment of which it tells most, beside that of the median feature.
    """
    texts = seen.sum(axis=0)
    others = seen.sum(axis=1, keepdims=True) - seen
    share, share_of_others = (seen + 0.5) / (texts + 1), (others + 0.5) / (texts.sum() - texts + 1)
    ratio = np.abs(np.log(share / share_of_others)).max(axis=1)
    result: Floats = np.clip(ratio / np.median(ratio), *_TELLS)
    return result


def _ones(matrix: csr_matrix) -> csr_matrix:
    """Return which feature stands in which row."""
    return (matrix != 0).astype(np.float64)


# --------------------------------------------------------------------------------------------- purpose


def fit_purpose(
    space: Space, every: pd.DataFrame, rows: Rows, *, strength: float = 8.0, weak: float = 0.15
) -> Head:
    """Fit the purposes to our written mentions; feedback is experience and Reddit chat is other, both weakly."""
    here = every.iloc[rows]
    written = here["domain"].isin(["social", "french"]).to_numpy() & here["purpose"].notna().to_numpy()
    feedback = (here["domain"] == "feedback").to_numpy()
    chat = (here["domain"] == "reddit").to_numpy()
    chosen = written | (feedback & (here["fold"] <= 1).to_numpy()) | (chat & (np.arange(len(here)) % 20 == 0))
    answers = np.where(chat, str(Purpose.OTHER), here["purpose"].to_numpy(dtype=object))[chosen].astype(str)
    weight = np.where(written, 1.0, weak)[chosen]
    return logistic(purpose_rows(space, rows[chosen]), answers, PURPOSES, weight=weight, strength=strength)


COUNTED_FROM = 0.82
"""How probable it must be that a mention tells of care for it to be counted without a person."""
LEFT_OUT_TO = 0.3
"""How probable it may be at the most for it to be left out without a person; between the two it waits."""


def temperature_of(scores: Floats, answers: npt.NDArray[np.str_], labels: tuple[str, ...]) -> float:
    """Return what scores are to be multiplied by so that their softmax is a probability (least log loss)."""
    right = np.array([labels.index(answer) for answer in answers])

    def loss(log_scale: float) -> float:
        return float(-log_softmax(scores * np.exp(log_scale), axis=1)[np.arange(len(right)), right].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


# ---------------------------------------------------------------------------------------------- topics

LEAST_EXAMPLES = 15
"""A topic with fewer examples is left to its phrases."""
_WRITTEN_WEIGHT = 0.6
_SOFT = 20.0


@dataclass(frozen=True)
class Topics:
    """A head of margins, and for each topic the line of its probability and the threshold that is asked for."""

    slugs: tuple[str, ...]
    head: Head
    slope: Floats
    offset: Floats
    threshold: Floats

    def probabilities(self, matrix: csr_matrix) -> Floats:
        """Return rows by topics, calibrated."""
        return expit(self.head.scores(matrix) * self.slope + self.offset)


def _margin(matrix: csr_matrix, answers: npt.NDArray[np.bool_], weight: Floats, strength: float) -> Head:
    rare = answers.mean() < 0.05
    model = LinearSVC(C=strength, class_weight={False: 1.0, True: 2.0 if rare else 1.0}, random_state=0)
    model.fit(matrix, answers, sample_weight=weight)
    return Head(model.coef_.T, model.intercept_)


def fit_topics(
    space: Space,
    every: pd.DataFrame,
    rows: Rows,
    labelled: npt.NDArray[np.bool_],
    slugs: tuple[str, ...],
    *,
    strength: float = 0.1,
    written: float = _WRITTEN_WEIGHT,
) -> Topics:
    """Fit one margin a topic; lines and thresholds come from folds within ``rows``."""
    here = every.iloc[rows]
    has_topics = here["topics"].notna().to_numpy() & (here["domain"] != "french").to_numpy()
    if not written:
        has_topics &= (here["domain"] == "feedback").to_numpy()
    rows, here = rows[has_topics], here[has_topics]
    feedback = (here["domain"] == "feedback").to_numpy()
    weight = np.where(feedback, 1.0, written)
    matrix = topic_rows(space, rows)
    answers = labelled[rows]
    inner = here["fold"].to_numpy()
    halves = np.isin(inner, np.unique(inner)[::2])
    kept = [number for number in range(len(slugs)) if answers[:, number].sum() >= LEAST_EXAMPLES]
    heads, slopes, offsets, thresholds = [], [], [], []
    for number in kept:
        mine = answers[:, number]
        # Of a topic that the framework's labellers never had, their comments say nothing.
        use = np.ones(len(rows), bool) if mine[feedback].any() else ~feedback
        margins = np.full(len(rows), np.nan)
        for train in (halves, ~halves):
            if mine[train & use].sum() > 1:
                margins[~train] = _margin(
                    matrix[train & use], mine[train & use], weight[train & use], strength
                ).scores(matrix[~train])[:, 0]
        judged = use & ~np.isnan(margins)
        slope, offset = _line(margins[judged], mine[judged], weight[judged])
        slopes.append(slope)
        offsets.append(offset)
        on = judged & feedback if mine[judged & feedback].sum() >= LEAST_EXAMPLES else judged
        thresholds.append(_threshold(expit(margins[on] * slope + offset), mine[on]))
        heads.append(_margin(matrix[use], mine[use], weight[use], strength))
    head = Head(np.hstack([each.weights for each in heads]), np.hstack([each.bias for each in heads]))
    names = tuple(slugs[number] for number in kept)
    return Topics(names, head, np.array(slopes), np.array(offsets), np.array(thresholds))


def _line(margins: Floats, answers: npt.NDArray[np.bool_], weight: Floats) -> tuple[float, float]:
    """Return slope and offset of the logistic line (Platt 1999, with his priors against certainty)."""
    positives, negatives = answers.sum(), (~answers).sum()
    target = np.where(answers, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(line: Floats) -> float:
        guess = margins * line[0] + line[1]
        return float((weight * (np.logaddexp(0, guess) - target * guess)).sum())

    slope, offset = minimize(loss, np.array([2.0, 0.0]), method="Nelder-Mead").x
    return float(slope), float(offset)


def _threshold(probabilities: Floats, answers: npt.NDArray[np.bool_]) -> float:
    """Return the probability from which on F1 is best, drawn towards .4 where there are few examples."""
    asked = np.arange(0.15, 0.66, 0.025)
    hits = probabilities[:, None] >= asked
    right = (hits & answers[:, None]).sum(axis=0)
    f1 = 2 * right / np.maximum(hits.sum(axis=0) + answers.sum(), 1)
    share = answers.sum() / (answers.sum() + _SOFT)
    return float(share * asked[int(np.argmax(f1))] + (1 - share) * 0.4)
