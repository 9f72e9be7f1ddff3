"""Turns filters into SQL conditions that mean the same on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Table, and_, func, or_, select, true

from listener.errors import ConfigError
from listener.settings import nearest
from storage.corrected import is_corrected
from storage.counting import PSEUDO_TOPICS, stands_in
from storage.expression import parse
from storage.filters import UNSCORED, Filters
from storage.finding import holds
from storage.partitions import in_days
from storage.schema import (
    ALL,
    CARE,
    OTHER_PURPOSES,
    TO_REVIEW,
    UNTAGGED,
    channels,
    mention_organizations,
    mention_topics,
    mentions,
    organizations,
    topics,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection


def chosen(
    connection: Connection,
    filters: Filters,
    *,
    among: tuple[int, int] | None = None,
    few: bool = False,
) -> ColumnElement[bool]:
    """Return the condition on mentions, their links and metrics that ``filters`` stand for.

    ``among`` is as in :func:`storage.finding.holds`. ``few`` tells that few mentions match: a topic's are
    collected first then, else each mention is asked for its topics.

    Raises ``ConfigError`` for an organization, channel or topic that the store does not have.
    """
    wanted = [*_for_whom_and_when(connection, filters), *_alike(filters)]
    if filters.channels:
        ids = ids_of(connection, channels, "name", "channel", filters.channels)
        wanted.append(mentions.c.channel_id.in_(ids))
    if filters.topics:
        wanted.append(_about(connection, filters.topics, few=few))
    if filters.contains is not None:
        wanted.append(holds(connection, parse(filters.contains), among=among))
    return and_(true(), *wanted)


def one_organization(connection: Connection, filters: Filters) -> int | None:
    """Return the id of the one organization that ``filters`` ask for, or None; raises as :func:`chosen` does."""
    ids = ids_of(connection, organizations, "slug", "organization", filters.organizations)
    return ids[0] if len(set(ids)) == 1 else None


def _for_whom_and_when(connection: Connection, filters: Filters) -> list[ColumnElement[bool]]:
    ids = ids_of(connection, organizations, "slug", "organization", filters.organizations)
    days = [_between(connection, first, last) for first, last in filters.days]
    if days and not ids:
        # The index begins with the organization: naming them all lets a range of days use it.
        ids = list(connection.execute(select(organizations.c.id)).scalars())
    of_organization = [mention_organizations.c.organization_id.in_(ids)] if days or ids else []
    return [*of_organization, *([or_(*days)] if days else [])]


def _alike(filters: Filters) -> list[ColumnElement[bool]]:
    columns = (
        (mentions.c.purpose, filters.purposes),
        (mentions.c.kind, filters.kinds),
        (mentions.c.language, filters.languages),
        (func.coalesce(mentions.c.sentiment, UNSCORED), filters.sentiments),
    )
    wanted: list[ColumnElement[bool]] = [column.in_(words) for column, words in columns if words]
    if filters.own is not None:
        wanted.append(mention_organizations.c.own.is_(filters.own))
    if filters.needs_review is not None:
        wanted.append(mentions.c.needs_review.is_(filters.needs_review))
    if filters.corrected is not None:
        wanted.append(is_corrected() if filters.corrected else ~is_corrected())
    return wanted


def _between(connection: Connection, first: int | None, last: int | None) -> ColumnElement[bool]:
    day = mention_organizations.c.day
    return and_(
        true() if first is None else day >= first,
        true() if last is None else day <= last,
        in_days(connection, first, last, mentions.c.id, mention_organizations.c.mention_id),
    )


def ids_of(connection: Connection, table: Table, natural: str, noun: str, words: Sequence[str]) -> list[int]:
    """Return the ids of rows by their natural keys; raises ``ConfigError`` with the nearest known one."""
    if not words:
        return []
    known: dict[str, int] = dict(tuple(row) for row in connection.execute(select(table.c[natural], table.c.id)))
    for word in words:
        if word not in known:
            there = ", ".join(sorted(known)) or "none"
            raise ConfigError(f"the store has no {noun} {word!r}{nearest(word, known)} (it has: {there})")
    return [known[word] for word in words]


def _about(connection: Connection, words: Sequence[str], *, few: bool) -> ColumnElement[bool]:
    ids = dict(zip(words, ids_of(connection, topics, "slug", "topic", words), strict=True))
    if ALL in ids:
        return true()
    of_mention = select(mention_topics.c.mention_id).where(mention_topics.c.mention_id == mentions.c.id)
    named = [row for slug, row in ids.items() if slug not in PSEUDO_TOPICS]
    ways: list[ColumnElement[bool]] = []
    if named and few:
        tagged = select(mention_topics.c.mention_id).where(mention_topics.c.topic_id.in_(named))
        ways.append(mentions.c.id.in_(tagged))
    elif named:
        ways.append(of_mention.where(mention_topics.c.topic_id.in_(named)).exists())
    if UNTAGGED in ids:
        ways.append(~of_mention.exists())
    ways.extend(stands_in(slug) for slug in (CARE, OTHER_PURPOSES, TO_REVIEW) if slug in ids)
    return or_(*ways)
