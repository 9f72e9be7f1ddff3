"""From a file to batches: packed or not, in blocks, as lines, tables or one document, in shards."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import connectors
from jobs.archives import reading
from jobs.archives.files import Content, expand, fingerprint, opened
from jobs.archives.formats import Wanted, formats, plan_for
from jobs.archives.lines import Place, blocks
from jobs.archives.reading import Batch, Plan, Shard, read_shard
from listener.errors import ConfigError
from listener.settings import OrganizationSettings
from storage.queries import COLUMNS

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOSPITAL = OrganizationSettings(
    slug="st-elsewhere",
    name="St. Elsewhere Hospital",
    timezone="America/Toronto",
    aliases=["St. Elsewhere"],
    own_accounts={"reddit": ["StElsewhereOfficial", "r/StElsewhere"], "youtube": ["UCown"], "twitter": ["1234"]},
)
MERCY = OrganizationSettings(slug="mercy", name="Mercy", aliases=["Miséricorde"])


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)


def long_window(data: bytes) -> bytes:
    """As ``zstd --long=31`` packs what comes from a pipe: the frame asks for 2 GiB."""
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=31, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(data) + packer.flush()


SKIPPABLE = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "zstd": zst,
    "zstd with a long window": long_window,
    "zstd in frames": lambda data: SKIPPABLE + zst(data[:9]) + SKIPPABLE + zst(data[9:]),
}


def plan(file: Path | str, *organizations: OrganizationSettings, **wanted: Any) -> Plan:
    return plan_for(
        str(file), Wanted(organizations=organizations or (HOSPITAL, MERCY), **wanted), connectors, now=NOW
    )


def batches(file: Path, how: Plan, **options: Any) -> list[Batch]:
    return list(read_shard(Shard(str(file)), how, **options))


def found(some: list[Batch]) -> list[tuple[str, tuple[str, ...]]]:
    return [(item.found.mention.external_id, item.organizations) for one in some for item in one.items]


def reasons(some: list[Batch]) -> list[tuple[int, int, str]]:
    return [(each.place.line, each.place.offset, each.reason) for one in some for each in one.rejects]


def comment(number: int, body: str = "nothing", **changes: Any) -> bytes:
    values = {"id": f"c{number}", "body": body, "author": "someone", "subreddit": "Hamilton", "link_id": "t3_p"}
    return json.dumps(values | {"parent_id": "t3_p", "created_utc": 1_790_000_000} | changes).encode() + b"\n"


# --- files


@pytest.mark.parametrize("packing", PACKINGS)
def test_what_is_packed_is_told_by_its_bytes_and_can_be_gone_on_with(packing: str, tmp_path: Path) -> None:
    content = b"".join(b"line %d\n" % number for number in range(1000))
    file = tmp_path / "archive.txt"
    file.write_bytes(PACKINGS[packing](content))
    with opened(str(file)) as unpacked:
        assert b"".join(iter(lambda: unpacked.read(100), b"")) == content
        assert unpacked.taken() == file.stat().st_size
        assert unpacked.read() == b""
    with opened(str(file)) as unpacked:
        unpacked.skip(500)
        assert unpacked.read(10) == content[500:510]
        unpacked.skip(10**6)
        assert unpacked.read(1) == b""


@pytest.mark.parametrize(
    "damaged",
    [
        zst(bytes(range(256)) * 99)[:-3],
        gzip.compress(b"x" * 999)[:-9],
        bz2.compress(b"x" * 999)[:-9],
        b"\x28\xb5\x2f\xfd" + b"garbage" * 9,
        b"\x1f\x8b\x08\x00" + b"garbage" * 9,
        b"BZh9" + b"garbage" * 9,
    ],
    ids=["zstd cut off", "gzip cut off", "bzip2 cut off", "no zstd", "no gzip", "no bzip2"],
)
def test_an_archive_that_is_damaged_or_cut_off_is_told(damaged: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(damaged)
    with (
        opened(str(tmp_path / "a")) as content,
        pytest.raises(ConfigError, match=r"a (is damaged or was cut off|cannot be read)"),
    ):
        content.skip(10**9)


def test_names_and_patterns_are_files_each_once(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "[c].txt", "d.csv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.txt").mkdir()
    star, own = str(tmp_path / "*.txt"), str(tmp_path / "[c].txt")
    names = [Path(name).name for name in expand([star, own, str(tmp_path / "d.csv"), "-"])]
    assert names == ["[c].txt", "a.txt", "b.txt", "d.csv", "-"]
    rejects = tmp_path / "a.txt.rejects.jsonl"
    rejects.write_text("x")
    assert expand([str(tmp_path / "a.txt*")]) == [str(tmp_path / "a.txt")]
    assert expand([str(rejects)]) == [str(rejects)]
    with pytest.raises(ConfigError, match="no file is named as"):
        expand([str(tmp_path / "*.zst")])
    with pytest.raises(ConfigError, match="does not exist"):
        expand([str(tmp_path / "e.csv")])
    with pytest.raises(ConfigError, match="is no file"):
        expand([str(tmp_path)])


def test_a_file_is_known_by_its_size_and_both_its_ends(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a" * 200_000)
    before = fingerprint(file)
    assert fingerprint(file) == before
    for changed in (b"b" + b"a" * 199_999, b"a" * 199_999 + b"b", b"a" * 200_001):
        file.write_bytes(changed)
        assert fingerprint(file) != before
    with pytest.raises(ConfigError, match="cannot be read"):
        fingerprint(tmp_path / "none")


# --- lines


class Bytes:
    """A source that gives as much as it likes."""

    def __init__(self, data: bytes, most: int) -> None:
        self._data, self._most = data, most

    def read(self, size: int = -1, /) -> bytes:
        size = self._most if size < 0 else min(size, self._most)
        some, self._data = self._data[:size], self._data[size:]
        return some


@given(st.lists(st.text("ab\r", max_size=9)), st.integers(1, 9), st.integers(1, 9))
def test_blocks_are_all_lines_with_their_places(lines: list[str], most: int, longest: int) -> None:
    data = "\n".join(lines).encode()
    got = list(blocks(Bytes(data, most), Place(), longest=longest, size=7))
    assert [(one.begin, one.end) for one in got] == [
        *zip([Place(), *(one.end for one in got)][: len(got)], (one.end for one in got), strict=True)
    ]
    kept = b"".join(one.data if not one.too_long else b"?" * (one.end.offset - one.begin.offset) for one in got)
    assert len(kept) == len(data)
    assert all(left in (ord("?"), right) for left, right in zip(kept, data, strict=True))
    if got:
        assert got[-1].end == Place(
            len(data), len(data.splitlines(keepends=True)) + 1 if b"\r" not in data else got[-1].end.line
        )
    for one in got:
        if one.too_long:
            assert one.end.offset - one.begin.offset > longest
            assert data[one.begin.offset : one.end.offset].count(b"\n") <= 1


def test_a_line_that_is_too_long_is_rejected_and_the_next_is_read(tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(comment(1, "x" * 3_000_000) + comment(2, "St. Elsewhere"))
    how = plan_with(file, longest_line=1_000_000)
    got = batches(file, how)
    assert found(got) == [("t1_c2", ("st-elsewhere",))]
    assert reasons(got) == [(1, 0, "longer than 1,000,000 bytes")]


def plan_with(file: Path, **changes: Any) -> Plan:
    from dataclasses import replace

    return replace(plan(file), **changes)


def test_what_is_named_or_its_own_is_taken_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(
        b"\xef\xbb\xbf"
        + comment(1, "at St. Elsewhere")
        + comment(2)
        + b"\n"
        + comment(3, "l'hopital de la MISÉRICORDE et St. Elsewhere")
        + comment(4, author="stelsewhereofficial")
        + comment(5, subreddit="StElsewhere")
        + comment(6, "St. Elsewheres")
        + comment(7, "[removed]", subreddit="StElsewhere")
        + b'{"body": "St. Elsewhere", "sub'
    )
    got = batches(file, plan(file))
    assert found(got) == [
        ("t1_c1", ("st-elsewhere",)),
        ("t1_c3", ("st-elsewhere", "mercy")),
        ("t1_c4", ("st-elsewhere",)),
        ("t1_c5", ("st-elsewhere",)),
    ]
    assert sum(one.gone for one in got) == 1
    assert sum(one.lines for one in got) == 9
    ((line, offset, reason),) = reasons(got)
    assert file.read_bytes()[offset:].startswith(b'{"body": "St. Elsewhere", "sub')
    assert (line, "Elsewhere" in reason) == (9, False)


def test_all_of_it_is_taken_for_one_organization(tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(comment(1) + comment(2, "Mercy") + comment(3, "[deleted]"))
    got = batches(file, plan(file, MERCY, forced=MERCY))
    assert found(got) == [("t1_c1", ("mercy",)), ("t1_c2", ("mercy",))]


@pytest.mark.parametrize("packing", PACKINGS)
def test_each_batch_can_be_gone_on_from(packing: str, tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(PACKINGS[packing](b"".join(comment(n, "St. Elsewhere") + comment(-n) for n in range(50))))
    how = plan(file)
    whole = batches(file, how, batch=7)
    assert len(whole) == 8
    for number, one in enumerate(whole):
        rest = list(read_shard(Shard(str(file), one.end), how, batch=7))
        assert found(rest) == found(whole[number + 1 :])
        assert not rest or rest[-1].end == whole[-1].end


def test_shards_have_each_line_once_wherever_they_are_cut(tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(b"".join(comment(n, "St. Elsewhere") for n in range(9)))
    how = plan(file)
    places = [one.end for one in batches(file, how, batch=1)][:-1]
    for cut in places:
        parts = [Shard(str(file), end=cut.offset), Shard(str(file), begin=cut)]
        got = [one for part in parts for one in found(list(read_shard(part, how)))]
        assert got == found(batches(file, how))


def test_how_far_the_file_is_taken_is_told(tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(zst(comment(1) * 9))
    told: list[int] = []
    batches(file, plan(file), taken=told.append)
    assert told[-1] == file.stat().st_size


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff{", "not UTF-8 at byte 1"),
        (b"{,}", "not JSON at character 2: Expecting property name enclosed in double quotes"),
        (b"3", "JSON, but no object"),
        (b"[1]", "JSON, but no object"),
        (b'{"a":' + b"1" * 5000 + b"}", "holds a number that is too long"),
        (b"[" * 100_000, "nested deeper than can be read"),
    ],
)
def test_why_a_line_cannot_be_read_is_told_without_what_it_says(line: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(comment(1) + line + b"\r\n" + comment(2))
    got = batches(file, plan(file, MERCY, forced=MERCY))
    assert reasons(got) == [(2, len(comment(1)), reason)]
    assert len(found(got)) == 2


# --- one document


def test_a_response_over_several_lines_is_one_document(tmp_path: Path) -> None:
    file = tmp_path / "response.json"
    posts = [
        {"id": "185000001", "text": "St. Elsewhere", "created_at": "2026-10-26T12:00:00Z"},
        {"id": "185000002", "text": "elsewhere", "created_at": "2026-10-26T12:00:00Z"},
        {"id": "185000003", "text": "no", "created_at": "2026-10-26T12:00:00Z", "in_reply_to_user_id": "1234"},
        {"id": "185000004", "text": "St. Elsewhere"},
    ]
    file.write_text("\ufeff" + json.dumps({"data": posts, "meta": {"result_count": 4}}, indent=1))
    how = plan(file)
    (one,) = batches(file, how)
    assert (how.format, how.layout) == ("x-v2", "document")
    assert found([one]) == [("185000001", ("st-elsewhere",)), ("185000003", ("st-elsewhere",))]
    assert len(one.rejects) == 1
    assert one.end.offset == file.stat().st_size
    assert list(read_shard(Shard(str(file), one.end), how)) == []
    file.write_text(json.dumps(posts[:1], indent=1))
    assert found(batches(file, plan(file))) == [("185000001", ("st-elsewhere",))]


@pytest.mark.parametrize("count", [1, 2, 17, 18, 19, 40])
def test_a_list_with_one_object_a_line_is_one_document(count: int, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    lines = [comment(number, "St. Elsewhere").strip() for number in range(count)]
    file.write_bytes(b"[\n" + b",\n".join(lines) + b"\n]\n")
    how = plan(file)
    assert (how.format, how.layout) == ("reddit-dump", "document")
    assert len(found(batches(file, how))) == count


def test_a_long_list_is_told_by_its_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.archives.formats._HEAD", 1000)
    file = tmp_path / "list.json"
    file.write_bytes(b"[\n" + b",\n".join(comment(n, "St. Elsewhere").strip() for n in range(9)) + b"\n]\n")
    assert (plan(file).format, plan(file).layout) == ("reddit-dump", "document")
    assert len(found(batches(file, plan(file)))) == 9
    file.write_bytes(b"".join(comment(n, "St. Elsewhere") for n in range(9)))
    assert plan(file).layout == "lines"


@pytest.mark.parametrize(
    ("moment", "is_kept"),
    [
        ("0001-01-01T00:00:00Z", False),
        ("0001-01-01T00:00:00+05:00", False),
        ("9999-12-31T23:59:59-05:00", False),
        ("9999-12-31T23:59:59Z", False),
        ("1970-01-01T00:00:00Z", True),
    ],
)
def test_what_is_dated_at_the_edge_of_the_calendar_is_rejected(moment: str, is_kept: bool, tmp_path: Path) -> None:
    file = tmp_path / "posts"
    post = {"id": "185000001", "text": "St. Elsewhere", "created_at": "2026-10-26T12:00:00Z", "author_id": "7"}
    file.write_text(f"{json.dumps(post)}\n{json.dumps(post | {'created_at': moment})}\n")
    got = batches(file, plan(file))
    assert len(found(got)) == 1 + is_kept
    assert len(reasons(got)) == 1 - is_kept


def test_a_text_that_is_too_long_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(comment(1, "St. Elsewhere " + "e" + "\u0301\u0316" * 100_000) + comment(2, "St. Elsewhere"))
    got = batches(file, plan(file))
    assert [one for one, _ in found(got)] == ["t1_c2"]
    assert [reason for *_, reason in reasons(got)] == ["its text has 200,015 characters, more than 100,000"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"id": "123", "text": 5, "created_at": "2026-10-26T12:00:00Z"}, "post … of X has no text"),
        ({"id": "1", "text": "x", "created_at": "soon 1"}, "post … of X has no readable created_at"),
        ({"id": "x1", "text": "x", "created_at": "soon"}, "a post of X has no id"),
    ],
)
def test_the_id_is_no_part_of_a_reason(line: dict[str, Any], reason: str, tmp_path: Path) -> None:
    file = tmp_path / "posts"
    file.write_text(json.dumps(line) + "\n")
    ((_, _, told),) = reasons(batches(file, plan(file, format="x-v2", forced=HOSPITAL)))
    assert told == reason


def test_ids_have_a_largest_length(tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(comment(1, link_id=f"t3_{'p' * 600}") + comment(2, id="x" * 600) + comment(3))
    some = batches(file, plan(file, format="reddit-dump", forced=HOSPITAL))
    assert [identity for identity, _ in found(some)] == ["t1_c3"]
    assert all("x" * 20 not in told and "p" * 20 not in told for _, _, told in reasons(some))
    table = tmp_path / "table.csv"
    table.write_text(f"id,date,comment,parent\n1,2026-10-26,kind,{'p' * 513}\n2,2026-10-26,kind,1\n")
    some = batches(table, plan(table, forced=HOSPITAL))
    assert [told for _, _, told in reasons(some)] == ["one of its ids has 513 characters, more than 512"]


def test_a_batch_ends_with_as_many_rejects_as_mentions(tmp_path: Path) -> None:
    file = tmp_path / "rc"
    file.write_bytes(comment(1) + b"{broken\n" * 10 + comment(2))
    got = batches(file, plan(file, MERCY, forced=MERCY), batch=4)
    assert [len(one.rejects) for one in got] == [4, 4, 2]


def test_a_document_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_DOCUMENT", 1000)
    with pytest.raises(ConfigError, match="write one object a line"):
        reading.whole(Content("a", Bytes(b"x" * 1001, 400), lambda: 0))


# --- tables


def table(tmp_path: Path, text: str | bytes) -> Path:
    file = tmp_path / "survey.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_a_table_is_read_over_quoted_lines_and_gone_on_with(tmp_path: Path) -> None:
    file = table(
        tmp_path,
        '\ufeffID;Date;Comment\r\n1;2026-10-01;"Kind; but\r\nslow"\r\n\r\n2;2026-10-02;Good\r\n3;2026-10-03\r\n'
        "4;2026-10-04;Fine\r\n",
    )
    how = plan(file, MERCY, forced=MERCY)
    got = batches(file, how, batch=1)
    assert how.format == "csv"
    texts = [(item.found.mention.external_id, item.found.mention.text) for one in got for item in one.items]
    assert texts == [("1", "Kind; but\nslow"), ("2", "Good"), ("4", "Fine")]
    assert [(line, reason) for line, _, reason in reasons(got)] == [(6, "2 cells under 3 columns")]
    for number, one in enumerate(got):
        assert found(list(read_shard(Shard(str(file), one.end), how))) == found(got[number + 1 :])


def test_lines_of_a_table_that_are_no_csv_are_told_and_the_next_is_read(tmp_path: Path) -> None:
    file = table(
        tmp_path,
        b'ID,Date,Comment\n1,2026-10-01,"a" b\n2,2026-10-01,caf\xe9\n3,2026-10-01,'
        + b"x" * 900_000
        + b"\n4,2026-10-01,d\n",
    )
    got = batches(file, plan(file, MERCY, forced=MERCY))
    assert [one for one, _ in found(got)] == ["4"]
    assert [reason.partition(":")[0] for *_, reason in reasons(got)] == ["not CSV", "not UTF-8", "not CSV"]
    how = plan(file, MERCY, forced=MERCY)
    long = batches(file, Plan(**{name: getattr(how, name) for name in how.__slots__} | {"longest_line": 300_000}))
    assert "longer than 300,000 bytes" in [reason for *_, reason in reasons(long)]


@pytest.mark.parametrize("end", ["", '"\n', 'x,"\n'])
def test_a_stray_quote_costs_its_own_line_alone(end: str, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    rows = [f"{number},2026-10-26,{'The nurses were kind ' * 5}" for number in range(1, 3001)]
    rows[0] = '1,2026-10-26,"The nurses'
    rows[998] = '999,2026-10-26,"The nurses'
    file.write_text("id,date,comment\n" + "\n".join(rows) + "\n" + end)
    some = batches(file, plan(file, forced=HOSPITAL))
    kept = [int(identity) for identity, _ in found(some)]
    assert kept == [*range(2, 999), *range(1000, 3001)]
    lines = [line for line, _, _ in reasons(some)]
    assert lines == [2, 1000, *([3002] if end else [])]
    offsets = [offset for _, offset, _ in reasons(some)]
    assert offsets[:2] == [16, len("id,date,comment\n" + "\n".join(rows[:998]) + "\n")]
    in_small = batches(file, plan(file, forced=HOSPITAL), batch=7)
    assert found(in_small) == found(some)
    after = in_small[3].end
    rest = list(read_shard(Shard(str(file), begin=after), plan(file, forced=HOSPITAL), batch=7))
    assert found(rest) == found(in_small[4:])


@pytest.mark.parametrize(
    "content",
    ["Date,Comment\r2026-10-01,Good\r", '"Great" care,x\n2026-10-01,Good\n', f'"{"x" * 140_000}",Date\n1,2\n'],
)
def test_a_header_that_is_no_csv_is_told(content: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"survey\.csv: its first line is no CSV .*: save the table as CSV UTF-8"
    ):
        plan(table(tmp_path, content))


@pytest.mark.parametrize("asked", ["auto", "csv", "jsonl"])
def test_our_own_export_is_no_table(asked: str, tmp_path: Path) -> None:
    file = table(tmp_path, ",".join(COLUMNS) + "\n" + "," * (len(COLUMNS) - 1) + "\n")
    with pytest.raises(ConfigError, match="Listener's own export as CSV: export it with --format jsonl"):
        plan(file, format=asked)


def test_flat_rows_of_a_platform_may_stand_in_a_table(tmp_path: Path) -> None:
    file = table(tmp_path, "cid,text,published_at,channel\nUgx1,At St. Elsewhere,2026-10-01T10:00:00,UCa\n")
    how = plan(file)
    assert how.format == "youtube"
    assert found(batches(file, how)) == [("Ugx1", ("st-elsewhere",))]


# --- formats


def test_a_format_is_asked_for_or_told(tmp_path: Path) -> None:
    assert formats(connectors) == ("auto", "reddit-dump", "x-v2", "twarc", "youtube", "csv", "jsonl")
    file = tmp_path / "rc"
    file.write_bytes(b"{broken\n" + comment(1))
    assert plan(file).format == "reddit-dump"
    assert plan(file, format="twarc").format == "twarc"
    with pytest.raises(ConfigError, match="--as redit-dump: no such format; did you mean 'reddit-dump'"):
        plan(file, format="redit-dump")
    file.write_bytes(b'{"a": 1, "b": 2}\n')
    with pytest.raises(ConfigError, match=r"rc: its first lines tell no format \(its first object has: a, b\)"):
        plan(file)
    file.write_bytes(b"{broken\n{again\n")
    with pytest.raises(ConfigError, match="its first lines tell no format; say --as"):
        plan(file)
    file.write_bytes(b" \n")
    with pytest.raises(ConfigError, match="is empty"):
        plan(file)
    file.write_bytes(comment(1))
    with pytest.raises(ConfigError, match="no column is known to hold the comments"):
        plan(file, format="csv")
    file.write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="is no JSON: --as csv reads a table"):
        plan(file, format="jsonl")
