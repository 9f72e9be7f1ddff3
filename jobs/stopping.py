"""Being told to stop: the first signal lets the page in hand be finished, a second one acts as it always does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stop:
    """Whether somebody asked to stop (``event``), and by which signal (``by``; None where by none)."""

    def __init__(self, event: threading.Event | None = None) -> None:
        self.event = event or threading.Event()
        self.by: int | None = None


@contextmanager
def stop_on_signal(event: threading.Event | None = None) -> Iterator[Stop]:
    """Have the first SIGTERM or SIGINT set ``event`` (default: a new one), where this is the main thread.

    What the signals did before is put back then, and at the end of the block.
    """
    stop = Stop(event)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def receive(number: int, _frame: object) -> None:
        restore()
        stop.by = number
        # Not set here: the handler may have interrupted the wait that holds the event's own lock.
        threading.Thread(target=stop.event.set).start()

    for number in before:
        signal.signal(number, receive)
    try:
        yield stop
    finally:
        restore()
