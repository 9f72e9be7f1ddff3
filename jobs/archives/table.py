"""Comments in a table: surveys, review sites, anything that a spreadsheet wrote.

A column is found by the name that it was mapped to, or by one of the names that exports usually give it. What
has no id gets one from its content (:func:`content_id`): the same comment in two exports is one mention.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

from connectors.base import clean_text
from jobs.archives.found import Found
from jobs.export import plain_cell
from jobs.labelled import plain
from listener.errors import ConfigError, SkipItem
from listener.mention import Author, Kind, Mention, Metrics
from listener.settings import nearest

_USUAL: Mapping[str, tuple[str, ...]] = {
    "text": (
        *("text", "comment", "comments", "comment text", "review text", "review", "feedback", "verbatim", "body"),
        *(
            "message",
            "content",
            "description",
            "response",
            "answer",
            "commentaire",
            "commentaires",
            "texte",
            "avis",
        ),
    ),
    "published_at": (
        *("published at", "published", "date", "created at", "created", "datetime", "timestamp", "date time"),
        *("posted at", "posted", "submitted at", "submitted", "submission date", "response date", "survey date"),
        *("review date", "date published", "date created", "date de reponse", "time"),
    ),
    "id": (
        *("id", "external id", "comment id", "review id", "response id", "record id", "survey id", "uuid"),
        "identifiant",
    ),
    "author": ("author", "author name", "user", "username", "reviewer", "auteur"),
    "permalink": ("permalink", "url", "link", "lien"),
    "language": ("language", "lang", "langue"),
    "organization": ("organization", "organisation", "hospital", "site", "facility", "hopital"),
    "parent": ("parent", "parent id", "parent external id", "in reply to"),
    "edited_at": ("edited at", "edited", "updated at", "modified"),
    "likes": ("likes", "like count", "upvotes", "helpful"),
}
FIELDS = tuple(_USUAL)
"""What a column can be mapped to."""
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_].*)?")
_NUMBER = re.compile(r"\d{1,15}")
_LONGEST_ID = 200
_LONGEST_SHOWN = 25
_MOST_SHOWN = 8
_SECONDS = re.compile(r"\d{9,10}(?:\.\d+)?")
_MILLISECONDS = re.compile(r"\d{12,13}")
_DAYS = (
    *("%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%d-%b-%Y"),
    "%a %d %b %Y",
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S %z")
_OF_A_CLOCK = ("%H", "%I", "%c", "%X")
_AN_EXAMPLE = datetime(2026, 11, 23, 13, 30, 15, tzinfo=UTC)
_SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-]\d{4}\b")
_MONTHS = 12
_NOON = time(12)

Columns = Mapping[str, tuple[str, ...]]
"""The columns that are mapped to each of :data:`FIELDS`; several texts become one."""


def columns_from(pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read ``text=Comment,published_at=Date``; raises ``ConfigError`` for what is no pair or no field."""
    mapped: dict[str, tuple[str, ...]] = {}
    for pair in (one for some in pairs for one in some.split(",")):
        field, _, column = (word.strip() for word in pair.partition("="))
        if not (field and column):
            raise ConfigError(f"--map {pair.strip()!r}: write FIELD=COLUMN, as text=Comment,published_at=Date")
        if field not in FIELDS:
            raise ConfigError(
                f"--map has no field {field!r}{nearest(field, FIELDS)} (there are: {', '.join(FIELDS)})"
            )
        mapped[field] = (*mapped.get(field, ()), column)
        if len(mapped[field]) > 1 and field != "text":
            raise ConfigError(f"--map names two columns for {field}: only text can have several")
    return mapped


def placed(header: Sequence[str], mapped: Columns, *, file: str) -> dict[str, tuple[int, ...]]:
    """Return where in ``header`` each field stands.

    Raises ``ConfigError`` for a mapped column that is not there, and where text or moment have no column.
    """
    names = [plain(name) for name in header]
    # Without a header these are the first comment's cells: they are not shown whole.
    shown = [name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}…" for name in header[:_MOST_SHOWN]]
    there = f"there are: {', '.join(shown)}{', …' if len(header) > _MOST_SHOWN else ''}"
    places: dict[str, tuple[int, ...]] = {}
    for field, usual in _USUAL.items():
        if field in mapped:
            for column in mapped[field]:
                if plain(column) not in names:
                    raise ConfigError(f"{file} has no column {column!r}{nearest(column, header)}; {there}")
            places[field] = tuple(names.index(plain(column)) for column in mapped[field])
            continue
        taken = {place for some in places.values() for place in some}
        known = [names.index(word) for word in map(plain, usual) if word in names]
        free = [place for place in known if place not in taken and header[place] not in _named(mapped)]
        if free:
            places[field] = (free[0],)
    for field, what in (("text", "the comments"), ("published_at", "when they were written")):
        if field not in places:
            raise ConfigError(
                f"{file}: no column is known to hold {what}; name it with --map {field}=COLUMN; {there}"
            )
    return places


def _named(mapped: Columns) -> set[str]:
    return {column for columns in mapped.values() for column in columns}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReader:
    """Reads rows of one table as mentions of ``channel``.

    ``zone`` is where moments without a zone are told, ``dates`` the format (of ``strptime``) they are written in;
    None for the usual ones that can be told apart.
    """

    places: Mapping[str, tuple[int, ...]]
    channel: str
    zone: tzinfo
    dates: str | None
    redact: Callable[[str], str]

    def read(self, payload: Any) -> Iterator[Found | SkipItem]:
        """Yield the mention of a row, a sequence of cells; nothing where it has no text."""
        cells = [plain_cell(cell) for cell in payload]
        text = clean_text("\n\n".join(filter(None, (cells[at].strip() for at in self.places["text"]))))
        if not text:
            return
        try:
            yield self._found(cells, text)
        except ValueError as problem:
            yield SkipItem(str(problem))

    def _found(self, cells: Sequence[str], text: str) -> Found:
        published_at = self._moment(cells, "published_at")
        if published_at is None:
            raise ValueError("it has no moment of publication")
        permalink = self._permalink(cells)
        author = clean_text(self._cell(cells, "author"))
        parent = clean_text(self._cell(cells, "parent")) or None
        likes = self._cell(cells, "likes")
        mention = Mention(
            channel=self.channel,
            external_id=self._identity(cells) or content_id(self.redact(text), published_at, permalink),
            kind=Kind.REPLY if parent else Kind.COMMENT,
            published_at=published_at,
            edited_at=self._moment(cells, "edited_at"),
            text=text,
            author=Author(id=author, handle=author) if author else None,
            permalink=permalink,
            parent_external_id=parent,
            language=self._language(cells),
            metrics=Metrics(likes=int(likes) if _NUMBER.fullmatch(likes) else None),
        )
        return Found(mention=mention, organization=self._cell(cells, "organization") or None)

    def _cell(self, cells: Sequence[str], field: str) -> str:
        at = self.places.get(field)
        return cells[at[0]].strip() if at else ""

    def _identity(self, cells: Sequence[str]) -> str:
        identity = clean_text(self._cell(cells, "id"))
        if len(identity) > _LONGEST_ID:
            raise ValueError(f"its id has {len(identity)} characters, more than {_LONGEST_ID}")
        return identity

    def _permalink(self, cells: Sequence[str]) -> str | None:
        address = clean_text(self._cell(cells, "permalink"))
        return self.redact(address) if re.match(r"https?://", address) else None

    def _language(self, cells: Sequence[str]) -> str | None:
        found = _LANGUAGE.fullmatch(self._cell(cells, "language"))
        return found[1].lower() if found else None

    def _moment(self, cells: Sequence[str], field: str) -> datetime | None:
        written = self._cell(cells, field)
        return read_moment(written, zone=self.zone, dates=self.dates) if written else None


def content_id(redacted: str, published_at: datetime, permalink: str | None) -> str:
    """Return the id of a comment that has none: of its text without personal data, its moment and its address.

    From the text as it came, what redaction took out could be found again by trying. 20 hex digits after ``h-``.
    """
    told = "\0".join((redacted, published_at.astimezone(UTC).isoformat(), permalink or ""))
    return f"h-{hashlib.sha256(told.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}"


def read_moment(written: str, *, zone: tzinfo, dates: str | None = None) -> datetime:
    """Read a moment; one without a zone is told in ``zone``, a day alone is its noon.

    Read are ISO 8601, seconds or milliseconds since 1970, years first, days with a month's name or dots, and days
    with slashes where only one order is possible; with ``dates``, that format alone. Raises ``ValueError`` that
    shows how it is written, not what is written.
    """
    words = written if dates else " ".join(written.replace(",", " ").split())
    try:
        moment = datetime.strptime(words, dates) if dates else _usual(words)  # noqa: DTZ007 - its zone is given below
    except ValueError:
        moment = None
    if moment is None:
        raise ValueError(_explain(written, dates))
    has_time = any(sign in dates for sign in _OF_A_CLOCK) if dates else ":" in words or moment.tzinfo is not None
    if not has_time:
        moment = datetime.combine(moment.date(), _NOON)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"its date, written as {_shape(written)}, is beyond the calendar") from error


def check_dates(dates: str) -> None:
    """Raise ``ConfigError`` where ``dates`` is no format that dates can be read in."""
    try:
        read = datetime.strptime(_AN_EXAMPLE.strftime(dates), dates)  # noqa: DTZ007 - only its day is looked at
    except (ValueError, re.error):
        read = None
    if read is None or read.date() != _AN_EXAMPLE.date():
        raise ConfigError(f'--dates {dates!r} tells no day: write it as "%d/%m/%Y" or "%Y-%m-%d %H:%M:%S"')


def _usual(words: str) -> datetime | None:
    if _MILLISECONDS.fullmatch(words):
        return datetime.fromtimestamp(int(words) / 1000, UTC)
    if _SECONDS.fullmatch(words):
        return datetime.fromtimestamp(float(words), UTC)
    if slashed := _SLASHED.match(words):
        first, second = int(slashed[1]), int(slashed[2])
        if first <= _MONTHS and second <= _MONTHS and first != second:
            return None
        day_first = first > _MONTHS or first == second
        mark = words[len(slashed[1])]
        order = f"%d{mark}%m{mark}%Y" if day_first else f"%m{mark}%d{mark}%Y"
        return _first_that_fits(words, (order,))
    try:
        return datetime.fromisoformat(words)
    except ValueError:
        return _first_that_fits(words, _DAYS)


def _first_that_fits(words: str, formats: Sequence[str]) -> datetime | None:
    for written in formats:
        for of_day in _TIMES:
            try:
                return datetime.strptime(words, written + of_day)  # noqa: DTZ007 - its zone is given by the caller
            except ValueError:
                continue
    return None


def _explain(written: str, dates: str | None) -> str:
    shown = _shape(written)
    if dates:
        return f"its date is written as {shown}, not as --dates {dates!r} says"
    if _SLASHED.match(written):
        return f'its date is written as {shown}, day or month first: say --dates "%d/%m/%Y" or --dates "%m/%d/%Y"'
    return f'its date is written as {shown}, which is not known: say how with --dates, as --dates "%d/%m/%Y %H:%M"'


def _shape(written: str) -> str:
    """Return how something is written: every digit a 0, every letter an x. It may not be a date at all."""
    shape = "".join("0" if letter.isdigit() else "x" if letter.isalpha() else letter for letter in written)
    shape = "".join(letter if letter.isprintable() else " " for letter in shape)
    return repr(shape if len(shape) <= _LONGEST_SHOWN else shape[:_LONGEST_SHOWN] + "…")


def day_span(first: date, last: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return from when until when these days are, both included, where the clock shows ``zone``."""
    return (
        datetime.combine(first, time(), zone).astimezone(UTC),
        datetime.combine(date.fromordinal(last.toordinal() + 1), time(), zone).astimezone(UTC),
    )
