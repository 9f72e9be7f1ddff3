"""Which time was really read: disjoint spans on the time line, as pure values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Spans:
    """Half-open spans ``[from, to)`` in UTC: sorted, disjoint, none empty, none touching another."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Spans:
        """Unite any spans, in any order; a span that ends before it begins counts as nothing."""
        united: list[Span] = []
        for start, end in sorted((a.astimezone(UTC), b.astimezone(UTC)) for a, b in spans):
            if end <= start:
                continue
            if united and start <= united[-1][1]:
                united[-1] = (united[-1][0], max(end, united[-1][1]))
            else:
                united.append((start, end))
        return cls(tuple(united))

    def add(self, start: datetime, end: datetime) -> Spans:
        """Return these spans with ``[start, end)`` read as well."""
        return Spans.of([*self.spans, (start, end)])

    def seconds_within(self, start: datetime, end: datetime) -> float:
        """Return how many seconds of ``[start, end)`` lie in these spans."""
        return sum(max(0.0, (min(end, to) - max(start, since)).total_seconds()) for since, to in self.spans)

    def gaps_within(self, start: datetime, end: datetime) -> tuple[Span, ...]:
        """Return the spans of ``[start, end)`` that are not in these."""
        gaps: list[Span] = []
        at = start.astimezone(UTC)
        end = end.astimezone(UTC)
        for since, to in self.spans:
            if to <= at or since >= end:
                continue
            if since > at:
                gaps.append((at, since))
            at = max(at, to)
        if at < end:
            gaps.append((at, end))
        return tuple(gaps)

    def to_json(self) -> list[list[str]]:
        """Return the spans as ISO 8601 strings."""
        return [[start.isoformat(), end.isoformat()] for start, end in self.spans]

    @classmethod
    def from_json(cls, spans: Sequence[Sequence[str]] | None) -> Spans:
        """Read what :meth:`to_json` wrote."""
        return cls.of((datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in spans or ())
