"""No shipped question reads the mentions from end to end: what the planner makes of each, on both databases.

The store is small for one, and large enough that a plan which goes through everything is told from one that does
not. What goes through everything by its nature is named at the end, with the reason.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, select, text

import connectors
from benchmarks.plans import read_whole, statements
from jobs.connections import stream_state
from jobs.status import status_rows
from jobs.summary import weekly_summary
from listener.calendar import day_date, week_of_day
from listener.clock import SteppedClock
from listener.settings import Settings, load
from listener.usage import Usage
from storage import rolling, schema
from storage.bulk import insert_rows
from storage.indexing import Worded, index_new
from storage.queries import Filters, count_by, cursor_at, daily_volume, rows, stream_rows
from storage.retagging import Wanted, count_wanted, keep_retag, rewrite, texts, topic_volumes
from storage.store import MentionStore, Record
from storage.totals import mark_totals, sum_totals

COUNT = 6_000
STEP = timedelta(minutes=10)
NOW = datetime(2026, 11, 16, 6, tzinfo=UTC)
START = NOW - COUNT * STEP
SLUGS = ("st-elsewhere", "general", "lakeside", "north-shore")
CHANNELS = ("twitter", "reddit", "youtube")
TODAY = 20773
WEEK = week_of_day(TODAY) - 1
BIG = {"mentions", "mention_organizations", "mention_topics", "mention_words", "mention_metrics", "authors"}
LARGE = 900
"""Rows of a table that are worth to be called many."""
PAGE = 10
WALKS_FROM_THE_NEWEST = "mentions by index"
"""A page of the newest walks the index of time, and stops when it is full."""
ENDS_A_STRETCH = re.compile(
    r"SELECT (mentions\.published_at|mention_organizations\.day) *\nFROM [^;]*\n LIMIT", re.DOTALL
)
"""Looks up where a stretch of so many mentions ends, in an index alone, and stops there."""


def fill(store: MentionStore) -> None:
    """Write the mentions of some months as they would lie there, without hearing one of them."""
    with store.database.write() as connection:
        slugs = dict(tuple(row) for row in connection.execute(select(schema.topics.c.slug, schema.topics.c.id)))
        connection.execute(
            insert(schema.organizations),
            [{"id": at, "slug": slug, "name": slug, "timezone": "UTC"} for at, slug in enumerate(SLUGS, 1)],
        )
        connection.execute(
            insert(schema.channels), [{"id": at, "name": one} for at, one in enumerate(CHANNELS, 1)]
        )
        numbers = range(1, COUNT + 1)
        moments = {at: START + at * STEP for at in numbers}
        days = {at: (moments[at] - datetime(1970, 1, 1, tzinfo=UTC)).days for at in numbers}
        insert_rows(connection, schema.authors, [author(at) for at in range(1, 3001)])
        insert_rows(connection, schema.mentions, [mention(at, moments[at]) for at in numbers])
        insert_rows(connection, schema.mention_organizations, [link(at, days[at]) for at in numbers])
        insert_rows(
            connection,
            schema.mention_metrics,
            [{"mention_id": at, "likes": at % 9, "observed_at": moments[at]} for at in numbers],
        )
        tags = [(at, "parking" if at % 4 else "food-drink") for at in numbers if at % 3]
        tags += [(at, "pain") for at in numbers if not at % 2000]
        insert_rows(
            connection,
            schema.mention_topics,
            [
                {"mention_id": at, "topic_id": slugs[slug], "source": "rule", "score": 1.0, "phrases": ()}
                for at, slug in tags
            ],
        )
        if not store.database.is_sqlite:
            for table in ("mentions", "authors"):
                connection.execute(
                    text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
                )
        index(connection, [Worded(at, "quokka" if not at % 3000 else "parking was hard", "en") for at in numbers])


def author(at: int) -> dict[str, Any]:
    return {"id": at, "channel_id": 1, "pseudonym": f"p{at}"}


def mention(at: int, moment: datetime) -> dict[str, Any]:
    return {
        "id": at,
        "channel_id": at % 3 + 1,
        "external_id": f"m{at}",
        "kind": "post",
        "published_at": moment,
        "first_seen_at": moment,
        "changed_at": moment,
        "checked_at": moment,
        "language": "en",
        "sentiment": ("negative", "neutral", "positive")[at % 5 % 3],
        "signals_version": "1",
        "text": "parking was hard",
        "text_fingerprint": f"f{at}",
        "author_id": at % 3000 + 1,
        "needs_review": False,
    }


def link(at: int, day: int) -> dict[str, Any]:
    return {"mention_id": at, "organization_id": at % 4 + 1, "day": day, "own": not at % 50}


def index(connection: Any, worded: Sequence[Worded]) -> None:
    for start in range(0, len(worded), 2_000):
        index_new(connection, worded[start : start + 2_000])


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder: Path = tmp_path_factory.mktemp("plans")
    lines = []
    for slug in SLUGS:
        lines += [
            "[[organizations]]",
            f"slug = {json.dumps(slug)}",
            f"name = {json.dumps(slug)}",
            'timezone = "UTC"',
        ]
        for channel in CHANNELS:
            lines += ["[[organizations.streams]]", f"channel = {json.dumps(channel)}", 'query = "x"']
    (folder / "listener.toml").write_text("\n".join(lines), encoding="utf-8")
    return load(folder / "listener.toml", environ={"LISTENER_AUTHOR_KEY": "a key for tests"})


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of each kind for all tests here: to fill one takes longer than to ask it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('plans') / 'listener.db'}"
        return
    server, name = request.getfixturevalue("postgresql"), f"plans_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        # Tables of a megabyte are read from end to end for good reasons: now only where there is no other way.
        for way in ("seqscan", "hashjoin", "mergejoin"):
            connection.execute(f"ALTER DATABASE {name} SET enable_{way} = off")
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def many(url: str, config: Settings, taxonomy: Any) -> Iterator[MentionStore]:
    with MentionStore.open(url, clock=SteppedClock(NOW)) as store:
        store.declare([], taxonomy)
        fill(store)
        store.declare(config.organizations, taxonomy)
        for stream, _ in connectors.streams(config):
            stream_state(store, stream)
        rolling.mark_everything(store.database)
        store.roll_up(chunk_days=500)
        if not store.database.is_sqlite:
            analyze = store.database.writing.connect().execution_options(isolation_level="AUTOCOMMIT")
            with analyze as connection:
                connection.execute(text("VACUUM ANALYZE"))
        yield store


def whole(store: MentionStore, ask: Callable[[], object]) -> set[str]:
    """Return which of the big tables the plans of a question, or of what it writes, read from end to end."""
    with statements(store.database, every=True) as asked:
        ask()
    planned = [
        (words, values)
        for words, values in asked
        if words.upper().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE"))
        and not ENDS_A_STRETCH.match(words)
    ]
    assert planned
    return {found for found in read_whole(store.database, planned, larger_than=LARGE) if found.split()[0] in BIG}


def page(store: MentionStore, **filters: Any) -> list[dict[str, Any]]:
    return list(rows(store, Filters.of(**filters), limit=PAGE))


PAGES: dict[str, dict[str, Any]] = {
    "everything": {},
    "a common word": {"contains": "parking"},
    "a rare word": {"contains": "quokka"},
    "an organization": {"organizations": "general"},
    "an organization and a rare word": {"organizations": "general", "contains": "quokka"},
    "two organizations": {"organizations": ["general", "lakeside"]},
    "a topic": {"topics": "parking"},
    "a rare topic": {"topics": "pain"},
    "a rare topic of an organization": {"topics": "pain", "organizations": "st-elsewhere"},
    "a channel": {"channels": "reddit"},
    "a sentiment": {"sentiments": "negative"},
    "a week": {"weeks": WEEK},
    "days": {"since": day_date(TODAY - 20), "until": day_date(TODAY - 10)},
    "an organization, a channel and a topic": {
        "organizations": "general",
        "channels": "twitter",
        "topics": "food-drink",
    },
}


def test_pages(many: MentionStore) -> None:
    found = {name: whole(many, partial(page, many, **asked)) for name, asked in PAGES.items()}
    found |= {f"after {name}": whole(many, partial(onward, many, **asked)) for name, asked in PAGES.items()}
    assert {name: tables for name, tables in found.items() if tables - {WALKS_FROM_THE_NEWEST}} == {}


def test_pages_are_what_a_whole_answer_begins_with(many: MentionStore) -> None:
    for asked in PAGES.values():
        for sort in ("-published_at", "published_at"):
            answer = [name(row) for row in islice(rows(many, Filters.of(**asked), sort=sort), 2 * PAGE)]
            first = list(rows(many, Filters.of(**asked), sort=sort, limit=PAGE))
            assert [name(row) for row in first] == answer[:PAGE]
            if len(first) == PAGE:
                after = cursor_at(first[-1], sort)
                then = rows(many, Filters.of(**asked), sort=sort, limit=PAGE, after=after)
                assert [name(row) for row in then] == answer[PAGE:]


def test_reports(many: MentionStore, config: Settings) -> None:
    clock = SteppedClock(NOW)
    days = {"first_day": day_date(TODAY - 7), "last_day": day_date(TODAY)}
    asked: dict[str, Callable[[], object]] = {
        "summary of one": partial(weekly_summary, config, many, organizations=["general"], clock=clock),
        "summary of each": partial(weekly_summary, config, many, clock=clock),
        "summary of all": partial(weekly_summary, config, many, last=8, organizations=["all"], clock=clock),
        "days of one": partial(daily_volume, many, organization="general", **days),
        "days of all": partial(daily_volume, many, organization=None, **days),
        "status": lambda: list(status_rows(config, many, clock=clock)),
        "count of a week by channel": partial(
            count_by, many, Filters(organizations=("general",), weeks=(WEEK,)), ["week", "channel"]
        ),
        "count of a week by topic": partial(
            count_by, many, Filters(organizations=("general",), weeks=(WEEK,)), ["topic"]
        ),
        "count of a week of all": partial(count_by, many, Filters(weeks=(WEEK,)), ["organization", "sentiment"]),
    }
    for question in ("summary of one", "summary of each", "summary of all", "status", "days of all"):
        with statements(many.database) as said:
            asked[question]()
        # Of the mentions themselves nothing is asked at all.
        assert not [words for words, _ in said if "mention_organizations" in words or "FROM mentions" in words]
    assert {name: tables for name, ask in asked.items() if (tables := whole(many, ask))} == {}


def test_jobs(many: MentionStore, record: Callable[..., Record], signals: Any) -> None:
    stream = next(one for one in stream_rows(many, organization="general") if one.channel == "twitter")
    run = many.begin_run(stream.id, since=None, until=None)
    records = [record(f"new{at}", at=NOW) for at in range(50)] + [
        record(f"m{at}", "another text", at=NOW, edited_at=NOW) for at in range(2, 300, 3)
    ]
    read = texts(many, Wanted(version="2"), after=500, limit=100)
    day = TODAY - 30
    asked: dict[str, Callable[[], object]] = {
        "known": partial(many.known, "twitter", [f"m{at}" for at in range(500)]),
        "ingest": lambda: many.save_page(
            stream_id=stream.id, run_id=run, records=records, cursor={}, usage=Usage()
        ),
        "what is due for a look": partial(
            many.due_for_recheck,
            "twitter",
            published_since=NOW - timedelta(days=7),
            checked_before=NOW,
            limit=100,
        ),
        "a look": partial(many.mark_checked, "twitter", [f"m{at}" for at in range(500)]),
        "texts to hear again": partial(texts, many, Wanted(version="2"), after=500, limit=100),
        "texts of the last days to hear again": partial(
            texts, many, Wanted(version="2", since_day=TODAY - 5), after=COUNT - 300, limit=100
        ),
        "what was heard again": partial(rewrite, many, [(text, signals(version="2")) for text in read]),
        "a rollup": partial(roll_up_a_day, many, day),
        "a sum of a day": partial(sum_a_day, many, day),
    }
    assert {name: tables for name, ask in asked.items() if (tables := whole(many, ask))} == {}


def test_what_goes_through_everything_by_its_nature(many: MentionStore) -> None:
    """Each with its reason; where one no longer does, it belongs above."""
    asked: dict[str, Callable[[], object]] = {
        # Every mention is to be counted.
        "count of everything": partial(count_by, many, Filters(), ["channel"]),
        # Every mention that another version heard is to be counted, and most are.
        "what is to be heard again": partial(count_wanted, many, Wanted(version="2")),
        # Whether anything is left that another version heard: where nothing is, all is looked through.
        "a retag that is kept": partial(
            keep_retag, many, Wanted(version="3"), mentions_heard=1, changed=1, now=NOW
        ),
        # What a retag would move is compared with every mention, not with what was last counted.
        "volumes before a retag": partial(topic_volumes, many, since_day=None),
        # Every day that has mentions is marked.
        "a rebuild": partial(rolling.mark_everything, many.database),
        # Everything is written out.
        "an export": lambda: list(rows(many, Filters())),
    }
    assert {name for name, ask in asked.items() if not whole(many, ask)} == set()


def name(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["channel"], row["external_id"], row["organization"]


def onward(store: MentionStore, **filters: Any) -> object:
    """Ask for what comes behind a page, half-way through the store."""
    middle = {"channel": "twitter", "external_id": "m1", "organization": "general"}
    after = cursor_at({**middle, "published_at": START + COUNT // 2 * STEP}, "-published_at")
    return list(rows(store, Filters.of(**filters), limit=PAGE, after=after))


def roll_up_a_day(store: MentionStore, day: int) -> None:
    with store.database.write() as connection:
        connection.execute(insert(schema.dirty_days), [{"organization_id": 2, "day": day}])
    assert store.roll_up() >= 1


def sum_a_day(store: MentionStore, day: int) -> None:
    with store.database.write() as connection:
        mark_totals(connection, [day])
    assert sum_totals(store.database, chunk_days=1) >= 1
