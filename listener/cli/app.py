"""The root command and its global options; each group of commands is a module beside this one."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Annotated

import typer

from listener.cli import archives, ask, correct, database, demo, evaluate, pull, setup, taxonomy
from listener.cli.logs import LogFormat, configure
from listener.cli.options import flag
from listener.cli.state import DEFAULT_CONFIG, State

app = typer.Typer(
    name="listener",
    help="Hear what the public says about a hospital: pull mentions, query them, export weekly summaries.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"listener {version('hospital-listener')}")  # noqa: T201 - the answer itself
        raise typer.Exit


def _without_color(*, wanted: bool) -> None:
    # The way every library understands, the one that prints --help included.
    if wanted:
        os.environ["NO_COLOR"] = "1"


@app.callback()
def root(
    context: typer.Context,
    *,
    config: Annotated[
        Path,
        typer.Option("--config", "-c", metavar="FILE", envvar="LISTENER_CONFIG", help="The configuration file."),
    ] = DEFAULT_CONFIG,
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file", metavar="FILE", help="Where secrets stand; default: .env beside the configuration."
        ),
    ] = None,
    verbose: Annotated[
        int,
        flag("--verbose", "-v", count=True, show_default=False, help="Log what is done; -vv: in every detail."),
    ] = 0,
    quiet: Annotated[bool, flag("--quiet", "-q", help="Say nothing but data and errors.")] = False,
    log_format: Annotated[
        LogFormat,
        typer.Option(metavar="FORMAT", help="text, or json: one object a line, for whatever collects logs."),
    ] = LogFormat.TEXT,
    no_color: Annotated[
        bool,
        flag("--no-color", help="No colors; NO_COLOR does the same.", callback=_without_color, is_eager=True),
    ] = False,
    version: Annotated[
        bool, flag("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Hear what the public says about a hospital: pull mentions, query them, export weekly summaries."""
    del version, no_color
    configure(-1 if quiet else verbose, log_format)
    context.obj = State(config=config, env_file=env_file, quiet=quiet, log_format=log_format)


for commands in (setup, pull, archives, ask, correct, demo):
    commands.register(app)
app.add_typer(taxonomy.app, name="topics")
app.add_typer(evaluate.sentiment_app, name="sentiment")
app.add_typer(evaluate.purpose_app, name="purpose")
app.add_typer(database.app, name="db")
app.add_typer(setup.config_app, name="config")


def _unwrap(commands: typer.Typer) -> None:
    """Let each paragraph of a command's help flow: Typer keeps the line breaks of the second and later ones."""
    for command in commands.registered_commands:
        paragraphs = inspect.cleandoc((command.callback and command.callback.__doc__) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


for group in (app, taxonomy.app, evaluate.sentiment_app, evaluate.purpose_app, database.app, setup.config_app):
    _unwrap(group)
