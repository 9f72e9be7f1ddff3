from __future__ import annotations

import csv
import io
import json
import os
import stat
import threading
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.export import atomic_write, plain_cell, safe_cell, write_file, write_stream
from listener.errors import ConfigError

MOMENT = datetime(2026, 11, 9, 8, 30, tzinfo=UTC)
ROWS = [
    {"channel": "twitter", "text": 'hé, "quoted"\nline', "likes": 3, "published_at": MOMENT, "own": False},
    {"channel": "reddit", "text": None, "likes": None, "published_at": MOMENT, "own": True, "beyond": 1},
]
COLUMNS = ("channel", "text", "likes", "published_at", "own")


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", "  =1", "\u00a0=1"),
        *("\uff1d1", "\uff0b1", "\uff0d1", "\uff20x", " \uff1d1", "\tplain", "=cmd|' /C calc'!A0"),
    ],
)
def test_no_cell_begins_a_formula(text):
    assert plain_cell(f"'{text}") == text
    assert safe_cell(text) == f"'{text}"
    assert safe_cell([text]) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        *((-3, -3), (-0.5, -0.5), (None, None), ("plain = text", "plain = text"), ("(untagged)", "(untagged)")),
        *((True, "true"), (False, "false"), (date(2026, 11, 9), "2026-11-09"), (MOMENT, "2026-11-09T08:30:00Z")),
        (("a", "b"), "a,b"),
        ([], ""),
        ("two\n\tlines", "two\n\tlines"),
        ("naïve 🏥\u00a0", "naïve 🏥\u00a0"),
    ],
)
def test_everything_else_is_left_as_it_is(value, cell):
    assert plain_cell(str(cell)) == str(cell)
    assert safe_cell(value) == cell


EMPTY = '""'
"""How a row of one empty cell is written."""
HOSTILE = {
    "ESC": ("\x1b]0;owned\x07plain", "]0;ownedplain"),
    "C1 CSI": ("\x9b2Jplain", "2Jplain"),
    "NUL": ("pl\x00ain", "plain"),
    "DEL and carriage return": ("pl\x7fain\rover", "plainover"),
    "a formula behind one": ("\r\x1b=1", "'=1"),
    "all of them": ("".join(map(chr, [*range(9), *range(11, 32), *range(127, 160)])), ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_control_character_reaches_a_terminal(name):
    text, cell = HOSTILE[name]
    assert safe_cell(text) == safe_cell([text]) == cell
    assert written([{"text": text}], "csv", ("text",)) == f"text\n{cell or EMPTY}\n"
    for style in ("json", "jsonl"):
        shown = written([{"text": text}], style, ("text",))
        assert all(letter.isprintable() or letter == "\n" for letter in shown)
        read = json.loads(shown)
        assert (read if style == "jsonl" else read[0])["text"] == text


def written(rows, style, columns=COLUMNS):
    stream = io.StringIO()
    assert write_stream(stream, iter(rows), columns, style) == len(rows)
    return stream.getvalue()


def test_csv_reads_back():
    text = written(ROWS, "csv")
    assert "\r" not in text
    read = list(csv.DictReader(io.StringIO(text)))
    assert read[0] == {
        "channel": "twitter",
        "text": 'hé, "quoted"\nline',
        "likes": "3",
        "published_at": "2026-11-09T08:30:00Z",
        "own": "false",
    }
    assert read[1]["text"] == read[1]["likes"] == ""
    assert written([], "csv") == "channel,text,likes,published_at,own\n"


def test_json_is_one_document_and_jsonl_one_a_line():
    expected = [{column: row.get(column) for column in COLUMNS} for row in ROWS]
    for row in expected:
        row["published_at"] = "2026-11-09T08:30:00Z"
    assert json.loads(written(ROWS, "json")) == expected
    assert [json.loads(line) for line in written(ROWS, "jsonl").splitlines()] == expected
    assert json.loads(written([], "json")) == []
    assert "é" in written(ROWS, "json")


def test_what_json_cannot_hold_is_a_bug_and_not_a_guess():
    with pytest.raises(TypeError, match="object"):
        written([{"text": object()}], "jsonl")


def test_parquet_has_one_schema_whatever_the_rows(tmp_path):
    path = tmp_path / "mentions.parquet"
    rows = [{"text": f"number {number}", "likes": number, "topics": ["a", "b"]} for number in range(10_001)]
    columns = (*COLUMNS, "topics", "week_start")
    assert write_file(path, iter(rows), columns, "parquet") == 10_001
    read = pq.read_table(path)
    assert read.column("likes").to_pylist() == list(range(10_001))
    assert read.column("topics")[0].as_py() == ["a", "b"]
    empty = tmp_path / "empty.parquet"
    assert write_file(empty, [], columns, "parquet") == 0
    assert pq.read_schema(empty) == read.schema
    assert [str(field.type) for field in read.schema] == [
        *("string", "string", "int64", "timestamp[us, tz=UTC]", "bool", "list<element: string>", "date32[day]")
    ]


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("as it was")

    def rows():
        yield ROWS[0]
        raise ZeroDivisionError

    for style in ("csv", "json", "parquet"):
        with pytest.raises(ZeroDivisionError):
            write_file(path, rows(), COLUMNS, style)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]
    assert write_file(path, ROWS, COLUMNS, "csv") == 2
    assert path.read_text().startswith("channel,")
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    path = tmp_path / "rows.csv"
    usual = tmp_path / "usual"
    usual.touch()
    write_file(path, ROWS, COLUMNS, "csv")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


def test_a_link_goes_on_pointing_where_it_did(tmp_path):
    (tmp_path / "real.csv").write_text("")
    (tmp_path / "link.csv").symlink_to("real.csv")
    write_file(tmp_path / "link.csv", ROWS, COLUMNS, "csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("channel,")


@pytest.mark.parametrize("name", ["missing/rows.csv", "folder", "file/rows.csv"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=name):
        write_file(tmp_path / name, ROWS, COLUMNS, "csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_full_disk_is_an_error_that_names_the_file():
    full = "/dev/full"
    if not Path(full).exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(ConfigError, match=full):
        write_file(Path(full), ROWS, COLUMNS, "csv")


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with atomic_write(pipe) as file:
        file.write(b"through")
    reader.join(10)
    assert read == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
