"""A row of combining marks without end takes no time without end, and changes nothing of what people write."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest

from listener import marks, names
from listener.marks import MOST, thinned
from listener.signals.phrases import normalize
from storage import words

# Of two classes in turn, so that each has to pass the ones before; and what is taken apart into such.
ROWS = (
    "\u0323\u0301",
    "\u0323\u094d",
    "\u0f73",
    "\uff9e\u0301",
    "\u094d\u034f\u0301",
    "\u094d\u05be\u093c",
    "\u0345\u0323",
)
SIZE = 100_000


def test_what_is_taken_apart_into_marks_alone_is_known() -> None:
    also = {
        letter
        for letter in map(chr, range(sys.maxunicode + 1))
        if not unicodedata.combining(letter) and unicodedata.combining(unicodedata.normalize("NFKD", letter)[0])
    }
    assert also == marks._ALSO


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_marks_is_folded_in_no_time(row: str) -> None:
    text = f"caf{'e' + row * SIZE} au lait"
    began = time.process_time()
    assert names.fold(text).endswith(" au lait")
    assert words.fold(text).endswith(" au lait")
    assert normalize(text).endswith(" au lait")
    # Put into order as they stand these take minutes.
    assert time.process_time() - began < 5


def test_what_people_write_stays_as_it_is() -> None:
    text = "\u1ea5\u0323 \u0915\u094d\u0937 " * 400
    assert thinned(text) == text
    zalgo = "H" + "\u0301" * MOST + "\u0302" * 2_000 + "i" + "\u0303"
    assert thinned(zalgo) == "H" + "\u0301" * MOST + "i\u0303"
    assert names.fold(zalgo) == words.fold(zalgo) == "hi"
    assert thinned("H" + "\u0301" * 900) == "H" + "\u0301" * 900
