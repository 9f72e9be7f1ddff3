from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.signals.scoring import Admission, Confusion, Figures, Tally, macro, micro, tally


@pytest.mark.parametrize(
    ("counts", "figures"),
    [
        (Tally(right=3, wrong=1, missed=2), Figures(0.75, 0.6, 2 / 3, 5)),
        (Tally(right=4), Figures(1.0, 1.0, 1.0, 4)),
        (Tally(wrong=2), Figures(0.0, None, 0.0, 0)),
        (Tally(missed=2), Figures(None, 0.0, 0.0, 2)),
        (Tally(), Figures(None, None, None, 0)),
    ],
)
def test_a_label_has_its_figures(counts: Tally, figures: Figures) -> None:
    assert counts.figures == figures


def test_a_label_is_counted_over_texts_that_may_have_several() -> None:
    truths = [{"a", "b"}, {"a"}, set(), {"b"}, {"a"}]
    guesses = [{"a"}, {"a", "b"}, {"a"}, {"b"}, set()]
    assert tally(truths, guesses, "a") == Tally(right=2, wrong=1, missed=1)
    assert tally(truths, guesses, "b") == Tally(right=1, wrong=1, missed=1)
    assert tally(truths, guesses, "c") == Tally()


def test_sequences_that_do_not_go_side_by_side_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        tally([{"a"}], [], "a")


def test_micro_takes_counts_together_and_macro_takes_labels_alike() -> None:
    common, rare = Tally(right=90, wrong=10, missed=10), Tally(right=0, missed=1)
    assert micro([common, rare]) == Figures(0.9, 90 / 101, 180 / 201, 101)
    assert macro([common, rare]) == Figures(0.45, 0.45, 0.45, 101)
    assert macro([common, rare], at_least=20) == common.figures


def test_a_label_without_a_case_weighs_in_micro_and_not_in_macro() -> None:
    sound, alarm = Tally(right=1), Tally(wrong=1)
    assert micro([sound, alarm]) == Figures(0.5, 1.0, 2 / 3, 1)
    assert macro([sound, alarm]) == Figures(1.0, 1.0, 1.0, 1)


def test_means_of_nothing_are_not_known() -> None:
    assert micro([]) == macro([]) == macro([Tally(right=1)], at_least=20) == Figures(None, None, None, 0)


def test_confusion_says_what_was_taken_for_what() -> None:
    confusion = Confusion.of(["a", "a", "b", "b", "b"], ["a", "b", "b", "c", "b"])
    assert confusion.taken("b", "c") == 1
    assert confusion.taken("c", "b") == 0
    assert confusion.tally("b") == Tally(right=2, wrong=1, missed=1)
    assert confusion.tally("c") == Tally(wrong=1)
    assert confusion.accuracy == 0.6
    assert Confusion.of([], []).accuracy is None


LABELS = st.sampled_from("abc")
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1)


@given(PAIRS)
def test_of_labels_that_exclude_each_other_micro_is_accuracy(pairs: list[tuple[str, str]]) -> None:
    truths, guesses = [list(side) for side in zip(*pairs, strict=True)]
    confusion = Confusion.of(truths, guesses)
    tallies = [confusion.tally(label) for label in "abc"]
    assert tallies == [tally([{one} for one in truths], [{one} for one in guesses], label) for label in "abc"]
    together = micro(tallies)
    assert together.precision == together.recall == confusion.accuracy
    assert together.support == len(pairs)
    assert together.f1 == pytest.approx(confusion.accuracy)


@given(PAIRS)
def test_figures_lie_between_nought_and_one(pairs: list[tuple[str, str]]) -> None:
    confusion = Confusion.of(*[list(side) for side in zip(*pairs, strict=True)])
    for figures in (*(confusion.tally(label).figures for label in "abc"), macro(map(confusion.tally, "abc"))):
        known = [one for one in (figures.precision, figures.recall, figures.f1) if one is not None]
        assert all(0 <= one <= 1 for one in known)


def test_admission_counts_what_enters_and_what_does_not() -> None:
    found = Admission.of(
        wanted=[True, True, True, True, False, False, False],
        counted=[True, True, False, False, True, False, False],
        waiting=[False, False, False, True, False, False, True],
    )
    assert found == Admission(texts=7, wanted=4, counted=3, slipped_in=1, missed=1, waiting=2, wanted_waiting=1)
    shares = (found.counted_share, found.slipped_in_share, found.missed_share, found.waiting_share)
    assert shares == (3 / 7, 1 / 3, 1 / 4, 2 / 7)
    assert found.wanted_waiting_share == 1 / 4


TRUTH = st.tuples(st.booleans(), st.booleans(), st.booleans()).map(
    lambda one: (one[0], one[1] and not one[2], one[2])
)


@given(st.lists(TRUTH))
def test_every_wanted_text_is_counted_missed_or_waiting(texts: list[tuple[bool, bool, bool]]) -> None:
    found = Admission.of(*([text[place] for text in texts] for place in range(3)))
    assert found.wanted == (found.counted - found.slipped_in) + found.missed + found.wanted_waiting
    if not texts:
        assert found.counted_share is None
