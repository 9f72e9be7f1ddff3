"""Topics by transparent rules: a taxonomy of patient-experience subjects, and the phrases that tell them.

The taxonomy is data (``config/topics.toml``, or a hospital's own file); how its phrases are written is told in
:mod:`listener.signals.phrases`. A mention has none, one or several topics, each with the phrases that matched,
so that a person can see why.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self, get_args

from ahocorasick_rs import AhoCorasick
from pydantic import AfterValidator, Field, field_validator

from listener.errors import ConfigError
from listener.mention import Source
from listener.resources import config_file
from listener.settings import Section, parse
from listener.signals.phrases import Pattern, PhraseError, compile_phrase, is_word, normalize

ALL = "all"
UNTAGGED = "(untagged)"
RESERVED_SLUGS = frozenset({ALL, UNTAGGED})

HcahpsDomain = Literal[
    "nurses",
    "doctors",
    "responsiveness",
    "restfulness",
    "cleanliness",
    "medicines",
    "symptoms",
    "coordination",
    "discharge",
    "overall",
    "recommend",
]
HCAHPS_DOMAINS: tuple[str, ...] = get_args(HcahpsDomain)

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One subject of patient experience: what it means, and the phrases that tell it.

    ``exclude`` are phrases that take away every match they overlap ("can't wait to" is no waiting time).
    ``hcahps`` names the domains of the HCAHPS survey (USA, 2025 form) that ask about the same subject.
    """

    slug: str
    name: str
    group: str
    definition: str
    phrases: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    hcahps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TopicHit:
    """A topic found in a mention; ``score`` in [0, 1] is how sure the source is (a rule is always 1.0).

    ``phrases`` are the taxonomy's phrases that matched, as they are written there: they explain the topic
    without keeping words of the author's.
    """

    slug: str
    score: float
    source: Source
    phrases: tuple[str, ...]


def _phrase(value: str) -> str:
    try:
        compile_phrase(value)
    except PhraseError as error:
        raise ValueError(str(error)) from error
    return value


_Phrase = Annotated[str, AfterValidator(_phrase)]


class _TopicTable(Section):
    """A ``[[topics]]`` table as it stands in the file."""

    slug: str
    name: str = Field(min_length=1)
    group: str = Field(min_length=1)
    definition: str = Field(min_length=1)
    phrases: tuple[_Phrase, ...] = Field(min_length=1)
    exclude: tuple[_Phrase, ...] = ()
    hcahps: tuple[HcahpsDomain, ...] = ()

    @field_validator("slug")
    @classmethod
    def _well_formed(cls, value: str) -> str:
        if value in RESERVED_SLUGS:
            raise ValueError("is reserved for the counts of every mention and of untagged ones; choose another")
        if not _SLUG.fullmatch(value):
            raise ValueError('use lower-case letters, digits and single hyphens, such as "waiting-times"')
        return value

    @field_validator("phrases", "exclude")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if twice := _first_repeated(normalize(phrase) for phrase in value):
            raise ValueError(f"{twice!r} stands in it twice; take one out")
        return value


class _TaxonomyTable(Section):
    """The whole file."""

    version: str = Field(min_length=1)
    topics: tuple[_TopicTable, ...] = Field(min_length=1)

    @field_validator("topics")
    @classmethod
    def _unique(cls, value: tuple[_TopicTable, ...]) -> tuple[_TopicTable, ...]:
        if twice := _first_repeated(topic.slug for topic in value):
            raise ValueError(f"two topics have the slug {twice!r}; each needs its own")
        return value


def _first_repeated(words: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for word in words:
        if word in seen:
            return word
        seen.add(word)
    return None


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The topics a mention can have, under one ``version`` that the store keeps beside what it tagged."""

    version: str
    topics: tuple[Topic, ...]

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read the taxonomy file ``path``, or the shipped one.

        Raises ``ConfigError`` naming the file, the key, its value and the fix.
        """
        file = path or config_file("topics.toml")
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(f"no taxonomy at {file}: correct topics.file, or leave it out") from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file} cannot be read: {error}") from error
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{file} is not valid TOML: {error}") from error
        table = parse(_TaxonomyTable, document, origin=str(file))
        return cls(table.version, tuple(Topic(**topic.model_dump()) for topic in table.topics))

    @property
    def slugs(self) -> tuple[str, ...]:
        """The slugs of the topics, in the file's order."""
        return tuple(topic.slug for topic in self.topics)


class _Rule(NamedTuple):
    """Where a pattern comes from: the phrase at ``phrase`` of the topic at ``topic``, or one that excludes."""

    topic: int
    phrase: int
    pattern: Pattern
    excludes: bool


class TopicMatcher:
    """Finds the topics of a text, all phrases of a taxonomy in one pass over it.

    An Aho-Corasick automaton finds the fixed beginning of every phrase; where one stands at the beginning of
    a word, the rest of the phrase is checked there. Time grows with the length of the text and the number of
    matches in it. Safe to share between threads.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._topics = taxonomy.topics
        rules: defaultdict[str, list[_Rule]] = defaultdict(list)
        for number, topic in enumerate(taxonomy.topics):
            for excludes, phrases in ((False, topic.phrases), (True, topic.exclude)):
                for index, phrase in enumerate(phrases):
                    for pattern in compile_phrase(phrase):
                        rules[pattern.literal].append(_Rule(number, index, pattern, excludes))
        self._rules = list(rules.values())
        self._starts_word = [is_word(literal[0]) for literal in rules]
        self._automaton = AhoCorasick(rules)

    def match(self, text: str) -> tuple[TopicHit, ...]:
        """Return the topics of ``text`` sorted by slug, each with its phrases in the taxonomy's order."""
        text = normalize(text)
        spans: defaultdict[int, defaultdict[int, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        excluded: defaultdict[int, bytearray] = defaultdict(lambda: bytearray(len(text)))
        for literal, start, _ in self._automaton.find_matches_as_indexes(text, overlapping=True):
            if start and self._starts_word[literal] and is_word(text[start - 1]):
                continue
            for topic, phrase, pattern, excludes in self._rules[literal]:
                end = pattern.end(text, start)
                if end is None:
                    continue
                if excludes:
                    excluded[topic][start:end] = b"\1" * (end - start)
                else:
                    spans[topic][phrase].append((start, end))
        for topic, mask in excluded.items():
            spans[topic] = _outside(mask, spans[topic])
        hits = [self._hit(topic, sorted(phrases)) for topic, phrases in spans.items() if phrases]
        return tuple(sorted(hits, key=lambda hit: hit.slug))

    def _hit(self, topic: int, phrases: list[int]) -> TopicHit:
        found = self._topics[topic]
        return TopicHit(found.slug, 1.0, Source.RULE, tuple(found.phrases[phrase] for phrase in phrases))


def _outside(
    mask: bytearray, phrases: defaultdict[int, list[tuple[int, int]]]
) -> defaultdict[int, list[tuple[int, int]]]:
    kept = {
        phrase: spans for phrase, spans in phrases.items() if any(1 not in mask[start:end] for start, end in spans)
    }
    return defaultdict(list, kept)
