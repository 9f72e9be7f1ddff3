"""Writes what a person says of mentions, and takes it back: every mention of a call in one transaction, or none.

A correction stands where what is heard would stand, with a mark beside it (:mod:`storage.corrected`). It holds no
word of the author's, and nothing of who made it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, select, update

from listener.mention import Purpose, Sentiment, Source
from storage.bulk import batches, insert_rows, same_keys
from storage.corrected import MARKS, Part
from storage.registry import topic_ids
from storage.retagging import (
    Kept,
    StoredText,
    columns_of,
    hits_of,
    is_as_read,
    kept_in,
    rewrite_in,
    take_turns,
)
from storage.schema import channels, mention_topics, mentions
from storage.writing import days_of, mark_days

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from listener.signals.analysis import Signals
    from storage.store import MentionStore


class Name(NamedTuple):
    """What a mention is called by everybody."""

    channel: str
    external_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What is right of a mention; None says nothing. ``topics`` are all that it has: an empty set is none."""

    purpose: Purpose | None = None
    sentiment: Sentiment | None = None
    topics: frozenset[str] | None = None

    @property
    def parts(self) -> frozenset[Part]:
        """What it says something of."""
        return frozenset(part for part in Part if getattr(self, part.value) is not None)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a mention counts by."""

    purpose: str | None
    needs_review: bool
    sentiment: str | None
    topics: frozenset[str]


@dataclass(frozen=True, slots=True)
class Change:
    """A mention, by its row's id, of which these parts are set or taken back: how it stood, and how it stands."""

    id: int
    parts: frozenset[Part]
    before: Standing
    after: Standing

    @property
    def moves(self) -> bool:
        """Whether it counts otherwise than before."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Corrected:
    """What was done, or would be: the mentions that were not so already, and how many days count otherwise.

    A day counts once for each organization.
    """

    changes: tuple[Change, ...]
    days: int


_SCORES = {Sentiment.NEGATIVE: -1.0, Sentiment.NEUTRAL: 0.0, Sentiment.POSITIVE: 1.0}


def known_channels(store: MentionStore) -> list[str]:
    """Return the names of the channels that the store has, sorted."""
    with store.database.read() as connection:
        return list(connection.execute(select(channels.c.name).order_by(channels.c.name)).scalars())


def ids_by_name(store: MentionStore, names: Iterable[Name]) -> dict[Name, int]:
    """Return the row ids of those of the mentions that the store has."""
    by_channel: defaultdict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(names):
        by_channel[name.channel].append(name.external_id)
    found: dict[Name, int] = {}
    with store.database.read() as connection:
        for channel, external_ids in by_channel.items():
            query = (
                select(mentions.c.external_id, mentions.c.id)
                .join(channels, channels.c.id == mentions.c.channel_id)
                .where(channels.c.name == channel)
            )
            for some in batches(external_ids):
                rows = connection.execute(query.where(mentions.c.external_id.in_(some)))
                found.update((Name(channel, external_id), row) for external_id, row in rows)
    return found


def correct(store: MentionStore, corrections: Mapping[int, Correction], *, now: datetime) -> Corrected:
    """Set what these corrections say, by the ids of their mentions' rows, and mark the days that count otherwise.

    What a person set so already is not written again. Raises ``LookupError`` for a topic that was not declared to
    the store.
    """
    rows = list(corrections)
    with store.database.write() as connection:
        take_turns(connection, rows)
        changes = _changes(kept_in(connection, rows), corrections)
        _write_values(connection, changes, corrections, now)
        _write_topics(connection, changes, corrections)
        days = mark_days(connection, [change.id for change in changes if change.moves])
    return Corrected(changes, days)


def rehearse(store: MentionStore, corrections: Mapping[int, Correction]) -> Corrected:
    """Return what :func:`correct` would do; nothing is written."""
    with store.database.read() as connection:
        changes = _changes(kept_in(connection, list(corrections)), corrections)
        return Corrected(changes, len(days_of(connection, [change.id for change in changes if change.moves])))


def _changes(kept: Mapping[int, Kept], corrections: Mapping[int, Correction]) -> tuple[Change, ...]:
    found = []
    for row, correction in corrections.items():
        before = _standing(kept[row])
        after = _corrected(before, correction)
        new = frozenset(
            part for part in correction.parts if part not in kept[row].corrected or _differ(before, after, part)
        )
        if new:
            found.append(Change(row, new, before, after))
    return tuple(found)


def _standing(kept: Kept) -> Standing:
    columns = kept.columns
    return Standing(columns["purpose"], columns["needs_review"], columns["sentiment"], kept.slugs)


def _corrected(before: Standing, correction: Correction) -> Standing:
    after = before
    if correction.purpose is not None:
        after = replace(after, purpose=correction.purpose.value, needs_review=False)
    if correction.sentiment is not None:
        after = replace(after, sentiment=correction.sentiment.value)
    if correction.topics is not None:
        after = replace(after, topics=correction.topics)
    return after


def _differ(before: Standing, after: Standing, part: Part) -> bool:
    return bool(getattr(before, part.value) != getattr(after, part.value))


def _write_values(
    connection: Connection, changes: Iterable[Change], corrections: Mapping[int, Correction], now: datetime
) -> None:
    rows = [
        {"row": change.id, **_values(corrections[change.id], change.parts), **_marks(change.parts, now)}
        for change in changes
    ]
    for alike in same_keys(rows):
        connection.execute(update(mentions).where(mentions.c.id == bindparam("row")), alike)


def _values(correction: Correction, parts: frozenset[Part]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if Part.PURPOSE in parts and correction.purpose is not None:
        values |= {"purpose": correction.purpose.value, "purpose_score": 1.0, "needs_review": False}
    if Part.SENTIMENT in parts and correction.sentiment is not None:
        values |= {"sentiment": correction.sentiment.value, "sentiment_score": _SCORES[correction.sentiment]}
    return values


def _marks(parts: Iterable[Part], moment: datetime | None) -> dict[str, Any]:
    return {MARKS[part].name: moment for part in sorted(parts)}


def _write_topics(
    connection: Connection, changes: Iterable[Change], corrections: Mapping[int, Correction]
) -> None:
    given = {
        change.id: sorted(corrections[change.id].topics or ()) for change in changes if Part.TOPICS in change.parts
    }
    known = topic_ids(connection) if given else {}
    if unknown := {slug for slugs in given.values() for slug in slugs} - known.keys():
        raise LookupError(f"topics that were not declared to the store: {', '.join(sorted(unknown))}")
    _delete_topics(connection, list(given), every_source=True)
    insert_rows(
        connection,
        mention_topics,
        [
            {
                "mention_id": row,
                "topic_id": known[slug],
                "source": Source.HUMAN.value,
                "score": 1.0,
                "phrases": (),
            }
            for row, slugs in given.items()
            for slug in slugs
        ],
    )


def _delete_topics(connection: Connection, rows: Sequence[int], *, every_source: bool) -> None:
    for some in batches(rows):
        statement = delete(mention_topics).where(mention_topics.c.mention_id.in_(some))
        if not every_source:
            statement = statement.where(mention_topics.c.source == Source.HUMAN.value)
        connection.execute(statement)


def withdraw(store: MentionStore, heard: Sequence[tuple[StoredText, Signals]]) -> Corrected | None:
    """Take back what people set of these mentions: they get what was heard in their texts just now.

    Mentions of which nothing is corrected stay as they are. Returns None, and writes nothing, where one got
    another text meanwhile or became a tombstone: it is to be read again.
    """
    rows = [text.id for text, _ in heard]
    with store.database.write() as connection:
        take_turns(connection, rows)
        kept = kept_in(connection, rows)
        if not all(is_as_read(text, kept.get(text.id)) for text, _ in heard):
            return None
        changes = _withdrawn(kept, heard)
        theirs = {change.id for change in changes}
        _clear(connection, changes)
        rewrite_in(connection, [(text, signals) for text, signals in heard if text.id in theirs])
        days = mark_days(connection, [change.id for change in changes if change.moves])
    return Corrected(changes, days)


def rehearse_withdrawal(store: MentionStore, heard: Sequence[tuple[StoredText, Signals]]) -> Corrected:
    """Return what :func:`withdraw` would do; nothing is written."""
    with store.database.read() as connection:
        changes = _withdrawn(kept_in(connection, [text.id for text, _ in heard]), heard)
        return Corrected(changes, len(days_of(connection, [change.id for change in changes if change.moves])))


def _withdrawn(kept: Mapping[int, Kept], heard: Sequence[tuple[StoredText, Signals]]) -> tuple[Change, ...]:
    found = []
    for text, signals in heard:
        was = kept[text.id]
        if was.corrected:
            by_people = frozenset() if Part.TOPICS in was.corrected else was.by_people
            free = replace(was, corrected=frozenset(), by_people=by_people)
            hits = hits_of(signals, free)
            after = _standing(replace(free, columns=columns_of(signals, free), hits=hits))
            found.append(Change(text.id, was.corrected, _standing(was), after))
    return tuple(found)


def _clear(connection: Connection, changes: Sequence[Change]) -> None:
    rows = [{"row": change.id, **_marks(change.parts, None)} for change in changes]
    for alike in same_keys(rows):
        connection.execute(update(mentions).where(mentions.c.id == bindparam("row")), alike)
    _delete_topics(
        connection, [change.id for change in changes if Part.TOPICS in change.parts], every_source=False
    )
