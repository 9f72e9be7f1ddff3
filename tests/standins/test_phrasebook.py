"""Each sentence says what it is filed under, and hardly anything else, to the rules of the shipped taxonomy."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from listener.signals.language import detect_language
from listener.signals.taxonomy import Taxonomy
from listener.signals.topics import TopicMatcher
from listener.standins import phrasebook
from listener.standins.generator import ST_ELSEWHERE
from listener.standins.phrasebook import FORMS, LANGUAGES, Language, Phrasebook

HOSPITAL = {"name": ST_ELSEWHERE.name, "short": ST_ELSEWHERE.short, "handle": ST_ELSEWHERE.handle}
PHONES_AND_PORTALS = frozenset({"contacting-services", "online-access"})
"""Whoever complains of the phone or the portal is heard in both: their phrases overlap, on purpose."""
# How many plain sentences (slots filled one way) may be heard as a topic all the same.
_MARGINAL = 0.01


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return Taxonomy.load()


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Language:
    language: Language = request.param
    return language


@pytest.fixture(scope="module")
def book(language: Language) -> Phrasebook:
    return phrasebook.load(language)


@pytest.fixture(scope="module")
def matcher(taxonomy: Taxonomy, language: Language) -> TopicMatcher:
    return TopicMatcher(taxonomy, language)


def filled(book: Phrasebook, sentence: str) -> Iterator[str]:
    """Yield the sentence until each value of each of its slots has had a turn."""
    names = [name for name in re.findall(r"\{(\w+)\}", sentence) if name in book.slots]
    for turn in range(max((len(book.slots[name]) for name in names), default=1)):
        yield sentence.format_map(
            {name: book.slots[name][turn % len(book.slots[name])] for name in names} | HOSPITAL
        )


def test_every_topic_of_the_taxonomy_is_written_about(taxonomy: Taxonomy) -> None:
    book = phrasebook.load()
    assert set(book.topics) == {topic.slug for topic in taxonomy.topics}
    for slug, topic in book.topics.items():
        assert sum(len(topic.of(form)) for form in FORMS) >= 7, slug
        assert topic.praise, slug
        assert topic.question, slug


def test_french_writes_about_a_dozen_topics_and_for_every_purpose(taxonomy: Taxonomy) -> None:
    book = phrasebook.load("fr")
    assert len(book.topics) >= 12
    assert set(book.topics) <= {topic.slug for topic in taxonomy.topics}
    assert all(topic.praise and topic.question for topic in book.topics.values())
    for purpose in ("experience", "question", "recruitment", "philanthropy", "promotion", "news", "other"):
        assert len(book.plain[purpose]["plain"]) >= 4, purpose


def test_french_has_all_that_a_writer_asks_of_a_book_but_the_hospitals_own_voice() -> None:
    english, french = phrasebook.load("en").plain, phrasebook.load("fr").plain
    for table, sentences in english.items():
        if table not in ("own", "foreign"):
            assert sentences.keys() - french[table].keys() <= {"communities", "own_intro"}, table


def test_each_sentence_of_a_topic_is_heard_as_that_topic(book: Phrasebook, matcher: TopicMatcher) -> None:
    deaf, beside = [], []
    for sentence, topic in book.sentences():
        if topic is None:
            continue
        for text in filled(book, sentence):
            found = {hit.slug: hit.phrases for hit in matcher.match(text)}
            if topic not in found:
                deaf.append((topic, text, found))
            others = found.keys() - {topic}
            if others and not {topic, *others} <= PHONES_AND_PORTALS:
                beside.append((topic, text, found))

    assert deaf == []
    # A model of twelve weeks in which everybody is heard twice would be no model.
    texts = sum(1 for sentence, topic in book.sentences() if topic for _ in filled(book, sentence))
    assert len(beside) < 0.03 * texts, beside


def test_sentences_of_no_topic_are_hardly_ever_heard_as_one(book: Phrasebook, matcher: TopicMatcher) -> None:
    plain = [text for sentence, topic in book.sentences() if not topic for text in filled(book, sentence)]
    heard = [(text, found) for text in plain if (found := matcher.match(text))]

    assert len(heard) < _MARGINAL * len(plain), heard


def test_each_sentence_of_a_topic_is_known_for_its_language_or_not_known(
    book: Phrasebook, language: Language
) -> None:
    languages = {
        (detect_language(text), text)
        for sentence, topic in book.sentences()
        if topic
        for text in filled(book, sentence)
    }

    assert {found for found in languages if found[0] not in (language, None)} == set()


def test_what_no_taxonomy_reads_is_known_for_its_language_and_holds_the_name() -> None:
    foreign = phrasebook.load().plain["foreign"]
    assert set(foreign).isdisjoint(LANGUAGES)
    for language, sentences in foreign.items():
        for sentence in sentences:
            assert "{short}" in sentence
            assert detect_language(sentence.format_map(HOSPITAL)) == language


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
