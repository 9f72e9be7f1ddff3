"""What the tests of the command line share: the command in this process, platforms on loopback, a filled store."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.ingest import ingest
from jobs.rollup import roll_up
from listener.cli import main
from listener.clock import SystemClock
from listener.settings import load
from listener.standins.generator import CHANNELS, generate
from listener.standins.posts import Post
from listener.standins.reddit import RedditStandin
from listener.standins.scenario import demo_environment, demo_settings_toml
from listener.standins.server import Standin
from listener.standins.twitter import TwitterStandin
from listener.standins.youtube import YoutubeStandin
from storage.store import MentionStore

ROOT = Path(__file__).parents[2]
STANDINS: tuple[type[Standin], ...] = (TwitterStandin, RedditStandin, YoutubeStandin)


@dataclass(frozen=True)
class Result:
    """What a command left behind: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on standard error."""
        (line,) = self.err.splitlines()
        return line


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _as_in_a_fresh_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start in an empty folder without Listener's variables; leave the log as it was."""
    for name in [name for name in os.environ if name.startswith("LISTENER_")]:
        monkeypatch.delenv(name)
    # Set first, so that what --no-color sets is undone.
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    names = (None, "listener", "jobs", "jobs.attempt", "connectors", "storage", "sqlalchemy")
    before = [(logger := logging.getLogger(name), logger.level, list(logger.handlers)) for name in names]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``listener`` with these arguments in this process."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Result(left.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a process of its own."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def spawn(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``listener`` with these arguments in a process of its own; ``before`` is Python run first in there."""

    def call(*arguments: object, before: str = "", **options: object) -> subprocess.CompletedProcess[str]:
        program = f"{before}\nfrom listener.cli import main\nmain()\n"
        start = [sys.executable, "-c", program] if before else [sys.executable, "-m", "listener"]
        return subprocess.run(  # type: ignore[call-overload, no-any-return]  # options are passed on as they are
            [*start, *map(str, arguments)],
            env=environment,
            text=True,
            check=False,
            timeout=60,
            **({"capture_output": True} | options),
        )

    return call


@pytest.fixture(scope="session")
def posts() -> dict[str, list[Post]]:
    """Six days of mentions up to now, by channel: some on each and none removed, whatever the day.

    No id begins as a formula does: a CSV writes it otherwise.
    """
    now = SystemClock().now()
    start, end = now - timedelta(days=6), now - timedelta(minutes=2)
    for seed in itertools.count(7):
        made = {
            channel: list(generate(seed=seed, start=start, end=end, per_week=240, channels=[channel]))
            for channel in CHANNELS
        }
        every = itertools.chain.from_iterable(made.values())
        if all(made.values()) and all(post.removed_at is None and post.external_id[0] != "-" for post in every):
            break
    return made


def serve(running: ExitStack, posts: dict[str, list[Post]]) -> dict[str, Standin]:
    return {kind.channel: running.enter_context(kind(SystemClock(), posts[kind.channel])) for kind in STANDINS}


def configure(folder: Path, standins: dict[str, Standin]) -> Path:
    """Write listener.toml and .env for these platforms."""
    folder.mkdir(parents=True, exist_ok=True)
    urls = {channel: standin.base_url for channel, standin in standins.items()}
    (folder / "listener.toml").write_text(demo_settings_toml(urls, "sqlite:///listener.db"), encoding="utf-8")
    lines = (f"{name}={value}\n" for name, value in demo_environment().items())
    (folder / ".env").write_text("".join(lines), encoding="utf-8")
    return folder / "listener.toml"


@pytest.fixture
def standins(posts: dict[str, list[Post]]) -> Iterator[dict[str, Standin]]:
    """The three platforms, by channel."""
    with ExitStack() as running:
        yield serve(running, posts)


@pytest.fixture
def config(tmp_path: Path, standins: dict[str, Standin]) -> Path:
    """A configuration for the platforms in the present folder; the store is not there yet."""
    return configure(tmp_path, standins)


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory: pytest.TempPathFactory, posts: dict[str, list[Post]]) -> Path:
    """A folder with a configuration and a store that holds what the platforms had."""
    folder = tmp_path_factory.mktemp("filled")
    with ExitStack() as running:
        settings = load(configure(folder, serve(running, posts)), environ={})
        with MentionStore.open(settings.database_url) as store:
            reports = ingest(settings, store, clock=SystemClock())
            roll_up(store)
    assert {report.outcome for report in reports} == {"done"}
    return folder


@pytest.fixture
def filled(filled_folder: Path, tmp_path: Path) -> Path:
    """The store of ``filled_folder``, its configuration and secrets, copied to the present folder."""
    shutil.copytree(filled_folder, tmp_path, dirs_exist_ok=True)
    return tmp_path / "listener.db"


@pytest.fixture
def edit(tmp_path: Path) -> Callable[..., None]:
    """Changes the present folder's listener.toml: each pair is what stands there and what shall."""

    def change(*pairs: Sequence[str]) -> None:
        path = tmp_path / "listener.toml"
        text = path.read_text(encoding="utf-8")
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    return change
