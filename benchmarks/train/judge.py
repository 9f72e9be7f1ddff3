"""Figures on texts that a model has not seen, as tables in Markdown.

Every split is by group: a text and its copies lie on one side. Our written mentions' held-out third takes part
in no training here, and is judged by ``held_out`` alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import softmax
from sklearn.metrics import f1_score, recall_score

from benchmarks.measure import progress, show
from benchmarks.train import heads
from benchmarks.train.data import DOMAINS, FOLDS, SENTIMENTS, labels, taught
from benchmarks.train.heads import CARE, COUNTED_FROM, LEFT_OUT_TO, PURPOSES, Floats
from benchmarks.train.space import Corpus, Rows, Space
from listener.mention import Purpose
from listener.signals.models import rule_feature

Truths = npt.NDArray[np.bool_]
_COMMON = 20
"""Labels with this many examples are judged."""
_COMMON_IN_TRUST = 10
_WRITTEN = ("social", "french")


def space_of(corpus: Corpus, every: pd.DataFrame, rows: Rows) -> Space:
    """Return the space that these rows support; what people say of hospitals counts for more."""
    care = every["domain"].iloc[rows].isin(["feedback", *_WRITTEN]).to_numpy()
    return Space.of(corpus, rows, rows[care])


# ---------------------------------------------------------------------------------------------- topics


def topics(corpus: Corpus, every: pd.DataFrame, slugs: tuple[str, ...]) -> None:
    """Judge topics by five folds of the feedback, and from each trust to the other."""
    truth = labels(every, slugs)
    rules = _rules(corpus, slugs)
    feedback = np.flatnonzero(every["domain"] == "feedback")
    judged = [place for place in range(len(slugs)) if truth[feedback, place].sum() >= _COMMON]
    said, chance = np.zeros_like(truth), np.zeros(truth.shape)
    for fold in range(FOLDS):
        progress(f"topics, fold {fold + 1} of {FOLDS}")
        test = feedback[every["fold"].iloc[feedback] == fold]
        train = _topic_rows(every, (every["fold"] != fold).to_numpy())
        said[test], chance[test] = _say(corpus, every, truth, slugs, rules, train, test)
    rows = []
    sealed = feedback[every["sealed"].iloc[feedback]]
    for name, which in (("all", feedback), ("texts that the phrases were not tuned on", sealed)):
        for way, answer in (("phrases alone", rules), ("model", said)):
            rows.append((f"{name}: {way}", len(which), *_f1(truth, answer, which, judged)))
    rows += _across(corpus, every, truth, slugs, rules, judged)
    show(
        f"Topics, {FOLDS} folds grouped by text, {len(judged)} labels with {_COMMON} or more examples",
        ("on", "texts", "micro F1", "macro F1"),
        rows,
    )
    _each(truth[feedback], said[feedback], rules[feedback], slugs)
    _calibration(chance[np.ix_(feedback, judged)].ravel(), truth[np.ix_(feedback, judged)].ravel())


def _topic_rows(every: pd.DataFrame, allowed: Truths) -> Rows:
    return np.flatnonzero(every["domain"].isin(["feedback", "social"]) & ~every["held_out"] & allowed)


def _across(
    corpus: Corpus,
    every: pd.DataFrame,
    truth: Truths,
    slugs: tuple[str, ...],
    rules: Truths,
    judged: list[int],
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    trust = every["trust"].to_numpy(dtype=object)
    trusts = sorted({name for name in trust if isinstance(name, str)})
    for source in trusts:
        (target,) = [name for name in trusts if name != source]
        here, there = np.flatnonzero(trust == source), np.flatnonzero(trust == target)
        known = set(every["group"].iloc[here])
        test = there[[group not in known for group in every["group"].iloc[there]]]
        train = _topic_rows(every, trust != target)
        train = train[~every["group"].iloc[train].isin(set(every["group"].iloc[test])).to_numpy()]
        least = _COMMON_IN_TRUST
        common = [n for n in judged if truth[here, n].sum() >= least and truth[test, n].sum() >= least]
        answer = rules.copy()
        answer[test], _ = _say(corpus, every, truth, slugs, rules, train, test)
        sealed = test[every["sealed"].iloc[test]]
        for way, full in (("phrases alone", rules), ("model", answer)):
            name = f"from {source} to {target}, {len(common)} labels: {way}"
            rows.append((name, len(test), *_f1(truth, full, test, common)))
            rows.append((f"{name}, sealed texts", len(sealed), *_f1(truth, full, sealed, common)))
    return rows


def _rules(corpus: Corpus, slugs: tuple[str, ...]) -> Truths:
    place = {name: number for number, name in enumerate(corpus.names)}
    found = np.zeros((corpus.matrix.shape[0], len(slugs)), bool)
    for number, slug in enumerate(slugs):
        if (column := place.get(rule_feature(slug))) is not None:
            found[:, number] = corpus.matrix[:, [column]].toarray().ravel() > 0
    return found


def _say(
    corpus: Corpus,
    every: pd.DataFrame,
    truth: Truths,
    slugs: tuple[str, ...],
    rules: Truths,
    train: Rows,
    test: Rows,
) -> tuple[Truths, Floats]:
    space = space_of(corpus, every, train)
    fitted = heads.fit_topics(space, every, train, truth, slugs)
    found = fitted.probabilities(heads.topic_rows(space, test))
    said, chance = rules[test].copy(), rules[test].astype(float)
    for place, slug in enumerate(fitted.slugs):
        number = slugs.index(slug)
        chance[:, number] = found[:, place]
        said[:, number] = found[:, place] >= fitted.threshold[place]
    return said, chance


def _f1(truth: Truths, said: Truths, rows: Rows, columns: list[int]) -> tuple[float, float]:
    right, answer = truth[np.ix_(rows, columns)], said[np.ix_(rows, columns)]
    each = [f1_score(right[:, n], answer[:, n], zero_division=0) for n in range(len(columns))]
    return float(f1_score(right.ravel(), answer.ravel())), float(np.mean(each))


def _each(truth: Truths, said: Truths, rules: Truths, slugs: tuple[str, ...]) -> None:
    rows = [
        (
            slug,
            int(truth[:, n].sum()),
            float(f1_score(truth[:, n], rules[:, n], zero_division=0)),
            float(f1_score(truth[:, n], said[:, n], zero_division=0)),
        )
        for n, slug in enumerate(slugs)
        if truth[:, n].any()
    ]
    show("Topics, each", ("topic", "support", "F1 phrases", "F1 model"), rows)


def _calibration(chance: Floats, truth: Truths) -> None:
    rows = []
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        here = (chance >= low) & (chance < low + 0.2 + 1e-9)
        rows.append(
            (
                f"{low:.1f} to {low + 0.2:.1f}",
                int(here.sum()),
                float(chance[here].mean()),
                float(truth[here].mean()),
            )
        )
    show("Topics, calibration", ("score", "pairs", "mean score", "share that is right"), rows)


# ------------------------------------------------------------------------------------------- sentiment


def sentiment(corpus: Corpus, every: pd.DataFrame) -> None:
    """Judge sentiment by five folds, each domain by itself."""
    scores = np.full((len(every), 3), np.nan)
    for fold in range(FOLDS):
        progress(f"sentiment, fold {fold + 1} of {FOLDS}")
        test, scores_of_fold = _sentiment_fold(corpus, every, fold)
        scores[test] = scores_of_fold
    rows = []
    for domain in DOMAINS:
        here = (every["domain"] == domain).to_numpy() & ~np.isnan(scores[:, 0])
        rows.append((domain, *_tones(every["sentiment"].to_numpy(dtype=object)[here].astype(str), scores[here])))
        rows += _against_vader(every, here, domain)
    show(f"Sentiment, {FOLDS} folds grouped by text", _TONE_HEAD, rows)


def _sentiment_fold(corpus: Corpus, every: pd.DataFrame, fold: int) -> tuple[Rows, Floats]:
    known = every["sentiment"].notna().to_numpy() & ~every["held_out"].to_numpy()
    inside = (every["fold"] == fold).to_numpy()
    train, test = np.flatnonzero(known & ~inside), np.flatnonzero(known & inside)
    lesson = taught(every, fold)
    space = space_of(corpus, every, np.concatenate([train, lesson[0]]))
    return test, heads.fit_sentiment(space, every, train, lesson).scores(heads.sentiment_rows(space, test))


def sentiment_temperature(corpus: Corpus, every: pd.DataFrame) -> float:
    """Return the temperature that makes the sentiments' scores probabilities, from one fold."""
    test, scores = _sentiment_fold(corpus, every, 0)
    return heads.temperature_of(scores, every["sentiment"].to_numpy(dtype=object)[test].astype(str), SENTIMENTS)


_TONE_HEAD = ("on", "texts", "macro F1", "recall negative", "recall neutral", "recall positive")
_VADER_EDGE = 0.05
"""VADER's own advice: from a compound of .05 on a text is positive, from -.05 down negative."""


def _tones(answers: npt.NDArray[np.str_], scores: Floats) -> tuple[object, ...]:
    return _tone_figures(answers, np.array(SENTIMENTS)[scores.argmax(axis=1)])


def _tone_figures(answers: npt.NDArray[np.str_], said: npt.NDArray[np.str_]) -> tuple[object, ...]:
    recalls = recall_score(answers, said, labels=SENTIMENTS, average=None)
    return (len(answers), float(f1_score(answers, said, average="macro")), *map(float, recalls))


def _against_vader(every: pd.DataFrame, here: Truths, domain: str) -> list[tuple[object, ...]]:
    if domain == "french":
        return []
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    vader = SentimentIntensityAnalyzer()
    compound = np.array([vader.polarity_scores(text)["compound"] for text in every["text"][here]])
    said = np.where(compound >= _VADER_EDGE, "positive", np.where(compound <= -_VADER_EDGE, "negative", "neutral"))
    return [
        (f"{domain}: VADER", *_tone_figures(every["sentiment"].to_numpy(dtype=object)[here].astype(str), said))
    ]


# --------------------------------------------------------------------------------------------- purpose


def purpose(corpus: Corpus, every: pd.DataFrame) -> None:
    """Judge purposes by five folds of our written mentions, and show what each degree of sureness brings."""
    scores = _purpose_folds(corpus, every)
    rows = []
    for domain in _WRITTEN:
        here = (every["domain"] == domain).to_numpy() & ~np.isnan(scores[:, 0])
        answers = every["purpose"].to_numpy(dtype=object)[here].astype(str)
        temperature = heads.temperature_of(scores[here], answers, PURPOSES)
        chance = softmax(scores[here] * temperature, axis=1)
        rows += [
            (f"{domain}, counted from {counted}", *_purposes(answers, chance, counted, min(counted, LEFT_OUT_TO)))
            for counted in (0.5, 0.75, COUNTED_FROM, 0.9)
        ]
    show(f"Purpose, {FOLDS} folds grouped by text", _PURPOSE_HEAD, rows)


_PURPOSE_HEAD = (
    *("on", "texts", "F1 experience", "F1 experience, sure", "macro F1", "not care, of the counted"),
    *("counted, of not care", "counted, of care", "to review", "AUC"),
)


def _purposes(
    answers: npt.NDArray[np.str_], chance: Floats, counted_from: float, left_out_to: float
) -> tuple[object, ...]:
    from sklearn.metrics import roc_auc_score

    care_columns = [PURPOSES.index(purpose) for purpose in sorted(CARE)]
    care = chance[:, care_columns].sum(axis=1)
    tells = care >= 0.5
    masked = np.where(np.isin(np.arange(len(PURPOSES)), care_columns)[None, :] == tells[:, None], chance, -1)
    said = np.array(PURPOSES)[masked.argmax(axis=1)]
    is_sure = (care >= counted_from) | (care <= left_out_to)
    is_care = np.isin(answers, sorted(CARE))
    experience = str(Purpose.EXPERIENCE)
    counted = tells & is_sure
    return (
        len(answers),
        float(f1_score(answers == experience, said == experience)),
        float(f1_score((answers == experience)[is_sure], (said == experience)[is_sure])),
        float(f1_score(answers, said, average="macro")),
        float((~is_care)[counted].mean()),
        float(counted[~is_care].mean()),
        float(counted[is_care].mean()),
        float((~is_sure).mean()),
        float(roc_auc_score(is_care, care)),
    )


def _purpose_folds(corpus: Corpus, every: pd.DataFrame) -> Floats:
    written = every["domain"].isin(_WRITTEN).to_numpy()
    scores = np.full((len(every), len(PURPOSES)), np.nan)
    open_rows = ~every["held_out"].to_numpy()
    for fold in range(FOLDS):
        inside = (every["fold"] == fold).to_numpy()
        train, test = np.flatnonzero(open_rows & ~inside), np.flatnonzero(written & open_rows & inside)
        space = space_of(corpus, every, train)
        scores[test] = heads.fit_purpose(space, every, train).scores(heads.purpose_rows(space, test))
    return scores


def purpose_temperature(corpus: Corpus, every: pd.DataFrame) -> float:
    """Return the temperature that makes the purposes' scores probabilities, from folds."""
    scores = _purpose_folds(corpus, every)
    here = ~np.isnan(scores[:, 0])
    return heads.temperature_of(scores[here], every["purpose"].to_numpy(dtype=object)[here].astype(str), PURPOSES)


# -------------------------------------------------------------------------------------------- held out


def held_out(every: pd.DataFrame) -> None:
    """Judge the shipped models, as they are used, on the third of our written mentions that they never saw."""
    from listener.signals.analysis import Analyzer
    from listener.signals.models import shipped_models
    from listener.signals.taxonomy import Taxonomy

    taxonomy = Taxonomy.load()
    analyzer = Analyzer(taxonomy)
    rows, tones, tagged = [], [], []
    for domain in _WRITTEN:
        here = every[(every["domain"] == domain) & every["held_out"]]
        heard = analyzer.analyze_many(here["text"].tolist())
        answers = here["purpose"].to_numpy(dtype=str)
        said = np.array([str(signals.purpose) for signals in heard])
        review = np.array([signals.needs_review for signals in heard])
        care, told = np.isin(answers, sorted(CARE)), np.isin(said, sorted(CARE))
        counted = told & ~review
        experience = str(Purpose.EXPERIENCE)
        rows.append(
            (
                domain,
                len(here),
                float(f1_score(answers == experience, said == experience)),
                float(f1_score((answers == experience)[~review], (said == experience)[~review])),
                float(f1_score(answers, said, average="macro")),
                float((~care)[counted].mean()),
                float(counted[~care].mean()),
                float(counted[care].mean()),
                float(review.mean()),
            )
        )
        feeling = np.array([str(signals.sentiment) for signals in heard])
        tones.append((domain, *_tone_figures(here["sentiment"].to_numpy(dtype=str), feeling)))
        truth = labels(here, taxonomy.slugs)[care]
        found = np.array(
            [[slug in {hit.slug for hit in signals.topics} for slug in taxonomy.slugs] for signals in heard]
        )[care]
        columns = [n for n in range(len(taxonomy.slugs)) if truth[:, n].sum() >= _COMMON_IN_TRUST]
        tagged.append((domain, int(care.sum()), len(columns), *_f1(truth, found, np.arange(len(truth)), columns)))
    models = shipped_models()
    title = f"Purpose, held-out third, counted from {models.counted_from}, left out to {models.left_out_to}"
    show(title, _PURPOSE_HEAD[:-1], rows)
    show("Sentiment, held-out third", _TONE_HEAD, tones)
    show(
        "Topics of care, held-out third, labels with 10 or more",
        ("on", "texts", "labels", "micro F1", "macro F1"),
        tagged,
    )
