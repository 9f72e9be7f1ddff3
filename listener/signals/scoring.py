"""How well signals agree with what people said: precision, recall, F1, accuracy, confusion. Pure.

The definitions are scikit-learn's (``precision_recall_fscore_support``), except that a figure with nothing to
divide by is None ("not known") for a single label, where scikit-learn writes 0; in a mean both count it as 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Generic, TypeVar

COMMON = 20
"""A label with at least so many cases is common: the figures of a rarer one turn on a handful of texts."""

Label = TypeVar("Label", bound=Hashable)


class Scale(StrEnum):
    """Which end of a scale from 1 to 5 is good; 3 is neutral."""

    FIVE_BEST = "5-best"
    ONE_BEST = "1-best"


@dataclass(frozen=True, slots=True)
class Tally:
    """How often one label was rightly given, wrongly given and missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def figures(self) -> Figures:
        """The figures of this label alone."""
        given, support = self.right + self.wrong, self.right + self.missed
        return Figures(
            precision=_share(self.right, given),
            recall=_share(self.right, support),
            f1=_share(2 * self.right, given + support),
            support=support,
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """Precision, recall and F1 in [0, 1], None where there is nothing to divide by.

    ``support`` is how many cases truly are so.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


def tally(truths: Sequence[Collection[Label]], guesses: Sequence[Collection[Label]], label: Label) -> Tally:
    """Count one label over texts that may have several; the two sequences go side by side."""
    counts = Counter((label in truth, label in guess) for truth, guess in zip(truths, guesses, strict=True))
    return Tally(counts[True, True], counts[False, True], counts[True, False])


def micro(tallies: Iterable[Tally]) -> Figures:
    """Return the figures of all labels' counts together: common labels weigh most."""
    return sum(tallies, Tally()).figures


def macro(tallies: Iterable[Tally], *, at_least: int = 1) -> Figures:
    """Return the mean of the labels' figures, over labels with ``at_least`` cases: every label counts alike."""
    figures = [found for one in tallies if (found := one.figures).support >= at_least]
    return Figures(
        precision=_mean([one.precision for one in figures]),
        recall=_mean([one.recall for one in figures]),
        f1=_mean([one.f1 for one in figures]),
        support=sum(one.support for one in figures),
    )


@dataclass(frozen=True, slots=True)
class Confusion(Generic[Label]):
    """How often a text that truly is the first was taken for the second, for labels that exclude each other."""

    counts: Mapping[tuple[Label, Label], int]

    @classmethod
    def of(cls, truths: Sequence[Label], guesses: Sequence[Label]) -> Confusion[Label]:
        """Count the pairs of two sequences that go side by side."""
        return cls(Counter(zip(truths, guesses, strict=True)))

    def taken(self, truth: Label, guess: Label) -> int:
        """Return how many texts that truly are ``truth`` were taken for ``guess``."""
        return self.counts.get((truth, guess), 0)

    def tally(self, label: Label) -> Tally:
        """Return the counts of one label against all others."""
        right = self.taken(label, label)
        given = sum(count for (_, guess), count in self.counts.items() if guess == label)
        support = sum(count for (truth, _), count in self.counts.items() if truth == label)
        return Tally(right, given - right, support - right)

    @property
    def accuracy(self) -> float | None:
        """The share of texts that were taken for what they are; None without a text."""
        right = sum(count for (truth, guess), count in self.counts.items() if truth == guess)
        return _share(right, sum(self.counts.values()))


@dataclass(frozen=True, slots=True)
class Admission:
    """What of the texts that should enter a count does, and what enters beside them.

    Of ``texts``, ``wanted`` should be counted. ``counted`` are, ``slipped_in`` of them wrongly. ``missed`` are the
    wanted that were turned away; ``waiting`` texts wait for a person, ``wanted_waiting`` of them wanted.
    """

    texts: int
    wanted: int
    counted: int
    slipped_in: int
    missed: int
    waiting: int
    wanted_waiting: int

    @classmethod
    def of(cls, wanted: Sequence[bool], counted: Sequence[bool], waiting: Sequence[bool]) -> Admission:
        """Count sequences that go side by side; what waits is not counted."""
        seen = Counter(zip(wanted, counted, waiting, strict=True))

        def number(want: Collection[bool], count: Collection[bool], wait: Collection[bool]) -> int:
            return sum(seen[key] for key in product(want, count, wait))

        both = (True, False)
        return cls(
            texts=len(wanted),
            wanted=number([True], both, both),
            counted=number(both, [True], [False]),
            slipped_in=number([False], [True], [False]),
            missed=number([True], [False], [False]),
            waiting=number(both, both, [True]),
            wanted_waiting=number([True], both, [True]),
        )

    @property
    def counted_share(self) -> float | None:
        """The share of all texts that is counted."""
        return _share(self.counted, self.texts)

    @property
    def slipped_in_share(self) -> float | None:
        """The share of what is counted that should not be."""
        return _share(self.slipped_in, self.counted)

    @property
    def missed_share(self) -> float | None:
        """The share of the wanted that was turned away."""
        return _share(self.missed, self.wanted)

    @property
    def waiting_share(self) -> float | None:
        """The share of all texts that waits for a person."""
        return _share(self.waiting, self.texts)

    @property
    def wanted_waiting_share(self) -> float | None:
        """The share of the wanted that waits for a person."""
        return _share(self.wanted_waiting, self.wanted)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float | None]) -> float | None:
    return sum(value or 0.0 for value in values) / len(values) if values else None
