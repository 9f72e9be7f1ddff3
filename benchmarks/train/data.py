"""The labelled texts, from files named on the command line; none of them but our own is in the repository.

Texts are grouped by their normalised form before any split: many comments repeat.
"""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from listener.signals.redaction import Redactor
from listener.signals.taxonomy import Taxonomy

SENTIMENTS = ("negative", "neutral", "positive")
DOMAINS = ("feedback", "tweets", "reddit", "social", "french")
"""Where people write: each has its own way, and a model of its own that the others' texts help a little."""
FOLDS = 5

_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
_ANONYMISED = re.compile(r"\[(?:NAME|RELIGION)\]")
_SCALE = {1: "positive", 2: "positive", 3: "neutral", 4: "negative", 5: "negative"}


@dataclass(frozen=True, slots=True)
class Sources:
    """The files: patient feedback, tweets, Reddit comments (see docs/models/), and our own written mentions."""

    feedback: Path
    tweets: Path
    reddit: Path
    english: Path
    french: Path


def bare(text: str) -> str:
    """Return the form by which texts count as the same."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip() or text


def fold_of(group: str, salt: str = "fold", folds: int = FOLDS) -> int:
    """Return the fold of a group of texts: the same at every run and on every machine."""
    return int(hashlib.sha256(f"{salt}:{group}".encode()).hexdigest(), 16) % folds


def load(sources: Sources, taxonomy: Taxonomy) -> pd.DataFrame:
    """Return every text once a row: ``text, domain, sentiment, purpose, topics, trust, held_out, group, fold``.

    ``topics`` is a frozenset of slugs, or None where nobody labelled topics. ``sealed`` marks texts that were not
    looked at while the phrases were written.
    """
    frames = [
        _feedback(sources.feedback, taxonomy),
        _sentiment_only(sources.tweets, "tweets"),
        _sentiment_only(sources.reddit, "reddit"),
        _written(sources.english, "social"),
        _written(sources.french, "french"),
    ]
    every = pd.concat(frames, ignore_index=True)
    redactor = Redactor()
    every["text"] = [redactor.redact(text) for text in every["text"]]
    every["group"] = [bare(text) for text in every["text"]]
    every["fold"] = [fold_of(group) for group in every["group"]]
    every["sealed"] = [fold_of(group, "seal", 10) >= 7 for group in every["group"]]
    return every


def topic_columns(frame: pd.DataFrame, taxonomy: Taxonomy) -> dict[str, str]:
    """Return which columns are topics, by name or slug: column → slug."""
    known = {
        bare(word.replace("&", "and")): topic.slug
        for topic in taxonomy.topics
        for word in (topic.slug, topic.name)
    }
    return {
        column: known[key]
        for column in frame.columns
        if (key := bare(column.replace("&", "and"))) in known and column != "text"
    }


def _feedback(path: Path, taxonomy: Taxonomy) -> pd.DataFrame:
    frame = pd.read_csv(path)
    columns = topic_columns(frame, taxonomy)
    labels = frame[list(columns)].to_numpy() == 1
    slugs = np.array(list(columns.values()))
    stars = frame["sentiment_1_best_5_worst"]
    return pd.DataFrame(
        {
            "text": frame["text"].astype(str),
            "domain": "feedback",
            "sentiment": [_SCALE.get(star) for star in stars],
            "purpose": "experience",
            "topics": [frozenset(slugs[row]) for row in labels],
            "trust": frame["trust"],
            "held_out": False,
        }
    )


def _sentiment_only(path: Path, domain: str) -> pd.DataFrame:
    frame = pd.read_csv(path)
    return pd.DataFrame(
        {
            "text": [_plain(text) for text in frame["text"].astype(str)],
            "domain": domain,
            "sentiment": frame["sentiment"],
            "purpose": None,
            "topics": None,
            "trust": None,
            "held_out": False,
        }
    )


def _written(path: Path, domain: str) -> pd.DataFrame:
    frame = pd.read_csv(path, keep_default_na=False)
    return pd.DataFrame(
        {
            "text": frame["text"],
            "domain": domain,
            "sentiment": frame["sentiment"],
            "purpose": frame["purpose"],
            "topics": [frozenset(words.split()) for words in frame["topics"]],
            "trust": None,
            "held_out": frame["held_out"].astype(int) == 1,
        }
    )


def _plain(text: str) -> str:
    """Return a text without what only its data set has: escapes, HTML entities, marks for names."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    return html.unescape(_ANONYMISED.sub("someone", text))


def labels(every: pd.DataFrame, slugs: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return rows by slugs: whether a row has the topic (False where nobody labelled)."""
    return np.array([[slug in (topics or ()) for slug in slugs] for topics in every["topics"]])
