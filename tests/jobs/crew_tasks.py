"""What a crew's processes are told to do in tests: they import it by name."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from listener.errors import ConfigError


@dataclass(frozen=True)
class Number:
    number: int
    marker: str = ""

    @property
    def label(self) -> str:
        return f"number {self.number}"


def double(task: Number) -> int:
    return 2 * task.number


def refuse(task: Number) -> int:
    raise ConfigError(f"no {task.label}")


def die_once(task: Number) -> int:
    """Kill this process where nobody has been killed for ``marker`` yet."""
    if task.marker and not Path(task.marker).exists():
        Path(task.marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * task.number


def die(task: Number) -> int:
    if task.marker:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * task.number


def pid(_task: Number) -> int:
    return os.getpid()
