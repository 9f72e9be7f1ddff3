"""``python -m benchmarks.train --data FOLDER``: trains the shipped models; with ``--judge`` measures them instead.

FOLDER holds the texts, which are not in the repository: patient_feedback_train.csv (text, trust,
sentiment_1_best_5_worst and one 0/1 column a topic), patient_feedback_themes_train.csv (text), and
tweets_sentiment_train.csv and reddit_sentiment_train.csv (text, sentiment). Our own written mentions are read from
tests/data, and what a teacher says of the comments from benchmarks/train/taught (:mod:`~.teach` asks it).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import progress
from benchmarks.train import data, heads, judge
from benchmarks.train.space import Corpus
from benchmarks.train.write import write
from listener.resources import config_file
from listener.signals.models import WEIGHTS
from listener.signals.taxonomy import Taxonomy

VERSION = "models-3"
"""Goes up with each training whose models are shipped: what an older version heard can be told by it."""
_JUDGES = ("topics", "sentiment", "purpose", "held-out")


def main() -> None:
    """Train and write, or judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="where the labelled texts are")
    parser.add_argument(
        "--output", type=Path, default=WEIGHTS, metavar="FOLDER", help="default: the shipped models'"
    )
    parser.add_argument("--version", default=VERSION, help=f"the models' version (default: {VERSION})")
    parser.add_argument(
        "--judge",
        action="append",
        choices=_JUDGES,
        help="print figures on texts not seen in training, instead of training; may be repeated",
    )
    asked = parser.parse_args()
    started = time.perf_counter()
    taxonomy, lexicon = Taxonomy.load(), read_lexicon()
    every = data.load(data.Sources.of(asked.data), taxonomy)
    for fold in (*range(data.FOLDS), None):
        data.taught(every, fold)  # what is missing is told before minutes have passed
    progress(f"reading {len(every):,} texts")
    corpus = Corpus.read(every["text"].tolist(), (every["domain"] == "french").tolist(), taxonomy, lexicon)
    progress(f"{corpus.matrix.shape[1]:,} features in {time.perf_counter() - started:,.0f} s")
    for name in asked.judge or ():
        {
            "topics": lambda: judge.topics(corpus, every, taxonomy.slugs),
            "sentiment": lambda: judge.sentiment(corpus, every),
            "purpose": lambda: judge.purpose(corpus, every),
            "held-out": lambda: judge.held_out(every),
        }[name]()
    if not asked.judge:
        train(corpus, every, taxonomy, lexicon, asked.output, asked.version)
    progress(f"{time.perf_counter() - started:,.0f} s in all")


def read_lexicon() -> dict[str, int]:
    """Return the words with a tone."""
    lines = config_file("lexicon.tsv").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return {word: int(tone) for word, tone in pairs}


def train(
    corpus: Corpus,
    every: data.pd.DataFrame,
    taxonomy: Taxonomy,
    lexicon: dict[str, int],
    output: Path,
    version: str,
) -> None:
    """Fit every head to all texts but those held out, and write the files."""
    rows = np.flatnonzero(~every["held_out"])
    space = judge.space_of(corpus, every, rows)
    progress(f"{len(space.names):,} features in the space; topics")
    topics = heads.fit_topics(space, every, rows, data.labels(every, taxonomy.slugs), taxonomy.slugs)
    progress(f"{len(topics.slugs)} topics; purposes")
    temperature = judge.purpose_temperature(corpus, every)
    purpose = heads.fit_purpose(space, every, rows)
    progress("sentiments")
    sentiments = (
        heads.fit_sentiment(space, every, rows, data.taught(every, None)),
        judge.sentiment_temperature(corpus, every),
    )
    write(output, space, lexicon, topics, (purpose, temperature), sentiments, version=version)
    sizes = ", ".join(f"{path.name} {path.stat().st_size / 1e6:.1f} MB" for path in sorted(output.iterdir()))
    progress(f"written: {sizes}")


if __name__ == "__main__":
    main()
