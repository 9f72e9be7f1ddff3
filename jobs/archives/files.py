"""Archives as streams of bytes: found by name or pattern, unpacked by their first bytes, known again later.

A compressed archive cannot be entered in its middle: to go on from a place in its content, what stands before is
unpacked once more and thrown away, which takes a small part of what reading took.
"""

from __future__ import annotations

import bz2
import glob
import gzip
import hashlib
import io
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

from listener.errors import ConfigError

STANDARD_INPUT = "-"
REJECTS = ".rejects.jsonl"
"""What a file of rejects is named as, after its archive."""
_LARGEST_WINDOW = 2**31
"""What ``zstd --long=31`` packs with, as the large monthly dumps do: unpacking one takes so much memory."""
_SAMPLE = 64 * 1024
_MAGIC = ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"))
_SKIPPABLE = bytes(range(0x50, 0x60))
_SKIPPABLE_REST = b"\x2a\x4d\x18"
_AT_ONCE = 1 << 20
_REPEATED = 1
"""The kind of a block of zstd that is one byte, many times."""


class Source(Protocol):
    """What a reader asks of a stream."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, none only at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells that a file is the one of before: its size in bytes, a digest of its first and last 64 KiB."""

    size: int
    digest: str


class Content:
    """An open archive: its unpacked bytes. Reading raises ``ConfigError`` where it is damaged or cut off."""

    def __init__(self, name: str, stream: Source, taken: Callable[[], int]) -> None:
        self.name = name
        self._stream = stream
        self.taken = taken
        """Tells how many packed bytes have been taken from the file so far."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, none only at the end."""
        with _problems(self.name):
            return self._stream.read(size)

    def skip(self, count: int) -> None:
        """Go ``count`` unpacked bytes on."""
        if isinstance(self._stream, io.BufferedReader) and self._stream.seekable():
            self._stream.seek(count, io.SEEK_CUR)
            return
        while count > 0 and (some := self.read(min(count, _AT_ONCE))):
            count -= len(some)


def expand(patterns: Iterable[str]) -> list[str]:
    """Return the files that names and patterns (``*``, ``?``, ``[…]``, ``**``) stand for, each once, in order.

    ``-`` is standard input. No pattern stands for a file of rejects, which an import has written. Raises
    ``ConfigError`` for a pattern without a file, and a name that is none.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern == STANDARD_INPUT or Path(pattern).exists() or not glob.has_magic(pattern):
            some = [pattern]
        else:
            names = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no pattern from the root
            some = sorted(filter(_is_meant, names))
            if not some:
                raise ConfigError(f"no file is named as {pattern}: check the pattern")
        found.update(dict.fromkeys(some))
    for name in found:
        if name != STANDARD_INPUT and not Path(name).is_file():
            kind = "is no file" if Path(name).exists() else "does not exist"
            raise ConfigError(f"{name} {kind}: check its name, or quote a pattern such as 'dumps/*.zst'")
    return list(found)


def _is_meant(name: str) -> bool:
    return Path(name).is_file() and not name.endswith(REJECTS)


def fingerprint(path: Path) -> Fingerprint:
    """Return what the file is known by; raises ``ConfigError`` where it cannot be read."""
    with _problems(str(path)), path.open("rb") as file:
        size = path.stat().st_size
        digest = hashlib.sha256(file.read(_SAMPLE))
        file.seek(max(0, size - _SAMPLE))
        digest.update(file.read(_SAMPLE))
    return Fingerprint(size, digest.hexdigest()[:32])


@contextmanager
def opened(name: str) -> Iterator[Content]:
    """Open an archive for a block, unpacked where it is zstd, gzip or bzip2.

    What it is packed with is told by its first bytes. Raises ``ConfigError`` where it cannot be opened.
    """
    with ExitStack() as open_files:
        with _problems(name):
            raw = open_files.enter_context(Path(name).open("rb"))
            counted = _Counted(raw)
            stream = _unpacked(io.BufferedReader(counted, _AT_ONCE), open_files)
        yield Content(name, stream, lambda: counted.count)


@contextmanager
def on_disk(name: str) -> Iterator[str]:
    """Give the name of a file that can be read again: standard input is kept in one for the block, as it came.

    On Linux that file has no name in any folder, so that nothing is left of it however the process ends; processes
    of the same user can read it by the name that is given. Raises ``ConfigError`` where there is no room.
    """
    if name != STANDARD_INPUT:
        yield name
        return
    with ExitStack() as open_files:
        try:
            kept: IO[bytes] = open_files.enter_context(tempfile.TemporaryFile())
            known_as = f"/proc/{os.getpid()}/fd/{kept.fileno()}"
            if not Path(known_as).exists():
                named = open_files.enter_context(tempfile.NamedTemporaryFile(prefix="listener-import-"))
                kept, known_as = named.file, named.name
            shutil.copyfileobj(sys.stdin.buffer, kept, _AT_ONCE)
            kept.flush()
        except OSError as error:
            raise ConfigError(
                f"standard input cannot be kept until it is read ({error.strerror or error}): set TMPDIR to a "
                "folder with room for it, or import it as a file"
            ) from error
        yield known_as


class _Counted(io.RawIOBase):
    """Counts what is read; seeks where what it wraps can."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.count = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self.count = self._raw.seek(offset, whence)
        return self.count

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # io names no type for it
        some = self._raw.read(len(buffer))
        buffer[: len(some)] = some
        self.count += len(some)
        return len(some)


def _unpacked(file: io.BufferedReader, open_files: ExitStack) -> Source:
    head = file.peek(4)[:4]
    packing = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
    if head[1:] == _SKIPPABLE_REST and head[:1] in _SKIPPABLE:
        packing = "zstd"
    if packing == "zstd":
        return _Zstd(file)
    if packing == "gzip":
        return open_files.enter_context(gzip.GzipFile(fileobj=file))
    if packing == "bzip2":
        return open_files.enter_context(bz2.BZ2File(file))
    return file


class _Zstd:
    """Unpacks the frames of a zstd file one after the other, and tells where the last one is cut off.

    It goes block by block (RFC 8878, chapter 3.1.1), each of 128 KiB at the most, however little it is packed:
    what a frame holds is never unpacked at once.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        import zstandard

        self._file = file
        self._errors = (EOFError, zstandard.ZstdError)
        self._unpacker = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        self._header_size = zstandard.frame_header_size
        self._told_in = zstandard.get_frame_parameters
        self._frame: Any = None
        self._has_checksum = False
        self._ready: list[bytes] = []
        self._count = 0
        self._problem: Exception | None = None

    def read(self, size: int = -1, /) -> bytes:
        while self._problem is None and (size < 0 or self._count < size):
            try:
                some = self._next()
            except self._errors as problem:
                self._problem = problem
                break
            if some is None:
                break
            if some:
                self._ready.append(some)
                self._count += len(some)
        if self._problem is not None and not self._count:
            raise self._problem
        ready = b"".join(self._ready)
        some = ready if size < 0 else ready[:size]
        self._ready = [ready[len(some) :]]
        self._count = len(ready) - len(some)
        return some

    def _next(self) -> bytes | None:
        """Return what the next block holds, nothing for what is none, None at the end of the file."""
        if self._frame is None:
            return self._begun()
        head = self._exactly(3)
        told = int.from_bytes(head, "little")
        is_last, kind, size = told & 1, told >> 1 & 3, told >> 3
        packed = head + self._exactly(1 if kind == _REPEATED else size)
        if is_last and self._has_checksum:
            packed += self._exactly(4)
        some: bytes = self._frame.decompress(packed)
        if is_last:
            self._frame = None
        return some

    def _begun(self) -> bytes | None:
        if not self._file.peek(1):
            return None
        head = self._exactly(4)
        if head[1:] == _SKIPPABLE_REST and head[0] in _SKIPPABLE:
            left = int.from_bytes(self._exactly(4), "little")
            while left:
                left -= len(self._exactly(min(left, _AT_ONCE)))
            return b""
        head += self._exactly(1)
        head += self._exactly(self._header_size(head) - len(head))
        self._has_checksum = self._told_in(head).has_checksum
        self._frame = self._unpacker.decompressobj()
        self._frame.decompress(head)
        return b""

    def _exactly(self, count: int) -> bytes:
        some = self._file.read(count)
        if len(some) < count:
            raise EOFError("it ends within a frame")
        return some


@contextmanager
def _problems(name: str) -> Iterator[None]:
    """Turn what goes wrong with a file into a ``ConfigError`` that names it and what to do."""
    import zstandard

    try:
        yield
    except (EOFError, zlib.error, zstandard.ZstdError) as error:
        raise ConfigError(f"{name} is damaged or was cut off ({error}): fetch it again") from error
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror or error}; check the file") from error
