"""Names are found as words of their own, whatever case, accents and apostrophes they are written with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.names import NamePattern, fold

NAMES = ("St. Elsewhere Hospital", "St. Elsewhere", "@StElsewhere", "Hôpital d'Ailleurs", "Больница")


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("at ST. ELSEWHERE again", True),
        ("(St.  Elsewhere\nHospital)", True),
        ("St. Elsewheres", False),
        ("ask @stelsewhere.", True),
        ("StElsewhere", True),
        ("MyStElsewhere", False),
        ("elsewhere", False),
        ("l'hopital d\u2019Ailleurs", True),
        ("HO\u0302PITAL D`AILLEURS", True),
        ("hôpital d'ailleursé", False),
        ("\uff33\uff54. \uff25lsewhere", True),
        ("в больница.", True),
        ("", False),
    ],
)
def test_a_text_says_a_name(text: str, is_named: bool) -> None:
    pattern = NamePattern.of(NAMES)
    assert pattern is not None
    assert pattern.is_in(text) is is_named


def test_no_names_name_nothing() -> None:
    assert NamePattern.of([" ", "@"]) is None


@given(st.text(), st.text())
def test_a_text_folds_letter_by_letter_and_once(one: str, other: str) -> None:
    assert fold(one + other) == fold(one) + fold(other)
    assert fold(fold(one)) == fold(one)
