from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.pacing import Verdict, backoff, is_due_again, is_resting, verdict_on
from listener.errors import AuthError, ConfigError, QuotaExhausted, RetryLater

NOW = datetime(2026, 11, 9, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=7)


@pytest.mark.parametrize(
    ("failures", "minutes"),
    [(-1, 0), (0, 0), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (9, 256), (10, 360), (11, 360), (5_000_000, 360)],
)
def test_the_rest_doubles_up_to_six_hours(failures, minutes):
    assert backoff(failures) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("error", "failures", "expected"),
    [
        (RetryLater("limit", at=LATER), 0, Verdict("rate_limited", 0, LATER)),
        (RetryLater("limit", at=LATER), 3, Verdict("rate_limited", 3, LATER)),
        (QuotaExhausted("quota", at=LATER), 2, Verdict("quota", 2, LATER)),
        (QuotaExhausted("quota"), 0, Verdict("quota", 1, NOW + timedelta(minutes=1))),
        (RetryLater("down"), 2, Verdict("failed", 3, NOW + timedelta(minutes=4))),
        (AuthError("key"), 0, Verdict("auth", 1, NOW + timedelta(hours=1))),
        (AuthError("key"), 7, Verdict("auth", 8, NOW + timedelta(minutes=128))),
        (ConfigError("query"), 0, Verdict("failed", 1, NOW + timedelta(minutes=1))),
        (KeyError("bug"), 20, Verdict("failed", 21, NOW + timedelta(hours=6))),
    ],
)
def test_what_an_error_means_for_the_stream(error, failures, expected):
    assert verdict_on(error, failures=failures, now=NOW) == expected


@pytest.mark.parametrize(("until", "resting"), [(None, False), (NOW, False), (LATER, True)])
def test_a_stream_rests_until_its_moment_has_come(until, resting):
    assert is_resting(until, NOW) is resting


@pytest.mark.parametrize(
    ("published", "checked", "every", "due"),
    [
        (0.9, 0.9, None, False),
        (1.1, 1.1, None, True),
        (1.1, 0.05, None, False),
        (3.9, 1.8, None, False),
        (4.1, 1.8, None, True),
        (29.9, 13.0, None, False),
        (30.1, 13.0, None, True),
        (300.0, 1.0, None, False),
        (0.9, 0.9, 2, False),
        (3.0, 2.1, 2, True),
        (20.0, 1.9, 2, False),
        (20.0, 2.0, 2, True),
    ],
)
def test_a_mention_is_looked_up_at_a_few_ages_or_as_often_as_the_platform_wants(published, checked, every, due):
    """The figures are days before now."""
    published_at, checked_at = NOW - timedelta(days=published), NOW - timedelta(days=checked)
    wanted = None if every is None else timedelta(days=every)
    assert is_due_again(published_at, checked_at, NOW, every=wanted) is due
