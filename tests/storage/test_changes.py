"""Which version heard what from which day on, and where a series of figures has a break."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from listener.usage import Usage
from storage.changes import SignalChange, breaks, note_version, write_change
from storage.queries import signal_changes
from storage.store import MentionStore, Record

NOW = datetime(2026, 11, 9, 12, tzinfo=UTC)
TODAY = 20766


def told(store: MentionStore) -> list[tuple[int | None, str | None, str]]:
    return [(one.since_day, one.from_version, one.to_version) for one in signal_changes(store)]


def change(since_day: int | None, version: str = "2", **more: Any) -> SignalChange:
    return SignalChange(made_at=NOW, since_day=since_day, from_version="1", to_version=version, **more)


@pytest.mark.parametrize(
    ("since", "left"),
    [([], []), ([None], []), ([3], [3]), ([1, None], []), ([1, None, 5], [5]), ([None, 2, 4], [2, 4])],
)
def test_a_whole_retag_mends_every_break_before_it(since: list[int | None], left: list[int]) -> None:
    assert [one.since_day for one in breaks([change(day) for day in since])] == left


def test_the_first_version_of_a_store_breaks_nothing(
    pulling: Any, record: Callable[..., Record], signals: Any
) -> None:
    pulling.save(record("0", signals=signals()))
    pulling.save(record("1", signals=signals("parking", version="1")))
    assert told(pulling.store) == [(None, None, "1")]
    pulling.save(record("2", signals=signals("parking", version="1")), record("3", heard=True))
    assert len(told(pulling.store)) == 1


def test_a_version_after_unknown_ones_begins_today(
    pulling: Any, record: Callable[..., Record], signals: Any
) -> None:
    """Today is the earliest day that it is for any organization: here Toronto's."""
    pulling.save(record("1"))
    assert told(pulling.store) == []
    pulling.later(hours=12)
    pulling.save(record("2", signals=signals(version="1")))
    assert told(pulling.store) == [(TODAY, None, "1")]
    pulling.later(hours=12)
    pulling.save(record("3", signals=signals(version="2")))
    assert told(pulling.store)[1:] == [(TODAY + 1, "1", "2")]
    assert not any(one.is_retag for one in signal_changes(pulling.store))


def test_two_programs_side_by_side_write_no_more_than_two_changes_a_day(
    pulling: Any, record: Callable[..., Record], signals: Any
) -> None:
    for number in range(6):
        pulling.save(record(str(number), signals=signals("parking", version=f"{number % 2}")))
    assert told(pulling.store) == [(None, None, "0"), (TODAY, "0", "1"), (TODAY, "1", "0")]


def test_a_recheck_that_hears_tells_its_version(pulling: Any, record: Callable[..., Record], signals: Any) -> None:
    pulling.save(record("1"))
    _, run_id = pulling.stream()
    edited = record("1", "edited", edited_at=NOW + timedelta(hours=1)).mention
    pulling.store.save_recheck("twitter", [(edited, signals(version="2"))], run_id=run_id, usage=Usage())
    assert told(pulling.store) == [(TODAY, None, "2")]


def test_a_change_is_kept_as_it_was(store: MentionStore) -> None:
    kept = change(5, mentions=7, changed=3)
    with store.database.write() as connection:
        write_change(connection, kept)
    assert signal_changes(store) == [kept]
    assert kept.is_retag


def test_two_who_come_with_a_new_version_at_once_write_one_change(
    store: MentionStore, clock: Any, pulling: Any, record: Callable[..., Record]
) -> None:
    pulling.save(record("1"))
    began = threading.Event()

    def come_second() -> None:
        with store.database.write() as connection:
            began.set()
            note_version(connection, ["2"], clock.now())

    with ThreadPoolExecutor(1) as pool:
        with store.database.write() as connection:
            note_version(connection, ["2"], clock.now())
            second = pool.submit(come_second)
            if not store.database.is_sqlite:
                assert began.wait(10)
            # It waits: on PostgreSQL for the first one's change, on SQLite to begin.
            with pytest.raises(FutureTimeoutError):
                second.result(0.3)
        second.result(10)
    assert told(store) == [(TODAY, None, "2")]
