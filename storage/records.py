"""What goes into the store and what it answers with, as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from listener.coverage import Spans

if TYPE_CHECKING:
    from listener.mention import Mention
    from listener.signals.analysis import Signals


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One mention ready to be stored for one organization.

    ``mention.text`` is redacted already. ``pseudonym`` stands for the author, or is None. ``own`` says that
    the organization wrote it itself. ``day`` is the organization's own day of ``published_at`` (see
    :mod:`listener.calendar`). ``signals`` is None where the text is what the store already has: what was
    heard in it then is kept. ``archived`` says that the copy is an archive's, older than what a platform says
    now.
    ``asked_at`` is when the platform was asked for it, or earlier: a tombstone that was noticed since stays one.
    None is now.
    """

    mention: Mention
    pseudonym: str | None
    own: bool
    day: int
    signals: Signals | None
    archived: bool = False
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CoverageDay:
    """How many seconds of one day a stream has read, and how many the platform no longer gives."""

    day: int
    covered_seconds: int
    lost_seconds: int


@dataclass(frozen=True, slots=True)
class PageCounts:
    """What became of a page's mentions; the three add up to as many as the page had."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: PageCounts) -> PageCounts:
        return PageCounts(
            self.inserted + other.inserted, self.updated + other.updated, self.unchanged + other.unchanged
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """Where a stream stands. ``newest_published_at`` is the newest mention it has ever brought."""

    id: int
    cursor: Mapping[str, Any] = field(default_factory=dict)
    coverage: Spans = field(default_factory=Spans)
    failures: int = 0
    paused_until: datetime | None = None
    newest_published_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """The latest pull of a stream; ``outcome`` and ``finished_at`` are None while it runs, or if it was killed."""

    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error: str | None
    counts: PageCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatus:
    """One stream for ``listener status``.

    ``mentions`` is what the rollup has counted for the stream's organization on the stream's channel.
    ``has_cursor`` says that the stream has been read before. ``holder`` is who has the stream's lease now.
    """

    stream_id: int
    organization: str
    channel: str
    kind: str
    query: str
    key: str
    has_cursor: bool
    coverage: Spans
    newest_published_at: datetime | None
    failures: int
    paused_until: datetime | None
    mentions: int
    last_run: LastRun | None
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Fence:
    """A lease as its holder knows it: once it has another owner or number, what was begun under it is not kept."""

    name: str
    owner: str
    number: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A piece of work that is due since ``due_at`` (UTC); ``holder`` has the lease of the same name now."""

    name: str
    due_at: datetime
    holder: str | None = None


def text_fingerprint(text: str) -> str:
    """Return a short digest of a redacted text: 16 hex digits, or an empty string for an empty text."""
    return hashlib.blake2b(text.encode("utf-8"), digest_size=8).hexdigest() if text else ""
