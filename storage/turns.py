"""Turns: what is due, written down by the one who plans, taken under a lease of the same name and struck off once.

A row is a job: how many turns it has had (``number``), when the last of them was planned, and since when one is
due (``due_at``, empty where none is). A turn that comes while the one before waits or is under way is that one.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, select, update

from storage.bulk import upsert
from storage.records import Turn
from storage.schema import leases, turns

if TYPE_CHECKING:
    from sqlalchemy import Connection


def planned(connection: Connection) -> dict[str, datetime]:
    """Return when each job's last turn was planned."""
    return {row.name: row.planned_at for row in connection.execute(select(turns.c.name, turns.c.planned_at))}


def plan(connection: Connection, name: str, *, at: datetime) -> Turn | None:
    """Write down that a turn is due from ``at`` on; return the one before, where that still waits to be begun."""
    statement = upsert(connection, turns).values(name=name, number=1, planned_at=at, due_at=at)
    made = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"number": turns.c.number + 1, "planned_at": at, "due_at": at},
            where=turns.c.due_at.is_(None),
        ).returning(turns.c.number)
    ).scalar_one_or_none()
    if made is not None:
        return None
    connection.execute(update(turns).where(turns.c.name == name).values(planned_at=at))
    return next((turn for turn in due(connection, now=at) if turn.name == name and turn.holder is None), None)


def keep_only(connection: Connection, names: Collection[str]) -> None:
    """Forget the turns of jobs that are no longer planned."""
    connection.execute(delete(turns).where(turns.c.name.not_in(names)))


def due(connection: Connection, *, now: datetime) -> list[Turn]:
    """Return the turns that are due, those that wait the longest first."""
    held = and_(leases.c.name == turns.c.name, leases.c.expires_at > now)
    query = (
        select(turns.c.name, turns.c.due_at, leases.c.owner)
        .join(leases, held, isouter=True)
        .where(turns.c.due_at <= now)
        .order_by(turns.c.due_at, turns.c.name)
    )
    return [Turn(name, due_at, owner) for name, due_at, owner in connection.execute(query)]


def is_due(connection: Connection, turn: Turn) -> bool:
    """Tell whether the turn still is what it was when it was seen: due, and done by nobody."""
    query = select(turns.c.name).where(turns.c.name == turn.name, turns.c.due_at == turn.due_at)
    return connection.execute(query).scalar_one_or_none() is not None


def strike_off(connection: Connection, turn: Turn, *, again_at: datetime | None = None) -> None:
    """Note that the turn is done, or put it off to ``again_at``; one that was planned meanwhile stays."""
    connection.execute(
        update(turns).where(turns.c.name == turn.name, turns.c.due_at == turn.due_at).values(due_at=again_at)
    )
