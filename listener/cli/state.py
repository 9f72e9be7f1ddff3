"""What the global options say, and what every command may ask for: settings, store, taxonomy, consoles."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from listener.cli.logs import LogFormat

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from listener.settings import Settings
    from listener.signals.taxonomy import Taxonomy
    from storage.store import MentionStore

DEFAULT_CONFIG = Path("listener.toml")
_WIDTH_WITHOUT_TERMINAL = 120


@dataclass(frozen=True)
class State:
    """The global options of one invocation."""

    config: Path = DEFAULT_CONFIG
    env_file: Path | None = None
    quiet: bool = False
    log_format: LogFormat = LogFormat.TEXT

    @cached_property
    def settings(self) -> Settings:
        """The validated configuration; from here on its secrets are hidden in the log. Raises ``ConfigError``."""
        import connectors
        from listener.cli.confidential import secret_values
        from listener.cli.logs import hide_secrets
        from listener.settings import load

        settings = load(self.config, env_file=self.env_file)
        hide_secrets(secret_values(settings))
        connectors.validate(settings)
        return settings

    @property
    def is_configured(self) -> bool:
        """Whether there is a configuration, or one was asked for: some commands can do without."""
        return self.config.exists() or self.config != DEFAULT_CONFIG

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy in force; raises ``ConfigError``."""
        from listener.signals.taxonomy import Taxonomy

        return Taxonomy.load(self.settings.topics_file)

    @property
    def taxonomy_or_shipped(self) -> Taxonomy:
        """The taxonomy in force, or the shipped one where there is no configuration yet."""
        from listener.signals.taxonomy import Taxonomy

        return self.taxonomy if self.is_configured else Taxonomy.load(None)

    @contextmanager
    def store(self, *, read_only: bool = False, connections: int | None = None) -> Iterator[MentionStore]:
        """Open the store, with the configured organizations and topics declared; raises ``StoreError``.

        ``connections`` is how many it keeps open, where it is known how many threads there will be.
        """
        from storage.store import MentionStore

        with MentionStore.open(self.settings.database_url, read_only=read_only, connections=connections) as store:
            if not read_only:
                store.declare(self.settings.organizations, self.taxonomy)
            yield store

    @contextmanager
    def reading_store(self) -> Iterator[MentionStore]:
        """Open what is only to be read: the replica of ``store.read_url`` where there is one, else the store.

        Raises ``ConfigError`` for a URL that is none, ``StoreError``.
        """
        from listener.cli.confidential import READ_URL
        from storage.opening import database_url
        from storage.store import MentionStore

        url = self.settings.read_url
        if url is None:
            with self.store(read_only=True) as store:
                yield store
            return
        database_url(url, named=READ_URL)
        with MentionStore.open(url, read_only=True) as store:
            yield store

    @contextmanager
    def rehearsal_store(self) -> Iterator[MentionStore]:
        """Open the store so that nothing can be written; an empty one in memory where there is none yet."""
        from storage.store import MentionStore

        if self._has_store():
            with self.store(read_only=True) as store:
                yield store
            return
        with MentionStore.open("sqlite://") as store:
            store.declare(self.settings.organizations, self.taxonomy)
            yield store

    def _has_store(self) -> bool:
        from storage.opening import database_url
        from storage.upgrade import current

        url = database_url(self.settings.database_url)
        if url.drivername.startswith("sqlite") and not Path(url.database or "").exists():
            return False
        return current(self.settings.database_url) is not None

    @cached_property
    def out(self) -> Console:
        """Standard output: for data only."""
        return _console(stderr=False)

    @cached_property
    def err(self) -> Console:
        """Standard error: for everything that is not data."""
        return _console(stderr=True)

    @contextmanager
    def progress(self, *, of_bytes: bool = False) -> Iterator[Progress]:
        """Show progress bars on standard error, where it is a terminal and nobody asked for quiet.

        Those ``of_bytes`` show how many a second are done, and how long the rest will take.
        """
        from rich import progress as rich

        counted: tuple[rich.ProgressColumn, ...] = (rich.MofNCompleteColumn(), rich.TimeElapsedColumn())
        measured = (rich.DownloadColumn(), rich.TransferSpeedColumn(), rich.TimeRemainingColumn())
        columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), *(measured if of_bytes else counted))
        shown = self.err.is_terminal and not self.quiet and self.log_format is LogFormat.TEXT
        with rich.Progress(*columns, console=self.err, transient=True, disable=not shown) as bar:
            yield bar

    def say(self, message: str) -> None:
        """Tell the person something that is not data; among JSON lines it is one of them, at INFO."""
        if self.log_format is LogFormat.JSON:
            logging.getLogger("listener").info(message)
        elif not self.quiet:
            self.err.print(message)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream: TextIO = sys.stderr if stderr else sys.stdout
    # Rich takes 80 columns where it cannot know; nothing breaks a line in a file.
    width = None if stream.isatty() or os.environ.get("COLUMNS") else _WIDTH_WITHOUT_TERMINAL
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=True, markup=False, emoji=False)


def state_of(context: typer.Context) -> State:
    """Return the global options of the invocation that ``context`` belongs to."""
    state = context.find_root().obj
    assert isinstance(state, State)  # noqa: S101 - set by the root callback before any command runs
    return state
