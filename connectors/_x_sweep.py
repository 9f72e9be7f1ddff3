"""How far the reading of a stream of X has come, as values: a sweep, and the position a cursor holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from connectors._x_posts import id_at
from connectors.base import Cursor

INDEXED_AFTER = timedelta(seconds=30)
"""Search shows a post up to this much later than it was published (docs.x.com, recent search)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One pass from the newest post down to the last pass's watermark, and how far it has come.

    Its bounds are ids: ``low`` is asked for as ``since_id`` and ``high`` as ``until_id`` (X refuses ids beside
    times, and an id tells its time). ``token`` is the page to ask for next. ``newest`` and ``oldest`` are the
    ids seen, ``seen`` how many. What was published from ``reads_from`` to ``reads_to`` has been read whole once
    the last page is in; with ``until`` the run did not want what is later.
    """

    low: int | None
    high: int | None
    reads_from: datetime
    reads_to: datetime
    until: datetime | None = None
    token: str | None = None
    newest: int | None = None
    oldest: int | None = None
    seen: int = 0

    def after(self, identities: Iterable[int], token: str | None) -> Sweep:
        """Return the sweep once a page with these ids has been read."""
        found = list(identities)
        return replace(
            self,
            token=token,
            newest=max((*found, self.newest or 0)) or None,
            oldest=min((*found, *([self.oldest] if self.oldest else []))) if found else self.oldest,
            seen=self.seen + len(found),
        )

    def without_token(self) -> Sweep:
        """Return the sweep going on below the oldest id it has seen, for when X does not take the token."""
        high = self.oldest if self.oldest else self.high
        return replace(self, token=None, high=min(high, self.high) if high and self.high else high)

    def to_json(self) -> dict[str, Any]:
        """Return the sweep for a cursor."""
        return {
            "low": self.low,
            "high": self.high,
            "from": self.reads_from.isoformat(),
            "to": self.reads_to.isoformat(),
            "until": self.until.isoformat() if self.until else None,
            "token": self.token,
            "newest": self.newest,
            "oldest": self.oldest,
            "seen": self.seen,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Sweep:
        """Read what :meth:`to_json` wrote."""
        return cls(
            low=written["low"],
            high=written["high"],
            reads_from=datetime.fromisoformat(written["from"]),
            reads_to=datetime.fromisoformat(written["to"]),
            until=datetime.fromisoformat(written["until"]) if written["until"] else None,
            token=written["token"],
            newest=written["newest"],
            oldest=written["oldest"],
            seen=written["seen"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What the cursor of a stream of X holds: the watermark, and the sweep in hand where there is one.

    Every post with an id up to ``watermark`` is stored. It lies ``INDEXED_AFTER`` before the moment of its
    sweep at the latest: what search shows late is read by the next one, for no more than the posts of half a
    minute read twice (which X charges once, within a UTC day).
    """

    watermark: int | None = None
    sweep: Sweep | None = None

    @classmethod
    def read(cls, cursor: Cursor) -> Position:
        """Read what :meth:`to_cursor` wrote."""
        sweep = cursor.get("sweep")
        return cls(watermark=cursor.get("since_id"), sweep=Sweep.from_json(sweep) if sweep else None)

    def to_cursor(self) -> Cursor:
        """Return the position as the JSON that the store keeps."""
        cursor: dict[str, Any] = {}
        if self.watermark is not None:
            cursor["since_id"] = self.watermark
        if self.sweep is not None:
            cursor["sweep"] = self.sweep.to_json()
        return cursor

    def finished(self, sweep: Sweep) -> Position:
        """Return the position once ``sweep`` has read its last page.

        The watermark rises to the newest id that was certainly in search by then. It stays where it is when
        the run was told to begin later: what lies between has not been read.
        """
        leaves_a_hole = self.watermark is not None and sweep.low is not None and sweep.low > self.watermark
        if sweep.newest is None or leaves_a_hole:
            return Position(watermark=self.watermark)
        certain = min(sweep.newest, id_at(sweep.reads_to) - 1)
        return Position(watermark=max(certain, self.watermark or 0))
