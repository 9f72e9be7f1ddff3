"""The words everybody uses: a mention, its author and its metrics."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class Kind(StrEnum):
    """What sort of public item a mention is."""

    POST = "post"
    COMMENT = "comment"
    REPLY = "reply"
    VIDEO = "video"


class Purpose(StrEnum):
    """What a mention is for, after the 2011 Ontario guide's list of what people do on social media."""

    EXPERIENCE = "experience"
    QUESTION = "question"
    RECRUITMENT = "recruitment"
    PHILANTHROPY = "philanthropy"
    PROMOTION = "promotion"
    NEWS = "news"
    OTHER = "other"


class Sentiment(StrEnum):
    """The tone of a mention."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


class Source(StrEnum):
    """Who said that a mention has a topic: a transparent rule, a trained model, or a person."""

    RULE = "rule"
    MODEL = "model"
    HUMAN = "human"


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who wrote a mention, as the platform names them.

    Held in memory only: the store keeps a keyed pseudonym of ``id`` and nothing of ``handle``.
    """

    id: str
    handle: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What the platform counts about a mention; None where it gives no figure."""

    likes: int | None = None
    replies: int | None = None
    shares: int | None = None
    views: int | None = None


def is_channel(name: str) -> bool:
    """Tell whether a channel may be called so; ``all`` is what reports call all of them."""
    return name != "all" and re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One public post, comment, reply or video, unique by ``(channel, external_id)``.

    Moments are timezone-aware and kept in UTC. ``external_id`` is the platform's own full id (``t3_…`` and
    ``t1_…`` on Reddit), ``language`` what the platform says (a lower-case BCP 47 primary subtag) or None.
    A removed mention is a tombstone: ``removed_at`` is set, ``text`` is empty and there is no author.
    Raises ``ValueError`` for a moment without a time zone.
    """

    channel: str
    external_id: str
    kind: Kind
    published_at: datetime
    text: str
    author: Author | None = None
    permalink: str | None = None
    parent_external_id: str | None = None
    conversation_id: str | None = None
    language: str | None = None
    edited_at: datetime | None = None
    removed_at: datetime | None = None
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        for name in ("published_at", "edited_at", "removed_at"):
            moment = getattr(self, name)
            if moment is None or moment.tzinfo is UTC:
                continue
            if moment.tzinfo is None:
                raise ValueError(f"{name} of {self.channel} {self.external_id} has no time zone")
            object.__setattr__(self, name, moment.astimezone(UTC))
