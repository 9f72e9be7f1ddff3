"""A new platform is one file and one folder of samples: nothing else had to be told of the toy.

It goes through the whole conformance suite with the others (``test_conformance_*.py``).
"""

from __future__ import annotations

import pytest

import connectors
from listener.clock import SystemClock
from listener.errors import ConfigError
from listener.settings import Settings


def settings_with(stream: dict[str, object]) -> Settings:
    return Settings(
        connectors={"toy": {"daily_requests": 100}},
        organizations=[{"slug": "st-elsewhere", "name": "St. Elsewhere", "streams": [stream]}],
        environment={"LISTENER_TOY_TOKEN": "t"},
    )


STREAM = {"channel": "toy", "query": '"St. Elsewhere"', "room": "ward"}


def test_its_one_file_is_found(toy_path: None) -> None:
    found = connectors.discover()
    assert found["toy"].__module__ == "connectors.toy"
    assert list(found) == sorted(found)


def test_it_is_not_there_without_its_file() -> None:
    assert "toy" not in connectors.discover()


def test_it_is_configured_like_any_other(toy_path: None) -> None:
    settings = settings_with(STREAM)
    connectors.validate(settings)
    ((spec, _),) = connectors.streams(settings)
    assert (spec.channel, spec.kind, spec.options) == ("toy", "search", {"room": "ward"})
    connector = connectors.connect(settings, "toy", clock=SystemClock())
    assert connector.channel == "toy"
    connector.close()


def test_its_own_options_are_checked(toy_path: None) -> None:
    with pytest.raises(
        ConfigError, match=r"unknown key organizations\[0\]\.streams\[0\]\.rom; did you mean 'room'"
    ):
        connectors.validate(settings_with({"channel": "toy", "rom": "ward"}))
