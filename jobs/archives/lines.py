"""The lines of an archive in blocks, with the place of each: nothing longer than a block is ever held.

A *place* is where a line begins: how many bytes of the unpacked content stand before it, and its number from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.archives.files import Source

BLOCK = 1 << 18
LONGEST_LINE = 32 * 1024 * 1024
"""Bytes. A page of posts is a few megabytes at the most; what is longer is not what it says it is."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line begins: bytes before it, and its number."""

    offset: int = 0
    line: int = 1


TOP = Place()


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines, or (``too_long``) one line that is longer than any may be, whose bytes are not kept."""

    data: bytes
    begin: Place
    end: Place
    too_long: bool = False


def blocks(source: Source, begin: Place, *, longest: int = LONGEST_LINE, size: int = BLOCK) -> Iterator[Block]:
    """Yield the lines of ``source`` that follow, which stands at ``begin``, the first of a line."""
    place, rest = begin, b""
    while some := source.read(size):
        data = rest + some
        cut = data.rfind(b"\n") + 1
        if cut:
            end = Place(place.offset + cut, place.line + data.count(b"\n", 0, cut))
            yield Block(data[:cut], place, end)
            place = end
        rest = data[cut:]
        if len(rest) > longest:
            end, rest = _passed_over(source, place, rest, size)
            yield Block(b"", place, end, too_long=True)
            place = end
    if rest:
        lines = rest.count(b"\n") + (not rest.endswith(b"\n"))
        yield Block(rest, place, Place(place.offset + len(rest), place.line + lines))


def _passed_over(source: Source, place: Place, rest: bytes, size: int) -> tuple[Place, bytes]:
    """Read on to the end of a line that is too long; return where the next begins, and what was read of it."""
    passed = len(rest)
    while some := source.read(size):
        cut = some.find(b"\n") + 1
        if cut:
            # What follows may hold whole lines: they are cut off with the next block.
            return Place(place.offset + passed + cut, place.line + 1), some[cut:]
        passed += len(some)
    return Place(place.offset + passed, place.line + 1), b""
