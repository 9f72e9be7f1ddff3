"""Our own exports: the JSON lines of ``listener query``, read back with what was heard in each mention.

A line has everything a query shows. What it does not have cannot come back: the authors' pseudonyms, the
conversation, when the mention was first seen, and which phrase or model gave a topic.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.base import clean_text, read_count
from jobs.archives.found import Found, Heard
from listener.errors import SkipItem
from listener.mention import Kind, Mention, Metrics, Purpose, Sentiment, Source, is_channel
from listener.signals.analysis import Signals
from listener.signals.topics import TopicHit
from storage.corrected import Part

FORMAT = "jsonl"
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,5}")
_NEEDED = ("channel", "external_id", "kind", "organization", "published_at", "text")


def looks_exported(payload: Mapping[str, Any]) -> bool:
    """Tell whether an object is a line of our own export."""
    return all(name in payload for name in _NEEDED)


@dataclass(frozen=True, slots=True)
class ExportReader:
    """Reads lines of our own export; ``topics`` are the slugs of the taxonomy in force."""

    topics: Collection[str]

    def read(self, payload: Any) -> Iterator[Found | SkipItem]:
        """Yield the mention of a line."""
        if not looks_exported(payload):
            missing = ", ".join(name for name in _NEEDED if name not in payload)
            yield SkipItem(f"a line of an export has {', '.join(_NEEDED)}; this one lacks {missing}")
            return
        try:
            yield self._found(payload)
        except (ValueError, TypeError, OverflowError):
            # Their words may hold what stands in the line.
            yield SkipItem("one of its columns has a value that no export writes")

    def _found(self, row: Mapping[str, Any]) -> Found:
        mention = Mention(
            channel=_channel(row["channel"]),
            external_id=_word(row["external_id"]),
            kind=Kind(row["kind"]),
            published_at=datetime.fromisoformat(row["published_at"]),
            text=_text(row["text"]),
            permalink=_words(row.get("permalink")),
            parent_external_id=_words(row.get("parent_external_id")),
            language=_language(row.get("language")),
            edited_at=_moment(row.get("edited_at")),
            removed_at=_moment(row.get("removed_at")),
            metrics=Metrics(
                likes=read_count(row.get("likes"), negative=True),
                **{name: read_count(row.get(name)) for name in ("replies", "shares", "views")},
            ),
        )
        return Found(mention=mention, organization=_word(row["organization"]), heard=self._heard(row))

    def _heard(self, row: Mapping[str, Any]) -> Heard | None:
        topics = list(dict.fromkeys(map(_word, row.get("topics") or ())))
        if not set(topics) <= set(self.topics):
            # A topic that is no longer in force: heard anew.
            return None
        corrected = frozenset(Part(part) for part in row.get("corrected") or ())
        by = Source.HUMAN if Part.TOPICS in corrected else Source.MODEL
        purpose, sentiment = row.get("purpose"), row.get("sentiment")
        signals = Signals(
            language=_language(row.get("language")),
            topics=tuple(TopicHit(slug, 1.0, by, ()) for slug in topics),
            purpose=Purpose(purpose) if purpose else None,
            purpose_score=_share(row.get("purpose_score")),
            needs_review=row.get("needs_review") is True,
            sentiment=Sentiment(sentiment) if sentiment else None,
            sentiment_score=_share(row.get("sentiment_score"), least=-1.0),
            positive_part=_share(row.get("positive_part")),
            negative_part=_share(row.get("negative_part")),
            version=_words(row.get("signals_version")) or "",
        )
        return Heard(signals=signals, corrected=corrected, own=row.get("own") is True)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return clean_text(value)


def _word(value: Any) -> str:
    if not (word := _text(value)):
        raise ValueError
    return word


def _channel(value: Any) -> str:
    if not is_channel(name := _word(value)):
        raise ValueError
    return name


def _language(value: Any) -> str | None:
    if (language := _words(value)) is not None and not _LANGUAGE.fullmatch(language):
        raise ValueError
    return language


def _words(value: Any) -> str | None:
    return None if value is None else _word(value)


def _moment(value: Any) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _share(value: Any, *, least: float = 0.0) -> float | None:
    if value is None:
        return None
    share = float(value)
    if not least <= share <= 1:
        raise ValueError
    return share
