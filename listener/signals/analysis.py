"""The face of the room: from a mention's text to what is kept of it.

    redacted text ─▶ language ─▶ phrases (topics, hints of purpose) ─▶ features ─▶ models ─▶ Signals

Texts are read in English and in French. Of any other language the language is all that is heard, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from listener.mention import Purpose, Sentiment, Source
from listener.signals import features
from listener.signals.hints import hint_of, shipped_hints, with_hints
from listener.signals.language import detect_language
from listener.signals.models import hint_feature, models_version, rule_feature, shipped_models
from listener.signals.phrases import normalize
from listener.signals.redaction import Redactor
from listener.signals.taxonomy import LANGUAGES, Language
from listener.signals.topics import Taxonomy, TopicHit, TopicMatcher

if TYPE_CHECKING:
    import numpy.typing as npt

    from listener.signals.featurizer import Features, Reading
    from listener.signals.models import Floats, Models, Word

_MIXED = 0.6
"""From this probability on, of one clause each, a text is both positive and negative."""
_LEANS = 0.5
"""Where the whole leans further than this to one side, it is that, whatever else stands in it."""
FRENCH: Language = "fr"
_EVEN = 0.5
_CARE = (Purpose.EXPERIENCE, Purpose.QUESTION)
_SENTIMENTS = (Sentiment.NEGATIVE, Sentiment.NEUTRAL, Sentiment.POSITIVE)
_NEUTRAL = _SENTIMENTS.index(Sentiment.NEUTRAL)


@dataclass(frozen=True, slots=True)
class Signals:
    """What is heard in one mention.

    ``language`` is an ISO 639 code in lower case; None is "not known", never "neutral" or "other".
    ``purpose_score`` is the calibrated probability of ``purpose``, in [0, 1]; where it is too uncertain whether
    the mention tells of care, ``needs_review`` is set and it stays out of the volumes until a person has looked.
    ``sentiment_score`` lies in [-1, 1], the probability of positive less that of negative; ``positive_part`` and
    ``negative_part`` are how strong the most positive and the most negative clause are, in [0, 1]: of "kind
    nurses, but nine hours of waiting" both are kept. ``version`` names the taxonomy and the models that heard it.
    """

    language: str | None
    topics: tuple[TopicHit, ...] = ()
    purpose: Purpose | None = None
    purpose_score: float | None = None
    needs_review: bool = False
    sentiment: Sentiment | None = None
    sentiment_score: float | None = None
    positive_part: float | None = None
    negative_part: float | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Vote:
    """What speaks for a topic in a text: the phrases that stand in it, and the model's probability.

    ``score`` and ``threshold`` are None of a topic that the models do not know, or in a language they do not
    judge topics in: there the phrases decide alone. ``given``: the mention gets the topic.
    """

    slug: str
    phrases: tuple[str, ...]
    score: float | None
    threshold: float | None
    given: bool


class Analyzer:
    """Redacts texts and hears their signals, for organizations whose own handles are ``own_handles``.

    Made once and used for every mention; safe to share between threads. Phrases and models are read when the first
    text is heard.
    """

    def __init__(self, taxonomy: Taxonomy, own_handles: Iterable[str] = ()) -> None:
        self._redactor = Redactor(own_handles)
        self._taxonomy = taxonomy
        self._matchers: dict[Language, TopicMatcher] = {}
        self._own_phrases = {topic.slug: topic.own_phrases for topic in taxonomy.topics}
        self.version = f"{taxonomy.version}/{models_version()}"

    def _matcher(self, language: Language) -> TopicMatcher:
        # Made when the first text of a language is read; two threads at once make the same one twice.
        matcher = self._matchers.get(language)
        if matcher is None:
            matcher = self._matchers[language] = TopicMatcher(with_hints(self._taxonomy), language)
        return matcher

    @cached_property
    def _models(self) -> Models:
        return shipped_models()

    @cached_property
    def _judges(self) -> list[str]:
        return list(self._models.judges)

    @cached_property
    def _places(self) -> dict[str, int]:
        """The columns of the topics that the models vote on: ours, as far as they are switched on."""
        there = set(self._taxonomy.slugs) if self._taxonomy.extends_shipped else set()
        return {slug: place for place, slug in enumerate(self._judges) if slug in there}

    @cached_property
    def _thresholds(self) -> Floats:
        """The score that is asked for of each column; of a topic that is off, more than there is."""
        judges = self._models.judges.items()
        asked = [judge.threshold if slug in self._places else np.inf for slug, judge in judges]
        return np.array(asked, np.float32).round(4)

    @cached_property
    def _rule_numbers(self) -> dict[str, int]:
        known = self._models.vocabulary
        return {slug: known[rule_feature(slug)] for slug in self._taxonomy.slugs if rule_feature(slug) in known}

    @cached_property
    def _hint_numbers(self) -> dict[str, int]:
        known = self._models.vocabulary
        return {slug: known[hint_feature(slug)] for slug in shipped_hints().slugs if hint_feature(slug) in known}

    def redact(self, text: str) -> str:
        """Return ``text`` without what points at a person; nothing else of a text may be stored."""
        return self._redactor.redact(text)

    def analyze(self, text: str, *, language_hint: str | None = None) -> Signals:
        """Return the signals of a redacted text; ``language_hint`` is what the platform says the language is."""
        return self.analyze_many([text], [language_hint])[0]

    def analyze_many(self, texts: Sequence[str], hints: Sequence[str | None] | None = None) -> list[Signals]:
        """Return the signals of several redacted texts, in their order; ``hints`` are their language hints.

        Faster than one by one, and the same: no text changes what is heard in another.
        """
        languages = [
            detect_language(text, hint=hint)
            for text, hint in zip(texts, hints or [None] * len(texts), strict=True)
        ]
        read = [number for number, language in enumerate(languages) if language is None or language in LANGUAGES]
        spoken = self._hear([texts[number] for number in read], [languages[number] for number in read])
        heard = dict(zip(read, spoken, strict=True))
        return [
            heard.get(number) or Signals(language=language, version=self.version)
            for number, language in enumerate(languages)
        ]

    def votes(self, text: str, *, language_hint: str | None = None) -> list[Vote]:
        """Return what speaks for each topic of a redacted text, given or not, where a phrase or the model does."""
        language = detect_language(text, hint=language_hint)
        if not (language is None or language in LANGUAGES):
            return []
        pieces = self._pieces(self._models.featurizer.read(text), language)
        topics, _, _ = self._models.mentions([piece.features for piece in pieces])
        best = topics.max(axis=0).round(4)
        near = np.flatnonzero(best >= self._thresholds * np.float32(0.5)).tolist()
        return list(self._votes(_phrases(pieces), near, best.tolist(), judged=language != FRENCH))

    def _hear(self, texts: Sequence[str], languages: Sequence[str | None]) -> Iterator[Signals]:
        if not texts:
            return
        models = self._models
        readings = [models.featurizer.read(text) for text in texts]
        pieces = [self._pieces(reading, language) for reading, language in zip(readings, languages, strict=True)]
        # A text in one piece is added up once, for its topics and all else; one in several has a row more. Of
        # clauses nothing is asked but their tones.
        rows: list[Features[Word]] = [piece.features for each in pieces for piece in each]
        firsts = [0, *accumulate(map(len, pieces[:-1]))]
        count = len(rows)
        wholes = []
        for reading, each, first in zip(readings, pieces, firsts, strict=True):
            wholes.append(first if len(each) == 1 else len(rows))
            if len(each) > 1:
                hints = dict.fromkeys(number for piece in each for number in piece.hints)
                rows.append(reading.whole.and_also(hints))
        clauses: list[Features[Word]] = []
        parts = []
        for reading, whole in zip(readings, wholes, strict=True):
            start = len(rows) + len(clauses)
            if len(reading.clauses) > 1:
                clauses += reading.clauses
                parts.append(range(start, start + len(reading.clauses)))
            else:
                parts.append(range(whole, whole + 1))
        topics, purposes, tones = models.mentions(rows)
        all_tones = np.concatenate((tones, models.sentiments(clauses)))
        best = np.maximum.reduceat(topics[:count], firsts).round(4)
        passed: list[list[int]] = [[] for _ in texts]
        for number, place in zip(*(each.tolist() for each in np.nonzero(best >= self._thresholds)), strict=True):
            passed[number].append(place)
        heard = zip(
            languages,
            map(_phrases, pieces),
            passed,
            best.tolist(),
            _purposes(purposes[wholes], models),
            _tones(tones[wholes], all_tones, parts),
            strict=True,
        )
        for language, phrases, over, scores, purpose, tone in heard:
            votes = self._votes(phrases, over, scores, judged=language != FRENCH)
            yield Signals(
                language=language,
                topics=tuple(hit for vote in votes if vote.given for hit in _hits(vote)),
                purpose=purpose.purpose,
                purpose_score=purpose.score,
                needs_review=purpose.needs_review,
                sentiment=tone.sentiment,
                sentiment_score=tone.score,
                positive_part=tone.positive,
                negative_part=tone.negative,
                version=self.version,
            )

    def _pieces(self, reading: Reading[Word], language: str | None) -> list[_Piece]:
        spoken = [one for one in LANGUAGES if language is None or one == language]
        pieces = []
        for text, read in zip(reading.texts, reading.parts, strict=True):
            # What redaction left is no word of the author's: "[email]" speaks of no e-mail.
            words = features.without_marks(text)
            rules: dict[str, tuple[str, ...]] = {}
            numbers: dict[int, None] = {}
            hints: dict[int, None] = {}
            for one in spoken:
                for hit in self._matcher(one).match(words):
                    hint = hint_of(hit.slug)
                    if hint is None:
                        rules[hit.slug] = rules.get(hit.slug, ()) + hit.phrases
                        if hit.slug in self._rule_numbers:
                            numbers[self._rule_numbers[hit.slug]] = None
                    elif hint in self._hint_numbers:
                        hints[self._hint_numbers[hint]] = None
            pieces.append(_Piece(read.and_also((*numbers, *hints)), tuple(hints), rules))
        return pieces

    def _votes(
        self, phrases: dict[str, tuple[str, ...]], over: Sequence[int], scores: Sequence[float], *, judged: bool
    ) -> Iterator[Vote]:
        """Yield, by slug, the topics with a phrase, and of those that are judged those in ``over``.

        ``scores`` are as they are told, so that what is told never contradicts what is given.
        """
        slugs = {*phrases, *map(self._judges.__getitem__, over)} if judged else phrases
        for slug in sorted(slugs):
            yield self._vote(slug, phrases.get(slug, ()), scores if judged else None)

    def _vote(self, slug: str, phrases: tuple[str, ...], scores: Sequence[float] | None) -> Vote:
        place = self._places.get(slug)
        own = self._own_phrases[slug]
        # What a hospital wrote itself counts: the models have never seen it.
        is_own = bool(own) and any(normalize(phrase) in own for phrase in phrases)
        if scores is None or place is None:
            return Vote(slug, phrases, None, None, given=bool(phrases))
        score, threshold = round(scores[place], 4), self._asked[place]
        return Vote(slug, phrases, score, threshold, given=is_own or score >= threshold)

    @cached_property
    def _asked(self) -> list[float]:
        return [round(threshold, 4) for threshold in self._thresholds.tolist()]


@dataclass(frozen=True, slots=True)
class _Piece:
    features: Features[Word]
    hints: tuple[int, ...]
    rules: dict[str, tuple[str, ...]]


def _phrases(pieces: Sequence[_Piece]) -> dict[str, tuple[str, ...]]:
    """Return the phrases of each topic in all pieces, once each."""
    if len(pieces) == 1:
        return pieces[0].rules
    phrases: dict[str, dict[str, None]] = {}
    for piece in pieces:
        for slug, found in piece.rules.items():
            phrases.setdefault(slug, {}).update(dict.fromkeys(found))
    return {slug: tuple(found) for slug, found in phrases.items()}


def _hits(vote: Vote) -> Iterator[TopicHit]:
    if vote.phrases:
        yield TopicHit(vote.slug, 1.0, Source.RULE, vote.phrases)
    if vote.score is not None and vote.threshold is not None and vote.score >= vote.threshold:
        yield TopicHit(vote.slug, vote.score, Source.MODEL, ())


class _Purpose(NamedTuple):
    purpose: Purpose
    score: float
    needs_review: bool


def _purposes(probabilities: Floats, models: Models) -> Iterator[_Purpose]:
    """Yield the purpose of each text, a row of probabilities: the likeliest of those of its side, care or not."""
    purposes = [Purpose(label) for label in models.purposes]
    is_care = np.array([purpose in _CARE for purpose in purposes])
    care = probabilities[:, is_care].sum(axis=1)
    allowed = is_care == (care >= _EVEN)[:, None]
    chosen = np.where(allowed, probabilities, -1).argmax(axis=1)
    scores = probabilities[np.arange(len(chosen)), chosen]
    doubtful = (models.left_out_to < care) & (care < models.counted_from)
    for place, score, is_doubtful in zip(chosen.tolist(), scores.tolist(), doubtful.tolist(), strict=True):
        yield _Purpose(purposes[place], round(score, 4), is_doubtful)


class _Tone(NamedTuple):
    sentiment: Sentiment
    score: float
    positive: float
    negative: float


def _tones(wholes: Floats, rows: Floats, parts: Sequence[range]) -> Iterator[_Tone]:
    """Yield the tone of each text, whose clauses are the ``parts`` of the rows."""
    lengths = np.fromiter(map(len, parts), np.intp, len(parts))
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    clauses = rows[np.fromiter(chain.from_iterable(parts), np.intp, lengths.sum())]
    strongest = np.maximum.reduceat(clauses, starts)
    scores = wholes[:, 2] - wholes[:, 0]
    is_mixed = (np.minimum(strongest[:, 0], strongest[:, 2]) >= _MIXED) & (np.abs(scores) < _LEANS)
    chosen: npt.NDArray[np.intp] = np.where(is_mixed, _NEUTRAL, wholes.argmax(axis=1))
    for place, score, (negative, _, positive) in zip(
        chosen.tolist(), scores.tolist(), strongest.tolist(), strict=True
    ):
        yield _Tone(_SENTIMENTS[place], round(score, 4), round(positive, 4), round(negative, 4))
