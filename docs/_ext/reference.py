"""The reference pages as Markdown, made from the command line, the settings, the taxonomy and the tables."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args


def cli() -> str:
    """Every command with its arguments and options, as ``--help`` knows them."""
    from typer.main import get_command

    from listener.cli.app import app

    lines = [
        "# Commands",
        "",
        "Exit codes: 0 done; 1 done in part; 2 usage or configuration; 3 credentials; 4 quota or budget,",
    ]
    lines += ["resumable; 5 database; 6 another process holds the lease; 70 a bug; 130 interrupted by hand.", ""]
    for path, command in commands(get_command(app), "listener"):
        lines += [
            f"{'#' * (path.count(' ') + 2)} {path}",
            "",
            (command.help or "").strip().replace("\n\n", "\n"),
            "",
        ]
        rows = [row for parameter in command.params if (row := _parameter(parameter))]
        if rows:
            lines += ["| option | meaning | default |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every command below ``command`` with the words that call it, groups before their members."""
    yield path, command
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from commands(inner, f"{path} {name}")


def _parameter(parameter: Any) -> str | None:
    if parameter.name in ("help", "install_completion", "show_completion"):
        return None
    if parameter.param_type_name == "argument":
        name = f"`{parameter.name.upper()}`"
    else:
        name = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    meaning = _cell(parameter.help or "")
    if choices := _choices(parameter):
        meaning += " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    default = parameter.default
    if callable(default) or default in (None, (), [], False):
        shown = ""
    else:
        shown = f"`{getattr(default, 'value', default)}`"
    return f"| {name} | {meaning} | {shown} |"


def _choices(parameter: Any) -> list[str]:
    annotation = parameter.type_descriptor.annotation
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Enum):
            return [str(choice.value) for choice in candidate]
    return []


def configuration() -> str:
    """Every key of listener.toml, the connectors' own and the secrets included."""
    import connectors
    from listener.settings import (
        OrganizationSettings,
        PrivacySettings,
        StoreSettings,
        StreamSettings,
        TopicsSettings,
    )

    lines = ["# Keys of listener.toml", ""]
    for title, model in (
        ("[store]", StoreSettings),
        ("[privacy]", PrivacySettings),
        ("[topics]", TopicsSettings),
        ("[[organizations]]", OrganizationSettings),
        ("[[organizations.streams]]", StreamSettings),
    ):
        lines += [f"## {title}", "", *_keys(model), ""]
    secrets = ["LISTENER_DATABASE_URL", "LISTENER_READ_DATABASE_URL", "LISTENER_AUTHOR_KEY"]
    for channel, connector in connectors.discover().items():
        lines += [f"## [connectors.{channel}]", "", *_keys(connector.settings_model), ""]
        lines += [f"### Streams of channel {channel}", ""]
        lines += [f"Kinds: {', '.join(f'`{kind}`' for kind in connector.kinds)}; the first is the default.", ""]
        lines += [*_keys(connector.options_model), ""]
        secrets += [f"LISTENER_{channel}_{name}".upper() for name in connector.secrets]
    lines += ["## Secrets", "", "From the environment or `.env`; each also as `…_FILE`, the name of a file.", ""]
    lines += [f"- `{name}`" for name in secrets]
    return "\n".join(lines) + "\n"


def _keys(model: Any) -> list[str]:
    from listener.settings import FileSchema

    fields = model.model_json_schema(schema_generator=FileSchema).get("properties", {})
    if not fields:
        return ["No further keys."]
    rows = ["| key | meaning | type | default |", "|---|---|---|---|"]
    for name, field in fields.items():
        default = f"`{_toml(field['default'])}`" if field.get("default") is not None else ""
        rows.append(f"| `{name}` | {_cell(field.get('description', ''))} | {_type(field)} | {default} |")
    return rows


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _type(field: Any) -> str:
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"] if choice.get("type") != "null")
    if "$ref" in field:
        return "table"
    return {"object": "table", "array": "list"}.get(field.get("type", ""), field.get("type", ""))


def topics() -> str:
    """List the shipped taxonomy, group by group."""
    from listener.signals.taxonomy import Taxonomy

    taxonomy = Taxonomy.load(None)
    lines = [f"# Topics (taxonomy {taxonomy.version})", ""]
    for group in dict.fromkeys(topic.group for topic in taxonomy.topics):
        lines += [f"## {group}", "", "| slug | name | definition | HCAHPS |", "|---|---|---|---|"]
        lines += [
            f"| `{topic.slug}` | {topic.name} | {_cell(topic.definition)} | {', '.join(topic.hcahps)} |"
            for topic in taxonomy.topics
            if topic.group == group
        ]
        lines.append("")
    return "\n".join(lines)


def tables() -> str:
    """Every table and column of the store."""
    from storage.schema import metadata

    lines = ["# Tables", ""]
    for table in metadata.sorted_tables:
        lines += [
            f"## {table.name}",
            "",
            table.comment or "",
            "",
            "| column | type | refers to |",
            "|---|---|---|",
        ]
        for column in table.columns:
            key = " (key)" if column.primary_key else ""
            null = ", may be empty" if column.nullable else ""
            refers = ", ".join(f"`{key.target_fullname}`" for key in column.foreign_keys)
            lines.append(f"| `{column.name}`{key} | {column.type}{null} | {refers} |")
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
