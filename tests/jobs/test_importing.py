"""Archives into the store: once and whole, whatever was pulled before, stopped or changed meanwhile."""

from __future__ import annotations

import gzip
import io
import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

import connectors
from jobs import leases
from jobs.export import write_file, write_stream
from jobs.importing import ImportReport, Order, import_archives
from jobs.ingest import ingest
from jobs.rollup import roll_up
from jobs.summary import weekly_summary
from listener.clock import SteppedClock
from listener.errors import ConfigError, LeaseHeld
from listener.mention import Purpose
from listener.settings import Settings
from listener.signals.taxonomy import Taxonomy
from listener.standins.reddit import RedditStandin
from listener.standins.reddit_payloads import comment, submission
from listener.standins.scenario import demo_environment
from storage import correcting
from storage.correcting import Correction, Name
from storage.queries import COLUMNS, Filters, rows
from storage.records import PageCounts
from storage.store import MentionStore

BROKEN = b"{St. Elsewhere Hospital\n"
NAMED = "My mother was in St. Elsewhere Hospital for a week and I paid for parking every day"


@pytest.fixture
def hospital(fake: Any) -> Settings:
    own = {"reddit": ["StElsewhereOfficial"]}
    made: Settings = fake.make_settings(
        fake.make_organization(own_accounts=own),
        fake.make_organization("mercy", name="Mercy", aliases=[], own_accounts={}),
    )
    return made


@pytest.fixture
def bring(hospital: Settings, store: MentionStore, clock: SteppedClock) -> Callable[..., ImportReport]:
    """Import one file into the store; options are those of an order, or of import_archives."""

    def run(file: Path | str, **options: Any) -> ImportReport:
        known = {name: options.pop(name) for name in ("stop", "progress", "batch") if name in options}
        order = Order(**options)
        (report,) = import_archives(hospital, store, [str(file)], order=order, clock=clock, **known)
        return report

    return run


def dumped(number: int, body: str = NAMED, **changes: Any) -> bytes:
    values = {"id": f"c{number}", "body": body, "author": f"u{number % 5}", "subreddit": "Hamilton", "score": 1}
    values |= {
        "link_id": "t3_p",
        "parent_id": "t3_p",
        "created_utc": 1_761_500_000 + number * 600,
        "edited": False,
    }
    return json.dumps(values | changes).encode() + b"\n"


def stored(store: MentionStore, **filters: Any) -> list[dict[str, Any]]:
    return list(rows(store, Filters.of(**filters), sort="external_id"))


def lines_of(store: MentionStore) -> list[str]:
    stream = io.StringIO()
    write_stream(stream, rows(store, Filters()), COLUMNS, "jsonl")
    return stream.getvalue().splitlines()


def streams(store: MentionStore) -> list[Any]:
    return [one for one in store.status() if one.kind == "archive"]


def test_an_import_stores_what_it_finds_for_whom_it_is(bring: Any, store: MentionStore, tmp_path: Path) -> None:
    file = tmp_path / "RC.zst"
    lines = [
        dumped(1),
        dumped(2, "nothing"),
        dumped(3, f"{NAMED}. Call 416-555-0142, at Mercy"),
        BROKEN,
    ]
    lines.append(dumped(4, "Closed on Monday", author="StElsewhereOfficial"))
    file.write_bytes(zstandard.ZstdCompressor().compress(b"".join(lines)))
    told: list[int] = []
    report = bring(file, progress=told.append)
    assert (report.format, report.outcome, report.read, report.matched) == ("reddit-dump", "done", 5, 4)
    assert (
        report.counts == PageCounts(inserted=3, unchanged=1) or report.counts.inserted + report.counts.updated == 4
    )
    assert (report.rejected, report.rejects) == (1, Path(f"{file}.rejects.jsonl"))
    assert told[-1] == file.stat().st_size
    found = stored(store)
    assert [(row["external_id"], row["organization"], row["own"]) for row in found] == [
        ("t1_c1", "st-elsewhere", False),
        ("t1_c3", "mercy", False),
        ("t1_c3", "st-elsewhere", False),
        ("t1_c4", "st-elsewhere", True),
    ]
    assert "[phone]" in found[1]["text"]
    assert found[0]["topics"] == ["parking"]
    rejected = [json.loads(line) for line in Path(f"{file}.rejects.jsonl").read_text().splitlines()]
    assert rejected == [
        {"file": "RC.zst", "line": 4, "offset": sum(map(len, lines[:3])), "reason": rejected[0]["reason"]}
    ]
    assert "St. Elsewhere" not in rejected[0]["reason"]


def test_the_same_file_again_is_read_no_further_and_restarted_it_is_equal(
    bring: Any, store: MentionStore, tmp_path: Path
) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1) + dumped(2))
    assert bring(file).counts == PageCounts(inserted=2)
    again = bring(file)
    assert (again.read, again.begun, again.counts) == (0, 3, PageCounts())
    assert bring(file, restart=True).counts == PageCounts(unchanged=2)
    (stream,) = streams(store)
    assert (stream.query, stream.last_run.outcome, stream.coverage.spans) == ("rc", "done", ())


def test_restarted_and_stopped_it_goes_on_and_is_not_what_it_was_before(
    bring: Any, store: MentionStore, tmp_path: Path
) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1) + dumped(2) + dumped(3))
    bring(file)
    stop = threading.Event()
    stop.set()
    assert bring(file, restart=True, batch=1, stop=stop).outcome == "interrupted"
    assert bring(file, batch=1).counts == PageCounts(unchanged=2)
    before = threading.Event()

    def refuse(_taken: int) -> None:
        before.set()
        raise RuntimeError("as if it was killed before its first batch")

    with pytest.raises(RuntimeError):
        bring(file, restart=True, progress=refuse)
    assert before.is_set()
    assert bring(file).counts == PageCounts(unchanged=3)


def test_a_file_that_has_changed_is_told_and_read_anew_on_request(bring: Any, tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1))
    bring(file)
    file.write_bytes(dumped(1) + dumped(2))
    with pytest.raises(ConfigError, match=r"rc has changed since it was imported .* --restart reads all of it"):
        bring(file)
    assert bring(file, restart=True).counts == PageCounts(inserted=1, unchanged=1)
    assert bring(file).read == 0


def test_with_other_names_a_file_is_read_anew(
    bring: Any, hospital: Settings, store: MentionStore, clock: SteppedClock, tmp_path: Path
) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1) + dumped(2, "Good old Saint E"))
    bring(file)
    named = hospital.organizations[0].model_copy(update={"aliases": ("Saint E",)})
    other = hospital.model_copy(update={"organizations": (named,)})
    (report,) = import_archives(other, store, [str(file)], clock=clock)
    assert report.counts == PageCounts(inserted=1, unchanged=1)


def test_stopped_it_goes_on_where_it_stopped(bring: Any, store: MentionStore, tmp_path: Path) -> None:
    file = tmp_path / "rc.gz"
    file.write_bytes(gzip.compress(b"".join(dumped(n) + BROKEN for n in range(20))))
    stop = threading.Event()
    report = bring(file, batch=3, stop=stop, progress=lambda _taken: stop.set())
    assert (report.outcome, report.matched) == ("interrupted", 3)
    rest = bring(file, batch=3)
    assert (rest.begun, rest.matched, rest.counts) == (6, 17, PageCounts(inserted=17))
    assert len(stored(store)) == 20
    rejected = [json.loads(line)["line"] for line in Path(f"{file}.rejects.jsonl").read_text().splitlines()]
    assert rejected == list(range(2, 41, 2))


def test_rejects_that_no_cursor_stands_for_are_written_anew(bring: Any, tmp_path: Path) -> None:
    file, told = tmp_path / "rc", tmp_path / "told.jsonl"
    file.write_bytes(b"".join(dumped(n) + BROKEN for n in range(6)))
    stop = threading.Event()
    bring(file, batch=2, stop=stop, progress=lambda _taken: stop.set(), rejects=told)
    line = told.read_text().splitlines()[-1]
    with told.open("a") as more:
        # Written by a run that was killed before it kept what it had read.
        more.write(line.replace('"offset": ', '"offset": 9') + "\n" + line[:9])
    bring(file, batch=2, rejects=told)
    assert [json.loads(line)["line"] for line in told.read_text().splitlines()] == [2, 4, 6, 8, 10, 12]
    told.unlink()
    bring(file, restart=True, rejects=told)
    assert len(told.read_text().splitlines()) == 6


def test_several_files_share_one_file_of_rejects(
    hospital: Settings, store: MentionStore, clock: SteppedClock, tmp_path: Path
) -> None:
    told = tmp_path / "told.jsonl"
    told.write_text("of another day\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_bytes(BROKEN + dumped(9))
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_bytes(dumped(ord(name)) + (BROKEN if name != "b" else b""))
    order = Order(rejects=told)
    reports = import_archives(hospital, store, [str(tmp_path / "?.txt")], order=order, clock=clock)
    assert [(Path(one.file).name, one.rejected) for one in reports] == [("a.txt", 1), ("b.txt", 0), ("c.txt", 1)]
    assert told.read_text().startswith("of another day\n")
    assert files_in(told) == ["a.txt", "c.txt"]
    (tmp_path / "d.txt").write_bytes(BROKEN + dumped(10))
    import_archives(hospital, store, [str(tmp_path / "?.txt")], order=order, clock=clock)
    assert files_in(told) == ["a.txt", "c.txt", "d.txt"]
    both = [str(tmp_path / "a.txt"), str(tmp_path / "sub" / "a.txt")]
    import_archives(hospital, store, both, order=Order(rejects=told, restart=True), clock=clock)
    assert files_in(told) == ["c.txt", "d.txt", "a.txt", "a.txt"]


def files_in(rejects: Path) -> list[str]:
    return [json.loads(line)["file"] for line in rejects.read_text().splitlines() if line.startswith("{")]


def test_a_rehearsal_writes_over_no_rejects(bring: Any, tmp_path: Path) -> None:
    file, told = tmp_path / "rc", tmp_path / "told.jsonl"
    file.write_bytes(dumped(1) + BROKEN)
    bring(file, rejects=told)
    before = told.read_bytes()
    with pytest.raises(ConfigError, match=r"write over the rejects in .*told.jsonl: name another file"):
        bring(file, rejects=told, dry_run=True)
    assert told.read_bytes() == before


@pytest.mark.parametrize("dry_run", [True, False])
def test_rejects_are_not_written_over_what_is_imported(bring: Any, tmp_path: Path, *, dry_run: bool) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1) + BROKEN)
    with pytest.raises(ConfigError, match="which is to be imported: name another file"):
        bring(file, rejects=tmp_path / "." / "rc", dry_run=dry_run)
    assert file.read_bytes() == dumped(1) + BROKEN


def test_where_rejects_cannot_be_written_is_told(bring: Any, tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1) + BROKEN)
    with pytest.raises(ConfigError, match="choose another place with --rejects"):
        bring(file, rejects=tmp_path / "none" / "told.jsonl")


def test_where_hardly_a_line_can_be_read_it_stops(bring: Any, store: MentionStore, tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1) + BROKEN * 120 + dumped(2))
    with pytest.raises(ConfigError, match=r"120 of the 122 things .* as reddit-dump; .*rejects.jsonl tells why"):
        bring(file)
    assert len(stored(store)) == 2
    assert streams(store)[0].last_run.outcome == "failed"
    file.write_bytes(dumped(1))
    with pytest.raises(ConfigError, match="1 of the 1 things that were looked at cannot be read as twarc"):
        bring(file, format="twarc", forced="mercy")


def test_a_rehearsal_counts_and_stores_nothing(bring: Any, store: MentionStore, tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1))
    bring(file)
    other = tmp_path / "rc2"
    other.write_bytes(dumped(1) + dumped(2) + dumped(2) + dumped(3, "at Mercy") + b"{Mercy\n")
    report = bring(other, dry_run=True)
    assert (report.matched, report.rejected, report.rejects) == (4, 1, None)
    assert report.counts == PageCounts(inserted=2, unchanged=2)
    assert len(stored(store)) == 1
    assert len(streams(store)) == 1
    assert list(tmp_path.glob("*.rejects.jsonl")) == []
    assert bring(other, dry_run=True, rejects=tmp_path / "told").rejects == tmp_path / "told"
    stop = threading.Event()
    stop.set()
    assert bring(other, dry_run=True, stop=stop, batch=1).outcome == "interrupted"


def test_two_at_once_import_one_file_one_after_the_other(
    bring: Any, store: MentionStore, clock: SteppedClock, tmp_path: Path
) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1))
    taken: list[str] = []

    def take(_done: int) -> None:
        with store.database.read() as connection:
            from storage.schema import leases as table

            taken.extend(connection.execute(table.select()).scalars())

    bring(file, progress=take)
    (name,) = set(taken)
    with leases.held(store, name, timedelta(minutes=1), clock), pytest.raises(LeaseHeld):
        bring(file, restart=True)


def test_an_import_that_has_lost_its_lease_writes_no_rejects(
    bring: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1) + BROKEN)

    def lost(_lease: leases.Lease) -> None:
        raise LeaseHeld("another process has it")

    monkeypatch.setattr(leases.Lease, "renew", lost)
    with pytest.raises(LeaseHeld):
        bring(file)
    assert not Path(f"{file}.rejects.jsonl").exists()


def test_standard_input_is_read_from_its_beginning_each_time(
    bring: Any, store: MentionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    packed = gzip.compress(dumped(1) + BROKEN)
    for counts in (PageCounts(inserted=1), PageCounts(unchanged=1)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(packed)))
        report = bring("-")
        assert (report.counts, report.rejects) == (counts, Path("stdin.rejects.jsonl"))
    assert len(Path("stdin.rejects.jsonl").read_text().splitlines()) == 1
    assert streams(store)[0].query == "stdin"


def test_without_an_organization_nothing_can_be_imported(
    fake: Any, store: MentionStore, clock: SteppedClock, tmp_path: Path
) -> None:
    nobody = fake.make_settings().model_copy(update={"organizations": ()})
    with pytest.raises(ConfigError, match="names no organization"):
        import_archives(nobody, store, [str(tmp_path)], clock=clock)


# --- beside what is pulled


def test_an_archive_neither_writes_over_nor_brings_back(
    bring: Any, hospital: Settings, store: MentionStore, clock: SteppedClock, tmp_path: Path
) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1, score=5) + dumped(2))
    bring(file)
    now = clock.now()
    gone = [one for one in stored(store) if one["external_id"] == "t1_c2"]
    assert gone
    (mention,) = list(
        connectors.archive_readers()["reddit-dump"].archived(json.loads(dumped(2, "[deleted]")), seen_at=now)
    )
    run = store.begin_run(streams(store)[0].stream_id, since=None, until=None)
    from listener.usage import Usage

    store.save_recheck("reddit", [(mention.mention, None)], run_id=run, usage=Usage())  # type: ignore[union-attr]
    older = tmp_path / "older"
    older.write_bytes(dumped(1, "at St. Elsewhere Hospital, before the edit", score=1) + dumped(2))
    assert bring(older).counts == PageCounts(unchanged=2)
    first, second = stored(store)
    assert (first["text"], first["likes"]) == (NAMED, 5)
    assert (second["text"], second["removed_at"]) == ("", now)
    edited = tmp_path / "edited"
    edited.write_bytes(dumped(1, "at St. Elsewhere Hospital, after the edit", score=9, edited=1_761_600_000))
    assert bring(edited).counts == PageCounts(updated=1)
    assert (stored(store)[0]["text"], stored(store)[0]["likes"]) == (
        "at St. Elsewhere Hospital, after the edit",
        9,
    )


def test_what_was_pulled_and_what_is_imported_is_one(tmp_path: Path, sqlite_url: str) -> None:
    """The stand-in of Reddit is pulled through praw; a dump of the same posts is known, and the other way."""
    start = datetime(2026, 10, 26, tzinfo=UTC)
    posts = RedditStandin.example_posts(12, start)
    heads = {post.external_id: post for post in posts}
    dump = tmp_path / "RS_RC"
    payloads = [
        submission(post, comments=0)
        if post.external_id.startswith("t3_")
        else comment(post, heads.get(post.conversation_id or ""))
        for post in posts
    ]
    dump.write_text("".join(json.dumps(payload["data"]) + "\n" for payload in payloads))
    clock = SteppedClock(start + timedelta(days=2))
    with RedditStandin(clock, posts) as standin:
        settings = Settings.model_validate(
            {
                "organizations": [
                    {
                        "slug": "st-elsewhere",
                        "name": "St. Elsewhere Hospital",
                        "streams": [{"channel": "reddit", "query": '"St. Elsewhere"'}],
                    }
                ],
                "connectors": {"reddit": {"base_url": standin.base_url}},
                "environment": demo_environment(),
            }
        )
        with MentionStore.open(sqlite_url, clock=clock) as store:
            (pulled,) = ingest(settings, store, clock=clock)
            assert pulled.error is None
            before = stored(store)
            assert len(before) >= 5
            order = Order(forced="st-elsewhere")
            (report,) = import_archives(settings, store, [str(dump)], order=order, clock=clock)
            had = {row["external_id"] for row in before}
            assert report.counts == PageCounts(inserted=len(posts) - len(had), unchanged=len(had))
            assert [row for row in stored(store) if row["external_id"] in had] == before
        with MentionStore.open(f"sqlite:///{tmp_path / 'other.db'}", clock=clock) as store:
            import_archives(settings, store, [str(dump)], order=order, clock=clock)
            (pulled,) = ingest(settings, store, clock=clock)
            assert pulled.counts.inserted == 0
            assert {row["external_id"]: row["text"] for row in stored(store)}.items() >= {
                row["external_id"]: row["text"] for row in before
            }.items()


# --- what is covered


def test_an_import_covers_nothing_unless_it_is_said_to(
    bring: Any, hospital: Settings, store: MentionStore, clock: SteppedClock, tmp_path: Path
) -> None:
    file = tmp_path / "rc"
    file.write_bytes(dumped(1))
    bring(file)
    covered = {one.coverage.spans for one in streams(store)}
    assert covered == {()}
    # The file is known to be read; what it covers can be said afterwards.
    bring(file, covers=(date(2025, 10, 20), date(2025, 10, 26)))
    spans = {one.organization: one.coverage.spans for one in streams(store)}
    assert spans["st-elsewhere"] == spans["mercy"]
    (span,) = spans["mercy"]
    assert span == (datetime(2025, 10, 20, 4, tzinfo=UTC), datetime(2025, 10, 27, 4, tzinfo=UTC))
    roll_up(store)
    week = {
        row.channel: row
        for row in weekly_summary(hospital, store, newest=2912, clock=clock, platforms=NoStreams())
        if row.organization == "st-elsewhere" and row.topic == "all"
    }
    assert (week["reddit"].mentions, week["reddit"].coverage) == (1, 1.0)


class NoStreams:
    """Platforms that nothing is pulled from."""

    def streams(self, _settings: Settings) -> list[Any]:
        return []


# --- tables and our own exports


def test_a_table_counts_under_its_own_channel(bring: Any, store: MentionStore, tmp_path: Path) -> None:
    file = tmp_path / "survey.csv"
    file.write_text(f"ID,Date,Comment,Site\n1,2026-10-26,{NAMED},Mercy\n2,2026-10-26,Parking was dear,Nowhere\n")
    assert bring(file, channel="survey").counts == PageCounts(inserted=1)
    (row,) = stored(store)
    assert (row["channel"], row["organization"], row["kind"], row["topics"]) == (
        *("survey", "mercy", "comment"),
        ["parking"],
    )
    # A table is its own source: what it says now is what is right.
    file.write_text(f"ID,Date,Comment,Site\n1,2026-10-26,{NAMED} again,Mercy\n")
    assert bring(file, channel="survey", restart=True).counts == PageCounts(updated=1)
    forced = bring(file, channel="survey", restart=True, forced="st-elsewhere")
    assert forced.counts.updated == 1


def test_an_export_comes_back_as_it_was(
    either_store: MentionStore, hospital: Settings, clock: SteppedClock, tmp_path: Path
) -> None:
    source = tmp_path / "rc"
    texts = (NAMED, "Les infirmières de Mercy étaient gentilles avec ma mère", f"{NAMED} and at Mercy", "Mercy!")
    source.write_bytes(b"".join(dumped(n, texts[n % 4]) for n in range(24)))
    export = tmp_path / "export.jsonl"
    with MentionStore.open(f"sqlite:///{tmp_path / 'first.db'}", clock=clock) as first:
        import_archives(hospital, first, [str(source)], clock=clock)
        ids = correcting.ids_by_name(
            first, [Name("reddit", "t1_c1"), Name("reddit", "t1_c3"), Name("reddit", "t1_c7")]
        )
        right = Correction(purpose=Purpose.NEWS, topics=frozenset({"pain", "parking"}))
        correcting.correct(first, {ids["reddit", "t1_c1"]: right}, now=clock.now())
        correcting.correct(first, {ids["reddit", "t1_c3"]: Correction(topics=frozenset())}, now=clock.now())
        tombstone = json.loads(dumped(5, "[removed]"))
        (gone,) = connectors.archive_readers()["reddit-dump"].archived(tombstone, seen_at=clock.now())
        from listener.usage import Usage

        run = first.begin_run(first.status()[0].stream_id, since=None, until=None)
        first.save_recheck("reddit", [(gone.mention, None)], run_id=run, usage=Usage())  # type: ignore[union-attr]
        # Heard by another version than the present one, too.
        with first.database.write() as connection:
            from sqlalchemy import text

            connection.execute(
                text("UPDATE mentions SET signals_version = 'old/1', purpose = 'news' WHERE external_id = 't1_c8'")
            )
        write_file(export, rows(first, Filters()), COLUMNS, "jsonl")
        before = lines_of(first)
    assert len(before) == 30
    (report,) = import_archives(hospital, either_store, [str(export)], clock=clock, batch=4)
    assert (report.format, report.matched, report.rejected) == ("jsonl", 30, 0)
    assert lines_of(either_store) == before
    (again,) = import_archives(hospital, either_store, [str(export)], order=Order(restart=True), clock=clock)
    assert again.counts == PageCounts(unchanged=30)
    assert lines_of(either_store) == before


def test_a_correction_made_here_stays(
    bring: Any, hospital: Settings, store: MentionStore, clock: SteppedClock, tmp_path: Path
) -> None:
    source = tmp_path / "rc"
    source.write_bytes(dumped(1))
    bring(source)
    (row,) = correcting.ids_by_name(store, [Name("reddit", "t1_c1")]).values()
    correcting.correct(store, {row: Correction(purpose=Purpose.NEWS)}, now=clock.now())
    export = tmp_path / "export.jsonl"
    line = json.loads(lines_of(store)[0]) | {"purpose": "question"}
    export.write_text(json.dumps(line) + "\n")
    bring(export)
    assert [one["purpose"] for one in stored(store)] == ["news"]


def test_a_correction_is_of_the_text_that_was_corrected(bring: Any, store: MentionStore, tmp_path: Path) -> None:
    line = {"channel": "reddit", "external_id": "t1_c1", "kind": "comment", "organization": "mercy", "text": NAMED}
    line |= {"published_at": "2026-10-26T12:00:00Z", "purpose": "news", "corrected": ["purpose"]}
    edited = line | {"text": f"{NAMED}, and it was edited", "edited_at": "2026-10-27T12:00:00Z"}
    for name, told in (("edited", {**edited, "purpose": None, "corrected": []}), ("older", line)):
        (tmp_path / name).write_text(json.dumps(told) + "\n")
        bring(tmp_path / name)
    (row,) = stored(store)
    assert (row["text"], row["corrected"]) == (edited["text"], [])
    assert row["purpose"] != "news"
    (tmp_path / "both").write_text(json.dumps(edited) + "\n" + json.dumps(line | {"purpose": "question"}) + "\n")
    bring(tmp_path / "both")
    (row,) = stored(store)
    assert (row["purpose"], row["corrected"]) == ("news", ["purpose"])


def test_what_was_deleted_stays_so_on_a_channel_without_a_connector_too(
    bring: Any, store: MentionStore, tmp_path: Path
) -> None:
    line = {"channel": "survey", "external_id": "1", "kind": "comment", "organization": "mercy", "text": ""}
    line |= {"published_at": "2026-10-26T12:00:00Z", "removed_at": "2026-10-27T12:00:00Z"}
    shown = line | {"text": NAMED, "removed_at": None}
    for name, told in (("gone", line), ("shown", shown)):
        (tmp_path / name).write_text(json.dumps(told) + "\n")
        bring(tmp_path / name)
    table = tmp_path / "survey.csv"
    table.write_text(f"ID,Date,Comment,Site\n1,2026-10-26,{NAMED},Mercy\n")
    assert bring(table, channel="survey").counts == PageCounts(unchanged=1)
    (row,) = stored(store)
    assert (row["text"], row["removed_at"]) == ("", datetime(2026, 10, 27, 12, tzinfo=UTC))


def test_topics_that_an_export_names_twice_are_one(bring: Any, store: MentionStore, tmp_path: Path) -> None:
    line = {"channel": "survey", "external_id": "1", "kind": "comment", "organization": "mercy", "text": NAMED}
    line |= {"published_at": "2026-10-26T12:00:00Z", "topics": ["parking", "parking"], "signals_version": "old/1"}
    (tmp_path / "export").write_text(json.dumps(line) + "\n")
    bring(tmp_path / "export")
    assert [row["topics"] for row in stored(store)] == [["parking"]]


def test_where_a_platform_allows_no_derived_metrics_an_export_brings_none(
    bring: Any, store: MentionStore, tmp_path: Path
) -> None:
    line = {"channel": "youtube", "external_id": "Ugx1", "kind": "comment", "organization": "mercy", "text": NAMED}
    line |= {
        "published_at": "2026-10-26T12:00:00Z",
        "topics": ["parking"],
        "purpose": "experience",
        "language": "en",
    }
    line |= {"signals_version": "old/1", "corrected": ["purpose"]}
    file = tmp_path / "export.jsonl"
    file.write_text(json.dumps(line) + "\n")
    bring(file)
    (row,) = stored(store)
    assert (row["language"], row["purpose"], row["topics"], row["corrected"]) == ("en", None, [], [])


def test_an_export_covers_no_days(bring: Any, tmp_path: Path) -> None:
    line = {"channel": "survey", "external_id": "1", "kind": "comment", "organization": "mercy", "text": "x"}
    file = tmp_path / "export.jsonl"
    file.write_text(json.dumps(line | {"published_at": "2026-10-26T12:00:00Z"}) + "\n")
    with pytest.raises(ConfigError, match="--covers is for archives of one channel"):
        bring(file, covers=(date(2026, 10, 1), date(2026, 10, 2)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "song"}, "a value that no export writes"),
        ({"published_at": "2026-10-26T12:00:00"}, "a value that no export writes"),
        ({"text": 7}, "a value that no export writes"),
        ({"external_id": " "}, "a value that no export writes"),
        ({"sentiment_score": 7}, "a value that no export writes"),
        ({"corrected": ["soul"]}, "a value that no export writes"),
        ({"channel": None}, "a value that no export writes"),
        ({"channel": "all"}, "a value that no export writes"),
        ({"channel": "Sur/vey"}, "a value that no export writes"),
        ({"language": "every one of them"}, "a value that no export writes"),
        ({"external_id": "x" * 513}, "one of its ids has 513 characters, more than 512"),
        ({"parent_external_id": "x" * 513}, "one of its ids has 513 characters, more than 512"),
    ],
)
def test_a_line_that_no_export_writes_is_rejected(
    changes: dict[str, Any], reason: str, bring: Any, tmp_path: Path
) -> None:
    line = {"channel": "survey", "external_id": "1", "kind": "comment", "organization": "mercy"}
    line |= {"published_at": "2026-10-26T12:00:00Z", "text": "Ann Smith was kind"}
    file = tmp_path / "export.jsonl"
    good, bad = json.dumps(line), json.dumps(line | changes)
    file.write_text(f'{good}\n{bad}\n{{"text": 1}}\n')
    report = bring(file)
    assert (report.rejected, report.counts) == (2, PageCounts(inserted=1))
    told = Path(f"{file}.rejects.jsonl").read_text()
    assert reason in told
    assert "this one lacks channel" in told
    assert "Ann" not in told


def test_a_topic_that_is_not_in_force_is_heard_anew(bring: Any, store: MentionStore, tmp_path: Path) -> None:
    line = {"channel": "reddit", "external_id": "t1_x", "kind": "comment", "organization": "mercy", "text": NAMED}
    line |= {"published_at": "2026-10-26T12:00:00Z", "topics": ["former"], "signals_version": "old/1"}
    file = tmp_path / "export.jsonl"
    file.write_text(json.dumps(line) + "\n" + json.dumps(line | {"organization": "nobody"}) + "\n")
    assert bring(file).counts == PageCounts(inserted=1)
    (row,) = stored(store)
    assert row["topics"] == ["parking"]
    assert row["signals_version"].startswith(Taxonomy.load(None).version) or row["signals_version"] != "old/1"
