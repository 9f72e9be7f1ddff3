"""Turns texts into the numbers of their features, fast: what a word gives is worked out once and remembered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from listener.signals import features

T = TypeVar("T")
"""What is kept of the pieces of a word."""

_REMEMBERED = 40_000
"""How many tokens are remembered: enough for nearly every word of a day, some 30 MB at the most."""
_LONGEST_REMEMBERED = 40
_LEAST_CLAUSE = 3
_REACH = 3
_LAST = 3
_QUESTION, _TITLED, _SHOUTED = features.QUESTION, features.TITLED, features.SHOUTED
"""The last are the two highest bits of all."""
_SHOUTED_SENTENCE = 4
"""So many shouted words are a sentence."""
_HEADLINE = 6
"""Of so many tokens, most of them with a capital, it is a headline."""
_LONGEST_LENGTH = 8
_NAMES = {
    features.FIRST_PERSON: "cue:first-person",
    features.FIRST_PERSON | features.KIN: "cue:kin",
    features.QUESTION: "cue:question",
    features.EXCLAMATION: "cue:exclamation",
    features.HASHTAG: "cue:hashtag",
    features.MONEY: "cue:money",
    features.LINK: "cue:link",
    features.HANDLE: "cue:handle",
}
"""The cues that a text has as soon as its tokens have them, all of a line's together."""


class Features(NamedTuple, Generic[T]):
    """The features of a text: those in the vocabulary by their numbers, and what is kept of its words' pieces.

    Each feature and each word once, in the order of the text.
    """

    numbers: tuple[int, ...]
    words: tuple[T, ...]

    def and_also(self, numbers: Collection[int]) -> Features[T]:
        """Return these and some more, none of which is among these."""
        if not numbers:
            return self
        return Features((*self.numbers, *numbers), self.words)


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A text as the models read it: the features of all of it, of each part of a long one, and of each clause.

    ``texts`` are the parts as they are written. A part has an end and cues of its own; a clause has an end of its
    own, and the cues of the whole. The part or clause of a text that has one only is the text.
    """

    whole: Features[T]
    texts: tuple[str, ...]
    parts: tuple[Features[T], ...]
    clauses: tuple[Features[T], ...]


class _Token(Generic[T]):
    """What one way to write a word or sign means, wherever it stands: numbers of features, and what it does."""

    __slots__ = ("cues", "end", "ends", "kept", "last_tone", "negated", "negates", "numbers", "text", "turns")

    text: str
    kept: T | None
    numbers: tuple[int, ...]
    negated: tuple[int, ...]
    end: tuple[int, ...]
    last_tone: tuple[int, ...] | None
    ends: bool
    negates: bool
    turns: bool
    cues: int


class _Cues(NamedTuple):
    """What a text is like: the bits of its tokens, and what only the whole of it tells."""

    bits: int
    asks: bool
    shouted: int
    is_headline: bool
    length: int


def _names(cues: _Cues) -> Iterator[str]:
    for needed, name in _NAMES.items():
        if cues.bits & needed == needed:
            yield name
    if cues.asks:
        yield "cue:ends-asking"
    if cues.shouted:
        yield "cue:capitals" if cues.shouted < _SHOUTED_SENTENCE else "cue:shouted"
    if cues.is_headline:
        yield "cue:headline"
    yield f"cue:length-{min(cues.length, _LONGEST_LENGTH)}"


class Featurizer(Generic[T]):
    """Reads texts with one lexicon (word → tone, -4 to 4).

    ``number_of`` returns the number of a feature in a vocabulary, None where it is not in it; ``keep`` makes of
    the numbers of a word's pieces, once each, what is kept of them. Deterministic; safe to share between threads.
    """

    def __init__(
        self,
        number_of: Callable[[str], int | None],
        lexicon: Mapping[str, int],
        keep: Callable[[tuple[int, ...]], T],
    ) -> None:
        self._number_of = number_of
        self._lexicon = lexicon
        self._keep = keep
        self._tokens: _Tokens[T] = _Tokens(self._token)
        self._cues: dict[_Cues, tuple[int, ...]] = {}

    def read(self, text: str) -> Reading[T]:
        """Return the features of ``text`` that are in the vocabulary."""
        texts = tuple(features.parts(text))
        by_part = [self._clauses(part) for part in texts]
        parts = [_joined(clauses) for clauses in by_part]
        everything = _joined(parts)
        cues = self._text_cues(everything.tokens)
        whole = everything.features(cues)
        clauses = by_part[0] if len(by_part) == 1 else [clause for each in by_part for clause in each]
        if len(clauses) == 1:
            return Reading(whole, texts, (whole,), (whole,))
        of_parts = [part.features(self._text_cues(part.tokens)) for part in parts] if len(parts) > 1 else [whole]
        # What the text is like holds for each clause, too: where it was written does not change in the middle.
        of_clauses = [clause.features(cues) for clause in clauses]
        return Reading(whole, texts, tuple(of_parts), tuple(of_clauses))

    def _clauses(self, text: str) -> list[_Stretch[T]]:
        folded = features.fold(text)
        token_of = self._tokens.__getitem__
        return [
            clause
            for sentence in features.sentences(folded) or [folded]
            for clause in self._parted([*map(token_of, features.tokens(sentence))])
        ]

    def _parted(self, tokens: list[_Token[T]]) -> Iterator[_Stretch[T]]:
        """Yield a sentence parted where it turns: "kind nurses, but nine hours of waiting" has two tones."""
        number_of = self._number_of
        last_turn = len(tokens) - _LEAST_CLAUSE
        numbers: list[int] = []
        tone: tuple[int, ...] | None = None
        start = reach = 0
        previous = ""
        for place, token in enumerate(tokens):
            if token.turns and start + _LEAST_CLAUSE <= place < last_turn:
                yield _Stretch(tokens[start:place], numbers, tone)
                start, numbers, tone, reach, previous = place, [], None, 0, ""
            numbers += token.numbers
            if previous:
                pair = number_of(f"{previous} {token.text}")
                if pair is not None:
                    numbers.append(pair)
            previous = token.text
            if token.last_tone is not None:
                tone = token.last_tone
            if token.ends:
                reach = 0
            elif reach:
                reach -= 1
                numbers += token.negated
            if token.negates:
                reach = _REACH
        yield _Stretch(tokens[start:] if start else tokens, numbers, tone)

    def _text_cues(self, tokens: Sequence[_Token[T]]) -> tuple[int, ...]:
        cues = titled = shouted = 0
        for each in [token.cues for token in tokens if token.cues]:
            cues |= each
            titled += each >= _TITLED
            shouted += each >= _SHOUTED
        length = len(tokens)
        asks = bool(length) and tokens[-1].cues & _QUESTION
        is_headline = titled * 2 > length >= _HEADLINE
        seen = _Cues(cues, asks > 0, min(shouted, _SHOUTED_SENTENCE), is_headline, length.bit_length())
        numbers = self._cues.get(seen)
        if numbers is None:
            numbers = self._cues[seen] = self._numbers(_names(seen))
        return numbers

    def _numbers(self, names: Iterable[str]) -> tuple[int, ...]:
        number_of = self._number_of
        return tuple([number for name in names if (number := number_of(name)) is not None])

    def _token(self, written: str) -> _Token[T]:
        token = _Token[T]()
        text = token.text = features.word_of(written)
        token.kept = self._kept(text) if text[0].isalpha() else None
        token.numbers = self._numbers([text])
        token.negated = self._numbers([f"not:{text}"])
        token.end = self._numbers([f"end:{text}"])
        token.last_tone = None
        tone = self._lexicon.get(text)
        if tone is not None:
            token.numbers += self._numbers([f"tone:{tone:+d}"])
            token.negated += self._numbers([f"tone:not:{tone:+d}"])
            token.last_tone = self._numbers([f"tone:last:{tone:+d}"])
        token.ends = text in features.CLAUSE_ENDS
        token.negates = features.negates(text)
        token.turns = text in features.TURNS
        token.cues = features.cues_of(written, text)
        return token

    def _kept(self, word: str) -> T:
        # "Nurses" and "nurses" share it.
        known = self._tokens.get(word)
        if known is not None and known.kept is not None:
            return known.kept
        return self._keep(self._numbers(dict.fromkeys(features.pieces(word))))


class _Tokens(dict[str, _Token[T]]):
    """Each token that has been seen."""

    def __init__(self, token: Callable[[str], _Token[T]]) -> None:
        self._token = token

    def __missing__(self, written: str) -> _Token[T]:
        token = self._token(written)
        if len(written) <= _LONGEST_REMEMBERED:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[written] = token
        return token


class _Stretch(NamedTuple, Generic[T]):
    """Tokens that stand together, and the numbers of what they give, by themselves and with their neighbours.

    ``tone`` is that of the last token that has one.
    """

    tokens: list[_Token[T]]
    numbers: list[int]
    tone: tuple[int, ...] | None

    def features(self, cues: Iterable[int]) -> Features[T]:
        """Return these as a text of their own, that is like ``cues``."""
        tokens = self.tokens
        numbers = self.numbers.copy()
        for token in tokens[-_LAST:]:
            numbers += token.end
        numbers += self.tone or ()
        numbers += cues
        words = {token.text: token.kept for token in tokens if token.kept is not None}
        # Once each, in order: the order of a set of words changes from run to run, and with it the last digit.
        return Features(tuple(dict.fromkeys(numbers)), tuple(words.values()))


def _joined(stretches: Sequence[_Stretch[T]]) -> _Stretch[T]:
    if len(stretches) == 1:
        return stretches[0]
    tokens: list[_Token[T]] = []
    numbers: list[int] = []
    tone = None
    for stretch in stretches:
        tokens += stretch.tokens
        numbers += stretch.numbers
        tone = tone if stretch.tone is None else stretch.tone
    return _Stretch(tokens, numbers, tone)
