from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobs.hearing import Hearing, account_name, analyzer_for, hear, is_known, is_own, own_handles
from listener.calendar import local_day
from listener.mention import Author, Purpose
from listener.signals.analysis import Analyzer, Signals
from listener.signals.taxonomy import Taxonomy
from storage.records import text_fingerprint


@pytest.fixture(scope="module")
def taxonomy():
    return Taxonomy.load(Path(__file__).with_name("topics.toml"))


@pytest.fixture(scope="module")
def analyzer(taxonomy):
    return Analyzer(taxonomy, ["@StElsewhere"])


@pytest.fixture
def hearing(analyzer):
    return Hearing(
        channel="birdsong",
        analyzer=analyzer,
        zone=ZoneInfo("America/Toronto"),
        own_accounts=frozenset({"stelsewhere"}),
        author_key="weekly",
        author_secret="a key for tests",
    )


def known(*mentions):
    return {mention.external_id: text_fingerprint(mention.text) for mention in mentions}


def slugs(signals):
    return sorted({hit.slug for hit in signals.topics})


@pytest.mark.parametrize(
    "written", ["StElsewhere", "@StElsewhere", " @stelsewhere ", "u/StElsewhere", "/u/StElsewhere", "STELSEWHERE"]
)
def test_an_account_is_the_same_however_it_is_written(written):
    assert account_name(written) == "stelsewhere"


@pytest.mark.parametrize(
    ("author", "own"),
    [
        (Author(id="9", handle="@StElsewhere"), True),
        (Author(id="u/stelsewhere"), True),
        (Author(id="9", handle="other"), False),
        (Author(id="9"), False),
        (None, False),
    ],
)
def test_an_organization_is_known_by_id_or_handle(author, own):
    assert is_own(author, frozenset({"stelsewhere"})) is own


def test_handles_of_every_organization_are_left_in_texts(fake):
    organizations = [
        fake.make_organization("a", aliases=["@A", "St A"], own_accounts={"x": ["@A", "1"]}),
        fake.make_organization("b", aliases=["@B"], own_accounts={}),
    ]
    assert own_handles(organizations) == ["@A", "1", "@B"]


def test_the_analyzer_of_an_installation_leaves_them(settings, taxonomy):
    analyzer = analyzer_for(settings, taxonomy)
    assert analyzer.redact("@StElsewhere @jane_roe") == "@StElsewhere [handle]"
    assert analyzer.version.startswith(f"{taxonomy.version}/")


def test_new_and_edited_texts_are_heard_and_known_ones_are_not(fake, analyzer):
    page = [
        fake.make_mention(1, text="The food was cold"),
        fake.make_mention(2, text="The parking was full"),
        fake.make_mention(3, text="So much pain"),
    ]
    before = known(page[0], replace(page[1], text="The parking was empty"))
    first, second, third = hear(analyzer, page, before, derived_metrics=True)
    assert first is None
    assert (slugs(second), slugs(third)) == (["parking"], ["pain"])
    assert second == analyzer.analyze("The parking was full", language_hint="en")


def test_no_mention_changes_what_is_heard_in_another(fake, analyzer):
    page = [fake.make_mention(number, text=text) for number, text in enumerate(["Pain!", "", "Food", "Parking"])]
    together = hear(analyzer, page, {}, derived_metrics=True)
    assert together == [hear(analyzer, [one], {}, derived_metrics=True)[0] for one in page]
    assert hear(analyzer, page[::-1], {}, derived_metrics=True) == together[::-1]
    assert hear(analyzer, [], {}, derived_metrics=True) == []


def test_a_platform_that_forbids_more_has_its_language_kept_alone(fake, analyzer):
    page = [fake.make_mention(1, text="We waited nine hours and the parking was full")]
    assert hear(analyzer, page, {}, derived_metrics=False) == [Signals(language="en", version=analyzer.version)]


def test_a_tombstone_keeps_what_was_heard(fake):
    mention = fake.make_mention(1)
    gone = replace(mention, text="", author=None, removed_at=fake.START)
    assert is_known(gone, known(mention))
    assert not is_known(gone, {})
    assert not is_known(replace(mention, text="another"), known(mention))


def test_a_page_is_made_ready_for_the_store(fake, hearing):
    page = [
        fake.make_mention(1, text="Write to jane.doe@example.org about the parking please"),
        fake.make_mention(2, author=Author(id="1", handle="StElsewhere"), published_at=fake.START),
        fake.make_mention(3, author=None),
    ]
    first, own, nobody = hearing.records(page, known(page[2]))
    assert first.mention.text == "Write to [email] about the parking please"
    assert slugs(first.signals) == ["parking"]
    assert isinstance(first.signals.purpose, Purpose)
    assert first.pseudonym not in (None, "a1")
    assert (first.own, own.own, nobody.own) == (False, True, False)
    assert (nobody.pseudonym, nobody.signals) == (None, None)
    assert own.day == local_day(fake.START, ZoneInfo("America/Toronto"))


def test_a_pseudonym_is_of_the_organizations_own_week(fake, hearing):
    def pseudonym(published_at, made_by=hearing):
        (record,) = made_by.records([fake.make_mention(1, published_at=published_at)], {})
        return record.pseudonym

    monday = fake.START.replace(hour=3)  # in Toronto it is still Sunday
    assert pseudonym(monday) == pseudonym(monday - timedelta(days=1))
    assert pseudonym(monday) != pseudonym(monday + timedelta(hours=3))
    stable = replace(hearing, author_key="stable")
    assert pseudonym(monday, stable) == pseudonym(monday + timedelta(days=30), stable)
