from __future__ import annotations

from datetime import UTC, datetime

import pytest

from listener import errors

AT = datetime(2026, 11, 10, tzinfo=UTC)

# The shell's exit codes that the command line promises, by what the caller should do.
EXIT_CODES = {
    errors.ListenerError: 1,
    errors.RetryLater: 1,
    errors.SkipItem: 1,
    errors.ConfigError: 2,
    errors.AuthError: 3,
    errors.QuotaExhausted: 4,
    errors.StoreError: 5,
    errors.LeaseHeld: 6,
    errors.BudgetHeld: 1,
}


def test_each_error_has_its_exit_code() -> None:
    assert {kind: kind.exit_code for kind in EXIT_CODES} == EXIT_CODES


def test_none_is_missing_here_and_all_can_be_caught_as_one() -> None:
    kinds = {thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)}
    assert kinds == set(EXIT_CODES)
    assert all(issubclass(kind, errors.ListenerError) for kind in kinds)


@pytest.mark.parametrize("kind", [errors.RetryLater, errors.QuotaExhausted])
def test_a_retry_says_when_or_does_not_know(kind: type[errors.RetryLater]) -> None:
    assert kind("busy", at=AT).at == AT
    assert kind("busy").at is None
    assert str(kind("busy", at=AT)) == "busy"


def test_an_exhausted_quota_is_a_retry() -> None:
    assert issubclass(errors.QuotaExhausted, errors.RetryLater)


def test_a_skipped_item_keeps_its_id_where_it_shows_one() -> None:
    assert errors.SkipItem("strange", external_id="t3_x").external_id == "t3_x"
    assert errors.SkipItem("strange").external_id is None
