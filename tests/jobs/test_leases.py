from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from jobs import leases
from listener.errors import LeaseHeld

TTL = timedelta(minutes=5)


@pytest.fixture
def name_of_a_dead_process():
    code = "from jobs.leases import owner_name; print(owner_name())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_this_process_is_alive_and_its_names_differ():
    assert not leases.is_dead(leases.owner_name())
    assert leases.owner_name() != leases.owner_name()


def test_an_ended_process_is_dead(name_of_a_dead_process):
    assert leases.is_dead(name_of_a_dead_process)


def test_a_killed_child_that_nobody_waited_for_is_dead():
    code = "import sys, time; from jobs.leases import owner_name; print(owner_name(), flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        name = child.stdout.readline().strip()
        assert not leases.is_dead(name)
        os.kill(child.pid, 9)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert leases.is_dead(name)


def test_what_left_no_trace_has_no_start():
    assert leases._started(2**31 - 1) == ""


def test_a_later_process_of_the_same_number_does_not_keep_its_lease():
    machine, pid, started, token = leases.owner_name().split(":")
    assert leases.is_dead(f"{machine}:{pid}:{int(started) - 1}:{token}")


@pytest.mark.parametrize("owner", ["", "elsewhere/1:1:1:aa", "somebody", "elsewhere:x:1:aa"])
def test_of_others_nothing_can_be_known(owner):
    assert not leases.is_dead(owner)


def test_a_process_that_may_not_be_asked_lives():
    machine, _, rest = leases.owner_name().partition(":")
    assert not leases.is_dead(f"{machine}:not-a-number:{rest}")


def test_a_lease_is_for_one_holder_at_a_time(store):
    assert leases.acquire(store, "work", "elsewhere/1:1:1:aa", TTL) is not None
    assert leases.acquire(store, "work", leases.owner_name(), TTL) is None


def test_a_dead_holders_lease_is_taken_at_once(store, name_of_a_dead_process):
    store.acquire_lease("work", name_of_a_dead_process, TTL)
    mine = leases.owner_name()
    assert leases.acquire(store, "work", mine, TTL) == 2
    assert store.lease_owner("work") == mine


def test_another_machines_lease_is_waited_for(store, clock):
    store.acquire_lease("work", "elsewhere/1:1:1:aa", TTL)
    clock.step_to(clock.now() + TTL)
    assert leases.acquire(store, "work", leases.owner_name(), TTL) == 2


def test_held_renews_in_good_time_and_lets_go(store, clock):
    with leases.held(store, "work", TTL, clock) as lease:
        for _ in range(5):
            clock.step_to(clock.now() + TTL / 2)
            lease.renew()
            assert lease.fence.number == 1
        with pytest.raises(LeaseHeld, match="work"), leases.held(store, "work", TTL, clock):
            pytest.fail("held twice")
    assert store.lease_owner("work") is None


def test_held_lets_go_when_its_block_fails(store, clock):
    with pytest.raises(ZeroDivisionError), leases.held(store, "work", TTL, clock):
        raise ZeroDivisionError
    assert store.lease_owner("work") is None


def test_a_renewal_that_came_too_late_is_told(store, clock):
    with contextlib.ExitStack() as stack:
        lease = stack.enter_context(leases.held(store, "work", TTL, clock))
        clock.step_to(clock.now() + TTL)
        store.acquire_lease("work", "elsewhere/1:1:1:aa", TTL)
        with pytest.raises(LeaseHeld):
            lease.renew()
    assert store.lease_owner("work") == "elsewhere/1:1:1:aa"


def test_a_lease_that_ran_out_and_was_nobody_elses_goes_on_with_a_new_fence(store, clock):
    with leases.held(store, "work", TTL, clock) as lease:
        clock.step_to(clock.now() + TTL)
        lease.renew()
        assert lease.fence.number == 2
        lease.renew()


def test_who_comes_back_after_another_has_come_and_gone_is_told(store, clock):
    with leases.held(store, "work", TTL, clock) as lease:
        clock.step_to(clock.now() + TTL)
        with leases.held(store, "work", TTL, clock):
            pass
        with pytest.raises(LeaseHeld, match="meanwhile"):
            lease.renew()
    assert store.lease_owner("work") is None


@pytest.mark.parametrize(
    ("owner", "name"), [("ward-7/4026531836:41:900:ab12", "ward-7 41"), ("somebody", "somebody"), ("", "")]
)
def test_a_holder_has_a_name_for_people(owner, name):
    assert leases.holder_name(owner) == name
