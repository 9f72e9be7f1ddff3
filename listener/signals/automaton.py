"""Finds which of many phrases stand in a text, in one pass over its words.

A normalised text is read as units: words, and the separators between them, such as ``", "``, unless it is a single
space. The phrases are one nondeterministic automaton over units (:mod:`listener.signals.net`). It is made
deterministic as it is used: which nodes it is in after a word, and where the next one leads, is worked out when
first needed, and remembered.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from itertools import chain

from listener.signals.net import ANY_WORD, Label, Net
from listener.signals.phrases import is_word

_UNIT = re.compile(r"\w+|[^\w ]\W*| \W+")
_PART = re.compile(r"\w+|\W+")

# Some 45 MB, at 58 bytes a unit of cost as measured with the shipped taxonomy.
_REMEMBERED = 800_000
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

    def __init__(self, labels: tuple[Label, ...]) -> None:
        self.labels = labels


class _State(dict["_Kind | tuple[Label, ...]", "_Step"]):
    """Where each kind of unit leads from a set of nodes, worked out when it is first asked for.

    Few of a kind's labels stand at its edges, so many kinds lead to the same place: it is kept under those labels.
    """

    __slots__ = ("_edges", "_memory")

    def __init__(self, edges: dict[Label, list[int]], memory: _Memory) -> None:
        self._edges = edges
        self._memory = memory

    def __missing__(self, kind: _Kind) -> _Step:
        edges = self._edges
        met = tuple([label for label in kind.labels if label in edges])
        step = self.get(met) if met else _NOWHERE
        if step is None:
            ends = [edges[label] for label in met]
            step = self[met] = self._memory.step(ends[0] if len(ends) == 1 else [*chain.from_iterable(ends)])
            self._memory.cost += 1
        self[kind] = step
        self._memory.cost += 1
        return step


_Step = tuple[tuple[int, ...], _State | None]
"""The phrases that a unit completes, and the state behind it; None where no phrase goes on."""

_NOWHERE: _Step = ((), None)


class _Memory:
    """The states that have been needed so far, and the one that every phrase begins in."""

    def __init__(self, net: Net) -> None:
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

    def _edges(self, nodes: Iterable[int]) -> dict[Label, list[int]]:
        merged: dict[Label, list[int]] = {}
        for edges in [self._net.edges[node] for node in nodes if node in self._net.edges]:
            for label, end in edges:
                if label in merged:
                    merged[label].append(end)
                else:
                    merged[label] = [end]
        return merged


class _Kinds:
    """Knows the kind of each unit: which of the automaton's labels it matches."""

    def __init__(self, net: Net) -> None:
        labels = {label for edges in net.edges.values() for label, _ in edges}
        self._expressions = tuple(label for label in labels if isinstance(label, re.Pattern))
        self._literals = {label for label in labels if isinstance(label, str)}
        self._stems: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for label in self._literals:
            if label.endswith("*") and is_word(label[0]):
                self._stems[label[:-1][:_HEAD]].append((label[:-1], label))
        self._kinds: dict[tuple[Label, ...], _Kind] = {}

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

    def _labels(self, unit: str) -> tuple[Label, ...]:
        literals = self._literals
        own = (unit,) if unit in literals else ()
        if not is_word(unit[0]):
            return (*own, *[label for label in self._expressions if label.fullmatch(unit)])
        stems = self._stems
        heads = [unit[:length] for length in range(1, _HEAD + 1) if unit[:length] in stems]
        return (
            ANY_WORD,
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

    def __init__(self, kinds: _Kinds, separators: _Separators) -> None:
        self._kinds = kinds
        self._separators = separators
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
        if not is_word(written[0]):
            return self._separators[written]
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
        self._net = Net()
        for number, phrase in enumerate(phrases):
            self._net.add(number, phrase)
        kinds = _Kinds(self._net)
        self._separators = _Separators(kinds)
        self._chunks = _Chunks(kinds, self._separators)
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
