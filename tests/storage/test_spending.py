from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from listener.usage import Usage
from storage.spending import TAKEN
from storage.store import MentionStore

NOTHING = dict.fromkeys([("ingest", TAKEN), ("refresh", TAKEN)], Usage())


def test_what_is_booked_adds_up_by_channel_day_and_part(store: MentionStore, clock: Any) -> None:
    today, tomorrow = clock.now(), clock.now() + timedelta(days=1)
    assert store.spent("twitter", today) == NOTHING
    seen = []

    def change(taken: Any) -> Any:
        seen.append(taken)
        return {("ingest", TAKEN): Usage(requests=1), ("ingest", "stream:1"): Usage(posts_read=2**33)}

    store.book("twitter", today, change)
    store.book("twitter", today, change)
    store.book("twitter", today, lambda taken: {("ingest", "stream:1"): Usage() - Usage(posts_read=2**33)})
    now = NOTHING | {("ingest", TAKEN): Usage(requests=2), ("ingest", "stream:1"): Usage(posts_read=2**33)}
    assert store.spent("twitter", today) == now
    assert seen[1] == NOTHING | change(None)
    assert store.spent("twitter", tomorrow) == store.spent("reddit", today) == NOTHING


def test_a_day_begins_with_what_its_runs_took(pulling: Any, record: Any) -> None:
    store, day = pulling.store, pulling.clock.now() - timedelta(hours=1)
    pulling.save(record("1"), usage=Usage(requests=3, cost_microusd=5))
    before = NOTHING | {("ingest", TAKEN): Usage(requests=3, cost_microusd=5)}
    assert store.spent("twitter", day) == before
    store.book("twitter", day, lambda taken: {("refresh", TAKEN): Usage(requests=1)})
    # From here on each request is booked by itself, and a run's own sum adds nothing.
    pulling.save(record("2"), usage=Usage(requests=9))
    assert store.spent("twitter", day) == before | {("refresh", TAKEN): Usage(requests=1)}


def test_what_raises_books_nothing(store: MentionStore, clock: Any) -> None:
    def refuse(taken: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.book("twitter", clock.now(), refuse)
    assert store.spent("twitter", clock.now()) == NOTHING
    with pytest.raises(LookupError, match="'nowhere' was not declared"):
        store.book("nowhere", clock.now(), lambda taken: {})


def test_of_many_who_take_at_once_none_takes_too_much(store: MentionStore, clock: Any) -> None:
    def take_one(_number: int) -> bool:
        try:
            store.book("twitter", clock.now(), one_of_five)
        except ZeroDivisionError:
            return False
        return True

    def one_of_five(taken: Any) -> Any:
        if taken["ingest", TAKEN].requests == 5:
            raise ZeroDivisionError
        return {("ingest", TAKEN): Usage(requests=1)}

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take_one, range(24))) == 5
    assert store.spent("twitter", clock.now())["ingest", TAKEN] == Usage(requests=5)


def test_what_the_dead_held_counts_as_taken_once_its_lease_is_anothers(store: MentionStore, clock: Any) -> None:
    today, tomorrow = clock.now(), clock.now() + timedelta(days=1)
    held = Usage(posts_read=10)
    for day in (today, tomorrow):
        store.book(
            "twitter",
            day,
            lambda taken: {
                ("ingest", "stream:1 a"): held,
                ("ingest", "stream:1 b"): held,
                ("refresh", "x c"): held,
            },
        )
    store.give_up_held("twitter", "stream:1")
    store.give_up_held("twitter", "stream:1")
    kept = NOTHING | {("ingest", TAKEN): held + held, ("refresh", "x c"): held}
    assert store.spent("twitter", today) == store.spent("twitter", tomorrow) == kept


def test_what_is_held_under_a_lease_that_ran_out_counts_as_taken(store: MentionStore, clock: Any) -> None:
    today, held = clock.now(), Usage(posts_read=10)
    store.acquire_lease("stream:1", "a", timedelta(minutes=1))
    store.acquire_lease("stream:2", "b", timedelta(minutes=5))
    holders = ["stream:1 a", "stream:2 a", "stream:2 b", "stream:3 a"]
    store.book("twitter", today, lambda taken: {("ingest", holder): held for holder in holders})
    clock.step_to(today + timedelta(minutes=2))
    for _ in range(2):
        store.give_up_lapsed()
        assert store.spent("twitter", today) == NOTHING | {
            ("ingest", TAKEN): held + held + held,
            ("ingest", "stream:2 b"): held,
        }
