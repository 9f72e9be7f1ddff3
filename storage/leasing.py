"""Leases: which process may do a piece of work, as one row and one statement each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import case, or_, select, update

from listener.errors import LeaseHeld
from storage.bulk import upsert
from storage.schema import leases

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from storage.records import Fence


def acquire(connection: Connection, name: str, owner: str, *, now: datetime, ttl: timedelta) -> int | None:
    """Take, take over or renew the lease; return its fence, or None while another owner holds it."""
    statement = upsert(connection, leases).values(name=name, owner=owner, fence=1, expires_at=now + ttl)
    lapsed = leases.c.expires_at <= now
    fence = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "owner": statement.excluded.owner,
                "fence": case((lapsed, leases.c.fence + 1), else_=leases.c.fence),
                "expires_at": statement.excluded.expires_at,
            },
            where=or_(lapsed, leases.c.owner == statement.excluded.owner),
        ).returning(leases.c.fence)
    ).scalar_one_or_none()
    return None if fence is None else int(fence)


def release(connection: Connection, name: str, owner: str, *, now: datetime) -> None:
    """Let the lease lapse now; its row stays, so that the fence never runs backwards."""
    connection.execute(
        update(leases)
        .where(leases.c.name == name, leases.c.owner == owner, leases.c.expires_at > now)
        .values(expires_at=now)
    )


def owner(connection: Connection, name: str, *, now: datetime) -> str | None:
    """Return who holds the lease now, or None where nobody does."""
    query = select(leases.c.owner).where(leases.c.name == name, leases.c.expires_at > now)
    return connection.execute(query).scalar_one_or_none()


def holds(connection: Connection, fence: Fence) -> bool:
    """Tell whether the lease is still its holder's, and keep it from changing hands until the transaction ends.

    One that has run out and that nobody took is still its holder's: nothing was begun since.
    """
    query = select(leases.c.fence).where(
        leases.c.name == fence.name, leases.c.owner == fence.owner, leases.c.fence == fence.number
    )
    # SQLite needs no lock and is given none: its transactions that write queue at the start.
    return connection.execute(query.with_for_update()).scalar_one_or_none() is not None


def require(connection: Connection, fence: Fence | None) -> None:
    """Raise ``LeaseHeld`` where there is a fence that no longer holds."""
    if fence is not None and not holds(connection, fence):
        raise LeaseHeld(
            f"the lease {fence.name!r} has passed to another process: what was read under it is left to it"
        )
