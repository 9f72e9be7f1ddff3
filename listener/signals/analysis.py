"""The face of the room: from a mention's text to what is kept of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from listener.mention import Purpose, Sentiment
from listener.signals.language import detect_language
from listener.signals.redaction import Redactor
from listener.signals.topics import Taxonomy, TopicHit, TopicMatcher


@dataclass(frozen=True, slots=True)
class Signals:
    """What is heard in one mention.

    ``language`` is an ISO 639 code in lower case; None is "not known", never "neutral" or "other".
    ``purpose_score`` is the calibrated probability of ``purpose``, in [0, 1]; where it is too low to be believed
    ``needs_review`` is set, and the mention stays out of the volumes until a person has looked.
    ``sentiment_score`` lies in [-1, 1]; ``positive_part`` and ``negative_part`` are how strong the most positive and
    the most negative sentence are, in [0, 1]: of "kind nurses, but nine hours of waiting" both are kept.
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


class Analyzer:
    """Redacts texts and hears their signals, for organizations whose own handles are ``own_handles``.

    Made once and used for every mention; safe to share between threads.
    """

    def __init__(self, taxonomy: Taxonomy, own_handles: Iterable[str] = ()) -> None:
        self._redactor = Redactor(own_handles)
        self._matcher = TopicMatcher(taxonomy)

    def redact(self, text: str) -> str:
        """Return ``text`` without what points at a person; nothing else of a text may be stored."""
        return self._redactor.redact(text)

    def analyze(self, text: str, *, language_hint: str | None = None) -> Signals:
        """Return the signals of a redacted text; ``language_hint`` is what the platform says the language is.

        The phrases of the taxonomy are English: a text in another language has no topics, while one whose
        language cannot be told is given the benefit of the doubt.
        """
        language = detect_language(text, hint=language_hint)
        topics = self._matcher.match(text) if language in ("en", None) else ()
        return Signals(language=language, topics=topics)
