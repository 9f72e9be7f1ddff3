from __future__ import annotations

import itertools
import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.mention import Source
from listener.signals.taxonomy import HCAHPS_DOMAINS, LANGUAGES, RESERVED_SLUGS, Language, Taxonomy, Topic
from listener.signals.topics import TopicHit, TopicMatcher, redundancies

RELIED_ON = """staff-manner staff-competence staffing-levels waiting-times appointments contacting-services
    listening-involvement family-carers continuity-of-care discharge medication pain cleanliness facilities
    food-drink parking transport costs-billing equity-discrimination safety-harm privacy-records
    gratitude""".split()  # noqa: SIM905 - a list of 22 strings reads worse


def topic(slug: str, *phrases: str, exclude: tuple[str, ...] = ()) -> Topic:
    return Topic(slug=slug, name=slug, group="g", definition="d", phrases=phrases, exclude=exclude)


def slugs(hits: tuple[TopicHit, ...]) -> set[str]:
    return {hit.slug for hit in hits}


# --- the shipped taxonomy


def test_the_shipped_taxonomy_has_the_topics_that_everybody_relies_on(shipped: Taxonomy) -> None:
    assert re.fullmatch(r"20\d\d\.\d+", shipped.version)
    assert set(shipped.slugs) >= set(RELIED_ON)
    assert not RESERVED_SLUGS & set(shipped.slugs)


def test_every_shipped_topic_says_what_it_is(shipped: Taxonomy) -> None:
    for one in shipped.topics:
        assert one.definition.endswith("."), one.slug
        assert len(one.definition) > 40, one.slug
        assert len(one.phrases) >= 10, one.slug
    named = {domain for one in shipped.topics for domain in one.hcahps}
    assert named == set(HCAHPS_DOMAINS)


def variants(phrase: str) -> list[str]:
    pieces = re.split(r"\(([^()]*)\)", phrase.replace("*", "").replace("...", ""))
    choices = [piece.split("|") if at % 2 else [piece] for at, piece in enumerate(pieces)]
    return ["".join(parts) for parts in itertools.product(*choices)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_shipped_phrase_is_void_by_its_own_exclusions(shipped: Taxonomy, language: Language) -> None:
    for one in shipped.topics:
        matcher = TopicMatcher(Taxonomy("1", (one,)), language)
        for phrase in one.phrases_in(language):
            found = (hit for plain in variants(phrase) for hit in matcher.match(plain))
            assert any(phrase in hit.phrases for hit in found), (one.slug, phrase)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sat in A&E for 9 hours before anyone saw my dad", {"waiting-times"}),
        ("Every nurse on 4B was so kind and patient with mum", {"staff-manner"}),
        ("The receptionist was incredibly rude!!", {"staff-manner"}),
        ("$28 for parking. Twenty eight dollars.", {"parking"}),
        ("could not find anywhere to park", {"parking"}),
        ("They sent her home at 2am with no ride", {"discharge"}),
        ("Nobody explained what the scan showed", {"information-from-staff"}),
        ("washroom was filthy, blood on the floor", {"cleanliness"}),
        ("I was in so much pain and had no meds until morning", {"pain", "medication"}),
        ("Couldn\u2019t sleep, alarms beeping all night", {"sensory-experience"}),
        ("supper was cold soup again", {"food-drink"}),
        ("got a bill for $900 that OHIP should cover", {"costs-billing"}),
        ("treated differently because I'm Indigenous", {"equity-discrimination"}),
        ("on hold for an hour and no one answers", {"contacting-services"}),
        ("they cancelled my appt twice", {"appointments"}),
        ("my referral got lost between departments", {"continuity-of-care"}),
        ("He fell out of bed twice, pure neglect", {"safety-harm"}),
        ("my chart was given to another patient, huge breach of privacy", {"privacy-records"}),
        ("so short staffed, the call bell rang for ages", {"staffing-levels"}),
        ("the surgeon was very knowledgeable", {"staff-competence"}),
        ("no one listened to my concerns", {"listening-involvement"}),
        ("they would not let us visit, visiting hours are a joke", {"family-carers"}),
        ("the shuttle never came and the taxi was late", {"transport"}),
        ("THANK YOU to everyone in the ICU", {"gratitude"}),
    ],
)
def test_what_people_write_has_its_topics(matcher: TopicMatcher, text: str, expected: set[str]) -> None:
    assert expected <= slugs(matcher.match(text))


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("Can't wait to start my new job there!", "waiting-times"),
        ("There is a new mural in the waiting room", "waiting-times"),
        ("The patient was discharged", "staff-manner"),
        ("this parking app is a pain in the ass", "pain"),
        ("what kind of place is this", "staff-manner"),
        ("She came out with a clean bill of health", "cleanliness"),
        ("She came out with a clean bill of health", "costs-billing"),
        ("He studied at the school of medicine", "medication"),
        ("Her family doctor wrote", "family-carers"),
        ("Vital signs were taken", "facilities"),
        ("I would not recommend this place", "gratitude"),
        ("No thanks", "gratitude"),
        ("food for thought", "food-drink"),
        ("thrown under the bus by management", "transport"),
        ("a private equity firm bought it", "equity-discrimination"),
        ("The ward is still there, I filled in a form", "privacy-records"),
        ("Let's hope the theme park opens", "parking"),
    ],
)
def test_words_that_mean_something_else_have_not(matcher: TopicMatcher, text: str, absent: str) -> None:
    assert absent not in slugs(matcher.match(text))


# --- matching


def test_hits_come_by_slug_with_the_phrases_as_the_taxonomy_writes_them() -> None:
    matcher = TopicMatcher(Taxonomy("1", (topic("b", "wait*", "hour*", "never"), topic("a", "Hours"))))
    assert matcher.match("Hours of waiting, hours!") == (
        TopicHit("a", 1.0, Source.RULE, ("Hours",)),
        TopicHit("b", 1.0, Source.RULE, ("wait*", "hour*")),
    )


def test_a_topic_without_a_hit_is_not_there() -> None:
    assert TopicMatcher(Taxonomy("1", (topic("a", "wait*"),))).match("nothing of it") == ()


def test_an_exclusion_takes_away_only_what_it_overlaps() -> None:
    matcher = TopicMatcher(
        Taxonomy("1", (topic("a", "wait*", "hours", exclude=("can't wait",)), topic("b", "wait*")))
    )
    assert slugs(matcher.match("I can't wait!")) == {"b"}
    assert matcher.match("I can't wait. But I waited hours")[0].phrases == ("wait*", "hours")
    assert matcher.match("I cant wait for visiting hours")[0].phrases == ("hours",)


ALPHABET = st.sampled_from(
    list("aAbBe\u0301\u00c9\u00df\u0130\u0131 -'\u2019\u2010\u00ad._|1\u0663\u00a0\n\t\u200b\ud800\U0001f64f")
)
WORDS = st.sampled_from(["a", "b", "ab", "ba", "aab", "b\u00e9", "ss", "a'b", "\u00e9b", "1a"])
SHAPES = st.one_of(
    WORDS,
    st.tuples(WORDS, WORDS).map(" ".join),
    st.sampled_from(["aab*", "abb* a", "aab* ... b", "a ... b ... ab", "(a|ba) b", "a (b |)ab"]),
)


def plainly(phrase: str) -> re.Pattern[str]:
    """The same language, written as one expression for the ``re`` module."""
    gap = r"[^\w.!?]+(?:\w+(?:[.,:']\w+)*[^\w.!?]+){0,4}?"
    whole = unicodedata.normalize("NFKC", phrase).casefold()
    parts = []
    for token in re.findall(r"\.\.\.|[()|]|\w+(?:'\w+)*\*?| ", re.sub(r" ?\.\.\. ?", "...", whole)):
        if token == "...":
            parts.append(gap)
        elif token in "()|":
            parts.append({"(": "(?:", ")": ")", "|": "|"}[token])
        elif token == " ":
            parts.append(" ")
        else:
            stem = re.escape(token.removesuffix("*")).replace("'", "'?")
            parts.append(rf"(?<!\w){stem}" + (r"\w*" if token.endswith("*") else "") + r"(?!\w)")
    return re.compile("".join(parts))


def brought_to_one_form(text: str) -> str:
    text = re.sub("[\ud800-\udfff]", "?", text)
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub("[\u2019\u2018\u02bc]", "'", text.replace("\u00ad", ""))
    return re.sub(r"\s+", " ", re.sub("[-\u2010]", " ", text)).strip()


@pytest.mark.no_cover
@settings(max_examples=600, deadline=None)
@given(st.lists(SHAPES, min_size=1, max_size=8, unique_by=lambda phrase: phrase), st.text(ALPHABET, max_size=60))
def test_the_automaton_finds_what_plain_expressions_find(phrases: list[str], text: str) -> None:
    hits = TopicMatcher(Taxonomy("1", (topic("t", *phrases),))).match(text)
    found = set(hits[0].phrases) if hits else set()
    form = brought_to_one_form(text)
    assert found == {phrase for phrase in phrases if plainly(phrase).search(form)}


@settings(deadline=None)
@given(st.text(max_size=300))
def test_no_text_is_too_much_for_the_shipped_taxonomy(matcher: TopicMatcher, text: str) -> None:
    for hit in matcher.match(text):
        assert hit.phrases
        assert hit.source is Source.RULE


@pytest.mark.parametrize(
    "piece",
    ["wait ", "waited one two three ", "can't wait ", "been here for ", ",", "answer the ", "waitwait", "\u00e9 "],
)
def test_time_grows_with_the_length_of_the_text_alone(matcher: TopicMatcher, piece: str) -> None:
    text = piece * (200_000 // len(piece))
    begun = time.process_time()
    matcher.match(text)
    assert time.process_time() - begun < 5


def test_each_language_has_phrases_of_its_own() -> None:
    both = Topic(
        slug="a",
        name="A",
        group="g",
        definition="d",
        phrases=("wait*", "pain"),
        exclude=("can't wait",),
        phrases_fr=("attente", "pain"),
        exclude_fr=("petit pain",),
    )
    taxonomy = Taxonomy("1", (both,))
    text = "Can't wait for the pain: petit pain, longue attente"
    assert TopicMatcher(taxonomy).match(text)[0].phrases == ("pain",)
    assert TopicMatcher(taxonomy, "fr").match("attente, petit pain") == (
        TopicHit("a", 1.0, Source.RULE, ("attente",)),
    )
    assert TopicMatcher(taxonomy, "fr").match("petit pain, waiting") == ()


def test_a_language_without_phrases_has_no_topics() -> None:
    assert TopicMatcher(Taxonomy("1", (topic("a", "wait*"),)), "fr").match("wait, attente") == ()


# --- what a taxonomy says twice


@pytest.mark.parametrize(
    ("phrases", "told"),
    [
        (("wait*", "waiting"), "'waiting' of a is covered by 'wait*' already"),
        (("wait*", "waiti*"), "'waiti*' of a is covered by 'wait*' already"),
        (("wait*", "long wait"), "'long wait' of a is covered by 'wait*' already"),
        (("wait*", "wait* ... hours"), "'wait* ... hours' of a is covered by 'wait*' already"),
        (
            ("wait*", "queue*", "(waiting|queueing)"),
            "'(waiting|queueing)' of a is covered by 'wait*', 'queue*' already",
        ),
        (("nurse*", "nurse's hat"), "\"nurse's hat\" of a is covered by 'nurse*' already"),
        (("waiting*", "wait*"), "'waiting*' of a is covered by 'wait*' already"),
    ],
)
def test_a_phrase_that_a_starred_one_covers_is_told(phrases: tuple[str, ...], told: str) -> None:
    assert list(redundancies(Taxonomy("1", (topic("a", *phrases),)))) == [told]


@pytest.mark.parametrize(
    "phrases",
    [
        ("wait", "waiting"),
        ("waiting", "long waiting"),
        ("waiting*", "wait*"),
        ("wait*", "await"),
        ("wait room*", "wait* room"),
        ("wait*", "(wait|queue)"),
        ("long wait*", "long ... wait"),
    ],
)
def test_a_phrase_that_says_more_than_the_others_is_not(phrases: tuple[str, ...]) -> None:
    told = [line for line in redundancies(Taxonomy("1", (topic("a", *phrases),))) if f"{phrases[1]!r} of" in line]
    assert told == []


@given(st.lists(SHAPES, min_size=2, max_size=6, unique=True), st.text(ALPHABET, max_size=60))
def test_what_is_covered_adds_nothing(phrases: list[str], text: str) -> None:
    whole = Taxonomy("1", (topic("a", *phrases),))
    covered = [phrase for phrase in phrases if any(f"{phrase!r} of a" in line for line in redundancies(whole))]
    starred = [phrase for phrase in phrases if "*" in phrase]
    found = {phrase for hit in TopicMatcher(whole).match(text) for phrase in hit.phrases}
    for phrase in covered:
        assert phrase not in found or found & set(starred) - {phrase}


def test_a_phrase_of_several_topics_is_told_in_each_language() -> None:
    taxonomy = Taxonomy("1", (topic("a", "Bed-side", "x"), topic("b", "bed side"), topic("c", "y")))
    assert list(redundancies(taxonomy)) == ["'bed side' stands in several topics: a, b"]
    french = [Topic(slug=slug, name="N", group="g", definition="d", phrases_fr=("lit",)) for slug in "ab"]
    assert list(redundancies(Taxonomy("1", tuple(french)))) == ["'lit' stands in several topics: a, b"]


def test_of_a_taxonomy_that_builds_upon_ours_only_its_own_phrases_are_told() -> None:
    ours = topic("a", "wait*", "waiting", "bed")
    own = Topic(
        slug="b",
        name="B",
        group="g",
        definition="d",
        phrases=("bed", "food*", "foods"),
        own_phrases=frozenset({"foods"}),
        own=True,
    )
    taxonomy = Taxonomy("1+1", (ours, own), base="1", extends_shipped=True)
    assert list(redundancies(taxonomy)) == ["'foods' of b is covered by 'food*' already"]
