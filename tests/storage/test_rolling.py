"""The rollup counts what is there: by hand, against a naive recount, and incrementally as from scratch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, insert, select, update

from listener.calendar import week_of_day
from listener.errors import StoreError
from listener.mention import Metrics, Purpose, Sentiment
from storage import correcting, retagging, rolling, schema
from storage.correcting import Correction, Name
from storage.counting import counts as is_counted
from storage.counting import places
from storage.queries import WeeklyVolume, weekly_volume
from storage.store import MentionStore, Record
from storage.totals import sum_totals

MONDAY = datetime(2026, 11, 9, 12, tzinfo=UTC)
WEEK = week_of_day(20766)


def counts(store: MentionStore) -> dict[str, set[tuple[Any, ...]]]:
    with store.database.read() as connection:
        return {
            table.name: {tuple(row) for row in connection.execute(select(table))}
            for table in (
                *(schema.daily_volume, schema.weekly_volume),
                *(schema.daily_totals, schema.weekly_totals),
            )
        }


def assert_totals_are_sums(store: MentionStore) -> None:
    """The totals added up by hand from the counts of each organization."""
    found = counts(store)
    for name in ("daily", "weekly"):
        sums: dict[tuple[int, ...], list[int]] = {}
        for _, period, channel, topic, *figures in found[f"{name}_volume"]:
            before = sums.get((period, channel, topic), [0] * len(figures))
            sums[period, channel, topic] = [one + other for one, other in zip(before, figures, strict=True)]
        assert found[f"{name}_totals"] == {(*cell, *figures) for cell, figures in sums.items()}


CARE = ("experience", "question")


def standing(purpose: str | None, needs_review: bool, tags: set[str]) -> set[str]:
    """Where a mention counts, said once more in other words."""
    if needs_review:
        return {"all", "(to review)"}
    if purpose in CARE:
        return {"all", "(care)", *(tags or {"(untagged)"})}
    return {"all", "(other purposes)"} if purpose else {"all", *(tags or {"(untagged)"})}


@pytest.mark.parametrize("purpose", [None, *Purpose])
@pytest.mark.parametrize("needs_review", [False, True])
@pytest.mark.parametrize("tags", [(), ("parking", "pain")])
def test_the_rule_in_python_is_the_rule_in_sql(
    pulling: Any,
    record: Callable[..., Record],
    signals: Any,
    purpose: Purpose | None,
    needs_review: bool,
    tags: tuple[str, ...],
) -> None:
    pulling.save(record(signals=signals(*tags, purpose=purpose, needs_review=needs_review)))
    pulling.store.roll_up()
    counted = {topic for _, _, _, topic in stored(pulling.store)}
    assert counted == places(purpose, frozenset(tags), needs_review=needs_review)
    assert counted == standing(purpose, needs_review, set(tags))
    left_out = {"(other purposes)", "(to review)"} & counted
    assert is_counted(purpose, needs_review=needs_review) == (not left_out)


def naive(store: MentionStore) -> dict[tuple[int, int, str, str], list[int]]:
    """Count mentions, authors and engagement by organization, week, channel and topic, one mention at a time."""
    links, mentions = schema.mention_organizations, schema.mentions
    found: dict[tuple[int, int, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    authors = defaultdict(set)
    with store.database.read() as connection:
        tags = defaultdict(set)
        for row in connection.execute(
            select(schema.mention_topics.c.mention_id, schema.topics.c.slug).join(
                schema.topics, schema.topics.c.id == schema.mention_topics.c.topic_id
            )
        ):
            tags[row.mention_id].add(row.slug)
        figures = {row.mention_id: row for row in connection.execute(select(schema.mention_metrics))}
        rows = connection.execute(
            select(
                links, mentions.c.author_id, mentions.c.purpose, mentions.c.needs_review, schema.channels.c.name
            )
            .join(mentions, mentions.c.id == links.c.mention_id)
            .join(schema.channels, schema.channels.c.id == mentions.c.channel_id)
        )
        for row in rows:
            if row.own:
                continue
            metrics = figures.get(row.mention_id)
            engaged = sum(getattr(metrics, name) or 0 for name in ("likes", "replies", "shares")) if metrics else 0
            for topic in standing(row.purpose, row.needs_review, tags[row.mention_id]):
                cell = (row.organization_id, week_of_day(row.day), row.name, topic)
                found[cell][0] += 1
                found[cell][2] += engaged
                if row.author_id is not None:
                    authors[cell].add(row.author_id)
    for cell, names in authors.items():
        found[cell][1] = len(names)
    return dict(found)


def stored(store: MentionStore) -> dict[tuple[int, int, str, str], list[int]]:
    volume = schema.weekly_volume
    query = (
        select(volume, schema.channels.c.name, schema.topics.c.slug)
        .join(schema.channels, schema.channels.c.id == volume.c.channel_id)
        .join(schema.topics, schema.topics.c.id == volume.c.topic_id)
    )
    with store.database.read() as connection:
        return {
            (row.organization_id, row.week, row.name, row.slug): [row.mentions, row.authors, row.engagement]
            for row in connection.execute(query)
        }


def test_a_week_by_hand(pulling: Any, record: Callable[..., Record], signals: Any) -> None:
    good = signals("parking", sentiment=Sentiment.POSITIVE, sentiment_score=0.5)
    bad = signals("parking", "food-drink", sentiment=Sentiment.NEGATIVE, sentiment_score=-0.5)
    pulling.save(
        record("1", signals=good, pseudonym="a", metrics=Metrics(likes=1, replies=2, shares=3, views=100)),
        record("2", signals=bad, pseudonym="a", at=MONDAY + timedelta(days=1)),
        record("3", signals=signals(), pseudonym="b"),
        record("4", signals=signals(sentiment=Sentiment.NEUTRAL, sentiment_score=0.0), pseudonym=None),
        record("5", signals=good, own=True),
        record("6", signals=good, pseudonym="c", at=MONDAY - timedelta(days=1)),
    )
    pulling.save(record("7", channel="reddit", signals=bad, pseudonym="a"))
    assert pulling.store.roll_up() == 3
    assert pulling.store.roll_up() == 0

    def row(channel: str, topic: str, *figures: int) -> WeeklyVolume:
        names = ("mentions", "authors", "negative", "neutral", "positive", "unscored", "engagement")
        return WeeklyVolume(week=WEEK, channel=channel, topic=topic, **dict(zip(names, figures, strict=True)))

    assert weekly_volume(pulling.store, organization="st-elsewhere", weeks=[WEEK, WEEK + 1]) == [
        row("all", "(untagged)", 2, 1, 0, 1, 0, 1, 0),
        row("all", "all", 5, 3, 2, 1, 1, 1, 6),
        row("all", "food-drink", 2, 2, 2, 0, 0, 0, 0),
        row("all", "parking", 3, 2, 2, 0, 1, 0, 6),
        row("reddit", "all", 1, 1, 1, 0, 0, 0, 0),
        row("reddit", "food-drink", 1, 1, 1, 0, 0, 0, 0),
        row("reddit", "parking", 1, 1, 1, 0, 0, 0, 0),
        row("twitter", "(untagged)", 2, 1, 0, 1, 0, 1, 0),
        row("twitter", "all", 4, 2, 1, 1, 1, 1, 6),
        row("twitter", "food-drink", 1, 1, 1, 0, 0, 0, 0),
        row("twitter", "parking", 2, 1, 1, 0, 1, 0, 6),
    ]
    assert weekly_volume(pulling.store, organization="general", weeks=[WEEK]) == []


def test_two_sources_of_one_topic_count_once(pulling: Any, record: Callable[..., Record]) -> None:
    pulling.save(record())
    with pulling.store.database.write() as connection:
        row = connection.execute(select(schema.mention_topics)).one()._asdict()
        connection.execute(insert(schema.mention_topics).values(row | {"source": "human", "phrases": []}))
    pulling.store.roll_up()
    assert {row[5] if len(row) == 11 else row[4] for row in counts(pulling.store)["daily_volume"]} == {1}


def test_a_removed_mention_goes_on_counting_without_its_author(
    pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record]
) -> None:
    pulling.save(record())
    pulling.store.roll_up()
    pulling.save(tombstone())
    pulling.store.roll_up()
    (both,) = [
        row
        for row in weekly_volume(pulling.store, organization="st-elsewhere", weeks=[WEEK])
        if (row.channel, row.topic) == ("all", "parking")
    ]
    assert (both.mentions, both.authors) == (1, 0)


def test_days_before_1970_fall_into_their_own_weeks(pulling: Any, record: Callable[..., Record]) -> None:
    first = datetime(1969, 12, 20, 12, tzinfo=UTC)
    pulling.save(*(record(str(n), at=first + timedelta(days=n)) for n in range(30)))
    pulling.store.roll_up(chunk_days=4)
    assert stored(pulling.store) == naive(pulling.store)
    assert {week for _, week, _, _ in stored(pulling.store)} == {-2, -1, 0, 1, 2}


def test_progress_tells_the_days_counted_so_far(pulling: Any, record: Callable[..., Record]) -> None:
    pulling.save(*(record(str(n), at=MONDAY + timedelta(days=n)) for n in range(5)))
    told: list[int] = []
    assert pulling.store.roll_up(chunk_days=2, progress=told.append) == 5
    assert told == [2, 4, 5]


def test_a_rebuild_mends_whatever_was_wrong(pulling: Any, record: Callable[..., Record]) -> None:
    store = pulling.store
    pulling.save(record("1"), record("2", at=MONDAY + timedelta(days=20)))
    store.roll_up()
    right = counts(store)
    with store.database.write() as connection:
        for table, period in (
            *((schema.daily_volume, "day"), (schema.weekly_volume, "week")),
            *((schema.daily_totals, "day"), (schema.weekly_totals, "week")),
        ):
            row = connection.execute(select(table)).mappings().first()
            connection.execute(insert(table).values(dict(row) | {period: 10_000}))
            connection.execute(update(table).where(table.c[period] != 10_000).values(mentions=77))
    assert store.roll_up() == 0
    assert counts(store) != right
    store.rebuild_rollups()
    assert counts(store) == right


def said(correction: Correction) -> dict[str, Any]:
    return {part.value: getattr(correction, part.value) for part in correction.parts}


def assert_corrections_stand(store: MentionStore, corrections: dict[int, Correction]) -> None:
    kept = retagging.kept_of(store, list(corrections))
    for row, correction in corrections.items():
        assert kept[row].corrected >= correction.parts
        stands = {**kept[row].columns, "topics": kept[row].slugs}
        assert {name: stands[name] for name in said(correction)} == said(correction)


def assert_all_is_the_sum_of_its_parts(store: MentionStore) -> None:
    """Those with a topic are counted one by one: in the volumes they stand in each of their topics."""
    sums: dict[str, int] = defaultdict(int)
    for (_, _, _, topic), figures in stored(store).items():
        sums[topic] += figures[0]
    links, mentions, tags = schema.mention_organizations, schema.mentions, schema.mention_topics
    with store.database.read() as connection:
        rows = connection.execute(
            select(mentions.c.id, mentions.c.purpose, mentions.c.needs_review)
            .join(links, links.c.mention_id == mentions.c.id)
            .where(links.c.own.is_(False))
        ).all()
        tagged = set(connection.execute(select(tags.c.mention_id)).scalars())
    with_a_topic = sum(row.id in tagged and not row.needs_review and row.purpose in (None, *CARE) for row in rows)
    assert sums["all"] == with_a_topic + sums["(untagged)"] + sums["(other purposes)"] + sums["(to review)"]


OPERATIONS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["text a", "text b", ""]),
        st.integers(0, 20),
        st.sampled_from(["st-elsewhere", "general"]),
        st.sampled_from([(), ("parking",), ("parking", "pain")]),
        st.sampled_from([None, 0, 3]),
        st.booleans(),
        st.booleans(),
        st.sampled_from([None, *Purpose]),
        st.sampled_from([False, False, True]),
        st.sampled_from(
            [
                *([None] * 4),
                Correction(purpose=Purpose.EXPERIENCE, topics=frozenset()),
                Correction(purpose=Purpose.NEWS),
                Correction(sentiment=Sentiment.POSITIVE, topics=frozenset({"food-drink", "pain"})),
            ]
        ),
    ),
    max_size=12,
)


@pytest.mark.no_cover
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(operations=OPERATIONS)
def test_incremental_equals_rebuilt_equals_naive(
    pulling: Any, record: Callable[..., Record], tombstone: Any, signals: Any, operations: list[Any]
) -> None:
    """Whatever is saved and corrected in whatever order, rolled up at whatever moments.

    The store keeps what came before; what was corrected outlives what is saved later.
    """
    store = pulling.store
    corrections: dict[int, Correction] = {}
    for number, words, day, organization, topics, likes, own, roll, purpose, review, right in operations:
        at = MONDAY + timedelta(days=day)
        arrives = (
            record(
                str(number),
                words,
                at=at,
                own=own,
                signals=signals(*topics, purpose=purpose, needs_review=review),
                pseudonym=f"p{number % 2}",
                metrics=Metrics(likes=likes),
            )
            if words
            else tombstone(str(number), at=at)
        )
        pulling.save(arrives, organization=organization)
        if right is not None:
            (row,) = correcting.ids_by_name(store, [Name("twitter", str(number))]).values()
            correcting.correct(store, {row: right}, now=pulling.clock.now())
            corrections[row] = replace(corrections.get(row, right), **said(right))
        if roll:
            store.roll_up(chunk_days=3)
    store.roll_up(chunk_days=1)
    assert_corrections_stand(store, corrections)
    incremental = counts(store)
    assert stored(store) == naive(store)
    assert_all_is_the_sum_of_its_parts(store)
    assert_totals_are_sums(store)
    store.rebuild_rollups()
    assert counts(store) == incremental


def test_a_mention_of_two_organizations_counts_for_each_in_the_totals(
    pulling: Any, record: Callable[..., Record]
) -> None:
    for organization, zone in (("st-elsewhere", "America/Toronto"), ("general", "Europe/Athens")):
        # Late on Sunday in Toronto it is Monday in Athens: each counts it in its own week.
        late = datetime(2026, 11, 16, 1, tzinfo=UTC)
        pulling.save(record("1", at=late, zone=zone), record("2", zone=zone), organization=organization)
    pulling.store.roll_up()
    weeks = weekly_volume(pulling.store, organization=None, weeks=[WEEK, WEEK + 1])
    found = {(row.week, row.mentions, row.authors) for row in weeks if (row.channel, row.topic) == ("all", "all")}
    assert found == {(WEEK, 3, 2), (WEEK + 1, 1, 1)}
    assert_totals_are_sums(pulling.store)


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_rebuild_that_is_killed_anywhere_goes_on(
    pulling: Any, record: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the n-th transaction commits; then mentions come, and an ordinary rollup does the rest."""
    store = pulling.store
    monkeypatch.setattr(rolling, "REBUILD_CHUNK_DAYS", 5)
    for organization in ("st-elsewhere", "general"):
        pulling.save(
            *(record(str(n), at=MONDAY + timedelta(days=2 * n)) for n in range(6)), organization=organization
        )
    store.roll_up()
    for last in range(1, 12):
        with store.database.write() as connection:
            for table in counts_tables():
                connection.execute(update(table).values(negative=55))
        commits = 0

        def count(_connection: Any, last: int = last) -> None:
            nonlocal commits
            commits += 1
            if commits == last:
                raise Killed

        event.listen(store.database.writing, "commit", count)
        try:
            store.rebuild_rollups()
        except Killed:
            killed = True
        else:
            killed = False
        finally:
            event.remove(store.database.writing, "commit", count)
        if last > 1:
            pulling.save(record(f"later {last}", at=MONDAY + timedelta(days=last)))
            store.roll_up()
            assert stored(store) == naive(store)
            assert_totals_are_sums(store)
            assert not any(row[3] == 55 for row in counts(store)["daily_totals"])
        if not killed:
            break
    assert last > 5
    assert not killed


def counts_tables() -> tuple[Any, ...]:
    return (schema.daily_volume, schema.weekly_volume, schema.daily_totals, schema.weekly_totals)


def dirty_both(pulling: Any, record: Callable[..., Record]) -> None:
    for organization in ("st-elsewhere", "general"):
        pulling.save(
            *(record(str(n), at=MONDAY + timedelta(days=n)) for n in range(20)), organization=organization
        )


def test_a_rebuild_over_several_connections_counts_each_day_once(
    pulling: Any, record: Callable[..., Record]
) -> None:
    dirty_both(pulling, record)
    store = pulling.store
    store.roll_up()
    told: list[int] = []
    assert store.rebuild_rollups(progress=told.append, connections=3) == 40
    assert told == sorted(set(told))
    assert told[-1] == 40
    assert stored(store) == naive(store)
    assert_totals_are_sums(store)
    assert (store.roll_up(), sum_totals(store.database, chunk_days=9)) == (0, 0)


def test_who_fails_stops_the_others_and_the_rest_is_counted_later(
    pulling: Any, record: Callable[..., Record]
) -> None:
    dirty_both(pulling, record)
    store = pulling.store

    def full(_done: int) -> None:
        raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="the disk is full"):
        rolling.roll_up(store.database, chunk_days=3, progress=full, connections=2)
    left = store.roll_up()
    assert 0 < left < 40
    assert stored(store) == naive(store)
    assert_totals_are_sums(store)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_two_rollups_share_the_organizations(pulling: Any, record: Callable[..., Record], store_url: str) -> None:
    """While one counts an organization another takes the next, and waits where there is none left."""
    dirty_both(pulling, record)
    store = pulling.store
    told: list[int] = []
    with MentionStore.open(store_url) as other, ThreadPoolExecutor(1) as pool:
        with other.database.write() as connection:
            assert rolling._take_next(connection) == 1
            counting = pool.submit(store.roll_up, chunk_days=50, progress=told.append)
            # It counts the one that is free, then waits for this one.
            while not waits_for_a_lock(other):
                assert not counting.done()
            assert told == [20]
        assert counting.result() == 40
    assert stored(store) == naive(store)
    assert_totals_are_sums(store)


def waits_for_a_lock(store: MentionStore) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "
    with store.database.read() as connection:
        own = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        return bool(connection.exec_driver_sql(query + own).scalar_one())


@pytest.mark.parametrize("view", ["v_weekly_volume"])
def test_the_view_tells_what_the_query_tells(pulling: Any, record: Callable[..., Record], view: str) -> None:
    pulling.save(record("1"), record("2", pseudonym="b"))
    pulling.save(record("3", channel="reddit"))
    pulling.store.roll_up()
    with pulling.store.database.read() as connection:
        rows = connection.exec_driver_sql(f"SELECT * FROM {view} ORDER BY channel, topic").mappings().all()
    assert list(rows[0]) == [
        "organization",
        "iso_week",
        "week_start",
        "week_end",
        "channel",
        "topic",
        "mentions",
        "authors",
        "negative",
        "neutral",
        "positive",
        "unscored",
        "engagement",
    ]
    assert {
        (row["organization"], row["iso_week"], str(row["week_start"]), str(row["week_end"])) for row in rows
    } == {("st-elsewhere", "2026-W46", "2026-11-09", "2026-11-15")}
    queried = weekly_volume(pulling.store, organization="st-elsewhere", weeks=[WEEK])
    assert [(row["channel"], row["topic"], row["mentions"], row["authors"]) for row in rows] == [
        (row.channel, row.topic, row.mentions, row.authors) for row in queried
    ]
