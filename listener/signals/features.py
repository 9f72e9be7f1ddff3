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

Features are binary: a text has one or has it not. Deterministic and without I/O.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping


def _words_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LINK = re.compile(r"https?://\S+|(?<!\w)www\.\S+", re.IGNORECASE)
_HANDLE = re.compile(r"(?<!\w)@\w[\w.-]*|(?<!\w)/?u/[\w-]{3,}")
_MARK = re.compile(r"\[(?:email|handle|phone|health number|record number|id number|date of birth|address)\]")
_REPEATED_LETTER = re.compile(r"([^\W\d_])\1{2,}")
_REPEATED_SIGN = re.compile(r"([!?.])(?:\s?\1)+")
_TOKEN = re.compile(r"<\w+>|<3|[:;=][-']?[()DPp/|*\[\]]+|[^\W\d_]+(?:'[^\W\d_]+)*|\d[\d.,:]*|[^\w\s]")
_SENTENCE_END = re.compile(r"(?<=[.!?\u2026])[\"')\]]*\s+|\n+")
_CLAUSE_ENDS = frozenset(".,;:!?()\u2026\u2014") | {"..", "!!", "??", "but", "mais", "however", "though"}
_TURNS = frozenset({"but", "however", "although", "though", "mais", "cependant", "pourtant", "toutefois"})
_LEAST_CLAUSE = 3
_REACH = 3
_SIGNS = {
    "?": "cue:question",
    "!": "cue:exclamation",
    "#": "cue:hashtag",
    "$": "cue:money",
    "\u00a3": "cue:money",
    "\u20ac": "cue:money",
}
_MARKS = {"<link>": "cue:link", "<handle>": "cue:handle"}
_SHOUTED, _SHOUTED_SENTENCE = 3, 4
"""A word of so many capitals is shouted ("ER" is not), and so many of them are a sentence."""
_HEADLINE = 6
"""Of so many words, most of them with a capital, it is a headline."""
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


def fold(text: str) -> str:
    """Return ``text`` as features are read in it: NFKC, plain apostrophes, links and handles as marks."""
    text = text[:_LONGEST]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.encode("utf-8", "replace").decode("utf-8"))
        text = text.replace("\ufe0f", "").replace("\u2019", "'").replace("\u2018", "'").replace("\u02bc", "'")
    if "/" in text or "www." in text or "@" in text:
        text = _HANDLE.sub(" <handle> ", _LINK.sub(" <link> ", text))
    if "[" in text:
        text = _MARK.sub(" <mark> ", text)
    text = _REPEATED_LETTER.sub(r"\1\1\1", text)
    return _REPEATED_SIGN.sub(r" \1\1 ", text)


def without_marks(text: str) -> str:
    """Return ``text`` without the marks that redaction left; an end of sentence stands for each."""
    return _MARK.sub(" . ", text) if "[" in text else text


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, split where a line or a sentence ends."""
    return [part for part in _SENTENCE_END.split(text) if part and not part.isspace()]


def words(sentence: str) -> list[str]:
    """Return the words and signs of a folded sentence, in lower case; a number is ``<number>``."""
    return ["<number>" if token[0].isdigit() else token.lower() for token in _TOKEN.findall(sentence)]


def clauses(tokens: list[str]) -> list[list[str]]:
    """Return a sentence's words parted where it turns: "kind nurses, but nine hours of waiting" has two tones."""
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token in _TURNS and len(parts[-1]) >= _LEAST_CLAUSE:
            parts.append([])
        parts[-1].append(token)
    if len(parts) > 1 and len(parts[-1]) <= _LEAST_CLAUSE:
        last = parts.pop()
        parts[-1] += last
    return parts


def word_features(tokens: list[str], lexicon: Mapping[str, int]) -> Iterator[str]:
    """Yield what the words of one sentence give together: pairs, and words in the reach of a negation."""
    reach = 0
    previous = ""
    for token in tokens:
        if previous:
            yield f"{previous} {token}"
        previous = token
        if token in _CLAUSE_ENDS:
            reach = 0
        elif reach:
            reach -= 1
            yield f"not:{token}"
            if token in lexicon:
                yield f"tone:not:{lexicon[token]:+d}"
        if token in _NEGATIONS or token.endswith("n't"):
            reach = _REACH


def end_features(tokens: list[str], lexicon: Mapping[str, int]) -> Iterator[str]:
    """Yield the last words of a text as such, and the tone of the last that has one."""
    for token in tokens[-3:]:
        yield f"end:{token}"
    last = next((lexicon[token] for token in reversed(tokens) if token in lexicon), None)
    if last is not None:
        yield f"tone:last:{last:+d}"


def pieces(word: str, lexicon: Mapping[str, int]) -> Iterator[str]:
    """Yield what a word gives by itself: the word, its tone and its pieces; a sign and a mark have none."""
    yield word
    if word in lexicon:
        yield f"tone:{lexicon[word]:+d}"
    if word[0] == "<" or not word[0].isalpha():
        return
    edged = f" {word[:_LONG_WORD]} "
    for size in _SIZES:
        for start in range(len(edged) - size + 1):
            yield f"~{edged[start : start + size]}"


def cues(text: str, tokens: list[str]) -> Iterator[str]:
    """Yield what a text is like, whatever its words: ``text`` as it was written, ``tokens`` all its words."""
    seen = frozenset(tokens)
    if not seen.isdisjoint(_FIRST_PERSON):
        yield "cue:first-person"
        if not seen.isdisjoint(_KIN):
            yield "cue:kin"
    for sign, cue in _SIGNS.items():
        if sign in text:
            yield cue
    if text.rstrip().endswith("?"):
        yield "cue:ends-asking"
    for mark, cue in _MARKS.items():
        if mark in seen:
            yield cue
    shouted = sum(word.isupper() and len(word) >= _SHOUTED for word in text.split())
    if shouted:
        yield "cue:capitals" if shouted < _SHOUTED_SENTENCE else "cue:shouted"
    titled = sum(word[0].isupper() for word in text.split() if word[0].isalpha())
    if titled * 2 > len(tokens) >= _HEADLINE:
        yield "cue:headline"
    yield f"cue:length-{min(len(tokens).bit_length(), 8)}"
