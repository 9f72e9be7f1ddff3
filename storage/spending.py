"""What a platform's day has cost, in one place for all who take from it.

Of a channel and a day there is a row for each job, and one for each ``holder`` of a lease who holds something for
an answer that is under way. A day's rows begin with what the runs since its beginning took. A request is
booked before it is made: where its process is killed, it counts as made, for nobody can know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Select, and_, delete, select, update

from listener.usage import Usage
from storage import registry
from storage.bulk import batches, upsert
from storage.schema import Job, channels, leases, spending

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from storage.records import Fence

Part: TypeAlias = tuple[str, str]
"""A job, and who holds this (see :func:`holder_of`); an empty name for what was taken."""

TAKEN = ""
"""The holder of what was taken."""
_AMOUNTS = tuple(amount.name for amount in fields(Usage))


def taken(connection: Connection, channel: str, day_began: datetime) -> dict[Part, Usage]:
    """Return what was taken and is held of the day, part by part; nothing is written."""
    return _parts(connection, _of_day(channel, day_began)) or _before(connection, channel, day_began)


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
    day = and_(spending.c.channel_id == channel_id, spending.c.day_began == day_began)
    # Whoever books has the rows of what was taken first, in one order: nobody waits for another in a circle.
    first = select(spending.c.job).where(day, spending.c.holder == TAKEN).order_by(spending.c.job)
    if not connection.execute(first.with_for_update()).all():
        before = _before(connection, channel, day_began)
        _insert(connection, channel_id, day_began, before)
        connection.execute(first.with_for_update())
    now = _parts(connection, select(spending).where(day))
    changes = change(now)
    _insert(connection, channel_id, day_began, {part: new for part, new in changes.items() if part not in now})
    for part, added in changes.items():
        if part not in now or added == Usage():
            continue
        job, holder = part
        row = and_(day, spending.c.job == job, spending.c.holder == holder)
        after = now[part] + added
        is_settled = holder != TAKEN and after == Usage()
        connection.execute(
            delete(spending).where(row) if is_settled else update(spending).where(row).values(asdict(after))
        )


def _insert(connection: Connection, channel_id: int, day_began: datetime, parts: Mapping[Part, Usage]) -> None:
    rows = [
        {"channel_id": channel_id, "day_began": day_began, "job": job, "holder": holder, **asdict(amounts)}
        for (job, holder), amounts in parts.items()
    ]
    if rows:
        # Two who book first at once come with the same rows.
        connection.execute(upsert(connection, spending).on_conflict_do_nothing(), rows)


def holder_of(fence: Fence) -> str:
    """Return the name under which the holder of a lease holds something."""
    return f"{fence.name} {fence.owner}"


def given_up(taken: Mapping[Part, Usage], lease: str) -> dict[Part, Usage]:
    """Return the change that counts as taken whatever is held under ``lease``, or by this one holder of it."""
    changes: dict[Part, Usage] = {}
    for (job, holder), amounts in taken.items():
        if _is_of(holder, lease):
            changes[job, TAKEN] = changes.get((job, TAKEN), Usage()) + amounts
            changes[job, holder] = Usage() - amounts
    return changes


def days_held(connection: Connection, channel: str, lease: str) -> list[datetime]:
    """Return the days of which something is held under ``lease``."""
    query = (
        select(spending.c.day_began, spending.c.holder)
        .join(channels, channels.c.id == spending.c.channel_id)
        .where(channels.c.name == channel, spending.c.holder != TAKEN)
    )
    return sorted({row.day_began for row in connection.execute(query) if _is_of(row.holder, lease)})


def lapsed(connection: Connection, now: datetime) -> list[tuple[str, datetime, str]]:
    """Return the channels and days of which something is held by who has the lease no more, and by whom."""
    query = (
        select(channels.c.name, spending.c.day_began, spending.c.holder)
        .join(channels, channels.c.id == spending.c.channel_id)
        .where(spending.c.holder != TAKEN)
    )
    held = [tuple(row) for row in connection.execute(query)]
    alive: set[str] = set()
    for some in batches(sorted({holder.partition(" ")[0] for _, _, holder in held})):
        had = select(leases.c.name, leases.c.owner).where(leases.c.name.in_(some), leases.c.expires_at > now)
        alive.update(f"{name} {owner}" for name, owner in connection.execute(had))
    return [(channel, day, holder) for channel, day, holder in held if holder not in alive]


def _is_of(holder: str, lease: str) -> bool:
    return lease in (holder, holder.partition(" ")[0])


def _of_day(channel: str, day_began: datetime) -> Select[Any]:
    return (
        select(spending)
        .join(channels, channels.c.id == spending.c.channel_id)
        .where(channels.c.name == channel, spending.c.day_began == day_began)
    )


def _parts(connection: Connection, query: Select[Any]) -> dict[Part, Usage]:
    return {
        (row.job, row.holder): Usage(**{name: getattr(row, name) for name in _AMOUNTS})
        for row in connection.execute(query)
    }


def _before(connection: Connection, channel: str, day_began: datetime) -> dict[Part, Usage]:
    return {(job.value, TAKEN): registry.used_since(connection, channel, day_began, job.value) for job in Job}
