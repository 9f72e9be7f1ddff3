"""Turns what was typed into values, or into an error that says what to type instead."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, TypeVar

from listener.errors import ConfigError

if TYPE_CHECKING:
    from listener.settings import OrganizationSettings, Settings

Moment = TypeVar("Moment", date, datetime)


def day(text: str | None, option: str) -> date | None:
    """Read ``2026-11-09``; raises ``ConfigError`` naming ``option``."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{option} {text}: not a day of the calendar; write it as 2026-11-09") from error


def moment(text: str | None, option: str) -> datetime | None:
    """Read ``2026-11-09`` or ``2026-11-09T14:00``, UTC unless it says otherwise; raises ``ConfigError``."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{option} {text}: not a moment; write it as 2026-11-09 or 2026-11-09T14:00+00:00"
        ) from error


def in_order(since: Moment | None, until: Moment | None) -> None:
    """Raise ``ConfigError`` where the span ends before it begins."""
    if since is not None and until is not None and until < since:
        raise ConfigError(f"--until {until} lies before --since {since}: swap them")


def organizations(settings: Settings, slugs: list[str]) -> tuple[OrganizationSettings, ...]:
    """Return the named organizations, or all; raises ``ConfigError`` for an unknown slug, or where none is."""
    if not settings.organizations:
        raise ConfigError(f"{settings.origin} names no organization: add an [[organizations]] table")
    return tuple(settings.organization(slug) for slug in slugs) or settings.organizations


def channels(names: list[str], stored: Collection[str] = ()) -> tuple[str, ...]:
    """Return the named channels; raises ``ConfigError`` for an unknown one, with the nearest known.

    Known are those that have a connector, and ``stored`` ones: what was imported may be of any.
    """
    import connectors

    for name in names:
        if name not in stored:
            connectors.connector_class(name, where="--channel")
    return tuple(names)


def configured_channels(
    settings: Settings, names: list[str], organizations: tuple[OrganizationSettings, ...]
) -> tuple[str, ...]:
    """Return the named channels; raises ``ConfigError`` where these organizations have no stream of them."""
    chosen = channels(names)
    have = {stream.channel for organization in organizations for stream in organization.streams}
    for name in chosen or ([] if have else ["any channel"]):
        if name not in have:
            raise ConfigError(
                f"{settings.origin} has no stream of {name} for {', '.join(one.slug for one in organizations)}: "
                "add one under [[organizations.streams]]"
            )
    return chosen
