"""Which format an archive has, and the plan to read it: said by whoever imports it, or told by its first lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from connectors.base import Archived, ReadsArchives
from jobs.archives import exported, table
from jobs.archives.files import Content, opened
from jobs.archives.found import Found
from jobs.archives.owners import Owners, searched_names
from jobs.archives.reading import Layout, Plan, Rows, payloads_in
from jobs.archives.sieve import Sieve
from listener.errors import ConfigError, SkipItem
from listener.settings import nearest

if TYPE_CHECKING:
    from listener.settings import OrganizationSettings

AUTO, TABLE = "auto", "csv"
FILE_CHANNEL = "file"
"""What mentions of a table belong to where nothing else is said: no connector's channel."""
_LOOKED_AT = 20
"""So many lines are looked at for one that tells the format."""
_HEAD = 4 * 1024 * 1024


class Readers(Protocol):
    """What knows the platforms' archives; the package :mod:`connectors` does."""

    def archive_readers(self) -> Mapping[str, type[ReadsArchives]]:
        """Return which connector reads each format."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for: how to read archives, and for whom.

    ``channel``, ``columns`` and ``dates`` are for tables alone. ``redact`` takes personal data out of a text.
    """

    organizations: Sequence[OrganizationSettings]
    format: str = AUTO
    forced: OrganizationSettings | None = None
    channel: str = FILE_CHANNEL
    columns: table.Columns = field(default_factory=dict)
    dates: str | None = None
    topics: Sequence[str] = ()
    redact: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class PlatformReader:
    """Reads archives of one platform as its connector does."""

    connector: type[ReadsArchives]
    seen_at: datetime

    def read(self, payload: Any) -> Iterator[Found | SkipItem]:
        """Yield what an object holds."""
        for one in self.connector.archived(payload, seen_at=self.seen_at):
            yield Found(mention=one.mention, places=one.places) if isinstance(one, Archived) else one


def formats(platforms: Readers) -> tuple[str, ...]:
    """Return every format that can be asked for."""
    return (AUTO, *platforms.archive_readers(), TABLE, exported.FORMAT)


def plan_for(file: str, wanted: Wanted, platforms: Readers, *, now: datetime) -> Plan:
    """Return how ``file`` is to be read.

    Raises ``ConfigError`` where it cannot be read, is empty, or is not of the format that was asked for, and
    where nobody can tell the format.
    """
    known = formats(platforms)
    if wanted.format not in known:
        guess = nearest(wanted.format, known)
        raise ConfigError(f"--as {wanted.format}: no such format{guess} (there are: {', '.join(known)})")
    look = _Look.at(file, as_table=wanted.format == TABLE)
    if look.layout == "table" and exported.looks_exported(dict.fromkeys(look.header)):
        # As a table it would be stored once more, on a channel of tables and without what was heard.
        raise ConfigError(f"{file} is Listener's own export as CSV: export it with --format {exported.FORMAT}")
    name = wanted.format if wanted.format != AUTO else _told(file, look, platforms)
    forced = wanted.forced.slug if wanted.forced else None
    owners = Owners(wanted.organizations, forced=forced)
    if name == TABLE:
        if look.layout != "table":
            raise ConfigError(f"{file} is JSON, and no table: leave --as {TABLE} out")
        if wanted.dates is not None:
            table.check_dates(wanted.dates)
        reader = table.TableReader(
            places=table.placed(look.header, wanted.columns, file=file),
            channel=wanted.channel,
            zone=_zone(wanted),
            dates=wanted.dates,
            redact=wanted.redact,
        )
        return Plan(format=name, layout="table", reader=reader, owners=owners)
    if name == exported.FORMAT:
        if look.layout == "table":
            raise ConfigError(f"{file} is no JSON: --as {TABLE} reads a table")
        return Plan(format=name, layout=look.layout, reader=exported.ExportReader(wanted.topics), owners=owners)
    connector = platforms.archive_readers()[name]
    is_sieved = look.layout == "lines" and forced is None
    return Plan(
        format=name,
        layout=look.layout,
        reader=PlatformReader(connector, now),
        owners=owners,
        sieve=Sieve(searched_names(wanted.organizations, [connector.channel])) if is_sieved else None,
    )


def _zone(wanted: Wanted) -> tzinfo:
    """Return where moments without a zone are told: where the only organization is, else UTC."""
    if wanted.forced is not None:
        return wanted.forced.zone
    return wanted.organizations[0].zone if len(wanted.organizations) == 1 else UTC


@dataclass(frozen=True, slots=True)
class _Look:
    """What the beginning of a file shows: how it is laid out, its first objects, the header of a table."""

    layout: Layout
    samples: Sequence[Mapping[str, Any]] = ()
    header: Sequence[str] = ()

    @classmethod
    def at(cls, file: str, *, as_table: bool) -> _Look:
        with opened(file) as content:
            head = _some(content)
            begins = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not begins:
            raise ConfigError(f"{file} is empty")
        if as_table or begins[:1] not in (b"{", b"["):
            with opened(file) as content:
                rows = Rows(content)
                first = next((cells for _, cells, _ in rows if cells), None)
            return cls("table", [dict(zip(rows.header, first, strict=True))] if first else [], rows.header)
        if len(head) < _HEAD and b"\n" in begins.rstrip() and (objects := _objects(begins)):
            # Asked first: a list with one object a line has a last line that is an object by itself.
            return cls("document", objects)
        lines = [line.strip() for line in begins.split(b"\n", _LOOKED_AT)[:_LOOKED_AT] if line.strip()]
        if lines[0] == b"[" and len(lines) > 1:
            return cls("document", [one for line in lines for one in _objects(line.removesuffix(b","))])
        whole_lines = [line for line in lines if _is_json(line)]
        if not whole_lines and len(lines) > 1:
            # One object that goes over several lines, and further than was looked.
            return cls("document")
        return cls("lines", [one for line in whole_lines for one in _objects(line)])


def _some(content: Content) -> bytes:
    parts: list[bytes] = []
    while sum(map(len, parts)) < _HEAD and (some := content.read(1 << 18)):
        parts.append(some)
    return b"".join(parts)


def _is_json(line: bytes) -> bool:
    return bool(_objects(line))


def _objects(written: bytes) -> list[Mapping[str, Any]]:
    try:
        return list(payloads_in(written))
    except ValueError:
        return []


def _told(file: str, look: _Look, platforms: Readers) -> str:
    """Return the format that the first objects are of; raises ``ConfigError`` where they tell none."""
    connectors = {reader.channel: reader for reader in platforms.archive_readers().values()}
    for sample in look.samples:
        if exported.looks_exported(sample) and look.layout != "table":
            return exported.FORMAT
        for connector in connectors.values():
            if name := connector.archive_format(sample):
                return name
    if look.layout == "table":
        return TABLE
    names = ", ".join(name for name in formats(platforms) if name != AUTO)
    seen = f" (its first object has: {', '.join(list(look.samples[0])[:8])})" if look.samples else ""
    raise ConfigError(f"{Path(file).name}: its first lines tell no format{seen}; say --as one of {names}")
