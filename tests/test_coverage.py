from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from listener.coverage import Span, Spans

BASE = datetime(2026, 11, 1, tzinfo=UTC)
HORIZON = 60


def at(second: int) -> datetime:
    return BASE + timedelta(seconds=second)


SECONDS = st.integers(min_value=0, max_value=HORIZON)
PAIRS = st.lists(st.tuples(SECONDS, SECONDS), max_size=12)


def spans_of(pairs: list[tuple[int, int]]) -> list[Span]:
    return [(at(a), at(b)) for a, b in pairs]


def seconds_in(pairs: list[tuple[int, int]]) -> set[int]:
    """The same thing said naively: every whole second that is read."""
    return {second for a, b in pairs for second in range(a, b)}


@given(PAIRS)
def test_spans_hold_exactly_the_seconds_they_were_made_of(pairs: list[tuple[int, int]]) -> None:
    spans = Spans.of(spans_of(pairs))
    read = seconds_in(pairs)
    assert {second for second in range(HORIZON) if spans.seconds_within(at(second), at(second + 1))} == read
    assert spans.seconds_within(at(0), at(HORIZON)) == len(read)


@given(PAIRS)
def test_spans_are_sorted_disjoint_and_none_touches_another(pairs: list[tuple[int, int]]) -> None:
    spans = Spans.of(spans_of(pairs)).spans
    assert all(start < end for start, end in spans)
    assert all(before[1] < after[0] for before, after in pairwise(spans))


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_makes_no_difference(pairs: list[tuple[int, int]], rng: object) -> None:
    shuffled = list(pairs)
    rng.shuffle(shuffled)
    one_by_one = Spans()
    for start, end in spans_of(shuffled):
        one_by_one = one_by_one.add(start, end)
    assert one_by_one == Spans.of(spans_of(pairs)) == Spans.of(Spans.of(spans_of(pairs)).spans)


@given(PAIRS, SECONDS, SECONDS)
def test_gaps_and_spans_share_the_time_between_them(pairs: list[tuple[int, int]], start: int, end: int) -> None:
    spans = Spans.of(spans_of(pairs))
    gaps = spans.gaps_within(at(start), at(end))
    missing = set(range(start, end)) - seconds_in(pairs)
    assert sum((to - since).total_seconds() for since, to in gaps) == len(missing)
    assert all(spans.seconds_within(*gap) == 0 for gap in gaps)
    assert all(at(start) <= since < to <= at(end) for since, to in gaps)
    total = Spans.of([*spans.spans, *gaps]).seconds_within(at(start), at(end))
    assert total == max(0, end - start)


@given(PAIRS)
def test_json_gives_the_same_spans_back(pairs: list[tuple[int, int]]) -> None:
    spans = Spans.of(spans_of(pairs))
    assert Spans.from_json(json.loads(json.dumps(spans.to_json()))) == spans


def test_nothing_is_read_of_nothing() -> None:
    assert Spans.from_json(None) == Spans.from_json([]) == Spans()
    assert Spans().seconds_within(at(0), at(9)) == 0
    assert Spans().gaps_within(at(0), at(9)) == ((at(0), at(9)),)
    assert Spans().gaps_within(at(9), at(9)) == ()


def test_touching_spans_become_one() -> None:
    assert Spans.of([(at(5), at(9)), (at(1), at(5))]).spans == ((at(1), at(9)),)


def test_any_zone_is_kept_as_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    spans = Spans.of([(at(0).astimezone(tokyo), at(5).astimezone(tokyo))])
    assert spans.to_json() == [["2026-11-01T00:00:00+00:00", "2026-11-01T00:00:05+00:00"]]
    gaps = spans.gaps_within(at(3).astimezone(tokyo), at(7).astimezone(tokyo))
    assert [moment.tzinfo for moment in gaps[0]] == [UTC, UTC]


def test_an_hour_that_comes_twice_is_counted_as_it_passes() -> None:
    """In Toronto 1:30 comes twice on 1 November 2026: the spans are moments, so nothing is doubled or lost."""
    before = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert (
        Spans.of([(before, before + timedelta(hours=1))]).seconds_within(before, before + timedelta(hours=2))
        == 3600
    )
