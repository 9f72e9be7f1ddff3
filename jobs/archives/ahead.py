"""Reading ahead of what is saved, while a crew hears what was found; one process still saves all, in order.

    read_shard ─▶ known? ─▶ redact ─▶ crew: hear ─▶ the batch, and what was heard in it
    └──────── a window of batches ahead ────────┘

What was heard so is only told to whoever makes the records: they are made, when it is a batch's turn, just as they
are without a crew, and what a batch needs that was not foreseen is heard then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.archives.reading import Batch, Plan, Shard, read_shard
from jobs.hearing_apart import Dictation, Line, Texts, hear_texts

if TYPE_CHECKING:
    from jobs.archives.found import Found
    from jobs.archives.kept import Owner
    from jobs.archives.records import Records
    from jobs.crew import Crew
    from jobs.hearing import RedactingHearer
    from listener.signals.analysis import Signals

Known = Callable[["Owner", Sequence["Found"]], Mapping[str, str]]
"""Returns which of these the store has, and the fingerprints of their texts."""
Parts = Callable[[Batch], Mapping["Owner", list["Found"]]]


class Foretold:
    """An analyzer that has been told what was heard apart; what it was not told, it hears."""

    def __init__(self, analyzer: RedactingHearer) -> None:
        self._analyzer = analyzer
        self._redacted: Mapping[str, str] = {}
        self._heard: Mapping[Line, Signals] = {}

    @property
    def version(self) -> str:
        """The version of the taxonomy and models that hear."""
        return self._analyzer.version

    def tell(self, redacted: Mapping[str, str], heard: Mapping[Line, Signals]) -> None:
        """Take what is known of one batch's texts, in place of what was known of the one before."""
        self._redacted, self._heard = redacted, heard

    def redact(self, text: str) -> str:
        """Return ``text`` without what points at a person."""
        redacted = self._redacted.get(text)
        return self._analyzer.redact(text) if redacted is None else redacted

    def analyze_many(self, texts: Sequence[str], hints: Sequence[str | None]) -> list[Signals]:
        """Return the signals of redacted texts, in their order."""
        lines = list(zip(texts, hints, strict=True))
        missing = list(dict.fromkeys(line for line in lines if line not in self._heard))
        told = self._analyzer.analyze_many([text for text, _ in missing], [hint for _, hint in missing])
        heard = {**self._heard, **dict(zip(missing, told, strict=True))} if missing else self._heard
        return [heard[line] for line in lines]


@dataclass(frozen=True, slots=True)
class _Read:
    batch: Batch
    taken: int
    redacted: Mapping[str, str]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """Reads shards and has a crew hear them. ``records`` make what is saved; their analyzer is ``foretold``."""

    crew: Crew
    dictation: Dictation
    records: Records
    foretold: Foretold
    known: Known
    parts: Parts

    def read(
        self, shard: Shard, plan: Plan, *, name: str, batch: int, taken: Callable[[int], None]
    ) -> Iterator[Batch]:
        """Yield the batches of :func:`jobs.archives.reading.read_shard`, each when it has been heard.

        ``taken`` is told what has been saved, not what was read: after the batch, when the next is asked for.
        """
        for read, signals in self.crew.each(hear_texts, self._work(shard, plan, name, batch)):
            self.foretold.tell(read.redacted, dict(zip(read.lines, signals or (), strict=True)))
            yield read.batch
            taken(read.taken)

    def _work(self, shard: Shard, plan: Plan, name: str, size: int) -> Iterable[tuple[_Read, Texts | None]]:
        passed = 0

        def note(count: int) -> None:
            nonlocal passed
            passed = count

        for batch in read_shard(shard, plan, batch=size, taken=note):
            redacted: dict[str, str] = {}
            lines: dict[Line, None] = {}
            for owner, found in self.parts(batch).items():
                for was, mention in self.records.unheard(owner, found, self.known(owner, found)):
                    redacted[was] = mention.text
                    lines[mention.text, mention.language] = None
            task = self.dictation.of(f"{name} from line {batch.begin.line:,}", tuple(lines)) if lines else None
            yield _Read(batch, passed, redacted, tuple(lines)), task
