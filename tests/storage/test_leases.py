from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from listener.clock import SteppedClock
from storage.store import MentionStore

MINUTE = timedelta(minutes=1)


def test_one_owner_at_a_time(store: MentionStore, clock: SteppedClock) -> None:
    assert store.acquire_lease("leader", "a", MINUTE) == 1
    assert store.acquire_lease("leader", "b", MINUTE) is None
    assert store.acquire_lease("other", "b", MINUTE) == 1
    clock.step_to(clock.now() + MINUTE / 2)
    assert store.acquire_lease("leader", "a", MINUTE) == 1
    clock.step_to(clock.now() + MINUTE * 0.9)
    assert store.acquire_lease("leader", "b", MINUTE) is None
    clock.step_to(clock.now() + MINUTE * 0.1)
    assert store.acquire_lease("leader", "b", MINUTE) == 2
    assert store.acquire_lease("leader", "a", MINUTE) is None


def test_who_lets_it_lapse_and_takes_it_again_has_a_new_fence(store: MentionStore, clock: SteppedClock) -> None:
    assert store.acquire_lease("leader", "a", MINUTE) == 1
    clock.step_to(clock.now() + MINUTE)
    assert store.acquire_lease("leader", "a", MINUTE) == 2


def test_only_its_owner_releases_it_and_the_fence_goes_on(store: MentionStore) -> None:
    store.acquire_lease("leader", "a", MINUTE)
    store.release_lease("leader", "b")
    assert store.acquire_lease("leader", "b", MINUTE) is None
    store.release_lease("leader", "a")
    assert store.acquire_lease("leader", "b", MINUTE) == 2
    store.release_lease("never", "a")


def test_of_many_at_once_one_wins(store: MentionStore) -> None:
    with ThreadPoolExecutor(6) as pool:
        fences = list(pool.map(lambda owner: store.acquire_lease("slot", str(owner), MINUTE), range(12)))
    assert [fence for fence in fences if fence is not None] == [1]


def test_who_holds_it(store: MentionStore, clock: SteppedClock) -> None:
    assert store.lease_owner("leader") is None
    store.acquire_lease("leader", "a", MINUTE)
    assert store.lease_owner("leader") == "a"
    clock.step_to(clock.now() + MINUTE)
    assert store.lease_owner("leader") is None
