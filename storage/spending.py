"""What a platform's day has cost, in one place for all who take from it.

Of a channel and a day there is a row for each job, and one beside it of what is ``held`` for answers under way. A
day's rows begin with what the runs since its beginning took. A request is booked before it is made: where its
process is killed, it counts as made, for nobody can know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Select, select, update

from listener.usage import Usage
from storage import registry
from storage.bulk import upsert
from storage.schema import Job, channels, spending

if TYPE_CHECKING:
    from sqlalchemy import Connection

Part: TypeAlias = tuple[str, bool]
"""A job, and whether this is what it holds (True) or what it took."""

PARTS: tuple[Part, ...] = tuple((job.value, held) for job in Job for held in (False, True))
_AMOUNTS = tuple(amount.name for amount in fields(Usage))


def taken(connection: Connection, channel: str, day_began: datetime) -> dict[Part, Usage]:
    """Return what was taken of the day, part by part; nothing is written."""
    rows = _parts(connection, _of_day(channel, day_began))
    return rows or _before(connection, channel, day_began)


def book(
    connection: Connection,
    channel: str,
    day_began: datetime,
    change: Callable[[Mapping[Part, Usage]], Mapping[Part, Usage]],
) -> None:
    """Add to the day's parts what ``change`` returns for them; others who book wait until the transaction ends.

    What ``change`` raises leaves nothing booked. Raises ``LookupError`` for a channel that was not declared.
    """
    channel_id = registry.channel_id(connection, channel)
    if channel_id is None:
        raise LookupError(f"the channel {channel!r} was not declared to the store")
    # In one order, or two who book could each wait for the other.
    locked = _of_day(channel, day_began).order_by(spending.c.job, spending.c.held).with_for_update(of=spending)
    now = _parts(connection, locked)
    if not now:
        rows = [
            {"channel_id": channel_id, "day_began": day_began, "job": job, "held": held, **asdict(amounts)}
            for (job, held), amounts in _before(connection, channel, day_began).items()
        ]
        connection.execute(upsert(connection, spending).on_conflict_do_nothing(), rows)
        now = _parts(connection, locked)
    for (job, held), added in change(now).items():
        connection.execute(
            update(spending)
            .where(
                spending.c.channel_id == channel_id,
                spending.c.day_began == day_began,
                spending.c.job == job,
                spending.c.held == held,
            )
            .values(asdict(now[job, held] + added))
        )


def _of_day(channel: str, day_began: datetime) -> Select[Any]:
    return (
        select(spending)
        .join(channels, channels.c.id == spending.c.channel_id)
        .where(channels.c.name == channel, spending.c.day_began == day_began)
    )


def _parts(connection: Connection, query: Select[Any]) -> dict[Part, Usage]:
    return {
        (row.job, row.held): Usage(**{name: getattr(row, name) for name in _AMOUNTS})
        for row in connection.execute(query)
    }


def _before(connection: Connection, channel: str, day_began: datetime) -> dict[Part, Usage]:
    return {
        (job, held): Usage() if held else registry.used_since(connection, channel, day_began, job)
        for job, held in PARTS
    }
