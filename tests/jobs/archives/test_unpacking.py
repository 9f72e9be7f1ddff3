"""Archives that are made to harm: little that unpacks to much, very many parts, ends in every place."""

from __future__ import annotations

import bz2
import gzip
import io
import resource
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from jobs.archives import files
from jobs.archives.files import fingerprint, on_disk, opened
from listener.errors import ConfigError

MIB = 1 << 20
SIZE = 64 * MIB


def zst(data: bytes, *, checksum: bool = False) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False, write_checksum=checksum).compress(data)


@pytest.mark.parametrize("pack", [zst, gzip.compress, bz2.compress])
def test_little_that_unpacks_to_much_is_never_held_at_once(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    file = tmp_path / "bomb"
    file.write_bytes(pack(bytes(SIZE)))
    assert file.stat().st_size < SIZE / 900
    # The first opening imports what it needs.
    with opened(str(file)) as content:
        content.read(1)
    tracemalloc.start()
    try:
        with opened(str(file)) as content:
            read = sum(len(some) for some in iter(lambda: content.read(MIB // 4), b""))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read == SIZE
    assert peak < 16 * MIB


@pytest.mark.parametrize("checksum", [False, True])
def test_very_many_frames_are_gathered_to_what_was_asked_for(checksum: bool, tmp_path: Path) -> None:
    frames = zst(b"x", checksum=checksum) + zst(b"", checksum=checksum)
    file = tmp_path / "frames"
    file.write_bytes(frames * 20_000)
    with opened(str(file)) as content:
        # Handed on one by one, each would be put behind the rest of its line: the square of their number.
        assert content.read(15_000) == b"x" * 15_000
        assert content.read() == b"x" * 5_000
        assert content.taken() == file.stat().st_size


@pytest.mark.parametrize("checksum", [False, True])
def test_what_stands_before_a_damage_is_read_and_the_damage_told(checksum: bool, tmp_path: Path) -> None:
    whole = bytes(range(256)) * 2048
    first, file = zst(b"first\n", checksum=checksum), tmp_path / "cut"
    second = zst(whole, checksum=checksum)
    for cut in (*range(1, 12), len(second) // 2, len(second) - 3, len(second) - 1):
        file.write_bytes(first + second[:cut])
        with opened(str(file)) as content:
            assert content.read(MIB).startswith(b"first\n")
            for _ in range(2):
                with pytest.raises(ConfigError, match="it ends within a frame"):
                    content.read(MIB)


def test_a_skippable_frame_is_passed_over_and_may_be_cut_off_too(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18" + (3 * MIB).to_bytes(4, "little") + bytes(3 * MIB)
    file = tmp_path / "skippable"
    file.write_bytes(skippable + zst(b"text"))
    with opened(str(file)) as content:
        assert content.read(100) == b"text"
    file.write_bytes(skippable[:-1])
    with opened(str(file)) as content, pytest.raises(ConfigError, match="cut off"):
        content.read(1)


@pytest.mark.parametrize("kind", [1, 3])
def test_a_block_that_says_more_than_a_block_may_hold_is_damaged(kind: int, tmp_path: Path) -> None:
    header = b"\x28\xb5\x2f\xfd\x00\x58"
    block = ((2**21 - 1) << 3 | kind << 1 | 1).to_bytes(3, "little")
    file = tmp_path / "block"
    file.write_bytes(header + block + bytes(2**21))
    with opened(str(file)) as content, pytest.raises(ConfigError, match="damaged"):
        content.read(1)


# --- standard input


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made; standard input has ten megabytes."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"line\n" * 2 * MIB)))
    return tmp_path / "tmp"


def test_standard_input_is_kept_without_a_name_and_read_again(folder: Path) -> None:
    with on_disk("-") as name:
        assert (list(folder.iterdir()) == []) is Path("/proc/self/fd").exists()
        for _ in range(2):
            with opened(name) as content:
                assert sum(len(some) for some in iter(lambda: content.read(MIB), b"")) == 10 * MIB
        assert fingerprint(Path(name)).size == 10 * MIB
        told = subprocess.run(["wc", "-c", name], capture_output=True, check=True, text=True)
        assert told.stdout.split()[0] == str(10 * MIB)
    assert list(folder.iterdir()) == []


def test_where_no_file_can_be_known_by_its_number_it_has_a_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.os, "getpid", lambda: 2**40)
    with on_disk("-") as name:
        assert [str(file) for file in folder.iterdir()] == [name]
        with opened(name) as content:
            assert content.read(5) == b"line\n"
    assert list(folder.iterdir()) == []


def test_where_there_is_no_room_for_standard_input_it_is_told(folder: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))
    try:
        with pytest.raises(ConfigError, match="set TMPDIR to a folder with room"), on_disk("-"):
            pytest.fail("it was kept")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    folder.rmdir()
    with pytest.raises(ConfigError, match=r"cannot be kept until it is read \(No such file"), on_disk("-"):
        pytest.fail("it was kept")
