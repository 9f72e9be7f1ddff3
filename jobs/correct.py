"""Sets what a person says is right of stored mentions, or takes it back.

    mentions named, or rows of a file ─▶ all sound? ─▶ one transaction ─▶ roll_up
                                         └─ else everything that is wrong is told, and nothing is written

What must hold, and why it does:

- What a person said outlives whatever hears the mention again: ingest, refresh and retag write around it.
- It hangs on the mention, never on its author; when it was said is kept, who said it is not.
- Taken back, a mention is heard again by the present taxonomy and models, as a retag would.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import connectors as installed
from jobs.export import plain_cell
from jobs.hearing import Hearer
from jobs.labelled import Labelled, plain, purpose_of, read_lines, sentiment_word
from jobs.retag import hear_stored, terms_of
from jobs.rollup import roll_up
from listener.clock import Clock, SystemClock
from listener.errors import ConfigError
from listener.settings import nearest
from listener.signals.taxonomy import Taxonomy
from storage import correcting, retagging
from storage.corrected import Part
from storage.correcting import Change, Corrected, Correction, Name, Standing
from storage.counting import counts
from storage.schema import UNTAGGED

if TYPE_CHECKING:
    from jobs.connections import Platforms
    from listener.settings import Settings
    from storage.store import MentionStore

_BOTH = "`listener query --format csv` tells channel and external_id"
_NO_TOPICS = ("-", "none")
_ROUNDED = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)

Problem = tuple[int, str]
"""What is wrong, with the number of the line it stands in."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody says of a mention; ``line`` and ``where`` tell in which line of which file."""

    name: Name
    correction: Correction
    line: int = 0
    where: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file of corrections as it was read: what it asks for, what is wrong, how many rows say nothing."""

    asked: tuple[Asked, ...]
    problems: tuple[Problem, ...] = ()
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """Of how many mentions a part was one thing, and is another now (or the same, said by a person)."""

    part: str
    was: str
    becomes: str
    mentions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionReport:
    """What was set or taken back, or would be.

    ``unchanged`` mentions were so already (of a withdrawal: nobody had corrected them), ``skipped`` rows said
    nothing. ``entered`` and ``left`` are mentions that topics count now, and count no more. ``days`` count
    otherwise, each once for each organization.
    """

    mentions: int = 0
    unchanged: int = 0
    skipped: int = 0
    entered: int = 0
    left: int = 0
    days: int = 0
    turns: tuple[Turn, ...] = ()


def name_of(word: str) -> Name:
    """Return the mention that ``channel:external_id`` names; raises ``ConfigError``."""
    channel, _, external_id = word.strip().partition(":")
    if not (channel and external_id):
        raise ConfigError(f"{word!r} names no mention: write channel:external_id, as reddit:t3_abc; {_BOTH}")
    return Name(channel, plain_cell(external_id))


def topics_of(words: Sequence[str], taxonomy: Taxonomy) -> frozenset[str]:
    """Return the topics that ``words`` are the slugs of; raises ``ValueError`` with the fix."""
    slugs = frozenset(word.casefold() for word in words)
    if unknown := sorted(slugs - set(taxonomy.slugs)):
        told = ", ".join(f"no topic {slug!r}{nearest(slug, taxonomy.slugs)}" for slug in unknown)
        raise ValueError(f"{told}; `listener topics list` shows them")
    return slugs


def read_sheet(file: Path, taxonomy: Taxonomy) -> Sheet:
    """Read a query's CSV that has got any of the columns right_purpose, right_sentiment and right_topics.

    Raises ``ConfigError`` for a file that is no such thing; what is wrong with its rows is told by the sheet.
    """
    labelled = read_lines(file, hold="the mentions")
    needs = "the columns channel and external_id of `listener query --format csv`"
    name_at = [labelled.place(column, needs) for column in Name._fields]
    columns = _right_columns(labelled)
    asked: list[Asked] = []
    problems: list[Problem] = []
    skipped = 0
    for line in labelled.lines:
        where = f"{file}, line {line.number}: "
        if problem := labelled.misfit(line):
            problems.append((line.number, f"{where}{problem}"))
            continue
        said = {part: cell for part, at in columns.items() if (cell := plain_cell(line.cells[at].strip()))}
        if not said:
            skipped += 1
            continue
        correction, wrong = _read(said, taxonomy)
        name = Name(*(plain_cell(line.cells[at].strip()) for at in name_at))
        problems += [(line.number, f"{where}{one}") for one in wrong]
        asked.append(Asked(name, correction, line.number, where))
    return Sheet(tuple(asked), tuple(problems), skipped)


def _right_columns(labelled: Labelled) -> dict[Part, int]:
    """Return where each part's right value stands; a column that is meant for one and misses it is an error."""
    wanted = {plain(f"right_{part.value}"): part for part in Part}
    names = [f"right_{part.value}" for part in Part]
    for column in labelled.columns:
        if plain(column).startswith("right") and plain(column) not in wanted:
            raise ConfigError(
                f"{labelled.file} has a column {column!r}{nearest(column, names)} (there are: {', '.join(names)})"
            )
    there = [part for key, part in wanted.items() if key in map(plain, labelled.columns)]
    if not there:
        raise ConfigError(f"{labelled.file} says of nothing what is right: add a column {', '.join(names)}")
    return {part: labelled.place(f"right_{part.value}", "what is right") for part in there}


def _read(said: Mapping[Part, str], taxonomy: Taxonomy) -> tuple[Correction, list[str]]:
    values: dict[str, Any] = {}
    problems = []
    for part, cell in said.items():
        try:
            match part:
                case Part.PURPOSE:
                    values[part.value] = purpose_of(cell)
                case Part.SENTIMENT:
                    values[part.value] = sentiment_word(cell)
                case Part.TOPICS:
                    values[part.value] = _topics_in(cell, taxonomy)
        except ValueError as error:
            problems.append(f"right_{part.value} = {cell!r}: {error}")
    return Correction(**values), problems


def _topics_in(cell: str, taxonomy: Taxonomy) -> frozenset[str]:
    words = re.findall(r"[^,\s]+", cell)
    if len(words) == 1 and words[0].casefold() in _NO_TOPICS:
        return frozenset()
    if not words:
        raise ValueError("names no topic; where none is right write -")
    try:
        return topics_of(words, taxonomy)
    except ValueError as error:
        raise ValueError(f"{error}, and - says none") from error


def correct(
    settings: Settings,
    store: MentionStore,
    sheet: Sheet,
    *,
    dry_run: bool = False,
    clock: Clock | None = None,
    platforms: Platforms = installed,
) -> CorrectionReport:
    """Set all that ``sheet`` asks for and recount the days that count otherwise, or change nothing.

    With ``dry_run`` nothing is written either way. Raises ``ConfigError`` with a line for each thing wrong: what
    the sheet tells, a mention that the store does not have, two rows that contradict each other, and a channel
    whose platform allows no derived metrics.
    """
    taxonomy = Taxonomy.load(settings.topics_file)
    merged, contradictions = _merged(sheet.asked)
    ids, unknown = _found(store, sheet.asked)
    allows = terms_of(settings, platforms)
    forbidden = [
        (one.line, f"{one.where}{_forbidden(one.name.channel)}")
        for one in sheet.asked
        if one.name in ids and not allows(one.name.channel)
    ]
    _complain([*sheet.problems, *contradictions, *forbidden, *unknown])
    corrections = {ids[name]: correction for name, correction in merged.items()}
    if dry_run:
        done = correcting.rehearse(store, corrections)
    else:
        store.declare(settings.organizations, taxonomy)
        done = correcting.correct(store, corrections, now=(clock or SystemClock()).now())
        roll_up(store)
    return _report(store, done, asked=len(corrections), skipped=sheet.skipped)


def _forbidden(channel: str) -> str:
    return (
        f"the terms of {channel} allow no topics, purpose or sentiment: set "
        f"connectors.{channel}.derived_metrics = true once the platform has granted them"
    )


def _merged(asked: Iterable[Asked]) -> tuple[dict[Name, Correction], list[Problem]]:
    """Return one correction for each mention, for a query has a row for each of its organizations."""
    found: dict[Name, Correction] = {}
    lines: dict[tuple[Name, Part], int] = {}
    problems: list[Problem] = []
    for one in asked:
        before = found.setdefault(one.name, one.correction)
        for part in sorted(one.correction.parts):
            said, other = getattr(one.correction, part.value), getattr(before, part.value)
            if other is not None and said != other:
                line = lines[one.name, part]
                problems.append((one.line, f"{one.where}says another {part.value} than line {line}: leave one"))
            before = replace(before, **{part.value: said})
            lines.setdefault((one.name, part), one.line)
        found[one.name] = before
    return found, problems


def _found(store: MentionStore, asked: Sequence[Asked]) -> tuple[dict[Name, int], list[Problem]]:
    channels = correcting.known_channels(store)
    ids = correcting.ids_by_name(store, [one.name for one in asked])
    missing = [one for one in asked if one.name not in ids]
    return ids, [(one.line, f"{one.where}{_unknown(one.name, channels)}") for one in missing]


def _unknown(name: Name, channels: Sequence[str]) -> str:
    if name.channel not in channels:
        there = ", ".join(channels) or "none"
        return f"the store has no channel {name.channel!r}{nearest(name.channel, channels)} (it has: {there})"
    if _ROUNDED.fullmatch(name.external_id):
        return f"a spreadsheet has rounded the id {name.external_id}: import the column external_id as text"
    return f"the store has no mention {name.channel}:{name.external_id}; {_BOTH}"


def _complain(problems: Iterable[Problem]) -> None:
    if told := dict.fromkeys(words for _, words in sorted(problems)):
        raise ConfigError("\n".join(told))


def withdraw(
    settings: Settings,
    store: MentionStore,
    names: Sequence[Name],
    *,
    analyzer: Hearer,
    dry_run: bool = False,
    platforms: Platforms = installed,
) -> CorrectionReport:
    """Take back what people set of these mentions: they are heard again, and the days recounted.

    With ``dry_run`` nothing is written. Raises ``ConfigError`` with a line for each mention that the store does
    not have, and for each that was removed on its platform: there is no text to hear.
    """
    allows = terms_of(settings, platforms)
    asked = [Asked(name, Correction()) for name in dict.fromkeys(names)]
    ids, unknown = _found(store, asked)
    _complain(unknown)
    if not dry_run:
        store.declare(settings.organizations, Taxonomy.load(settings.topics_file))
    done = None
    # Where a text is edited while it is heard, the new one is.
    while done is None:
        texts = retagging.texts_of(store, _corrected(store, ids))
        heard = list(zip(texts, hear_stored(analyzer, texts, allows) if texts else [], strict=True))
        done = correcting.rehearse_withdrawal(store, heard) if dry_run else correcting.withdraw(store, heard)
    if not dry_run:
        roll_up(store)
    return _report(store, done, asked=len(ids))


def _corrected(store: MentionStore, ids: Mapping[Name, int]) -> list[int]:
    """Return those of which anything is corrected; raises ``ConfigError`` where one has no text any more."""
    kept = retagging.kept_of(store, list(ids.values()))
    corrected = {name: row for name, row in ids.items() if kept[row].corrected}
    gone = "was removed on its platform, there is no text to hear: correct it anew instead"
    _complain(
        (0, f"{name.channel}:{name.external_id} {gone}") for name, row in corrected.items() if kept[row].removed
    )
    return list(corrected.values())


def _report(store: MentionStore, done: Corrected, *, asked: int, skipped: int = 0) -> CorrectionReport:
    weights = retagging.weights(store, [change.id for change in done.changes], since_day=None)
    public = [change for change in done.changes if change.id in weights]
    return CorrectionReport(
        mentions=len(done.changes),
        unchanged=asked - len(done.changes),
        skipped=skipped,
        entered=sum(not _counts(change.before) and _counts(change.after) for change in public),
        left=sum(_counts(change.before) and not _counts(change.after) for change in public),
        days=done.days,
        turns=tuple(_turns(done.changes)),
    )


def _counts(standing: Standing) -> bool:
    return counts(standing.purpose, needs_review=standing.needs_review)


def _turns(changes: Iterable[Change]) -> Iterator[Turn]:
    """Yield what became of what, the most frequent of each part first."""
    turns = Counter(
        (part, _told(change.before, part), _told(change.after, part))
        for change in changes
        for part in change.parts
    )
    order = list(Part)
    for (part, was, becomes), count in sorted(
        turns.items(), key=lambda one: (order.index(one[0][0]), -one[1], one[0])
    ):
        yield Turn(part.value, was, becomes, count)


def _told(standing: Standing, part: Part) -> str:
    match part:
        case Part.PURPOSE:
            return f"{standing.purpose or 'none'}{' (to review)' if standing.needs_review else ''}"
        case Part.SENTIMENT:
            return standing.sentiment or "unscored"
        case Part.TOPICS:
            return ", ".join(sorted(standing.topics)) or UNTAGGED
