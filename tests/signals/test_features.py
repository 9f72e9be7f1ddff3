"""Features as tables: what a text is cut into, and what each of its tokens gives by itself."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from listener.signals import features

ANY_TEXT = st.text(st.characters())  # lone surrogates too
AS_WRITTEN = features.TITLED | features.SHOUTED


def read(text: str) -> list[str]:
    return [features.word_of(token) for token in features.tokens(features.fold(text))]


# --- folding


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Plain text.", "Plain text."),
        ("It\u2019s, it\u2018s and it\u02bcs", "It's, it's and it's"),
        ("\uff28\uff45\uff4c\uff4c\uff4f \ufb01ne", "Hello fine"),
        ("love it \u2764\ufe0f", "love it \u2764"),
        ("Why??? No!!! Well...", "Why??? No!!! Well..."),
        ("Why? ? ? No! !", "Why?? No!!"),
        ("What?! No.", "What?! No."),
        ("see https://example.org/a?b=1 now", "see  <link>  now"),
        ("see WWW.example.org or wWw.example.org now", "see  <link>  or  <link>  now"),
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


def test_a_short_text_has_one_part() -> None:
    for text in ("", "One. Two.", " \n ", "a" * 300):
        assert features.parts(text) == [text]


def test_a_long_text_is_parted_between_its_sentences() -> None:
    long = "x" * 180 + "."
    assert features.parts(f"One. Two!\n{long} Three. {long} {long}") == [
        f"One. Two! {long} Three.",
        long,
        long,
    ]


def test_a_long_sentence_is_not_broken() -> None:
    assert features.parts("word " * 100) == ["word " * 100]
    assert features.parts(f"One. {'y' * 400}. Two.") == ["One.", f"{'y' * 400}.", "Two."]


def test_a_long_text_of_nothing_has_an_empty_part() -> None:
    assert features.parts("\n" * 400) == [""]


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
        ("No!!!! Why??? Well...... ?!", ["no", "!!", "why", "??", "well", "..", "?", "!"]),
        ("Soooooo goooood", ["sooo", "goood"]),
        ("good", ["good"]),
        ("", []),
    ],
)
def test_a_sentence_has_tokens(text: str, words: list[str]) -> None:
    assert read(text) == words


# --- what a token gives by itself


@pytest.mark.parametrize("word", ["not", "never", "pas", "didn't", "didnt", "n't"])
def test_a_negation_negates(word: str) -> None:
    assert features.negates(word)


@pytest.mark.parametrize("word", ["good", "knot", "", "tent", "."])
def test_nothing_else_does(word: str) -> None:
    assert not features.negates(word)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("bad", ["~ ba", "~bad", "~ad ", "~ bad", "~bad ", "~ bad "]),
        ("a", ["~ a "]),
        ("<link>", []),
        ("<number>", []),
        ("!", []),
        ("\U0001f600", []),
    ],
)
def test_a_word_has_pieces(word: str, found: list[str]) -> None:
    assert list(features.pieces(word)) == found


def test_a_word_without_end_has_the_pieces_of_its_beginning() -> None:
    assert len(list(features.pieces("a" * 5_000))) < 100


@pytest.mark.parametrize(
    ("token", "cues"),
    [
        ("mum", features.KIN),
        ("Mum", features.KIN | features.TITLED),
        ("my", features.FIRST_PERSON),
        ("I", features.FIRST_PERSON | features.TITLED),
        ("J'ai", features.FIRST_PERSON | features.TITLED),
        ("ER", features.TITLED),
        ("NEVER", features.TITLED | features.SHOUTED),
        ("NURSe", features.TITLED),
        ("?", features.QUESTION),
        ("????", features.QUESTION),
        ("!!", features.EXCLAMATION),
        ("#", features.HASHTAG),
        ("$", features.MONEY),
        ("\u20ac", features.MONEY),
        ("\u00a3", features.MONEY),
        ("<link>", features.LINK),
        ("<handle>", features.HANDLE),
        ("<mark>", 0),
        ("nurse", 0),
        ("12", 0),
        (".", 0),
    ],
)
def test_a_token_tells_of_its_text(token: str, cues: int) -> None:
    assert features.cues_of(token, features.word_of(token)) == cues


# --- any text


@given(ANY_TEXT)
@example("\N{NEGATIVE CIRCLED LATIN CAPITAL LETTER A}")
def test_any_text_can_be_read(text: str) -> None:
    folded = features.fold(text)
    folded.encode("utf-8")
    for sentence in features.sentences(folded) or [folded]:
        for token in features.tokens(sentence):
            word = features.word_of(token)
            assert word
            assert features.word_of(word) == word
            assert all(piece.startswith("~") for piece in features.pieces(word))
            # How a word is written it no longer tells; some capitals have no small letter.
            told, of_itself = features.cues_of(token, word), features.cues_of(word, word)
            assert told & ~AS_WRITTEN == of_itself & ~AS_WRITTEN
