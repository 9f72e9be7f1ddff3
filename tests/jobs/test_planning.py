from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.planning import Job, Planner, next_turn
from jobs.schedule import LEASE
from listener.errors import LeaseHeld
from storage.store import Fence

HOUR = timedelta(hours=1)
WORK = Job("work", HOUR)


def test_a_job_that_never_had_a_turn_is_due_at_once(clock):
    assert next_turn(WORK, None, clock.now()) == clock.now()


@pytest.mark.parametrize(
    ("every", "jitter"), [(HOUR, timedelta(minutes=1)), (timedelta(seconds=10), timedelta(seconds=1))]
)
def test_the_next_turn_comes_after_the_interval_give_or_take_a_little(clock, every, jitter):
    turns = set()
    for number in range(50):
        planned = clock.now() - number * timedelta(seconds=1)
        job = Job("work", every)
        off = next_turn(job, planned, clock.now()) - planned - every
        assert abs(off) <= jitter
        assert next_turn(job, planned, clock.now()) == planned + every + off, "whoever leads comes to the same"
        turns.add(off)
    assert len(turns) > 40
    assert min(turns) < timedelta() < max(turns)


def test_a_clock_that_was_ahead_delays_nothing(clock):
    assert next_turn(WORK, clock.now() + timedelta(days=1), clock.now()) <= clock.now() + HOUR * 1.1


@pytest.fixture
def leader(store):
    return Fence(LEASE, "a", store.acquire_lease(LEASE, "a", timedelta(days=1)))


def planner(store, clock, *jobs, late=HOUR):
    return Planner(store, clock, {job.name: job for job in jobs}, late=late)


def test_turns_come_at_their_pace_and_a_new_leader_keeps_it(store, clock, leader):
    def due():
        return [turn.name for turn in store.due_turns()]

    first = planner(store, clock, WORK, Job("rare work", 5 * HOUR))
    first.plan(leader)
    assert due() == ["rare work", "work"]
    for turn in store.due_turns():
        store.finish_turn(turn, fence=leader)
    first.plan(leader)
    assert due() == []
    clock.step_to(clock.now() + HOUR * 0.9)
    planner(store, clock, WORK, Job("rare work", 5 * HOUR)).plan(leader)
    assert due() == []
    clock.step_to(clock.now() + HOUR * 0.2)
    planner(store, clock, WORK, Job("rare work", 5 * HOUR)).plan(leader)
    assert due() == ["work"]


def test_what_is_no_longer_configured_is_forgotten(store, clock, leader):
    planner(store, clock, WORK, Job("old work", HOUR)).plan(leader)
    planner(store, clock, WORK).plan(leader)
    assert set(store.planned()) == {"work"}


def runs(store):
    with store.database.read() as connection:
        return [tuple(row) for row in connection.exec_driver_sql("SELECT stream_id, outcome FROM runs")]


def test_a_turn_that_fell_to_one_waiting_too_long_is_recorded_as_missed(
    fake, settings, store, clock, leader, pull, feed, mentions, caplog
):
    pull()
    before = runs(store)
    jobs = (Job("stream:1", HOUR / 2, 1, "the stream"), Job("work", HOUR / 2))
    plan = planner(store, clock, *jobs)
    plan.plan(leader)
    (turn, _) = store.due_turns()
    clock.step_to(clock.now() + HOUR * 0.9)
    plan.plan(leader)
    assert runs(store) == before, "it has not waited for long"
    clock.step_to(clock.now() + HOUR * 0.9)
    plan.plan(leader)
    assert runs(store) == [*before, (1, "missed")]
    assert caplog.text.count("missed a turn") == 2
    assert store.due_turns()[0] == turn, "it keeps its place"
    status = store.status()[0]
    assert (status.failures, status.paused_until) == (0, None)


def test_who_leads_no_longer_plans_nothing(store, clock, leader):
    store.release_lease(LEASE, "a")
    store.acquire_lease(LEASE, "b", HOUR)
    with pytest.raises(LeaseHeld):
        planner(store, clock, WORK).plan(leader)
    assert store.planned() == {}
