"""The sieve may let too much through; it never keeps back a line whose text says a name."""

from __future__ import annotations

import json
import unicodedata
from html.entities import html5
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import clean_text
from jobs.archives.sieve import _ENDS_OF_FOLDING, Sieve
from listener.names import NamePattern, fold

NAMES = ("St. Elsewhere Hospital", "StElsewhere", "Hôpital Général d'Ailleurs", "CHUM", "Больница", "病院", "St")


def through(sieve: Sieve, *lines: bytes) -> list[bytes]:
    block = b"\n".join(lines)
    return [block[begin:end] for begin, end in sieve.lines(block)]


def test_lines_without_a_name_are_kept_back_and_their_order_stays() -> None:
    sieve = Sieve(["St. Elsewhere Hospital", "Hôpital d'Ailleurs"])
    lines = (
        b"b at elsewhere hospital, st",
        "a “quote” — and 🏥…".encode(),
        b"ST. ELSEWHERE HOSPITAL",
        b"hospital",
    )
    assert through(sieve, *lines) == [lines[0], lines[2]]
    assert through(sieve, b"") == []
    assert through(sieve, "l'HÔPITAL d'ailleurs".encode()) == ["l'HÔPITAL d'ailleurs".encode()]


def test_one_line_in_a_block_of_many_is_found_wherever_it_stands() -> None:
    sieve = Sieve(["St. Elsewhere"])
    for place in range(3):
        lines = [b"nothing"] * 3
        lines[place] = b"at St. Elsewhere"
        assert through(sieve, *lines) == [b"at St. Elsewhere"]


def test_where_a_name_has_no_letter_every_line_goes_through() -> None:
    assert through(Sieve(["!!!"]), b"a", b"", b"b") == [b"a", b"", b"b"]


def test_names_of_other_scripts_are_searched_for_by_one_of_their_letters() -> None:
    sieve = Sieve(["Больница"])
    lines = ("в БОЛЬНИЦА".encode(), "собака".encode(), json.dumps("больница").encode(), b"hospital")
    assert through(sieve, *lines) == [lines[0], lines[2]]


def test_without_names_nothing_goes_through() -> None:
    assert through(Sieve([]), b"a", "é".encode()) == []


def test_beyond_where_it_looks_no_character_folds() -> None:
    looked_at = {number for first, last in _ENDS_OF_FOLDING for number in range(first, last)}
    rest = [chr(number) for number in range(0x80, 0x110000) if number not in looked_at]
    beyond = "".join(letter for letter in rest if not "\ud800" <= letter <= "\udfff")
    assert not any(map(unicodedata.combining, beyond))
    assert unicodedata.normalize("NFKD", beyond).casefold() == beyond


ODD = [chr(n) for first, last in _ENDS_OF_FOLDING for n in range(first, last) if not 0xD800 <= n < 0xE000]
ALIKE: dict[str, list[str]] = {}
for one in ODD:
    ALIKE.setdefault(fold(one), []).append(one)
ENTITIES: dict[str, list[str]] = {}
for entity, value in html5.items():
    ENTITIES.setdefault(fold(value), []).append(f"&{entity}")


@st.composite
def written(draw: Any, name: str) -> str:
    """A name as somebody might write it: other case, other letters, marks, entities, controls in between."""
    parts = []
    for letter in fold(name):
        ways = [letter, letter.upper(), *draw(st.sampled_from([[], ALIKE.get(letter, [])]))]
        ways += draw(
            st.sampled_from([[], ENTITIES.get(letter, []), [f"&#{ord(letter)};", f"&#x{ord(letter):X};"]])
        )
        parts.append(draw(st.sampled_from(ways)))
        parts.append(draw(st.sampled_from(["", "", "", "", "\u0301", "\x07", "\x08", "\x0c", "\x85", "&#768;"])))
    return "".join(parts)


def escaped(text: str, choose: Any) -> bytes:
    """JSON in which any character may be escaped, in small or capital digits."""
    parts = []
    for letter in text:
        units = letter.encode("utf-16-be", "surrogatepass").hex()
        escape = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
        plain = json.dumps(letter, ensure_ascii=False)[1:-1]
        parts.append(
            choose([plain, plain, plain, escape, escape.upper().replace("\\U", "\\u"), json.dumps(letter)[1:-1]])
        )
    return f'{{"body": "{"".join(parts)}"}}'.encode()


@pytest.mark.no_cover
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_line_whose_text_says_a_name_is_never_lost(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES[:-1]))
    said = data.draw(written(name))
    line = escaped(f"at {said}, again", lambda ways: data.draw(st.sampled_from(ways)))
    text = clean_text(json.loads(line)["body"], unescape=True)
    pattern = NamePattern.of([name])
    assert pattern is not None
    if pattern.is_in(text):
        assert through(SIEVES[name], b'{"body": "nothing"}', line, b"x") == [line]
        assert through(SIEVES["all"], line) == [line]


SIEVES = {name: Sieve([name]) for name in NAMES} | {"all": Sieve(NAMES)}


@pytest.mark.no_cover
@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=4), st.lists(st.text(max_size=30), max_size=5), st.booleans())
def test_whatever_the_names_and_texts_are_none_is_lost(names: list[str], texts: list[str], plain: bool) -> None:
    sieve, pattern = Sieve(names), NamePattern.of(names)
    for text in (*texts, *names):
        line = json.dumps({"body": text}, ensure_ascii=plain).encode("utf-8", "surrogatepass")
        if pattern is not None and pattern.is_in(clean_text(text, unescape=True)):
            assert through(sieve, line) == [line]
