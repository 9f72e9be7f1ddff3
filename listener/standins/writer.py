"""Puts sentences together as people of each platform do, and knows what the result is about."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from listener.mention import Purpose, Sentiment
from listener.standins import phrasebook

if TYPE_CHECKING:
    from random import Random

    from listener.standins.phrasebook import Form, Language

# What a hospital is written about for. Patient experience is the smaller part of it, as hospitals report.
_HEAD_PURPOSES = {
    Purpose.EXPERIENCE: 25,
    Purpose.QUESTION: 15,
    Purpose.RECRUITMENT: 9,
    Purpose.PHILANTHROPY: 10,
    Purpose.PROMOTION: 12,
    Purpose.NEWS: 13,
    Purpose.OTHER: 16,
}
_REPLY_PURPOSES = {Purpose.EXPERIENCE: 30, Purpose.QUESTION: 8, Purpose.OTHER: 62}
# How many topics an experience speaks of (none, one, two, three), by whether there is room for them.
_TOPICS_IN_LONG = (4, 42, 34, 20)
_TOPICS_IN_SHORT = (8, 66, 22, 4)
_ON_TOPIC = {Purpose.QUESTION: 0.55, Purpose.NEWS: 0.35}
_FORMS: Mapping[Purpose, Form] = {Purpose.QUESTION: "question", Purpose.NEWS: "news"}
_SENTIMENTS: Mapping[Form, Sentiment] = {"complaint": Sentiment.NEGATIVE, "praise": Sentiment.POSITIVE}
_UPSET: tuple[Form, ...] = ("complaint",)
_TONES: Mapping[tuple[Form, ...], int] = {_UPSET: 50, ("praise",): 35, ("praise", "complaint"): 15}
# Reddit and YouTube do not say which language a comment is in: from fewer characters than this it cannot be told
# safely, and a comment that is taken for Spanish has no topics.
_TELLING = 70
_LINKED = (Purpose.RECRUITMENT, Purpose.PROMOTION, Purpose.NEWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """Whom the posts are about.

    ``short`` is the name in passing and what every searchable post holds unless it holds ``handle``;
    ``own_accounts`` has, by channel, the author id that the hospital itself posts under.
    """

    name: str
    short: str
    handle: str
    timezone: str
    own_accounts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A text and what is true of it; one in a language that nobody reads has no purpose and no sentiment."""

    text: str
    title: str | None = None
    language: str = "en"
    topics: frozenset[str] = frozenset()
    sentiment: Sentiment | None = Sentiment.NEUTRAL
    purpose: Purpose | None = Purpose.OTHER


@dataclass(frozen=True, slots=True)
class _Message:
    """What is to be said, before it is said in the manner of a platform."""

    sentences: tuple[str, ...]
    topics: frozenset[str] = frozenset()
    sentiment: Sentiment = Sentiment.NEUTRAL
    purpose: Purpose = Purpose.OTHER


class Writer:
    """Writes posts of one channel about one hospital, drawing everything from ``rng``."""

    def __init__(self, rng: Random, channel: str, hospital: Hospital) -> None:
        self._rng = rng
        self._channel = channel
        self._hospital = {"name": hospital.name, "short": hospital.short, "handle": hospital.handle}
        self._language: Language = "en"
        self._book = phrasebook.load(self._language)
        self._scene: dict[str, str] = {}

    def head(self, *, topic: str | None = None, language: Language = "en") -> Draft:
        """Write a post, submission or video that search can find; ``topic`` makes it about that."""
        self._set_scene(language)
        if self._channel == "youtube":
            # A video's description is not where experiences are told: those stand in the comments.
            title, text = self._say("youtube", "titles"), self._say("youtube", "descriptions")
            return Draft(title=title, text=text, language=language)
        message = self._message(_HEAD_PURPOSES, long=self._channel == "reddit", topic=topic)
        if self._channel == "twitter":
            return self._draft(self._tweet(message), message)
        return self._draft(self._selftext(message), message, title=self._say(message.purpose, "titles"))

    def reply(self, *, topic: str | None = None, language: Language = "en") -> Draft:
        """Write a comment or reply; on X, where search must find it, it addresses the hospital."""
        self._set_scene(language)
        message = self._message(_REPLY_PURPOSES, long=False, topic=topic)
        if self._channel == "twitter":
            return self._draft(f"{self._hospital['handle']} {self._dressed(message)}", message)
        if message.purpose is Purpose.OTHER:
            message = _Message((self._say(self._channel, "chatter"),))
        text = self._dressed(message)
        # "Can confirm." and its like say that one has been there too.
        if self._channel == "reddit" and message.purpose is Purpose.EXPERIENCE and self._chance(0.4):
            text = f"{self._say('reddit', 'replies')} {text}"
        if len(text) < _TELLING and message.topics:
            text = f"{text} {self._fillers(1)[0]}"
        return self._draft(text, message)

    def foreign(self, *, head: bool) -> Draft:
        """Write in a language that no taxonomy reads."""
        self._set_scene()
        language = self._rng.choice(list(self._book.plain["foreign"]))
        title = f"{self._hospital['name']}, Toronto" if head and self._channel != "twitter" else None
        text = self._say("foreign", language)
        return Draft(title=title, text=text, language=language, sentiment=None, purpose=None)

    def own(self, *, head: bool) -> Draft:
        """Write as the hospital itself."""
        self._set_scene()
        text = self._say("own", "posts" if head else "replies")
        if self._channel == "twitter":
            text = f"{self._hospital['name']}: {text}"
        title = self._say("promotion", "titles") if head and self._channel != "twitter" else None
        if self._channel == "youtube" and head:
            text = f"{self._say('youtube', 'own_intro')}\n\n{text}"
        return Draft(title=title, text=text, sentiment=Sentiment.POSITIVE, purpose=Purpose.PROMOTION)

    def community(self) -> str:
        """Choose a subreddit."""
        return self._rng.choice(phrasebook.load().plain["reddit"]["communities"])

    def reworded(self, draft: Draft) -> str:
        """Return the text after an edit that changes nothing it says."""
        self._set_scene("fr" if draft.language == "fr" else "en")
        return f"{draft.text}\n\n{self._say('noise', 'edits')}"

    def share_of(self, topic: str) -> float:
        """Return about which share of all that is written speaks of ``topic``."""
        weights = phrasebook.load().with_form("complaint")
        of_topics = weights.get(topic, 0) / sum(weights.values())
        purposes, counts = _HEAD_PURPOSES, _TOPICS_IN_SHORT
        if self._channel == "reddit":
            counts = _TOPICS_IN_LONG
        if self._channel == "youtube":
            purposes = _REPLY_PURPOSES
        mean_topics = sum(n * weight for n, weight in enumerate(counts)) / sum(counts)
        spoken = purposes[Purpose.EXPERIENCE] * mean_topics
        spoken += sum(share * purposes.get(purpose, 0) for purpose, share in _ON_TOPIC.items())
        return of_topics * spoken / sum(purposes.values())

    def _set_scene(self, language: Language = "en") -> None:
        # One choice a text: whoever begins in cardiology stays there.
        self._language, self._book = language, phrasebook.load(language)
        self._scene = {name: self._rng.choice(values) for name, values in self._book.slots.items()}
        self._scene |= self._hospital

    def _say(self, table: str, key: str) -> str:
        return self._fill(self._rng.choice(self._book.plain[table][key]))

    def _fill(self, sentence: str) -> str:
        filled = sentence.format_map(self._scene)
        # A slot may open a sentence; a link or a "via" is no sentence.
        return filled[:1].upper() + filled[1:] if sentence.startswith("{") else filled

    def _message(self, purposes: Mapping[Purpose, int], *, long: bool, topic: str | None) -> _Message:
        purpose = self._rng.choices(list(purposes), weights=list(purposes.values()))[0]
        if topic is not None and purpose not in _FORMS:
            purpose = Purpose.EXPERIENCE
        if purpose is Purpose.EXPERIENCE:
            return self._experience(_TOPICS_IN_LONG if long else _TOPICS_IN_SHORT, topic)
        if purpose in _FORMS and (topic or self._chance(_ON_TOPIC[purpose])):
            return self._on_topic(purpose, topic)
        # An invitation to a talk is no praise; who gives, or thanks for what was given, is glad.
        sentiment = Sentiment.POSITIVE if purpose is Purpose.PHILANTHROPY else Sentiment.NEUTRAL
        return _Message((self._say(purpose, "plain"),), sentiment=sentiment, purpose=purpose)

    def _on_topic(self, purpose: Purpose, topic: str | None) -> _Message:
        form = _FORMS[purpose]
        slug = topic if topic and self._book.topics[topic].of(form) else self._topic(form)
        return _Message((self._sentence(slug, form),), frozenset({slug}), purpose=purpose)

    def _experience(self, counts: Sequence[int], topic: str | None) -> _Message:
        count = self._rng.choices(range(len(counts)), weights=counts)[0]
        if topic is None and count == 0:
            return _Message((self._say("experience", "plain"),), purpose=Purpose.EXPERIENCE)
        forms = itertools.cycle(self._rng.choices(list(_TONES), weights=list(_TONES.values()))[0])
        said: dict[str, tuple[Form, str]] = {}
        if topic is not None:
            forms = itertools.cycle(_UPSET)
            said[topic] = (_UPSET[0], self._sentence(topic, _UPSET[0]))
        while len(said) < count:
            form = next(forms)
            slug = self._topic(form)
            if slug not in said:
                said[slug] = (form, self._sentence(slug, form))
        tones = {form for form, _ in said.values()}
        sentiment = _SENTIMENTS[next(iter(tones))] if len(tones) == 1 else Sentiment.NEUTRAL
        sentences = tuple(sentence for _, sentence in said.values())
        return _Message(sentences, frozenset(said), sentiment, Purpose.EXPERIENCE)

    def _topic(self, form: Form) -> str:
        weights = self._book.with_form(form)
        return self._rng.choices(list(weights), weights=list(weights.values()))[0]

    def _sentence(self, topic: str, form: Form) -> str:
        return self._fill(self._rng.choice(self._book.topics[topic].of(form)))

    def _tweet(self, message: _Message) -> str:
        parts = [self._dressed(message)]
        if self._chance(0.6):
            parts.insert(0, self._say("twitter", "leads"))
        else:
            parts.append(self._say("twitter", "tails"))
        if self._chance(0.3):
            parts += self._rng.sample(self._book.plain["twitter"]["hashtags"], self._rng.randint(1, 2))
        return " ".join(parts)

    def _selftext(self, message: _Message) -> str:
        paragraphs = [" ".join(message.sentences)]
        if message.purpose is Purpose.EXPERIENCE:
            paragraphs.insert(0, self._say("experience", "openers"))
            paragraphs += self._fillers(self._rng.randint(0, 3))
            paragraphs.append(self._say("experience", "closers"))
        if self._chance(0.25):
            paragraphs.insert(0, self._say("reddit", "openers"))
        if self._chance(0.06):
            paragraphs.append(self._say("noise", "links"))
        if self._chance(0.03):
            paragraphs.append(self._say("noise", "contacts"))
        return "\n\n".join(paragraphs)

    def _dressed(self, message: _Message) -> str:
        parts = list(message.sentences)
        if message.purpose is Purpose.EXPERIENCE and self._chance(0.2):
            # A few go on and on: X allows more than 280 characters to those who pay.
            parts.insert(0, self._say("experience", "openers"))
            parts += self._fillers(5 if self._chance(0.25) else 1)
        if self._chance(0.03):
            parts.append(self._say("noise", "contacts"))
        if self._chance(0.25):
            parts.append(self._say("noise", "emoji"))
        if self._chance(0.4 if message.purpose in _LINKED else 0.04):
            parts.append(self._say("noise", "links"))
        text = " ".join(parts)
        return text.lower() if self._chance(0.06) else text

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability

    def _fillers(self, count: int) -> list[str]:
        return [
            self._fill(filler) for filler in self._rng.sample(self._book.plain["experience"]["fillers"], count)
        ]

    def _draft(self, text: str, message: _Message, *, title: str | None = None) -> Draft:
        return Draft(
            title=title,
            text=text,
            language=self._language,
            topics=message.topics,
            sentiment=message.sentiment,
            purpose=message.purpose,
        )
