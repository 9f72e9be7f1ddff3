from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from connectors.base import Meter
from jobs.budget import ASK_AGAIN
from jobs.connections import Connections
from jobs.leases import Lease
from listener.errors import BudgetHeld, LeaseHeld, QuotaExhausted
from listener.signals.taxonomy import Taxonomy
from listener.usage import Usage
from storage.spending import TAKEN, holder_of


@pytest.fixture
def meters(fake, either_store, clock):
    """Makes meters of several workers on one budget: ``meters(job, **limits)``."""
    platforms = fake.FakePlatforms(birdsong=fake.Feed())

    names = itertools.count(1)

    def make(job="ingest", *, lease=None, **limits):
        settings = fake.make_settings(connectors={"birdsong": limits})
        either_store.declare(settings.organizations, Taxonomy.load(settings.topics_file))
        lease = lease or Lease(either_store, f"stream:{next(names)}", timedelta(days=9), clock)
        return Connections(settings, either_store, clock, platforms).meter("birdsong", job, lease)

    return make


def midnight(clock):
    return clock.now().replace(hour=0, minute=0, second=0)


def test_all_workers_together_make_no_more_requests_than_a_day_holds(meters, clock):
    one, other = meters(most_requests=5), meters(most_requests=5)
    for meter in (one, other, one, other, one):
        meter.request()
    for meter in (one, other, meters(most_requests=5)):
        with pytest.raises(QuotaExhausted, match="5 requests is used up") as refused:
            meter.request()
        assert refused.value.at == midnight(clock) + timedelta(days=1)
    assert (one.usage, other.usage) == (Usage(requests=3), Usage(requests=2))


def test_what_one_holds_for_an_answer_under_way_others_wait_for(meters, clock, either_store):
    one, other = meters(most_posts=25), meters(most_posts=25)
    assert one.afford(least=10, most=20, posts_read=1) == 20
    one.request()
    for ask in (
        lambda: other.afford(least=10, most=20, posts_read=1),
        lambda: other.afford(least=6, most=6, posts_read=1),
    ):
        with pytest.raises(BudgetHeld, match="25 posts is held") as waiting:
            ask()
        assert waiting.value.at == clock.now() + ASK_AGAIN
    one.add(posts_read=3)
    assert other.afford(least=10, most=100, posts_read=1) == 22
    other.request()
    other.add(posts_read=22)
    with pytest.raises(QuotaExhausted):
        one.afford(least=1, most=1, posts_read=1)
    with pytest.raises(QuotaExhausted):
        one.request()
    taken = either_store.spent("birdsong", midnight(clock))
    assert taken["ingest", TAKEN] == Usage(requests=2, posts_read=25)
    assert taken.keys() == {("ingest", TAKEN), ("refresh", TAKEN)}, "nothing is held"


def test_a_request_without_a_share_of_its_own_waits_for_those_that_hold_the_rest(meters):
    one, other = meters(most_posts=25), meters(most_posts=25)
    one.afford(least=10, most=25, posts_read=1)
    with pytest.raises(BudgetHeld, match="held"):
        other.request()
    one.let_go()
    one.let_go()
    other.request()


def test_a_second_grant_takes_the_place_of_the_first(meters, either_store, clock):
    lease = Lease(either_store, "stream:7", timedelta(days=1), clock)
    meter = meters(lease=lease, most_posts=25)
    meter.afford(least=10, most=25, posts_read=1)
    assert meter.afford(least=10, most=12, posts_read=1) == 12
    assert either_store.spent("birdsong", midnight(clock))["ingest", holder_of(lease.fence)] == Usage(
        posts_read=12
    )
    with pytest.raises(QuotaExhausted, match="does not hold 26 posts more"):
        meter.afford(least=26, most=26, posts_read=1)
    assert ("ingest", holder_of(lease.fence)) not in either_store.spent("birdsong", midnight(clock))


def test_what_a_killed_worker_held_counts_as_taken_once_another_goes_on(meters, either_store, clock):
    lease = Lease(either_store, "stream:77", timedelta(minutes=5), clock)
    killed = meters(lease=lease, most_posts=25)
    killed.afford(least=10, most=20, posts_read=1)
    killed.request()
    other = meters(most_posts=25)
    with pytest.raises(BudgetHeld):
        other.afford(least=10, most=100, posts_read=1)
    clock.step_to(clock.now() + timedelta(minutes=5))
    follower = meters(lease=Lease(either_store, "stream:77", timedelta(minutes=5), clock), most_posts=25)
    assert follower.afford(least=1, most=100, posts_read=1) == 5
    with pytest.raises(QuotaExhausted):
        other.afford(least=10, most=100, posts_read=1)
    # It was only late: 20 were counted for it, and 12 it was.
    killed.add(posts_read=12)
    assert either_store.spent("birdsong", midnight(clock))["ingest", TAKEN] == Usage(requests=1, posts_read=12)
    assert other.afford(least=1, most=100, posts_read=1) == 8


def test_an_answer_that_comes_after_midnight_is_booked_on_the_day_it_was_asked_for(meters, clock, either_store):
    meter = meters(most_posts=25)
    before = midnight(clock)
    clock.step_to(before + timedelta(hours=23, minutes=59, seconds=30))
    meter.afford(least=10, most=25, posts_read=1)
    clock.step_to(before + timedelta(hours=24))
    meter.request()
    meter.add(posts_read=7)
    old, new = either_store.spent("birdsong", before), either_store.spent("birdsong", midnight(clock))
    assert old["ingest", TAKEN] == Usage(posts_read=7)
    assert new["ingest", TAKEN] == Usage(requests=1)
    assert old.keys() == new.keys() == {("ingest", TAKEN), ("refresh", TAKEN)}, "nothing is held"
    assert meter.afford(least=10, most=25, posts_read=1) == 25


def test_look_ups_have_their_ration_beside_pulls_under_way(meters):
    pull, look_up = meters(most_posts=40), meters("refresh", most_posts=40)
    assert look_up.afford(least=1, most=100, posts_read=1) == 10
    look_up.request()
    look_up.add(posts_read=4)
    assert pull.afford(least=10, most=100, posts_read=1) == 36
    with pytest.raises(BudgetHeld):
        look_up.afford(least=1, most=100, posts_read=1)
    pull.add(posts_read=34)
    assert look_up.afford(least=1, most=100, posts_read=1) == 2
    look_up.add(posts_read=2)
    with pytest.raises(QuotaExhausted):
        look_up.afford(least=1, most=100, posts_read=1)


def test_who_lost_the_lease_takes_nothing(meters, either_store, clock):
    lease = Lease(either_store, "stream:1", timedelta(minutes=5), clock)
    meter = meters(lease=lease)
    clock.step_to(clock.now() + timedelta(minutes=5))
    either_store.acquire_lease("stream:1", "elsewhere/1:1:1:aa", timedelta(minutes=5))
    with pytest.raises(LeaseHeld):
        meter.request()
    with pytest.raises(LeaseHeld):
        meter.afford(least=1, most=1, posts_read=1)
    assert set(either_store.spent("birdsong", midnight(clock)).values()) == {Usage()}


def test_a_meter_of_ones_own_holds_too():
    meter = Meter()
    assert meter.afford(least=1, most=9, posts_read=1) == 9
    meter.let_go()
    assert meter.usage == Usage()
