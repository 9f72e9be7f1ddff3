"""Rows to standard output or to a file, in the format that was asked for."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

from listener.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from listener.cli.state import State


Written = Literal["csv", "json", "jsonl", "parquet"]
Row = Mapping[str, Any]


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class View:
    """What a table on the screen shows of rows that have too many columns for it.

    ``show`` makes of a row what stands under ``columns``, or None for a row to leave out.
    """

    columns: Sequence[str]
    show: Callable[[Row], Row | None]


_SUFFIXES = {".csv": Format.CSV, ".json": Format.JSON, ".jsonl": Format.JSONL, ".parquet": Format.PARQUET}
_LONGEST_CELL = 500
_NARROW = 24
"""A column of cells no wider than this is never broken within a word; others give way on a narrow screen."""
_LEAST = 10


def write(
    state: State,
    rows: Iterable[Row],
    columns: Sequence[str],
    *,
    style: Format | None,
    output: Path | None,
    view: View | None = None,
) -> None:
    """Write ``rows``: to ``output`` (whole or not at all) where it is given, else to standard output.

    Without a ``style`` a file's ending decides, and a terminal gets a table (of what ``view`` shows), a pipe
    CSV. Raises ``ConfigError`` where the file cannot be written or the format makes no sense there.
    """
    from jobs import export

    style = style or style_for(output)
    if style is Format.TABLE:
        if output is not None:
            raise ConfigError(
                f"a table is for the screen; for {output} choose --format csv, json, jsonl or parquet"
            )
        if view is not None:
            print_table(state, filter(None, map(view.show, rows)), view.columns)
        else:
            print_table(state, rows, columns)
        return
    written = cast("Written", style.value)
    if output is not None:
        count = export.write_file(output, rows, columns, written)
        state.say(f"{count:,} row{'' if count == 1 else 's'} written to {output}")
    elif style is Format.PARQUET:
        raise ConfigError("Parquet is a file format: name the file with -o FILE.parquet")
    else:
        # The first row is asked for before anything is written: what is wrong with the question comes up there.
        remaining = iter(rows)
        first = list(itertools.islice(remaining, 1))
        with _standard_output() as stream:
            export.write_stream(stream, itertools.chain(first, remaining), columns, written)


def style_for(output: Path | None) -> Format:
    """Return the format where none was asked for; raises ``ConfigError`` where a file's name does not tell."""
    if output is None:
        return Format.TABLE if sys.stdout.isatty() else Format.CSV
    if output.suffix.lower() not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise ConfigError(
            f"{output}: cannot tell the format from its name; end it with one of {known}, or give --format"
        )
    return _SUFFIXES[output.suffix.lower()]


@contextmanager
def _standard_output() -> Iterator[TextIO]:
    try:
        yield sys.stdout
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(
            f"cannot write to standard output: {error.strerror}; make room, or name a file with -o"
        ) from error


def print_table(state: State, rows: Iterable[Row], columns: Sequence[str], *, title: str | None = None) -> None:
    """Print ``rows`` as a table as wide as the screen: numbers to the right, long texts on several lines."""
    from rich import box
    from rich.table import Table

    shown = [[(row.get(column), _cell(row.get(column))) for column in columns] for row in rows]
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", show_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        _add_column(table, column, [cells[place] for cells in shown])
    for cells in shown:
        table.add_row(*(_linked(text) for _, text in cells))
    state.out.print(table)


def _add_column(table: Table, name: str, cells: Sequence[tuple[Any, str]]) -> None:
    header = name.replace("_", " ")
    lines = [line for _, text in cells for line in text.split("\n")]
    words = [word for line in [header, *lines] for word in line.split()]
    # A moment may be broken between day and time.
    breakable = any(isinstance(value, datetime) for value, _ in cells)
    widest = max(map(len, lines), default=0)
    table.add_column(
        header,
        justify="right" if any(isinstance(value, int | float) for value, _ in cells) else "left",
        overflow="fold",
        no_wrap=len(header) <= widest <= _NARROW and not breakable,
        min_width=min(_NARROW if widest <= _NARROW else _LEAST, max(map(len, words), default=1)),
    )


def _linked(text: str) -> Any:
    """Make addresses in a cell something to click on where the terminal knows how."""
    from rich.text import Text

    cell = Text(text)
    for line in text.split("\n"):
        if line.startswith("https://"):
            start = text.rindex(line)
            cell.stylize(f"link {line}", start, start + len(line))
    return cell


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M")
    # Control characters in a stranger's text must not reach the terminal.
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in str(value)).strip()
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
