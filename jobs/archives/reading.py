"""From a part of an archive to what is in it for us: no store, and the same result whoever reads.

    shard ─▶ blocks of lines ─▶ sieve ─▶ JSON ─▶ reader ─▶ owners ─▶ batches
             (or rows, or one document)          (a connector's, or ours)

A *shard* is a file, or the part of it between two places. What is read of it depends on the shard and the plan
alone, so that several processes can read, each its shards, while one writes what they found.
"""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from jobs.archives.files import Content, opened
from jobs.archives.found import Found, Reject
from jobs.archives.lines import LONGEST_LINE, TOP, Place, blocks
from jobs.labelled import delimiter_of
from listener.calendar import YEARS
from listener.errors import ConfigError, SkipItem

if TYPE_CHECKING:
    from jobs.archives.found import Reader
    from jobs.archives.owners import Owners
    from jobs.archives.sieve import Sieve

Layout = Literal["lines", "document", "table"]

LARGEST_DOCUMENT = 64 * 1024 * 1024
"""Bytes. A file that is one object of JSON is held whole; what is larger has to be one object a line."""
BATCH = 500
"""Mentions, or rejects, after which a batch ends: what is heard, and saved, at once."""
STRETCH = 32 * 1024 * 1024
"""Unpacked bytes after which a batch ends, found or not: so much is read again at the most."""
LONGEST_TEXT = 100_000
"""Characters. Nobody writes more."""
LONGEST_ID = 512
"""Characters. No platform's is longer, and PostgreSQL keeps no key of more than 2,700 bytes."""
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Shard:
    """What of a file is to be read: from ``begin``, where a line begins, up to the byte ``end`` (None: all).

    A line belongs to the shard that it begins in.
    """

    file: str
    begin: Place = TOP
    end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the content of an archive is read, and for whom. ``sieve`` is None where every line is wanted."""

    format: str
    layout: Layout
    reader: Reader
    owners: Owners
    sieve: Sieve | None = None
    longest_line: int = LONGEST_LINE


@dataclass(frozen=True, slots=True)
class Item:
    """What was found for these organizations, by their slugs."""

    found: Found
    organizations: tuple[str, ...]


@dataclass(slots=True)
class Batch:
    """What stands between two places: ``parsed`` objects, of which some are ``items``.

    ``gone`` are mentions that were removed before the archive was made.
    """

    begin: Place
    end: Place
    items: list[Item] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    parsed: int = 0
    gone: int = 0

    @property
    def lines(self) -> int:
        """How many lines it goes over."""
        return self.end.line - self.begin.line


@dataclass(frozen=True, slots=True)
class _Unit:
    """An object or several that stand in one place, or the reason why none could be read; or a place passed."""

    begin: Place
    end: Place
    payloads: tuple[Any, ...] = ()
    problem: str | None = None


def read_shard(
    shard: Shard, plan: Plan, *, batch: int = BATCH, taken: Callable[[int], None] | None = None
) -> Iterator[Batch]:
    """Yield what ``shard`` holds, batch by batch; each can be kept by itself, and reading go on at its end.

    ``taken`` is told how many bytes of the file have been taken. Raises ``ConfigError`` where the file is damaged.
    """
    with opened(shard.file) as content:
        current = Batch(shard.begin, shard.begin)
        for unit in _units(content, shard, plan):
            if shard.end is not None and unit.begin.offset >= shard.end:
                break
            _take(current, unit, plan)
            # Rejects count too: of a file that is all rejects, 32 MiB would be many of them at once.
            is_full = max(len(current.items), len(current.rejects)) >= batch
            if is_full or unit.end.offset - current.begin.offset >= STRETCH:
                yield current
                current = Batch(current.end, current.end)
            if taken is not None:
                taken(content.taken())
        if current.end != current.begin or current.items or current.rejects:
            yield current


def _take(batch: Batch, unit: _Unit, plan: Plan) -> None:
    """Add what stands in ``unit`` to the batch."""
    batch.end = unit.end
    if unit.problem is not None:
        batch.parsed += 1
        batch.rejects.append(Reject(unit.begin, unit.problem))
    for payload in unit.payloads:
        batch.parsed += 1
        for one in plan.reader.read(payload):
            if isinstance(one, SkipItem):
                batch.rejects.append(Reject(unit.begin, _reason(one)))
            elif (problem := _unfit(one)) is not None:
                batch.rejects.append(Reject(unit.begin, problem))
            elif organizations := plan.owners.of(one):
                if one.mention.removed_at is not None and one.heard is None:
                    batch.gone += 1
                else:
                    batch.items.append(Item(one, organizations))


def _reason(problem: SkipItem) -> str:
    """Return what is wrong, without the id: the line tells which one it is, and an id may lead to a person."""
    said = str(problem)
    if not problem.external_id:
        return said
    return re.sub(rf"(?<!\w){re.escape(problem.external_id)}(?!\w)", "…", said)


def _unfit(found: Found) -> str | None:
    """Return why a mention can be neither looked through nor kept; None where it can."""
    mention = found.mention
    if len(mention.text) > LONGEST_TEXT:
        return f"its text has {len(mention.text):,} characters, more than {LONGEST_TEXT:,}"
    ids = (mention.external_id, mention.parent_external_id, mention.conversation_id)
    if longest := max((len(one) for one in ids if one is not None and len(one) > LONGEST_ID), default=0):
        return f"one of its ids has {longest:,} characters, more than {LONGEST_ID}"
    moments = (mention.published_at, mention.edited_at, mention.removed_at)
    if any(moment is not None and moment.year not in YEARS for moment in moments):
        # At the edge of the calendar a moment has no day where the clocks show another zone.
        return f"its date is not of the years {YEARS[0]} to {YEARS[-1]}"
    return None


def _units(content: Content, shard: Shard, plan: Plan) -> Iterator[_Unit]:
    match plan.layout:
        case "lines":
            return _lines(content, shard, plan)
        case "table":
            return _rows(content, shard, plan)
        case "document":
            return _document(content, shard)


def _lines(content: Content, shard: Shard, plan: Plan) -> Iterator[_Unit]:
    content.skip(shard.begin.offset)
    for block in blocks(content, shard.begin, longest=plan.longest_line):
        if block.too_long:
            yield _Unit(block.begin, block.end, problem=f"longer than {plan.longest_line:,} bytes")
            continue
        line, at = block.begin.line, 0
        for begin, end in plan.sieve.lines(block.data) if plan.sieve else _every(block.data):
            line += block.data.count(b"\n", at, begin)
            at = begin
            written = block.data[begin:end]
            if block.begin.offset + begin == 0:
                written = written.removeprefix(_MARK)
            if written.strip():
                place = Place(block.begin.offset + begin, line)
                has_end = end < len(block.data)
                after = Place(block.begin.offset + end + has_end, line + 1)
                yield _parsed(written, place, after)
        yield _Unit(block.end, block.end)


def _every(data: bytes) -> Iterator[tuple[int, int]]:
    begin = 0
    for line in _split(data):
        yield begin, begin + len(line.removesuffix(b"\n"))
        begin += len(line)


def _split(data: bytes) -> Iterator[bytes]:
    """Split at line feeds alone: a carriage return within a line is no end of it."""
    begin = 0
    while begin < len(data):
        end = data.find(b"\n", begin) + 1 or len(data)
        yield data[begin:end]
        begin = end


def _parsed(written: bytes, begin: Place, end: Place) -> _Unit:
    try:
        return _Unit(begin, end, payloads=payloads_in(written))
    except ValueError as problem:
        return _Unit(begin, end, problem=str(problem))


def payloads_in(written: bytes) -> tuple[Any, ...]:
    """Return the objects that stand in a line or a document: one, or those of a list.

    Raises ``ValueError`` that says what is wrong and nothing of what is written.
    """
    try:
        payload = json.loads(written.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at character {error.pos + 1}: {error.msg}") from error
    except RecursionError as error:
        raise ValueError("nested deeper than can be read") from error
    except ValueError as error:
        # A number of more digits than Python takes: its words show none of them.
        raise ValueError("holds a number that is too long") from error
    payloads = tuple(payload) if isinstance(payload, list) else (payload,)
    if not all(isinstance(one, dict) for one in payloads):
        raise ValueError("JSON, but no object")
    return payloads


def _document(content: Content, shard: Shard) -> Iterator[_Unit]:
    written = whole(content)
    end = Place(len(written), written.count(b"\n") + (not written.endswith(b"\n")) + 1)
    if shard.begin.offset < end.offset:
        yield _parsed(written.removeprefix(_MARK), Place(), end)


def whole(content: Content) -> bytes:
    """Return everything that follows; raises ``ConfigError`` where that is more than a document may have."""
    parts, size = [], 0
    while some := content.read(1 << 20):
        parts.append(some)
        size += len(some)
        if size > LARGEST_DOCUMENT:
            raise ConfigError(
                f"a file that is one object of JSON may have {LARGEST_DOCUMENT:,} bytes, this one has more: "
                "write one object a line"
            )
    return b"".join(parts)


# --- tables


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a table, where the next one begins, and why it cannot be read."""

    text: str
    after: Place
    problem: str | None = None


class Rows:
    """The records of a table and where each begins: quoted cells may go over several lines.

    A line that is not UTF-8, and one that is no CSV, is told as such; reading goes on with the next line, even
    where a stray quote had taken many more into its cell. ``content`` stands at ``begin``; where that is not the
    top of the table, ``like`` is the one that has read its header. Raises ``ConfigError`` where the header is no
    CSV.
    """

    def __init__(
        self, content: Content, *, longest: int = LONGEST_LINE, begin: Place = TOP, like: Rows | None = None
    ) -> None:
        self.place = begin
        self._further = _decoded(content, begin, longest)
        self._again: deque[_Line] = deque()
        self._record: list[_Line] = []
        try:
            self.delimiter: str = like.delimiter if like else self._told_delimiter()
            self.header: list[str] = like.header if like else [name.strip() for name in self._next_record() or ()]
        except csv.Error as error:
            raise ConfigError(
                f"{content.name}: its first line is no CSV ({error}): save the table as CSV UTF-8, with the names "
                "of its columns in the first line, and a line feed at the end of each"
            ) from error

    def __iter__(self) -> Iterator[tuple[Place, list[str] | None, str | None]]:
        """Yield where a record begins, its cells, or what is wrong with it."""
        while True:
            begin = self.place
            try:
                cells = self._next_record()
            except csv.Error as error:
                self._put_back()
                yield begin, None, f"not CSV: {error}"
                continue
            if not self._record:
                return
            problem = next((line.problem for line in self._record if line.problem), None)
            if problem:
                yield begin, None, problem
            elif cells and len(cells) != len(self.header):
                yield begin, None, f"{len(cells)} cells under {len(self.header)} columns"
            elif cells:
                yield begin, cells, None

    def _told_delimiter(self) -> str:
        first = next(self._further, None)
        if first is not None:
            self._again.append(first)
        return delimiter_of(first.text if first else "")

    def _next_record(self) -> list[str] | None:
        self._record = []
        return next(csv.reader(self._taken(), delimiter=self.delimiter, strict=True), None)

    def _taken(self) -> Iterator[str]:
        """Yield line after line, and note them as those of the record in hand."""
        while (line := self._again.popleft() if self._again else next(self._further, None)) is not None:
            self._record.append(line)
            self.place = line.after
            yield line.text

    def _put_back(self) -> None:
        """Have every line of the record in hand but the first one read again."""
        first, *others = self._record
        self._again.extendleft(reversed(others))
        self.place = first.after


def _decoded(content: Content, place: Place, longest: int) -> Iterator[_Line]:
    for block in blocks(content, place, longest=longest):
        if block.too_long:
            place = block.end
            yield _Line("", place, f"longer than {longest:,} bytes")
            continue
        for written in _split(block.data):
            text = written.removeprefix(_MARK) if place.offset == 0 else written
            place = Place(place.offset + len(written), place.line + 1)
            try:
                yield _Line(text.decode("utf-8"), place)
            except UnicodeDecodeError:
                yield _Line(text.decode("utf-8", "replace"), place, "not UTF-8: save the table as CSV UTF-8")


def _rows(content: Content, shard: Shard, plan: Plan) -> Iterator[_Unit]:
    rows = Rows(content, longest=plan.longest_line)
    if shard.begin.offset <= rows.place.offset:
        yield _Unit(rows.place, rows.place)
        yield from _units_of(rows, plan)
        return
    with opened(shard.file) as further:
        further.skip(shard.begin.offset)
        yield from _units_of(Rows(further, longest=plan.longest_line, begin=shard.begin, like=rows), plan)


def _units_of(rows: Rows, plan: Plan) -> Iterator[_Unit]:
    as_object = plan.format != "csv"
    for begin, cells, problem in rows:
        payload = dict(zip(rows.header, cells, strict=True)) if as_object and cells else cells
        yield _Unit(begin, rows.place, payloads=() if payload is None else (payload,), problem=problem)
