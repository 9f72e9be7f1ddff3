"""Hearing: from a text to its signals, beside two others: VADER, and the same work in scikit-learn.

What is measured is time and memory, whatever is heard; ``docs/how-to/measure-the-signals.md`` tells how well.
"""

from __future__ import annotations

import csv
import json
import statistics
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import ROOT, Cost, cost, median_cost, process, progress, show
from listener.mention import Sentiment
from listener.signals.analysis import Analyzer
from listener.signals.hints import with_hints
from listener.signals.language import detect_language
from listener.signals.models import shipped_models
from listener.signals.taxonomy import LANGUAGES, Taxonomy
from listener.signals.topics import TopicMatcher
from listener.standins.generator import CHANNELS, ST_ELSEWHERE
from listener.standins.writer import Writer
from storage.bulk import batches

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.databases import Databases

PAGE = 100
SEED = 2026
_LEAST = 110
"""Shorter ones are left out, so that half of the texts have more than about 150 characters."""
_FRENCH = 0.08
_FITTED = 4_000
"""On so many of the texts scikit-learn's models are fitted."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: mentions heard, rounds, processes started."""

    mentions: int
    rounds: int
    starts: int


SIZES = {"small": Size(500, 3, 1), "full": Size(20_000, 5, 15)}

Costs = dict[str, Cost]
"""What each way or stage took, the median of all rounds."""


def run(databases: Databases, scale: str) -> None:
    """Measure the whole, its stages and the yardsticks in turn; then what a process of its own takes."""
    size = SIZES[scale]
    progress(f"signals: writing {size.mentions:,} mentions")
    texts, written = mentions(size.mentions), written_mentions(size.mentions)
    analyzer = Analyzer(Taxonomy.load(), [ST_ELSEWHERE.handle])
    ways = _ways(analyzer, texts, written)
    stages = _stages(analyzer, texts)
    _hear(analyzer, texts[:PAGE])
    costs = _in_turn({**{name: way.work for name, way in ways.items()}, **stages}, size.rounds)
    _show_ways(costs, ways, size.rounds)
    _show_stages(costs, stages, len(texts))
    peak = _show_first(databases.folder, texts[0], size.starts)
    _show_memory(databases.folder, peak, {"mentions": texts, "mentions written by hand": written})


def mentions(count: int) -> list[str]:
    """Return texts as people write them on the three platforms, some in French; the same at each run."""
    rng = Random(SEED)
    writers = {channel: Writer(rng, channel, ST_ELSEWHERE) for channel in CHANNELS}
    texts: list[str] = []
    while len(texts) < count:
        channel = rng.choice(CHANNELS)
        # A video's description tells nothing of a hospital.
        is_head = channel != "youtube" and rng.random() < 0.5
        write = writers[channel].head if is_head else writers[channel].reply
        text = write(language="fr" if rng.random() < _FRENCH else "en").text
        if len(text) >= _LEAST:
            texts.append(text)
    return texts


def written_mentions(most: int) -> list[str]:
    """Return up to ``most`` of the mentions written by hand for the tests, from all over the files."""
    texts = []
    for name in ("mentions_en.csv", "mentions_fr.csv"):
        with (ROOT / "tests" / "data" / name).open(encoding="utf-8", newline="") as file:
            texts += [row["text"] for row in csv.DictReader(file)]
    return texts[:: -(-len(texts) // most)]


_WHOLE = "Listener: redact and hear, pages of 100"
_AT_150 = "Listener: the same, of 140 to 160 characters"
_ONE_BY_ONE = "Listener: the same, one by one"
_WRITTEN = "Listener: the same, mentions written by hand"
_VADER = "VADER: sentiment alone"
_SKLEARN = "scikit-learn: tf-idf and three linear models, pages of 100"
_SKLEARN_AT_ONCE = "scikit-learn: the same, all at once"
_NEEDED = {_VADER: "vaderSentiment", _SKLEARN: "scikit-learn", _SKLEARN_AT_ONCE: "scikit-learn"}

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to hear: which texts, and what is done with all of them."""

    texts: Sequence[str]
    work: Work


def _ways(analyzer: Analyzer, texts: Sequence[str], written: Sequence[str]) -> dict[str, _Way]:
    some = texts[: len(texts) // 4]
    at_150 = [text for text in texts if 140 <= len(text) <= 160]
    ways = {
        _WHOLE: _Way(texts, lambda: _hear(analyzer, texts)),
        _AT_150: _Way(at_150, lambda: _hear(analyzer, at_150)),
        _ONE_BY_ONE: _Way(some, lambda: _exhaust(analyzer.analyze(analyzer.redact(text)) for text in some)),
        _WRITTEN: _Way(written, lambda: _hear(analyzer, written)),
    }
    if find_spec("vaderSentiment"):
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        vader = SentimentIntensityAnalyzer()
        ways[_VADER] = _Way(texts, lambda: _exhaust(vader.polarity_scores(text) for text in texts))
    if find_spec("sklearn"):
        progress("signals: fitting scikit-learn's models")
        pipeline = _Pipeline(texts[:_FITTED])
        ways[_SKLEARN] = _Way(texts, lambda: _exhaust(map(pipeline.predict, batches(texts, PAGE))))
        ways[_SKLEARN_AT_ONCE] = _Way(texts, lambda: pipeline.predict(texts))
    return ways


def _hear(analyzer: Analyzer, texts: Sequence[str]) -> None:
    for page in batches(texts, PAGE):
        analyzer.analyze_many([analyzer.redact(text) for text in page])


def _exhaust(results: Iterable[object]) -> None:
    """Take every result and keep none: what is held would be walked by the collector."""
    deque(results, maxlen=0)


class _Pipeline:
    """The same work as a scikit-learn user would do it: words and pieces of words, and as many labels as ours.

    The labels are drawn by chance: how long a linear model takes does not hang on what it was taught.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import SGDClassifier
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import FeatureUnion

        self._vectorizer = FeatureUnion(
            [
                ("words", TfidfVectorizer(ngram_range=(1, 2))),
                ("pieces", TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5))),
            ]
        )
        matrix = self._vectorizer.fit_transform(texts)
        rng = np.random.default_rng(SEED)
        models = shipped_models()

        def linear() -> Any:
            # Logistic regression; two passes, for nothing is to be learned.
            return SGDClassifier(loss="log_loss", max_iter=2, tol=None, random_state=0)

        topics = rng.random((len(texts), len(models.judges))) < 0.1
        purposes, tones = (rng.integers(0, n, len(texts)) for n in (len(models.purposes), len(Sentiment)))
        self._models = [
            OneVsRestClassifier(linear()).fit(matrix, topics.astype(int)),
            linear().fit(matrix, purposes),
            linear().fit(matrix, tones),
        ]

    def predict(self, texts: Sequence[str]) -> list[Any]:
        """Return the probabilities of every label."""
        matrix = self._vectorizer.transform(texts)
        return [model.predict_proba(matrix) for model in self._models]


def _stages(analyzer: Analyzer, texts: Sequence[str]) -> dict[str, Work]:
    """Return each stage alone, over all texts."""
    models, taxonomy = shipped_models(), with_hints(Taxonomy.load())
    redacted = [analyzer.redact(text) for text in texts]
    languages = [detect_language(text) for text in redacted]
    matchers = {one: TopicMatcher(taxonomy, one) for one in LANGUAGES}
    looked_for = [
        (text, matchers[one])
        for text, language in zip(redacted, languages, strict=True)
        for one in LANGUAGES
        if language in (None, one)
    ]
    heard = [text for text, language in zip(redacted, languages, strict=True) if language in (None, *LANGUAGES)]
    read = [models.featurizer.read(text) for text in heard]

    def judge() -> None:
        for page in batches(read, PAGE):
            models.mentions([reading.whole for reading in page])
            models.sentiments([clause for each in page if len(each.clauses) > 1 for clause in each.clauses])

    return {
        "redaction": lambda: _exhaust(analyzer.redact(text) for text in texts),
        "language": lambda: _exhaust(detect_language(text) for text in redacted),
        "phrases: topics and hints of purpose": lambda: _exhaust(
            matcher.match(text) for text, matcher in looked_for
        ),
        "features": lambda: _exhaust(models.featurizer.read(text) for text in heard),
        "models: topics, purpose, sentiment": judge,
    }


def _in_turn(works: dict[str, Work], rounds: int) -> Costs:
    costs: dict[str, list[Cost]] = defaultdict(list)
    for number in range(rounds):
        progress(f"signals: round {number + 1} of {rounds}")
        for name, work in works.items():
            costs[name].append(cost(work))
    return {name: median_cost(each) for name, each in costs.items()}


def _show_ways(costs: Costs, ways: dict[str, _Way], rounds: int) -> None:
    texts, written = ways[_WHOLE].texts, ways[_WRITTEN].texts
    each = {name: costs[name].cpu / len(way.texts) for name, way in ways.items()}
    rows: list[tuple[object, ...]] = [
        (name, 1 / each[name], len(way.texts) / costs[name].wall, 1e6 * each[name], each[name] / each[_WHOLE])
        for name, way in ways.items()
    ]
    missing = [name for name in _NEEDED if name not in ways]
    rows += [(f"{name}: not installed", None, None, None, None) for name in missing]
    models = shipped_models()
    note = (
        f"{len(texts):,} synthetic mentions, median {_median_length(texts):.0f} characters, {_FRENCH:.0%} French; "
        f"{len(written):,} written by hand, median {_median_length(written):.0f}. Medians of {rounds} in turn. "
        "VADER gives the sentiment of English and nothing else; scikit-learn reads words and pairs of them, and "
        f"pieces of three to five letters, for {len(models.judges)} topics, {len(models.purposes)} purposes and "
        f"{len(Sentiment)} sentiments: neither redacts, nor finds the language, phrases or clauses."
    )
    if missing:
        needed = sorted({_NEEDED[name] for name in missing})
        note += f" Not measured, for want of {' and '.join(needed)}: `make bench` installs both."
    head = ("way", "mentions per CPU-second", "per wall second", "CPU µs a mention", "Listener = 1")
    show("Hearing", head, rows, note=note)


def _median_length(texts: Sequence[str]) -> float:
    return statistics.median(map(len, texts))


def _show_stages(costs: Costs, stages: dict[str, Work], count: int) -> None:
    whole = costs[_WHOLE].cpu
    taken = {name: costs[name].cpu for name in stages}
    taken["the rest: long texts in pieces, votes, what is kept"] = whole - sum(taken.values())
    taken["whole"] = whole
    rows = [(name, 1e6 * cpu / count, f"{cpu / whole:.0%}") for name, cpu in taken.items()]
    note = (
        "Each stage in a loop of its own over the same texts, where its data stay in the processor's cache; "
        "the rest is what the whole takes beyond them."
    )
    show("Where the CPU time of hearing goes", ("stage", "CPU µs a mention", "share"), rows, note=note)


_FIRST = """
import json, sys, time
steps, began = {}, [time.perf_counter(), time.process_time()]
def done(name):
    now = time.perf_counter(), time.process_time()
    steps[name] = [now[0] - began[0], now[1] - began[1]]
    began[:] = now
from listener.signals.analysis import Analyzer
from listener.signals.taxonomy import Taxonomy
from listener.signals.models import shipped_models
done("import of listener.signals, numpy with it")
analyzer = Analyzer(Taxonomy.load())
done("the taxonomy is read")
shipped_models()
done("the models are read")
analyzer.analyze(analyzer.redact(sys.argv[2]))
done("the first mention: phrases are compiled, the language's model is read")
with open(sys.argv[1], "w") as file:
    json.dump(steps, file)
"""


def _show_first(folder: Path, text: str, starts: int) -> float:
    """Print how long a fresh process takes until it has heard a mention; return its peak of memory in MB."""
    progress("signals: the first mention of a process")
    told = folder / "steps.json"
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    peaks = []
    for _ in range(starts):
        bare = process([sys.executable, "-c", "pass"])
        taken["python -c pass"].append((bare.wall, bare.cpu))
        whole = process([sys.executable, "-c", _FIRST, str(told), text])
        for name, step in json.loads(told.read_text(encoding="utf-8")).items():
            taken[name].append(step)
        taken["all of it, until the process has ended"].append((whole.wall, whole.cpu))
        peaks.append(whole.peak_mb)
    rows = [
        (name, *(1000 * statistics.median(seconds) for seconds in zip(*each, strict=True)))
        for name, each in taken.items()
    ]
    note = f"Medians of {starts}, each in a process of its own. The models are to take less than 300 ms."
    show("From a fresh process to the first heard mention", ("step", "wall ms", "CPU ms"), rows, note=note)
    return statistics.median(peaks)


_HEAR = f"""
import json, sys
from itertools import islice
from listener.signals.analysis import Analyzer
from listener.signals.taxonomy import Taxonomy
analyzer = Analyzer(Taxonomy.load())
with open(sys.argv[1], encoding="utf-8") as lines:
    while page := [json.loads(line) for line in islice(lines, {PAGE})]:
        analyzer.analyze_many([analyzer.redact(text) for text in page])
"""


def _show_memory(folder: Path, first: float, texts: dict[str, Sequence[str]]) -> None:
    """Print the peaks of processes that hear ``texts``; ``first`` is that of one that hears a single mention."""
    progress("signals: memory")
    file = folder / "texts.jsonl"
    rows: list[tuple[object, ...]] = [("hear 1 mention", first, None, None)]
    for name, some in texts.items():
        file.write_text("".join(f"{json.dumps(text)}\n" for text in some), encoding="utf-8")
        ended = process([sys.executable, "-c", _HEAR, str(file)])
        rows.append((f"hear {len(some):,} {name}", ended.peak_mb, ended.cpu, ended.wall))
    note = "Maximum resident set of a process that does nothing else, with its CPU and wall seconds, start to end."
    show("Peak memory of hearing", ("process", "peak MB", "CPU s", "wall s"), rows, note=note)
