"""What is wrong is said in one line that names it and the fix, with the right exit code, and nothing is lost."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

import connectors
from listener.cli import main
from listener.standins.posts import Post
from listener.standins.server import Standin
from storage.store import MentionStore

Run = Callable[..., Any]


@dataclass(frozen=True)
class Wrong:
    """A command that cannot work: what the configuration says instead, and what comes of it."""

    arguments: tuple[str, ...]
    code: int
    says: tuple[str, ...]
    change: tuple[str, str] = ("", "")


COMMANDS = {
    "TOML that is none": Wrong(
        ("status",), 2, ("listener.toml is not valid TOML", "line 2"), ("url = ", "url : ")
    ),
    "an unknown key": Wrong(
        ("status",), 2, ("unknown key store.uri", "did you mean 'url'?"), ("url = ", "uri = ")
    ),
    "an unknown table": Wrong(
        ("status",), 2, ("unknown key privaci", "did you mean 'privacy'?"), ("[privacy]", "[privaci]")
    ),
    "an unknown channel in the file": Wrong(
        ("status",),
        2,
        ("unknown channel 'redit'", "did you mean 'reddit'?"),
        ('channel = "reddit"', 'channel = "redit"'),
    ),
    "an unknown kind of stream": Wrong(
        ("status",),
        2,
        ("kind 'serch'", "did you mean 'search'?"),
        ('channel = "reddit"', 'channel = "reddit"\nkind = "serch"'),
    ),
    "a time zone that does not exist": Wrong(
        ("status",),
        2,
        ("organizations[0].timezone = 'America/Torronto'", "did you mean 'America/Toronto'?"),
        ("America/Toronto", "America/Torronto"),
    ),
    "a database of another kind": Wrong(
        ("status",), 2, ("'mysql'", "sqlite:///listener.db"), ('url = "sqlite:///', 'url = "mysql:///')
    ),
    "a server that is not there": Wrong(
        ("status",),
        5,
        ("listener at 127.0.0.1:9", "check that it runs"),
        ('url = "sqlite:///listener.db"', 'url = "postgresql://me:hunter2@127.0.0.1:9/listener"'),
    ),
    "a folder that is not there": Wrong(
        ("status",), 5, ("/none/listener.db", "create"), ("///listener.db", "///none/listener.db")
    ),
    "a folder that nobody can write to": Wrong(
        ("ingest",), 5, ("/proc/listener.db", "may be written to"), ("///listener.db", "////proc/listener.db")
    ),
    "a folder in place of the database": Wrong(
        ("ingest",), 5, ("it cannot be opened",), ("///listener.db", "////proc")
    ),
    "a database that is not there yet": Wrong(
        ("query",), 5, ("there is no database", "`listener ingest` makes it"), ("///listener.db", "///new.db")
    ),
    "a configuration that is not there": Wrong(("-c", "none.toml", "status"), 2, ("none.toml", "`listener init`")),
    "secrets that are not there": Wrong(("--env-file", "none.env", "status"), 2, ("none.env", "--env-file")),
    "an unknown command": Wrong(("qery",), 2, ("'qery'", "'query'", "see `listener --help`")),
    "an unknown option": Wrong(("query", "--topics", "x"), 2, ("--topics", "--topic", "`listener query --help`")),
    "an option without its value": Wrong(("query", "--topic"), 2, ("--topic", "requires an argument")),
    "an argument too many": Wrong(("status", "now"), 2, ("now", "`listener status --help`")),
    "an argument too few": Wrong(("db", "backup"), 2, ("FILE", "`listener db backup --help`")),
    "no limit at all": Wrong(("query", "--limit", "0"), 2, ("--limit", "greater than or equal to 1")),
    "no number": Wrong(("ingest", "--limit", "many"), 2, ("--limit",)),
    "an unknown format": Wrong(("query", "--format", "xml"), 2, ("'xml'", "'parquet'")),
    "an unknown log format": Wrong(("--log-format", "xml", "status"), 2, ("'xml'", "'json'")),
    "a week that does not exist": Wrong(("summary", "--week", "2025-W53"), 2, ("2025-W53", "2025-W52")),
    "a week that is none": Wrong(("query", "--week", "last"), 2, ("last", "2026-W46")),
    "a day that does not exist": Wrong(
        ("query", "--since", "2026-02-30"), 2, ("--since 2026-02-30", "2026-11-09")
    ),
    "a moment that does not exist": Wrong(
        ("ingest", "--until", "2026-11-09T25:00"), 2, ("--until 2026-11-09T25:00", "2026-11-09T14:00")
    ),
    "a moment before all time": Wrong(("ingest", "--since", "0001-01-01T00:00+14:00"), 2, ("--since 0001-01-01",)),
    "reversed days": Wrong(
        ("query", "--since", "2026-11-10", "--until", "2026-11-09"), 2, ("--until 2026-11-09", "swap them")
    ),
    "reversed moments": Wrong(
        ("ingest", "--since", "2026-11-10", "--until", "2026-11-09T23:00"), 2, ("--until 2026-11-09", "swap them")
    ),
    "an unknown channel": Wrong(
        ("query", "--channel", "redit"), 2, ("--channel: unknown channel 'redit'", "did you mean 'reddit'?")
    ),
    "an unknown channel to pull": Wrong(("ingest", "--channel", "twiter"), 2, ("did you mean 'twitter'?",)),
    "a channel without a stream": Wrong(
        ("ingest", "--channel", "youtube"),
        2,
        ("no stream of youtube for st-elsewhere", "[[organizations.streams]]"),
        ('channel = "youtube"', 'channel = "twitter"'),
    ),
    "an unknown organization": Wrong(
        ("ingest", "--organization", "st-elswhere"), 2, ("'st-elswhere'", "did you mean 'st-elsewhere'?")
    ),
    "an unknown organization to ask for": Wrong(("summary", "--organization", "nobody"), 2, ("'nobody'",)),
    "an unknown topic": Wrong(
        ("query", "--topic", "waiting-time"), 2, ("did you mean 'waiting-times'?", "`listener topics list`")
    ),
    "an unknown kind": Wrong(("query", "--kind", "coment"), 2, ("'coment'", "'comment'")),
    "an unknown purpose": Wrong(("query", "--purpose", "complaint"), 2, ("'complaint'", "'experience'")),
    "an unknown sentiment": Wrong(("query", "--sentiment", "angry"), 2, ("'angry'", "negative")),
    "an unknown column to sort by": Wrong(("query", "--sort", "-like"), 2, ("'like'", "did you mean 'likes'?")),
    "an unknown field to count by": Wrong(
        ("query", "--count-by", "chanel,week"), 2, ("'chanel'", "did you mean 'channel'?")
    ),
    "no field to count by": Wrong(("query", "--count-by", ","), 2, ("--count-by channel,week",)),
    "counts sorted by something else": Wrong(
        ("query", "--count-by", "week", "--sort", "likes"), 2, ("'likes'", "there are: week, mentions")
    ),
    "Parquet in a pipe": Wrong(("query", "--format", "parquet"), 2, ("-o FILE.parquet",)),
    "a table in a file": Wrong(
        ("query", "--format", "table", "-o", "x.csv"), 2, ("a table is for the screen", "x.csv")
    ),
    "a file without an ending": Wrong(("query", "-o", "mentions"), 2, ("mentions", ".parquet", "--format")),
    "a file that cannot be written": Wrong(
        ("query", "-o", "/proc/mentions.csv"), 2, ("cannot write /proc/mentions.csv", "another place")
    ),
    "a folder that is a file": Wrong(
        ("summary", "-o", "listener.toml/weekly"), 2, ("cannot write into listener.toml/weekly",)
    ),
    "a summary in no known format": Wrong(
        ("summary", "-o", "weeks.txt"), 2, ("weeks.txt", ".csv, .json, .jsonl or .parquet", "name a folder")
    ),
    "a folder that cannot be made": Wrong(
        ("summary", "-o", "/proc/weekly"), 2, ("cannot write into /proc/weekly",)
    ),
    "an unknown topic to show": Wrong(("topics", "show", "parkin"), 2, ("did you mean 'parking'?",)),
}


@pytest.mark.parametrize("wrong", COMMANDS)
def test_one_line_names_what_is_wrong_and_the_fix(
    run: Run, filled: Path, edit: Callable[..., None], wrong: str
) -> None:
    case = COMMANDS[wrong]
    if case.change[0]:
        edit(case.change)
    before = filled.read_bytes()
    result = run(*case.arguments)
    assert result.code == case.code, result
    assert result.out == ""
    assert result.complaint.startswith("listener: ")
    assert all(part in result.complaint for part in case.says), result.complaint
    assert "hunter2" not in result.complaint
    assert filled.read_bytes() == before


def test_with_json_logs_an_error_is_an_object_too(run: Run, filled: Path) -> None:
    result = run("--log-format", "json", "query", "--sort", "x")
    told = json.loads(result.complaint)
    assert told["level"] == "error"
    assert told["message"].startswith("no sort key 'x'")


@pytest.mark.parametrize("command", ["status", "query", "summary", "ingest", "rollup"])
def test_a_file_that_is_no_database(run: Run, filled: Path, command: str) -> None:
    filled.write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    before = filled.read_bytes()
    result = run(command)
    assert result.code == 5
    assert "not a SQLite database" in result.complaint
    assert filled.read_bytes() == before


def test_a_damaged_database(run: Run, filled: Path) -> None:
    with sqlite3.connect(filled) as database:
        (page_size,) = database.execute("PRAGMA page_size").fetchone()
        pages = [row[0] for row in database.execute("SELECT pageno FROM dbstat WHERE name = 'mentions'")]
    with filled.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * page_size)
            file.write(b"\xff" * page_size)
    for command in (("query",), ("db", "check")):
        result = run(*command)
        assert result.code == 5
        assert "restore a backup" in result.complaint


@pytest.mark.parametrize("command", ["status", "ingest", "query"])
def test_a_schema_that_a_newer_listener_wrote(run: Run, filled: Path, command: str) -> None:
    with sqlite3.connect(filled) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    result = run(command)
    assert result.code == 5
    assert "schema 9999" in result.complaint
    assert "newer" in result.complaint


@pytest.fixture
def on_connect() -> Iterator[Callable[[str], None]]:
    """Has every SQLite connection begin with these words."""
    listeners = []

    def say(words: str) -> None:
        def listen(connection: Any, _record: object) -> None:
            connection.execute(words)

        event.listen(Engine, "connect", listen)
        listeners.append(listen)

    yield say
    for listen in listeners:
        event.remove(Engine, "connect", listen)


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("limit", "fix"), [("PRAGMA query_only = ON", "it is read-only"), ("PRAGMA max_page_count = 1", "make room")]
)
def test_a_database_that_takes_nothing_more_loses_nothing(
    run: Run, on_connect: Callable[[str], None], posts: dict[str, list[Post]], limit: str, fix: str
) -> None:
    assert run("ingest", "--channel", "twitter").code == 0
    on_connect(limit)
    result = run("ingest")
    assert result.code == 5
    assert fix in result.complaint
    held = json.loads(run("query", "--channel", "twitter", "--format", "json").out)
    assert {row["external_id"] for row in held} == {post.external_id for post in posts["twitter"]}


@pytest.mark.usefixtures("filled")
def test_check_finds_a_database_that_cannot_be_written(run: Run, on_connect: Callable[[str], None]) -> None:
    on_connect("PRAGMA query_only = ON")
    result = run("check")
    assert result.code == 5
    assert "it is read-only" in result.out


@pytest.mark.usefixtures("config")
def test_a_disk_that_fills_up_in_the_middle_loses_nothing(
    spawn: Callable[..., Any], run: Run, posts: dict[str, list[Post]]
) -> None:
    assert run("ingest", "--limit", "1").code == 0
    # The kernel refuses to let a file grow further, as a full disk would.
    no_more = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    no_more += "resource.setrlimit(resource.RLIMIT_FSIZE, (220_000, 220_000))"
    result = spawn("ingest", before=no_more)
    assert result.returncode == 5
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("listener: the database ")
    assert "free space" in line or "make room" in line
    assert run("ingest").code == 0
    assert run("db", "check").code == 0
    assert run("query", "--count-by", "channel").out.count(",") == 1 + len(posts)
    assert sum(int(row.split(",")[1]) for row in run("query", "--count-by", "channel").out.split()[1:]) == sum(
        map(len, posts.values())
    )


def change_secret(tmp_path: Path, name: str, value: str | None) -> None:
    env = tmp_path / ".env"
    lines = [line for line in env.read_text(encoding="utf-8").splitlines() if not line.startswith(f"{name}=")]
    env.write_text("\n".join([*lines, *([f"{name}={value}"] if value is not None else [])]), encoding="utf-8")


@pytest.mark.usefixtures("config")
def test_a_token_that_is_refused(run: Run, tmp_path: Path) -> None:
    change_secret(tmp_path, "LISTENER_TWITTER_BEARER_TOKEN", "expired-token-of-long-ago")
    result = run("ingest", "--channel", "twitter")
    assert result.code == 3
    assert "st-elsewhere/twitter/search/" in result.complaint
    assert "expired-token-of-long-ago" not in result.out + result.err
    # The others are pulled all the same.
    assert run("ingest").code == 1
    assert "reddit" in run("query", "--count-by", "channel").out


@pytest.mark.usefixtures("config")
def test_a_secret_that_is_missing(run: Run, tmp_path: Path) -> None:
    change_secret(tmp_path, "LISTENER_TWITTER_BEARER_TOKEN", None)
    result = run("ingest", "--channel", "twitter")
    assert result.code == 3
    assert "LISTENER_TWITTER_BEARER_TOKEN: set it in the environment or in .env" in result.complaint
    change_secret(tmp_path, "LISTENER_AUTHOR_KEY", None)
    keyless = run("ingest")
    assert keyless.code == 2
    assert "LISTENER_AUTHOR_KEY" in keyless.complaint


@pytest.mark.usefixtures("config")
def test_a_budget_that_is_used_up_is_gone_on_with_later(
    run: Run, edit: Callable[..., None], posts: dict[str, list[Post]]
) -> None:
    edit(("[connectors.reddit]\n", "[connectors.reddit]\ndaily_requests = 3\n"))
    result = run("ingest", "--channel", "reddit")
    assert result.code == 4
    assert "budget of 3 requests" in result.complaint
    kept = int(run("query", "--count-by", "channel").out.split(",")[-1])
    assert 0 < kept < len(posts["reddit"])
    edit(("daily_requests = 3\n", ""))
    assert run("ingest", "--channel", "reddit").code == 0
    assert int(run("query", "--count-by", "channel").out.split(",")[-1]) == len(posts["reddit"])


@pytest.mark.usefixtures("config")
def test_a_stream_that_another_process_pulls(run: Run, tmp_path: Path, standins: dict[str, Standin]) -> None:
    assert run("ingest", "--channel", "twitter").code == 0
    asked = len(standins["twitter"].requests)
    with sqlite3.connect(tmp_path / "listener.db") as database:
        ((stream_id,),) = database.execute("SELECT id FROM streams").fetchall()
    with MentionStore.open(f"sqlite:///{tmp_path / 'listener.db'}") as store:
        assert store.acquire_lease(f"stream:{stream_id}", "elsewhere:1:1:x", timedelta(minutes=5))
    result = run("ingest", "--channel", "twitter")
    assert result.code == 6
    assert "another process holds the lease" in result.complaint
    assert len(standins["twitter"].requests) == asked


BROKEN = '''
from datetime import UTC, datetime, timedelta

from connectors.base import ConnectorSettings, Limits, StreamOptions


class BrokenConnector:
    """A platform whose connector has a bug."""

    channel = "broken"
    secrets = ()
    kinds = ("search",)
    lookback = None
    recheck_every = None
    settings_model = ConnectorSettings
    options_model = StreamOptions

    def __init__(self, settings, secrets, *, clock, user_agent):
        pass

    @classmethod
    def budget(cls, settings, now):
        return Limits(), now, now + timedelta(days=1)

    @classmethod
    def check_stream(cls, stream):
        pass

    def pull(self, stream, cursor, window, meter):
        meter.request()
        yield 1 // 0

    def recheck(self, external_ids, meter):
        return iter(())

    def check(self, meter):
        raise ZeroDivisionError

    def close(self):
        pass
'''


@pytest.fixture
def broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: Callable[..., None], config: Path
) -> Iterator[None]:
    """A connector with a bug among the others, and a stream of it before all others."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "broken.py").write_text(BROKEN, encoding="utf-8")
    monkeypatch.setattr(connectors, "__path__", [*connectors.__path__, str(folder)])
    first = '[[organizations.streams]]\nchannel = "broken"\nquery = "x"\n\n'
    edit(
        (
            '[[organizations.streams]]\nchannel = "twitter"',
            first + '[[organizations.streams]]\nchannel = "twitter"',
        )
    )
    yield
    del sys.modules["connectors.broken"]


@pytest.mark.usefixtures("broken")
def test_a_bug_leaves_with_70_and_its_traceback_and_the_others_are_stored(run: Run) -> None:
    result = run("ingest")
    assert result.code == 70
    assert "ZeroDivisionError" in result.err
    assert "please report it" in result.err
    # Every other stream was pulled before the bug was raised.
    assert run("query", "--count-by", "channel").out.count("\n") == 4
    assert run("check", "--online").code == 70


@pytest.mark.usefixtures("broken")
def test_a_bug_is_one_json_object_where_logs_are_json(run: Run) -> None:
    result = run("--log-format", "json", "check", "--online")
    told = [json.loads(line) for line in result.err.splitlines()]
    assert told[-1]["level"] == "critical"
    assert "ZeroDivisionError" in told[-1]["exception"]


@pytest.mark.usefixtures("filled")
def test_a_backup_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    assert run("db", "backup", tmp_path / "copy.db").out == f"{tmp_path / 'copy.db'}\n"
    assert (tmp_path / "copy.db").stat().st_size > 0
    result = run("db", "backup", tmp_path / "none" / "copy.db")
    assert result.code == 2
    assert "create the folder" in result.complaint


def test_the_databases_schema_is_told_and_upgraded(run: Run, config: Path) -> None:
    assert run("db", "current").code == 5
    (config.parent / "listener.db").touch()
    assert run("db", "current").out.startswith("database empty, needed ")
    assert run("db", "upgrade").out.endswith(" (was empty)\n")
    assert run("db", "upgrade").out.endswith(" already\n")
    version = run("db", "current").out.split()
    assert version[1].rstrip(",") == version[3]


def test_main_takes_the_process_s_own_arguments(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["listener", "--version"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("listener ")
