"""How well Listener's signals agree with a file that people labelled: topics, sentiment and purpose.

A file is CSV with a header: a column ``text`` and what people said of each text. Every text is redacted and heard
as a mention would be; nothing is stored. The figures are :mod:`listener.signals.scoring`'s, to four places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.labelled import Labelled, Line, plain, purpose_of, read_labelled, sentiment_word
from listener.errors import ConfigError
from listener.mention import Purpose, Sentiment
from listener.signals.analysis import Analyzer, Signals
from listener.signals.scoring import COMMON, Admission, Confusion, Figures, Scale, Tally, macro, micro, tally
from listener.signals.taxonomy import Taxonomy
from storage.counting import counts

FIGURES = ("label", "precision", "recall", "f1", "support")
"""The columns that every evaluation has."""

_AT_ONCE = 500
_NONE = "none"
_NO_LABEL = frozenset({"", "na", "nan", "null"})
_TRUTHS = {"0": False, "1": True, "": False, "false": False, "true": True}

Row = dict[str, Any]
Progress = Callable[[int, int], None]
"""Is told how many texts have been heard, and of how many."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found: ``rows`` under ``columns``, and ``notes`` on what was left out or taken for something."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def evaluate_topics(
    file: Path,
    analyzer: Analyzer,
    taxonomy: Taxonomy,
    *,
    group: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare the topics of each text with the file's 0/1 columns, which are named by a topic's slug or name.

    Figures are of the topics that have a column; ``group`` repeats them for each value of that column. Micro is
    over all of them, false alarms on a topic without a case included; macro over those with a case, and then over
    those with ``COMMON``.
    Raises ``ConfigError`` naming the file, the line and the fix.
    """
    labelled = read_labelled(file)
    text_at = labelled.place("text", "a column text and one column of 0 and 1 for each topic")
    group_at = labelled.place(group, "a column that --group can name") if group else None
    columns = _topic_columns(labelled, taxonomy, {text_at, group_at})
    truths = [_topics_of(labelled, line, columns) for line in labelled.lines]
    heard = _hear(analyzer, [line.cells[text_at] for line in labelled.lines], progress)
    guesses = [frozenset(hit.slug for hit in signals.topics) for signals in heard]
    labels = list(columns)
    rows: list[Row] = _topic_rows(truths, guesses, labels)
    if group_at is not None:
        rows = [{"group": "(all)"} | row for row in rows]
        values = [line.cells[group_at].strip() or "(none)" for line in labelled.lines]
        for value in sorted(set(values)):
            chosen = [place for place, one in enumerate(values) if one == value]
            some = _topic_rows([truths[at] for at in chosen], [guesses[at] for at in chosen], labels)
            rows += [{"group": value} | row for row in some]
    used = {text_at, group_at, *columns.values()}
    return Evaluation(
        ("group", *FIGURES) if group else FIGURES,
        tuple(rows),
        tuple(_topic_notes(labelled, taxonomy, columns, used)),
    )


def evaluate_sentiment(
    file: Path,
    analyzer: Analyzer,
    *,
    column: str | None = None,
    scale: Scale | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare the sentiment of each text with the file's: words in any case, or 1 to 5 by ``scale``.

    A text whose sentiment is not heard (its language is not read) counts as neutral. Raises ``ConfigError`` naming
    the file, the line and the fix.
    """
    labelled = read_labelled(file)
    label_at = labelled.label_place(column, ("sentiment", _ONE_BEST_COLUMN))
    if scale is None and plain(labelled.columns[label_at]) == plain(_ONE_BEST_COLUMN):
        scale = Scale.ONE_BEST
    texts, truths, notes = _labelled_texts(labelled, label_at, lambda label: sentiment_of(label, scale))
    heard = _hear(analyzer, texts, progress)
    if unheard := sum(signals.sentiment is None for signals in heard):
        notes.append(f"{_texts(unheard)} without a sentiment (language not read), taken for neutral")
    guesses = [signals.sentiment or Sentiment.NEUTRAL for signals in heard]
    classes = list(map(str, Sentiment))
    confusion = Confusion.of(list(map(str, truths)), list(map(str, guesses)))
    columns = (*FIGURES, *(f"as_{label}" for label in classes))
    return Evaluation(columns, tuple(_class_rows(confusion, classes, classes)), tuple(notes))


def evaluate_purpose(
    file: Path, analyzer: Analyzer, *, column: str | None = None, progress: Progress | None = None
) -> Evaluation:
    """Compare the purpose of each text with the file's, and what would enter the volumes with what should.

    The figures of the classes take the purpose that was heard whether or not it waits for review. Raises
    ``ConfigError`` naming the file, the line and the fix.
    """
    labelled = read_labelled(file)
    label_at = labelled.label_place(column, ("purpose",))
    texts, truths, notes = _labelled_texts(labelled, label_at, purpose_of)
    heard = _hear(analyzer, texts, progress)
    guesses = [signals.purpose.value if signals.purpose else _NONE for signals in heard]
    if unheard := guesses.count(_NONE):
        notes.append(f"{_texts(unheard)} without a purpose (language not read); volumes count such mentions")
    classes = list(map(str, Purpose))
    taken = [*classes, *([_NONE] if unheard else [])]
    confusion = Confusion.of(list(map(str, truths)), guesses)
    admission = Admission.of(
        wanted=[counts(truth, needs_review=False) for truth in truths],
        counted=[counts(signals.purpose, needs_review=signals.needs_review) for signals in heard],
        waiting=[signals.needs_review for signals in heard],
    )
    experience = confusion.tally(Purpose.EXPERIENCE.value).figures
    return Evaluation(
        (*FIGURES, *(f"as_{label}" for label in taken), "texts", "share"),
        (
            *_class_rows(confusion, classes, taken),
            _figures("experience against the rest", experience),
            *_admission_rows(admission),
        ),
        tuple(notes),
    )


# --- what people said


def _topic_columns(labelled: Labelled, taxonomy: Taxonomy, others: Iterable[int | None]) -> dict[str, int]:
    """Return where each topic's column stands, by slug, in the file's order."""
    named = {plain(topic.name): topic.slug for topic in taxonomy.topics}
    named |= {plain(slug): slug for slug in taxonomy.slugs}
    found: dict[str, int] = {}
    for place, column in enumerate(labelled.columns):
        slug = named.get(plain(column))
        if slug is None or place in others:
            continue
        if slug in found:
            both = f"{labelled.columns[found[slug]]!r} and {column!r}"
            raise ConfigError(f"{labelled.file}: the columns {both} both are the topic {slug!r}; leave one")
        found[slug] = place
    if not found:
        raise ConfigError(
            f"{labelled.file} has no column that is a topic: name columns by a topic's slug or name "
            f"(`listener topics list` shows them); there are: {', '.join(labelled.columns)}"
        )
    return found


def _topics_of(labelled: Labelled, line: Line, columns: Mapping[str, int]) -> frozenset[str]:
    slugs: set[str] = set()
    for slug, place in columns.items():
        value = line.cells[place].strip()
        said = _TRUTHS.get(value.casefold())
        if said is None:
            problem = f"{labelled.columns[place]} = {value!r}: write 1 where the text has the topic, else 0"
            raise labelled.wrong(line, problem)
        if said:
            slugs.add(slug)
    return frozenset(slugs)


def _labelled_texts(
    labelled: Labelled, label_at: int, read: Callable[[str], Any]
) -> tuple[list[str], list[Any], list[str]]:
    """Return the texts that have a label, their labels, and a note on how many have none."""
    text_at = labelled.place("text", "a column text and one of labels")
    texts: list[str] = []
    labels: list[Any] = []
    for line in labelled.lines:
        written = line.cells[label_at].strip()
        if written.casefold() in _NO_LABEL:
            continue
        try:
            labels.append(read(written))
        except ValueError as error:
            raise labelled.wrong(line, f"{labelled.columns[label_at]} = {written!r}: {error}") from error
        texts.append(line.cells[text_at])
    if not texts:
        raise ConfigError(f"{labelled.file}: no line has a label in {labelled.columns[label_at]!r}; write some")
    without = len(labelled.lines) - len(texts)
    return texts, labels, [f"{_texts(without)} without a label left out"] if without else []


_ONE_BEST_COLUMN = "sentiment_1_best_5_worst"
_BY_RANK = (Sentiment.NEGATIVE, Sentiment.NEGATIVE, Sentiment.NEUTRAL, Sentiment.POSITIVE, Sentiment.POSITIVE)


def sentiment_of(label: str, scale: Scale | None) -> Sentiment:
    """Return the sentiment that a label means: a word in any case ("pos" will do), or 1 to 5 by ``scale``.

    Raises ``ValueError`` with the fix.
    """
    # A column with gaps comes out of pandas as 1.0, 2.0 …
    rank = re.fullmatch(r"([1-5])(?:\.0)?", label)
    if scale is not None:
        if rank is None:
            raise ValueError(f"on the scale {scale.value} a label is a number from 1 to 5")
        place = int(rank[1]) if scale is Scale.FIVE_BEST else 6 - int(rank[1])
        return _BY_RANK[place - 1]
    if rank is not None:
        raise ValueError("say with --scale which end of the scale is good: 5-best or 1-best")
    return sentiment_word(label)


# --- what Listener says, and how the two agree


def _hear(analyzer: Analyzer, texts: Sequence[str], progress: Progress | None) -> list[Signals]:
    heard: list[Signals] = []
    for start in range(0, len(texts), _AT_ONCE):
        heard += analyzer.analyze_many([analyzer.redact(text) for text in texts[start : start + _AT_ONCE]])
        if progress:
            progress(len(heard), len(texts))
    return heard


def _topic_rows(
    truths: Sequence[frozenset[str]], guesses: Sequence[frozenset[str]], labels: Sequence[str]
) -> list[Row]:
    tallies: list[Tally] = [tally(truths, guesses, label) for label in labels]
    return [
        *(_figures(label, one.figures) for label, one in zip(labels, tallies, strict=True)),
        _figures("micro", micro(tallies)),
        _figures("macro", macro(tallies)),
        _figures(f"macro ({COMMON}+)", macro(tallies, at_least=COMMON)),
    ]


def _topic_notes(
    labelled: Labelled, taxonomy: Taxonomy, columns: Mapping[str, int], used: Iterable[int | None]
) -> Iterator[str]:
    if ignored := [repr(column) for at, column in enumerate(labelled.columns) if at not in used]:
        yield f"ignored, no topics of taxonomy {taxonomy.version}: {', '.join(ignored)}"
    if without := [slug for slug in taxonomy.slugs if slug not in columns]:
        yield f"not measured, they have no column: {', '.join(without)}"


def _class_rows(confusion: Confusion[str], classes: Sequence[str], taken: Sequence[str]) -> Iterator[Row]:
    """Yield the figures of each class with its row of the confusion matrix, then macro F1 and accuracy."""
    tallies = [confusion.tally(label) for label in classes]
    for label, one in zip(classes, tallies, strict=True):
        yield _figures(label, one.figures) | {f"as_{guess}": confusion.taken(label, guess) for guess in taken}
    yield _figures("macro", macro(tallies))
    accuracy = confusion.accuracy
    support = sum(confusion.counts.values())
    yield _figures("accuracy", Figures(precision=None, recall=None, f1=accuracy, support=support))


def _admission_rows(found: Admission) -> Iterator[Row]:
    """Yield what enters the volumes: what is counted, wrongly counted, missed and waiting."""
    for label, texts, share in (
        ("counted", found.counted, found.counted_share),
        ("counted, though not care", found.slipped_in, found.slipped_in_share),
        ("care, yet not counted", found.missed, found.missed_share),
        ("waiting for review", found.waiting, found.waiting_share),
        ("care, waiting for review", found.wanted_waiting, found.wanted_waiting_share),
    ):
        yield {"label": label, "texts": texts, "share": _rounded(share)}


def _figures(label: str, found: Figures) -> Row:
    figures = {name: _rounded(getattr(found, name)) for name in ("precision", "recall", "f1")}
    return {"label": label, **figures, "support": found.support}


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _texts(count: int) -> str:
    return f"{count:,} text{'' if count == 1 else 's'}"
