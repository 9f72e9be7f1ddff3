from __future__ import annotations

import dataclasses

import pytest

from listener.signals.analysis import Analyzer, Signals
from listener.signals.topics import Taxonomy


@pytest.fixture(scope="module")
def analyzer(shipped: Taxonomy) -> Analyzer:
    return Analyzer(shipped, ["@StElsewhere"])


def topics(signals: Signals) -> list[str]:
    return [hit.slug for hit in signals.topics]


def test_an_english_text_has_topics(analyzer: Analyzer) -> None:
    signals = analyzer.analyze("We waited nine hours and paid thirty dollars for parking", language_hint=None)
    assert signals.language == "en"
    assert topics(signals) == ["parking", "waiting-times"]
    assert (signals.purpose, signals.sentiment, signals.sentiment_score) == (None, None, None)


def test_another_language_is_counted_without_topics(analyzer: Analyzer) -> None:
    signals = analyzer.analyze(
        "Le parking est tr\u00e8s cher et les infirmi\u00e8res sont d\u00e9bord\u00e9es", language_hint="fr"
    )
    assert signals == Signals(language="fr")


def test_a_text_too_short_to_tell_has_topics_unless_the_platform_says_otherwise(analyzer: Analyzer) -> None:
    assert topics(analyzer.analyze("parking!!", language_hint=None)) == ["parking"]
    assert topics(analyzer.analyze("parking!!", language_hint="und")) == ["parking"]
    assert topics(analyzer.analyze("parking!!", language_hint="en")) == ["parking"]
    assert topics(analyzer.analyze("parking!!", language_hint="fr")) == []


def test_an_empty_text_has_nothing(analyzer: Analyzer) -> None:
    assert analyzer.analyze("", language_hint=None) == Signals(language=None)


def test_redaction_knows_the_own_handles(analyzer: Analyzer) -> None:
    assert analyzer.redact("@stelsewhere @jane_roe") == "@stelsewhere [handle]"


def test_the_marks_of_redaction_are_no_topics(analyzer: Analyzer) -> None:
    marks = "[email] [handle] [phone] [health number] [record number] [id number] [date of birth] [address]"
    assert analyzer.analyze(marks, language_hint="en").topics == ()


def test_signals_are_values(analyzer: Analyzer) -> None:
    first, second = (analyzer.analyze("free parking, thanks", language_hint="en") for _ in range(2))
    assert first == second
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.language = "fr"  # type: ignore[misc] - that is what is tried
