"""From a text to its signals: what is given, what is left out, and that no text changes another's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.mention import Purpose, Sentiment, Source
from listener.signals.analysis import Analyzer, Signals, Vote
from listener.signals.models import models_version, shipped_models
from listener.signals.taxonomy import Taxonomy, Topic

MARKS = "[email] [handle] [phone] [health number] [record number] [id number] [date of birth] [address]"
SPANISH = "El hospital es muy grande y las enfermeras son muy amables con todos."
HOSTILE = [
    "",
    " \n\t ",
    "\x00\x01\x02",
    "\ud800\udfff \ud83d",
    "\u202e\u200b\ufeff\u00ad",
    "(" * 5_000,
    "!?" * 5_000,
    "a" * 50_000,
    "wait " * 10_000,
    "not but " * 5_000,
    "[email]" * 2_000,
    "@" * 3_000 + "/" * 3_000,
    "https://" + "a/" * 5_000,
    "e\u0301" * 5_000,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 500,
    "\u0130\u0131\ufb03 \u1e9e \u00df" * 200,
    "2.5" * 3_000,
    "Z\u0351\u036b\u0343" * 1_000,
]


def topics(signals: Signals) -> list[str]:
    return list(dict.fromkeys(hit.slug for hit in signals.topics))


def sources(signals: Signals, slug: str) -> set[Source]:
    return {hit.source for hit in signals.topics if hit.slug == slug}


def without(taxonomy: Taxonomy, slug: str) -> Taxonomy:
    left = tuple(topic for topic in taxonomy.topics if topic.slug != slug)
    return dataclasses.replace(taxonomy, topics=left, off=(slug,), base=taxonomy.version)


def with_own_phrase(taxonomy: Taxonomy, slug: str, phrase: str) -> Taxonomy:
    changed = tuple(
        dataclasses.replace(topic, phrases=(*topic.phrases, phrase), own_phrases=frozenset({phrase}))
        if topic.slug == slug
        else topic
        for topic in taxonomy.topics
    )
    return dataclasses.replace(taxonomy, topics=changed, base=taxonomy.version)


# --- languages


def test_an_english_text_is_heard(analyzer: Analyzer) -> None:
    signals = analyzer.analyze("We waited nine hours and paid thirty dollars for parking")
    assert signals.language == "en"
    assert topics(signals) == ["parking", "waiting-times"]
    assert sources(signals, "parking") == sources(signals, "waiting-times") == {Source.RULE, Source.MODEL}
    assert (signals.purpose, signals.sentiment) == (Purpose.EXPERIENCE, Sentiment.NEGATIVE)
    assert signals.purpose_score is not None
    assert signals.sentiment_score is not None
    assert signals.purpose_score > 0.8
    assert signals.sentiment_score < 0


def test_a_french_text_is_heard_and_its_topics_come_from_phrases(analyzer: Analyzer) -> None:
    text = "Ma m\u00e8re a attendu neuf heures \u00e0 l'urgence et le stationnement est trop cher"
    signals = analyzer.analyze(text, language_hint="fr")
    assert signals.language == "fr"
    assert {"parking", "waiting-times"} <= set(topics(signals))
    assert {hit.source for hit in signals.topics} == {Source.RULE}
    assert (signals.purpose, signals.sentiment) == (Purpose.EXPERIENCE, Sentiment.NEGATIVE)
    assert all(vote.score is None for vote in analyzer.votes(text, language_hint="fr"))


def test_of_another_language_the_language_is_all_that_is_heard(analyzer: Analyzer) -> None:
    assert analyzer.analyze(SPANISH) == Signals(language="es", version=analyzer.version)
    assert analyzer.votes(SPANISH) == []


def test_a_text_too_short_to_tell_is_read_as_both_unless_the_platform_says(analyzer: Analyzer) -> None:
    assert topics(analyzer.analyze("parking!!")) == ["parking"]
    assert topics(analyzer.analyze("parking!!", language_hint="und")) == ["parking"]
    assert topics(analyzer.analyze("parking!!", language_hint="en")) == ["parking"]
    assert sources(analyzer.analyze("stationnement!!", language_hint="fr"), "parking") == {Source.RULE}
    assert analyzer.analyze("parking!!", language_hint="es") == Signals("es", version=analyzer.version)


def test_a_text_without_a_known_language_has_the_phrases_of_both(analyzer: Analyzer) -> None:
    (vote,) = (one for one in analyzer.votes("parking? stationnement?") if one.slug == "parking")
    assert len(vote.phrases) >= 2


# --- long posts

MIXED = "The nurses were wonderful and so kind, but we waited nine hours and the room was filthy."
FILLER = "We drove over on Tuesday with my brother and his two dogs, then we went home again to watch the game. "


def test_a_topic_deep_in_a_long_post_is_heard(analyzer: Analyzer) -> None:
    text = FILLER * 24 + "The parking cost us thirty dollars and the car park was full. " + FILLER * 24
    assert len(text) > 4_900
    signals = analyzer.analyze(text)
    assert sources(signals, "parking") == {Source.RULE, Source.MODEL}
    assert "parking" not in topics(analyzer.analyze(FILLER * 48))


def test_a_topic_deep_in_a_long_french_post_is_heard(analyzer: Analyzer) -> None:
    filler = "Nous sommes venus mardi avec mon fr\u00e8re et ses deux chiens, puis nous sommes rentr\u00e9s. "
    text = filler * 30 + "Le stationnement co\u00fbte trente dollars. " + filler * 30
    assert len(text) > 4_900
    assert "parking" in topics(analyzer.analyze(text))


def test_phrases_of_all_pieces_are_told_once(analyzer: Analyzer) -> None:
    text = "The parking was full. " + FILLER * 5 + "Paid for parking twice. " + FILLER * 5 + "Parking!"
    (vote,) = (one for one in analyzer.votes(text) if one.slug == "parking")
    assert vote.given
    assert len(set(vote.phrases)) == len(vote.phrases) > 0


def test_a_long_text_that_is_one_sentence_or_blank_is_read(analyzer: Analyzer) -> None:
    assert "parking" in topics(analyzer.analyze("the parking was full and " * 30, language_hint="en"))
    assert analyzer.analyze(" " * 1_000).topics == ()


# --- votes


def vote_of(
    analyzer: Analyzer, score: float, phrases: tuple[str, ...], slug: str, *, judged: bool = True
) -> Vote | None:
    """What is voted where the model gives every topic this score, and these phrases of one topic were found."""
    rules = {slug: phrases} if phrases else {}
    scores = np.full(len(shipped_models().judges), score, np.float32).round(4)
    over = np.flatnonzero(scores >= analyzer._thresholds).tolist()
    votes = analyzer._votes(rules, over, scores.tolist(), judged=judged)
    return next((one for one in votes if one.slug == slug), None)


def is_given(
    analyzer: Analyzer, score: float, phrases: tuple[str, ...], slug: str, *, judged: bool = True
) -> bool:
    vote = vote_of(analyzer, score, phrases, slug, judged=judged)
    return vote is not None and vote.given


def test_the_model_overrules_a_phrase_and_needs_none(analyzer: Analyzer) -> None:
    assert not is_given(analyzer, 0.0, ("parking",), "parking")
    assert is_given(analyzer, 1.0, (), "parking")
    assert is_given(analyzer, 1.0, ("parking",), "parking")
    assert not is_given(analyzer, 0.0, (), "parking")


def test_a_phrase_that_is_overruled_is_told(analyzer: Analyzer) -> None:
    threshold = round(shipped_models().judges["parking"].threshold, 4)
    assert vote_of(analyzer, 0.0, ("parking",), "parking") == Vote(
        "parking", ("parking",), 0.0, threshold, given=False
    )


def test_where_the_model_does_not_judge_phrases_decide(analyzer: Analyzer) -> None:
    assert vote_of(analyzer, 0.0, ("parking",), "parking", judged=False) == Vote(
        "parking", ("parking",), None, None, given=True
    )
    assert not is_given(analyzer, 1.0, (), "parking", judged=False)


def test_what_a_hospital_wrote_itself_is_not_overruled(shipped: Taxonomy) -> None:
    own = Analyzer(with_own_phrase(shipped, "parking", "zebra crossing"))
    assert is_given(own, 0.0, ("zebra crossing",), "parking")
    assert is_given(own, 0.0, ("parking", "Zebra-Crossing"), "parking")
    assert not is_given(own, 0.0, ("parking",), "parking")


def test_a_topic_has_the_threshold_of_its_judge(analyzer: Analyzer) -> None:
    for slug, judge in shipped_models().judges.items():
        assert is_given(analyzer, judge.threshold, (), slug)
        assert is_given(analyzer, judge.threshold + 0.001, (), slug)
        assert not is_given(analyzer, judge.threshold - 0.001, (), slug)


@pytest.mark.parametrize("beside", [-0.00008, -0.00004, 0.0, 0.00004])
@pytest.mark.parametrize("phrases", [(), ("parking",)])
def test_beside_the_threshold_a_vote_is_what_it_says(
    analyzer: Analyzer, beside: float, phrases: tuple[str, ...]
) -> None:
    for slug, judge in shipped_models().judges.items():
        given_without = is_given(analyzer, judge.threshold + beside, (), slug)
        assert is_given(analyzer, judge.threshold + beside, phrases, slug) == given_without
        vote = vote_of(analyzer, judge.threshold + beside, ("a phrase",), slug)
        assert vote is not None
        assert vote.score is not None
        assert vote.threshold is not None
        assert vote.given == (vote.score >= vote.threshold) == given_without


TEXTS = [
    "We waited nine hours and paid thirty dollars for parking",
    MIXED,
    "Walk in the park near the hospital this morning was lovely.",
    "No food for thought here, move along.",
    FILLER * 3 + "The parking was full. " + FILLER * 3,
    f"Call {MARKS} about the parking",
    "Le stationnement est trop cher et l'attente est interminable",
    "parking!!",
    SPANISH,
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_votes_tell_what_is_given_and_why(analyzer: Analyzer, text: str) -> None:
    votes = analyzer.votes(text)
    signals = analyzer.analyze(text)
    assert [vote.slug for vote in votes if vote.given] == topics(signals)
    for vote in votes:
        by_source = {hit.source: hit for hit in signals.topics if hit.slug == vote.slug}
        if not vote.given:
            assert not by_source
            assert vote.phrases or (vote.score or 0) > 0
            continue
        if vote.phrases:
            assert by_source[Source.RULE].phrases == vote.phrases
            assert by_source[Source.RULE].score == 1.0
        if vote.score is not None and vote.threshold is not None and vote.score > vote.threshold:
            assert by_source[Source.MODEL].score == vote.score
            assert by_source[Source.MODEL].phrases == ()


# --- taxonomies


def test_a_taxonomy_of_ones_own_goes_by_its_phrases_alone() -> None:
    chapel = Topic(slug="chapel", name="Chapel", group="g", definition="d", phrases=("chapel",))
    parking = Topic(slug="parking", name="Parking", group="g", definition="d", phrases=("valet",))
    analyzer = Analyzer(Taxonomy("mine", (parking, chapel), {"g": "G"}))
    text = "The parking was full, the car park too, and the chapel is on the second floor"
    signals = analyzer.analyze(text, language_hint="en")
    assert [(hit.slug, hit.source, hit.score) for hit in signals.topics] == [("chapel", Source.RULE, 1.0)]
    assert analyzer.votes(text, language_hint="en") == [Vote("chapel", ("chapel",), None, None, given=True)]
    assert signals.purpose is not None
    assert analyzer.version == f"mine/{models_version()}"


def test_a_topic_that_is_switched_off_is_never_given(shipped: Taxonomy) -> None:
    analyzer = Analyzer(without(shipped, "parking"))
    text = "We waited nine hours and paid thirty dollars for parking"
    assert topics(analyzer.analyze(text)) == ["waiting-times"]
    assert "parking" not in {vote.slug for vote in analyzer.votes(text)}


def test_a_phrase_of_ones_own_counts_outright_in_a_text(shipped: Taxonomy) -> None:
    text = "The zebra crossing is on the second floor."
    assert "parking" not in topics(Analyzer(shipped).analyze(text))
    (hit, *_) = (
        hit
        for hit in Analyzer(with_own_phrase(shipped, "parking", "zebra crossing")).analyze(text).topics
        if hit.slug == "parking"
    )
    assert (hit.source, hit.phrases) == (Source.RULE, ("zebra crossing",))


def test_a_file_of_ones_own_is_heard_as_it_is_written(write_taxonomy: Callable[[str], Path]) -> None:
    taxonomy = Taxonomy.load(
        write_taxonomy(
            'version = "7"\nextends = "shipped"\noff = ["waiting-times"]\n'
            '[[topics]]\nslug = "parking"\nphrases = ["Zebra-crossing"]\n'
            '[[topics]]\nslug = "chapel"\nname = "Chapel"\ngroup = "general"\ndefinition = "d"\n'
            'phrases = ["chapel"]\n'
        )
    )
    signals = Analyzer(taxonomy).analyze("We waited nine hours at the zebra crossing by the chapel")
    assert {"chapel", "parking"} <= set(topics(signals))
    assert sources(signals, "chapel") == {Source.RULE}
    assert "waiting-times" not in topics(signals)
    assert signals.version == f"{taxonomy.version}/{models_version()}"


# --- redaction


def test_redaction_knows_the_own_handles(analyzer: Analyzer) -> None:
    assert analyzer.redact("@stelsewhere @jane_roe") == "@stelsewhere [handle]"


@pytest.mark.parametrize("language", ["en", "fr", None])
def test_the_marks_of_redaction_are_no_topics(analyzer: Analyzer, language: str | None) -> None:
    assert analyzer.analyze(MARKS, language_hint=language).topics == ()
    assert not any(vote.phrases for vote in analyzer.votes(MARKS, language_hint=language))


# --- any text


def test_an_empty_text_has_no_topic_and_no_tone(analyzer: Analyzer) -> None:
    signals = analyzer.analyze("")
    assert (signals.language, signals.topics, signals.sentiment) == (None, (), Sentiment.NEUTRAL)
    assert analyzer.analyze_many([]) == []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.timeout(60)
def test_a_hostile_text_is_heard_like_any_other(analyzer: Analyzer, text: str, language: str) -> None:
    assert_sound(analyzer.analyze(analyzer.redact(text), language_hint=language))
    analyzer.votes(text, language_hint=language)


def assert_sound(signals: Signals) -> None:
    if signals.purpose is None:
        assert signals.language not in (None, "en", "fr")
        return
    assert signals.sentiment is not None
    assert signals.purpose_score is not None
    assert signals.sentiment_score is not None
    assert signals.positive_part is not None
    assert signals.negative_part is not None
    for probability in (signals.purpose_score, signals.positive_part, signals.negative_part):
        assert 0 <= probability <= 1
    assert -1 <= signals.sentiment_score <= 1
    for hit in signals.topics:
        assert 0 <= hit.score <= 1
        assert (hit.source is Source.RULE) == bool(hit.phrases)
    slugs = topics(signals)
    assert slugs == sorted(slugs)


WORDS = st.sampled_from(
    [
        *(
            "we",
            "waited",
            "nine",
            "hours",
            "parking",
            "full",
            "the",
            "nurses",
            "were",
            "kind",
            "rude",
            "not",
            "but",
        ),
        *(".", "?", "!", "[email]", "@a", "hiring", "donate", "\n"),
        *("merci", "attente", "stationnement", "cher", "pas", "\u00e9"),
    ]
)
SOME_TEXT = st.lists(WORDS, max_size=30).map(" ".join) | st.text(st.characters(), max_size=80)
LANGUAGE = st.sampled_from([None, "en", "fr", "es", "und"])
PAGE = st.lists(st.tuples(SOME_TEXT, LANGUAGE), max_size=5)


def heard(analyzer: Analyzer, page: list[tuple[str, str | None]]) -> list[Signals]:
    return analyzer.analyze_many([text for text, _ in page], [language for _, language in page])


@settings(deadline=None, max_examples=60)
@given(first=PAGE, second=PAGE)
def test_no_text_changes_what_is_heard_in_another(
    analyzer: Analyzer, first: list[tuple[str, str | None]], second: list[tuple[str, str | None]]
) -> None:
    together = heard(analyzer, first + second)
    for signals in together:
        assert_sound(signals)
    assert heard(analyzer, first) + heard(analyzer, second) == together
    assert heard(analyzer, (first + second)[::-1]) == together[::-1]
    assert [analyzer.analyze(text, language_hint=language) for text, language in first + second] == together


@settings(deadline=None, max_examples=30)
@given(text=SOME_TEXT, language=LANGUAGE)
def test_the_votes_of_any_text_agree_with_its_topics(analyzer: Analyzer, text: str, language: str | None) -> None:
    given_topics = [vote.slug for vote in analyzer.votes(text, language_hint=language) if vote.given]
    assert given_topics == topics(analyzer.analyze(text, language_hint=language))


def test_a_page_of_many_texts_is_heard_as_each_by_itself(analyzer: Analyzer) -> None:
    page = [TEXTS[number % len(TEXTS)] for number in range(300)]
    alone = {text: analyzer.analyze(text) for text in TEXTS}
    assert analyzer.analyze_many(page) == [alone[text] for text in page]


def test_hints_and_texts_are_as_many(analyzer: Analyzer) -> None:
    with pytest.raises(ValueError, match="shorter"):
        analyzer.analyze_many(["a", "b"], ["en"])


def test_another_analyzer_hears_the_same(analyzer: Analyzer, shipped: Taxonomy) -> None:
    assert Analyzer(shipped).analyze_many(TEXTS) == analyzer.analyze_many(TEXTS)


def test_signals_are_values(analyzer: Analyzer) -> None:
    first, second = (analyzer.analyze("free parking, thanks", language_hint="en") for _ in range(2))
    assert first == second
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.language = "fr"  # type: ignore[misc] - that is what is tried
