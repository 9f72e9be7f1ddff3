"""What a mention that arrives means for what is stored of it: data in, decision out, no database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from listener.mention import Metrics
from storage.records import text_fingerprint

if TYPE_CHECKING:
    from storage.corrected import Part
    from storage.records import Record

_NEVER = datetime.min.replace(tzinfo=UTC)
_NO_FIGURES = Metrics()
_FIGURES = tuple(metric.name for metric in fields(Metrics))


class Fate(Enum):
    """What happens to a mention's row."""

    NEW = auto()
    """It is not stored yet."""
    EDITED = auto()
    """Its text is another one: text, what is heard in it and the marks are written anew."""
    MARKED = auto()
    """The text is the same; an edit mark or the language changed."""
    REMOVED = auto()
    """It is gone from the platform: it stays as a tombstone, without text, author and link."""
    RESTORED = auto()
    """The platform shows it again: platforms do reinstate."""
    KEPT = auto()
    """The row is as it should be."""


class Stored(NamedTuple):
    """What the store knows of a mention, as far as a decision needs it."""

    id: int
    text_fingerprint: str
    published_at: datetime | None = None
    """When it was published, as it was first told: it never changes."""
    edited_at: datetime | None = None
    removed_at: datetime | None = None
    language: str | None = None
    metrics: Metrics | None = None
    """None where no figure was ever given."""
    corrected: frozenset[Part] = frozenset()
    """What a person has set: it is not heard over."""


class Decision(NamedTuple):
    """The fate of the row, and the metrics to write (None: as they are)."""

    fate: Fate
    metrics: Metrics | None = None

    @property
    def changes(self) -> bool:
        """Whether anything is to be written."""
        return self.fate is not Fate.KEPT or self.metrics is not None


def language_of(record: Record) -> str | None:
    """Return the language to store: what was heard, else what the platform says."""
    heard = record.signals.language if record.signals else None
    return heard or record.mention.language


def decide(record: Record, stored: Stored | None) -> Decision:
    """Decide what ``record`` means, given what is stored.

    An older copy never overwrites a newer edit: copies are ordered by their edit mark, a copy without one is
    the oldest. A tombstone stays one until the platform, asked after that, shows the item with a text again. A
    tombstone keeps topics, sentiment and metrics: the counts of the past do not change because somebody deleted a
    post.
    A copy from an archive is older than any other: it brings what the store does not have yet, an edit that is
    newer by its mark and figures that nobody has given. It removes nothing, and restores nothing.

    Raises ``ValueError`` for a text that is new to the store and comes without signals.
    """
    mention = record.mention
    if stored is None:
        if record.signals is None and mention.removed_at is None:
            raise ValueError(f"{mention.channel} {mention.external_id} is new and comes without signals")
        return Decision(fate=Fate.NEW, metrics=_newer(None, mention.metrics))
    if record.archived:
        return _decide_archived(record, stored)
    if mention.removed_at is not None:
        return Decision(fate=Fate.KEPT if stored.removed_at else Fate.REMOVED)
    if stored.removed_at is not None and record.asked_at is not None and record.asked_at <= stored.removed_at:
        return Decision(fate=Fate.KEPT)
    same_text = text_fingerprint(mention.text) == stored.text_fingerprint
    older = (mention.edited_at or _NEVER) < (stored.edited_at or _NEVER)
    # A text without signals is one that the caller knew to be stored: another process stored a newer one since.
    overtaken = record.signals is None or (older and stored.removed_at is None)
    if not same_text and overtaken:
        return Decision(fate=Fate.KEPT)
    return Decision(
        fate=_fate(record, stored, same_text=same_text, older=older),
        metrics=_newer(stored.metrics, mention.metrics),
    )


def _decide_archived(record: Record, stored: Stored) -> Decision:
    mention = record.mention
    if mention.removed_at is not None or stored.removed_at is not None:
        return Decision(fate=Fate.KEPT)
    newer = (mention.edited_at or _NEVER) > (stored.edited_at or _NEVER)
    metrics = _newer(stored.metrics, mention.metrics if newer else _only_missing(stored.metrics, mention.metrics))
    if text_fingerprint(mention.text) == stored.text_fingerprint:
        return Decision(fate=Fate.MARKED if newer else Fate.KEPT, metrics=metrics)
    if newer and record.signals is not None:
        return Decision(fate=Fate.EDITED, metrics=metrics)
    return Decision(fate=Fate.KEPT)


def _only_missing(stored: Metrics | None, given: Metrics) -> Metrics:
    """Return the figures of ``given`` that are not stored."""
    known = stored or Metrics()
    names = [name for name in _FIGURES if getattr(known, name) is None]
    return Metrics(**{name: getattr(given, name) for name in names})


def _fate(record: Record, stored: Stored, *, same_text: bool, older: bool) -> Fate:
    if stored.removed_at is not None:
        return Fate.RESTORED
    if not same_text:
        return Fate.EDITED
    marked = record.mention.edited_at != stored.edited_at
    spoken = record.signals is not None and language_of(record) != stored.language
    return Fate.MARKED if not older and (marked or spoken) else Fate.KEPT


def _newer(stored: Metrics | None, given: Metrics) -> Metrics | None:
    if given in (stored, _NO_FIGURES):
        return None
    if stored is None:
        return given
    # A figure that the platform leaves out this time (some of its routes do) is not a figure that is gone.
    merged = Metrics(
        **{
            name: value if (value := getattr(given, name)) is not None else getattr(stored, name)
            for name in _FIGURES
        }
    )
    return None if merged == stored else merged


def last_of_each(records: Iterable[Record]) -> list[Record]:
    """Return one record for each mention of a page: the last one, but a tombstone before any text.

    Of copies from an archive the one that was edited last, the first of those: as it would be were they saved one
    after the other, so that nothing hangs on where a batch ends.
    """
    kept: dict[str, Record] = {}
    for record in records:
        before = kept.get(record.mention.external_id)
        if before is None or _comes_before(record, before):
            kept[record.mention.external_id] = record
    return list(kept.values())


def _comes_before(record: Record, other: Record) -> bool:
    """Tell which of two copies counts, of which ``other`` stood first."""
    if record.mention.removed_at is not None or other.mention.removed_at is not None:
        return record.mention.removed_at is not None
    if record.archived:
        return (record.mention.edited_at or _NEVER) > (other.mention.edited_at or _NEVER)
    return True
