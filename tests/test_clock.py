from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from listener.clock import SteppedClock, SystemClock

START = datetime(2026, 3, 8, 12, tzinfo=timezone(timedelta(hours=-4)))


def test_the_machines_clock_tells_utc() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is UTC


def test_a_stepped_clock_stands_still_in_utc() -> None:
    clock = SteppedClock(START)
    assert clock.now() == clock.now() == START
    assert clock.now().tzinfo is UTC


def test_it_moves_when_told_and_may_be_told_twice() -> None:
    clock = SteppedClock(START)
    later = START + timedelta(days=7)
    clock.step_to(later)
    clock.step_to(later)
    assert clock.now() == later
    assert clock.now().tzinfo is UTC


def test_it_does_not_run_backwards() -> None:
    clock = SteppedClock(START)
    with pytest.raises(ValueError, match=r"2026-03-08T16:00:00\+00:00 and does not run backwards"):
        clock.step_to(START - timedelta(microseconds=1))
    assert clock.now() == START
