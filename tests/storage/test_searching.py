"""Searching the store: one language, the same mentions on both databases, and an index that is in step."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

# ruff: noqa: RUF001 - letters that look like others are what is tested here
import pytest
from alembic import command
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, text, update

from benchmarks.plans import read_whole, statements
from listener.errors import ConfigError, StoreError
from listener.mention import Metrics
from listener.usage import Usage
from storage import indexing, opening, schema
from storage.expression import DEEPEST, MOST_TERMS, parse
from storage.finding import fts5, split, tsquery
from storage.migrating import alembic_config
from storage.paging import has_pages
from storage.queries import COLUMNS, Filters, count_by, cursor_at, rows
from storage.retagging import Wanted, rewrite, texts
from storage.store import MentionStore, Record
from storage.upgrade import check, reindex, upgrade
from storage.words import MOST_OF_ONE_WORD, MOST_WORDS, stem, words

START = datetime(2026, 11, 9, 12, tzinfo=UTC)
Make = Callable[..., Record]


def found(store: MentionStore, search: str, **asked: Any) -> list[str]:
    filters = Filters.of(contains=search, **asked)
    return [row["external_id"] for row in rows(store, filters, sort="external_id")]


@pytest.fixture
def heard(record: Make, signals: Any) -> Callable[..., Record]:
    """Makes records heard in a language."""

    def make(external_id: str, words: str, language: str | None = "en", **more: Any) -> Record:
        return record(external_id, words, signals=signals(language=language), **more)

    return make


SAMPLES = (
    ("1", "Parking at the Hôpital is dear; the wait was long.", "en"),
    ("2", "L’hôpital Saint-Luc : l'attente aux urgences, quatre heures!", "fr"),
    ("3", "Les infirmières sont formidables, le stationnement est fermé 😡", "fr"),
    ("4", "COVID-19 shot, nurses were kind. We didn't wait long", "en"),
    ("5", "東京の病院で待ちました", "ja"),
    ("6", "the long long wait (again) & again", None),
    ("7", "!!!", "en"),
)


@pytest.fixture
def sampled(pulling: Any, heard: Any, tombstone: Any) -> MentionStore:
    pulling.save(*(heard(*sample) for sample in SAMPLES), heard("8", "parking to be forgotten"))
    pulling.save(tombstone("8", at=START + timedelta(hours=1)))
    return pulling.store  # type: ignore[no-any-return]  # Pulling is a class of conftest


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("parking", "1"),
        ("PARKING dear", "1"),
        ("hopital", "12"),
        ("l'hôpital", "2"),
        ('"hopital saint-luc"', "2"),
        ('"saint hopital"', ""),
        ("attente OR nurses", "24"),
        ("long wait", "146"),
        ('"long wait"', "6"),
        ('"wait long"', "4"),
        ('"long long wait"', "6"),
        ('"wait again"', "6"),
        ("long -parking", "46"),
        ("long NOT (parking OR nurses)", "6"),
        ("park*", "1"),
        ('"the wa*"', "1"),
        ('"long lo*"', "6"),
        ("infirmier", "3"),
        ("infirmiere stationnements", "3"),
        ("fermée", "3"),
        ('"infirmière est"', ""),
        ('"stationnements sont fermés"', ""),
        ('"stationnements est fermées"', "3"),
        ("infirmi*", "3"),
        ("nurse", ""),
        ("covid-19", "4"),
        ("covid 19", "4"),
        ("didn't", "4"),
        ("病院", "5"),
        ("院病", ""),
        ("😡", "3"),
        ("NOT long", "2357"),
        ("-long -attente", "357"),
        ("NOT (long AND parking)", "234567"),
        ("parking OR NOT long", "12357"),
        ("NOT NOT parking", "1"),
        ("NOT (NOT parking NOT nurses)", "14"),
        ("forgotten", ""),
        ('"AND"', ""),
        ("nothing-like-this", ""),
        ('le* OR "la"', "3"),
    ],
)
def test_what_is_found(sampled: MentionStore, search: str, expected: str) -> None:
    assert found(sampled, search) == list(expected)
    counted = count_by(sampled, Filters(contains=search), ["organization"])
    assert sum(row["mentions"] for row in counted) == len(expected)


def test_other_filters_go_with_it(sampled: MentionStore) -> None:
    assert found(sampled, "long OR hopital", languages="fr") == ["2"]
    assert found(sampled, "NOT long", languages="en", weeks="2026-W46") == ["7"]
    assert list(sampled.query(contains="parking")["external_id"]) == ["1"]
    with pytest.raises(ConfigError, match="the search fails at character 3"):
        found(sampled, "a AND")


def test_a_question_for_each_database() -> None:
    half = split(parse('park* "a b" -c'))
    assert not half.is_rest
    assert fts5(half.question) == ('(("park" *) AND ("a b" OR "\ue000a \ue000b")) NOT ("c" OR "\ue000c")')
    assert tsquery(half.question) == (
        "((('park':*)) & (('a' <-> 'b') | ('\ue000a' <-> '\ue000b'))) & !(('c') | ('\ue000c'))"
    )


@pytest.mark.parametrize("search", ["-a -b", "NOT (a OR NOT b) OR -c", "a OR -b", "-a OR -b"])
def test_nothing_begins_with_a_not(search: str) -> None:
    half = split(parse(search))
    assert half.is_rest is (search != "NOT (a OR NOT b)")
    assert not fts5(half.question).startswith("NOT")


def test_the_largest_searches_are_taken(sampled: MentionStore) -> None:
    deep = "(" * (DEEPEST - 2) + "-(parking OR long)" + " (a OR -b))" * (DEEPEST - 2)
    assert found(sampled, deep) == ["2", "3", "5", "7"]
    assert found(sampled, " OR ".join(["parking"] * MOST_TERMS)) == ["1"]
    assert found(sampled, " ".join(["-parking", "long"] * (MOST_TERMS // 2))) == ["4", "6"]
    nested = "parking"
    for number in range(DEEPEST - 1):
        nested = f"({nested} OR w{number})" if number % 2 else f"({nested} parking -w{number})"
    assert found(sampled, nested) == ["1"]


@pytest.mark.parametrize("sign", ["", "-"])
def test_the_deepest_searches_are_taken(sampled: MentionStore, sign: str) -> None:
    # De Morgan's laws make the most of each level: what finds and what is left out change places.
    deepest = f"{sign}parking"
    for number in range(DEEPEST - len(sign)):
        deepest = f"f{number} OR -l{number} OR g{number} -m{number} ({deepest})"
    assert found(sampled, deepest) == found(sampled, "NOT nothing")


def test_an_edited_text_is_found_by_its_new_words_only(pulling: Any, heard: Any) -> None:
    pulling.save(heard("1", "old words"))
    pulling.save(heard("1", "new words", edited_at=START))
    assert [found(pulling.store, search) for search in ("old", "new", "words", "NOT old")] == [
        *([], ["1"], ["1"], ["1"]),
    ]


def test_a_removed_text_is_gone_from_the_index(pulling: Any, heard: Any, tombstone: Any, store_url: str) -> None:
    pulling.save(heard("1", "kept secret"), heard("2", "kept open"))
    pulling.save(tombstone("1"))
    for search in ("secret", "kept -open", "NOT open", "NOT nothing -open"):
        assert found(pulling.store, search) == []
    with pulling.store.database.read() as connection:
        kept = connection.execute(text("SELECT * FROM mention_words")).all()
        assert len(kept) == 1
        assert "secret" not in str(kept)
    assert check(store_url) == []
    pulling.save(heard("1", "restored"))
    assert found(pulling.store, "restored") == ["1"]
    assert found(pulling.store, "secret") == []
    assert check(store_url) == []


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_removed_text_is_in_no_page_of_the_file(
    pulling: Any, heard: Any, tombstone: Any, store_url: str
) -> None:
    file = Path(store_url.removeprefix("sqlite:///"))

    def holds(words: str) -> bool:
        with pulling.store.database.writing.connect() as connection:
            connection.rollback()
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            assert raw.execute("PRAGMA secure_delete").fetchone() == (1,)
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return words.encode() in file.read_bytes()

    long = "Xylophonist " + "said so and so on and on " * 400
    pulling.save(heard("1", "Zanzibar was ever so lovely"), heard("2", long), heard("3", "open"))
    said = ("Zanzibar was ever so lovely", "Xylophonist said", "zanzibar was ever")
    assert all(map(holds, said))
    pulling.save(tombstone("1"), tombstone("2"))
    assert not any(map(holds, said))
    # Single words stay in the index until it is merged.
    reindex(store_url)
    assert not any(map(holds, ("zanzibar", "xylophonist")))


def test_what_is_first_heard_of_when_it_is_gone_has_no_words(pulling: Any, tombstone: Any, store_url: str) -> None:
    pulling.save(tombstone("1"))
    assert found(pulling.store, "NOT parking") == []
    assert check(store_url) == []


def test_an_unchanged_text_is_not_indexed_again(pulling: Any, heard: Any, record: Make) -> None:
    pulling.save(heard("1", "the same"), heard("2", "le même", "fr"))
    with statements(pulling.store.database, every=True) as said:
        pulling.save(heard("1", "the same"), heard("2", "le même", "fr"))
        pulling.save(record("1", "the same", heard=False, metrics=Metrics(likes=3)))
        pulling.save(heard("1", "the same", edited_at=START))
    assert not any("mention_words" in statement for statement, _ in said)


def test_another_language_of_the_same_text_is_indexed(pulling: Any, heard: Any, store_url: str) -> None:
    pulling.save(heard("1", "les urgences", None))
    assert found(pulling.store, "urgence") == []
    pulling.save(heard("1", "les urgences", "fr"))
    assert found(pulling.store, "urgence") == ["1"]
    assert check(store_url) == []
    pulling.save(heard("1", "les urgences", "en"))
    assert found(pulling.store, "urgence") == []
    assert check(store_url) == []


def test_retag_to_french_makes_stems(pulling: Any, heard: Any, signals: Any, store_url: str) -> None:
    pulling.save(heard("1", "les urgences"), heard("2", "parking"))
    read = texts(pulling.store, Wanted(version="2"), after=0, limit=10)
    rewrite(pulling.store, [(read[0], signals(language="fr", version="2")), (read[1], signals(version="2"))])
    assert found(pulling.store, "urgence") == ["1"]
    assert check(store_url) == []
    rewrite(pulling.store, [(read[0], signals(language="en", version="3"))])
    assert found(pulling.store, "urgence") == []
    assert found(pulling.store, "urgences") == ["1"]
    assert check(store_url) == []


def test_a_page_is_indexed_by_few_statements(pulling: Any, heard: Any) -> None:
    with statements(pulling.store.database, every=True) as said:
        pulling.save(*(heard(f"{number}", f"word{number} urgences", "fr") for number in range(1000)))
    assert sum("mention_words" in statement for statement, _ in said) <= 4
    with statements(pulling.store.database, every=True) as said:
        pulling.save(
            *(heard(f"{number}", f"other{number}", "fr", edited_at=START) for number in range(1000)),
        )
    assert sum("mention_words" in statement for statement, _ in said) <= 5
    assert found(pulling.store, "word7 OR other7") == ["7"]


def test_the_limits_of_a_text_are_those_of_both(pulling: Any, heard: Any, store_url: str) -> None:
    often = "oui " * (MOST_OF_ONE_WORD + 40) + "enfin les urgences"
    long = " ".join(f"mot{number}" for number in range(MOST_WORDS + 10))
    wide = " ".join("ж" * 70 + str(number) for number in range(MOST_WORDS))
    pulling.save(heard("1", often, "fr"), heard("2", long, "fr"), heard("3", wide, "fr"))
    asked = {
        '"oui oui"': ["1"],
        '"enfin les urgences"': ["1"],
        '"enfin les urgence"': ["1"],
        '"oui enfin"': [],
        f'"mot{MOST_WORDS - 2} mot{MOST_WORDS - 1}"': ["2"],
        f"mot{MOST_WORDS}": [],
        "ж" * 64: ["3"],
        "ж" * 65: ["3"],
        "ж" * 64 + "*": ["3"],
        "ж" * 63: [],
    }
    assert {search: found(pulling.store, search) for search in asked} == asked
    assert check(store_url) == []


# One store on each database for all examples; each looks for its own mentions only.
VOCABULARY = (
    *("parking", "Parkings", "l'hôpital", "hopitaux", "attente", "attentes", "fermée", "FERMER", "covid-19"),
    *("naïve", "straße", "STRASSE", "don't", "東京", "京", "😡", "😡😡", "à", "a", "rendez-vous", "ﬁn", "ж"),
)
TEXTS = st.lists(st.sampled_from((*VOCABULARY, "!", "-")), max_size=8).flatmap(
    lambda some: st.sampled_from([" ", ", ", "-", "\n"]).map(lambda between: between.join(some))
)
CORPUS = st.lists(st.tuples(TEXTS, st.sampled_from(["en", "fr", "fr", None])), min_size=1, max_size=6)
PHRASES = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=3)
Tree = tuple[Any, ...]
LEAVES = st.one_of(
    st.sampled_from(VOCABULARY).map(lambda word: ("term", word, False)),
    PHRASES.map(lambda some: ("term", f'"{" ".join(some)}"', False)),
    PHRASES.map(lambda some: " ".join(some)[:-1])
    .filter(lambda cut: len((words(f"{cut}x") or ["x"])[-1]) > 3)
    .filter(lambda cut: cut[-1].isalpha())
    .map(lambda cut: ("term", f'"{cut}*"', True)),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "beside", "or"]), inner, inner),
    ),
    max_leaves=6,
)


def written(tree: Tree) -> str:
    match tree:
        case ("term", as_written, _):
            return as_written  # type: ignore[no-any-return]
        case ("not", inner):
            return f"NOT ({written(inner)})"
        case ("or", left, right):
            return f"({written(left)} OR {written(right)})"
        case (how, left, right):
            return f"({written(left)}{' AND ' if how == 'and' else ' '}{written(right)})"
    raise AssertionError(tree)


def holds(tree: Tree, said: str, language: str | None) -> bool:
    """The meaning of a search, said in Python."""
    match tree:
        case ("not", inner):
            return not holds(inner, said, language)
        case ("or", left, right):
            return holds(left, said, language) or holds(right, said, language)
        case ("term", as_written, is_beginning):
            asked, there = words(as_written), words(said)
            if runs(asked, there, is_beginning=is_beginning):
                return True
            french = language == "fr" and not is_beginning
            return french and runs([stem(one) for one in asked], [stem(one) for one in there], is_beginning=False)
        case (_, left, right):
            return holds(left, said, language) and holds(right, said, language)
    raise AssertionError(tree)


def runs(asked: list[str], there: list[str], *, is_beginning: bool) -> bool:
    *firsts, last = asked
    return any(
        there[at : at + len(firsts)] == firsts
        and (there[at + len(firsts)].startswith(last) if is_beginning else there[at + len(firsts)] == last)
        for at in range(len(there) - len(firsts))
    )


@pytest.fixture
def both(
    sqlite_url: str, postgresql_url: str, taxonomy: Any, organization: Any
) -> Iterator[Callable[[list[Record]], list[MentionStore]]]:
    """Saves records in a store on each database, and returns the two."""
    with ExitStack() as stack:
        stores = [stack.enter_context(MentionStore.open(url)) for url in (sqlite_url, postgresql_url)]
        for store in stores:
            store.declare([organization()], taxonomy)

        def save(records: list[Record]) -> list[MentionStore]:
            for store in stores:
                stream = store.stream(
                    organization="st-elsewhere", channel="twitter", kind="search", query="q", options={}, key="k"
                )
                run = store.begin_run(stream.id, since=None, until=None)
                store.save_page(stream_id=stream.id, run_id=run, records=records, cursor={}, usage=Usage())
            return stores

        yield save


@pytest.mark.no_cover
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpus=CORPUS, trees=st.lists(TREES, min_size=1, max_size=4))
@example(corpus=[("L'HÔPITAL", "fr"), ("hopitaux", "en")], trees=[("not", ("term", "hôpitaux", False))])
@example(corpus=[("", "fr"), ("! - !", "en")], trees=[("not", ("term", "a", False)), ("term", "a", False)])
def test_both_databases_and_python_agree(
    both: Any, heard: Any, corpus: list[tuple[str, str | None]], trees: list[Tree]
) -> None:
    mark = uuid.uuid4().hex
    records = [heard(f"{mark}-{at}", said, language) for at, (said, language) in enumerate(corpus)]
    stores = both(records)
    for tree in trees:
        expected = [f"{mark}-{at}" for at, (said, language) in enumerate(corpus) if holds(tree, said, language)]
        for store in stores:
            ours = [one for one in found(store, written(tree)) if one.startswith(mark)]
            assert ours == expected, written(tree)


@contextmanager
def changed(store_url: str) -> Iterator[Any]:
    database = opening.connect(store_url)
    with database.write() as connection:
        yield connection
    database.close()


def test_an_index_out_of_step_is_told_and_made_anew(sampled: MentionStore, store_url: str) -> None:
    sampled.roll_up()
    with changed(store_url) as connection:
        connection.execute(delete(schema.mention_words).where(indexing.row_id(connection) == 1))
    assert check(store_url) == [
        "1 mentions are missing in the full-text index, or too many: run `listener db reindex`"
    ]
    with changed(store_url) as connection:
        connection.execute(update(schema.mentions).where(schema.mentions.c.id == 2).values(language="en"))
        connection.execute(update(schema.mentions).where(schema.mentions.c.id == 3).values(text=""))
    assert check(store_url) == [
        "2 mentions are missing in the full-text index, or too many: run `listener db reindex`",
        "1 mentions are found by other words than they have: run `listener db reindex`",
    ]
    seen: list[int] = []
    assert reindex(store_url, progress=seen.append) == 6
    assert seen == [6]
    assert check(store_url) == []
    assert found(sampled, "parking") == ["1"]


def test_a_filled_store_is_indexed_by_the_upgrade(
    pulling: Any, heard: Any, tombstone: Any, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulling.save(*(heard(f"{number}", f"urgences {number}", "fr") for number in range(7)))
    pulling.save(tombstone("3"))
    pulling.store.roll_up()
    with changed(store_url) as connection:
        command.downgrade(alembic_config(connection), "0003")
    # Several chunks, of few mentions.
    monkeypatch.setattr(indexing, "_FILLED_AT_ONCE", 2)
    assert upgrade(store_url) == ("0003", schema.SCHEMA_VERSION)
    assert check(store_url) == []
    assert found(pulling.store, "urgence") == ["0", "1", "2", "4", "5", "6"]


def test_the_migration_makes_the_table_that_reindex_makes(sqlite_url: str) -> None:
    with changed(sqlite_url) as connection:
        (made,) = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'mention_words'")).one()
    assert made == indexing.FTS5_TABLE


def test_sqlite_without_full_text_search_is_told(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_FTS5", "fts99")
    with pytest.raises(StoreError, match=r"listener\.db: this Python's SQLite has no full-text search \(FTS5\)"):
        MentionStore.open(sqlite_url)


@pytest.fixture
def many(pulling: Any, heard: Any) -> MentionStore:
    """Three thousand mentions: every one says "common", one in a thousand "rare", a few of the oldest "old"."""
    page = [
        heard(
            f"{number:05}",
            f"common word {number}" + (" rare" if number % 1000 == 7 else "") + (" old" if number < 30 else ""),
            at=START - timedelta(minutes=3000 - number),
        )
        for number in range(3000)
    ]
    pulling.save(*page)
    with pulling.store.database.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT gin_clean_pending_list('ix_mention_words_tokens')"))
        connection.execute(text("ANALYZE"))
    return pulling.store  # type: ignore[no-any-return]  # Pulling is a class of conftest


def test_pages_follow_each_other(many: MentionStore) -> None:
    """Whatever stretch a page is found in: together the pages are what a whole answer is."""
    counts = {"common": 3000, "rare": 3, "NOT common": 0, "NOT rare": 2997, "old": 30}
    for search, count in counts.items():
        for sort in ("-published_at", "published_at"):
            filters = Filters(contains=search)
            whole = [row["external_id"] for row in rows(many, filters, sort=sort)]
            assert len(whole) == count
            limit, cursor = 20 if count < 100 else 500, None
            gathered: list[str] = []
            while page := list(rows(many, filters, sort=sort, limit=limit, after=cursor)):
                gathered += [row["external_id"] for row in page]
                cursor = cursor_at(page[-1], sort)
            assert gathered == whole, (search, sort)


def test_no_search_reads_a_table_from_end_to_end(many: MentionStore) -> None:
    searches = ["rare", '"7 rare"', "rar*", "common rare", "rare -old"]
    if many.database.is_sqlite:
        # Of words that everybody says PostgreSQL rightly thinks that to read everything is as well.
        searches += ["common", '"common word"', "comm*"]
    for search in searches:
        for asked in ({}, {"weeks": "2026-W46"}, {"organizations": "st-elsewhere"}):
            filters = Filters.of(contains=search, **asked)
            with statements(many.database) as said:
                for limit in (2, None):
                    list(rows(many, filters, limit=limit))
                count_by(many, filters, ["week"])
            by_words = [(asked_for, values) for asked_for, values in said if "mention_words" in asked_for]
            assert len(by_words) >= 3
            assert read_whole(many.database, by_words) == [], (search, asked)


def test_a_page_of_a_common_word_collects_few(many: MentionStore) -> None:
    with statements(many.database) as said:
        assert len(list(rows(many, Filters(contains="common"), limit=5))) == 5
    (asked,) = [statement for statement, _ in said if "mention_words" in statement]
    assert re.search(r"published_at >= ", asked)


def test_rows_can_be_paged_by_other_columns(pulling: Any, heard: Any, record: Make) -> None:
    likes = [3, None, 1, 3, None, 2, 3]
    pulling.save(*(record(f"{at}", metrics=Metrics(likes=count)) for at, count in enumerate(likes)))
    pulling.save(record("7", own=True))
    for sort in ("likes", "-likes", "external_id", "-own", "sentiment_score", "-published_at", "edited_at"):
        whole = [row["external_id"] for row in rows(pulling.store, Filters(), sort=sort)]
        gathered, cursor = [], None
        while page := list(rows(pulling.store, Filters(), sort=sort, limit=2, after=cursor)):
            gathered += [row["external_id"] for row in page]
            cursor = cursor_at(page[-1], sort)
        assert gathered == whole, sort


def test_a_page_begins_behind_the_last_whatever_came_meanwhile(pulling: Any, record: Make, tombstone: Any) -> None:
    pulling.save(*(record(f"{at}", at=START + timedelta(hours=at)) for at in range(6)))
    first = list(rows(pulling.store, Filters(), limit=3))
    cursor = cursor_at(first[-1], "-published_at")
    pulling.save(record("new", at=START + timedelta(hours=9)), record("between", at=START + timedelta(minutes=90)))
    pulling.save(tombstone("3"))
    then = rows(pulling.store, Filters(), limit=3, after=cursor)
    assert [row["external_id"] for row in then] == ["2", "between", "1"]
    assert "parking" not in cursor


def test_cursors_that_are_none(pulling: Any, record: Make) -> None:
    pulling.save(record("1"))
    (row,) = rows(pulling.store, Filters())
    cursor = cursor_at(row, "-published_at")
    with pytest.raises(ConfigError, match="sorted by '-published_at', not 'likes': ask with the same sort"):
        list(rows(pulling.store, Filters(), sort="likes", after=cursor))
    for wrong in ("", "é", "x", cursor[:-9], "W10", cursor_at({**row, "edited_at": "soon"}, "edited_at")):
        sort = "edited_at" if len(wrong) > 3 and wrong != cursor[:-9] else "-published_at"
        with pytest.raises(ConfigError, match="not one that a query has printed: copy it whole"):
            list(rows(pulling.store, Filters(), sort=sort, after=wrong))
    naive, beyond = START.replace(tzinfo=None), datetime.max.replace(tzinfo=timezone(-timedelta(hours=5)))
    of_one = Filters(organizations=("st-elsewhere",))
    for moment in (naive, beyond, None):
        with pytest.raises(ConfigError, match="not one that a query has printed"):
            list(rows(pulling.store, of_one, after=cursor_at({**row, "published_at": moment}, "-published_at")))
    for sort in ("topics", "-text", "corrected"):
        with pytest.raises(ConfigError, match="have no pages: sort by another column"):
            list(rows(pulling.store, Filters(), sort=sort, after=cursor))
        with pytest.raises(ConfigError, match="have no pages"):
            cursor_at(row, sort)


def as_cursor(told: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


def answers(store: MentionStore, sort: str, cursor: str) -> bool:
    """Tell whether a crafted cursor is taken for one; whatever else is raised is a bug."""
    for asked in (Filters(), Filters(contains="parking")):
        try:
            list(rows(store, asked, sort=sort, limit=2, after=cursor))
        except ConfigError as error:
            assert "cursor is" in str(error)  # noqa: PT017 - not every cursor is refused
            return False
    return True


PAGED = [name for name in COLUMNS if has_pages(name)]
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63 - 1, 2**63, -(2**63), -(2**64), 10**400])
    | st.floats()
    | st.text(st.characters())
    | st.datetimes().map(datetime.isoformat)
    | st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=14))])
    ).map(datetime.isoformat),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=5),
    max_leaves=6,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_crafted_cursors_are_told(pulling: Any, record: Make, data: Any) -> None:
    pulling.save(*(record(f"{at}", metrics=Metrics(likes=at)) for at in range(3)))
    sort = data.draw(st.sampled_from(["", "-"])) + data.draw(st.sampled_from(PAGED))
    page = list(rows(pulling.store, Filters(), sort=sort, limit=2))
    cursor = cursor_at(page[-1], sort)
    told = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    assert answers(pulling.store, sort, cursor)
    place = data.draw(st.integers(0, 4))
    answers(pulling.store, sort, as_cursor([*told[:place], data.draw(ODD), *told[place + 1 :]]))
    answers(pulling.store, sort, as_cursor(data.draw(ODD)))
    at = data.draw(st.integers(0, len(cursor) - 1))
    answers(pulling.store, sort, cursor[:at] + data.draw(st.characters()) + cursor[at + 1 :])


@pytest.mark.parametrize(
    ("sort", "value", "taken"),
    [
        ("-published_at", None, False),
        ("published_at", "2026-11-09T12:00:00", False),
        ("published_at", "0001-01-01T00:00:00+10:00", False),
        ("published_at", "2026-11-09T12:00:00+10:00", True),
        ("edited_at", None, True),
        ("edited_at", 5, False),
        ("likes", 2**63 - 1, True),
        ("likes", 2**63, False),
        ("likes", 1.5, False),
        ("likes", True, False),
        ("sentiment_score", 1, True),
        ("sentiment_score", float("nan"), False),
        ("sentiment_score", 10**400, False),
        ("own", True, True),
        ("own", 1, False),
        ("language", "e\0n", False),
        ("language", "\ud800", False),
        ("language", "é", True),
        ("language", {}, False),
    ],
)
def test_a_cursor_has_what_can_stand_in_its_column(
    pulling: Any, record: Make, sort: str, value: Any, taken: bool
) -> None:
    pulling.save(record("1"))
    assert answers(pulling.store, sort, as_cursor([sort, value, "twitter", "1", "st-elsewhere"])) is taken


def test_a_cursor_that_is_nested_deeply_or_names_no_row_is_told(pulling: Any) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    told: tuple[Any, ...] = ({}, ["likes", 1, "a", 2, "c"], [5, 1, "a", "b", "c"], ["likes", 1, "a", "b"], "likes")
    for cursor in (base64.urlsafe_b64encode(deep.encode()).decode(), *map(as_cursor, told)):
        assert not answers(pulling.store, "likes", cursor)
