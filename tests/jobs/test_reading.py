from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobs.reading import changed_days, lost
from listener.calendar import day_number
from listener.coverage import Spans

TORONTO = ZoneInfo("America/Toronto")
HOUR = timedelta(hours=1)


def at(day, hour=0, *, zone=UTC, month=11):
    return datetime(2026, month, day, hour, tzinfo=zone)


def rows(before, after, zone=UTC):
    return {
        day.day - day_number(at(1)): (day.covered_seconds, day.lost_seconds)
        for day in changed_days(before, after, zone)
    }


def test_nothing_read_changes_no_day():
    assert rows(Spans(), Spans()) == {}
    read = Spans.of([(at(3), at(5))])
    assert rows(read, read) == {}


def test_only_the_days_that_grew_are_written():
    before = Spans.of([(at(3), at(5, 6))])
    assert rows(before, before.add(at(5), at(5, 18))) == {4: (18 * 3600, 0)}
    assert rows(Spans(), before) == {2: (86_400, 0), 3: (86_400, 0), 4: (6 * 3600, 0)}


def test_a_gap_before_what_is_read_next_is_lost_on_the_days_it_lies_on():
    before = Spans.of([(at(3), at(4, 12))])
    assert rows(before, before.add(at(6, 6), at(6, 12))) == {
        3: (43_200, 43_200),
        4: (0, 86_400),
        5: (6 * 3600, 6 * 3600),
    }


def test_a_backfill_takes_a_gap_back():
    before = Spans.of([(at(3), at(4)), (at(6), at(7))])
    after = before.add(at(4), at(5, 12))
    assert rows(before, after) == {3: (86_400, 0), 4: (43_200, 43_200)}
    assert rows(after, after.add(at(5), at(6))) == {4: (86_400, 0)}


def test_days_are_the_organizations_own_and_as_long_as_the_clocks_make_them():
    sunday = Spans.of([(at(1, zone=TORONTO), at(2, zone=TORONTO))])
    assert rows(Spans(), sunday, TORONTO) == {0: (25 * 3600, 0)}
    assert sum(covered for covered, _ in rows(Spans(), sunday, UTC).values()) == 25 * 3600


def test_reading_backwards_in_steps_ends_with_the_same_days_as_reading_at_once():
    step = before = Spans.of([(at(3), at(4))])
    written = {}
    for hours in (1, 5, 20, 40):
        after = step.add(at(7) - hours * HOUR, at(7))
        written |= rows(step, after)
        step = after
    assert written == rows(before, before.add(at(7) - 40 * HOUR, at(7)))


@pytest.mark.parametrize(
    ("spans", "expected"),
    [([], ()), ([(at(1), at(2))], ()), ([(at(1), at(2)), (at(4), at(5))], ((at(2), at(4)),))],
)
def test_lost_is_what_lies_between(spans, expected):
    assert lost(Spans.of(spans)) == expected
