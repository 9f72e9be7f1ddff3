"""The face of the room: from a mention's text to what is kept of it.

    redacted text ─▶ language ─▶ phrases (topics, hints of purpose) ─▶ features ─▶ models ─▶ Signals

Texts are read in English and in French. Of any other language the language is all that is heard, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from listener.mention import Purpose, Sentiment, Source
from listener.signals import features
from listener.signals.hints import hint_matcher
from listener.signals.language import detect_language
from listener.signals.models import hint_feature, models_version, rule_feature, shipped_models
from listener.signals.phrases import normalize
from listener.signals.redaction import Redactor
from listener.signals.taxonomy import LANGUAGES, Language
from listener.signals.topics import Taxonomy, TopicHit, TopicMatcher

if TYPE_CHECKING:
    from listener.signals.featurizer import Reading
    from listener.signals.models import Floats, Models

_LONG = 300
"""A longer text is read for topics in pieces: of a whole page, a line on parking is too little to be heard."""
_PIECE = 250
_MIXED = 0.6
"""From this probability on, of one clause each, a text is both positive and negative."""
_LEANS = 0.5
"""Where the whole leans further than this to one side, it is that, whatever else stands in it."""
FRENCH: Language = "fr"
_EVEN = 0.5
_CARE = (Purpose.EXPERIENCE, Purpose.QUESTION)
_SENTIMENTS = (Sentiment.NEGATIVE, Sentiment.NEUTRAL, Sentiment.POSITIVE)


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
            matcher = self._matchers[language] = TopicMatcher(self._taxonomy, language)
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
        heard = [Signals(language=language, version=self.version) for language in languages]
        read = [number for number, language in enumerate(languages) if language is None or language in LANGUAGES]
        spoken = self._hear([texts[number] for number in read], [languages[number] for number in read])
        for number, signals in zip(read, spoken, strict=True):
            heard[number] = signals
        return heard

    def votes(self, text: str, *, language_hint: str | None = None) -> list[Vote]:
        """Return what speaks for each topic of a redacted text, given or not, where a phrase or the model does."""
        language = detect_language(text, hint=language_hint)
        if not (language is None or language in LANGUAGES):
            return []
        pieces = self._pieces(text, language, self._models.featurizer.read(text))
        topics, _, _ = self._models.mentions([piece.features for piece in pieces])
        return list(self._votes(pieces, topics, judged=language != FRENCH, worth=0.5))

    def _hear(self, texts: Sequence[str], languages: Sequence[str | None]) -> Iterator[Signals]:
        models = self._models
        readings = [models.featurizer.read(text) for text in texts]
        pieces = [
            self._pieces(text, language, reading)
            for text, language, reading in zip(texts, languages, readings, strict=True)
        ]
        # A text in one piece is added up once, for its topics and its purpose; one in several has a row more.
        rows: list[frozenset[int]] = []
        places: list[tuple[int, int]] = []
        for reading, parts in zip(readings, pieces, strict=True):
            hints = frozenset().union(*(piece.hints for piece in parts))
            first = len(rows)
            if len(parts) == 1:
                rows.append(parts[0].features | hints)
            else:
                rows += [piece.features for piece in parts] + [reading.whole | hints]
            places.append((first, len(rows) - 1))
        topics, purposes, whole = models.mentions(rows)
        clauses = [reading.clauses for reading in readings]
        parted = models.sentiments([clause for each in clauses for clause in each if len(each) > 1])
        at = 0
        for number, language in enumerate(languages):
            first, last = places[number]
            votes = self._votes(pieces[number], topics[first : max(last, first + 1)], judged=language != FRENCH)
            tones = whole[last : last + 1]
            if len(clauses[number]) > 1:
                tones, at = parted[at : at + len(clauses[number])], at + len(clauses[number])
            purpose = _purpose(purposes[last], models)
            tone = _tone(whole[last], tones)
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

    def _pieces(self, text: str, language: str | None, reading: Reading) -> list[_Piece]:
        known = self._models.vocabulary
        spoken = [one for one in LANGUAGES if language is None or one == language]
        pieces = []
        parts = _parts(text)
        for part in parts:
            rules: dict[str, tuple[str, ...]] = {}
            hints: list[str] = []
            for one in spoken:
                for hit in self._matcher(one).match(part):
                    rules[hit.slug] = rules.get(hit.slug, ()) + hit.phrases
                hints += [hit.slug for hit in hint_matcher(one).match(part)]
            found = frozenset(known[name] for name in map(rule_feature, rules) if name in known)
            hinted = frozenset(known[name] for name in map(hint_feature, hints) if name in known)
            read = reading if len(parts) == 1 else self._models.featurizer.read(part)
            pieces.append(_Piece(read.whole | found, hinted, rules))
        return pieces

    def _votes(
        self, pieces: Sequence[_Piece], topics: Floats, *, judged: bool, worth: float = 1.0
    ) -> Iterator[Vote]:
        """Yield, by slug, the topics with a phrase, or with ``worth`` of the score that is asked for."""
        phrases: dict[str, dict[str, None]] = {}
        for piece in pieces:
            for slug, found in piece.rules.items():
                phrases.setdefault(slug, {}).update(dict.fromkeys(found))
        # As it is told, so that what is told never contradicts what is given.
        best = topics.max(axis=0).round(4)
        slugs = set(phrases)
        if judged:
            slugs.update(
                self._judges[place] for place in np.flatnonzero(best >= self._thresholds * worth).tolist()
            )
        for slug in sorted(slugs):
            yield self._vote(slug, tuple(phrases.get(slug, ())), best if judged else None)

    def _vote(self, slug: str, phrases: tuple[str, ...], best: Floats | None) -> Vote:
        place = self._places.get(slug)
        own = self._own_phrases[slug]
        # What a hospital wrote itself counts: the models have never seen it.
        is_own = bool(own) and any(normalize(phrase) in own for phrase in phrases)
        if best is None or place is None:
            return Vote(slug, phrases, None, None, given=bool(phrases))
        score, threshold = round(float(best[place]), 4), round(float(self._thresholds[place]), 4)
        return Vote(slug, phrases, score, threshold, given=is_own or score >= threshold)


@dataclass(frozen=True, slots=True)
class _Piece:
    features: frozenset[int]
    hints: frozenset[int]
    rules: dict[str, tuple[str, ...]]


def _parts(text: str) -> list[str]:
    # What redaction left is no word of the author's: "[email]" speaks of no e-mail.
    text = features.without_marks(text)
    if len(text) <= _LONG:
        return [text]
    parts = [""]
    for sentence in features.sentences(text):
        if parts[-1] and len(parts[-1]) + len(sentence) > _PIECE:
            parts.append("")
        parts[-1] = f"{parts[-1]} {sentence}" if parts[-1] else sentence
    return parts


def _hits(vote: Vote) -> Iterator[TopicHit]:
    if vote.phrases:
        yield TopicHit(vote.slug, 1.0, Source.RULE, vote.phrases)
    if vote.score is not None and vote.threshold is not None and vote.score >= vote.threshold:
        yield TopicHit(vote.slug, vote.score, Source.MODEL, ())


class _Purpose(NamedTuple):
    purpose: Purpose
    score: float
    needs_review: bool


def _purpose(probabilities: Floats, models: Models) -> _Purpose:
    by_purpose = {Purpose(label): float(p) for label, p in zip(models.purposes, probabilities, strict=True)}
    care = sum(by_purpose[purpose] for purpose in _CARE)
    told = [purpose for purpose in by_purpose if (purpose in _CARE) == (care >= _EVEN)]
    purpose = max(told, key=lambda one: (by_purpose[one], one))
    return _Purpose(purpose, round(by_purpose[purpose], 4), models.left_out_to < care < models.counted_from)


class _Tone(NamedTuple):
    sentiment: Sentiment
    score: float
    positive: float
    negative: float


def _tone(whole: Floats, clauses: Floats) -> _Tone:
    negative, positive = float(clauses[:, 0].max()), float(clauses[:, 2].max())
    score = float(whole[2] - whole[0])
    is_mixed = min(positive, negative) >= _MIXED and abs(score) < _LEANS
    sentiment = Sentiment.NEUTRAL if is_mixed else _SENTIMENTS[int(whole.argmax())]
    return _Tone(sentiment, round(score, 4), round(positive, 4), round(negative, 4))
