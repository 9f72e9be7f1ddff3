"""A store on PostgreSQL is partitioned by the month of publication, and does what it did before."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url, text

from benchmarks.plans import statements
from listener.errors import ConfigError, StoreError
from listener.mention import Metrics
from listener.settings import OrganizationSettings
from listener.signals.topics import Taxonomy
from storage.backup import backup
from storage.correcting import Correction, Name, correct, ids_by_name
from storage.indexing import rebuild
from storage.migrating import alembic_config
from storage.opening import connect
from storage.partitioning import Partitioned, partition
from storage.partitions import NUMBER_BITS, first_id, month_of, of_month
from storage.queries import Filters, count_by, cursor_at, rows, weekly_volume
from storage.retagging import Wanted, rewrite, texts
from storage.schema import SCHEMA_VERSION
from storage.store import MentionStore, PageCounts, Record
from storage.upgrade import check, upgrade

SINCE = date(2026, 1, 1)
EVERY = Filters()


def run(url: str, *statements: str) -> None:
    database = connect(url)
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.close()


def asked(url: str, query: str) -> list[Any]:
    database = connect(url)
    with database.read() as connection:
        found = list(connection.execute(text(query)).scalars())
    database.close()
    return found


def partitions(url: str, table: str = "mentions") -> list[str]:
    return asked(
        url, f"SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{table}'::regclass ORDER BY 1"
    )


def at(year: int, month: int, day: int = 9) -> datetime:
    return datetime(year, month, day, 12, tzinfo=UTC)


MONTHS = (at(2007, 3), at(2025, 12, 31), at(2026, 1, 1), at(2026, 10), at(2026, 11), at(2104, 2))


@pytest.fixture
def filled(pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record]) -> Any:
    """A store of many months, two organizations and channels, with an edit, a tombstone and a correction."""
    pulling.save(
        *(
            record(str(n), f"parking on level {n}", at=moment, metrics=Metrics(likes=n))
            for n, moment in enumerate(MONTHS)
        )
    )
    pulling.save(record("4", "parking on level 4", at=at(2026, 11)), organization="general")
    pulling.save(record("r1", "the nurses were kind", channel="reddit", at=at(2026, 10), own=True))
    pulling.save(tombstone("3", at=at(2026, 11)), record("2", "l'infirmière", at=at(2026, 1, 1)))
    pulling.store.roll_up()
    return pulling


def told(store: MentionStore) -> Any:
    """What the store says, ids apart."""
    return (
        list(rows(store, EVERY)),
        count_by(store, EVERY, ["channel", "topic"]),
        [weekly_volume(store, organization="st-elsewhere", weeks=range(2900, 2970))],
    )


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_filled_store_says_the_same_when_it_is_partitioned(filled: Any, store_url: str) -> None:
    before = told(filled.store)
    seen: list[tuple[str, int, int]] = []
    made = partition(store_url, since=SINCE, progress=lambda *step: seen.append(step))
    assert made == Partitioned(partitions=5, mentions=7, is_new=True)
    assert seen[0] == ("mentions copied", 7, 7)
    assert seen[-1] == ("partitions indexed", 25, 25)
    suffixes = ("after", "before", "y2026m01", "y2026m10", "y2026m11")
    for table in ("mentions", "mention_words", "mention_topics", "mention_metrics", "mention_organizations"):
        assert partitions(store_url, table) == [f"{table}_{suffix}" for suffix in suffixes]
    # By the connections that were open before, too.
    assert told(filled.store) == before
    assert check(store_url) == []
    assert partition(store_url, since=date(2020, 1, 1)) == replace(made, is_new=False)
    filled.store.rebuild_rollups()
    assert told(filled.store) == before
    assert asked(store_url, "SELECT count(*) FROM mentions_before") == [2]
    assert asked(store_url, "SELECT count(*) FROM mention_words_after") == [1]


def live(pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record]) -> Any:
    """Do what a store is for, over many months; return what it says then."""
    store = pulling.store
    pages = [
        [
            record(f"{page}-{n}", f"bed {n} was clean", at=at(2025, 10) + timedelta(days=9 * (page * 10 + n)))
            for n in range(10)
        ]
        for page in range(4)
    ]
    for page in pages:
        assert pulling.save(*page) == PageCounts(inserted=10)
        assert pulling.save(*page) == PageCounts(unchanged=10)
    pulling.save(record("0-1", "an edit", at=at(2025, 10), edited_at=at(2026, 12)))
    # As a video that is gone: its platform does not tell when it was published.
    assert pulling.save(tombstone("1-1", at=at(2026, 11)), tombstone("2-2", at=at(2026, 11))).updated == 2
    assert pulling.save(record("2-2", "it is back", at=at(2026, 11))) == PageCounts(updated=1)
    assert pulling.save(record("3-3", "bed 3 was clean", at=at(2030, 1)), organization="general").updated == 1
    store.roll_up()
    name = Name("twitter", "3-1")
    corrected = correct(
        store, {ids_by_name(store, [name])[name]: Correction(topics=frozenset({"parking"}))}, now=at(2026, 12)
    )
    assert len(corrected.changes) == 1
    wanted = Wanted(version="another")
    heard = texts(store, wanted, after=0, limit=5) + texts(store, wanted, after=0, limit=100)[5:]
    assert len(heard) == 39
    written = rewrite(store, [(one, replace(record().signals, version="another")) for one in heard])
    assert written.written == 39
    store.roll_up()
    due = store.due_for_recheck("twitter", published_since=at(2026, 6), checked_before=at(2027, 1), limit=2)
    assert due == ["2-7", "2-8"]
    pulling.save(record("new", "a bed in the ward", at=at(2026, 9)))
    store.roll_up()
    assert rebuild(store.database) == 40
    page = list(rows(store, EVERY, limit=7))
    cursor = cursor_at(page[-1], "-published_at")
    return (
        list(rows(store, EVERY)),
        page,
        list(rows(store, EVERY, limit=7, after=cursor)),
        list(rows(store, Filters.of(contains="bed -ward"))),
        list(rows(store, Filters.of(contains="bed"), limit=1)),
        list(rows(store, Filters.of(since="2025-12-31", until="2026-02-01"))),
        list(rows(store, Filters.of(weeks=["2026-W01", "2026-W10"]))),
        list(rows(store, Filters.of(until="0001-01-01"))) + list(rows(store, Filters.of(since="9999-12-31"))),
        count_by(store, Filters.of(since="2026-01-01"), ["channel", "topic", "week"]),
        weekly_volume(store, organization="st-elsewhere", weeks=range(2900, 2970)),
    )


@pytest.mark.parametrize("store_url", ["partitioned"], indirect=True)
def test_a_partitioned_store_does_what_any_other_does(
    pulling: Any,
    record: Callable[..., Record],
    tombstone: Callable[..., Record],
    taxonomy: Taxonomy,
    organization: Callable[..., OrganizationSettings],
    store_url: str,
) -> None:
    said = live(pulling, record, tombstone)
    with MentionStore.open("sqlite://", clock=pulling.clock) as other:
        other.declare([organization(), organization("general", "Europe/Athens")], taxonomy)
        pulling.clock.step_to(pulling.clock.now())
        assert live(type(pulling)(other, pulling.clock), record, tombstone) == said
    assert check(store_url) == []
    made = [name.removeprefix("mentions_") for name in partitions(store_url)]
    assert made == ["after", "before", *(f"y2026m{month:02}" for month in range(1, 10))]


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql", "partitioned"], indirect=True)
def test_every_organization_counts_a_mention_on_the_day_that_is_stored(
    pulling: Any, record: Callable[..., Record], store_url: str
) -> None:
    pulling.save(record("1", at=at(2026, 4, 7)))
    pulling.save(record("1", at=at(2026, 9, 7), zone="Europe/Athens"), organization="general")
    assert {row["day"] for row in count_by(pulling.store, EVERY, ["day", "organization"])} == {date(2026, 4, 7)}
    pulling.store.roll_up()
    assert check(store_url) == []


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_days_that_were_told_otherwise_are_set_right(
    pulling: Any, record: Callable[..., Record], store_url: str
) -> None:
    pulling.save(record("1", at=at(2026, 4, 7)))
    pulling.store.roll_up()
    right = told(pulling.store)
    run(store_url, "UPDATE mention_organizations SET day = day + 30")
    pulling.store.rebuild_rollups()
    partition(store_url, since=SINCE)
    assert pulling.store.roll_up() == 2
    assert told(pulling.store) == right
    run(store_url, "UPDATE mention_organizations SET day = day + 30")
    assert "1 mentions are counted on another day than they were published on: restore a backup" in check(
        store_url
    )


@pytest.mark.parametrize("store_url", ["partitioned"], indirect=True)
def test_months_are_made_for_new_mentions_alone(
    pulling: Any, record: Callable[..., Record], tombstone: Callable[..., Record], store_url: str
) -> None:
    run(
        store_url,
        "ALTER TABLE mentions_before SET (autovacuum_vacuum_scale_factor = 0.02, toast.vacuum_truncate = off)",
    )
    pulling.save(record("1", at=at(2026, 4)), record("2", at=at(1999, 4)), record("3", at=at(2200, 4)))
    assert partitions(store_url) == ["mentions_after", "mentions_before", "mentions_y2026m04"]
    pulling.save(record("1", at=at(2026, 5)), tombstone("2", at=at(2026, 6)))
    assert pulling.save() == PageCounts()
    assert partitions(store_url) == ["mentions_after", "mentions_before", "mentions_y2026m04"]
    pulling.save(record("5", at=at(2026, 5)))
    name = "mention_topics_y2026m05"
    assert name in partitions(store_url, "mention_topics")
    (numbers,) = asked(store_url, "SELECT id & (1::bigint << 36) - 1 FROM mentions_y2026m05")
    assert asked(store_url, "SELECT id FROM mentions_y2026m05") == [first_id(month_of(at(2026, 5))) + numbers]
    run(store_url, "ALTER TABLE mentions_y2026m05 SET (autovacuum_vacuum_scale_factor = 0.03)")
    pulling.save(record("6", at=at(2026, 7)))
    parameters = asked(store_url, "SELECT unnest(reloptions) FROM pg_class WHERE relname = 'mentions_y2026m07'")
    assert "autovacuum_vacuum_scale_factor=0.03" in parameters


@pytest.mark.parametrize("store_url", ["partitioned"], indirect=True)
def test_a_month_can_be_dropped_by_itself_and_comes_again(
    pulling: Any, record: Callable[..., Record], store_url: str
) -> None:
    pulling.save(record("1", at=at(2026, 4)), record("2", at=at(2026, 5)))
    tables = ("mentions", "mention_words", "mention_topics", "mention_metrics", "mention_organizations")
    run(store_url, f"DROP TABLE {', '.join(f'{table}_y2026m04' for table in tables)}")
    assert [row["external_id"] for row in rows(pulling.store, EVERY)] == ["2"]
    assert pulling.save(record("1", at=at(2026, 4))) == PageCounts(inserted=1)
    assert check(store_url) == []


@pytest.mark.parametrize("store_url", ["partitioned"], indirect=True)
def test_writers_of_one_new_month_neither_double_nor_lock_each_other_out(
    pulling: Any, record: Callable[..., Record], store_url: str
) -> None:
    """Four at once, of two channels and two organizations, each with the same mentions as another one."""
    for organization in ("st-elsewhere", "general"):
        for channel in ("twitter", "reddit"):
            pulling.stream(organization, channel)

    def write(organization: str, channel: str) -> int:
        with MentionStore.open(store_url, clock=pulling.clock) as own:
            writer = type(pulling)(own, pulling.clock, pulling.runs)
            return sum(
                writer.save(
                    *(
                        record(f"{month}-{n}", channel=channel, at=at(2026, month), pseudonym=f"{month}-{n}")
                        for n in range(3)
                    ),
                    organization=organization,
                ).inserted
                for month in range(1, 7)
            )

    with ThreadPoolExecutor(4) as pool:
        writers = [
            pool.submit(write, organization, channel)
            for organization in ("st-elsewhere", "general")
            for channel in ("twitter", "reddit")
        ]
        assert sum(writer.result() for writer in writers) == 36
    assert len(list(rows(pulling.store, EVERY))) == 72
    assert check(store_url) == []


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_writer_that_waited_while_the_store_was_partitioned_goes_on(
    filled: Any, record: Callable[..., Record], store_url: str
) -> None:
    """It asked before, and finds partitions after: its new mention is of a month that has none yet."""
    partition(store_url, since=SINCE)
    assert filled.save(record("late", at=at(2026, 6))) == PageCounts(inserted=1)
    assert "mentions_y2026m06" in partitions(store_url)


@pytest.mark.parametrize("store_url", ["partitioned"], indirect=True)
def test_a_question_of_some_days_looks_at_their_months_alone(
    pulling: Any, record: Callable[..., Record], store_url: str
) -> None:
    pulling.save(*(record(str(month), at=at(2026, month)) for month in range(1, 13)))
    pulling.store.roll_up()
    asked_for = Filters.of(since="2026-05-02", until="2026-06-29", topics="parking")
    with statements(pulling.store.database) as seen:
        assert len(list(rows(pulling.store, asked_for))) == 2
        assert len(count_by(pulling.store, asked_for, ["day"])) == 2
    assert looked_at(pulling.store, seen) == {"y2026m05", "y2026m06"}
    pulling.save(record("6", "an edit", at=at(2026, 6), edited_at=at(2026, 7)))
    with statements(pulling.store.database, every=True) as seen:
        assert pulling.store.roll_up() == 1
    assert looked_at(pulling.store, seen) == {"y2026m06"}


def looked_at(store: MentionStore, asked_of_it: list[tuple[str, Any]]) -> set[str]:
    """Return the months of which these statements would read anything."""
    found = set()
    with store.database.write() as connection:
        connection.execute(text("SET LOCAL enable_partitionwise_join = on"))
        for statement, given in asked_of_it:
            if (
                statement.startswith(("SELECT", "INSERT", "DECLARE", "WITH"))
                and "mention_organizations" in statement
            ):
                (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", given).scalars()
                waiting = [plan[0]["Plan"]]
                while waiting:
                    step = waiting.pop()
                    # What is asked for each row by its id looks into the one month while it runs.
                    waiting += [one for one in step.get("Plans", ()) if one["Parent Relationship"] != "SubPlan"]
                    _, month, suffix = step.get("Relation Name", "").rpartition("_y")
                    found.update({f"y{suffix}"} if month else ())
    return found


def test_sqlite_needs_no_partitions(sqlite_url: str) -> None:
    with pytest.raises(ConfigError, match=r"listener\.db is SQLite, which needs no partitions"):
        partition(sqlite_url, since=SINCE)
    with pytest.raises(ConfigError, match="--since 2100-01-01: partitions by the month begin before 2100"):
        partition(sqlite_url, since=date(2100, 1, 1))


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_what_was_given_to_the_tables_is_given_to_the_new_ones(
    filled: Any, record: Callable[..., Record], store_url: str
) -> None:
    role = f"reader_{make_url(store_url).database}"
    run(
        store_url,
        f'CREATE ROLE "{role}"',
        f'GRANT SELECT ON mentions, v_mentions TO "{role}" WITH GRANT OPTION',
        "GRANT SELECT ON mention_topics TO PUBLIC",
        "COMMENT ON TABLE mentions IS '100% of what we heard'",
        "ALTER TABLE mention_topics SET (autovacuum_vacuum_scale_factor = 0.02)",
        "CREATE VIEW ours WITH (security_barrier) AS SELECT external_id FROM v_mentions WHERE text LIKE '%level%'",
        "CREATE INDEX by_language ON mentions (language) WHERE text LIKE '%level%'",
        "ALTER TABLE mentions ADD COLUMN \"Our own\" TEXT DEFAULT 'x'",
    )
    try:
        partition(store_url, since=SINCE)
        filled.save(record("new", "on the level of June", at=at(2026, 6)))
        assert asked(store_url, "SELECT count(*) FROM ours") == [6]
        assert asked(store_url, "SELECT reloptions[1] FROM pg_class WHERE relname = 'ours'") == [
            "security_barrier=true"
        ]
        assert asked(store_url, 'SELECT DISTINCT "Our own" FROM mentions') == ["x"]
        for table in ("mentions", "v_mentions"):
            granted = f"SELECT has_table_privilege('{role}', '{table}', 'SELECT WITH GRANT OPTION')"
            assert asked(store_url, granted) == [True]
        assert asked(store_url, f"SELECT has_table_privilege('{role}', 'mention_topics', 'SELECT')") == [True]
        assert asked(store_url, "SELECT obj_description('mentions'::regclass)") == ["100% of what we heard"]
        options = "SELECT count(*) FROM pg_class WHERE relname LIKE 'mention_topics_%' AND reloptions IS NOT NULL"
        assert asked(store_url, f"{options} AND relkind = 'r'") == [6]
        assert asked(store_url, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'by_language'::regclass") == [
            6
        ]
    finally:
        run(store_url, f'DROP OWNED BY "{role}"', f'DROP ROLE "{role}"')


HANGING = {
    "the foreign key notes_mention_id_fkey": "CREATE TABLE notes (mention_id BIGINT REFERENCES mentions)",
    "the trigger noisy": "CREATE TRIGGER noisy BEFORE UPDATE ON mentions EXECUTE FUNCTION "
    "suppress_redundant_updates_trigger()",
    "the policy closed": "CREATE POLICY closed ON mentions",
    "the statistics apart": "CREATE STATISTICS apart ON language, purpose FROM mentions",
    "the publication told": "CREATE PUBLICATION told FOR TABLE mention_topics",
    "the unique index one_link": "CREATE UNIQUE INDEX one_link ON mentions (permalink)",
    "a privilege on the column text": "GRANT SELECT (text) ON mentions TO PUBLIC",
    "the table child": "CREATE TABLE child () INHERITS (mentions)",
}


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_what_would_be_lost_is_refused(store_url: str) -> None:
    run(store_url, *HANGING.values())
    with pytest.raises(StoreError, match="hangs on tables that are made anew: drop it first") as refused:
        partition(store_url, since=SINCE)
    assert all(name in str(refused.value) for name in HANGING)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_partitioning_that_ends_early_leaves_the_store_as_it_was(filled: Any, store_url: str) -> None:
    before = told(filled.store)

    def stop(what: str, done: int, _total: int) -> None:
        if (what, done) == ("partitions indexed", 20):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        partition(store_url, since=SINCE, progress=stop)
    run(store_url, "CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM mentions")
    with pytest.raises(StoreError, match="something that is not Listener's depends on its tables"):
        partition(store_url, since=SINCE)
    assert told(filled.store) == before
    assert check(store_url) == []
    assert partitions(store_url) == []


@pytest.mark.parametrize("store_url", ["partitioned"], indirect=True)
def test_what_only_partitions_can_have_wrong_is_told(
    pulling: Any, record: Callable[..., Record], store_url: str
) -> None:
    pulling.save(record("1", at=at(2026, 4)), record("2", at=at(2026, 5)))
    run(store_url, "UPDATE mentions SET external_id = '1'")
    assert check(store_url) == ["1 mentions are stored in two months: restore a backup"]
    run(
        store_url,
        "UPDATE mentions SET external_id = id::text",
        "UPDATE mentions SET published_at = published_at + interval '1 month' WHERE published_at < '2026-05-01'",
        "ALTER TABLE mentions_y2026m04 DROP CONSTRAINT uq_mentions_y2026m04_channel_id_external_id",
        "ALTER TABLE mention_words_y2026m05 DROP CONSTRAINT fk_mention_words_y2026m05_mention_id",
        "DROP TABLE mention_metrics_y2026m04",
    )
    assert check(store_url) == [
        "the partition mentions_y2026m04 was changed by hand: it has lost its unique or foreign key",
        "the partition mention_words_y2026m05 was changed by hand: it has lost its unique or foreign key",
        "only one of mentions and mention_metrics has a partition y2026m04: restore a backup",
        "1 mentions are of another month than their ids say: restore a backup",
        "1 mentions are counted on another day than they were published on: restore a backup",
    ]
    run(store_url, "ALTER TABLE mentions ADD COLUMN mood TEXT")
    assert "mood" in check(store_url)[0]


@pytest.mark.parametrize("store_url", ["partitioned"], indirect=True)
def test_migrations_go_on_over_partitions(pulling: Any, record: Callable[..., Record], store_url: str) -> None:
    pulling.save(record("1", at=at(2026, 4)))
    database = connect(store_url)
    with database.write() as connection:
        command.downgrade(alembic_config(connection), "0003")
    database.close()
    assert upgrade(store_url) == ("0003", SCHEMA_VERSION)
    run(
        store_url,
        "ALTER TABLE mentions ADD COLUMN mood TEXT CONSTRAINT calm CHECK (mood <> 'angry')",
        "CREATE INDEX ix_mood ON mentions (mood)",
    )
    pulling.save(record("2", at=at(2026, 5)))
    of_new = (
        "SELECT count(*) FROM pg_constraint WHERE conname = 'calm' AND conrelid = 'mentions_y2026m05'::regclass"
    )
    assert asked(store_url, of_new) == [1]
    run(store_url, "ALTER TABLE mentions DROP COLUMN mood")
    assert check(store_url) == []


@pytest.mark.parametrize("store_url", ["partitioned"], indirect=True)
def test_a_backup_of_partitions_is_whole(
    pulling: Any,
    record: Callable[..., Record],
    store_url: str,
    new_postgresql: Callable[..., str],
    postgresql_programs: Path,
    tmp_path: Path,
) -> None:
    pulling.save(record("1", at=at(2026, 4)), record("2", at=at(2020, 5)))
    copy = new_postgresql()
    backup(store_url, tmp_path / "copy.dump", pg_dump=str(postgresql_programs / "pg_dump"))
    program = [postgresql_programs / "pg_restore", "--exit-on-error", "--dbname", copy, tmp_path / "copy.dump"]
    subprocess.run(program, check=True)
    assert check(copy) == []
    with MentionStore.open(copy) as store:
        assert [row["external_id"] for row in rows(store, EVERY)] == ["1", "2"]


@given(moment=st.datetimes(timezones=st.timezones()))
def test_ids_are_in_the_order_of_months_and_fit_into_a_float(moment: datetime) -> None:
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        return
    month = month_of(moment)
    assert (month // 12, month % 12 + 1) == (utc.year, utc.month)
    assert first_id(month) + (1 << NUMBER_BITS) == first_id(month + 1) <= 1 << 53
    assert of_month(month).suffix == f"y{utc.year:04}m{utc.month:02}"
