"""Imports and retags that others hear: the same store as without, whoever dies, and no secret travels."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from sqlalchemy import update

from jobs.crew import Crew, Pool
from jobs.hearing import analyzer_for
from jobs.importing import ImportReport, Order, import_archives
from jobs.retag import retag
from jobs.rollup import roll_up
from listener.clock import SteppedClock, SystemClock
from listener.errors import ConfigError
from listener.settings import Settings, load
from listener.signals.taxonomy import Taxonomy
from storage import schema
from storage.queries import Filters, rows
from storage.store import MentionStore

ROOT = Path(__file__).parents[2]
BEGINS = datetime(2026, 11, 2, 12, tzinfo=UTC)  # as the other tests of jobs have it
LINES = 120
TEXTS = (
    "My mother was in St. Elsewhere Hospital for a week and I paid for parking every day",
    "nothing of anybody's",
    "We waited eight hours in emergency at Mercy, ask Ann at ann.smith@example.com",
    "At Mercy and at St. Elsewhere Hospital the nurses were kind to my dad",
    "{",
)
CONFIG = (
    '[[organizations]]\nslug = "st-elsewhere"\nname = "St. Elsewhere Hospital"\ntimezone = "America/Toronto"\n'
)


@dataclass
class Recorded:
    """A crew that is this process: it keeps what was sent to it, as it would travel."""

    sent: list[bytes] = field(default_factory=list)

    def each(self, do: Callable[[Any], Any], work: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        for tag, task in work:
            self.sent += [pickle.dumps(task)] if task is not None else []
            yield tag, None if task is None else do(task)


@pytest.fixture(scope="module")
def hospitals() -> Settings:
    import fake_platform as fake  # type: ignore[import-not-found]  # the conftest has loaded it under this name

    made: Settings = fake.make_settings(
        fake.make_organization(), fake.make_organization("mercy", name="Mercy", aliases=[], own_accounts={})
    )
    return made


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    file = tmp_path / "RC.zst"
    dump(file, LINES)
    return file


def dump(file: Path, count: int) -> None:
    lines = []
    for number in range(count):
        body = f"{TEXTS[number % 5]}, visit {number % (count - 20)}"
        values = {"id": f"c{number % (count - 20)}", "body": body, "author": f"u{number % 9}", "subreddit": "x"}
        values |= {"link_id": "t3_p", "parent_id": "t3_p", "created_utc": 1_790_000_000 + number}
        lines.append(json.dumps(values) if number % 5 != 4 else f"{{Mercy {number}")
    file.write_bytes(zstandard.ZstdCompressor().compress("\n".join(lines).encode()))


def bring(settings: Settings, store: MentionStore, file: Path, **options: Any) -> ImportReport:
    order = Order(rejects=file.with_name(options.pop("rejects", "rejects.jsonl")), **options.pop("order", {}))
    (report,) = import_archives(settings, store, [str(file)], order=order, batch=10, **options)
    return report


def stored(store: MentionStore) -> list[dict[str, Any]]:
    roll_up(store)
    return list(rows(store, Filters.of(), sort="external_id"))


@pytest.fixture(scope="module")
def alone(hospitals: Settings, tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Any:
    """What an import without a crew reports, and leaves in the store and in its rejects."""
    folder = tmp_path_factory.mktemp("alone")
    dump(folder / "RC.zst", LINES)
    shutil.copy(sqlite_template, folder / "alone.db")
    clock = SteppedClock(BEGINS)
    with MentionStore.open(f"sqlite:///{folder / 'alone.db'}", clock=clock) as store:
        report = bring(hospitals, store, folder / "RC.zst", clock=clock)
        return report, stored(store), reasons(folder / "rejects.jsonl")


def reasons(file: Path) -> list[tuple[int, int, str]]:
    told = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [(one["line"], one["offset"], one["reason"]) for one in told]


def same(report: ImportReport, other: ImportReport) -> bool:
    names = ("read", "parsed", "matched", "gone", "rejected", "counts", "outcome", "format")
    return all(getattr(report, name) == getattr(other, name) for name in names)


def test_a_crew_leaves_the_store_that_one_process_leaves(
    hospitals: Settings, either_store: MentionStore, archive: Path, clock: SteppedClock, alone: Any, crew: Crew
) -> None:
    told: list[int] = []
    report = bring(hospitals, either_store, archive, clock=clock, crew=crew, progress=told.append)
    assert same(report, alone[0])
    assert stored(either_store) == alone[1]
    assert reasons(archive.with_name("rejects.jsonl")) == alone[2]
    assert told == sorted(told)
    assert told[-1] == archive.stat().st_size
    again = bring(hospitals, either_store, archive, clock=clock, crew=crew, order={"restart": True})
    assert again.counts.unchanged == again.matched
    assert bring(hospitals, either_store, archive, clock=clock, crew=crew).read == 0


def test_a_rehearsal_is_heard_by_a_crew_and_stores_nothing(
    hospitals: Settings, store: MentionStore, archive: Path, clock: SteppedClock, alone: Any
) -> None:
    crew = Recorded()
    store.declare(hospitals.organizations, Taxonomy.load(hospitals.topics_file))
    report = bring(hospitals, store, archive, clock=clock, crew=crew, order={"dry_run": True})
    assert (report.matched, report.rejected) == (alone[0].matched, alone[0].rejected)
    assert stored(store) == []


def test_a_worker_that_is_killed_loses_and_doubles_nothing(
    hospitals: Settings, either_store: MentionStore, archive: Path, clock: SteppedClock, alone: Any, crew: Crew
) -> None:
    saved: list[int] = []

    def progress(taken: int) -> None:
        saved.append(taken)
        if len(saved) == 3:
            os.kill(workers(crew)[0], signal.SIGKILL)

    report = bring(hospitals, either_store, archive, clock=clock, crew=crew, progress=progress)
    assert len(saved) > 3
    assert same(report, alone[0])
    assert stored(either_store) == alone[1]


def workers(crew: Any) -> list[int]:
    if isinstance(crew, Pool):
        return list(crew._pool._processes)  # type: ignore[union-attr]  # there is one by now
    return list(crew._client.run(os.getpid).values())


def test_what_is_saved_when_a_crew_fails_is_gone_on_with(
    hospitals: Settings, store: MentionStore, archive: Path, clock: SteppedClock, alone: Any
) -> None:
    crew = Recorded()

    @dataclass
    class Failing:
        left: int

        def each(self, do: Any, work: Any) -> Iterator[tuple[Any, Any]]:
            for tag, told in crew.each(do, work):
                if not self.left:
                    raise ConfigError("no more")
                self.left -= 1
                yield tag, told

    with pytest.raises(ConfigError, match="no more"):
        bring(hospitals, store, archive, clock=clock, crew=Failing(4))
    first = len(stored(store))
    assert 0 < first < len(alone[1])
    bring(hospitals, store, archive, clock=clock, crew=crew)
    assert stored(store) == alone[1]
    assert reasons(archive.with_name("rejects.jsonl")) == alone[2]


def test_a_driver_that_is_killed_is_gone_on_with(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTENER_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("LISTENER_AUTHOR_KEY", "0123456789abcdef0123456789abcdef")
    file, config = tmp_path / "RC.zst", tmp_path / "listener.toml"
    dump(file, 4020)
    config.write_text(CONFIG, encoding="utf-8")
    command = [
        sys.executable,
        "-c",
        "from listener.cli import main; main()",
        "-c",
        str(config),
        "import",
        str(file),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "--cluster", "local:2"], env=environment, stdout=subprocess.DEVNULL
    ) as driver:
        until = time.monotonic() + 100
        while not texts(sqlite_url):
            assert driver.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        driver.kill()
    assert driver.returncode == -signal.SIGKILL
    with MentionStore.open(sqlite_url) as store:
        (report,) = import_archives(load(config), store, [str(file)], clock=SystemClock())
    assert report.outcome == "done"
    named = [number for number in range(4000) if "St. Elsewhere" in TEXTS[number % 5]]
    assert texts(sqlite_url) == sorted(f"{TEXTS[number % 5]}, visit {number}" for number in named)


def texts(url: str) -> list[str]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as database:
        return [row[0] for row in database.execute("SELECT text FROM mentions ORDER BY text")]


def test_what_travels_is_redacted_and_holds_no_secret(
    hospitals: Settings, store: MentionStore, archive: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "LISTENER_AUTHOR_KEY": "the-key-of-all-pseudonyms-0123456789",
        "LISTENER_DATABASE_URL": "postgresql://listener:hunter2@db/listener",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    crew = Recorded()
    settings = hospitals.model_copy(update={"database_url": secrets["LISTENER_DATABASE_URL"]})
    report = bring(settings, store, archive, clock=clock, crew=crew)
    sent = b"".join(crew.sent)
    assert report.counts.inserted
    assert b"eight hours in emergency at Mercy" in sent
    for hidden in ("hunter2", "the-key-of-all", "ann.smith@example.com", "u3", str(archive.parent.parent)):
        assert hidden.encode() not in sent


def test_what_is_not_foreseen_is_heard_in_its_turn(
    hospitals: Settings, store: MentionStore, archive: Path, clock: SteppedClock, alone: Any
) -> None:
    """Between the look ahead and the save a mention is gone from the store: its text was not sent."""
    bring(hospitals, store, archive, clock=clock)

    class Late(Recorded):
        def each(self, do: Any, work: Any) -> Iterator[tuple[Any, Any]]:
            told = list(super().each(do, work))
            with store.database.write() as connection:
                for table in (schema.mention_words, schema.mention_topics, schema.mention_metrics):
                    connection.execute(table.delete())
                connection.execute(schema.mention_organizations.delete())
                connection.execute(schema.mentions.delete())
            yield from told

    crew = Late()
    bring(hospitals, store, archive, clock=clock, crew=crew, order={"restart": True})
    assert crew.sent == []
    assert stored(store) == alone[1]


def test_a_crew_retags_as_one_process_does(
    hospitals: Settings, either_store: MentionStore, archive: Path, clock: SteppedClock, alone: Any, dask: Crew
) -> None:
    bring(hospitals, either_store, archive, clock=clock)
    with either_store.database.write() as connection:
        connection.execute(update(schema.mentions).values(signals_version="old", purpose=None, sentiment=None))
        connection.execute(schema.mention_topics.delete())
    analyzer = analyzer_for(hospitals, Taxonomy.load(hospitals.topics_file))
    total = len(alone[1])
    told: list[tuple[int, int]] = []

    def hear(**options: Any) -> Any:
        progress = options.pop("progress", None)
        return retag(
            hospitals,
            either_store,
            analyzer=analyzer,
            chunk=15,
            clock=clock,
            progress=progress,
            crew=dask,
            **options,
        )

    rehearsed = hear(dry_run=True)
    report = hear(progress=lambda done, of: told.append((done, of)))
    assert (report.mentions, report.changed) == (rehearsed.mentions, rehearsed.changed)
    assert report.mentions == told[-1][0] == told[-1][1]
    assert len(told) > 3
    assert total
    assert stored(either_store) == alone[1]
    assert hear().mentions == 0
