"""save_page: what is stored, what is counted, and that an equal row costs no write."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select, text

from listener.coverage import Spans
from listener.mention import Author, Kind, Metrics, Purpose, Sentiment, Source
from listener.signals.topics import TopicHit
from listener.usage import Usage
from storage import schema
from storage.store import CoverageDay, MentionStore, PageCounts, Record, text_fingerprint

if TYPE_CHECKING:
    from listener.signals.analysis import Signals

EARLY = datetime(2026, 11, 9, 8, tzinfo=UTC)
LATE = datetime(2026, 11, 9, 9, tzinfo=UTC)


def all_of(store: MentionStore, table: Any) -> list[dict[str, Any]]:
    with store.database.read() as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(*table.c)).mappings()]


def only(store: MentionStore, table: Any) -> dict[str, Any]:
    (row,) = all_of(store, table)
    return row


@pytest.mark.parametrize("name", ['a"b', "a'b", "a\\b", "[1]", "%s", "{,}", "é\u2028", "🙂", "\x1f", "1e3", ""])
def test_a_mention_is_known_by_whatever_id_it_has(pulling: Any, record: Callable[..., Record], name: str) -> None:
    assert pulling.save(record(name), record("other")) == PageCounts(inserted=2)
    assert pulling.save(record(name)) == PageCounts(unchanged=1)
    assert pulling.store.known("twitter", [name, "none"]) == {name: text_fingerprint("parking was hard")}


def test_a_nul_in_an_id_does_not_cut_it(pulling: Any, record: Callable[..., Record]) -> None:
    if not pulling.store.database.is_sqlite:
        pytest.skip("PostgreSQL takes no NUL")
    assert pulling.save(record("a\0b"), record("a")) == PageCounts(inserted=2)
    assert pulling.save(record("a\0b"), record("a\0c")) == PageCounts(inserted=1, unchanged=1)


def topics_of(store: MentionStore) -> set[tuple[str, str]]:
    query = select(schema.topics.c.slug, schema.mention_topics.c.source).join(
        schema.mention_topics, schema.mention_topics.c.topic_id == schema.topics.c.id
    )
    with store.database.read() as connection:
        return {(slug, source) for slug, source in connection.execute(query)}


def clean(store: MentionStore) -> None:
    store.roll_up()
    assert all_of(store, schema.dirty_days) == []


def test_everything_of_a_mention_is_stored(pulling: Any, record: Callable[..., Record], signals: Any) -> None:
    heard = signals(
        "parking",
        "food-drink",
        purpose=Purpose.EXPERIENCE,
        purpose_score=0.75,
        needs_review=True,
        sentiment=Sentiment.NEGATIVE,
        sentiment_score=-0.5,
        positive_part=0.25,
        negative_part=0.5,
        version="2026.2+models-1",
    )
    arrived = record(
        "t3_x",
        "the lot 🅿 was full",
        channel="reddit",
        kind=Kind.COMMENT,
        edited_at=LATE,
        permalink="https://example.org/x",
        parent_external_id="t3_p",
        conversation_id="t3_c",
        metrics=Metrics(likes=3, replies=2, views=2**40),
        signals=heard,
    )
    assert pulling.save(arrived) == PageCounts(inserted=1)
    row = only(pulling.store, schema.mentions)
    assert (
        row
        | {
            "external_id": "t3_x",
            "kind": "comment",
            "published_at": arrived.mention.published_at,
            "edited_at": LATE,
            "removed_at": None,
            "language": "en",
            "purpose": "experience",
            "purpose_score": 0.75,
            "needs_review": True,
            "sentiment": "negative",
            "sentiment_score": -0.5,
            "positive_part": 0.25,
            "negative_part": 0.5,
            "signals_version": "2026.2+models-1",
            "text": "the lot 🅿 was full",
            "text_fingerprint": text_fingerprint("the lot 🅿 was full"),
            "permalink": "https://example.org/x",
            "parent_external_id": "t3_p",
            "conversation_id": "t3_c",
            "first_seen_at": pulling.clock.now(),
            "changed_at": pulling.clock.now(),
            "checked_at": pulling.clock.now(),
        }
        == row
    )
    metrics = only(pulling.store, schema.mention_metrics)
    assert (metrics["likes"], metrics["replies"], metrics["shares"], metrics["views"]) == (3, 2, None, 2**40)
    assert only(pulling.store, schema.authors)["pseudonym"] == "p1"
    assert topics_of(pulling.store) == {("parking", "rule"), ("food-drink", "rule")}
    phrases = {tuple(row["phrases"]) for row in all_of(pulling.store, schema.mention_topics)}
    assert phrases == {("parking",), ("food drink",)}
    link = only(pulling.store, schema.mention_organizations)
    assert (link["day"], link["own"]) == (arrived.day, False)
    assert only(pulling.store, schema.dirty_days)["day"] == arrived.day


def test_an_equal_page_writes_nothing_but_its_place(pulling: Any, record: Callable[..., Record]) -> None:
    page = [record(str(n), metrics=Metrics(likes=n)) for n in range(5)]
    pulling.save(*page)
    clean(pulling.store)
    tables = (schema.mentions, schema.mention_metrics, schema.mention_topics, schema.mention_organizations)
    before = [all_of(pulling.store, table) for table in tables]
    pulling.later(hours=1)
    assert pulling.save(*page) == PageCounts(unchanged=5)
    assert [all_of(pulling.store, table) for table in tables] == before
    assert all_of(pulling.store, schema.dirty_days) == []


def test_an_edit_replaces_text_and_topics_but_a_persons_tags_stay(
    pulling: Any, record: Callable[..., Record], signals: Callable[..., Signals]
) -> None:
    pulling.save(record(text="parking", signals=signals("parking")))
    mention = only(pulling.store, schema.mentions)
    with pulling.store.database.write() as connection:
        cost = connection.execute(
            select(schema.topics.c.id).where(schema.topics.c.slug == "costs-billing")
        ).scalar_one()
        connection.execute(
            insert(schema.mention_topics).values(
                mention_id=mention["id"], topic_id=cost, source="human", score=1.0, phrases=[]
            )
        )
    clean(pulling.store)
    pulling.later(hours=1)
    edited = record(text="food", edited_at=LATE, signals=signals("food-drink", language="fr"), pseudonym="p2")
    assert pulling.save(edited) == PageCounts(updated=1)
    after = only(pulling.store, schema.mentions)
    assert (after["text"], after["edited_at"], after["language"]) == ("food", LATE, "fr")
    assert after["changed_at"] == pulling.clock.now() != after["first_seen_at"]
    assert after["author_id"] == mention["author_id"]
    assert topics_of(pulling.store) == {("food-drink", "rule"), ("costs-billing", "human")}
    assert len(all_of(pulling.store, schema.dirty_days)) == 1


def test_an_edit_and_a_restored_text_are_heard_whole(
    pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record], signals: Callable[..., Signals]
) -> None:
    def heard() -> tuple[Any, ...]:
        row = only(pulling.store, schema.mentions)
        names = ("purpose", "purpose_score", "needs_review", "positive_part", "negative_part", "signals_version")
        return tuple(row[name] for name in names)

    sure = {"purpose": Purpose.QUESTION, "purpose_score": 0.75, "positive_part": 0.5, "negative_part": 0.25}
    pulling.save(record(signals=signals(**sure, version="1")))
    assert heard() == ("question", 0.75, False, 0.5, 0.25, "1")
    pulling.save(record(text="edited", edited_at=LATE, signals=signals(needs_review=True, version="2")))
    assert heard() == (None, None, True, None, None, "2")
    pulling.save(tombstone())
    assert heard() == (None, None, True, None, None, "2")
    pulling.save(record(text="back", edited_at=LATE, signals=signals(**sure, version="3")))
    assert heard() == ("question", 0.75, False, 0.5, 0.25, "3")
    pulling.save(tombstone("never seen"))
    gone = all_of(pulling.store, schema.mentions)[1]
    assert (gone["purpose"], gone["needs_review"], gone["signals_version"]) == (None, False, None)


PLACE = {"permalink": "https://example.org/x", "parent_external_id": "t3_p", "conversation_id": "t3_c"}


@pytest.mark.parametrize("restored", [False, True])
def test_what_a_later_copy_leaves_out_is_kept(
    pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record], restored: bool
) -> None:
    pulling.save(record(**PLACE))
    if restored:
        pulling.save(tombstone())
    assert pulling.save(record(text="edited", edited_at=LATE)) == PageCounts(updated=1)
    row = only(pulling.store, schema.mentions)
    known = PLACE | ({"permalink": None} if restored else {})
    assert row | known | {"text": "edited"} == row
    assert pulling.save(record(text="again", edited_at=LATE, conversation_id="t3_d")) == PageCounts(updated=1)
    assert only(pulling.store, schema.mentions) | known | {"conversation_id": "t3_d"} == row | {
        "text": "again",
        "text_fingerprint": text_fingerprint("again"),
        "conversation_id": "t3_d",
    }


def test_a_mark_alone_is_an_update_that_keeps_what_was_heard(
    pulling: Any, record: Callable[..., Record], signals: Callable[..., Signals]
) -> None:
    pulling.save(record(signals=signals("parking", language="fr", sentiment=Sentiment.POSITIVE)))
    assert pulling.save(record(heard=False, edited_at=LATE)) == PageCounts(updated=1)
    after = only(pulling.store, schema.mentions)
    assert (after["edited_at"], after["language"], after["sentiment"]) == (LATE, "fr", "positive")
    assert topics_of(pulling.store) == {("parking", "rule")}


def test_metrics_are_followed(pulling: Any, record: Callable[..., Record]) -> None:
    assert pulling.save(record(), record("2", metrics=Metrics(likes=1, views=7))) == PageCounts(inserted=2)
    pulling.later(hours=1)
    page = [record(metrics=Metrics(shares=1)), record("2", metrics=Metrics(likes=2))]
    assert pulling.save(*page) == PageCounts(updated=2)
    rows = all_of(pulling.store, schema.mention_metrics)
    assert [(row["likes"], row["shares"], row["views"]) for row in rows] == [(None, 1, None), (2, None, 7)]
    assert {row["observed_at"] for row in rows} == {pulling.clock.now()}


def test_a_tombstone_loses_text_author_and_link_and_keeps_its_counts(
    pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record]
) -> None:
    pulling.save(record(permalink="https://example.org", metrics=Metrics(likes=4)))
    clean(pulling.store)
    assert pulling.save(tombstone(at=LATE)) == PageCounts(updated=1)
    row = only(pulling.store, schema.mentions)
    assert (row["text"], row["text_fingerprint"], row["author_id"], row["permalink"]) == ("", "", None, None)
    assert (row["removed_at"], row["language"]) == (LATE, "en")
    assert row["published_at"] == record().mention.published_at
    assert topics_of(pulling.store) == {("parking", "rule")}
    assert only(pulling.store, schema.mention_metrics)["likes"] == 4
    assert len(all_of(pulling.store, schema.dirty_days)) == 1
    assert pulling.save(tombstone(at=LATE + timedelta(hours=1))) == PageCounts(unchanged=1)
    assert only(pulling.store, schema.mentions)["removed_at"] == LATE


def test_a_removed_mention_that_is_shown_again_is_restored(
    pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record], signals: Any
) -> None:
    pulling.save(record())
    pulling.save(tombstone())
    assert pulling.save(record(text="back", signals=signals("pain"))) == PageCounts(updated=1)
    row = only(pulling.store, schema.mentions)
    assert (row["text"], row["removed_at"], row["author_id"] is None) == ("back", None, False)
    assert topics_of(pulling.store) == {("pain", "rule")}


def test_a_text_without_words_is_restored_as_it_was_heard(
    pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record], signals: Any
) -> None:
    pulling.save(record(text="", signals=signals("parking", sentiment=Sentiment.NEUTRAL)))
    pulling.save(tombstone())
    assert pulling.save(record(text="", heard=False, pseudonym=None)) == PageCounts(updated=1)
    row = only(pulling.store, schema.mentions)
    assert (row["removed_at"], row["author_id"], row["sentiment"]) == (None, None, "neutral")


def test_a_tombstone_seen_first_is_stored_as_one(pulling: Any, tombstone: Callable[..., Record]) -> None:
    assert pulling.save(tombstone(permalink="https://example.org")) == PageCounts(inserted=1)
    row = only(pulling.store, schema.mentions)
    assert (row["text"], row["permalink"], row["author_id"]) == ("", None, None)
    assert len(all_of(pulling.store, schema.dirty_days)) == 1


def test_an_older_copy_does_not_undo_an_edit(pulling: Any, record: Callable[..., Record]) -> None:
    pulling.save(record(text="second", edited_at=LATE))
    assert pulling.save(record(text="first", edited_at=EARLY)) == PageCounts(unchanged=1)
    assert only(pulling.store, schema.mentions)["text"] == "second"


def test_copies_in_one_page_count_once(
    pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record]
) -> None:
    page = [record("1", "a"), tombstone("2"), record("1", "b"), record("2", "x"), record("3", "c")]
    assert pulling.save(*page) == PageCounts(inserted=3, unchanged=2)
    rows = {row["external_id"]: row["text"] for row in all_of(pulling.store, schema.mentions)}
    assert rows == {"1": "b", "2": "", "3": "c"}


def test_another_organization_adds_its_link(
    pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record]
) -> None:
    at = datetime(2026, 11, 9, 23, tzinfo=UTC)
    pulling.save(record(at=at), record("gone", at=at))
    pulling.save(tombstone("gone"))
    clean(pulling.store)
    theirs = record(at=at, zone="Europe/Athens", own=True)
    page = [theirs, tombstone("gone")]
    assert pulling.save(*page, organization="general") == PageCounts(updated=1, unchanged=1)
    links = all_of(pulling.store, schema.mention_organizations)
    assert [(row["day"], row["own"]) for row in links[:2]] == [(theirs.day - 1, False), (theirs.day, True)]
    assert len(links) == 3
    dirty = {row["day"] for row in all_of(pulling.store, schema.dirty_days)}
    assert dirty == {theirs.day, theirs.day - 1}
    assert pulling.save(theirs, organization="general") == PageCounts(unchanged=1)


def test_an_account_that_turns_out_to_be_the_organizations_own(
    pulling: Any, record: Callable[..., Record]
) -> None:
    pulling.save(record())
    clean(pulling.store)
    assert pulling.save(record(own=True)) == PageCounts(updated=1)
    assert only(pulling.store, schema.mention_organizations)["own"] is True
    assert len(all_of(pulling.store, schema.dirty_days)) == 1
    assert pulling.save(record(author=None)) == PageCounts(unchanged=1)
    assert only(pulling.store, schema.mention_organizations)["own"] is True
    assert pulling.save(record(author=Author(id="somebody else"))) == PageCounts(updated=1)
    assert only(pulling.store, schema.mention_organizations)["own"] is False


def test_a_change_marks_the_days_of_every_organization(pulling: Any, record: Callable[..., Record]) -> None:
    pulling.save(record())
    pulling.save(record(), organization="general")
    clean(pulling.store)
    pulling.save(record(metrics=Metrics(likes=1)))
    assert len({row["organization_id"] for row in all_of(pulling.store, schema.dirty_days)}) == 2


def test_the_page_and_its_place_are_one(pulling: Any, record: Callable[..., Record]) -> None:
    """Cursor, coverage, newest mention and the run's counts are kept with the data, or not at all."""
    span = Spans.of([(EARLY, LATE)])
    days = [CoverageDay(20766, 3600, 0), CoverageDay(20767, 10, 5)]
    pulling.save(
        record(), cursor={"next": "a"}, coverage=span, coverage_days=days, usage=Usage(requests=2), skipped=3
    )
    pulling.save(record("2", at=EARLY), cursor={"next": "b"}, coverage_days=[CoverageDay(20766, 7200, 1)])
    state = pulling.store.stream(
        organization="st-elsewhere", channel="twitter", kind="search", query="q", options={}, key="k1"
    )
    assert (state.cursor, state.coverage) == ({"next": "b"}, span)
    assert state.newest_published_at == record().mention.published_at
    rows = all_of(pulling.store, schema.coverage_days)
    assert [(row["day"], row["covered_seconds"], row["lost_seconds"]) for row in rows] == [
        (20766, 7200, 1),
        (20767, 10, 5),
    ]
    run = only(pulling.store, schema.runs)
    assert run | {"pages": 2, "fetched": 2, "inserted": 2, "skipped": 3, "requests": 1, "outcome": None} == run

    broken = record("3", at=LATE)
    with pytest.raises(LookupError, match="no stream 99"):
        pulling.store.save_page(
            stream_id=99, run_id=1, records=[broken], cursor={"next": "c"}, usage=Usage(requests=9)
        )
    wrong = record("4", language="x", kind=Kind.POST)
    object.__setattr__(wrong, "day", None)
    with pytest.raises(Exception, match=r"(?i)null"):
        pulling.save(record("5"), wrong, cursor={"next": "d"}, usage=Usage(requests=9))
    assert only(pulling.store, schema.runs) == run
    assert len(all_of(pulling.store, schema.mentions)) == 2
    again = pulling.store.stream(
        organization="st-elsewhere", channel="twitter", kind="search", query="q", options={}, key="k1"
    )
    assert again == state


def test_an_empty_page_keeps_its_cursor(pulling: Any) -> None:
    assert pulling.save(cursor={"next": "x"}) == PageCounts()
    assert pulling.store.status()[0].has_cursor


def test_topics_must_have_been_declared(pulling: Any, record: Callable[..., Record], signals: Any) -> None:
    with pytest.raises(LookupError, match="not declared to the store: teleportation"):
        pulling.save(record(signals=signals("teleportation")))


def test_a_model_may_name_a_topic_that_a_rule_named(
    pulling: Any, record: Callable[..., Record], signals: Any
) -> None:
    both = (TopicHit("parking", 1.0, Source.RULE, ("parking",)), TopicHit("parking", 0.7, Source.MODEL, ()))
    heard = signals()
    object.__setattr__(heard, "topics", both)
    pulling.save(record(signals=heard))
    assert topics_of(pulling.store) == {("parking", "rule"), ("parking", "model")}


def test_ten_thousand_at_once(pulling: Any, record: Callable[..., Record]) -> None:
    page = [record(f"id{n}", f"text {n}", pseudonym=f"p{n % 4000}") for n in range(10_000)]
    assert pulling.save(*page) == PageCounts(inserted=10_000)
    assert pulling.save(*page) == PageCounts(unchanged=10_000)
    changed = [record(f"id{n}", f"other {n}", metrics=Metrics(likes=n)) for n in range(10_000)]
    assert pulling.save(*changed) == PageCounts(updated=10_000)
    assert len(all_of(pulling.store, schema.authors)) == 4000
    known = pulling.store.known("twitter", [f"id{n}" for n in range(10_001)])
    assert known == {f"id{n}": text_fingerprint(f"other {n}") for n in range(10_000)}
    assert pulling.store.known("reddit", ["id1"]) == {}
    assert pulling.store.known("nowhere", ["id1"]) == {}


def test_writers_side_by_side_neither_fail_nor_double(
    pulling: Any, record: Callable[..., Record], store_url: str
) -> None:
    pulling.stream()
    pulling.stream("general")

    def write(organization: str, likes: int) -> int:
        inserted = 0
        with MentionStore.open(store_url, clock=pulling.clock) as store:
            stream_id, run_id = pulling.runs[organization, "twitter"]
            for first in range(0, 200, 20):
                numbers = range(first, first + 40)
                page = [record(str(n), pseudonym=f"p{n}", metrics=Metrics(likes=likes)) for n in numbers]
                inserted += store.save_page(
                    stream_id=stream_id, run_id=run_id, records=page, cursor={}, usage=Usage()
                ).inserted
                store.roll_up()
        return inserted

    with ThreadPoolExecutor(3) as pool:
        inserted = pool.map(write, ("st-elsewhere", "st-elsewhere", "general"), (1, 2, 3))
        assert sum(inserted) == 220
    assert len(all_of(pulling.store, schema.mentions)) == 220
    assert len(all_of(pulling.store, schema.authors)) == 220
    assert len(all_of(pulling.store, schema.mention_organizations)) == 440
    pulling.store.roll_up()
    rolled = all_of(pulling.store, schema.weekly_volume)
    pulling.store.rebuild_rollups()
    assert all_of(pulling.store, schema.weekly_volume) == rolled


def test_recheck_follows_edits_and_removals_for_every_organization(
    pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record], signals: Any
) -> None:
    store = pulling.store
    pulling.save(record("1"), record("2"), record("3", at=EARLY))
    pulling.save(record("1"), organization="general")
    clean(store)
    pulling.later(hours=1)
    due = {"published_since": EARLY, "checked_before": pulling.clock.now(), "limit": 10}
    assert store.due_for_recheck("twitter", **due) == ["1", "2", "3"]
    assert store.due_for_recheck("twitter", **due | {"limit": 2}) == ["1", "2"]
    assert store.due_for_recheck("twitter", **due | {"published_since": LATE}) == ["1", "2"]
    chosen = due | {"limit": 1, "is_due": lambda published_at, checked_at: published_at < LATE < checked_at}
    assert store.due_for_recheck("twitter", **chosen) == ["3"]
    found = [
        (record("1", "edited", edited_at=LATE).mention, signals("pain")),
        (tombstone("2").mention, None),
        (record("unknown", "x").mention, signals()),
    ]
    _, run_id = pulling.stream()
    before = all_of(store, schema.runs)[run_id - 1]
    usage = Usage(requests=7)
    assert store.save_recheck("twitter", found, run_id=run_id, usage=usage, skipped=1) == PageCounts(
        updated=2, unchanged=1
    )
    counted = {"pages": before["pages"] + 1, "fetched": before["fetched"] + 3, "skipped": 1, "requests": 7}
    assert all_of(store, schema.runs)[run_id - 1].items() >= counted.items()
    assert store.due_for_recheck("twitter", **due) == ["3"]
    assert len({row["organization_id"] for row in all_of(store, schema.dirty_days)}) == 2
    assert [row["text"] for row in all_of(store, schema.mentions)] == ["edited", "", "parking was hard"]
    pulling.later(hours=1)
    later = due | {"checked_before": pulling.clock.now()}
    assert store.due_for_recheck("twitter", **later) == ["3", "1"]
    store.mark_checked("twitter", ["3", "unknown"])
    store.mark_checked("nowhere", ["3"])
    assert store.due_for_recheck("twitter", **later) == ["1"]
    assert store.save_recheck("nowhere", found, run_id=run_id, usage=usage) == PageCounts(unchanged=3)


def test_an_author_whom_no_mention_names_any_more_is_forgotten(
    pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record]
) -> None:
    def known() -> list[str]:
        return sorted(row["pseudonym"] for row in all_of(pulling.store, schema.authors))

    pulling.save(record("1"), record("2"), record("3", pseudonym="p2"), record("4", pseudonym=None))
    pulling.save(tombstone("1"), tombstone("3"), tombstone("4"))
    assert known() == ["p1"]
    pulling.save(tombstone("2"), record("5", pseudonym="p3"))
    assert known() == ["p3"]
    pulling.save(tombstone("5"), record("6", pseudonym="p3"), record("2"))
    assert known() == ["p1", "p3"]
    assert len({row["author_id"] for row in all_of(pulling.store, schema.mentions)} - {None}) == 2


def test_rows_stand_as_the_driver_would_write_them(pulling: Any, record: Callable[..., Record]) -> None:
    """COPY and executemany leave the same bytes: a moment has its zone, JSON is JSON."""
    pulling.save(record(text='a\tb\n\\N "c"'))
    assert only(pulling.store, schema.mentions)["text"] == 'a\tb\n\\N "c"'
    with pulling.store.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM mentions WHERE text LIKE 'a%'")).scalar_one() == 1
