"""From a text to numbers of a vocabulary: the whole holds its clauses, and what is remembered changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from listener.signals import features
from listener.signals.featurizer import Featurizer

LEXICON = {"kind": 2, "dirty": -2}
NAMES = [
    *("kind", "nurses", "dirty", "room", "kind nurses", "not:kind", "tone:+2", "tone:-2", "tone:not:+2"),
    *("tone:last:-2", "end:room", "~kin", "~nurs", "cue:question", "cue:first-person", "cue:length-4", "?"),
]
VOCABULARY = {name: number for number, name in enumerate(NAMES)}

SOME_WORDS = st.lists(
    st.sampled_from(["kind", "nurses", "dirty", "room", "not", "but", "?", ".", "I", "was", "\n", "so"]),
    max_size=20,
).map(" ".join)
ANY_TEXT = SOME_WORDS | st.text(st.characters())


def featurizer() -> Featurizer:
    return Featurizer(VOCABULARY, LEXICON)


def names(numbers: frozenset[int]) -> set[str]:
    return {NAMES[number] for number in numbers}


def test_a_text_is_read_whole_and_clause_by_clause() -> None:
    reading = featurizer().read("I had kind nurses, but quite a dirty room")
    first, second = reading.clauses
    about_the_whole = {"cue:first-person", "cue:length-4"}
    assert names(first) == {"kind", "nurses", "kind nurses", "tone:+2", "~kin", "~nurs"} | about_the_whole
    assert names(second) == {"dirty", "room", "tone:-2", "tone:last:-2", "end:room"} | about_the_whole
    assert reading.whole == first | second


def test_each_clause_has_an_end_of_its_own_that_the_whole_has_not() -> None:
    reading = featurizer().read("I saw the room. Then came kind nurses")
    first, _ = reading.clauses
    assert "end:room" in names(first)
    assert "end:room" not in names(reading.whole)


def test_the_clause_of_a_text_that_has_one_only_is_the_text() -> None:
    reading = featurizer().read("I saw kind nurses")
    assert reading.clauses == (reading.whole,)


def test_a_negation_ends_with_its_sentence() -> None:
    reading = featurizer().read("They were not. Kind nurses?")
    assert "not:kind" not in names(reading.whole)
    assert {"kind nurses", "cue:question", "?"} <= names(reading.whole)
    assert len(reading.clauses) == 2


def test_a_text_of_which_nothing_is_known_has_no_features() -> None:
    for text in ("", " ", "zzz", "\n\n"):
        reading = featurizer().read(text)
        assert (reading.whole, reading.clauses) == (frozenset(), (frozenset(),))


@given(ANY_TEXT)
def test_any_text_is_read_and_twice_the_same(text: str) -> None:
    reader = featurizer()
    reading = reader.read(text)
    assert reading == reader.read(text) == featurizer().read(text)
    # The order of the numbers is the order in which weights are added up.
    assert list(reading.whole) == list(featurizer().read(text).whole)
    assert reading.clauses
    beyond = names(frozenset().union(*reading.clauses) - reading.whole)
    assert all(name.startswith(("end:", "tone:last:")) for name in beyond)
    assert reading.whole <= set(range(len(NAMES)))


@given(ANY_TEXT, ANY_TEXT)
def test_what_was_read_before_changes_nothing(first: str, second: str) -> None:
    reader = featurizer()
    reader.read(first)
    assert reader.read(second) == featurizer().read(second)


def test_more_words_than_are_remembered_change_nothing() -> None:
    reader = featurizer()
    before = reader.read("I had kind nurses, but quite a dirty room")
    letters = "abcdefghij"
    words = ["".join(letters[int(digit)] for digit in f"{number:05}") for number in range(61_000)]
    for start in range(0, len(words), 3_000):
        reader.read(" ".join(words[start : start + 3_000]))
    assert reader.read("I had kind nurses, but quite a dirty room") == before


def test_a_run_of_python_reads_as_another() -> None:
    """Sets of words are in another order in each run; what is read must not be."""
    script = (
        "from listener.signals.featurizer import Featurizer\n"
        "from listener.signals import features\n"
        "text = 'I had kind nurses, but quite a dirty room. Nobody told my mother? ' * 3\n"
        "names = [*features.pieces('mother', {}), *features.pieces('nurses', {})]\n"
        "names += ['my mother', 'not:told', 'end:?']\n"
        "reading = Featurizer({name: number * 37 for number, name in enumerate(names)}, {}).read(text)\n"
        "print(list(reading.whole), [list(clause) for clause in reading.clauses])\n"
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


def test_the_features_of_a_word_are_those_of_its_pieces() -> None:
    found = featurizer().read("Nurses").whole
    assert names(found) == set(features.pieces("nurses", LEXICON)) & set(NAMES)
