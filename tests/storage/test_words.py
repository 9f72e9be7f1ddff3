"""What a word is: folding, scripts, signs, French stems, and the limits of both databases."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

# ruff: noqa: RUF001 - letters that look like others are what is tested here
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.words import (
    FILLER,
    LONGEST_WORD,
    MOST_BYTES,
    MOST_OF_ONE_WORD,
    MOST_WORDS,
    STEM,
    fold,
    index_tokens,
    is_french,
    stem,
    words,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("Parking, PARKING!", ["parking", "parking"]),
        ("L’hôpital Saint-Luc", ["l", "hopital", "saint", "luc"]),
        ("l'hopital", ["l", "hopital"]),
        ("St. John's", ["st", "john", "s"]),
        ("covid-19 3,5 user_name #tag @name", ["covid", "19", "3", "5", "user", "name", "tag", "name"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("cœur Ægir Øre Łódź đ", ["coeur", "aegir", "ore", "lodz", "d"]),
        ("İstanbul ılık", ["istanbul", "ilik"]),
        ("ΟΔΟΣ οδός", ["οδοσ", "οδοσ"]),
        ("Ёлка", ["елка"]),
        ("ﬁn ｆｕｌｌ ① ½", ["fin", "full", "1", "1", "2"]),
        ("hos\u00adpital zero\u200bwidth no\ufeffbreak", ["hospital", "zero", "width", "nobreak"]),
        ("東京の病院", ["東", "京", "の", "病", "院"]),
        ("が か\u3099", ["が", "が"]),
        ("กรุง", ["ก", "ร", "ุ", "ง"]),
        ("हिन्दी", ["हिन्दी"]),
        ("한국어 병원", ["한국어", "병원"]),
        ("مَرحَبا", ["مرحبا"]),
        ("😡👍🏽 ok ❤️", ["😡", "👍", "ok", "❤"]),
        ("👩\u200d⚕️", ["👩", "⚕"]),
        ("1️⃣", ["1"]),
        ("!?… — _", []),
        ("\x00a\x00", ["a"]),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found


@pytest.mark.no_cover
def test_every_character_is_folded_once_and_for_all() -> None:
    """What is folded stays so; a word is made of letters, digits and their marks, or is a picture."""
    # Between Han and the variation selectors Unicode has nothing yet; surrogates are no characters.
    for number in (*range(0xD800), *range(0xE000, 0x33480), *range(0xE0000, 0xE0200)):
        folded = fold(chr(number))
        assert fold(folded) == folded, hex(number)
        found = words(chr(number))
        assert words(" ".join(found)) == found, hex(number)
        for word in found:
            kinds = {unicodedata.category(letter) for letter in word}
            assert kinds == {"So"} or all(kind[0] in "LMN" for kind in kinds), hex(number)


@given(st.text())
def test_words_of_words_are_the_same(text: str) -> None:
    found = words(text)
    assert words(" ".join(found)) == found
    assert not any(set(word) & set(" \t\n\"'\\*()&|!<>:-\x00") for word in found)


@given(st.text(st.sampled_from("aéÉ'’- œ東😡"), max_size=20))
def test_how_accents_are_written_does_not_matter(text: str) -> None:
    assert words(unicodedata.normalize("NFD", text)) == words(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    "forms",
    [
        "infirmière infirmières infirmier infirmiers infirmiere infirmieres",
        "fermé fermée fermés fermées fermer ferme fermee fermees",
        "hôpital hôpitaux hopital hopitaux",
        "attente attentes",
        "urgence urgences",
        "qualité qualités qualite qualites",
        "stationnement stationnements",
        "soigné soignée soigner",
        "dernière dernier derniers derniere",
    ],
)
def test_forms_of_a_french_word_have_one_stem(forms: str) -> None:
    assert len({stem(word) for word in words(forms)}) == 1


def test_other_words_keep_their_own() -> None:
    assert len({stem(word) for word in words("soin parking urgence 19 東 😡")}) == 6
    assert [stem(word) for word in ("19", "東", "😡")] == ["19", "東", "😡"]


@pytest.mark.parametrize(
    ("language", "french"), [("fr", True), ("fr-ca", True), ("en", False), ("fro", False), (None, False)]
)
def test_which_texts_have_stems(language: str | None, french: bool) -> None:
    assert is_french(language) is french
    tokens = index_tokens("Les urgences", language)
    assert tokens == ["les", "urgences", *([f"{STEM}le", f"{STEM}urgenc"] if french else [])]


def test_the_limits_hold_for_a_text_without_end() -> None:
    long = "w" * (LONGEST_WORD + 1)
    assert words(long) == [long[:LONGEST_WORD]]
    many = index_tokens(" ".join(f"mot{number}" for number in range(MOST_WORDS + 5)), "fr")
    assert (len(many), many[MOST_WORDS - 1], many[MOST_WORDS]) == (
        *(2 * MOST_WORDS, f"mot{MOST_WORDS - 1}", f"{STEM}mot0"),
    )
    wide = index_tokens(" ".join("ж" * 60 + str(number) for number in range(MOST_WORDS)), "ru")
    size = sum(len(word.encode()) for word in wide)
    assert size <= MOST_BYTES < size + 2 * LONGEST_WORD
    assert len(wide) < MOST_WORDS


def test_a_word_said_too_often_leaves_its_place() -> None:
    tokens = index_tokens("oui " * MOST_OF_ONE_WORD + "oui non", "fr")
    assert tokens.count("oui") == tokens.count(f"{STEM}oui") == MOST_OF_ONE_WORD
    assert [pair for pair in pairwise(tokens) if FILLER in pair] == [
        ("oui", FILLER),
        (FILLER, "non"),
        (f"{STEM}oui", FILLER),
        (FILLER, f"{STEM}non"),
    ]
