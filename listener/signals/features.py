"""From a text to the features that the trained models read: words, pairs of words, pieces of words, cues.

A feature is a string, and a model knows it by its place in the vocabulary:

``word``, ``word word``
    what stands in the text, in lower case; links, handles and numbers are one word each (``<link>``)
``not:word``
    a word in the reach of a negation: the three words after "not", "never", "pas", unless the clause ends
``end:word``
    one of the last three words: what a text ends with weighs more
``~abc``
    a piece of a word, three to five letters; the word's edges are spaces
``tone:+2``, ``tone:not:+2``, ``tone:last:+2``
    a word that the lexicon (``config/lexicon.tsv``) calls good or bad, from -4 to 4; the same in the reach of a
    negation; the last such word of the text
``cue:…``
    what is not a word: a question mark, capitals, first person, a money sign

A text has a feature or has it not. Only pieces add up: each word that stands in a text brings its own, once.
This module says what a token is and gives by itself; :mod:`listener.signals.featurizer` reads texts with it.
Deterministic and without I/O.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator


def _words_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LINK = re.compile(r"https?://\S+|(?<!\w)www\.\S+", re.IGNORECASE)
_HANDLE = re.compile(r"(?<!\w)@\w[\w.-]*|(?<!\w)/?u/[\w-]{3,}")
_MARK = re.compile(r"\[(?:email|handle|phone|health number|record number|id number|date of birth|address)\]")
_REPEATED_LETTER = re.compile(r"([^\W\d_])\1{2,}")
_SPACED_SIGN = re.compile(r"([!?.])(?: \1)+")
_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\.+|\d[\d.,:]*|<\w+>|<3|[:;=][-']?[()DPp/|*\[\]]+|!+|\?+|[^\w\s]")
_SENTENCE_END = re.compile(r"(?<=[.!?\u2026])[\"')\]]*\s+|\n+")
CLAUSE_ENDS = frozenset(".,;:!?()\u2026\u2014") | {"..", "!!", "??", "but", "mais", "however", "though"}
TURNS = frozenset({"but", "however", "although", "though", "mais", "cependant", "pourtant", "toutefois"})
_NEGATIONS = _words_of(
    "aint arent aucun aucune barely cannot cant couldnt didnt doesnt dont hadnt hardly hasnt havent "
    "isnt jamais lack lacked lacking lacks neither never ni no nobody none nor not nothing pas personne "
    "plus rien sans shouldnt wasnt werent without wont wouldnt"
)
_FIRST_PERSON = _words_of(
    "i i'd i'm i've im ive j'ai j'étais je ma me mes mine moi mon my nos notre nous our us we we're we've"
)
_KIN = _words_of(
    "aunt aunty baby blonde boyfriend brother bébé child chum conjoint conjointe cousin dad daughter "
    "enfant father femme fiancé fiancée fil fille fils friend frère girlfriend gran grand-mère grandad "
    "grandfather grandma grandmother grandpa granny hubby husband kid kids mam maman mari mil mom "
    "mother mum mère nan neighbor neighbour oncle papa partner père roommate sister soeur son sœur "
    "tante toddler uncle voisin voisine wife"
)
_SIZES = (3, 4, 5)
_LONG_WORD = 24
_LONGEST = 20_000
_LONG = 300
"""A longer text is read in parts, too: of a whole page, a line on parking is too little to be heard."""
_PART = 250
_SHOUTED = 3
"""A word of so many capitals is shouted: "ER" is not."""

# What a token tells of its text, whatever word it is: bits of one number. Only what is titled is shouted.
FIRST_PERSON, KIN, LINK, HANDLE, QUESTION, EXCLAMATION, HASHTAG, MONEY, TITLED, SHOUTED = (
    1 << bit for bit in range(10)
)

_SIGNS = {
    "?": QUESTION,
    "??": QUESTION,
    "!": EXCLAMATION,
    "!!": EXCLAMATION,
    "#": HASHTAG,
    "$": MONEY,
    "\u00a3": MONEY,
    "\u20ac": MONEY,
    "<link>": LINK,
    "<handle>": HANDLE,
}


def fold(text: str) -> str:
    """Return ``text`` as features are read in it: NFKC, plain apostrophes, links and handles as marks."""
    text = text[:_LONGEST]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.encode("utf-8", "replace").decode("utf-8"))
        text = text.replace("\ufe0f", "").replace("\u2019", "'").replace("\u2018", "'").replace("\u02bc", "'")
    if "/" in text or "@" in text or "www." in text.lower():
        text = _HANDLE.sub(" <handle> ", _LINK.sub(" <link> ", text))
    if "[" in text:
        text = _MARK.sub(" <mark> ", text)
    if "! !" in text or "? ?" in text or ". ." in text:
        text = _SPACED_SIGN.sub(r"\1\1", text)
    return text


def without_marks(text: str) -> str:
    """Return ``text`` without the marks that redaction left; an end of sentence stands for each."""
    return _MARK.sub(" . ", text) if "[" in text else text


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, split where a line or a sentence ends."""
    return [part for part in _SENTENCE_END.split(text) if part and not part.isspace()]


def parts(text: str) -> list[str]:
    """Return the text, or a long one in parts: sentences together while they are short enough."""
    if len(text) <= _LONG:
        return [text]
    some = [""]
    for sentence in sentences(text):
        if some[-1] and len(some[-1]) + len(sentence) > _PART:
            some.append("")
        some[-1] = f"{some[-1]} {sentence}" if some[-1] else sentence
    return some


def tokens(sentence: str) -> list[str]:
    """Return the words, numbers and signs of a folded sentence, as they are written."""
    return _TOKEN.findall(sentence)


def word_of(token: str) -> str:
    """Return what a token counts as: "Soooo" as "sooo", "!!!!" as "!!", any number as "<number>"."""
    first = token[0]
    if first.isalpha():
        return _REPEATED_LETTER.sub(r"\1\1\1", token.lower())
    if first.isdigit():
        return "<number>"
    return token[:2] if first in "!?." else token.lower()


def cues_of(token: str, word: str) -> int:
    """Return what a token tells of its text, as bits; ``word`` is what it counts as."""
    cues = _SIGNS.get(word, 0)
    if word in _FIRST_PERSON:
        cues |= FIRST_PERSON
    if word in _KIN:
        cues |= KIN
    if token[0].isupper():
        cues |= TITLED
        if token.isupper() and len(token) >= _SHOUTED:
            cues |= SHOUTED
    return cues


def negates(word: str) -> bool:
    """Return whether a word turns what follows into its opposite."""
    return word in _NEGATIONS or word.endswith("n't")


def pieces(word: str) -> Iterator[str]:
    """Yield the pieces of a word, some of them more than once; a sign and a mark have none."""
    if not word[0].isalpha():
        return
    edged = f" {word[:_LONG_WORD]} "
    for size in _SIZES:
        for end in range(size, len(edged) + 1):
            yield f"~{edged[end - size : end]}"
