"""Commands for the first day: ``init``, ``check`` and ``config``."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from listener.cli.confidential import READ_URL, secret_names, without_password
from listener.cli.options import flag
from listener.cli.output import print_table
from listener.cli.state import state_of
from listener.errors import ConfigError, ListenerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from listener.cli.state import State
    from listener.settings import Settings

config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's commands to the root."""
    app.command()(init)
    app.command()(check)


def init(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to write; made if it is not there.")
    ] = Path(),
) -> None:
    """Write a first listener.toml and a .env with a fresh author key; nothing is overwritten."""
    from listener.resources import config_file

    state = state_of(context)
    files = {
        directory / "listener.toml": config_file("listener.example.toml").read_text(encoding="utf-8"),
        directory / ".env": _environment_template(),
    }
    made: list[Path] = []
    try:
        for path in files:
            if path.exists():
                raise ConfigError(f"{path} is there already: move it away first, or choose another directory")
        directory.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            path.touch(mode=0o600 if path.name == ".env" else 0o644)
            made.append(path)
            path.write_text(content, encoding="utf-8")
    except OSError as error:
        for path in made:
            path.unlink(missing_ok=True)
        raise ConfigError(f"cannot write into {directory}: {error.strerror}; choose another directory") from error
    for path in files:
        state.out.print(str(path))
    state.say(
        "Next: name your hospital in listener.toml, put the platforms' keys into .env (keep that file out of "
        "version control), then run `listener check --online`."
    )


def _environment_template() -> str:
    import connectors

    lines = [
        "# Listener's secrets. Keep this file to yourself and out of version control.",
        "# Each may also be read from a file: LISTENER_AUTHOR_KEY_FILE=/run/secrets/author_key",
        "",
        "# Makes the pseudonyms of authors. Change it, and authors of this week count anew.",
        f"LISTENER_AUTHOR_KEY={secrets.token_urlsafe(32)}",
        "",
        "# Instead of store.url in listener.toml, where the address holds a password:",
        "#LISTENER_DATABASE_URL=postgresql+psycopg://listener:PASSWORD@localhost/listener",
        "# Instead of store.read_url, a replica that is only read:",
        "#LISTENER_READ_DATABASE_URL=postgresql+psycopg://reader:PASSWORD@replica/listener",
    ]
    for channel, connector in connectors.discover().items():
        lines += ["", f"# {channel}"]
        lines += [f"#LISTENER_{channel}_{name}=".upper() for name in connector.secrets]
    return "\n".join(lines) + "\n"


def check(
    context: typer.Context,
    *,
    online: Annotated[
        bool, flag("--online", help="Also ask each platform whether it takes the credentials.")
    ] = False,
) -> None:
    """Check configuration, taxonomy, database and credentials, and say what to mend.

    Leaves with 0 where all is good, else with the exit code of the first thing to mend.
    """
    state = state_of(context)
    findings = list(_findings(state, online=online))
    rows = [
        {
            "what": what,
            "state": _state(found),
            "detail": str(found).replace("\n", "; "),
        }
        for what, found in findings
    ]
    print_table(state, rows, ("what", "state", "detail"))
    errors = [found for _, found in findings if isinstance(found, ListenerError)]
    if errors:
        raise typer.Exit(errors[0].exit_code)


def _findings(state: State, *, online: bool) -> Iterator[tuple[str, str | ListenerError]]:
    import connectors
    from listener.cli import values

    settings = state.settings

    def streams() -> str:
        organizations = values.organizations(settings, [])
        values.configured_channels(settings, [], organizations)
        count = sum(len(organization.streams) for organization in organizations)
        return f"{settings.origin}: {_count(len(organizations), 'organization')}, {_count(count, 'stream')}"

    yield "configuration", _try(streams)
    yield (
        "author key",
        _try(
            lambda: (
                "authors are not kept"
                if settings.author_secret is None
                else f"authors get {settings.privacy.author_key} pseudonyms"
            )
        ),
    )
    yield "taxonomy", _try(lambda: f"version {state.taxonomy.version}, {len(state.taxonomy.topics)} topics")
    yield "database", _try(lambda: _write_and_read(state))
    if settings.read_url is not None:
        yield "replica", _try(lambda: _read(state))
    for channel in sorted({stream.channel for stream, _ in connectors.streams(settings)}):
        yield channel, _try(partial(_reach, state, channel, online=online))
        if getattr(connectors.connector_settings(settings, channel), "derived_metrics", True) is False:
            yield f"{channel} topics", _Off(_TOPICS_OFF.format(channel))


class _Off(str):
    """Good as it is, and yet worth knowing: something is turned off."""

    __slots__ = ()


_TOPICS_OFF = (
    "mentions are counted without topics; connectors.{}.derived_metrics = true turns them on once the "
    "platform has granted you the right to derive metrics"
)


def _state(found: str | ListenerError) -> str:
    if isinstance(found, ListenerError):
        return "to mend"
    return "off" if isinstance(found, _Off) else "good"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _try(look: Callable[[], str]) -> str | ListenerError:
    try:
        return look()
    except ListenerError as error:
        return error


def _write_and_read(state: State) -> str:
    from jobs import leases
    from listener.clock import SystemClock

    with state.store() as store, leases.held(store, "check", timedelta(minutes=1), SystemClock()):
        return f"{store.database.place} takes what is written to it, and its schema is up to date"


def _read(state: State) -> str:
    with state.reading_store() as store:
        return f"{store.database.place} can be read, and its schema is up to date"


def _reach(state: State, channel: str, *, online: bool) -> str:
    import connectors
    from connectors.base import Meter
    from listener.clock import SystemClock

    connector = connectors.connect(state.settings, channel, clock=SystemClock())
    try:
        if not online:
            return "credentials are set (--online tries them)"
        connector.check(Meter())
    finally:
        connector.close()
    return "the platform takes the credentials"


@config_app.command()
def show(context: typer.Context) -> None:
    """Print the configuration in force as JSON: defaults filled in, secrets named and never shown."""
    import connectors

    settings = state_of(context).settings
    document = settings.model_dump(mode="json")
    document["store"]["url"] = without_password(settings.database_url)
    if (read_url := settings.read_url) is not None:
        document["store"]["read_url"] = without_password(read_url, named=READ_URL)
    document["connectors"] = {
        channel: connectors.connector_settings(settings, channel).model_dump(mode="json")
        for channel in connectors.discover()
    }
    document["secrets"] = {name: _whether_set(settings, name) for name in secret_names()}
    print(json.dumps(document, indent=2, ensure_ascii=False))  # noqa: T201 - data


def _whether_set(settings: Settings, name: str) -> str:
    try:
        return "set" if settings.secret(name) else "not set"
    except ConfigError as error:
        # Where no stream needs it, its file may well be empty.
        return f"not set: {error}"


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of listener.toml, for editors and other checkers."""
    from listener.cli.schema import document_schema

    print(json.dumps(document_schema(), indent=2, ensure_ascii=False))  # noqa: T201 - data


@config_app.command()
def validate(context: typer.Context) -> None:
    """Check listener.toml; leaves with 2 and a line for each thing wrong."""
    state = state_of(context)
    state.out.print(f"{state.settings.origin} is valid")
