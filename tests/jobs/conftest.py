"""What the tests of the jobs share: a platform in memory, a clock that stands still, a store on SQLite."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jobs.cluster import joined
from jobs.crew import Crew, Place, Pool
from jobs.ingest import RunReport, ingest
from listener.clock import SteppedClock
from listener.mention import Mention
from listener.settings import Settings
from storage.store import MentionStore


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fake_platform = _load("fake_platform")
_load("waiting")


@pytest.fixture(scope="session")
def fake() -> Any:
    """The module with Feed, FakePlatforms, make_mention, make_organization, make_settings and START."""
    return fake_platform


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(fake_platform.START)


@pytest.fixture
def feed() -> Any:
    return fake_platform.Feed()


@pytest.fixture
def platforms(feed: Any) -> Any:
    return fake_platform.FakePlatforms(birdsong=feed)


@pytest.fixture
def settings() -> Settings:
    made: Settings = fake_platform.make_settings()
    return made


@pytest.fixture
def mentions() -> list[Mention]:
    return [fake_platform.make_mention(number) for number in range(25)]


@pytest.fixture
def store(tmp_path: Path, sqlite_template: Path, clock: SteppedClock) -> Iterator[MentionStore]:
    file = tmp_path / "listener.db"
    shutil.copy(sqlite_template, file)
    with MentionStore.open(f"sqlite:///{file}", clock=clock) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
def either_store(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path, clock: SteppedClock
) -> Iterator[MentionStore]:
    """A store on each database in turn."""
    if request.param == "sqlite":
        shutil.copy(sqlite_template, tmp_path / "listener.db")
        url = f"sqlite:///{tmp_path / 'listener.db'}"
    else:
        url = request.getfixturevalue("new_postgresql")(request.getfixturevalue("postgresql_template"))
    with MentionStore.open(url, clock=clock) as opened:
        yield opened


@pytest.fixture
def pull(settings: Settings, store: MentionStore, clock: SteppedClock, platforms: Any) -> Any:
    """Ingest with what the fixtures give; any argument can be another."""

    def run(**options: Any) -> list[RunReport]:
        return ingest(options.pop("settings", settings), store, clock=clock, platforms=platforms, **options)

    return run


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """Two processes of this machine."""
    with Pool(2) as crew:
        yield crew


@pytest.fixture(scope="module")
def dask() -> Iterator[Crew]:
    """Two Dask workers on this machine."""
    with joined(Place(size=2)) as crew:
        yield crew


@pytest.fixture(params=["pool", "dask"])
def crew(request: pytest.FixtureRequest) -> Crew:
    """A crew of each kind."""
    made: Crew = request.getfixturevalue(request.param)
    return made
