"""What a database can refuse, told as a ``StoreError`` that names the fix; everything else stays a bug."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import event

from listener.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import ExceptionContext

# By SQLite's primary result code. SQLITE_ERROR (wrong SQL), CONSTRAINT, MISMATCH and MISUSE are not here: they
# are mistakes in this program.
_SQLITE = {
    3: "permission to read or write it is denied: check who owns the file and its folder",
    5: "another process holds it locked: try again when that one is done",
    6: "another process holds it locked: try again when that one is done",
    8: "it is read-only: check the permissions of the file and its folder, and how the disk is mounted",
    10: "the disk failed to read or write: check the disk and its free space",
    11: "it is damaged: restore a backup, or move the file away and ingest again",
    13: "the disk is full: make room and run again, nothing that was stored is lost",
    14: "it cannot be opened: check that the folder exists and may be written to",
    15: "its locks do not work here: keep it on a local disk, not on a network share",
    26: "it is not a SQLite database: check store.url",
}

# By SQLSTATE, the longest prefix first (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_POSTGRESQL = {
    "2BP01": "something that is not Listener's depends on its tables: drop it, and create it again afterwards",
    "25006": "it is read-only: connect to the primary, or as a role that may write",
    "42501": "the role lacks a privilege: grant it the tables of Listener",
    "53100": "the server's disk is full: make room and run again, nothing that was stored is lost",
    "08": "the connection broke: check the server and run again",
    "28": "it refuses the role or its password: check store.url or LISTENER_DATABASE_URL, "
    "and store.read_url or LISTENER_READ_DATABASE_URL of a replica",
    "3D": "there is no such database: create it, or check store.url",
    "40": "it had to give way to another process: run again",
    "53": "the server is out of resources: see its log, and run again",
    "55": "another process holds it locked: try again when that one is done",
    "57": "the server is shutting down, starting or cancelled the work: run again",
    "58": "the server failed to read or write: see its log and its disk",
    "XX": "the server reports damaged data: see its log",
}


def explain(error: BaseException) -> str | None:
    """Return why the database refused, with the fix, or None where the error is a mistake in this program."""
    if (code := getattr(error, "sqlite_errorcode", None)) is not None:
        return _SQLITE.get(code & 0xFF)
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate is not None:
        return next((words for prefix, words in _POSTGRESQL.items() if sqlstate.startswith(prefix)), None)
    # psycopg has no SQLSTATE where no server answered, or where it went away in the middle.
    if type(error).__module__.startswith("psycopg") and type(error).__name__ == "OperationalError":
        return "the server does not answer: check that it runs and that store.url names its host and port"
    return None


def translate(engine: Engine, place: str) -> None:
    """Make every statement of ``engine`` raise ``StoreError`` for a refusal; ``place`` names the database."""

    @event.listens_for(engine, "handle_error")
    def _refused(context: ExceptionContext) -> None:
        error = context.original_exception
        if reason := explain(error):
            raise StoreError(f"the database {place}: {reason}") from error
        _keep_rows_out(error)
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.args = (f"({type(error).__name__}) {error}",)


@contextmanager
def refusals(place: str) -> Iterator[None]:
    """Translate in the same way what the driver is called with directly, past SQLAlchemy."""
    try:
        yield
    except Exception as error:
        if reason := explain(error):
            raise StoreError(f"the database {place}: {reason}") from error
        _keep_rows_out(error)
        raise


def _keep_rows_out(error: BaseException) -> None:
    """Take from a mistake's message the row that PostgreSQL quotes: a log must not hold what people wrote."""
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    if said:
        error.args = (said,)
