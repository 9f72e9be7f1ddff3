from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone

import pytest

from listener.mention import Kind, Mention, Metrics, Purpose, Sentiment, Source

MOMENT = datetime(2026, 11, 1, 1, 30, tzinfo=timezone(timedelta(hours=-5)))


def mention(**values: object) -> Mention:
    given = {"channel": "toy", "external_id": "n1", "kind": Kind.POST, "published_at": MOMENT, "text": "x"}
    return Mention(**{**given, **values})


@pytest.mark.parametrize("name", ["published_at", "edited_at", "removed_at"])
def test_moments_are_kept_in_utc(name: str) -> None:
    moment = getattr(mention(**{name: MOMENT}), name)
    assert moment == MOMENT
    assert moment.tzinfo is UTC


@pytest.mark.parametrize("name", ["published_at", "edited_at", "removed_at"])
def test_a_moment_without_a_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} of toy n1 has no time zone"):
        mention(**{name: datetime(2026, 11, 1)})  # noqa: DTZ001 - that is the case


def test_mentions_are_values() -> None:
    assert mention() == mention()
    assert hash(mention()) == hash(mention())
    with pytest.raises(FrozenInstanceError):
        mention().text = "y"


def test_what_a_platform_does_not_say_is_none() -> None:
    plain = mention()
    assert plain.author is None
    assert plain.edited_at is None
    assert plain.removed_at is None
    assert plain.metrics == Metrics(likes=None, replies=None, shares=None, views=None)


def test_the_words_are_what_is_stored() -> None:
    assert [str(kind) for kind in Kind] == ["post", "comment", "reply", "video"]
    assert [str(sentiment) for sentiment in Sentiment] == ["negative", "neutral", "positive"]
    assert [str(source) for source in Source] == ["rule", "model", "human"]
    assert len({str(purpose) for purpose in Purpose}) == 7
