"""Rows to a stream or a file: CSV that is safe in a spreadsheet, JSON, JSON lines, Parquet.

A file is written beside its name and then renamed: whoever reads it finds the old one or the whole new one.
Rows are taken one at a time (Parquet: ten thousand), so an export of any size needs little memory.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TextIO

from listener.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

Style = Literal["csv", "json", "jsonl", "parquet"]
Row = Mapping[str, Any]

# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"), full-width forms included.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - the full-width forms are meant
_BLANKS = ("\t", "\n")
# C0, DEL and C1, which a terminal obeys: a stranger's text must not move its cursor, nor retitle its window.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CONTROLS_THAT_JSON_KEEPS = re.compile(r"[\x7f-\x9f]")
_PARQUET_CHUNK = 10_000
_PARQUET_TYPES = {
    "moment": ("published_at", "edited_at", "removed_at", "paused_until", "last_run", "newest", "read_until"),
    "day": ("day", "week_start", "week_end"),
    "integer": (
        *("likes", "replies", "shares", "views", "mentions", "authors", "negative", "neutral", "positive"),
        *("unscored", "engagement", "mentions_previous_week", "change", "failures", "requests_today", "new"),
        *("before", "after", "phrases", "phrases_fr", "support", "texts"),
    ),
    "number": (
        *("sentiment_score", "positive_part", "negative_part", "purpose_score", "net_sentiment"),
        *("coverage", "usd_today", "precision", "recall", "f1", "share"),
    ),
    "truth": ("own", "provisional", "needs_review"),
    "words": ("topics", "corrected"),
}


def safe_cell(value: Any) -> Any:
    """Return ``value`` as a CSV cell that no spreadsheet runs and no terminal obeys; numbers stay numbers.

    Control characters other than tab and line feed are left out. A text that would be a formula, also after
    white space, gets an apostrophe in front. A list is joined by commas.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case datetime() | date():
            return _moment(value)
        case list() | tuple():
            return safe_cell(_words(value))
        case str():
            text = _CONTROLS.sub("", value)
            is_run = text.startswith(_BLANKS) or text.lstrip().startswith(_FORMULA)
            return f"'{text}" if is_run else text
    return value


def plain_cell(cell: str) -> str:
    """Return the text of a cell that :func:`safe_cell` wrote: without the apostrophe that it put in front."""
    return cell[1:] if cell.startswith("'") and safe_cell(cell[1:]) == cell else cell


def write_stream(stream: TextIO, rows: Iterable[Row], columns: Sequence[str], style: Style) -> int:
    """Write ``rows`` to ``stream`` as ``csv``, ``json`` or ``jsonl``, with these ``columns`` in this order.

    CSV lines end with a line feed on every system. Returns the number of rows.
    """
    if style == "csv":
        return _write_csv(stream, rows, columns)
    lines = (_json({column: row.get(column) for column in columns}) for row in rows)
    if style == "jsonl":
        return _count(stream.write(line + "\n") for line in lines)
    count = _count(stream.write(f"{',' if at else '['}\n{line}") for at, line in enumerate(lines))
    stream.write("\n]\n" if count else "[]\n")
    return count


def write_file(path: Path, rows: Iterable[Row], columns: Sequence[str], style: Style) -> int:
    """Write ``rows`` to the file ``path``, whole or not at all; returns the number of rows.

    Raises ``ConfigError`` where the file cannot be written.
    """
    with atomic_write(path) as file:
        if style == "parquet":
            return _write_parquet(file, rows, columns)
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        try:
            return write_stream(text, rows, columns, style)
        finally:
            text.detach()


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a file beside ``path`` for a block that writes it; it takes the name ``path`` when the block ends well.

    A device or pipe (``/dev/stdout``) is written to as it is. Raises ``ConfigError`` naming the path where it
    cannot be written; what stood there before then still does.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            with target.open("wb") as device:
                yield device
            return
        beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        try:
            with beside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror or error}; choose another place with -o"
        ) from error


def _write_csv(stream: TextIO, rows: Iterable[Row], columns: Sequence[str]) -> int:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    return _count(writer.writerow([safe_cell(row.get(column)) for column in columns]) for row in rows)


def _count(written: Iterable[object]) -> int:
    return sum(1 for _ in written)


def _moment(value: date) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat()


def _words(value: Any) -> str | None:
    """Return a value that has one cell as a text."""
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    return None if value is None else str(value)


def _json(row: Row) -> str:
    text = json.dumps(row, default=_jsonable, ensure_ascii=False)
    return _CONTROLS_THAT_JSON_KEEPS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _jsonable(value: Any) -> Any:
    if isinstance(value, date):
        return _moment(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _write_parquet(file: IO[bytes], rows: Iterable[Row], columns: Sequence[str]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _parquet_schema(columns)
    words = {field.name for field in schema if field.type == pa.string()}
    count = 0
    with pq.ParquetWriter(file, schema) as writer:
        remaining = iter(rows)
        while chunk := list(itertools.islice(remaining, _PARQUET_CHUNK)):
            shaped = [
                {column: _words(row.get(column)) if column in words else row.get(column) for column in columns}
                for row in chunk
            ]
            writer.write_table(pa.Table.from_pylist(shaped, schema=schema))
            count += len(chunk)
    return count


def _parquet_schema(columns: Sequence[str]) -> pa.Schema:
    """Return the types by the columns' names, so that every file has the same, an empty one included."""
    import pyarrow as pa

    types = {
        "moment": pa.timestamp("us", tz="UTC"),
        "day": pa.date32(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "truth": pa.bool_(),
        "words": pa.list_(pa.string()),
    }
    by_name = {name: types[kind] for kind, names in _PARQUET_TYPES.items() for name in names}

    def kind_of(column: str) -> pa.DataType:
        # How many were taken for what: one column for each purpose or sentiment.
        return pa.int64() if column.startswith("as_") else by_name.get(column, pa.string())

    return pa.schema([(column, kind_of(column)) for column in columns])
