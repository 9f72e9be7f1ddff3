"""Features as tables: what a text is read as, and what is no part of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.signals import features

LEXICON = {"good": 3, "kind": 2, "bad": -3, "dirty": -2}

ANY_TEXT = st.text(st.characters())  # lone surrogates too


def read(text: str) -> list[str]:
    return features.words(features.fold(text))


# --- folding


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Plain text.", "Plain text."),
        ("It\u2019s, it\u2018s and it\u02bcs", "It's, it's and it's"),
        ("\uff28\uff45\uff4c\uff4c\uff4f \ufb01ne", "Hello fine"),
        ("love it \u2764\ufe0f", "love it \u2764"),
        ("soooooo goooood", "sooo goood"),
        ("good", "good"),
        ("Why??? No!!! Well...", "Why ??  No !!  Well .. "),
        ("Why? ? ?", "Why ?? "),
        ("What?! No.", "What?! No."),
        ("see https://example.org/a?b=1 now", "see  <link>  now"),
        ("see WWW.example.org now", "see WWW.example.org now"),
        ("see www.example.org now", "see  <link>  now"),
        ("ask @St.Elsewhere or u/jane_roe or /u/jane_roe", "ask  <handle>  or  <handle>  or  <handle> "),
        ("write to jane@example.org", "write to jane@example.org"),
        ("and/or", "and/or"),
        ("call [phone] or [health number] [sic]", "call  <mark>  or  <mark>  [sic]"),
        ("", ""),
        ("\ud800 half", "? half"),
    ],
)
def test_a_text_is_folded(text: str, folded: str) -> None:
    assert features.fold(text) == folded


def test_the_end_of_a_text_that_is_no_post_is_not_read() -> None:
    assert len(features.fold("ab " * 100_000)) == 20_000


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Call [phone] now", "Call  .  now"),
        ("[email][handle]", " .  . "),
        ("[sic] stays", "[sic] stays"),
        ("nothing here", "nothing here"),
    ],
)
def test_what_redaction_left_can_be_taken_out(text: str, left: str) -> None:
    assert features.without_marks(text) == left


# --- sentences and words


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ('He said "no." Then left.', ['He said "no.', "Then left."]),
        ("A line\nanother\n\n  \na third", ["A line", "another", "a third"]),
        ("2.5 hours, e.g.this", ["2.5 hours, e.g.this"]),
        ("Well\u2026 no", ["Well\u2026", "no"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_a_text_has_sentences(text: str, sentences: list[str]) -> None:
    assert features.sentences(text) == sentences


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Nurses were KIND.", ["the", "nurses", "were", "kind", "."]),
        ("I'd waited 9.5 hours, 10:30", ["i'd", "waited", "<number>", "hours", ",", "<number>"]),
        ("2nd", ["<number>", "nd"]),
        ("J'ai d\u00e9j\u00e0 attendu", ["j'ai", "d\u00e9j\u00e0", "attendu"]),
        ("great :) <3 ;-(", ["great", ":)", "<3", ";-("]),
        ("snake_case", ["snake", "case"]),
        ("\U0001f600 ok", ["\U0001f600", "ok"]),
        ("at https://example.org with @Jane", ["at", "<link>", "with", "<handle>"]),
        ("No!!!!", ["no", "!", "!"]),
        ("", []),
    ],
)
def test_a_sentence_has_words(text: str, words: list[str]) -> None:
    assert read(text) == words


@pytest.mark.parametrize(
    ("sentence", "clauses"),
    [
        (
            "kind nurses , but nine hours of waiting",
            ["kind nurses ,", "but nine hours of waiting"],
        ),
        ("de gentilles infirmi\u00e8res mais neuf heures d'attente", 2),
        ("they were kind but the food was cold however the bed was clean", 3),
        # Too little stands before the turn, or behind it.
        ("all but one of the nurses", 1),
        ("they were all kind but slow", 1),
        ("they were kind but the food was cold but fine", 2),
        ("no turn here at all", 1),
        ("", 1),
    ],
)
def test_a_sentence_is_parted_where_it_turns(sentence: str, clauses: list[str] | int) -> None:
    tokens = sentence.split()
    parts = features.clauses(tokens)
    assert [token for part in parts for token in part] == tokens
    if isinstance(clauses, int):
        assert len(parts) == clauses
    else:
        assert [" ".join(part) for part in parts] == clauses


# --- what words give together


@pytest.mark.parametrize(
    ("sentence", "in_reach"),
    [
        ("not good", ["good"]),
        ("not a very good day", ["a", "very", "good"]),
        ("never . good", []),
        ("not clean , good", ["clean"]),
        ("not bad but good", ["bad"]),
        ("didn't feel good", ["feel", "good"]),
        ("didnt feel good", ["feel", "good"]),
        ("pas de bons soins ici", ["de", "bons", "soins"]),
        ("personne ne m'a aid\u00e9", ["ne", "m'a", "aid\u00e9"]),
        ("nobody never told us anything at all", ["never", "told", "us", "anything"]),
        ("good", []),
        ("good not", []),
    ],
)
def test_a_negation_reaches_three_words_or_to_the_end_of_its_clause(sentence: str, in_reach: list[str]) -> None:
    found = list(features.word_features(sentence.split(), {}))
    assert [one.removeprefix("not:") for one in found if one.startswith("not:")] == in_reach


def test_words_give_pairs_and_negated_tones() -> None:
    found = list(features.word_features(["not", "good", ",", "bad"], LEXICON))
    assert found == ["not good", "not:good", "tone:not:+3", "good ,", ", bad"]


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("the nurses were good", ["end:nurses", "end:were", "end:good", "tone:last:+3"]),
        ("bad then good then nothing more here", ["end:nothing", "end:more", "end:here", "tone:last:+3"]),
        ("dirty", ["end:dirty", "tone:last:-2"]),
        ("fine", ["end:fine"]),
        ("", []),
    ],
)
def test_the_end_of_a_text_is_read_as_such(sentence: str, found: list[str]) -> None:
    assert list(features.end_features(sentence.split(), LEXICON)) == found


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("bad", ["bad", "tone:-3", "~ ba", "~bad", "~ad ", "~ bad", "~bad ", "~ bad "]),
        ("a", ["a", "~ a "]),
        ("<link>", ["<link>"]),
        ("<number>", ["<number>"]),
        ("!", ["!"]),
        ("\U0001f600", ["\U0001f600"]),
    ],
)
def test_a_word_gives_itself_its_tone_and_its_pieces(word: str, found: list[str]) -> None:
    assert list(features.pieces(word, LEXICON)) == found


def test_a_word_without_end_has_the_pieces_of_its_beginning() -> None:
    assert len(list(features.pieces("a" * 5_000, {}))) < 100


# --- cues


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
    folded = features.fold(text)
    found = set(features.cues(folded, features.words(folded)))
    assert found >= {f"cue:{one}" for one in there}
    assert not found & {f"cue:{one}" for one in missing}


@pytest.mark.parametrize(
    ("count", "length"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (127, 7), (128, 8), (9_999, 8)]
)
def test_a_length_is_told_roughly(count: int, length: int) -> None:
    assert list(features.cues("", ["word"] * count)) == [f"cue:length-{length}"]


# --- any text


@given(ANY_TEXT)
def test_any_text_can_be_read(text: str) -> None:
    folded = features.fold(text)
    folded.encode("utf-8")
    for sentence in features.sentences(folded) or [folded]:
        tokens = features.words(sentence)
        assert all(tokens)
        assert [token for part in features.clauses(tokens) for token in part] == tokens
        for token in tokens:
            assert all(features.pieces(token, LEXICON))
        assert all(features.word_features(tokens, LEXICON))
        assert all(features.cues(sentence, tokens))
        assert len(list(features.end_features(tokens, LEXICON))) <= 4


@given(st.lists(st.sampled_from(["not", "good", "bad", ",", "but", "never", "waiting"]), max_size=12))
def test_a_tone_is_negated_exactly_where_its_word_is(tokens: list[str]) -> None:
    found = list(features.word_features(tokens, LEXICON))
    negated = [one.removeprefix("not:") for one in found if one.startswith("not:")]
    assert [one for one in found if one.startswith("tone:not:")] == [
        f"tone:not:{LEXICON[word]:+d}" for word in negated if word in LEXICON
    ]
    assert sum(" " in one for one in found) == max(len(tokens) - 1, 0)
