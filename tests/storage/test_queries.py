"""Queries: columns, filters, orders and counts, alike on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import insert, select

from listener.calendar import iso_week, parse_iso_week
from listener.coverage import Spans
from listener.errors import ConfigError
from listener.mention import Kind, Metrics, Purpose, Sentiment
from storage import schema
from storage.queries import (
    COLUMNS,
    CoverageRow,
    Filters,
    count_by,
    coverage_days,
    daily_volume,
    rows,
    stream_channels,
    stream_rows,
    weekly_volume,
)
from storage.store import CoverageDay, MentionStore, Record

MONDAY = datetime(2026, 11, 9, 12, tzinfo=UTC)


def ids(store: MentionStore, **asked: Any) -> list[str]:
    options = {name: asked.pop(name) for name in ("sort", "limit") if name in asked}
    return [row["external_id"] for row in rows(store, Filters.of(**asked), **{"sort": "external_id", **options})]


@pytest.fixture
def filled(pulling: Any, record: Callable[..., Record], tombstone: Any, signals: Any) -> MentionStore:
    """Six mentions of one organization, one of which another has too."""
    pulling.save(
        record("a", "Parking at ÉCOLE 100%", signals=signals("parking", "pain", sentiment=Sentiment.NEGATIVE)),
        record("b", "_cold_ soup", at=MONDAY + timedelta(days=1), signals=signals("food-drink"), own=True),
        record("c", "nothing", at=MONDAY - timedelta(days=7), signals=signals(language=None), kind=Kind.REPLY),
        record("d", "gone soon", at=MONDAY + timedelta(days=7), signals=signals(purpose=Purpose.QUESTION)),
    )
    pulling.save(tombstone("d", at=MONDAY + timedelta(days=8)))
    pulling.save(
        record(
            "t3_e",
            "école",
            channel="reddit",
            at=MONDAY + timedelta(hours=1),
            signals=signals("parking", language="fr", sentiment=Sentiment.POSITIVE, sentiment_score=0.25),
            metrics=Metrics(likes=5, views=9),
            permalink="https://example.org/e",
            parent_external_id="t3_p",
            edited_at=MONDAY + timedelta(hours=2),
        ),
    )
    pulling.save(record("a", "Parking at ÉCOLE 100%", zone="Europe/Athens"), organization="general")
    return pulling.store  # type: ignore[no-any-return]  # Pulling is a class of conftest, which cannot be imported


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["a", "a", "b", "c", "d", "t3_e"]),
        ({"organizations": "general"}, ["a"]),
        ({"organizations": ["general", "st-elsewhere"], "channels": "reddit"}, ["t3_e"]),
        ({"channels": ("twitter", "reddit"), "topics": "parking"}, ["a", "a", "t3_e"]),
        ({"topics": ["food-drink", "pain"]}, ["a", "a", "b"]),
        ({"topics": "(untagged)"}, ["c", "d"]),
        ({"topics": ["(untagged)", "food-drink"]}, ["b", "c", "d"]),
        ({"topics": "all", "organizations": "general"}, ["a"]),
        ({"purposes": "question"}, ["d"]),
        ({"purposes": Purpose.QUESTION, "kinds": Kind.POST}, ["d"]),
        ({"sentiments": "negative"}, ["a", "a"]),
        ({"sentiments": ["positive", "unscored"]}, ["b", "c", "d", "t3_e"]),
        ({"kinds": "reply"}, ["c"]),
        ({"languages": "fr"}, ["t3_e"]),
        ({"own": True}, ["b"]),
        ({"own": False, "organizations": "st-elsewhere"}, ["a", "c", "d", "t3_e"]),
        ({"weeks": "2026-W46"}, ["a", "a", "b", "t3_e"]),
        ({"weeks": [parse_iso_week("2026-W45"), "2026-W47"]}, ["c", "d"]),
        ({"weeks": "2026-W46", "since": "2026-11-10"}, ["b"]),
        ({"weeks": "2026-W46", "until": "2026-11-09", "organizations": "st-elsewhere"}, ["a", "t3_e"]),
        ({"since": date(2026, 11, 10)}, ["b", "d"]),
        ({"until": "2026-11-09", "organizations": "st-elsewhere"}, ["a", "c", "t3_e"]),
        ({"since": "2026-11-10", "until": "2026-11-10"}, ["b"]),
        ({"contains": "PARKING"}, ["a", "a"]),
        ({"contains": "École"}, ["a", "a", "t3_e"]),
        ({"contains": "park*"}, ["a", "a"]),
        ({"contains": "_cold_"}, ["b"]),
        ({"contains": "ecole -parking"}, ["t3_e"]),
        ({"contains": "NOT ecole"}, ["b", "c"]),
        ({"contains": "gone OR soup"}, ["b"]),
        ({"organizations": None, "weeks": None, "since": None}, ["a", "a", "b", "c", "d", "t3_e"]),
    ],
)
def test_filters(filled: MentionStore, asked: dict[str, Any], found: list[str]) -> None:
    assert ids(filled, **asked) == found


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"organizations": "st-elsewere"}, "no organization 'st-elsewere'; did you mean 'st-elsewhere'"),
        ({"channels": "redit"}, "no channel 'redit'; did you mean 'reddit'"),
        ({"topics": "parkin"}, "no topic 'parkin'; did you mean 'parking'"),
        ({"kinds": "posts"}, "no kind 'posts'; did you mean 'post'"),
        ({"sentiments": "sad"}, r"no sentiment 'sad' \(there are: negative, neutral, positive, unscored\)"),
        ({"purposes": "questions"}, "did you mean 'question'"),
        ({"topic": "parking"}, "no filter 'topic'; did you mean 'topics'"),
        ({"weeks": "2025-W53"}, "2025-W53"),
        ({"since": "yesterday"}, "since = 'yesterday' is no date: write it as 2026-11-09"),
        ({"since": "2026-11-10", "until": "2026-11-09"}, "since 2026-11-10 is later than until 2026-11-09"),
        ({"sort": "likess"}, "no sort key 'likess'; did you mean 'likes'"),
    ],
)
def test_what_does_not_exist(store: MentionStore, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ids(store, **asked)


def test_a_row_is_whole_and_in_order(filled: MentionStore) -> None:
    (row,) = rows(filled, Filters(channels=("reddit",)))
    assert tuple(row) == COLUMNS
    assert row == {
        "channel": "reddit",
        "external_id": "t3_e",
        "kind": "post",
        "organization": "st-elsewhere",
        "published_at": MONDAY + timedelta(hours=1),
        "edited_at": MONDAY + timedelta(hours=2),
        "removed_at": None,
        "language": "fr",
        "purpose": None,
        "topics": ["parking"],
        "sentiment": "positive",
        "sentiment_score": 0.25,
        "text": "école",
        "permalink": "https://example.org/e",
        "parent_external_id": "t3_p",
        "likes": 5,
        "replies": None,
        "shares": None,
        "views": 9,
        "own": False,
        "purpose_score": None,
        "needs_review": False,
        "positive_part": None,
        "negative_part": None,
        "signals_version": None,
        "corrected": [],
    }


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ("-published_at", ["d", "b", "t3_e", "a", "a", "c"]),
        ("published_at", ["c", "a", "a", "t3_e", "b", "d"]),
        ("likes", ["t3_e", "a", "a", "b", "c", "d"]),
        ("-likes", ["t3_e", "a", "a", "b", "c", "d"]),
        ("-sentiment", ["t3_e", "a", "a", "b", "c", "d"]),
        ("topics", ["b", "a", "a", "t3_e", "c", "d"]),
    ],
)
def test_order(filled: MentionStore, sort: str, found: list[str]) -> None:
    topics = [row["topics"] for row in rows(filled, Filters(), sort="external_id")]
    assert topics == [["pain", "parking"], ["pain", "parking"], ["food-drink"], [], [], ["parking"]]
    expected = ["b", "a", "a", "t3_e", "c", "d"] if sort == "topics" else found
    assert ids(filled, sort=sort) == expected
    assert ids(filled, sort=sort, limit=2) == expected[:2]


def test_words_sort_by_code_point(pulling: Any, record: Callable[..., Record]) -> None:
    names = ["B", "a", "_", "é", "-", "Z1", "Z-0"]
    pulling.save(*(record(name) for name in names))
    assert ids(pulling.store) == sorted(names)


def test_the_view_has_the_querys_rows(filled: MentionStore) -> None:
    with filled.database.read() as connection:
        seen = connection.exec_driver_sql("SELECT * FROM v_mentions ORDER BY channel, external_id, organization")
        view = [dict(row) for row in seen.mappings()]
    queried = sorted(
        rows(filled, Filters()), key=lambda row: (row["channel"], row["external_id"], row["organization"])
    )
    assert [tuple(row) for row in view] == [COLUMNS] * len(queried)
    moments = {"published_at", "edited_at", "removed_at"}
    for row, same in zip(view, queried, strict=True):
        same |= {name: ",".join(same[name]) or None for name in ("topics", "corrected")}
        assert {k: v for k, v in row.items() if k not in moments} == {
            k: v for k, v in same.items() if k not in moments
        }
        for name in moments:
            assert str(row[name])[:19] == str(same[name])[:19]


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        ([], [(6,)]),
        (["channel"], [("reddit", 1), ("twitter", 5)]),
        (["week"], [("2026-W45", 1), ("2026-W46", 4), ("2026-W47", 1)]),
        (
            ["day", "organization"],
            [
                (date(2026, 11, 2), "st-elsewhere", 1),
                (date(2026, 11, 9), "general", 1),
                (date(2026, 11, 9), "st-elsewhere", 2),
                (date(2026, 11, 10), "st-elsewhere", 1),
                (date(2026, 11, 16), "st-elsewhere", 1),
            ],
        ),
        (["topic"], [("(untagged)", 2), ("food-drink", 1), ("pain", 2), ("parking", 3)]),
        (["group"], [("(untagged)", 2), ("environment", 1), ("location", 3), ("medication", 2)]),
        (
            ["group", "topic", "channel"],
            [
                ("(untagged)", "(untagged)", "twitter", 2),
                ("environment", "food-drink", "twitter", 1),
                ("location", "parking", "reddit", 1),
                ("location", "parking", "twitter", 2),
                ("medication", "pain", "twitter", 2),
            ],
        ),
        (["sentiment"], [("negative", 2), ("positive", 1), ("unscored", 3)]),
        (["kind", "kind"], [("post", 5), ("reply", 1)]),
        (["purpose"], [("question", 1), (None, 5)]),
        (["language"], [("en", 4), ("fr", 1), (None, 1)]),
    ],
)
def test_counts(filled: MentionStore, fields: list[str], counted: list[tuple[Any, ...]]) -> None:
    found = count_by(filled, Filters(), fields)
    assert [tuple(row.values()) for row in found] == counted
    assert all(list(row) == [*dict.fromkeys(fields), "mentions"] for row in found)


def test_counts_take_the_filters(filled: MentionStore) -> None:
    found = count_by(filled, Filters.of(weeks="2026-W46", own=False), ["topic"])
    assert found == [{"topic": "pain", "mentions": 2}, {"topic": "parking", "mentions": 3}]
    with pytest.raises(ConfigError, match="cannot count by 'weeks'; did you mean 'week'"):
        count_by(filled, Filters(), ["weeks"])


@pytest.fixture
def of_all_purposes(pulling: Any, record: Callable[..., Record], signals: Any) -> MentionStore:
    """Over three weeks, every purpose with every set of topics, every fifth waiting for review."""
    page = []
    tags: tuple[tuple[str, ...], ...] = ((), ("parking",), ("parking", "pain"))
    for number, (purpose, some) in enumerate((one, some) for one in (None, *Purpose) for some in tags):
        heard = signals(*some, purpose=purpose, purpose_score=0.5, needs_review=number % 5 == 4)
        page.append(record(f"m{number:02}", at=MONDAY + timedelta(days=number), signals=heard, own=number == 1))
    pulling.save(*page)
    pulling.store.roll_up()
    return pulling.store  # type: ignore[no-any-return]  # Pulling is a class of conftest, which cannot be imported


@pytest.mark.parametrize("by", ["topic", "group", "hcahps"])
def test_query_and_summary_agree(of_all_purposes: MentionStore, by: str) -> None:
    """Counted by topic and week as by the rollup; a group and a domain of one topic each count as that topic."""
    crosswalks = {"hcahps": {"parking": ("overall",), "pain": ("symptoms",)}}
    names = {
        "topic": {"(untagged)": "(untagged)", "parking": "parking", "pain": "pain"},
        "group": {"(untagged)": "(untagged)", "parking": "location", "pain": "medication"},
        "hcahps": {"(untagged)": "(none)", "parking": "overall", "pain": "symptoms"},
    }[by]
    asked = count_by(of_all_purposes, Filters(own=False), [by, "week"], crosswalks=crosswalks)
    first = parse_iso_week("2026-W46")
    volumes = weekly_volume(of_all_purposes, organization="st-elsewhere", weeks=range(first - 1, first + 6))
    told = {
        (names[row.topic], iso_week(row.week)): row.mentions
        for row in volumes
        if row.channel == "all" and row.topic in names
    }
    assert {(row[by], row["week"]): row["mentions"] for row in asked} == told
    assert len(told) == 5
    # The other purposes are there, and counted where they are asked for.
    everything = count_by(
        of_all_purposes, Filters(own=False), [by, "week"], crosswalks=crosswalks, every_purpose=True
    )
    assert sum(row["mentions"] for row in everything) > sum(told.values())


@pytest.mark.parametrize(
    ("asked", "options", "counted"),
    [
        ({}, {}, {"(untagged)": 3, "parking": 5, "pain": 3}),
        ({}, {"every_purpose": True}, {"(untagged)": 8, "parking": 16, "pain": 8}),
        ({"purposes": "news"}, {}, {"(untagged)": 1, "parking": 2, "pain": 1}),
        ({"needs_review": True}, {}, {"(untagged)": 1, "parking": 3, "pain": 1}),
        ({"topics": "(other purposes)"}, {}, {"(untagged)": 4, "parking": 8, "pain": 4}),
        ({"topics": "(care)"}, {}, {"(untagged)": 2, "parking": 3, "pain": 2}),
    ],
)
def test_counts_by_topic_are_of_what_volumes_count_unless_asked_otherwise(
    of_all_purposes: MentionStore, asked: dict[str, Any], options: dict[str, Any], counted: dict[str, int]
) -> None:
    found = count_by(of_all_purposes, Filters.of(**asked), ["topic"], **options)
    assert {row["topic"]: row["mentions"] for row in found} == counted
    by_channel = count_by(of_all_purposes, Filters.of(**asked), ["channel"], **options)
    listed = len(ids(of_all_purposes, **asked))
    assert [row["mentions"] for row in by_channel] == [listed]


def test_what_waits_for_review_is_found(of_all_purposes: MentionStore) -> None:
    waiting = ids(of_all_purposes, needs_review=True)
    assert waiting == ["m04", "m09", "m14", "m19"]
    assert ids(of_all_purposes, topics="(to review)") == waiting
    assert len(ids(of_all_purposes, needs_review=False)) == 20
    parts = [ids(of_all_purposes, topics=topic) for topic in ("(other purposes)", "(care)")]
    assert [len(part) for part in parts] == [12, 5]
    assert ids(of_all_purposes, topics=["(other purposes)", "(care)", "(to review)"]) == sorted(
        [*parts[0], *parts[1], *waiting]
    )


CROSSWALKS = {
    "hcahps": {"parking": (), "pain": ("symptoms", "Overall"), "food-drink": ("symptoms",)},
    "picker": {"parking": ("access",), "pain": (), "food-drink": ("comfort",)},
}


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        (["hcahps"], [("(none)", 3), ("Overall", 2), ("symptoms", 3)]),
        (["picker"], [("(none)", 2), ("access", 3), ("comfort", 1)]),
        (["cpes"], [("(none)", 6)]),
        (["hcahps", "week"], None),
        (
            ["hcahps", "picker"],
            [
                *(("(none)", "(none)", 2), ("(none)", "access", 1), ("Overall", "access", 2)),
                *(("symptoms", "access", 2), ("symptoms", "comfort", 1)),
            ],
        ),
        (
            ["topic", "hcahps"],
            [
                *(("(untagged)", "(none)", 2), ("food-drink", "symptoms", 1), ("pain", "Overall", 2)),
                *(("pain", "symptoms", 2), ("parking", "(none)", 3)),
            ],
        ),
    ],
)
def test_counts_by_the_domains_of_surveys(
    filled: MentionStore, fields: list[str], counted: list[tuple[Any, ...]] | None
) -> None:
    found = [tuple(row.values()) for row in count_by(filled, Filters(), fields, crosswalks=CROSSWALKS)]
    if counted is None:
        assert found[0] == ("(none)", "2026-W45", 1)
        assert sum(row[-1] for row in found) == 8
    else:
        assert found == counted


def test_nothing_is_counted_in_an_empty_store(store: MentionStore) -> None:
    assert count_by(store, Filters(), ["topic"]) == []
    assert list(rows(store, Filters())) == []


def test_rows_stream(pulling: Any, record: Callable[..., Record]) -> None:
    """A reader may stop in the middle, and writing goes on while one reads."""
    pulling.save(*(record(f"{n:05}") for n in range(3000)))
    reading = rows(pulling.store, Filters(), sort="external_id")
    assert next(reading)["external_id"] == "00000"
    pulling.save(record("later"))
    assert sum(1 for _ in reading) == 2999
    stopped = rows(pulling.store, Filters())
    next(stopped)
    stopped.close()  # type: ignore[attr-defined]  # an iterator to the caller, a generator here
    assert len(ids(pulling.store)) == 3001


def test_a_data_frame(filled: MentionStore) -> None:
    frame = filled.query(organizations="st-elsewhere", sort="external_id", limit=4)
    assert tuple(frame.columns) == COLUMNS
    assert list(frame["external_id"]) == ["a", "b", "c", "d"]
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert {kinds[name] for name in ("published_at", "edited_at", "removed_at")} == {"datetime64[us, UTC]"}
    assert {kinds[name] for name in ("likes", "replies", "shares", "views")} == {"Int64"}
    assert (kinds["own"], kinds["sentiment_score"], kinds["text"]) == ("boolean", "Float64", "string")
    assert (kinds["needs_review"], kinds["purpose_score"], kinds["signals_version"]) == (
        *("boolean", "Float64", "string"),
    )
    assert frame["published_at"].iloc[0] == MONDAY
    assert list(frame["own"]) == [False, True, False, False]
    assert frame["likes"].isna().all()
    assert list(frame["topics"]) == [["pain", "parking"], ["food-drink"], [], []]
    assert dict(filled.query(contains="nowhere to be found").dtypes) == dict(frame.dtypes)
    with pytest.raises(ConfigError, match="no filter 'organisation'; did you mean 'organizations'"):
        filled.query(organisation="x")


def test_coverage(pulling: Any, record: Callable[..., Record], store: MentionStore) -> None:
    pulling.save(record(), coverage=Spans(), coverage_days=[CoverageDay(1, 10, 0), CoverageDay(2, 20, 5)])
    pulling.save(record(channel="reddit"), coverage_days=[CoverageDay(2, 30, 0), CoverageDay(3, 1, 1)])
    pulling.save(record(), organization="general", coverage_days=[CoverageDay(2, 7, 0)])
    twitter, reddit = pulling.stream()[0], pulling.stream(channel="reddit")[0]
    assert coverage_days(store, organization="st-elsewhere", first_day=2, last_day=3) == [
        CoverageRow("reddit", reddit, 2, 30, 0),
        CoverageRow("reddit", reddit, 3, 1, 1),
        CoverageRow("twitter", twitter, 2, 20, 5),
    ]
    assert stream_channels(store, organization="st-elsewhere") == {twitter: "twitter", reddit: "reddit"}
    assert stream_channels(store, organization="unheard-of") == {}
    with pytest.raises(ConfigError, match="no organization 'unheard-of'"):
        weekly_volume(store, organization="unheard-of", weeks=[1])


def test_a_topic_of_two_sources_is_named_once(filled: MentionStore) -> None:
    with filled.database.write() as connection:
        for row in connection.execute(select(schema.mention_topics)).all():
            connection.execute(insert(schema.mention_topics).values(row._asdict() | {"source": "model"}))
    assert ids(filled, topics="parking") == ["a", "a", "t3_e"]
    assert next(rows(filled, Filters(), sort="external_id"))["topics"] == ["pain", "parking"]
    assert {row["topic"]: row["mentions"] for row in count_by(filled, Filters(), ["topic"])}["parking"] == 3


def test_daily_volumes_of_one_organization_and_of_all(pulling: Any, record: Any) -> None:
    monday = datetime(2026, 11, 9, 12, tzinfo=UTC)
    pulling.save(record("1", at=monday), record("2", at=monday), record("3", at=monday + timedelta(days=1)))
    pulling.save(record("1", at=monday), organization="general")
    pulling.save(record("1", channel="reddit", at=monday, metrics=Metrics(likes=4)))
    pulling.store.roll_up()
    days = {"first_day": date(2026, 11, 9), "last_day": date(2026, 11, 9)}

    def found(organization: str | None) -> dict[tuple[str, str], tuple[int, int, int]]:
        volumes = daily_volume(pulling.store, organization=organization, **days)
        assert [(row.channel, row.topic) for row in volumes] == sorted((row.channel, row.topic) for row in volumes)
        assert {row.day for row in volumes} == {date(2026, 11, 9)}
        return {(row.channel, row.topic): (row.mentions, row.unscored, row.engagement) for row in volumes}

    ours, together = found("st-elsewhere"), found(None)
    assert ours["twitter", "all"] == (2, 2, 0)
    assert ours["all", "parking"] == (3, 3, 4)
    assert together["twitter", "all"] == (3, 3, 0)
    assert together["all", "all"] == (4, 4, 4)
    assert found("general") == {("all", "all"): (1, 1, 0), ("all", "parking"): (1, 1, 0)} | {
        ("twitter", topic): (1, 1, 0) for topic in ("all", "parking")
    }
    frame = pd.DataFrame(daily_volume(pulling.store, organization=None, **days))
    assert frame.query("channel == 'all' and topic == 'all'")["mentions"].sum() == 4
    later = {"first_day": date(2027, 1, 1), "last_day": date(2027, 1, 2)}
    assert daily_volume(pulling.store, organization=None, **later) == []
    with pytest.raises(ConfigError, match="no organization 'unheard-of'"):
        daily_volume(pulling.store, organization="unheard-of", **days)


def test_the_streams_of_one_organization_and_of_all(pulling: Any) -> None:
    read = Spans(((datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC)),))
    pulling.save(coverage=read)
    pulling.stream("general", "reddit")
    ours, theirs = stream_rows(pulling.store, organization=None)
    assert (ours.organization, ours.channel, ours.timezone) == ("st-elsewhere", "twitter", "America/Toronto")
    assert (ours.read_until, theirs.read_until) == (datetime(2026, 11, 9, tzinfo=UTC), None)
    assert stream_rows(pulling.store, organization="general") == [theirs]
