"""The hints of purposes, as they are shipped."""

from __future__ import annotations

import itertools
import re

import pytest

from listener.signals.hints import hint_of, shipped_hints, with_hints
from listener.signals.models import hint_feature, shipped_models
from listener.signals.phrases import compile_phrase
from listener.signals.taxonomy import LANGUAGES, Language, Taxonomy
from listener.signals.topics import TopicMatcher


@pytest.fixture(scope="module")
def matchers() -> dict[Language, TopicMatcher]:
    return {language: TopicMatcher(shipped_hints(), language) for language in LANGUAGES}


def test_they_are_read_once() -> None:
    assert shipped_hints() is shipped_hints()
    assert re.fullmatch(r"20\d\d\.\d+", shipped_hints().version)


@pytest.mark.no_cover
def test_each_has_a_name_of_its_own_and_phrases_that_can_be_found() -> None:
    hints = shipped_hints()
    assert len(set(hints.slugs)) == len(hints.slugs) > 10
    for hint in hints.topics:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", hint.slug)
        assert hint.phrases or hint.phrases_fr, hint.slug
        for language in LANGUAGES:
            for phrase in itertools.chain(hint.phrases_in(language), hint.exclude_in(language)):
                assert compile_phrase(phrase), (hint.slug, phrase)


def test_beside_topics_they_are_told_apart(shipped: Taxonomy) -> None:
    both = with_hints(shipped)
    assert [slug for slug in both.slugs if hint_of(slug) is None] == list(shipped.slugs)
    assert [hint for slug in both.slugs if (hint := hint_of(slug)) is not None] == list(shipped_hints().slugs)
    text = "We are hiring nurses, free parking!"
    hits = {hit.slug for hit in TopicMatcher(both).match(text)}
    alone = {hit.slug for hit in TopicMatcher(shipped).match(text)}
    hints = {hit.slug for hit in TopicMatcher(shipped_hints()).match(text)}
    assert {slug for slug in hits if hint_of(slug) is None} == alone >= {"parking"}
    assert {hint_of(slug) for slug in hits} - {None} == hints != set()


def test_the_models_have_learnt_most_of_them() -> None:
    hints = shipped_hints().slugs
    learnt = [slug for slug in hints if hint_feature(slug) in shipped_models().vocabulary]
    assert len(learnt) >= 0.6 * len(hints)
    assert {name for name in shipped_models().vocabulary if name.startswith("hint:")} <= set(
        map(hint_feature, hints)
    )


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I was admitted last week and my nurse stayed with me"),
        ("en", "We are hiring: apply now on our careers page"),
        ("en", "Donate to the hospital foundation"),
        ("en", "Does anyone know the visiting hours?"),
        ("en", "The minister announced new funding, police say"),
        ("fr", "Nous recrutons, postulez en ligne"),
        ("fr", "Faites un don \u00e0 la fondation"),
        ("fr", "Est-ce que quelqu'un conna\u00eet les heures de visite ?"),
    ],
)
def test_plain_texts_have_hints(matchers: dict[Language, TopicMatcher], language: Language, text: str) -> None:
    assert matchers[language].match(text)


def test_a_text_of_nothing_has_none(matchers: dict[Language, TopicMatcher]) -> None:
    assert not any(matcher.match("") for matcher in matchers.values())
