"""How a text is looked through for an organization's names: by folded letters, and as words of their own.

Folded is what makes no difference when people write a name: case, accents, compatibility forms (full-width and
ornamental letters), and which apostrophe or hyphen the keyboard had.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from listener.marks import thinned

_ALIKE = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'") | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
)


def fold(text: str) -> str:
    """Return ``text`` in small letters without accents; folding twice is folding once, letter by letter.

    NFKD, without marks that combine, and case folded (Unicode, chapter 3.13). The result of a text is that of its
    characters in a row, so that a folded name stands in a folded text wherever it stood in the text.
    """
    if text.isascii():
        return text.lower().replace("`", "'")
    apart = unicodedata.normalize("NFKD", thinned(text.translate(_ALIKE)))
    return "".join([letter for letter in apart if not unicodedata.combining(letter)]).casefold().translate(_ALIKE)


@dataclass(frozen=True, slots=True)
class NamePattern:
    """Finds any of some names as a word of its own."""

    pattern: re.Pattern[str]

    @classmethod
    def of(cls, names: Iterable[str]) -> NamePattern | None:
        """Return what finds any of ``names``, handles with and without ``@``; None where there is no name."""
        words = [fold(name).strip().removeprefix("@").split() for name in names]
        known = [r"\s+".join(map(re.escape, word)) for word in words if word]
        return cls(re.compile(rf"(?<!\w)(?:{'|'.join(known)})(?!\w)")) if known else None

    def is_in(self, text: str) -> bool:
        """Tell whether ``text`` says one of the names."""
        return self.pattern.search(fold(text)) is not None
