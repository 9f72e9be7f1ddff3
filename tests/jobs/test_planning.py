from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.planning import Job, Planner, interval, next_turn
from jobs.schedule import LEASE
from listener.errors import LeaseHeld
from listener.usage import Usage
from storage.store import Fence

HOUR = timedelta(hours=1)
WORK = Job("work", HOUR)


def test_a_job_that_never_had_a_turn_is_due_at_once(clock):
    assert next_turn(WORK, None, clock.now()) == clock.now()


@pytest.mark.parametrize(
    ("every", "jitter"), [(HOUR, timedelta(minutes=1)), (timedelta(seconds=10), timedelta(seconds=1))]
)
def test_a_job_has_its_interval_give_or_take_a_little_whoever_leads(clock, every, jitter):
    jobs = [Job(f"stream:{number}", every) for number in range(50)]
    off = {interval(job) - every for job in jobs}
    assert len(off) > 40
    assert -jitter <= min(off) < timedelta() < max(off) <= jitter
    for job in jobs:
        assert next_turn(job, clock.now() - HOUR, clock.now()) == clock.now() - HOUR + interval(job)


def test_a_clock_that_was_ahead_delays_nothing(clock):
    assert next_turn(WORK, clock.now() + timedelta(days=1), clock.now()) <= clock.now() + HOUR * 1.1


@pytest.fixture
def leader(store):
    return Fence(LEASE, "a", store.acquire_lease(LEASE, "a", timedelta(days=1)))


def planner(store, clock, *jobs, late=HOUR):
    return Planner(store, clock, jobs, late=late)


def test_a_new_leader_keeps_the_pace_of_the_one_before(store, clock, leader):
    rare = Job("rare work", 5 * HOUR)
    first = planner(store, clock, WORK, rare)
    start = clock.now()
    assert first.begin(leader) == [(WORK, start), (rare, start)]
    first.plan(WORK, leader)
    assert [turn.name for turn in store.due_turns()] == ["work"]
    clock.step_to(start + HOUR / 2)
    second = planner(store, clock, WORK, rare)
    assert second.begin(leader) == [(WORK, start + interval(WORK)), (rare, clock.now())]
    second.plan(rare, leader)
    assert planner(store, clock, WORK, rare).begin(leader)[1] == (rare, start + HOUR / 2 + interval(rare))


def test_what_is_no_longer_configured_is_forgotten(store, clock, leader):
    old = Job("old work", HOUR)
    first = planner(store, clock, WORK, old)
    for job in (WORK, old):
        first.plan(job, leader)
    planner(store, clock, WORK).begin(leader)
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
    plans = planner(store, clock, *jobs)

    def plan():
        for job in jobs:
            plans.plan(job, leader)

    plan()
    (turn, _) = store.due_turns()
    clock.step_to(clock.now() + HOUR * 0.9)
    plan()
    assert runs(store) == before, "it has not waited for long"
    clock.step_to(clock.now() + HOUR * 0.9)
    plan()
    assert runs(store) == [*before, (1, "missed")]
    assert caplog.text.count("missed a turn") == 2
    assert store.due_turns()[0] == turn, "it keeps its place"
    status = store.status()[0]
    assert (status.failures, status.paused_until) == (0, None)


def test_who_leads_no_longer_plans_nothing(store, clock, leader):
    store.release_lease(LEASE, "a")
    store.acquire_lease(LEASE, "b", HOUR)
    late = planner(store, clock, WORK)
    with pytest.raises(LeaseHeld):
        late.begin(leader)
    with pytest.raises(LeaseHeld):
        late.plan(WORK, leader)
    assert store.planned() == {}


def test_what_a_stream_held_that_is_configured_no_more_counts_as_taken(store, clock, leader, pull):
    pull()
    day = clock.now().replace(hour=0, minute=0, second=0)
    store.acquire_lease("stream:99", "a", HOUR / 4)
    store.book("birdsong", day, lambda taken: {("ingest", "stream:99 a"): Usage(posts_read=10)})
    plans = planner(store, clock, WORK)
    plans.plan(WORK, leader)
    assert ("ingest", "stream:99 a") in store.spent("birdsong", day)
    clock.step_to(clock.now() + HOUR / 2)
    plans.plan(WORK, leader)
    assert ("ingest", "stream:99 a") not in store.spent("birdsong", day)
