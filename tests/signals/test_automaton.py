"""The automaton finds what the phrases' variants find, each written out as a plain expression."""

from __future__ import annotations

import csv
import itertools
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from listener.signals.automaton import PhraseAutomaton
from listener.signals.phrases import PhraseError, compile_phrase, normalize, parse_phrase
from listener.signals.taxonomy import LANGUAGES, Language, Taxonomy
from listener.signals.topics import TopicMatcher

# --- the oracle: every variant of a phrase as an expression of its own

GAP = r"[^\w.!?]++(?:\w++(?:[.,:']\w++)*(?![.,:']\w)[^\w.!?]++){0,4}?"


def variants(phrase: str) -> list[str]:
    pieces = re.split(r"\(([^()]*)\)", normalize(phrase))
    choices = [piece.split("|") if at % 2 else [piece] for at, piece in enumerate(pieces)]
    written = [" ".join("".join(parts).split()) for parts in itertools.product(*choices)]
    return list(dict.fromkeys([*written, *(" ".join(one.replace("'", "").split()) for one in written)]))


def expression(variant: str) -> str:
    parts = []
    for piece in re.split(r"( \.\.\. )", variant):
        if piece == " ... ":
            parts.append(GAP)
            continue
        begins = r"(?<!\w)" if re.match(r"\w", piece) else ""
        ends = r"(?!\w)" if re.search(r"\w$", piece) else ""
        stars = re.escape(piece).replace(r"\*", r"\w*+")
        parts.append(begins + stars + ends)
    return "".join(parts)


def found_plainly(phrases: list[str], text: str) -> set[int]:
    text = normalize(text)
    return {
        number
        for number, phrase in enumerate(phrases)
        if any(re.search(expression(variant), text) for variant in variants(phrase))
    }


def is_phrase(phrase: str) -> bool:
    try:
        parse_phrase(phrase)
    except PhraseError:
        return False
    return True


# --- any phrases, any texts

WORDS = ["a", "b", "ab", "abc", "were", "we're", "didn't", "\u00e9t\u00e9", "l'eau", "2.5", "a&b", "x_y", "abc"]
EDGED = ["$", "&", "c++", "!", "?", "'s", ":)", "\U0001f64f", ".5", "..", "d'"]
STARRED = ["abc*", "wer*", "\u00e9t\u00e9*", "l'e*", "we're*", "a&b*"]

plain = st.sampled_from(WORDS)
word = st.one_of(plain, plain, plain, st.sampled_from(STARRED), st.sampled_from(EDGED))
alternative = st.one_of(
    st.just(""),
    word,
    plain.map(lambda one: one + " "),
    plain.map(lambda one: " " + one),
    st.tuples(word, word).map(" ".join),
    st.tuples(plain, plain).map(" ... ".join),
)
bracket = st.lists(alternative, min_size=1, max_size=3).map(lambda those: f"({'|'.join(those)})")
segment = st.one_of(
    word,
    word,
    st.just("..."),
    bracket,
    st.tuples(bracket, bracket, plain).map("".join),
    st.tuples(plain, bracket).map("".join),
    st.tuples(st.sampled_from(["s", "\u00e9"]), bracket, st.sampled_from(["", "r", "*"])).map("".join),
)
phrase = st.lists(segment, min_size=1, max_size=4).map(" ".join).filter(is_phrase)

BETWEEN = [" "] * 8
BETWEEN += [", ", ". ", ".", ",", "'", "\u2019", ":", "! ", "?", " & ", "&", " (", "-", "++ ", " $", "...", " : "]


@st.composite
def phrases_and_text(draw: st.DrawFn) -> tuple[list[str], str]:
    phrases = draw(st.lists(phrase, min_size=1, max_size=6, unique=True))
    known = [one for each in phrases for variant in variants(each) for one in variant.split() if one != "..."]
    words = st.one_of(st.sampled_from(known), st.sampled_from(known), st.sampled_from(["zz", *WORDS]))
    text = ""
    for one in draw(st.lists(words, max_size=24)):
        ending = draw(st.sampled_from(["", "s", "ing"])) if one.endswith("*") else ""
        text += one.removesuffix("*") + ending + draw(st.sampled_from(BETWEEN))
    return phrases, text


@pytest.mark.no_cover
@pytest.mark.timeout(400)
@settings(max_examples=400, deadline=None)
@given(phrases_and_text())
def test_it_finds_what_the_variants_find_written_out(given: tuple[list[str], str]) -> None:
    phrases, text = given
    assert PhraseAutomaton(phrases).find(normalize(text)) == found_plainly(phrases, text)


@pytest.mark.no_cover
@settings(max_examples=300, deadline=None)
@given(phrases_and_text())
@example((["a ... abc*"], "a a a a. abc "))
def test_a_match_begins_where_it_is_told(given: tuple[list[str], str]) -> None:
    phrases, text = given
    text = normalize(text)
    automaton = PhraseAutomaton(phrases)
    starts = automaton.starts(text, set(range(len(phrases))))
    for number, one in enumerate(phrases):
        all_variants = [re.compile(expression(variant)) for variant in variants(one)]
        expected = {at for at in range(len(text)) if any(variant.match(text, at) for variant in all_variants)}
        told = {at for places in starts.get(number, []) for at in places}
        assert expected <= told
        assert bool(expected) == bool(told)


@pytest.mark.no_cover
@settings(max_examples=200, deadline=None)
@given(phrases_and_text(), st.integers(0, 30))
def test_what_is_forgotten_is_worked_out_anew(given: tuple[list[str], str], remembered: int) -> None:
    phrases, text = given
    text = normalize(" ".join([text] * 40))
    forgetful = PhraseAutomaton(phrases, remembered=remembered)
    assert forgetful.find(text) == forgetful.find(text) == PhraseAutomaton(phrases).find(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(segment, max_size=4).map(" ".join))
def test_a_phrase_is_refused_as_its_variants_are(phrase: str) -> None:
    errors = []
    for check in (parse_phrase, compile_phrase):
        try:
            check(phrase)
        except PhraseError as error:
            errors.append(str(error))
    assert len(errors) in (0, 2)
    assert len(set(errors)) <= 1


# --- the shipped phrases, what people write


class Oracle:
    """Every variant of a language's phrases, looked for where a word stands that it may begin with."""

    def __init__(self, taxonomy: Taxonomy, language: Language) -> None:
        self.by_first: defaultdict[str, list[tuple[str, list[str], str, str]]] = defaultdict(list)
        self.edged: list[tuple[str, list[str], str, str]] = []
        self.excludes: set[tuple[str, str]] = set()
        for topic in taxonomy.topics:
            exclude = topic.exclude_in(language)
            self.excludes.update((topic.slug, f"-{one}") for one in exclude)
            for name, one in [(one, one) for one in topic.phrases_in(language)] + [(f"-{x}", x) for x in exclude]:
                for variant in variants(one):
                    words = re.split(r"\*? \.\.\. |\*(?: |$)", variant)
                    first = re.match(r"\w+\*?", variant)
                    known = self.by_first[first[0]] if first else self.edged
                    known.append((topic.slug, words[::-1], variant, name))

    def match(self, text: str) -> list[tuple[str, set[str]]]:
        text = normalize(text)
        spans: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for slug, variant, name in self._candidates(text):
            compiled = re.compile(expression(variant))
            # A trailing star keeps no more than the stem from other phrases.
            stem = re.compile(expression(variant).removesuffix(r"\w*+"))
            last_starred = variant.endswith("*") and "..." not in variant and "*" not in variant[:-1]
            for at in range(len(text)):
                if match := (stem if last_starred else compiled).match(text, at):
                    spans[slug, name].append(match.span())
        void: defaultdict[str, set[int]] = defaultdict(set)
        for slug, name in self.excludes & spans.keys():
            void[slug].update(at for start, end in spans[slug, name] for at in range(start, end))
        found: defaultdict[str, set[str]] = defaultdict(set)
        for slug, name in spans.keys() - self.excludes:
            if any(void[slug].isdisjoint(range(start, end)) for start, end in spans[slug, name]):
                found[slug].add(name)
        return sorted(found.items())

    def _candidates(self, text: str) -> Iterator[tuple[str, str, str]]:
        whole = set(re.findall(r"\w+", text))
        begins = whole | {f"{each[:length]}*" for each in whole for length in range(1, len(each) + 1)}
        for known in [self.edged, *(self.by_first[begin] for begin in begins if begin in self.by_first)]:
            for slug, words, variant, name in known:
                if all(each in text for each in words) and re.search(expression(variant), text):
                    yield slug, variant, name


@pytest.mark.no_cover
@pytest.mark.timeout(400)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_shipped_phrases_find_what_they_find_written_out(shipped: Taxonomy, language: Language) -> None:
    file = Path(__file__).parents[1] / "data" / f"mentions_{language}.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        texts = [row["text"] for row in csv.DictReader(lines)]
    matcher, oracle = TopicMatcher(shipped, language), Oracle(shipped, language)
    assert len(texts) > 500
    # From all over the file: written out, the phrases take their time.
    for text in texts[:: -(-len(texts) // 1_500)]:
        assert [(hit.slug, set(hit.phrases)) for hit in matcher.match(text)] == oracle.match(text), text


# --- many threads, hostile texts


@pytest.mark.no_cover
def test_threads_share_it() -> None:
    phrases = [" ... ".join(letters) for letters in itertools.product("abc", repeat=3)]
    chance = random.Random(7)
    texts = [" ".join(chance.choices("abcxyz", k=60)) for _ in range(60)]
    automaton = PhraseAutomaton(phrases, remembered=2_000)
    expected = [PhraseAutomaton(phrases).find(text) for text in texts]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(automaton.find, texts * 4)) == expected * 4


GAPS = [" ... ".join(letters) for letters in itertools.product("abc", repeat=3)]


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("phrases", "units"),
    [
        (GAPS, ["a ", "b ", "c ", "x, "]),
        (GAPS, ["a ", "b,", "c'", "x.", "y: "]),
        ([" ... ".join("a" * count) for count in range(2, 9)], ["a "]),
        (["a ... b", "a.b ... c"], ["a.", "b,", "c'"]),
        (["$ ... b", "! b", "?", "&& a"], ["a$", "!?", "&& ", "b."]),
        ([f"wait* ... {letter}" for letter in "abcdefgh"], ["wait", "waits ", "waited, ", "a ", "x "]),
    ],
)
def test_a_hostile_text_takes_neither_time_nor_memory(phrases: list[str], units: list[str]) -> None:
    text = normalize("".join(random.Random(3).choices(units, k=100_000)))
    automaton = PhraseAutomaton(phrases)
    begun = time.process_time()
    found = automaton.find(text)
    automaton.starts(text, found)
    assert time.process_time() - begun < 40
    assert automaton._memory.cost < 800_000


def test_words_without_end_are_forgotten() -> None:
    automaton = PhraseAutomaton(["wait* ... b"])
    automaton.find(" ".join(f"wait{number}!?" for number in range(70_000)))
    assert len(automaton._chunks) <= 30_000
