"""Topics by transparent rules: which topics of a taxonomy a text has, and the phrases that tell them.

A mention has none, one or several topics, each with the phrases that matched, so that a person can see why. What
the topics are is told in :mod:`listener.signals.taxonomy`, how phrases are written in
:mod:`listener.signals.phrases`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

from listener.mention import Source
from listener.signals.automaton import PhraseAutomaton
from listener.signals.phrases import compile_phrase, is_word, normalize
from listener.signals.taxonomy import LANGUAGES, Language, Taxonomy, Topic

# Taxonomy is here for those who still look for it where it was.
__all__ = ["Taxonomy", "TopicHit", "TopicMatcher", "redundancies"]


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


_MOST_HITS = 10_000
"""What the same phrases mean is worked out once, and shared."""


class TopicMatcher:
    """Finds the topics of a text, all of a taxonomy's phrases of one language in one pass over it.

    A :class:`~listener.signals.automaton.PhraseAutomaton` tells which phrases stand in the text. Where they stand
    is asked only of a topic that an ``exclude`` phrase was found of. Time grows with the length of the text and
    the number of matches in it. Safe to share between threads.
    """

    def __init__(self, taxonomy: Taxonomy, language: Language = "en") -> None:
        self._topics = sorted(taxonomy.topics, key=lambda topic: topic.slug)
        self._phrases: list[str] = []
        self._topic_of: list[int] = []
        self._excludes: set[int] = set()
        for number, topic in enumerate(self._topics):
            phrases, exclude = topic.phrases_in(language), topic.exclude_in(language)
            self._phrases += (*phrases, *exclude)
            self._topic_of += [number] * (len(phrases) + len(exclude))
            self._excludes.update(range(len(self._phrases) - len(exclude), len(self._phrases)))
        self._automaton = PhraseAutomaton(self._phrases)
        self._written: dict[int, _Written] = {}
        self._hits: dict[tuple[int, ...], tuple[TopicHit, ...]] = {}

    def match(self, text: str) -> tuple[TopicHit, ...]:
        """Return the topics of ``text`` sorted by slug, each with its phrases in the taxonomy's order."""
        text = normalize(text)
        found = self._automaton.find(text)
        if not found:
            return ()
        if not found.isdisjoint(self._excludes):
            found = self._standing(text, found)
        numbers = tuple(sorted(found))
        hits = self._hits.get(numbers)
        if hits is None:
            if len(self._hits) >= _MOST_HITS:
                self._hits.clear()
            hits = self._hits[numbers] = tuple(self._hits_of(numbers))
        return hits

    def _hits_of(self, numbers: tuple[int, ...]) -> Iterator[TopicHit]:
        for topic, phrases in groupby(numbers, key=self._topic_of.__getitem__):
            written = tuple(self._phrases[phrase] for phrase in phrases)
            yield TopicHit(self._topics[topic].slug, 1.0, Source.RULE, written)

    def _standing(self, text: str, found: set[int]) -> set[int]:
        """Return the phrases found that have a match which no exclusion of their topic overlaps."""
        excludes = found & self._excludes
        phrases = found - excludes
        excluded = {self._topic_of[number] for number in excludes}
        doubtful = {number for number in phrases if self._topic_of[number] in excluded}
        if not doubtful:
            return phrases
        spoilt = {self._topic_of[number] for number in doubtful}
        excludes = {number for number in excludes if self._topic_of[number] in spoilt}
        starts = self._automaton.starts(text, doubtful | excludes)
        void = {topic: bytearray(len(text)) for topic in spoilt}
        for number in excludes:
            mask = void[self._topic_of[number]]
            for start, end in self._spans(number, text, starts[number]):
                mask[start:end] = b"\1" * (end - start)
        return phrases - {
            number
            for number in doubtful
            if all(
                1 in void[self._topic_of[number]][start:end]
                for start, end in self._spans(number, text, starts[number])
            )
        }

    def _spans(self, number: int, text: str, starts: Iterable[range]) -> Iterator[tuple[int, int]]:
        written = self._written.get(number)
        if written is None:
            written = self._written[number] = _Written(self._phrases[number])
        return ((start, end) for places in starts for start in places for end in written.ends(text, start))


class _Written:
    """A phrase with every variant written out: where a match of it ends."""

    def __init__(self, phrase: str) -> None:
        self._literals: defaultdict[int, dict[str, bool]] = defaultdict(dict)
        self._expressions: list[tuple[str, str]] = []
        for literal, open_end, rest in compile_phrase(phrase):
            if rest is not None:
                self._expressions.append((literal, rest))
            elif open_end or literal not in self._literals[len(literal)]:
                self._literals[len(literal)][literal] = open_end

    def ends(self, text: str, start: int) -> Iterator[int]:
        """Yield where the matches that begin at ``start`` end; ``start`` is within no word, but one may begin."""
        for length, literals in self._literals.items():
            end = start + length
            open_end = literals.get(text[start:end])
            if open_end is not None and (open_end or end == len(text) or not is_word(text[end])):
                yield end
        for literal, rest in self._expressions:
            if text.startswith(literal, start) and (match := _compiled(rest).match(text, start)):
                yield match.end()


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


_ANY_LETTER = "\u4e00"
"""Goes on with a word as no phrase does: what matches with it behind matches however the word goes on."""


def redundancies(taxonomy: Taxonomy) -> Iterator[str]:
    """Yield a line for each phrase that stands in several topics, or that a starred one of its topic covers.

    Neither is wrong. Of a taxonomy that builds upon ours only what its own phrases bring about is told. A phrase
    with a gap or a star within is looked at up to there: what covers no more than its end is not told.
    """
    for language in LANGUAGES:
        yield from _shared(taxonomy, language)
        for topic in taxonomy.topics:
            yield from _covered(topic, language, own_only=taxonomy.base is not None)


def _shared(taxonomy: Taxonomy, language: Language) -> Iterator[str]:
    homes: defaultdict[str, list[Topic]] = defaultdict(list)
    for topic in taxonomy.topics:
        for phrase in topic.phrases_in(language):
            homes[normalize(phrase)].append(topic)
    for phrase, topics in homes.items():
        is_told = taxonomy.base is None or any(phrase in topic.own_phrases for topic in topics)
        if len(topics) > 1 and is_told:
            yield f"{phrase!r} stands in several topics: {', '.join(topic.slug for topic in topics)}"


def _covered(topic: Topic, language: Language, *, own_only: bool) -> Iterator[str]:
    phrases = topic.phrases_in(language)
    starred = tuple(phrase for phrase in phrases if "*" in phrase)
    only = replace(topic, phrases=starred, exclude=())
    matcher = TopicMatcher(Taxonomy("", (only,)))
    for phrase in phrases:
        covering = _covering(matcher, phrase)
        if covering and (not own_only or topic.own_phrases & set(map(normalize, (phrase, *covering)))):
            yield f"{phrase!r} of {topic.slug} is covered by {', '.join(map(repr, covering))} already"


def _covering(matcher: TopicMatcher, phrase: str) -> tuple[str, ...]:
    """Return the other phrases of ``matcher`` that match all that ``phrase`` matches, together if need be."""
    found: dict[str, None] = {}
    for pattern in compile_phrase(phrase):
        text = pattern.literal + (_ANY_LETTER if pattern.open_end or pattern.rest else "")
        others = [other for hit in matcher.match(text) for other in hit.phrases if other != phrase]
        if not others:
            return ()
        found.update(dict.fromkeys(others))
    return tuple(found)
