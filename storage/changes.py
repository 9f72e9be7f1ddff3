"""From which day on figures are heard by another version of taxonomy and models: where a series has a break.

A page that was heard by another version than the last one writes a change from today on. A retag writes one too:
with the day it began from, or without a day where nothing is left that another version heard. What was written
before such a whole one is no break any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select, text

from listener.calendar import local_day
from listener.mention import Source
from storage.locks import Lock
from storage.schema import mention_topics, organizations, signal_changes

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalChange:
    """From ``since_day`` on (None: everything) figures are heard by ``to_version``, before it by another.

    ``from_version`` is None where it is not known. ``mentions`` were heard again, of which ``changed`` were heard
    otherwise: both 0 where a new version began with what was pulled.
    """

    made_at: datetime
    since_day: int | None
    from_version: str | None
    to_version: str
    mentions: int = 0
    changed: int = 0

    @property
    def is_retag(self) -> bool:
        """Whether stored mentions were heard again."""
        return self.mentions > 0


def every_change(connection: Connection) -> list[SignalChange]:
    """Return all changes, the oldest first."""
    columns = [column for column in signal_changes.c if column.name != "id"]
    found = connection.execute(select(*columns).order_by(signal_changes.c.id))
    return [SignalChange(**row) for row in found.mappings()]


def breaks(changes: Sequence[SignalChange]) -> list[SignalChange]:
    """Return the changes that a series of figures shows: those after the last one that left nothing as it was."""
    whole = max((at for at, change in enumerate(changes) if change.since_day is None), default=-1)
    return list(changes[whole + 1 :])


def write_change(connection: Connection, change: SignalChange) -> None:
    """Keep one change."""
    connection.execute(
        insert(signal_changes).values({name: getattr(change, name) for name in SignalChange.__dataclass_fields__})
    )


def note_version(connection: Connection, versions: Iterable[str], now: datetime) -> None:
    """Write a change where mentions come that another version heard than the last one; twice a day is once."""
    for version in sorted(set(versions) - {""}):
        if _last(connection) == version:
            continue
        _take_turn(connection)
        # Asked again: another may have written it while this one waited.
        known = every_change(connection)
        before = known[-1].to_version if known else None
        if before == version:
            continue
        is_first = not known and not _was_heard(connection)
        since = None if is_first else _today(connection, now)
        # While an old program and a new one run side by side, each page would be a change.
        if any((change.since_day, change.to_version) == (since, version) for change in breaks(known)):
            continue
        write_change(
            connection, SignalChange(made_at=now, since_day=since, from_version=before, to_version=version)
        )


def _last(connection: Connection) -> str | None:
    newest = select(signal_changes.c.to_version).order_by(signal_changes.c.id.desc()).limit(1)
    return connection.execute(newest).scalar_one_or_none()


def _take_turn(connection: Connection) -> None:
    """Wait until no other transaction writes a change; on SQLite one that writes is alone."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": Lock.CHANGE.value})


def _was_heard(connection: Connection) -> bool:
    """Say whether anything was heard before versions were kept."""
    heard = select(mention_topics.c.mention_id).where(mention_topics.c.source != Source.HUMAN.value).limit(1)
    return connection.execute(heard).first() is not None


def _today(connection: Connection, now: datetime) -> int:
    """Return the earliest day that it is now for any of the organizations."""
    zones = connection.execute(select(organizations.c.timezone).distinct()).scalars()
    return min(local_day(now, ZoneInfo(zone)) for zone in zones)
