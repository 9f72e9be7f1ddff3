"""What the store keeps of a mention's signals: columns of its row, and the rows of its topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete

from listener.mention import Source
from storage.bulk import batches, insert_rows
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
"""The columns of :func:`heard_columns`."""


def heard_columns(signals: Signals | None, corrected: Iterable[Part] = ()) -> dict[str, Any]:
    """Return what a mention's row keeps of its signals, but for the language and for what a person corrected."""
    columns = _heard(signals)
    return unguarded(columns, corrected) if corrected else columns


def _heard(signals: Signals | None) -> dict[str, Any]:
    if signals is None:
        return dict.fromkeys(HEARD) | {"needs_review": False}
    return {
        "purpose": signals.purpose.value if signals.purpose else None,
        "purpose_score": signals.purpose_score,
        "needs_review": signals.needs_review,
        "sentiment": signals.sentiment.value if signals.sentiment else None,
        "sentiment_score": signals.sentiment_score,
        "positive_part": signals.positive_part,
        "negative_part": signals.negative_part,
        "signals_version": signals.version or None,
    }


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
    insert_rows(
        connection,
        mention_topics,
        [
            {
                "mention_id": row,
                "topic_id": topic_ids[hit.slug],
                "source": hit.source.value,
                "score": hit.score,
                "phrases": list(hit.phrases),
            }
            for row, signals in heard
            for hit in signals.topics
        ],
    )
