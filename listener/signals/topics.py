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
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self, get_args

from ahocorasick_rs import AhoCorasick, Implementation
from pydantic import AfterValidator, Field, field_validator

from listener.errors import ConfigError
from listener.mention import Source
from listener.resources import config_file
from listener.settings import Section, parse
from listener.signals.phrases import PhraseError, compile_phrase, is_word, normalize

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
    """What a pattern says where it matches: the phrase with this number, or that a topic's matches are void.

    ``open_end`` and ``rest`` are the pattern's (:class:`~listener.signals.phrases.Pattern`).
    """

    open_end: bool
    rest: re.Pattern[str] | None
    phrase: int
    topic: int
    excludes: bool


class TopicMatcher:
    """Finds the topics of a text, all phrases of a taxonomy in one pass over it.

    An Aho-Corasick automaton finds the fixed beginning of every phrase; where one stands at the beginning of
    a word, the rest of the phrase is checked there. Time grows with the length of the text and the number of
    matches in it. Safe to share between threads.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._topics = sorted(taxonomy.topics, key=lambda topic: topic.slug)
        self._phrases: list[str] = []
        self._topic_of: list[int] = []
        rules: defaultdict[str, list[_Rule]] = defaultdict(list)
        for number, topic in enumerate(self._topics):
            for excludes, phrases in ((False, topic.phrases), (True, topic.exclude)):
                for phrase in phrases:
                    for pattern in compile_phrase(phrase):
                        rule = _Rule(pattern.open_end, pattern.rest, len(self._phrases), number, excludes)
                        rules[pattern.literal].append(rule)
                    self._phrases.append(phrase)
                    self._topic_of.append(number)
        self._rules = list(rules.values())
        self._starts_word = [is_word(literal[0]) for literal in rules]
        self._automaton = AhoCorasick(rules, implementation=Implementation.DFA)

    def match(self, text: str) -> tuple[TopicHit, ...]:
        """Return the topics of ``text`` sorted by slug, each with its phrases in the taxonomy's order."""
        text = normalize(text)
        found: dict[int, list[tuple[int, int]]] = {}
        void: dict[int, bytearray] = {}
        for literal, start, stop in self._automaton.find_matches_as_indexes(text, overlapping=True):
            if start and self._starts_word[literal] and is_word(text[start - 1]):
                continue
            word_ends = stop == len(text) or not is_word(text[stop])
            for open_end, rest, phrase, topic, excludes in self._rules[literal]:
                if rest is None:
                    end = stop if word_ends or open_end else 0
                else:
                    match = rest.match(text, start)
                    end = match.end() if match else 0
                if not end:
                    continue
                if excludes:
                    void.setdefault(topic, bytearray(len(text)))[start:end] = b"\1" * (end - start)
                else:
                    found.setdefault(phrase, []).append((start, end))
        kept = (phrase for phrase in sorted(found) if not self._is_void(phrase, found[phrase], void))
        return tuple(
            TopicHit(
                self._topics[topic].slug, 1.0, Source.RULE, tuple(self._phrases[phrase] for phrase in phrases)
            )
            for topic, phrases in groupby(kept, key=self._topic_of.__getitem__)
        )

    def _is_void(self, phrase: int, spans: list[tuple[int, int]], void: dict[int, bytearray]) -> bool:
        mask = void.get(self._topic_of[phrase])
        return mask is not None and all(1 in mask[start:end] for start, end in spans)
