"""What the store keeps of a file that is imported: the streams that it is, and how far it was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.base import StreamSpec
from jobs.archives.files import STANDARD_INPUT, Fingerprint, fingerprint
from jobs.archives.lines import TOP, Place
from jobs.connections import stream_state
from listener.usage import Usage

if TYPE_CHECKING:
    from listener.coverage import Spans
    from storage.records import StreamState
    from storage.store import MentionStore

KIND = "archive"
"""The kind of a stream that is a file."""

Owner = tuple[str, str]
"""An organization's slug and a channel."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a file was read: the place, and whether that is all."""

    print: Fingerprint
    place: Place = TOP
    done: bool = False

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Cursor:
        """Read what :meth:`to_json` wrote."""
        return cls(
            Fingerprint(told["size"], told["digest"]),
            Place(told["offset"], told["line"]),
            told["done"],
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as the store keeps it."""
        return asdict(self.print) | asdict(self.place) | {"done": self.done}


@dataclass(slots=True)
class Desk:
    """The stream of one organization and channel within an archive, and its run."""

    stream_id: int
    run_id: int
    cursor: Mapping[str, Any]
    coverage: Spans


class Archive:
    """One file, and the streams that it is in the store; the lead's cursor counts."""

    def __init__(self, name: str, path: str, lead: Owner, options: Mapping[str, Any]) -> None:
        self.name = name
        self.path = path
        self.print = fingerprint(Path(path))
        self.lead = lead
        self.desks: dict[Owner, Desk] = {}
        self._options = options

    @property
    def key(self) -> str:
        """What the file and what is asked of it are known by."""
        return self._spec(self.lead).key

    def lead_state(self, store: MentionStore) -> StreamState:
        """Return where the lead stands, whose cursor counts."""
        return stream_state(store, self._spec(self.lead))

    def desk(self, store: MentionStore, owner: Owner) -> Desk:
        """Return the stream of ``owner``, with a run that begins when it is first asked for."""
        if owner not in self.desks:
            state = stream_state(store, self._spec(owner))
            run_id = store.begin_run(state.id, since=None, until=None)
            self.desks[owner] = Desk(state.id, run_id, state.cursor, state.coverage)
        return self.desks[owner]

    def end(self, store: MentionStore, outcome: str) -> None:
        """End every run (``outcome``: one of :class:`storage.schema.Outcome`)."""
        for desk in self.desks.values():
            store.finish_run(desk.run_id, outcome=outcome, usage=Usage())

    def _spec(self, owner: Owner) -> StreamSpec:
        slug, channel = owner
        name = "stdin" if self.name == STANDARD_INPUT else Path(self.name).name
        return StreamSpec(organization=slug, channel=channel, kind=KIND, query=name, options=self._options)
