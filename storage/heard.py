"""What the store keeps of a mention's signals: columns of its row, and the rows of its topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete

from listener.mention import Source
from storage.bulk import batches, insert_tuples
from storage.corrected import unguarded
from storage.schema import mention_topics

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from listener.signals.analysis import Signals
    from storage.corrected import Part

HEARD = (
    *("purpose", "purpose_score", "needs_review", "sentiment", "sentiment_score", "positive_part"),
    *("negative_part", "signals_version"),
)
"""The columns of :func:`heard_columns` and :func:`heard_values`."""
_UNHEARD = tuple(False if name == "needs_review" else None for name in HEARD)
_HITS = ("mention_id", "topic_id", "source", "score", "phrases")


def heard_columns(signals: Signals | None, corrected: Iterable[Part] = ()) -> dict[str, Any]:
    """Return what a mention's row keeps of its signals, but for the language and for what a person corrected."""
    columns = dict(zip(HEARD, heard_values(signals), strict=True))
    return unguarded(columns, corrected) if corrected else columns


def heard_values(signals: Signals | None) -> tuple[Any, ...]:
    """Return the values of the columns :data:`HEARD` for a mention that nobody corrected."""
    if signals is None:
        return _UNHEARD
    return (
        signals.purpose.value if signals.purpose else None,
        signals.purpose_score,
        signals.needs_review,
        signals.sentiment.value if signals.sentiment else None,
        signals.sentiment_score,
        signals.positive_part,
        signals.negative_part,
        signals.version or None,
    )


def delete_hits(connection: Connection, rows: Sequence[int]) -> None:
    """Delete the topics of these mentions, but for those that a person gave."""
    for some in batches(rows):
        connection.execute(
            delete(mention_topics).where(
                mention_topics.c.mention_id.in_(some), mention_topics.c.source != Source.HUMAN.value
            )
        )


def write_hits(connection: Connection, topic_ids: Mapping[str, int], heard: Iterable[tuple[int, Signals]]) -> None:
    """Write the topics of mentions, given by their rows' ids, that have none but a person's."""
    insert_tuples(
        connection,
        mention_topics,
        _HITS,
        [
            (row, topic_ids[hit.slug], hit.source.value, hit.score, hit.phrases)
            for row, signals in heard
            for hit in signals.topics
        ],
    )
