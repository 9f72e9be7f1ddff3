"""The labelled texts, from files named on the command line; none of them but our own is in the repository.

Texts are grouped by their normalised form before any split: many comments repeat.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.measure import ROOT
from listener.signals import features
from listener.signals.redaction import Redactor
from listener.signals.taxonomy import Taxonomy

SENTIMENTS = ("negative", "neutral", "positive")
DOMAINS = ("feedback", "tweets", "reddit", "social", "french")
"""Where people write: each has its own way, and a model of its own that the others' texts help a little."""
COMMENTS = "comments"
"""The domain of patients' comments that nobody labelled with a sentiment: a teacher has (:mod:`~.teach`)."""
FOLDS = 5

_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
_ANONYMISED = re.compile(r"\[(?:NAME|RELIGION)\]")
_SCALE = {1: "positive", 2: "positive", 3: "neutral", 4: "negative", 5: "negative"}


_TAUGHT = Path(__file__).with_name("taught")
_LEAST_WORDS = 3


@dataclass(frozen=True, slots=True)
class Sources:
    """The files: patient feedback, labelled and not, tweets, Reddit comments, and our own written mentions."""

    feedback: Path
    comments: Path
    tweets: Path
    reddit: Path
    english: Path
    french: Path

    @classmethod
    def of(cls, folder: Path) -> Sources:
        """Return the files in ``folder``, and our own in the repository."""
        return cls(
            feedback=folder / "patient_feedback_train.csv",
            comments=folder / "patient_feedback_themes_train.csv",
            tweets=folder / "tweets_sentiment_train.csv",
            reddit=folder / "reddit_sentiment_train.csv",
            english=ROOT / "tests" / "data" / "mentions_en.csv",
            french=ROOT / "tests" / "data" / "mentions_fr.csv",
        )


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
        _comments(sources.comments),
    ]
    every = pd.concat(frames, ignore_index=True)
    redactor = Redactor()
    every["text"] = [redactor.redact(text) for text in every["text"]]
    every["group"] = [bare(text) for text in every["text"]]
    # What is labelled elsewhere is no text that only a teacher knows: it may be one to be judged by.
    is_comment = every["domain"] == COMMENTS
    known = every["group"].isin(set(every["group"][~is_comment])) | every["group"].duplicated()
    every = every[~(is_comment & known)].reset_index(drop=True)
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


def _comments(path: Path) -> pd.DataFrame:
    """Return the comments, and each sentence of those that have several."""
    texts: dict[str, None] = {}
    for text in pd.read_csv(path)["text"].dropna().astype(str):
        sentences = features.sentences(text)
        long_enough = [one.strip() for one in sentences if len(one.split()) >= _LEAST_WORDS]
        texts.update(dict.fromkeys([text, *(long_enough if len(sentences) > 1 else ())]))
    return pd.DataFrame(
        {
            "text": list(texts),
            "domain": COMMENTS,
            "sentiment": None,
            "purpose": None,
            "topics": None,
            "trust": None,
            "held_out": False,
        }
    )


def _digest(words: Iterable[object]) -> npt.NDArray[np.uint8]:
    told = hashlib.sha256("\0".join(map(str, words)).encode("utf-8", "replace"))
    return np.frombuffer(told.digest(), np.uint8)


def _lesson(every: pd.DataFrame, fold: int | None) -> dict[str, npt.NDArray[np.uint8]]:
    """Return digests of what a teacher who has not seen ``fold`` has learnt, and of what it is asked."""
    known = every[(every["domain"] == "feedback") & every["sentiment"].notna() & (every["fold"] != fold)]
    comments = every["text"][every["domain"] == COMMENTS]
    return {"learnt": _digest([*known["text"], *known["sentiment"]]), "asked": _digest(comments)}


def keep_taught(every: pd.DataFrame, fold: int | None, chances: npt.NDArray[np.float64]) -> Path:
    """Write what a teacher who has not seen ``fold`` says of the comments, rows by sentiments; return the file."""
    _TAUGHT.mkdir(exist_ok=True)
    file = _taught_file(fold)
    np.savez_compressed(file, **_lesson(every, fold), said=np.round(chances * 255).astype(np.uint8))
    return file


def _taught_file(fold: int | None) -> Path:
    return _TAUGHT / f"{'all' if fold is None else fold}.npz"


def taught(every: pd.DataFrame, fold: int | None) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return the comments' rows, and how probable each sentiment is to a teacher who has not seen ``fold``.

    Raises ``SystemExit`` where no such teacher was asked, or one that learnt or was asked about other texts.
    """
    file = _taught_file(fold)
    fix = f"run python -m benchmarks.train.teach --fold {file.stem}"
    if not file.exists():
        raise SystemExit(f"{file} is missing: {fix}")
    with np.load(file) as archive:
        kept = dict(archive)
    if any(not np.array_equal(kept[name], digest) for name, digest in _lesson(every, fold).items()):
        raise SystemExit(f"{file} is of other comments than these: {fix}")
    said = kept["said"].astype(np.float64)
    return np.flatnonzero(every["domain"] == COMMENTS), said / said.sum(axis=1, keepdims=True)


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
