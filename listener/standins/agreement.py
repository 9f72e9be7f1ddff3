"""How far what a pipeline heard agrees with what the stand-ins' people meant.

Signals come from rules and trained models: they are never all right, and a demo that demanded it would demand that
its sentences be easy. So their agreement is a figure, and a test holds it above a floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from listener.signals.scoring import micro, tally

if TYPE_CHECKING:
    from listener.standins.posts import Meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Of ``mentions``: what share of ``purposes`` and ``sentiments`` was heard as meant, and the topics' micro F1.

    All lie in [0, 1], and are None where no mention at all was given such a signal. A purpose counts as heard
    whether or not it waits for a review.
    """

    mentions: int
    purposes: float | None
    topics: float | None
    sentiments: float | None

    def __str__(self) -> str:
        parts = [
            f"{self.purposes:.0%} of purposes" if self.purposes is not None else "",
            f"topics F1 {self.topics:.2f}" if self.topics is not None else "",
            f"{self.sentiments:.0%} of sentiments" if self.sentiments is not None else "",
        ]
        return f"{', '.join(filter(None, parts)) or 'nothing'} (of {self.mentions:,} mentions)"


def agreement(meanings: Mapping[tuple[str, str], Meaning], mentions: Iterable[Mapping[str, Any]]) -> Agreement:
    """Compare stored mentions with what was meant, by channel and external id.

    ``mentions`` are rows with ``channel``, ``external_id``, ``purpose``, ``sentiment`` and ``topics``
    (:func:`storage.queries.rows`); those of which no meaning is known are left out.
    """
    heard = [(meanings.get((row["channel"], row["external_id"])), row) for row in mentions]
    pairs = [(meaning, row) for meaning, row in heard if meaning is not None]
    meant, found = [meaning.topics for meaning, _ in pairs], [frozenset(row["topics"]) for _, row in pairs]
    topics = sorted(frozenset().union(*meant, *found))
    return Agreement(
        mentions=len(pairs),
        purposes=_share([(meaning.purpose, row["purpose"]) for meaning, row in pairs]),
        topics=micro(tally(meant, found, topic) for topic in topics).f1 if any(found) else None,
        sentiments=_share([(meaning.sentiment, row["sentiment"]) for meaning, row in pairs]),
    )


def _share(pairs: list[tuple[str | None, str | None]]) -> float | None:
    if not any(heard for _, heard in pairs):
        return None
    return sum(meant == heard for meant, heard in pairs) / len(pairs)
