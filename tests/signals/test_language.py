from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.signals.language import _letters, detect_language

ENGLISH = "The nurses were lovely but we waited six hours for a bed."


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENGLISH, "en"),
        (
            "Les infirmi\u00e8res \u00e9taient tr\u00e8s gentilles mais l'attente aux urgences \u00e9tait longue.",
            "fr",
        ),
        ("Las enfermeras fueron muy amables, pero esperamos seis horas en urgencias.", "es"),
        (
            "\u62a4\u58eb\u5f88\u597d\uff0c\u4f46\u662f\u6211\u4eec\u7b49\u4e86\u516d\u4e2a\u5c0f\u65f6\u624d\u6709\u5e8a\u4f4d\uff0c\u505c\u8f66\u4e5f\u5f88\u8d35\u3002\u5927\u5bb6\u90fd\u89c9\u5f97\u592a\u6162\u4e86\u3002",
            "zh",
        ),
        ("THE NURSES WERE LOVELY BUT WE WAITED SIX HOURS FOR A BED", "en"),
        ("@infirmiere_marie https://exemple.example/les/urgences #hopital " + ENGLISH, "en"),
        ("[handle] [email] [phone] [health number] " + ENGLISH, "en"),
        (ENGLISH * 50, "en"),
        ("first line\nsecond line of the same good english text\x00", "en"),
    ],
)
def test_a_text_tells_its_language(text: str, language: str) -> None:
    assert detect_language(text) == language
    assert detect_language(text, hint="de") == language


@pytest.mark.parametrize(
    "text", ["", "   ", "\U0001f64f\U0001f64f", "12:30", "@jane_roe #wow https://x.example/y", "[handle] 5"]
)
def test_without_words_the_platform_decides(text: str) -> None:
    assert detect_language(text) is None
    assert detect_language(text, hint="fr") == "fr"


def test_a_short_or_doubtful_text_takes_the_hint() -> None:
    assert detect_language("Merci", hint="en") == "en"
    # The model is 61% sure that this is Spanish.
    assert detect_language("Nobody listened to my dad.", hint="en") == "en"
    assert detect_language("Nobody listened to my dad.") is None
    assert detect_language("Le stationnement est trop cher", hint="en") == "fr"
    mixed = "hotel taxi no problema amigo merci danke schoen ciao"
    assert detect_language(mixed) is None
    assert detect_language(mixed, hint="pl") == "pl"


@pytest.mark.parametrize(
    ("hint", "language"),
    [
        ("en", "en"), ("EN-GB", "en"), ("fr_CA", "fr"), (" es ", "es"), ("in", "id"), ("iw", "he"), ("no", "nb"),
        ("und", None), ("zxx", None), ("qht", None), ("mul", None), ("", None), ("?", None), ("english", None),
        (None, None),
    ],
)  # fmt: skip
def test_what_platforms_call_a_language(hint: str | None, language: str | None) -> None:
    assert detect_language("", hint=hint) == language


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_has_a_lower_case_code_or_none_and_always_the_same(text: str) -> None:
    language = detect_language(text)
    assert language is None or (language.islower() and 2 <= len(language) <= 3)
    assert detect_language(text) == language


def test_a_lone_surrogate_is_read_over() -> None:
    assert detect_language("\ud800 " + ENGLISH) == "en"


def test_the_weights_come_with_the_package(tmp_path: Path) -> None:
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    code = f"from listener.signals.language import detect_language; print(detect_language({ENGLISH!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **nowhere, "FTLANG_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "en\n"
    assert not (tmp_path / "cache").exists()


@given(st.text() | st.text(st.characters(max_codepoint=127)))
def test_letters_and_capitals_are_those_of_unicode(text: str) -> None:
    assert _letters(text) == (sum(map(str.isalpha, text)), sum(map(str.isupper, text)))
