"""The words keep up with the code: every command, option, key, topic and column has its line."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.main import get_command

import connectors
from listener.cli.app import app
from listener.cli.confidential import secret_names
from listener.settings import (
    OrganizationSettings,
    PrivacySettings,
    Settings,
    StoreSettings,
    StreamSettings,
    TopicsSettings,
)
from listener.signals.taxonomy import Taxonomy
from storage.queries import COLUMNS, COUNT_FIELDS
from storage.schema import metadata

ROOT = Path(__file__).parents[1]


def load_reference() -> Any:
    # By its path: it lies beside Sphinx's configuration, and works without Sphinx.
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "_ext" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = load_reference()


def leaves(command: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every command that does something, by the words that call it."""
    inner = getattr(command, "commands", None)
    if not inner:
        return {path: command}
    return {words: leaf for name, one in inner.items() for words, leaf in leaves(one, (*path, name)).items()}


COMMANDS = leaves(get_command(app))


def section(document: str, title: str) -> str:
    """Return what stands under a heading, up to the next one of its level or above."""
    _, _, rest = document.partition(f" {title}\n")
    assert rest, f"no heading {title!r}"
    return rest.partition("\n## ")[0].partition("\n### ")[0].partition("\n#### ")[0]


def test_the_app_has_every_command_that_was_promised() -> None:
    assert {" ".join(words) for words in COMMANDS} >= {
        *("init", "check", "ingest", "run", "status", "query", "summary", "rollup", "refresh", "demo", "standins"),
        *("topics list", "topics show", "topics test", "db upgrade", "db current", "db check", "db backup"),
        *("config show", "config schema", "config validate"),
    }


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_reference_has_every_command_with_every_option(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    its = section(reference.cli(), " ".join(["listener", *words]))
    assert command.help
    assert command.help.split("\n")[0] in its
    for parameter in command.params:
        names = parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]
        for name in (*names, *parameter.secondary_opts):
            assert f"`{name}`" in its
        assert parameter.help
        assert " ".join(parameter.help.split()).replace("|", "\\|") in its


def test_the_reference_has_the_global_options() -> None:
    its = section(reference.cli(), "listener")
    for option in ("-c", "--config", "--env-file", "-v", "-q", "--log-format", "--no-color", "--version"):
        assert f"`{option}`" in its


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_readme_names_every_command(words: tuple[str, ...]) -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    named = " ".join(["listener", *words]) in readme
    # Members of a group may stand together: `listener db upgrade|current|check|backup FILE`.
    together = len(words) > 1 and any(
        words[1] in alternatives.split(" ")[0].strip("`.,;:)").split("|")
        for alternatives in readme.split(f"listener {words[0]} ")[1:]
    )
    assert named or together


@pytest.mark.parametrize(
    ("title", "model"),
    [
        ("[store]", StoreSettings),
        ("[privacy]", PrivacySettings),
        ("[topics]", TopicsSettings),
        ("[[organizations]]", OrganizationSettings),
        ("[[organizations.streams]]", StreamSettings),
        *((f"[connectors.{name}]", found.settings_model) for name, found in connectors.discover().items()),
        *((f"Streams of channel {name}", found.options_model) for name, found in connectors.discover().items()),
    ],
)
def test_the_reference_has_every_key(title: str, model: type[BaseModel]) -> None:
    its = section(reference.configuration(), title)
    for name, field in model.model_fields.items():
        assert f"| `{name}` |" in its
        assert field.description, f"{title} {name} has no description"


def test_the_reference_has_every_table_and_secret() -> None:
    document = reference.configuration()
    for name, field in Settings.model_fields.items():
        if not field.exclude:
            assert f"[{name}" in document
    for name in secret_names():
        assert f"`{name}`" in document


def test_the_reference_has_every_topic_and_every_column() -> None:
    topics = reference.topics()
    for topic in Taxonomy.load(None).topics:
        assert f"`{topic.slug}`" in topics
    for table in metadata.sorted_tables:
        its = section(reference.tables(), table.name)
        for column in table.columns:
            assert f"`{column.name}`" in its


def test_help_names_every_field_that_mentions_can_be_counted_by() -> None:
    (option,) = [option for option in COMMANDS["query",].params if option.name == "count_by"]
    assert all(field in option.help for field in COUNT_FIELDS)
    assert len(COLUMNS) == 26
