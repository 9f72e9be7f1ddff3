"""How far what was heard agrees with what was meant, on cases counted by hand."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from listener.mention import Purpose, Sentiment
from listener.standins.agreement import agreement
from listener.standins.posts import Meaning

CARE, NEWS = Purpose.EXPERIENCE, Purpose.NEWS
BAD, GOOD = Sentiment.NEGATIVE, Sentiment.POSITIVE


def meaning(purpose: Purpose, sentiment: Sentiment, *topics: str) -> Meaning:
    return Meaning(purpose=purpose, sentiment=sentiment, topics=frozenset(topics))


def row(
    external_id: str, purpose: str | None = None, sentiment: str | None = None, topics: Collection[str] = ()
) -> dict[str, Any]:
    return {
        "channel": "toy",
        "external_id": external_id,
        "purpose": purpose,
        "sentiment": sentiment,
        "topics": list(topics),
    }


MEANT = {
    ("toy", "1"): meaning(CARE, BAD, "parking", "pain"),
    ("toy", "2"): meaning(NEWS, GOOD, "parking"),
    ("toy", "3"): meaning(CARE, GOOD),
    ("other", "1"): meaning(CARE, GOOD, "food-drink"),
}


def test_what_was_heard_is_compared_with_what_was_meant() -> None:
    found = agreement(
        MEANT,
        [
            row("1", "experience", "negative", ["pain"]),
            row("2", "news", None, ["parking", "cleanliness"]),
            row("3", None, "negative"),
            row("a stranger", "news", "positive", ["parking"]),
        ],
    )
    assert found.mentions == 3
    assert found.purposes == pytest.approx(2 / 3)
    # Right: pain of 1, parking of 2. Wrong: cleanliness. Missed: parking of 1.
    assert found.topics == pytest.approx(2 * 2 / (3 + 3))
    assert found.sentiments == pytest.approx(1 / 3)
    assert str(found) == "67% of purposes, topics F1 0.67, 33% of sentiments (of 3 mentions)"


def test_a_signal_that_nobody_heard_has_no_figure() -> None:
    found = agreement(MEANT, [row("1", topics=["parking", "pain"]), row("2", topics=["parking"]), row("3")])
    assert (found.purposes, found.topics, found.sentiments) == (None, 1.0, None)
    assert str(found) == "topics F1 1.00 (of 3 mentions)"
    assert str(agreement(MEANT, [])) == "nothing (of 0 mentions)"
    assert agreement({}, [row("1", "news", "positive", ["pain"])]).mentions == 0
