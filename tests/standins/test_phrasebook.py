"""Each sentence says what it is filed under, and nothing else, to the shipped taxonomy."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from listener.signals.language import detect_language
from listener.signals.topics import Taxonomy, TopicMatcher
from listener.standins import phrasebook
from listener.standins.generator import ST_ELSEWHERE
from listener.standins.phrasebook import FORMS, Phrasebook

HOSPITAL = {"name": ST_ELSEWHERE.name, "short": ST_ELSEWHERE.short, "handle": ST_ELSEWHERE.handle}


@pytest.fixture(scope="module")
def book() -> Phrasebook:
    return phrasebook.load()


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return Taxonomy.load()


def filled(book: Phrasebook, sentence: str) -> Iterator[str]:
    """Yield the sentence until each value of each of its slots has had a turn."""
    names = [name for name in re.findall(r"\{(\w+)\}", sentence) if name in book.slots]
    for turn in range(max((len(book.slots[name]) for name in names), default=1)):
        yield sentence.format_map(
            {name: book.slots[name][turn % len(book.slots[name])] for name in names} | HOSPITAL
        )


def test_every_topic_of_the_taxonomy_is_written_about(book: Phrasebook, taxonomy: Taxonomy) -> None:
    assert set(book.topics) == {topic.slug for topic in taxonomy.topics}
    for slug, topic in book.topics.items():
        assert sum(len(topic.of(form)) for form in FORMS) >= 7, slug
        assert topic.praise, slug
        assert topic.question, slug


def test_each_sentence_triggers_its_own_topic_and_no_other(book: Phrasebook, taxonomy: Taxonomy) -> None:
    matcher = TopicMatcher(taxonomy)
    wrong = []
    for sentence, topic in book.sentences():
        for text in filled(book, sentence):
            found = {hit.slug: hit.phrases for hit in matcher.match(text)}
            if set(found) != ({topic} if topic else set()):
                wrong.append((topic, text, found))

    assert wrong == []


def test_each_sentence_of_a_topic_is_known_as_english_or_not_known(book: Phrasebook) -> None:
    languages = {
        (detect_language(text), text)
        for sentence, topic in book.sentences()
        if topic
        for text in filled(book, sentence)
    }

    assert {found for found in languages if found[0] not in ("en", None)} == set()


def test_sentences_of_topics_end_so_that_no_phrase_runs_on_into_the_next(book: Phrasebook) -> None:
    assert [sentence for sentence, topic in book.sentences() if topic and sentence[-1] not in ".!?"] == []


def test_nothing_points_at_a_real_person_or_place(book: Phrasebook) -> None:
    everything = "\n".join(sentence for sentence, _ in book.sentences())

    assert set(re.findall(r"https?://([^/\s]+)", everything)) == {"example.org"}
    assert {address.rpartition("@")[2] for address in re.findall(r"\S+@[\w.]+\.\w+", everything)} == {
        "example.org"
    }
    phones = re.findall(r"\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}", everything)
    assert phones
    assert all(re.search(r"555[-. ]01\d\d$", phone) for phone in phones)
