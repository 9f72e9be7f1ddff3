"""Does a piece of work and judges how it ended, so that one stream's trouble never becomes another's."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.pacing import Outcome, Verdict, verdict_on
from listener.errors import LeaseHeld, ListenerError, StoreError

if TYPE_CHECKING:
    from listener.clock import Clock
    from listener.usage import Usage
    from storage.store import MentionStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a piece of work ended: ``error`` if it was foreseen, ``bug`` if it was not."""

    verdict: Verdict
    error: ListenerError | None = None
    bug: Exception | None = None

    @property
    def message(self) -> str | None:
        """One line for the ``runs`` table; a bug's own words stay in the log, for they may hold anything."""
        if self.bug is not None:
            return f"bug: {type(self.bug).__name__}"
        return None if self.error is None else str(self.error)


@contextlib.contextmanager
def ending_refused(store: MentionStore, run_id: int, taken: Callable[[], Usage]) -> Iterator[None]:
    """End the run where the database refuses something in the block, if it takes that much; the error goes on.

    ``taken`` tells what the run took. What the stream rests is left as it is.
    """
    try:
        yield
    except StoreError as error:
        with contextlib.suppress(StoreError):
            store.finish_run(run_id, outcome="failed", usage=taken(), error=str(error))
        raise


def attempt(what: object, work: Callable[[], Outcome], *, failures: int, clock: Clock) -> Ending:
    """Do ``work`` for ``what``, which had failed ``failures`` times in a row before.

    Raises ``StoreError`` alone: where the database refuses, nothing further can be kept.
    """
    try:
        return Ending(Verdict(work()))
    except StoreError:
        raise
    except LeaseHeld as taken:
        logger.warning("%s: %s", what, taken)
        return Ending(Verdict("interrupted", failures), taken)
    except ListenerError as error:
        logger.warning("%s: %s", what, error)
        return Ending(verdict_on(error, failures=failures, now=clock.now()), error)
    except Exception as bug:  # any: one stream must not stop the others, and the bug is raised at the end
        logger.exception("%s: stopped by a bug; the others go on", what)
        return Ending(verdict_on(bug, failures=failures, now=clock.now()), bug=bug)
