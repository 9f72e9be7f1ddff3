from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from jobs import leases
from jobs.workers import Places, Refusals, Threads, Worker
from listener.errors import ConfigError, StoreError
from storage.store import Fence

HOLD = timedelta(minutes=5)


@pytest.fixture
def plan(either_store):
    """Has turns planned, in this order."""
    leader = Fence("scheduler", "a", either_store.acquire_lease("scheduler", "a", timedelta(days=1)))

    def plan(clock, *names):
        for name in names:
            clock.step_to(clock.now() + timedelta(seconds=1))
            either_store.plan_turn(name, fence=leader)

    return plan


def doing(done, *, returns=True, raises=None):
    def work(turn, lease, stop):
        done.append(turn.name)
        if raises is not None:
            raise raises
        return returns

    return work


def test_turns_are_taken_the_oldest_first_and_each_is_done_once(either_store, clock, plan):
    plan(clock, "b", "a", "unknown")
    done = []
    worker = Worker(either_store, clock, {name: doing(done) for name in "ab"}, hold=HOLD)
    taken = [worker.take_one(threading.Event()) for _ in range(3)]
    assert (done, taken) == (["b", "a"], [True, True, False])
    assert [turn.name for turn in either_store.due_turns()] == ["unknown"]
    assert either_store.lease_owner("a") is None


def test_what_another_is_about_is_left_to_it(either_store, clock, plan):
    plan(clock, "a", "b")
    either_store.acquire_lease("a", "elsewhere/1:1:1:aa", HOLD)
    done = []
    worker = Worker(either_store, clock, {name: doing(done) for name in "ab"}, hold=HOLD)
    while worker.take_one(threading.Event()):
        pass
    assert done == ["b"]
    clock.step_to(clock.now() + HOLD)
    assert worker.take_one(threading.Event())
    assert done == ["b", "a"]


class Stale:
    """A store seen by a worker that looked a while ago, or was slower than another."""

    def __init__(self, store):
        self.store = store
        self.seen = store.due_turns()

    def __getattr__(self, name):
        return getattr(self.store, name)

    def due_turns(self):
        return self.seen


def test_who_comes_second_goes_on_to_the_next(either_store, clock, plan):
    plan(clock, "done", "taken", "free")
    stale = Stale(either_store)
    either_store.finish_turn(
        stale.seen[0], fence=Fence("done", "x", either_store.acquire_lease("done", "x", HOLD))
    )
    either_store.release_lease("done", "x")
    either_store.acquire_lease("taken", "elsewhere/1:1:1:aa", HOLD)
    done = []
    worker = Worker(stale, clock, {name: doing(done) for name in ("done", "taken", "free")}, hold=HOLD)
    assert worker.take_one(threading.Event())
    assert done == ["free"]


def test_what_was_broken_off_is_due_still(either_store, clock, plan):
    plan(clock, "a")
    done = []
    worker = Worker(either_store, clock, {"a": doing(done, returns=False)}, hold=HOLD)
    assert worker.take_one(threading.Event())
    assert [turn.name for turn in either_store.due_turns()] == ["a"]
    assert either_store.lease_owner("a") is None


@pytest.mark.parametrize(("error", "traceback"), [(ConfigError("mend it"), False), (ZeroDivisionError(), True)])
def test_a_failure_ends_the_turn_and_is_told(either_store, clock, plan, caplog, error, traceback):
    plan(clock, "a")
    worker = Worker(either_store, clock, {"a": doing([], raises=error)}, hold=HOLD)
    assert worker.take_one(threading.Event())
    assert either_store.due_turns() == []
    (record,) = [record for record in caplog.records if record.name == "jobs.workers"]
    assert bool(record.exc_info) == traceback


def test_where_the_database_refuses_the_turn_is_due_still(either_store, clock, plan):
    plan(clock, "a")
    worker = Worker(either_store, clock, {"a": doing([], raises=StoreError("full"))}, hold=HOLD)
    with pytest.raises(StoreError):
        worker.take_one(threading.Event())
    assert either_store.due_turns() == []
    clock.step_to(clock.now() + timedelta(minutes=1))
    assert [turn.holder for turn in either_store.due_turns()] == [None]


def test_the_turns_behind_one_that_is_refused_are_done(either_store, clock, plan, caplog):
    plan(clock, "a", "b")
    done = []
    work = {"a": doing(done, raises=StoreError("full")), "b": doing(done)}
    worker = Worker(either_store, clock, work, hold=HOLD)
    assert [worker.take_one(threading.Event()) for _ in range(2)] == [True, False]
    assert done == ["a", "b"]
    (record,) = [record for record in caplog.records if record.name == "jobs.workers"]
    assert record.getMessage().startswith("a: put off until ")
    assert record.exc_info is None


class Full:
    """A store that cannot put a turn off either."""

    def __init__(self, store):
        self.store = store

    def __getattr__(self, name):
        return getattr(self.store, name)

    def finish_turn(self, turn, *, fence, again_at=None):
        raise StoreError("full")


@pytest.mark.parametrize("seen_through", [lambda store: store, Full])
def test_what_is_refused_is_tried_again_ever_later_by_all_threads(either_store, clock, plan, seen_through):
    plan(clock, "a")
    done = []
    refusals = Refusals()
    work = {"a": doing(done, raises=StoreError("full"))}
    workers = [Worker(seen_through(either_store), clock, work, hold=HOLD, refusals=refusals) for _ in range(2)]
    for tries, minutes in enumerate([1, 2, 4, 8, 16, 32, 60, 60], start=1):
        with pytest.raises(StoreError):
            workers[tries % 2].take_one(threading.Event())
        clock.step_to(clock.now() + timedelta(minutes=minutes, seconds=-1))
        assert not any(worker.take_one(threading.Event()) for worker in workers)
        assert len(done) == tries
        clock.step_to(clock.now() + timedelta(seconds=1))
    work["a"] = doing(done)
    assert Worker(either_store, clock, work, hold=HOLD, refusals=refusals).take_one(threading.Event())
    assert either_store.due_turns() == []
    assert refusals.add("a", clock.now()) == clock.now() + timedelta(minutes=1), "it begins anew"


def test_told_to_stop_a_worker_begins_no_turn(either_store, clock, plan):
    plan(clock, "a")
    done = []
    stop = threading.Event()
    stop.set()
    assert not Worker(either_store, clock, {"a": doing(done)}, hold=HOLD).take_one(stop)
    assert done == []


def test_a_late_worker_does_not_end_the_turn_of_the_new_holder(either_store, clock, plan):
    plan(clock, "a")

    def stall(turn, lease, stop):
        clock.step_to(clock.now() + HOLD)
        assert leases.acquire(either_store, "a", "elsewhere/1:1:1:aa", HOLD)
        return True

    worker = Worker(either_store, clock, {"a": stall}, hold=HOLD)
    assert not worker.take_one(threading.Event())
    assert [turn.holder for turn in either_store.due_turns()] == ["elsewhere/1:1:1:aa"]


class Trouble:
    """A worker that meets with everything that can go wrong, and then has nothing to do."""

    def __init__(self):
        self.answers = [StoreError("away"), ZeroDivisionError(), True]
        self.idle = threading.Event()

    def take_one(self, stop):
        if not self.answers:
            self.idle.set()
            return False
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_thread_outlives_everything(caplog):
    worker = Trouble()
    threads = Threads([worker], poll=timedelta(milliseconds=5), wait=timedelta(milliseconds=5))
    threads.start()
    assert worker.idle.wait(30)
    threads.end()
    assert "away" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_platform_that_a_thread_is_at_lets_the_others_come_first(either_store, clock, plan):
    plan(clock, "x1", "x2", "y1", "count", "x3")
    places = Places({"x1": "x", "x2": "x", "x3": "x", "y1": "y"})
    done = []
    work = {name: doing(done) for name in ("x2", "x3", "y1", "count")}
    other = Worker(either_store, clock, work, hold=HOLD, places=places)

    def slow(turn, lease, stop):
        done.append(turn.name)
        assert other.take_one(stop)
        assert other.take_one(stop)
        return True

    worker = Worker(either_store, clock, {"x1": slow}, hold=HOLD, places=places)
    assert worker.take_one(threading.Event())
    assert done == ["x1", "y1", "count"], "what is no platform's is free always"
    while other.take_one(threading.Event()):
        pass
    assert done[3:] == ["x2", "x3"]
