"""Combining marks in long rows: whoever takes letters apart first sees that none is too long."""

from __future__ import annotations

import unicodedata

MOST = 30
"""Marks on one letter that are kept, more than any language has (Unicode Standard Annex 15, chapter 13)."""
_SHORT = 1_000
"""Characters of which no order of marks takes long."""
_ALSO = frozenset("\u0f73\u0f75\u0f81\uff9e\uff9f")
"""What is no mark itself and is taken apart into marks alone."""


def thinned(text: str) -> str:
    """Return ``text`` without the marks beyond the first of a long row of them.

    A row of marks is put into its order when it is taken apart, which takes the square of its length in time.
    """
    if len(text) <= _SHORT:
        return text
    kept: list[str] = []
    row = 0
    for letter in text:
        row = row + 1 if unicodedata.combining(letter) or letter in _ALSO else 0
        if row <= MOST:
            kept.append(letter)
    return "".join(kept)
