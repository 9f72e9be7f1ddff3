"""Finds which of many phrases stand in a text, in one pass over its words.

A normalised text is read as units: words, and the separators between them, such as ``", "``, unless it is a single
space. The phrases are one nondeterministic automaton over units, small since alternatives stay alternatives. It is
made deterministic as it is used: which nodes it is in after a word, and where the next one leads, is worked out
when first needed, and remembered.

How phrases are written is told in :mod:`listener.signals.phrases`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from functools import lru_cache
from itertools import chain

from listener.signals.phrases import GAP, GAP_SEPARATOR, is_word, parse_phrase, segment, written_out

_Label = str | re.Pattern[str]
"""What an edge asks of a unit: a word, ``"wait*"`` for any that begins so, "" for any at all; a separator as it
is, or an expression for all of it."""

_ANY_WORD = ""
_UNIT = re.compile(r"\w+|[^\w ]\W*| \W+")
_PART = re.compile(r"\w+|\W+")
_PHRASE_PART = re.compile(r"\w+\*?|\W+")
_GAP_WORDS = 4
_GLUE = re.compile(r"[.,:']")
"""Alone between two words of a gap it makes them one: "2.5", "wasn't"."""
_NEXT_GAP_SEPARATOR = rf"(?!{_GLUE.pattern}\Z){GAP_SEPARATOR}"
_ANYTHING = "(?s:.*)"

# Some 25 MB, at 58 bytes a unit of cost as measured with the shipped taxonomy.
_REMEMBERED = 400_000
_COST_OF_A_STATE = 6
_MOST_CHUNKS = 30_000
_MOST_KINDS = 100_000
_LONGEST_CHUNK = 40
# Stems are looked up by so many letters.
_HEAD = 3
# A long text looks this often whether all has been forgotten.
_STRETCH = 512
# A walk of more units can only be one along words glued together; it ends where it meets an earlier one.
_LONG_WALK = 32


class _Kind:
    """Units that every phrase takes alike: ``labels`` are those of all the automaton's that they match."""

    __slots__ = ("labels",)

    def __init__(self, labels: tuple[_Label, ...]) -> None:
        self.labels = labels


class _State(dict[_Kind, "_Step"]):
    """Where each kind of unit leads from a set of nodes, worked out when it is first asked for."""

    __slots__ = ("_edges", "_memory")

    def __init__(self, edges: dict[_Label, list[int]], memory: _Memory) -> None:
        self._edges = edges
        self._memory = memory

    def __missing__(self, kind: _Kind) -> _Step:
        edges = self._edges
        met = [edges[label] for label in kind.labels if label in edges]
        nodes = met[0] if len(met) == 1 else [*chain.from_iterable(met)]
        step = self[kind] = self._memory.step(nodes) if nodes else _NOWHERE
        self._memory.cost += 1
        return step


_Step = tuple[tuple[int, ...], _State | None]
"""The phrases that a unit completes, and the state behind it; None where no phrase goes on."""

_NOWHERE: _Step = ((), None)


class _Net:
    """The nondeterministic automaton: nodes are numbers, each with its edges. Complete, it is only read."""

    def __init__(self) -> None:
        self.edges: defaultdict[int, list[tuple[_Label, int]]] = defaultdict(list)
        # The nodes within a gap, told apart by nothing but the words still allowed: the first allows most.
        self.alike: dict[int, int] = {}
        self._nodes = 1
        # Whoever is in a node is in these too.
        self.also: defaultdict[int, list[int]] = defaultdict(list)
        self.complete: defaultdict[int, list[int]] = defaultdict(list)
        self._behind: dict[tuple[int, str], int] = {}

    def add(self, number: int, phrase: str) -> None:
        """Add a phrase under its number; raises ``PhraseError`` where it is not in the phrase language."""
        rows = parse_phrase(phrase)
        if all(segment(part).plain for row in rows for part in row):
            for row in rows:
                self._add_row(number, row)
        else:
            for variant in written_out(phrase):
                self._add_variant(number, variant.split())

    def _node(self) -> int:
        self._nodes += 1
        return self._nodes - 1

    def _add_row(self, number: int, row: Sequence[str]) -> None:
        """Add a phrase whose words all begin and end with letters; phrases that begin alike share nodes."""
        node = 0
        for part in row:
            behind = self._behind.get((node, part))
            if behind is None:
                behind = self._behind[node, part] = self._add_segment(node, part)
            node = behind
        self.complete[node].append(number)

    def _add_segment(self, start: int, part: str) -> int:
        if part == GAP:
            return self._add_gap([(start, "")])[0]
        end = self._node()
        for words in segment(part).alternatives:
            if not words:
                self.also[start].append(end)
                continue
            node = start
            for word in words[:-1]:
                node = self._add_gap([(node, "")])[0] if word == GAP else self._add_word(node, word, self._node())
            if words[-1] == GAP:
                self.also[self._add_gap([(node, "")])[0]].append(end)
            else:
                self._add_word(node, words[-1], end)
        return end

    def _add_word(self, node: int, word: str, end: int) -> int:
        """Lead from ``node`` over a phrase's word, which may be several units ("didn't"), to ``end``."""
        if word.isalnum() or word[:-1].isalnum():
            self.edges[node].append((word, end))
            return end
        *parts, last = _PHRASE_PART.findall(word)
        for part in parts:
            after = self._node()
            self.edges[node].append((part, after))
            node = after
        self.edges[node].append((last, end))
        return end

    def _add_gap(self, places: Sequence[tuple[int, str]]) -> tuple[int, list[tuple[int, str]]]:
        """Lead over a gap; return where its next word is awaited, and the places before the separator ahead of it.

        A place is a node and an expression for what has been read since of a separator.
        """
        end = self._node()
        before = self._node()
        self.also[before].append(end)
        behind = []
        for node, read in places:
            self._add_separator(node, read + GAP_SEPARATOR, before)
            behind.append((node, read + GAP_SEPARATOR))
        awaiting, words, glueds = before, before + 1, before + 2
        self.alike[before] = awaiting
        for count in range(1, _GAP_WORDS + 1):
            word, glued = self._node(), self._node()
            self.alike[word], self.alike[glued] = words, glueds
            self.edges[before].append((_ANY_WORD, word))
            self.edges[word].append((_GLUE, glued))
            self.edges[glued].append((_ANY_WORD, word))
            before = self._node() if count < _GAP_WORDS else end
            self._add_separator(word, _NEXT_GAP_SEPARATOR, before)
            if before != end:
                self.also[before].append(end)
                self.alike[before] = awaiting
            behind.append((word, _NEXT_GAP_SEPARATOR))
        return end, behind

    def _add_separator(self, node: int, expression: str, end: int) -> None:
        compiled = _compiled(expression)
        self.edges[node].append((compiled, end))
        # A single space is no unit.
        if node and compiled.fullmatch(" "):
            self.also[node].append(end)

    def _add_variant(self, number: int, words: Sequence[str]) -> None:
        """Add one way to write a phrase, whatever its words begin and end with."""
        places = [(0, _ANYTHING)]
        awaited: int | None = 0
        before = ""
        for word in words:
            if word == GAP:
                awaited, places = self._add_gap(places)
            elif before not in ("", GAP):
                places = [(node, read + " ") for node, read in places]
                awaited = None
            for part in () if word == GAP else _PHRASE_PART.findall(word):
                if not is_word(part[0]):
                    places = [(node, read + re.escape(part)) for node, read in places]
                    awaited = None
                    continue
                if awaited is None:
                    awaited = self._node()
                    for node, read in places:
                        self._add_separator(node, read, awaited)
                end = self._node()
                self.edges[awaited].append((part, end))
                places = [(end, "")]
                awaited = None
            before = word
        end = self._node()
        for node, read in places:
            if read:
                self._add_separator(node, read + _ANYTHING, end)
            else:
                self.also[node].append(end)
        self.complete[end].append(number)


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


class _Memory:
    """The states that have been needed so far, and the one that every phrase begins in."""

    def __init__(self, net: _Net) -> None:
        self._net = net
        self._steps: dict[frozenset[int], _Step] = {}
        self.cost = 0
        self.root = _State(self._edges(self._closed({0})), self)

    def step(self, nodes: Sequence[int]) -> _Step:
        """Return what it means to come to these nodes at once."""
        key = frozenset(nodes)
        if len(nodes) > 1 and not self._net.alike.keys().isdisjoint(nodes):
            key = self._telling(nodes)
        step = self._steps.get(key)
        if step is None:
            closed = self._closed(key)
            complete = self._net.complete
            done = {number for node in closed if node in complete for number in complete[node]}
            edges = self._edges(closed)
            self.cost += _COST_OF_A_STATE + len(closed) // 2 + 2 * len(edges)
            step = self._steps[key] = (tuple(sorted(done)), _State(edges, self) if edges else None)
        return step

    def _telling(self, nodes: Iterable[int]) -> frozenset[int]:
        """Return the nodes, but of those that are alike only the first: it leads wherever the others lead."""
        alike = self._net.alike
        first: dict[int, int] = {}
        for node in nodes:
            name = alike.get(node, -node)
            if name not in first or node < first[name]:
                first[name] = node
        return frozenset(first.values())

    def _closed(self, nodes: Set[int]) -> Set[int]:
        also = self._net.also
        closed = set(nodes)
        waiting = [node for node in nodes if node in also]
        while waiting:
            for node in also[waiting.pop()]:
                if node not in closed:
                    closed.add(node)
                    if node in also:
                        waiting.append(node)
        return closed

    def _edges(self, nodes: Iterable[int]) -> dict[_Label, list[int]]:
        merged: dict[_Label, list[int]] = {}
        for edges in [self._net.edges[node] for node in nodes if node in self._net.edges]:
            for label, end in edges:
                if label in merged:
                    merged[label].append(end)
                else:
                    merged[label] = [end]
        return merged


class _Kinds:
    """Knows the kind of each unit: which of the automaton's labels it matches."""

    def __init__(self, net: _Net) -> None:
        labels = {label for edges in net.edges.values() for label, _ in edges}
        self._expressions = tuple(label for label in labels if isinstance(label, re.Pattern))
        self._literals = {label for label in labels if isinstance(label, str)}
        self._stems: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for label in self._literals:
            if label.endswith("*") and is_word(label[0]):
                self._stems[label[:-1][:_HEAD]].append((label[:-1], label))
        self._kinds: dict[tuple[_Label, ...], _Kind] = {}

    def kind(self, unit: str) -> _Kind:
        """Return the kind of a word or separator."""
        labels = self._labels(unit)
        # Two kinds with the same labels, should two threads make them at once, only mean work done twice.
        kind = self._kinds.get(labels)
        if kind is None:
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            kind = self._kinds.setdefault(labels, _Kind(labels))
        return kind

    def _labels(self, unit: str) -> tuple[_Label, ...]:
        literals = self._literals
        own = (unit,) if unit in literals else ()
        if not is_word(unit[0]):
            return (*own, *[label for label in self._expressions if label.fullmatch(unit)])
        stems = self._stems
        heads = [unit[:length] for length in range(1, _HEAD + 1) if unit[:length] in stems]
        return (
            _ANY_WORD,
            *own,
            *[label for head in dict.fromkeys(heads) for stem, label in stems[head] if unit.startswith(stem)],
        )


class _Separators(dict[str, _Kind]):
    """The kind of each separator that has been seen."""

    def __init__(self, kinds: _Kinds) -> None:
        self._kinds = kinds

    def __missing__(self, separator: str) -> _Kind:
        kind = self._kinds.kind(separator)
        if len(separator) <= _LONGEST_CHUNK:
            if len(self) >= _MOST_CHUNKS:
                self.clear()
            self[separator] = kind
        return kind


_Chunk = tuple[str, tuple[_Kind, ...], str]
"""What stands between two spaces: its units, and before and behind them what is no word at its borders."""


class _Chunks(dict[str, _Chunk]):
    """Each chunk that has been seen."""

    def __init__(self, kinds: _Kinds) -> None:
        self._kinds = kinds
        self._words: dict[_Kind, _Chunk] = {}

    def __missing__(self, written: str) -> _Chunk:
        parts = [written] if written.isalnum() else _PART.findall(written)
        before = "" if is_word(written[0]) else parts.pop(0)
        behind = parts.pop() if parts and not is_word(written[-1]) else ""
        units = tuple(map(self._unit, parts))
        if before or behind or len(units) > 1:
            chunk = (before, units, behind)
        else:
            # Thousands of words are of one kind.
            chunk = self._words.setdefault(units[0], ("", units, ""))
        if len(written) <= _LONGEST_CHUNK:
            if len(self) >= _MOST_CHUNKS:
                self.clear()
                self._words.clear()
            self[written] = chunk
        return chunk

    def _unit(self, written: str) -> _Kind:
        # The word in "(word" may have been seen by itself.
        alone = self.get(written)
        return alone[1][0] if alone and alone[1] else self._kinds.kind(written)


class PhraseAutomaton:
    """Finds which of its phrases stand in a text, all in one pass; they go by their places in ``phrases``.

    Time grows with the length of the text and of the phrases that begin in it. Safe to share between threads.
    What is worked out is remembered up to a cost of ``remembered``, and then forgotten. Raises ``PhraseError``
    where a phrase is not in the phrase language.
    """

    def __init__(self, phrases: Iterable[str], *, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._net = _Net()
        for number, phrase in enumerate(phrases):
            self._net.add(number, phrase)
        kinds = _Kinds(self._net)
        self._separators = _Separators(kinds)
        self._chunks = _Chunks(kinds)
        self._memory = _Memory(self._net)

    def find(self, text: str) -> set[int]:
        """Return the phrases that stand in a normalised text."""
        units = self._units(text)
        units.append(_END)
        found: set[int] = set()
        met: dict[tuple[int, int], _State | None] = {}
        for begin in range(0, len(units) - 1, _STRETCH):
            first_steps = map(self._root().__getitem__, units[begin : begin + _STRETCH])
            for ahead, (complete, state) in enumerate(first_steps, begin + 1):
                if complete:
                    found.update(complete)
                at = ahead
                while state is not None:
                    complete, state = state[units[at]]  # noqa: PLW2901 - the walk that begins here goes on
                    if complete:
                        found.update(complete)
                    at += 1
                    if at - ahead > _LONG_WALK:
                        if (at, id(state)) in met:
                            break
                        met[at, id(state)] = state
        return found

    def starts(self, text: str, phrases: Set[int]) -> dict[int, list[range]]:
        """Return where each of the ``phrases`` that stand in a normalised text begins.

        One that begins with a word begins at the range's one place; one that does not, somewhere in it.
        """
        units = [*self._units(text), _END]
        found: defaultdict[int, list[int]] = defaultdict(list)
        after: _After = {}
        for begin in range(len(units) - 1):
            if begin % _STRETCH == 0:
                root = self._root()
            step = root[units[begin]]
            if step is not _NOWHERE:
                for number in phrases & _completed(units, begin, step, after):
                    found[number].append(begin)
        spans = [match.span() for match in _UNIT.finditer(text)]
        return {number: [_place(text, *spans[begin]) for begin in begins] for number, begins in found.items()}

    def _units(self, text: str) -> list[_Kind]:
        """Return the units that ``_UNIT`` finds, each as its kind: chunk by chunk, for that is quicker."""
        units: list[_Kind] = []
        separator = ""
        rest: list[str] = []
        for before, within, behind in map(self._chunks.__getitem__, text.split()):
            if not within:
                rest.append(before)
                continue
            if rest:
                separator = " ".join([separator, *rest] if separator or units else rest)
                rest = []
            if before or separator:
                space = " " if separator or units else ""
                units.append(self._separators[f"{separator}{space}{before}"])
            units += within
            separator = behind
        if rest:
            separator = " ".join([separator, *rest] if separator or units else rest)
        if separator:
            units.append(self._separators[separator])
        return units

    def _root(self) -> _State:
        if self._memory.cost > self._remembered:
            self._memory = _Memory(self._net)
        return self._memory.root


_END = _Kind(())

_After = dict[tuple[int, int], tuple[_State, frozenset[int]]]
"""What is completed from a unit on by a walk that is in a state there."""


def _place(text: str, start: int, end: int) -> range:
    return range(start, start + 1 if is_word(text[start]) else end)


def _completed(units: Sequence[_Kind], begin: int, step: _Step, after: _After) -> Set[int]:
    """Return the phrases that the walk from ``begin`` completes, whose first step this is."""
    complete, state = step
    found = set(complete)
    at = begin
    trail = []
    rest: frozenset[int] = frozenset()
    while state is not None:
        at += 1
        if at - begin > _LONG_WALK:
            met = after.get((at, id(state)))
            if met is not None:
                rest = met[1]
                break
            trail.append((at, state))
        complete, state = state[units[at]]
        found.update(complete)
    for place, passed in reversed(trail):
        rest = rest.union(passed[units[place]][0]) if passed[units[place]][0] else rest
        after[place, id(passed)] = (passed, rest)
    return found | rest
