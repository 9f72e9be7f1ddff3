"""The platforms. A module in this folder that defines a connector is found by itself: no registry to edit."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

from connectors.base import Connector, ConnectorSettings, ReadsArchives, StreamSpec
from listener.errors import AuthError, ConfigError
from listener.settings import nearest, parse

if TYPE_CHECKING:
    from pydantic import SecretStr

    from listener.clock import Clock
    from listener.settings import OrganizationSettings, Settings, StreamSettings


def discover() -> dict[str, type[Connector]]:
    """Return every connector class of this package by its channel, in alphabetical order."""
    return dict(_found_in(tuple(__path__)))


@cache
def _found_in(folders: tuple[str, ...]) -> dict[str, type[Connector]]:
    """Look once: every pull asks some eight times, and looking took half of what one costs that brings nothing."""
    found: dict[str, type[Connector]] = {}
    for module_info in pkgutil.iter_modules(folders):
        if module_info.name == "base":
            continue
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for _, thing in inspect.getmembers(module, inspect.isclass):
            if thing.__module__ == module.__name__ and hasattr(thing, "channel") and hasattr(thing, "pull"):
                connector = cast("type[Connector]", thing)
                found[connector.channel] = connector
    return dict(sorted(found.items()))


def connector_class(channel: str, *, where: str = "") -> type[Connector]:
    """Return the connector of ``channel``; raises ``ConfigError`` with the nearest known channel.

    ``where`` says what names the channel (a file and a key), for the error.
    """
    known = discover()
    if channel not in known:
        raise ConfigError(
            f"{where}{': ' if where else ''}unknown channel {channel!r}{nearest(channel, known)} "
            f"(there are: {', '.join(known)})"
        )
    return known[channel]


def archive_readers() -> dict[str, type[ReadsArchives]]:
    """Return which connector reads each format of archives, in alphabetical order of the connectors."""
    readers = [kind for kind in discover().values() if hasattr(kind, "archive_formats")]
    return {
        name: reader for reader in cast("list[type[ReadsArchives]]", readers) for name in reader.archive_formats
    }


def connector_settings(settings: Settings, channel: str) -> ConnectorSettings:
    """Return ``[connectors.<channel>]``, validated by its connector; raises ``ConfigError``."""
    return parse(
        connector_class(channel, where=f"{settings.origin}: connectors").settings_model,
        settings.connectors.get(channel, {}),
        origin=settings.origin,
        prefix=f"connectors.{channel}.",
    )


def connect(settings: Settings, channel: str, *, clock: Clock) -> Connector:
    """Return a ready connector of ``channel``; raises ``ConfigError``, or ``AuthError`` for a missing secret."""
    kind = connector_class(channel)
    secrets: dict[str, SecretStr] = {}
    for name in kind.secrets:
        variable = f"LISTENER_{channel}_{name}".upper()
        secret = settings.secret(variable)
        if secret is None:
            raise AuthError(f"{channel} needs the secret {variable}: set it in the environment or in .env")
        secrets[name] = secret
    return kind(connector_settings(settings, channel), secrets, clock=clock, user_agent=_user_agent())


def _user_agent() -> str:
    return f"hospital-listener/{version('hospital-listener')} (patient-experience signals; read-only)"


def stream_spec(
    settings: Settings, organization: OrganizationSettings, stream: StreamSettings, *, place: str
) -> StreamSpec:
    """Return one configured stream as its connector takes it; raises ``ConfigError``.

    ``place`` is the stream's path in the file, such as ``organizations[0].streams[1]``.
    """
    where = f"the {stream.channel} stream of {organization.slug}"
    kind = connector_class(stream.channel, where=f"{settings.origin}: a stream of {organization.slug}")
    if stream.kind not in kind.kinds:
        raise ConfigError(
            f"{settings.origin}: {where} has kind {stream.kind!r}{nearest(stream.kind, kind.kinds)} "
            f"({stream.channel} has: {', '.join(kind.kinds)})"
        )
    options = parse(
        kind.options_model,
        stream.options,
        origin=settings.origin,
        prefix=f"{place}.",
        beside=type(stream).model_fields,
    )
    spec = StreamSpec(
        organization=organization.slug,
        channel=stream.channel,
        kind=stream.kind,
        query=stream.query,
        options=options.model_dump(mode="json"),
        names=organization.names,
        own_accounts=tuple(organization.own_accounts.get(stream.channel, ())),
    )
    try:
        kind.check_stream(spec)
    except ConfigError as error:
        raise ConfigError(f"{settings.origin}: {place}.{error}") from error
    return spec


def validate(settings: Settings) -> None:
    """Check everything in the configuration that belongs to a platform; raises ``ConfigError``."""
    for channel in settings.connectors:
        connector_settings(settings, channel)
    for organization in settings.organizations:
        for channel in organization.own_accounts:
            connector_class(channel, where=f"{settings.origin}: own_accounts of {organization.slug}")
    for stream, _ in streams(settings):
        connector_settings(settings, stream.channel)


def streams(settings: Settings) -> list[tuple[StreamSpec, StreamSettings]]:
    """Return every configured stream with its schedule, in the file's order; raises ``ConfigError``.

    Two streams that ask an organization's channel for the same are an error: they would be one in the store.
    """
    found: list[tuple[StreamSpec, StreamSettings]] = []
    for index, organization in enumerate(settings.organizations):
        places: dict[tuple[str, str], str] = {}
        for number, stream in enumerate(organization.streams):
            place = f"organizations[{index}].streams[{number}]"
            spec = stream_spec(settings, organization, stream, place=place)
            first = places.setdefault((spec.channel, spec.key), place)
            if first != place:
                raise ConfigError(
                    f"{settings.origin}: {first} and {place} both ask {spec.channel} for {spec.query!r} for "
                    f"{organization.slug}: take one out, or change its kind, query or options"
                )
            found.append((spec, stream))
    return found
