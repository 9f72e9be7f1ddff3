"""Hears stored mentions again: which ones, what is known of them, and the one transaction that writes a chunk.

Texts are read first and heard outside of any transaction, for hearing may take seconds and writers would wait.
What was edited, removed or heard anew meanwhile is not written over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, bindparam, func, select, true, update

from listener.mention import Source
from storage.bulk import batches
from storage.changes import SignalChange, breaks, every_change, write_change
from storage.corrected import GUARDED, Part, corrected_parts, parts
from storage.heard import HEARD, delete_hits, heard_columns, write_hits
from storage.indexing import Worded, index_again
from storage.registry import topic_ids
from storage.rolling import daily_counts
from storage.schema import channels, mention_organizations, mention_topics, mentions, organizations, topics
from storage.words import is_french
from storage.writing import mark_days, take_turn

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from listener.signals.analysis import Signals
    from storage.store import MentionStore

Hit = tuple[str, str, float, tuple[str, ...]]
"""A topic as it is stored: slug, source, score, phrases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which mentions are to be heard by ``version``: those of another one, or those that ``heard_by`` has heard.

    ``since_day`` leaves out what was published before that day of every organization that has it. Tombstones have
    no text, and are always left out.
    """

    version: str
    heard_by: str | None = None
    since_day: int | None = None


@dataclass(frozen=True, slots=True)
class StoredText:
    """A text to be heard again; ``language`` is what was heard or what the platform said."""

    id: int
    channel: str
    text: str
    text_fingerprint: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored of a mention's signals: its columns (language included), its topics, those that people gave.

    ``removed`` says that it has become a tombstone, ``corrected`` what of it is a person's and is not heard over.
    """

    text_fingerprint: str
    removed: bool
    columns: Mapping[str, Any]
    hits: frozenset[Hit]
    by_people: frozenset[str]
    corrected: frozenset[Part] = frozenset()

    @property
    def slugs(self) -> frozenset[str]:
        """Every topic the mention has."""
        return self.by_people | {slug for slug, *_ in self.hits}

    def differs(self, signals: Signals) -> bool:
        """Say whether ``signals`` are others than what is kept; who heard them does not matter."""
        new = columns_of(signals, self)
        same = all(new[name] == value for name, value in self.columns.items() if name != "signals_version")
        return not same or hits_of(signals, self) != self.hits


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What became of a chunk: how many were written, how many of them differ, and which were overtaken.

    An overtaken one got another text meanwhile, or became a tombstone.
    """

    written: int
    changed: int
    overtaken: tuple[int, ...] = ()


def columns_of(signals: Signals, kept: Kept) -> dict[str, Any]:
    """Return the columns to write; a language that is not heard again, and what a person said, is what it was."""
    heard = {"language": signals.language or kept.columns["language"], **heard_columns(signals)}
    return heard | {name: kept.columns[name] for part in kept.corrected for name in GUARDED[part]}


def hits_of(signals: Signals, kept: Kept) -> frozenset[Hit]:
    """Return the topics as they are stored; none where a person gave the right ones."""
    if Part.TOPICS in kept.corrected:
        return frozenset()
    return frozenset((hit.slug, hit.source.value, hit.score, tuple(hit.phrases)) for hit in signals.topics)


def count_wanted(store: MentionStore, wanted: Wanted) -> int:
    """Return how many mentions are to be heard again."""
    with store.database.read() as connection:
        query = select(func.count()).select_from(mentions).where(_chosen(wanted))
        return int(connection.execute(query).scalar_one())


_TEXTS = select(
    mentions.c.id, channels.c.name, mentions.c.text, mentions.c.text_fingerprint, mentions.c.language
).join(channels, channels.c.id == mentions.c.channel_id)


def texts(
    store: MentionStore,
    wanted: Wanted,
    *,
    after: int = 0,
    limit: int | None = None,
    only: Sequence[int] | None = None,
) -> list[StoredText]:
    """Return the next texts, in the order of their ids, that come after the id ``after``; or of ``only`` these.

    ``only`` are of one chunk, so that they can be asked for at once.
    """
    query = _TEXTS.where(mentions.c.id > after, _chosen(wanted)).order_by(mentions.c.id).limit(limit)
    if only is not None:
        query = query.where(mentions.c.id.in_(only))
    with store.database.read() as connection:
        return [StoredText(*row) for row in connection.execute(query)]


def texts_of(store: MentionStore, rows: Sequence[int]) -> list[StoredText]:
    """Return the texts of these mentions, in the order of their ids."""
    with store.database.read() as connection:
        return [
            StoredText(*row)
            for some in batches(sorted(rows))
            for row in connection.execute(_TEXTS.where(mentions.c.id.in_(some)).order_by(mentions.c.id))
        ]


def _chosen(wanted: Wanted) -> ColumnElement[bool]:
    links = mention_organizations
    heard_by = mentions.c.signals_version
    since = (
        select(links.c.mention_id)
        .where(links.c.mention_id == mentions.c.id, links.c.day >= wanted.since_day)
        .exists()
        if wanted.since_day is not None
        else true()
    )
    version = (
        heard_by == wanted.heard_by if wanted.heard_by is not None else heard_by.is_distinct_from(wanted.version)
    )
    return and_(mentions.c.removed_at.is_(None), version, since)


def kept_of(store: MentionStore, rows: Sequence[int]) -> dict[int, Kept]:
    """Return what is kept of these mentions, by id."""
    with store.database.read() as connection:
        return kept_in(connection, rows)


def kept_in(connection: Connection, rows: Sequence[int]) -> dict[int, Kept]:
    """Return what is kept of these mentions, by id, as the transaction of ``connection`` sees it."""
    names = ("language", *HEARD)
    hits: defaultdict[int, set[Hit]] = defaultdict(set)
    by_people: defaultdict[int, set[str]] = defaultdict(set)
    found: dict[int, Kept] = {}
    tags = select(
        *(mention_topics.c[name] for name in ("mention_id", "source", "score", "phrases")), topics.c.slug
    ).join(topics, topics.c.id == mention_topics.c.topic_id)
    marks = select(
        *(mentions.c[name] for name in ("id", "text_fingerprint", "removed_at")),
        corrected_parts(),
        *(mentions.c[name] for name in names),
    )
    for some in batches(rows):
        for tag in connection.execute(tags.where(mention_topics.c.mention_id.in_(some))):
            if tag.source == Source.HUMAN.value:
                by_people[tag.mention_id].add(tag.slug)
            else:
                hits[tag.mention_id].add((tag.slug, tag.source, tag.score, tuple(tag.phrases)))
        for row, digest, removed_at, told, *values in connection.execute(marks.where(mentions.c.id.in_(some))):
            found[row] = Kept(
                digest,
                removed_at is not None,
                dict(zip(names, values, strict=True)),
                frozenset(hits[row]),
                frozenset(by_people[row]),
                parts(told),
            )
    return found


def rewrite(store: MentionStore, heard: Sequence[tuple[StoredText, Signals]]) -> Rewritten:
    """Write in one transaction what was heard in these texts, and mark the days that it changes.

    What a person said stays. A mention that is heard as before gets its new version and nothing else, and its day
    is not counted again. Raises ``LookupError`` for a topic that was not declared to the store.
    """
    with store.database.write() as connection:
        take_turns(connection, [text.id for text, _ in heard])
        return rewrite_in(connection, heard)


def rewrite_in(connection: Connection, heard: Sequence[tuple[StoredText, Signals]]) -> Rewritten:
    """Do what :func:`rewrite` does inside a transaction that has taken the turns of these mentions."""
    kept = kept_in(connection, [text.id for text, _ in heard])
    sound = [(text.id, signals) for text, signals in heard if is_as_read(text, kept.get(text.id))]
    changed = [(row, signals) for row, signals in sound if kept[row].differs(signals)]
    _write_columns(connection, kept, changed)
    _index(connection, kept, heard, {row for row, _ in changed})
    others = {row for row, _ in sound} - {row for row, _ in changed}
    _write_versions(connection, [(row, signals) for row, signals in sound if row in others])
    free = [(row, signals) for row, signals in changed if Part.TOPICS not in kept[row].corrected]
    retagged = [(row, signals) for row, signals in free if hits_of(signals, kept[row]) != kept[row].hits]
    delete_hits(connection, [row for row, _ in retagged])
    write_hits(connection, _known_topics(connection, retagged), retagged)
    mark_days(connection, [row for row, _ in changed])
    written = {row for row, _ in sound}
    return Rewritten(len(sound), len(changed), tuple(text.id for text, _ in heard if text.id not in written))


def is_as_read(text: StoredText, kept: Kept | None) -> bool:
    """Say whether a mention still has the text that was read, and was not removed meanwhile."""
    return kept is not None and not kept.removed and kept.text_fingerprint == text.text_fingerprint


def take_turns(connection: Connection, rows: Sequence[int]) -> None:
    """Wait until no other transaction writes mentions of any channel that these mentions are of."""
    found: set[int] = set()
    for some in batches(rows):
        found.update(connection.execute(select(mentions.c.channel_id).where(mentions.c.id.in_(some))).scalars())
    # In one order, or two of these would wait for each other.
    for channel_id in sorted(found):
        take_turn(connection, channel_id)


def _write_columns(
    connection: Connection, kept: Mapping[int, Kept], changed: Iterable[tuple[int, Signals]]
) -> None:
    rows = [{"row": row, **columns_of(signals, kept[row])} for row, signals in changed]
    if rows:
        connection.execute(update(mentions).where(mentions.c.id == bindparam("row")), rows)


def _index(
    connection: Connection,
    kept: Mapping[int, Kept],
    heard: Iterable[tuple[StoredText, Signals]],
    changed: Container[int],
) -> None:
    """Give texts that are heard as French now their stems, and take them from those that are not any more."""
    again = []
    for text, signals in heard:
        if text.id in changed:
            language = columns_of(signals, kept[text.id])["language"]
            if is_french(language) != is_french(kept[text.id].columns["language"]):
                again.append(Worded(text.id, text.text, language))
    index_again(connection, again)


def _write_versions(connection: Connection, same: Iterable[tuple[int, Signals]]) -> None:
    by_version: defaultdict[str | None, list[int]] = defaultdict(list)
    for row, signals in same:
        by_version[signals.version or None].append(row)
    for version, rows in by_version.items():
        for some in batches(rows):
            connection.execute(update(mentions).where(mentions.c.id.in_(some)).values(signals_version=version))


def _known_topics(connection: Connection, heard: Iterable[tuple[int, Signals]]) -> Mapping[str, int]:
    known = topic_ids(connection)
    if unknown := {hit.slug for _, signals in heard for hit in signals.topics} - known.keys():
        raise LookupError(f"topics that were not declared to the store: {', '.join(sorted(unknown))}")
    return known


def keep_retag(store: MentionStore, wanted: Wanted, *, mentions_heard: int, changed: int, now: datetime) -> None:
    """Write down that mentions were heard again; nothing where nothing was, unless a break is closed by that."""
    with store.database.write() as connection:
        known = every_change(connection)
        before = known[-1].to_version if known else None
        whole = not _is_left(connection, wanted.version)
        closes = whole and (before != wanted.version or bool(breaks(known)))
        if not mentions_heard and not closes:
            return
        since = None if whole else _first_day(connection) if wanted.since_day is None else wanted.since_day
        write_change(
            connection,
            SignalChange(
                made_at=now,
                since_day=since,
                from_version=wanted.heard_by or before,
                to_version=wanted.version,
                mentions=mentions_heard,
                changed=changed,
            ),
        )


def _is_left(connection: Connection, version: str) -> bool:
    others = _chosen(Wanted(version=version))
    return connection.execute(select(mentions.c.id).where(others).limit(1)).first() is not None


def _first_day(connection: Connection) -> int | None:
    # Of each organization by its index, not of all links.
    links = mention_organizations
    first = select(func.min(links.c.day)).where(links.c.organization_id == organizations.c.id).scalar_subquery()
    firsts = select(first.label("day")).select_from(organizations).subquery()
    day: int | None = connection.execute(select(func.min(firsts.c.day))).scalar_one()
    return day


def weights(store: MentionStore, rows: Sequence[int], *, since_day: int | None) -> dict[int, int]:
    """Return how often each mention counts: once for each organization that did not write it itself."""
    links = mention_organizations
    found: dict[int, int] = {}
    with store.database.read() as connection:
        for some in batches(rows):
            query = (
                select(links.c.mention_id, func.count())
                .where(links.c.mention_id.in_(some), links.c.own.is_(False), _from(since_day))
                .group_by(links.c.mention_id)
            )
            found.update((row, count) for row, count in connection.execute(query))
    return found


def topic_volumes(store: MentionStore, *, since_day: int | None) -> dict[str, int]:
    """Return how many mentions each topic and pseudo-topic counts, over all organizations, from the mentions."""
    counted = daily_counts(_from(since_day)).subquery()
    query = (
        select(topics.c.slug, func.sum(counted.c.mentions))
        .join(topics, topics.c.id == counted.c.topic_id)
        .group_by(topics.c.slug)
    )
    with store.database.read() as connection:
        return {slug: int(count) for slug, count in connection.execute(query)}


def _from(since_day: int | None) -> ColumnElement[bool]:
    return true() if since_day is None else mention_organizations.c.day >= since_day
