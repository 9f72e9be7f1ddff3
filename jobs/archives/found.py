"""What is found in an archive, and where; what could not be read, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from listener.errors import SkipItem

if TYPE_CHECKING:
    from jobs.archives.lines import Place
    from listener.mention import Mention
    from listener.signals.analysis import Signals
    from storage.corrected import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What an export of ours says was heard in a mention; ``corrected`` is what a person had said of it."""

    signals: Signals
    corrected: frozenset[Part] = frozenset()
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A mention in an archive.

    ``places`` are the accounts, subreddits or channels that it was posted to or under, ``organization`` the one
    that the archive itself names: its slug, its name or an alias.
    """

    mention: Mention
    places: tuple[str, ...] = ()
    organization: str | None = None
    heard: Heard | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that could not be read. Neither it nor any value of it stands in ``reason``."""

    place: Place
    reason: str


class Reader(Protocol):
    """Knows one format."""

    def read(self, payload: Any) -> Iterator[Found | SkipItem]:
        """Yield what an object of JSON (or a row: an object of texts) holds; never raises for what it holds."""
        ...
