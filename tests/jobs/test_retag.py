"""Stored mentions are heard again: what changes, what stays, and that it may be killed anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from jobs import leases
from jobs.ingest import ingest
from jobs.retag import VolumeMove, retag
from jobs.rollup import roll_up
from listener.errors import LeaseHeld
from listener.mention import Purpose, Sentiment, Source
from listener.signals.analysis import Signals
from listener.signals.topics import TopicHit
from storage import schema
from storage.queries import Filters, rows, signal_changes
from storage.store import MentionStore

VISIT = "My mother was in hospital for a week and I paid for parking every day"
HIT = {name: TopicHit(name, 0.9, Source.MODEL, ()) for name in ("parking", "food-drink", "pain")}


@dataclass
class FakeAnalyzer:
    """Hears what it is told to by a word of the text; holds what it was asked."""

    version: str = "2"
    by_word: dict[str, Signals] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    before: Any = None

    def analyze_many(self, texts: Sequence[str], hints: Sequence[str | None]) -> list[Signals]:
        if self.before:
            self.before(texts)
        self.asked += zip(texts, hints, strict=True)
        return [self._hear(text) for text in texts]

    def _hear(self, text: str) -> Signals:
        heard = next((signals for word, signals in self.by_word.items() if word in text), Signals("en"))
        return replace(heard, version=self.version)


@pytest.fixture
def store(either_store: MentionStore) -> MentionStore:
    return either_store


@pytest.fixture
def heard(fake, feed, store, settings, clock, platforms):
    """Ten experiences, one a day, counted: parking in all, food in each third."""
    feed.mentions = [
        fake.make_mention(
            number,
            text=f"{VISIT}, number {number} {'and for food' if number % 3 == 0 else ''}",
            published_at=fake.START - timedelta(days=number),
        )
        for number in range(10)
    ]
    ingest(settings, store, clock=clock, platforms=platforms)
    roll_up(store)
    return store


@pytest.fixture
def again(settings, store, clock, platforms):
    def run(analyzer: FakeAnalyzer, **options: Any) -> Any:
        values = {"settings": settings, "store": store, "clock": clock, "platforms": platforms, **options}
        return retag(values.pop("settings"), values.pop("store"), analyzer=analyzer, **values)

    return run


@pytest.fixture
def new() -> FakeAnalyzer:
    """Parking is of no concern to it, food is, and number 1 is an advertisement, number 2 uncertain."""
    food = Signals("en", (HIT["food-drink"],), purpose=Purpose.EXPERIENCE, sentiment=Sentiment.NEGATIVE)
    return FakeAnalyzer(
        by_word={
            "food": food,
            "number 1": Signals("en", (HIT["parking"],), purpose=Purpose.PROMOTION, purpose_score=0.9),
            "number 2": Signals("en", (HIT["parking"],), purpose=Purpose.NEWS, needs_review=True),
        }
    )


def mentions_of(store):
    return {row["external_id"]: row for row in rows(store, Filters())}


def volumes(store):
    found = {}
    with store.database.read() as connection:
        for table, period in ((schema.daily_volume, "day"), (schema.weekly_volume, "week")):
            query = select(table, schema.topics.c.slug).join(schema.topics, schema.topics.c.id == table.c.topic_id)
            for row in connection.execute(query).mappings():
                found[period, row[period], row["organization_id"], row["slug"]] = row["mentions"]
    return found


def by_topic(store):
    sums: dict[str, int] = {}
    for (period, _, _, topic), count in volumes(store).items():
        if period == "day":
            sums[topic] = sums.get(topic, 0) + count
    return sums


def dirty(store):
    with store.database.read() as connection:
        return sorted(connection.execute(select(schema.dirty_days.c.day)).scalars())


def test_everything_is_heard_again_and_counted(heard, again, new):
    told = []
    report = again(new, chunk=4, progress=lambda done, total: told.append((done, total)))
    assert (report.version, report.mentions, report.changed, report.days) == ("2", 10, 10, 10)
    assert told == [(4, 10), (8, 10), (10, 10)]
    found = mentions_of(heard)
    assert {row["signals_version"] for row in found.values()} == {"2"}
    assert (found["m0"]["topics"], found["m0"]["purpose"], found["m0"]["sentiment"]) == (
        *(["food-drink"], "experience", "negative"),
    )
    assert (found["m1"]["purpose"], found["m1"]["purpose_score"]) == ("promotion", 0.9)
    assert found["m2"]["needs_review"] is True
    counted = {"all": 10, "(care)": 4, "food-drink": 4, "(untagged)": 4, "(other purposes)": 1, "(to review)": 1}
    assert by_topic(heard) == counted
    assert dirty(heard) == []
    counted = volumes(heard)
    roll_up(heard, rebuild=True)
    assert volumes(heard) == counted


def test_texts_are_heard_as_they_are_stored_with_their_language(heard, again, new):
    texts = {row["text"] for row in mentions_of(heard).values()}
    again(new)
    assert {text for text, _ in new.asked} == texts
    assert {language for _, language in new.asked} == {"en"}


def test_twice_is_once(heard, again, new):
    again(new)
    before = mentions_of(heard)
    changes = signal_changes(heard)
    new.asked.clear()
    report = again(new)
    assert (report.mentions, report.changed, report.days, new.asked) == (0, 0, 0, [])
    assert mentions_of(heard) == before
    assert signal_changes(heard) == changes


def test_what_is_heard_as_before_is_not_counted_again(heard, again, new):
    again(new)
    new.version = "3"
    new.by_word["number 1"] = replace(new.by_word["number 1"], purpose=Purpose.NEWS)
    report = again(new)
    assert (report.mentions, report.changed, report.days) == (10, 1, 1)
    assert {row["signals_version"] for row in mentions_of(heard).values()} == {"3"}


def test_a_day_and_a_version_choose(heard, again, new, clock):
    report = again(new, since=date(2026, 10, 30))
    assert report.mentions == 4
    versions = {external_id: row["signals_version"] for external_id, row in mentions_of(heard).items()}
    assert {name for name, version in versions.items() if version == "2"} == {"m0", "m1", "m2", "m3"}
    assert signal_changes(heard)[-1].since_day == (date(2026, 10, 30) - date(1970, 1, 1)).days
    new.version = "3"
    assert again(new, topic_version="2").mentions == 4
    assert again(new, topic_version="unheard of").mentions == 0
    # Heard once more by the same version, where somebody asks for it.
    assert again(new, topic_version="3").mentions == 4
    assert again(new).mentions == 6


def test_tombstones_and_what_people_said_stay(heard, again, new, feed, fake, settings, clock, platforms):
    feed.mentions.append(replace(feed.mentions[4], text="", author=None, removed_at=clock.now()))
    ingest(settings, heard, clock=clock, platforms=platforms)
    with heard.database.write() as connection:
        ids = {row.external_id: row.id for row in connection.execute(select(schema.mentions))}
        slugs = {row.slug: row.id for row in connection.execute(select(schema.topics))}
        for slug in ("pain", "food-drink"):
            tag = {"mention_id": ids["m0"], "topic_id": slugs[slug], "source": "human", "score": 1.0}
            connection.execute(insert(schema.mention_topics).values(**tag, phrases=[]))
    gone = mentions_of(heard)["m4"]
    assert again(new).mentions == 9
    found = mentions_of(heard)
    assert found["m4"] == gone
    assert found["m4"]["topics"] == ["parking"]
    assert found["m0"]["topics"] == ["food-drink", "pain"]
    with heard.database.read() as connection:
        sources = connection.execute(
            select(schema.mention_topics.c.source).where(schema.mention_topics.c.mention_id == ids["m0"])
        )
        assert sorted(sources.scalars()) == ["human", "human", "model"]


def test_a_platform_that_forbids_derived_metrics_has_its_language_alone(heard, again, new, fake):
    settings = fake.make_settings(connectors={"birdsong": {"derived_metrics": False}})
    again(new, settings=settings)
    for row in mentions_of(heard).values():
        assert (row["language"], row["signals_version"], row["topics"], row["purpose"]) == ("en", "2", [], None)
    assert by_topic(heard) == {"all": 10, "(untagged)": 10}


def test_a_language_that_is_not_heard_again_stays(heard, again):
    again(FakeAnalyzer(by_word={"parking": Signals(None)}))
    assert {row["language"] for row in mentions_of(heard).values()} == {"en"}


class KilledError(BaseException):
    pass


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_killed_anywhere_it_goes_on_from_there(heard, again, new, chunks):
    calls = []

    def kill(texts):
        calls.append(texts)
        if len(calls) > chunks:
            raise KilledError

    new.before = kill
    with pytest.raises(KilledError):
        again(new, chunk=3)
    done = [row for row in mentions_of(heard).values() if row["signals_version"] == "2"]
    assert len(done) == 3 * chunks
    # Each chunk is whole: its days are marked with it.
    assert len(dirty(heard)) == 3 * chunks
    new.before = None
    new.asked.clear()
    assert again(new, chunk=3).mentions == 10 - 3 * chunks
    assert len(new.asked) == 10 - 3 * chunks
    assert by_topic(heard)["food-drink"] == 4
    assert signal_changes(heard)[-1].since_day is None


def test_killed_after_the_last_chunk_the_change_is_still_written(heard, again, new, monkeypatch):
    def kill(done, total):
        if done == total:
            raise KilledError

    with pytest.raises(KilledError):
        again(new, progress=kill)
    assert [one for one in signal_changes(heard) if one.to_version == "2"] == []
    report = again(new)
    assert (report.mentions, report.days) == (0, 10)
    assert (signal_changes(heard)[-1].to_version, signal_changes(heard)[-1].since_day) == ("2", None)


def test_a_chunk_that_fails_leaves_nothing_of_it(heard, again, new):
    new.by_word["number 9"] = Signals("en", (TopicHit("teleportation", 1.0, Source.MODEL, ()),))
    new.by_word.pop("food")
    before = mentions_of(heard)
    with pytest.raises(LookupError, match="not declared to the store: teleportation"):
        again(new)
    assert mentions_of(heard) == before
    assert dirty(heard) == []


def test_what_is_edited_meanwhile_is_not_written_over(heard, again, new, feed, fake, settings, clock, platforms):
    """Number 5 is edited while it is heard, by a program of before; number 6 is removed."""

    def edit(_texts):
        new.before = None
        later = clock.now()
        feed.mentions += [
            replace(feed.mentions[5], text="There is food now", edited_at=later),
            replace(feed.mentions[6], text="", author=None, removed_at=later),
        ]
        ingest(settings, heard, clock=clock, platforms=platforms)

    new.before = edit
    report = again(new)
    found = mentions_of(heard)
    assert (found["m5"]["text"], found["m5"]["topics"]) == ("There is food now", ["food-drink"])
    assert found["m5"]["signals_version"] == "2"
    assert found["m6"]["topics"] == ["food-drink", "parking"]
    assert report.mentions == 9
    assert signal_changes(heard)[-1].since_day is None


def test_two_do_not_run_at_once(heard, again, new, clock):
    with leases.held(heard, "retag", timedelta(minutes=5), clock), pytest.raises(LeaseHeld, match="retag"):
        again(new)
    assert new.asked == []
    assert again(new).mentions == 10


def test_a_rehearsal_tells_what_would_move_and_writes_nothing(heard, again, new):
    before, counted = mentions_of(heard), volumes(heard)
    report = again(new, dry_run=True, chunk=3)
    assert (report.mentions, report.changed, report.days) == (10, 10, 0)
    assert report.volumes == (
        VolumeMove("all", 10, 10),
        VolumeMove("(care)", 10, 4),
        VolumeMove("parking", 10, 0),
        VolumeMove("food-drink", 4, 4),
        VolumeMove("(untagged)", 0, 4),
        VolumeMove("(other purposes)", 0, 1),
        VolumeMove("(to review)", 0, 1),
    )
    assert (mentions_of(heard), volumes(heard)) == (before, counted)
    assert heard.lease_owner("retag") is None
    again(new)
    assert by_topic(heard) == {move.topic: move.after for move in report.volumes if move.after}


def test_a_rehearsal_from_a_day_on_is_of_those_days(heard, again, new):
    report = again(new, dry_run=True, since=date(2026, 11, 1))
    assert report.mentions == 2
    assert {move.topic: (move.before, move.after) for move in report.volumes} == {
        "all": (2, 2),
        "(care)": (2, 1),
        "parking": (2, 0),
        "food-drink": (1, 1),
        "(other purposes)": (0, 1),
    }


def test_a_mention_of_two_hospitals_moves_twice_and_ones_own_not_at_all(
    again, new, fake, feed, store, clock, platforms
):
    settings = fake.make_settings(
        fake.make_organization(), fake.make_organization("mercy", own_accounts={"birdsong": ["a1"]})
    )
    feed.mentions = [fake.make_mention(number, text=f"{VISIT} and for food {number}") for number in range(3)]
    ingest(settings, store, clock=clock, platforms=platforms)
    report = again(new, settings=settings, dry_run=True)
    assert {move.topic: (move.before, move.after) for move in report.volumes} == {
        "all": (5, 5),
        "(care)": (5, 5),
        "parking": (5, 0),
        "food-drink": (5, 5),
    }
    again(new, settings=settings)
    assert by_topic(store) == {"all": 5, "(care)": 5, "food-drink": 5}


def test_an_empty_store_has_nothing_to_hear(store, again, new):
    assert again(new, dry_run=True).volumes == ()
    assert again(new).mentions == 0
