from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.calendar import (
    day_date,
    day_number,
    day_span,
    iso_week,
    local_day,
    parse_iso_week,
    week_end,
    week_of_day,
    week_span,
    week_start,
)
from listener.errors import ConfigError

TORONTO = ZoneInfo("America/Toronto")
ZONES = (
    "UTC",
    "America/Toronto",
    "Europe/London",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/Havana",
    "Asia/Beirut",
)
dates = st.dates(date(1971, 1, 1), date(2199, 12, 31))


def utc(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "number"),
    [(date(1970, 1, 1), 0), (date(1969, 12, 31), -1), (date(1970, 2, 1), 31), (date(2026, 11, 9), 20766)],
)
def test_days_are_counted_from_1970(day: date, number: int) -> None:
    assert day_number(day) == number
    assert day_date(number) == day


def test_a_moment_falls_on_the_day_the_local_clocks_show() -> None:
    late_evening = utc(2026, 11, 10, 3, 30)
    assert day_date(local_day(late_evening, TORONTO)) == date(2026, 11, 9)
    assert day_date(local_day(late_evening, ZoneInfo("Europe/London"))) == date(2026, 11, 10)


@settings(deadline=None)
@given(dates)
def test_a_week_is_the_iso_week_from_monday_to_sunday(day: date) -> None:
    week = week_of_day(day_number(day))
    year, number, weekday = day.isocalendar()
    assert iso_week(week) == f"{year}-W{number:02d}"
    assert week_start(week) == day - timedelta(days=weekday - 1)
    assert week_end(week) == week_start(week) + timedelta(days=6)
    assert parse_iso_week(iso_week(week)) == week


def test_weeks_before_the_epoch_count_backwards() -> None:
    assert week_of_day(day_number(date(1969, 12, 29))) == 0
    assert week_of_day(day_number(date(1969, 12, 28))) == -1
    assert week_start(-1) == date(1969, 12, 22)


def test_a_year_of_53_weeks_has_its_last_one() -> None:
    assert week_start(parse_iso_week("2026-W53")) == date(2026, 12, 28)
    assert iso_week(parse_iso_week("2026-W53") + 1) == "2027-W01"


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("2025-W53", "2025-W01 to 2025-W52"),
        ("2026-W00", "2026-W01 to 2026-W53"),
        ("2026-W54", "2026-W01 to 2026-W53"),
        ("0000-W10", "years go from 1970 to 9998"),
        ("1969-W52", "years go from 1970 to 9998"),
        ("9999-W52", "years go from 1970 to 9998"),
        ("2026W46", '"2026-W46"'),
        ("2026-W4", '"2026-W46"'),
        ("2026-46", '"2026-W46"'),
        (" 2026-W46", '"2026-W46"'),
        ("٢٠٢٦-W46", '"2026-W46"'),
        ("", '"2026-W46"'),
    ],
)
def test_a_week_that_is_none_is_refused_with_the_fix(name: str, fix: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_iso_week(name)
    assert repr(name) in str(refused.value)
    assert fix in str(refused.value)


@pytest.mark.parametrize("name", ["1970-W01", "9998-W52"])
def test_the_first_and_the_last_week_have_neighbours_and_moments(name: str) -> None:
    week = parse_iso_week(name)
    assert iso_week(week - 530) < name < iso_week(week + 1)
    for zone_name in ("Pacific/Kiritimati", "Pacific/Apia", "Etc/GMT+12"):
        start, end = week_span(week, ZoneInfo(zone_name))
        assert end - start == timedelta(days=7)


@settings(deadline=None)
@given(dates, st.sampled_from(ZONES))
def test_days_follow_each_other_without_gap_and_hold_their_moments(day: date, zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    number = day_number(day)
    start, end = day_span(number, zone)
    assert (start.tzinfo, end.tzinfo) == (UTC, UTC)
    assert end == day_span(number + 1, zone)[0]
    if start < end:
        assert local_day(start, zone) == number
        assert local_day(end - timedelta(seconds=1), zone) == number
    assert local_day(start - timedelta(seconds=1), zone) < number


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 11, 2), 24)]
)
def test_a_day_is_as_long_as_the_clocks_make_it(day: date, hours: int) -> None:
    start, end = day_span(day_number(day), TORONTO)
    assert end - start == timedelta(hours=hours)


def test_a_day_begins_with_the_change_where_there_is_no_midnight() -> None:
    # Beirut went from 23:59:59 to 01:00 on 27 March 2022.
    start, end = day_span(day_number(date(2022, 3, 27)), ZoneInfo("Asia/Beirut"))
    assert (start, end) == (utc(2022, 3, 26, 22), utc(2022, 3, 27, 21))


def test_a_date_that_a_country_skipped_is_empty() -> None:
    start, end = day_span(day_number(date(2011, 12, 30)), ZoneInfo("Pacific/Apia"))
    assert start == end


@settings(deadline=None)
@given(dates, st.sampled_from(ZONES))
def test_a_week_spans_its_seven_days(day: date, zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    week = week_of_day(day_number(day))
    first, last = day_number(week_start(week)), day_number(week_end(week))
    assert week_span(week, zone) == (day_span(first, zone)[0], day_span(last, zone)[1])
