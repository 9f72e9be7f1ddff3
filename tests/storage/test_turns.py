from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from listener.errors import LeaseHeld
from listener.usage import Usage
from storage.store import Fence, MentionStore, Turn

MINUTE = timedelta(minutes=1)


@pytest.fixture
def leader(store: MentionStore) -> Fence:
    number = store.acquire_lease("scheduler", "a", timedelta(hours=9))
    assert number is not None
    return Fence("scheduler", "a", number)


def test_a_turn_is_planned_seen_taken_and_struck_off_once(store: MentionStore, leader: Fence, clock: Any) -> None:
    assert store.planned() == {}
    assert store.due_turns() == []
    assert store.plan_turn("work", fence=leader) is None
    assert store.planned() == {"work": clock.now()}
    (turn,) = store.due_turns()
    assert turn == Turn("work", clock.now())
    number = store.acquire_lease("work", "b", MINUTE)
    assert number is not None
    assert store.due_turns() == [replace(turn, holder="b")]
    assert store.is_due(turn)
    store.finish_turn(turn, fence=Fence("work", "b", number))
    assert not store.is_due(turn)
    assert store.due_turns() == []


def test_a_turn_that_comes_while_one_waits_is_that_one_and_keeps_its_place(
    store: MentionStore, leader: Fence, pulling: Any
) -> None:
    store.plan_turn("work", fence=leader)
    (turn,) = store.due_turns()
    pulling.later(minutes=5)
    store.plan_turn("later work", fence=leader)
    assert store.plan_turn("work", fence=leader) == turn
    assert [due.name for due in store.due_turns()] == ["work", "later work"]
    assert store.planned()["work"] == pulling.clock.now()
    number = store.acquire_lease("work", "b", timedelta(hours=1))
    assert number is not None
    pulling.later(minutes=5)
    assert store.plan_turn("work", fence=leader) is None, "it is under way: nothing waits"
    store.finish_turn(turn, fence=Fence("work", "b", number))
    assert [due.name for due in store.due_turns()] == ["later work"]


def test_one_planned_after_the_end_stays_where_the_end_is_told_late(
    store: MentionStore, leader: Fence, pulling: Any
) -> None:
    store.plan_turn("work", fence=leader)
    (turn,) = store.due_turns()
    number = store.acquire_lease("work", "b", timedelta(hours=1))
    assert number is not None
    fence = Fence("work", "b", number)
    store.finish_turn(turn, fence=fence)
    pulling.later(minutes=5)
    store.plan_turn("work", fence=leader)
    store.finish_turn(turn, fence=fence)
    assert [due.due_at for due in store.due_turns()] == [pulling.clock.now()]


def test_only_the_present_leader_plans(store: MentionStore, leader: Fence) -> None:
    store.plan_turn("work", fence=leader)
    store.plan_turn("old", fence=leader)
    store.plan_only(["work"], fence=leader)
    assert set(store.planned()) == {"work"}
    store.release_lease("scheduler", "a")
    store.acquire_lease("scheduler", "b", MINUTE)
    with pytest.raises(LeaseHeld, match="scheduler"):
        store.plan_turn("work", fence=leader)
    with pytest.raises(LeaseHeld):
        store.plan_only([], fence=leader)
    assert set(store.planned()) == {"work"}


@pytest.fixture
def lost(pulling: Any, leader: Fence) -> tuple[Fence, Turn]:
    """The fence and the turn of a holder whose lease another one has by now."""
    stream_id, _ = pulling.stream()
    name = f"stream:{stream_id}"
    pulling.store.plan_turn(name, fence=leader)
    (turn,) = pulling.store.due_turns()
    number = pulling.store.acquire_lease(name, "late", MINUTE)
    pulling.later(minutes=1)
    assert pulling.store.acquire_lease(name, "new", MINUTE) == number + 1
    return Fence(name, "late", number), turn


def test_who_lost_the_lease_saves_nothing(pulling: Any, record: Any, lost: tuple[Fence, Turn]) -> None:
    fence, turn = lost
    store = pulling.store
    pulling.save(record("1"), cursor={"at": "new"}, fence=replace(fence, owner="new", number=fence.number + 1))
    stream_id, run_id = pulling.stream()
    with pytest.raises(LeaseHeld, match=f"stream:{stream_id}"):
        pulling.save(record("2"), cursor={"at": "late"}, fence=fence)
    with pytest.raises(LeaseHeld):
        store.save_recheck("twitter", [], run_id=run_id, usage=Usage(), fence=fence)
    with pytest.raises(LeaseHeld):
        store.mark_checked("twitter", ["1"], fence=fence)
    with pytest.raises(LeaseHeld):
        store.finish_turn(turn, fence=fence)
    later = pulling.clock.now() + MINUTE
    store.finish_run(
        run_id, outcome="failed", usage=Usage(), failures=7, paused_until=later, fence=fence, turn=turn
    )
    state = store.find_stream(organization="st-elsewhere", channel="twitter", key="k1")
    assert (state.cursor, state.failures, state.paused_until) == ({"at": "new"}, 0, None)
    assert store.known("twitter", ["1", "2"]).keys() == {"1"}
    assert store.is_due(turn)
    (_, status) = store.status() if len(store.status()) > 1 else (None, *store.status())
    assert status.holder == "new"
    assert status.last_run.outcome == "failed"


def test_the_end_of_a_run_is_the_end_of_its_turn(pulling: Any, lost: tuple[Fence, Turn]) -> None:
    fence, turn = lost
    _, run_id = pulling.stream()
    mine = replace(fence, owner="new", number=fence.number + 1)
    pulling.store.finish_run(run_id, outcome="done", usage=Usage(), failures=0, fence=mine, turn=turn)
    assert not pulling.store.is_due(turn)


def test_a_lease_that_ran_out_and_that_nobody_took_still_fences(pulling: Any, record: Any) -> None:
    number = pulling.store.acquire_lease("stream:1", "a", MINUTE)
    pulling.later(minutes=2)
    assert pulling.save(record("1"), fence=Fence("stream:1", "a", number)).inserted == 1
