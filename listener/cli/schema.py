"""The JSON Schema of listener.toml, the keys of every connector included."""

from __future__ import annotations

from typing import Any

import connectors
from connectors.base import Connector, StreamSpec
from listener.errors import ConfigError
from listener.settings import FileSchema, Settings


def document_schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration file, the connectors' tables and stream options included."""
    document = Settings.model_json_schema(schema_generator=FileSchema)
    properties = document["properties"]
    for hidden in ("path", "environment"):
        properties.pop(hidden, None)
    definitions = document.setdefault("$defs", {})
    channels: dict[str, Any] = {}
    stream = definitions["StreamSettings"]
    stream["properties"]["channel"]["enum"] = list(connectors.discover())
    accounts = definitions["OrganizationSettings"]["properties"]["own_accounts"]
    accounts["propertyNames"] = {"enum": list(connectors.discover())}
    conditions = []
    for channel, connector in connectors.discover().items():
        table = connector.settings_model.model_json_schema(schema_generator=FileSchema)
        definitions.update(table.pop("$defs", {}))
        channels[channel] = table
        options = connector.options_model.model_json_schema(schema_generator=FileSchema)
        definitions.update(options.pop("$defs", {}))
        allowed = dict.fromkeys(stream["properties"], True) | options.get("properties", {})
        kind = {"enum": list(connector.kinds)}
        conditions.append(
            {
                "if": {"properties": {"channel": {"const": channel}}, "required": ["channel"]},
                "then": {
                    "properties": {**allowed, "kind": kind},
                    "additionalProperties": False,
                    **_query_rule(connector),
                },
            }
        )
    stream["allOf"] = conditions
    properties["connectors"] = {"type": "object", "properties": channels, "additionalProperties": False}
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["title"] = "listener.toml"
    return document


def _query_rule(connector: type[Connector]) -> dict[str, Any]:
    """Return the rule that a stream of a kind which needs a query has one."""
    kinds = [kind for kind in connector.kinds if not _takes(connector, kind, "") and _takes(connector, kind, "x")]
    if not kinds:
        return {}
    # Left out, the kind is the first.
    named = {} if connector.kinds[0] in kinds else {"required": ["kind"]}
    return {
        "if": {"properties": {"kind": {"enum": kinds}}, **named},
        "then": {"properties": {"query": {"pattern": r"\S"}}, "required": ["query"]},
    }


def _takes(connector: type[Connector], kind: str, query: str) -> bool:
    options = connector.options_model().model_dump(mode="json")
    try:
        connector.check_stream(
            StreamSpec(organization="", channel=connector.channel, kind=kind, query=query, options=options)
        )
    except ConfigError:
        return False
    return True
