"""Waits for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


def wait_for(condition: Callable[[], object], seconds: float = 90) -> None:
    """Return once ``condition`` holds; the test fails where it does not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not come to pass in time")
