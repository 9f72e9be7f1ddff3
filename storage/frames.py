"""Query rows as a pandas DataFrame with honest types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.queries import COLUMNS, Filters, rows

if TYPE_CHECKING:
    import pandas as pd

    from storage.store import MentionStore

_TYPES = {
    **dict.fromkeys(("published_at", "edited_at", "removed_at"), "datetime64[us, UTC]"),
    **dict.fromkeys(("likes", "replies", "shares", "views"), "Int64"),
    **dict.fromkeys(("sentiment_score", "purpose_score", "positive_part", "negative_part"), "Float64"),
    **dict.fromkeys(("own", "needs_review"), "boolean"),
    **dict.fromkeys(("topics", "corrected"), "object"),
}


def frame(store: MentionStore, *, sort: str, limit: int | None, **filters: Any) -> pd.DataFrame:
    """Return what :func:`storage.queries.rows` gives, in its column order."""
    import pandas as pd

    found = pd.DataFrame.from_records(
        list(rows(store, Filters.of(**filters), sort=sort, limit=limit)), columns=list(COLUMNS)
    )
    return found.astype({name: _TYPES.get(name, "string") for name in COLUMNS})
