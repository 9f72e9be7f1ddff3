"""From a text to numbers of a vocabulary: the whole holds its clauses, and what is remembered changes nothing."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.signals import features
from listener.signals.featurizer import Features, Featurizer

LEXICON = {"kind": 2, "good": 3, "bad": -3, "dirty": -2}
NAMES = [
    *("kind", "nurses", "dirty", "room", "kind nurses", "not:kind", "tone:+2", "tone:-2", "tone:not:+2"),
    *("tone:last:-2", "end:room", "~kin", "~nurs", "cue:question", "cue:first-person", "cue:length-4", "?"),
]
VOCABULARY = {name: number for number, name in enumerate(NAMES)}

SOME_WORDS = st.lists(
    st.sampled_from(["kind", "Nurses", "nurses", "dirty", "room", "not", "but", "?", ".", "I", "was", "\n", "so"]),
    max_size=20,
).map(" ".join)
ANY_TEXT = SOME_WORDS | st.text(st.characters())

Pieces = tuple[int, ...]


def featurizer() -> Featurizer[Pieces]:
    return Featurizer(VOCABULARY.get, LEXICON, tuple)


def names(text: Features[Pieces]) -> set[str]:
    return {NAMES[number] for number in (*text.numbers, *(piece for word in text.words for piece in word))}


def every_name(text: str) -> list[str]:
    """All features of a text but the pieces."""
    vocabulary: defaultdict[str, int] = defaultdict()
    vocabulary.default_factory = vocabulary.__len__
    found = Featurizer(vocabulary.__getitem__, LEXICON, tuple).read(text).whole.numbers
    every = list(vocabulary)
    return [every[number] for number in found]


def beginning(prefix: str, text: str) -> list[str]:
    return [name.removeprefix(prefix) for name in every_name(text) if name.startswith(prefix)]


# --- clauses


def test_a_text_is_read_whole_and_clause_by_clause() -> None:
    reading = featurizer().read("I had kind nurses, but quite a dirty room")
    first, second = reading.clauses
    about_the_whole = {"cue:first-person", "cue:length-4"}
    assert names(first) == {"kind", "nurses", "kind nurses", "tone:+2", "~kin", "~nurs"} | about_the_whole
    assert names(second) == {"dirty", "room", "tone:-2", "tone:last:-2", "end:room"} | about_the_whole
    assert names(reading.whole) == names(first) | names(second)


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("kind nurses, but nine hours of waiting", 2),
        ("de gentilles infirmi\u00e8res mais neuf heures d'attente", 2),
        ("they were kind but the food was cold however the bed was clean", 3),
        ("They were kind. The food was cold", 2),
        # Too little stands before the turn, or behind it.
        ("all but one of the nurses", 1),
        ("they were all kind but slow", 1),
        ("they were kind but the food was cold but fine", 2),
        ("no turn here at all", 1),
        ("", 1),
    ],
)
def test_a_text_is_parted_where_it_ends_or_turns(text: str, clauses: int) -> None:
    assert len(featurizer().read(text).clauses) == clauses


def test_each_clause_has_an_end_of_its_own_that_the_whole_has_not() -> None:
    reading = featurizer().read("I saw the room. Then came kind nurses")
    first, _ = reading.clauses
    assert "end:room" in names(first)
    assert "end:room" not in names(reading.whole)


def test_the_clause_of_a_text_that_has_one_only_is_the_text() -> None:
    reading = featurizer().read("I saw kind nurses")
    assert reading.clauses == (reading.whole,)


# --- parts


def test_a_short_text_is_its_only_part() -> None:
    reading = featurizer().read("They were kind. The food was cold")
    assert (reading.texts, reading.parts) == (("They were kind. The food was cold",), (reading.whole,))


def test_each_part_of_a_long_text_is_read_as_a_text_of_its_own() -> None:
    filler = "word " * 45
    texts = (f"I had kind nurses. {filler}?", f"They were good. {filler}!", "The dirty room")
    reader = featurizer()
    reading = reader.read(" ".join(texts))
    assert reading.texts == texts
    assert reading.parts == tuple(reader.read(text).whole for text in texts)
    assert len(reading.clauses) == 5
    # An end is the last only.
    ends = ("end:", "tone:last:", "cue:length-")
    inside = {name for part in reading.parts for name in names(part) if not name.startswith(ends)}
    assert inside == {name for name in names(reading.whole) if not name.startswith(ends)}
    assert {name for name in names(reading.whole) if name.startswith("end:")} == {"end:room"}


# --- what tokens give together


@pytest.mark.parametrize(
    ("text", "in_reach"),
    [
        ("not good", ["good"]),
        ("not a very good day", ["a", "very", "good"]),
        ("never. good", []),
        ("not clean, good", ["clean", ","]),
        ("not bad but good", ["bad", "but"]),
        ("didn't feel good", ["feel", "good"]),
        ("didnt feel good", ["feel", "good"]),
        ("pas de bons soins ici", ["de", "bons", "soins"]),
        ("personne ne m'a aid\u00e9", ["ne", "m'a", "aid\u00e9"]),
        ("nobody never told us anything at all", ["never", "told", "us", "anything"]),
        ("They were not. Kind nurses?", ["."]),
        ("good", []),
        ("good not", []),
    ],
)
def test_a_negation_reaches_three_words_or_to_the_end_of_its_clause(text: str, in_reach: list[str]) -> None:
    signs = {",", ".", "but"}
    assert [word for word in beginning("not:", text) if word not in signs] == [
        word for word in in_reach if word not in signs
    ]


def test_words_give_themselves_pairs_and_tones() -> None:
    found = every_name("not good, bad")
    assert [name for name in found if not name.startswith(("cue:", "end:"))] == [
        *("not", "good", "tone:+3", "not good", "not:good", "tone:not:+3"),
        *(",", "good ,", "bad", "tone:-3", ", bad", "tone:last:-3"),
    ]


@pytest.mark.parametrize(
    ("text", "end", "tone"),
    [
        ("the nurses were good", ["nurses", "were", "good"], ["+3"]),
        ("bad then good then nothing more here", ["nothing", "more", "here"], ["+3"]),
        ("dirty", ["dirty"], ["-2"]),
        ("fine", ["fine"], []),
        ("", [], []),
    ],
)
def test_the_end_of_a_text_is_read_as_such(text: str, end: list[str], tone: list[str]) -> None:
    assert beginning("end:", text) == end
    assert beginning("tone:last:", text) == tone


@given(st.lists(st.sampled_from(["not", "good", "bad", ",", "but", "never", "waiting"]), max_size=12))
def test_a_tone_is_negated_exactly_where_its_word_is(tokens: list[str]) -> None:
    text = " ".join(tokens)
    negated = {f"{LEXICON[word]:+d}" for word in beginning("not:", text) if word in LEXICON}
    assert set(beginning("tone:not:", text)) == negated
    for first, second in itertools.pairwise(tokens):
        # A pair may be parted by a turn.
        assert f"{first} {second}" in every_name(text) or second == "but"


def test_a_word_written_twice_counts_once_however_it_is_written() -> None:
    reading = featurizer().read("Nurses nurses NURSES").whole
    assert reading.words == (tuple(VOCABULARY[piece] for piece in features.pieces("nurses") if piece in NAMES),)


# --- what a text is like


@pytest.mark.parametrize(
    ("text", "there", "missing"),
    [
        ("My mum waited", ["first-person", "kin"], ["question"]),
        ("Her mum waited", [], ["first-person", "kin"]),
        ("J'ai attendu avec mon p\u00e8re", ["first-person", "kin"], []),
        ("Is it open? I think so", ["question", "first-person"], ["ends-asking"]),
        ("Is it open? ", ["question", "ends-asking"], []),
        ("$5, \u20ac5 or \u00a35!", ["money", "exclamation"], ["hashtag"]),
        ("#nurses", ["hashtag"], []),
        ("see https://example.org", ["link"], ["handle"]),
        ("hey @jane", ["handle"], ["link"]),
        ("we are in the ER", [], ["capitals", "shouted"]),
        ("NEVER again", ["capitals"], ["shouted"]),
        ("NEVER GOING THERE AGAIN", ["shouted"], ["capitals"]),
        ("Hospital Board Approves New Emergency Wing", ["headline"], []),
        ("Hospital Board Approves", [], ["headline"]),
        ("The hospital board approves a new emergency wing", [], ["headline"]),
    ],
)
def test_cues(text: str, there: list[str], missing: list[str]) -> None:
    found = set(beginning("cue:", text))
    assert found >= set(there)
    assert not found & set(missing)


@pytest.mark.parametrize(
    ("count", "length"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (127, 7), (128, 8), (3_000, 8)]
)
def test_a_length_is_told_roughly(count: int, length: int) -> None:
    assert beginning("cue:", "word " * count) == [f"length-{length}"]


# --- any text


def test_a_text_of_which_nothing_is_known_has_no_features() -> None:
    for text in ("", " ", "123", "\n\n"):
        reading = featurizer().read(text)
        assert (reading.whole, reading.clauses) == (Features((), ()), (Features((), ()),))


@given(ANY_TEXT)
def test_any_text_is_read_and_twice_the_same(text: str) -> None:
    reader = featurizer()
    reading = reader.read(text)
    # With their order, which is the order in which weights are added up.
    assert reading == reader.read(text) == featurizer().read(text)
    assert reading.clauses
    whole = names(reading.whole)
    beyond = set().union(*map(names, reading.clauses)) - whole
    assert all(name.startswith(("end:", "tone:last:")) for name in beyond)
    assert len(set(reading.whole.numbers)) == len(reading.whole.numbers)
    assert len(reading.texts) == len(reading.parts)


@given(ANY_TEXT, ANY_TEXT)
def test_what_was_read_before_changes_nothing(first: str, second: str) -> None:
    reader = featurizer()
    reader.read(first)
    assert reader.read(second) == featurizer().read(second)


def test_more_words_than_are_remembered_change_nothing() -> None:
    reader = featurizer()
    before = reader.read("I had kind nurses, but quite a dirty room")
    letters = "abcdefghij"
    words = ["".join(letters[int(digit)] for digit in f"{number:05}") for number in range(41_000)]
    for start in range(0, len(words), 3_000):
        reader.read(" ".join(words[start : start + 3_000]))
    assert reader.read("I had kind nurses, but quite a dirty room") == before


def test_a_word_too_long_to_be_remembered_is_read_all_the_same() -> None:
    reader = featurizer()
    text = f"kind {'x' * 50} nurses {'x' * 50}"
    assert reader.read(text) == reader.read(text)
    assert len(reader.read(text).whole.words) == 3


def test_a_run_of_python_reads_as_another() -> None:
    """Sets of words are in another order in each run; what is read must not be."""
    script = (
        "from listener.signals.featurizer import Featurizer\n"
        "from listener.signals import features\n"
        "text = 'I had kind nurses, but quite a dirty room. Nobody told my mother? ' * 3\n"
        "names = [*features.pieces('mother'), *features.pieces('nurses')]\n"
        "names += ['my mother', 'not:told', 'end:?', 'my', 'kind', 'dirty', 'room']\n"
        "numbers = {name: number * 37 for number, name in enumerate(names)}\n"
        "reading = Featurizer(numbers.get, {}, tuple).read(text)\n"
        "print(reading.whole, reading.clauses)\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert told.pop().count(",") > 50


def test_the_features_of_a_word_are_its_own_and_those_of_its_pieces() -> None:
    found = featurizer().read("Nurses").whole
    assert names(found) == {"nurses", *features.pieces("nurses")} & set(NAMES)
