"""Reads files that people have written in a spreadsheet: CSV with a header, every line with its number."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from listener.errors import ConfigError
from listener.mention import Purpose, Sentiment
from listener.settings import nearest

_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a file: where it begins, and its cells."""

    number: int
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A CSV file as it was read."""

    file: Path
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    def place(self, name: str, needs: str) -> int:
        """Return where the column ``name`` stands; raises ``ConfigError`` saying what the file ``needs``."""
        found = [at for at, column in enumerate(self.columns) if plain(column) == plain(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigError(f"{self.file} has the column {name!r} {len(found)} times: leave one")
        guess = nearest(name, self.columns)
        raise ConfigError(f"{self.file} has no column {name!r}{guess}: it needs {needs}; {self._there_are()}")

    def label_place(self, asked: str | None, names: Sequence[str]) -> int:
        """Return where the labels stand: in the column ``asked`` for, or in the one called label or by a name."""
        if asked is not None:
            return self.place(asked, "the column that --column names")
        found = [at for at, column in enumerate(self.columns) if plain(column) in map(plain, ("label", *names))]
        if len(found) == 1:
            return found[0]
        if found:
            those = " and ".join(repr(self.columns[at]) for at in found)
            raise ConfigError(f"{self.file} has the columns {those}: say with --column which one to compare with")
        raise ConfigError(
            f"{self.file} has no column of labels: name it {names[0]} or label, or say which with --column; "
            f"{self._there_are()}"
        )

    def misfit(self, line: Line) -> str | None:
        """Return what is wrong with a line that has more cells or fewer than there are columns."""
        if len(line.cells) == len(self.columns):
            return None
        return (
            f"{len(line.cells)} cells under {len(self.columns)} columns; put a text that has a separator in it in "
            '"quotes"'
        )

    def wrong(self, line: Line, problem: str) -> ConfigError:
        """Return the error of a line."""
        return ConfigError(f"{self.file}, line {line.number}: {problem}")

    def _there_are(self) -> str:
        return f"there are: {', '.join(self.columns)}"


def read_labelled(file: Path) -> Labelled:
    """Read a CSV file in which every line has a cell for each column, as :func:`read_lines` does."""
    labelled = read_lines(file, hold="the labelled texts")
    for line in labelled.lines:
        if problem := labelled.misfit(line):
            raise labelled.wrong(line, problem)
    return labelled


def read_lines(file: Path, *, hold: str) -> Labelled:
    """Read a CSV file: UTF-8, with a header; commas, semicolons or tabs between the columns.

    ``hold`` names what its lines hold. Raises ``ConfigError`` naming the file and the fix.
    """
    content = _content(file)
    records = _records(file, content)
    header = next(records, None)
    if header is None:
        raise ConfigError(f"{file} is empty: the first line names the columns, those below are {hold}")
    columns = tuple(name.strip() for name in header.cells)
    lines = tuple(records)
    if not lines:
        raise ConfigError(f"{file} has no line below its header: add {hold}")
    return Labelled(file, columns, lines)


def _content(file: Path) -> str:
    try:
        content = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"no file at {file}: check its name") from error
    except UnicodeDecodeError as error:
        fix = "save it as CSV UTF-8 (a spreadsheet's own file is no CSV)"
        raise ConfigError(f"{file} is not UTF-8 text: {fix}") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}; name a CSV file that can") from error
    if "\0" in content:
        raise ConfigError(f"{file} is not CSV: it has NUL characters in it; save it as CSV UTF-8")
    return content


def _records(file: Path, content: str) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter_of(content), strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ConfigError(
                f"{file}, line {begins}: is not CSV ({error}); put texts in double quotes and double those within"
            ) from error
        if cells is None:
            return
        if cells:
            yield Line(begins, cells)


def delimiter_of(content: str) -> str:
    """Return what separates the columns: where a comma is a decimal mark, spreadsheets write semicolons.

    The first line that is not empty tells.
    """
    header = re.split(r"[\r\n]", content.lstrip("\r\n"), maxsplit=1)[0]
    return max(_DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), ())))


def plain(name: str) -> str:
    """Return a name so that case, spacing, punctuation and "&" for "and" make no difference."""
    folded = unicodedata.normalize("NFKC", name).casefold().replace("&", " and ")
    return re.sub(r"[\W_]+", "", folded)


# --- what people said


def purpose_of(label: str) -> Purpose:
    """Return the purpose that a label means, in any case; raises ``ValueError`` with the fix."""
    try:
        return Purpose(label.casefold())
    except ValueError as error:
        guess = nearest(label.casefold(), map(str, Purpose))
        raise ValueError(f"write one of {', '.join(Purpose)}{guess}") from error


_SENTIMENTS = {sentiment.value: sentiment for sentiment in Sentiment} | {
    sentiment.value[:3]: sentiment for sentiment in Sentiment
}


def sentiment_word(label: str) -> Sentiment:
    """Return the sentiment that a word means, in any case ("pos" will do); raises ``ValueError`` with the fix."""
    known = _SENTIMENTS.get(label.casefold())
    if known is None:
        raise ValueError(f"write negative, neutral or positive{nearest(label.casefold(), map(str, Sentiment))}")
    return known
