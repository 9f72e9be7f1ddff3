from __future__ import annotations

import hashlib
import hmac

import pytest

from listener.errors import ConfigError
from listener.settings import AuthorKey
from listener.signals.pseudonym import pseudonym

WEEK = "2026-W46"
SECRET = "0123456789abcdef0123456789abcdef"


def test_none_keeps_nothing() -> None:
    assert pseudonym(None, "none", "twitter", "1", WEEK) is None
    assert pseudonym(SECRET, "none", "twitter", "1", WEEK) is None


def test_it_is_the_hmac_that_is_promised() -> None:
    key = hmac.digest(SECRET.encode(), WEEK.encode(), "sha256")
    expected = hmac.new(key, b"twitter\x00jane", hashlib.sha256).hexdigest()
    assert pseudonym(SECRET, "weekly", "twitter", "jane", WEEK) == expected
    key = hmac.digest(SECRET.encode(), b"stable", "sha256")
    expected = hmac.new(key, b"twitter\x00jane", hashlib.sha256).hexdigest()
    assert pseudonym(SECRET, "stable", "twitter", "jane", WEEK) == expected


def test_weekly_follows_nobody_into_the_next_week() -> None:
    first = pseudonym(SECRET, "weekly", "twitter", "1", WEEK)
    assert first == pseudonym(SECRET, "weekly", "twitter", "1", WEEK)
    assert first != pseudonym(SECRET, "weekly", "twitter", "1", "2026-W47")


def test_stable_is_the_same_in_every_week() -> None:
    assert pseudonym(SECRET, "stable", "twitter", "1", WEEK) == pseudonym(
        SECRET, "stable", "twitter", "1", "1999-W01"
    )


@pytest.mark.parametrize("mode", ["weekly", "stable"])
def test_channel_person_and_secret_each_make_another_pseudonym(mode: AuthorKey) -> None:
    variants = {
        pseudonym(secret, mode, channel, person, WEEK)
        for secret in (SECRET, "another secret")
        for channel, person in (("twitter", "1"), ("reddit", "1"), ("twitter", "2"), ("twitte", "r1"))
    }
    assert len(variants) == 8


def test_a_lone_surrogate_is_an_author_too() -> None:
    found = pseudonym(SECRET, "weekly", "twitter", "jane\ud800", WEEK)
    assert found is not None
    assert len(found) == 64


@pytest.mark.parametrize("secret", [None, ""])
def test_without_the_secret_nothing_is_made_up(secret: str | None) -> None:
    with pytest.raises(ConfigError, match="LISTENER_AUTHOR_KEY"):
        pseudonym(secret, "weekly", "twitter", "1", WEEK)
