from __future__ import annotations

import pytest

from listener.signals.phrases import PhraseError, compile_phrase, normalize
from listener.signals.topics import Taxonomy, Topic, TopicMatcher


def matches(phrase: str, text: str) -> bool:
    topic = Topic(slug="t", name="T", group="g", definition="d", phrases=(phrase,))
    return bool(TopicMatcher(Taxonomy("1", (topic,))).match(text))


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("parking fee", "The PARKING\n\t Fee!"),
        ("parking fee", "parking-fee"),
        ("parking fee", "parking\u2011fee"),
        ("follow-up", "a follow up call"),
        ("wait*", "Waiting for ever"),
        ("wait*", "one wait"),
        ("wait* times", "the waiting times are bad"),
        ("(nurse|doctor)* (was|were) rude", "Both doctors were rude"),
        ("the (long |)wait", "the wait"),
        ("the (long |)wait", "the long wait"),
        ("wait* ... hours", "waited hours"),
        ("wait* ... hours", "waited more than 2.5 hours"),
        ("wait* ... hours", "waiting, and it wasn't short, hours"),
        ("sent ... home ... today", "sent me home again, today"),
        ("didn't listen", "they didn\u2019t listen"),
        ("didn't listen", "they didnt listen"),
        ("didn\u2019t listen", "they didn't listen"),
        ("don't", "don\u02bct"),
        ("nurse", "the nurse's hat"),
        ("stra\u00dfe", "in der STRASSE"),
        ("pain", "\uff50\uff41\uff49\uff4e"),
        ("caf\u00e9", "the cafe\u0301 was shut"),
        ("\U0001f64f", "thanks\U0001f64f\U0001f64f"),
        ("c++ ... here", "c++ is here"),
        ("10/10", "it was 10/10 for me"),
        ("wait*", "a\ud800 wait"),
    ],
)
def test_a_phrase_finds(phrase: str, text: str) -> None:
    assert matches(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("ill", "still, the bill was illegible"),
        ("wait", "waiting"),
        ("wait*", "await"),
        ("wait*", "\u00e9wait"),
        ("parking fee", "parking. Fee"),
        ("wait* ... hours", "I waited. Visiting hours were over"),
        ("wait* ... hours", "wait one two three four five hours"),
        ("wait* ... hours", "waited whoreshours"),
        ("wait* times", "the waiting timesheet"),
        ("caf\u00e9", "cafe"),
        ("pain", "pain_scale"),
        ("pain", ""),
    ],
)
def test_a_phrase_does_not_find(phrase: str, text: str) -> None:
    assert not matches(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "fix"),
    [
        ("", "at least one word"),
        (" - ", "at least one word"),
        ("(a|)", "at least one word"),
        ("wa*t", "end of a word"),
        ("*ing", "end of a word"),
        ("wait**", "end of a word"),
        ("we*", "at least 3 letters"),
        ("*", "at least 3 letters"),
        ("a b*", "at least 3 letters"),
        ("... hours", "between two words"),
        ("wait ...", "between two words"),
        ("wait ... ... hours", "between two words"),
        ("(nurse|doctor", "every bracket closed"),
        ("nurse)", "every bracket closed"),
        ("(a|(b|c)) d", "every bracket closed"),
        ("nurse|doctor", "every bracket closed"),
        ("(aa|bb|cc|dd|ee|ff|gg) " * 4, "2401 variants"),
    ],
)
def test_a_phrase_that_is_none_says_how_to_mend_it(phrase: str, fix: str) -> None:
    with pytest.raises(PhraseError, match=fix):
        compile_phrase(phrase)


def test_normalizing_twice_changes_nothing_for_plain_text() -> None:
    once = normalize("  The Caf\u00e9\u2019s  WAIT\u2010ing ROOM\u00a0isn\u2018t\tbig ")
    assert once == "the caf\u00e9's wait ing room isn't big"
    assert normalize(once) == once
