"""Saves a page: one select tells what is stored, one decision a mention, then only what changed is written.

Writers of one channel take turns (SQLite has one writer anyway; PostgreSQL by an advisory lock of the
transaction), so that nothing changes between the look and the write, and no two of them can deadlock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, delete, exists, literal, select, text, update

from listener.calendar import local_day
from listener.mention import Metrics
from storage.bulk import among, batches, insert_tuples, reserve_ids, same_keys
from storage.corrected import Part, corrected_parts, parts
from storage.decide import Decision, Fate, Stored, decide, language_of, last_of_each
from storage.heard import HEARD, delete_hits, heard_columns, heard_values, write_hits
from storage.indexing import Worded, forget, index_again, index_new
from storage.locks import Room
from storage.partitions import in_months, is_partitioned, mention_ids
from storage.records import PageCounts, Record, text_fingerprint
from storage.schema import authors, dirty_days, mention_metrics, mention_organizations, mentions, organizations
from storage.words import is_french

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection

    from listener.mention import Mention

_METRICS = tuple(metric.name for metric in fields(Metrics))
_WORDS = ("text", "text_fingerprint", "permalink", "parent_external_id", "conversation_id")
_MARKS = ("edited_at", "removed_at", "changed_at")
_NEW = (
    *("id", "channel_id", "external_id", "kind", "published_at", "first_seen_at", "checked_at"),
    *(*_WORDS, "author_id", "language", *HEARD, *_MARKS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a page belongs, and when. Without an organization nothing new is stored (a re-check)."""

    channel_id: int
    organization_id: int | None
    topic_ids: Mapping[str, int]
    now: datetime


class _Case(NamedTuple):
    """One mention of the page: its record, what is to be done, and the row that it has or gets."""

    record: Record
    decision: Decision
    id: int
    linked: bool
    own: bool
    corrected: frozenset[Part]
    language: str | None
    """What is stored, None where nothing is."""
    published_at: datetime
    """What is stored, or will be."""


def take_turn(connection: Connection, channel_id: int) -> None:
    """Wait until no other transaction writes mentions of this channel."""
    if connection.dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(:room, :channel)")
        connection.execute(lock, {"room": Room.CHANNEL.value, "channel": channel_id})


def save_mentions(connection: Connection, target: Target, records: Sequence[Record]) -> PageCounts:
    """Store the records inside the transaction of ``connection``, and mark the days that they change.

    Copies of one mention within ``records`` count as unchanged.
    """
    take_turn(connection, target.channel_id)
    once = last_of_each(records)
    cases = _decide_all(connection, target, once)
    new = [case for case in cases if case.decision.fate is Fate.NEW]
    old = [case for case in cases if case.decision.fate is not Fate.NEW]
    author_ids = _author_ids(connection, target.channel_id, [case for case in cases if _names_author(case)])
    _insert_mentions(connection, target, new, author_ids)
    left = _authors_left(connection, [case.id for case in old if case.decision.fate is Fate.REMOVED])
    _update_mentions(connection, target, old, author_ids)
    _index(connection, cases)
    _forget_unnamed(connection, left)
    _write_metrics(connection, target, cases)
    _write_topics(connection, target, cases)
    relinked = _write_links(connection, target, cases)
    changed = {case.id for case in cases if case.decision.changes} | relinked
    days = days_of(connection, changed.difference(case.id for case in new))
    if target.organization_id is not None:
        days.update((target.organization_id, case.record.day) for case in new)
    _mark(connection, days)
    return PageCounts(len(new), len(changed) - len(new), len(records) - len(changed))


def _decide_all(connection: Connection, target: Target, records: Sequence[Record]) -> list[_Case]:
    stored, links = _look_up(connection, target, records)
    if target.organization_id is None:
        records = [record for record in records if record.mention.external_id in stored]
    decided = [(record, decide(record, stored.get(record.mention.external_id))) for record in records]
    new = [record.mention.published_at for record, decision in decided if decision.fate is Fate.NEW]
    new_ids = iter(mention_ids(connection, new))
    cases = []
    for record, decision in decided:
        known = stored.get(record.mention.external_id)
        row = known.id if known else next(new_ids)
        cases.append(
            _Case(
                record=record,
                decision=decision,
                id=row,
                linked=row in links,
                own=links.get(row, False),
                corrected=known.corrected if known else frozenset(),
                language=known.language if known else None,
                published_at=(known and known.published_at) or record.mention.published_at,
            )
        )
    return cases


def _look_up(
    connection: Connection, target: Target, records: Sequence[Record]
) -> tuple[dict[str, Stored], dict[int, bool]]:
    """Return what is stored of these mentions, by external id, and whether the linked ones are own, by row."""
    names = [record.mention.external_id for record in records]
    if not names or not is_partitioned(connection):
        return _read(connection, target, mentions.c.external_id, names)
    # What is stored is of the months that the page says, but for what its platform tells without its date (a video
    # that is gone). Looked for everywhere by name alone: a join of every month's figures would read them all.
    moments = [record.mention.published_at for record in records]
    stored, links = _read(connection, target, mentions.c.external_id, names, moments)
    elsewhere = _rows_of(connection, target.channel_id, [name for name in names if name not in stored])
    more, other_links = _read(connection, target, mentions.c.id, elsewhere)
    return stored | more, links | other_links


def _rows_of(connection: Connection, channel_id: int, external_ids: Sequence[str]) -> list[int]:
    found: list[int] = []
    for some in batches(external_ids):
        query = select(mentions.c.id).where(mentions.c.channel_id == channel_id, mentions.c.external_id.in_(some))
        found.extend(connection.execute(query).scalars())
    return found


def _read(
    connection: Connection,
    target: Target,
    column: Column[Any],
    values: Sequence[Any],
    moments: Sequence[datetime] = (),
) -> tuple[dict[str, Stored], dict[int, bool]]:
    joined = mentions.outerjoin(
        mention_metrics,
        (mention_metrics.c.mention_id == mentions.c.id) & in_months(moments, mention_metrics.c.mention_id),
    ).outerjoin(
        mention_organizations,
        (mention_organizations.c.mention_id == mentions.c.id)
        & (mention_organizations.c.organization_id == target.organization_id)
        & in_months(moments, mention_organizations.c.mention_id),
    )
    query = select(
        mentions.c.external_id,
        mentions.c.id,
        mentions.c.text_fingerprint,
        mentions.c.published_at,
        mentions.c.edited_at,
        mentions.c.removed_at,
        mentions.c.language,
        corrected_parts(),
        mention_metrics.c.mention_id,
        *(mention_metrics.c[name] for name in _METRICS),
        mention_organizations.c.own,
    ).select_from(joined)
    stored: dict[str, Stored] = {}
    links: dict[int, bool] = {}
    months = in_months(moments, mentions.c.id)
    for some in batches(values):
        chosen = query.where(mentions.c.channel_id == target.channel_id, among(connection, column, some), months)
        for (
            external_id,
            row,
            digest,
            published,
            edited,
            removed,
            language,
            told,
            measured,
            *figures,
            own,
        ) in connection.execute(chosen).all():
            stored[external_id] = Stored(
                id=row,
                text_fingerprint=digest,
                published_at=published,
                edited_at=edited,
                removed_at=removed,
                language=language,
                metrics=None if measured is None else Metrics(**dict(zip(_METRICS, figures, strict=True))),
                corrected=parts(told),
            )
            if own is not None:
                links[row] = own
    return stored, links


def _names_author(case: _Case) -> bool:
    arrives = case.decision.fate in (Fate.NEW, Fate.RESTORED)
    return arrives and case.record.pseudonym is not None and case.record.mention.removed_at is None


def _author_ids(connection: Connection, channel_id: int, cases: Iterable[_Case]) -> dict[str, int]:
    names = sorted({case.record.pseudonym for case in cases if case.record.pseudonym is not None})
    found: dict[str, int] = {}
    for some in batches(names):
        query = select(authors.c.pseudonym, authors.c.id).where(
            authors.c.channel_id == channel_id, among(connection, authors.c.pseudonym, some)
        )
        found.update((name, kept) for name, kept in connection.execute(query).all())
    missing = [name for name in names if name not in found]
    made = dict(zip(missing, reserve_ids(connection, authors, len(missing)), strict=True))
    rows = [(row, channel_id, name) for name, row in made.items()]
    insert_tuples(connection, authors, ("id", "channel_id", "pseudonym"), rows)
    return found | made


def _insert_mentions(
    connection: Connection, target: Target, cases: Iterable[_Case], author_ids: Mapping[str, int]
) -> None:
    rows = [
        (
            case.id,
            target.channel_id,
            mention.external_id,
            mention.kind.value,
            mention.published_at,
            target.now,
            target.now,
            *_words(mention),
            _author_id(case, author_ids),
            language_of(case.record),
            *heard_values(case.record.signals),
            *_marks(target, mention),
        )
        for case in cases
        for mention in (case.record.mention,)
    ]
    insert_tuples(connection, mentions, _NEW, rows)


def _update_mentions(
    connection: Connection, target: Target, cases: Sequence[_Case], author_ids: Mapping[str, int]
) -> None:
    written = [case for case in cases if case.decision.fate is not Fate.KEPT]
    rows = [{"row": case.id, **_new_values(target, case, author_ids)} for case in written]
    for alike in same_keys(rows):
        connection.execute(update(mentions).where(mentions.c.id == bindparam("row")), alike)


def _index(connection: Connection, cases: Iterable[_Case]) -> None:
    """Keep the words that mentions are found by in step with what was written of them."""
    new, again, gone = [], [], []
    for case in cases:
        match case.decision.fate:
            case Fate.NEW:
                new.append(_worded(case))
            case Fate.REMOVED:
                gone.append(case.id)
            case Fate.EDITED | Fate.RESTORED:
                again.append(_worded(case))
            case Fate.MARKED if is_french(_language(case)) != is_french(case.language):
                again.append(_worded(case))
    forget(connection, gone)
    index_again(connection, again)
    index_new(connection, new)


def _worded(case: _Case) -> Worded:
    mention = case.record.mention
    return Worded(case.id, "" if mention.removed_at is not None else mention.text, _language(case))


def _language(case: _Case) -> str | None:
    """Return the language that the row has now."""
    is_told = case.record.signals is not None or case.decision.fate is Fate.NEW
    return language_of(case.record) if is_told else case.language


def _authors_left(connection: Connection, removed: Sequence[int]) -> list[int]:
    """Return the authors of mentions that are about to become tombstones."""
    found: set[int] = set()
    for some in batches(removed):
        query = select(mentions.c.author_id).where(mentions.c.id.in_(some), mentions.c.author_id.is_not(None))
        found.update(connection.execute(query).scalars())
    return sorted(found)


def _forget_unnamed(connection: Connection, author_ids: Sequence[int]) -> None:
    """Delete those of the authors whom no mention names any more: a pseudonym is personal data too."""
    named = exists().where(mentions.c.author_id == authors.c.id)
    for some in batches(author_ids):
        connection.execute(delete(authors).where(authors.c.id.in_(some), ~named))


def _new_values(target: Target, case: _Case, author_ids: Mapping[str, int]) -> dict[str, Any]:
    """Return what is to be written of a row that does not stay as it is."""
    mention = case.record.mention
    marks = dict(zip(_MARKS, _marks(target, mention), strict=True))
    match case.decision.fate:
        case Fate.REMOVED:
            return {
                "text": "",
                "text_fingerprint": "",
                "permalink": None,
                "author_id": None,
                "removed_at": mention.removed_at,
                "changed_at": target.now,
            }
        case Fate.MARKED:
            heard = {"language": language_of(case.record)} if case.record.signals else {}
            return marks | heard
        case Fate.EDITED:
            return _given(mention) | marks | _heard(case)
        case _:  # Fate.RESTORED
            heard = _heard(case) if case.record.signals else {}
            return _given(mention) | marks | {"author_id": _author_id(case, author_ids)} | heard


def _author_id(case: _Case, author_ids: Mapping[str, int]) -> int | None:
    return author_ids[case.record.pseudonym or ""] if _names_author(case) else None


def _words(mention: Mention) -> tuple[str | None, ...]:
    around = (mention.parent_external_id, mention.conversation_id)
    if mention.removed_at is not None:
        return ("", "", None, *around)
    return (mention.text, text_fingerprint(mention.text), mention.permalink, *around)


def _given(mention: Mention) -> dict[str, Any]:
    # What one route of a platform leaves out (a look-up by id knows no thread) is not gone.
    words = zip(_WORDS, _words(mention), strict=True)
    return {name: value for name, value in words if value is not None}


def _heard(case: _Case) -> dict[str, Any]:
    return {"language": language_of(case.record), **heard_columns(case.record.signals, case.corrected)}


def _marks(target: Target, mention: Mention) -> tuple[datetime | None, ...]:
    return (mention.edited_at, mention.removed_at, target.now)


def _write_metrics(connection: Connection, target: Target, cases: Iterable[_Case]) -> None:
    counted = [case for case in cases if case.decision.metrics is not None]
    rows = [
        (case.id, target.now, *(getattr(case.decision.metrics, name) for name in _METRICS)) for case in counted
    ]
    for some in batches([case.id for case in counted if case.decision.fate is not Fate.NEW]):
        connection.execute(delete(mention_metrics).where(mention_metrics.c.mention_id.in_(some)))
    insert_tuples(connection, mention_metrics, ("mention_id", "observed_at", *_METRICS), rows)


def _write_topics(connection: Connection, target: Target, cases: Iterable[_Case]) -> None:
    heard = [
        (case, case.record.signals)
        for case in cases
        if case.decision.fate in (Fate.NEW, Fate.EDITED, Fate.RESTORED)
        and case.record.signals is not None
        and Part.TOPICS not in case.corrected
    ]
    delete_hits(connection, [case.id for case, _ in heard if case.decision.fate is not Fate.NEW])
    write_hits(connection, target.topic_ids, [(case.id, signals) for case, signals in heard])


def _write_links(connection: Connection, target: Target, cases: Iterable[_Case]) -> set[int]:
    """Link the mentions to the organization; return those that were stored already and now count for it."""
    if target.organization_id is None:
        return set()
    gone = {case.id for case in cases if case.record.mention.removed_at and case.decision.fate is not Fate.NEW}
    fresh = [case for case in cases if not case.linked and case.id not in gone]
    other = [case for case in cases if case.linked and _turns(case) and case.id not in gone]
    days = _days(connection, target.organization_id, fresh)
    insert_tuples(
        connection,
        mention_organizations,
        ("mention_id", "organization_id", "day", "own"),
        [(case.id, target.organization_id, days.get(case.id, case.record.day), case.record.own) for case in fresh],
    )
    if other:
        connection.execute(
            update(mention_organizations)
            .where(
                mention_organizations.c.mention_id == bindparam("row"),
                mention_organizations.c.organization_id == target.organization_id,
            )
            .values(own=bindparam("theirs")),
            [{"row": case.id, "theirs": case.record.own} for case in other],
        )
    return {case.id for case in (*fresh, *other)}


def _days(connection: Connection, organization_id: int, fresh: Iterable[_Case]) -> dict[int, int]:
    """Return the organization's days of mentions that now are told to be of another moment than is stored."""
    retold = [case for case in fresh if case.published_at != case.record.mention.published_at]
    if not retold:
        return {}
    named = select(organizations.c.timezone).where(organizations.c.id == organization_id)
    zone = ZoneInfo(connection.execute(named).scalar_one())
    return {case.id: local_day(case.published_at, zone) for case in retold}


def _turns(case: _Case) -> bool:
    # Without an author (a deleted account) nobody can tell that the organization did not write it.
    return case.own != case.record.own and (case.record.own or case.record.mention.author is not None)


def days_of(connection: Connection, rows: Iterable[int]) -> set[tuple[int, int]]:
    """Return the days of these mentions, with every organization that has them."""
    days: set[tuple[int, int]] = set()
    for some in batches(sorted(rows)):
        query = (
            select(mention_organizations.c.organization_id, mention_organizations.c.day)
            .where(mention_organizations.c.mention_id.in_(some))
            .distinct()
        )
        days.update((organization, day) for organization, day in connection.execute(query))
    return days


def mark_days(connection: Connection, changed: Iterable[int]) -> int:
    """Mark the days of these mentions to be counted again, for every organization that has them.

    Returns how many.
    """
    days = days_of(connection, changed)
    _mark(connection, days)
    return len(days)


def _mark(connection: Connection, days: Iterable[tuple[int, int]]) -> None:
    insert_tuples(connection, dirty_days, ("organization_id", "day"), sorted(days))


def mark_checked(connection: Connection, channel_id: int, external_ids: Sequence[str], now: datetime) -> None:
    """Remember when these mentions were last looked up on the platform."""
    for some in batches(external_ids):
        connection.execute(
            update(mentions)
            .where(mentions.c.channel_id == channel_id, mentions.c.external_id.in_(some))
            .values(checked_at=literal(now, mentions.c.checked_at.type))
        )
