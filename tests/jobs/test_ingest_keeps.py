"""Leases and coverage as ingest keeps them."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from jobs import leases
from jobs.ingest import ingest
from listener.errors import LeaseHeld, RetryLater


def scalar(store, sql):
    with store.database.read() as connection:
        return connection.execute(text(sql)).scalar_one()


def test_a_stream_that_another_process_pulls_is_left_to_it(pull, feed, store, mentions):
    feed.mentions = mentions
    pull()
    store.acquire_lease("stream:1", "elsewhere/0:1:1:aa", timedelta(minutes=5))
    (report,) = pull()
    assert report.outcome == "held"
    assert isinstance(report.error, LeaseHeld)
    assert report.error.exit_code == 6
    store.release_lease("stream:1", "elsewhere/0:1:1:aa")
    assert pull()[0].outcome == "done"


def test_a_lease_lost_to_another_process_ends_the_run_and_leaves_the_page_to_it(
    pull, feed, store, clock, mentions, monkeypatch
):
    feed.mentions = mentions

    def lose(number):
        clock.step_to(clock.now() + timedelta(minutes=6))
        store.acquire_lease("stream:1", "elsewhere/0:1:1:aa", timedelta(minutes=5))

    feed.before_page = lose
    (report,) = pull()
    assert report.outcome == "interrupted"
    assert isinstance(report.error, LeaseHeld)
    assert scalar(store, "SELECT count(*) FROM mentions") == 0
    assert store.lease_owner("stream:1") == "elsewhere/0:1:1:aa"


class Stalling:
    """A store whose caller is stopped on the way to saving a page, and comes back when another has its lease."""

    def __init__(self, store, clock):
        self.store = store
        self.clock = clock

    def __getattr__(self, name):
        return getattr(self.store, name)

    def save_page(self, **page):
        self.clock.step_to(self.clock.now() + timedelta(minutes=6))
        assert self.store.acquire_lease("stream:1", "elsewhere/0:1:1:aa", timedelta(minutes=5))
        return self.store.save_page(**page)


def test_a_page_of_one_who_was_stopped_on_the_way_to_save_it_is_refused(
    settings, feed, either_store, clock, platforms, mentions
):
    feed.mentions = mentions
    (report,) = ingest(settings, Stalling(either_store, clock), clock=clock, platforms=platforms)
    assert (report.outcome, report.pages) == ("interrupted", 0)
    assert isinstance(report.error, LeaseHeld)
    (status,) = either_store.status()
    assert (status.has_cursor, status.mentions, status.last_run.outcome) == (False, 0, "interrupted")
    assert status.holder == "elsewhere/0:1:1:aa"


def test_two_threads_never_pull_one_stream_at_once(settings, feed, store, clock, platforms, mentions):
    feed.mentions = mentions
    inner = []
    feed.before_page = lambda number: inner.extend(ingest(settings, store, clock=clock, platforms=platforms))
    (report,) = ingest(settings, store, clock=clock, platforms=platforms)
    assert report.outcome == "done"
    assert {one.outcome for one in inner} == {"held"}


def test_the_cursor_that_the_former_holder_left_is_the_one_to_go_on_from(
    settings, feed, store, clock, platforms, mentions
):
    """The stream is read before its lease is had; meanwhile its holder moves the cursor."""
    feed.mentions = mentions
    ingest(settings, store, clock=clock, platforms=platforms, limit=10)
    asked = []
    real = store.acquire_lease

    class Store:
        """The same store, seen by a process that was slow to get the lease."""

        def __getattr__(self, name):
            return getattr(store, name)

        def acquire_lease(self, *arguments):
            if not asked:
                asked.append(True)
                ingest(settings, store, clock=clock, platforms=platforms)
            return real(*arguments)

    before = feed.requests
    (report,) = ingest(settings, Store(), clock=clock, platforms=platforms)
    assert (report.outcome, report.fetched) == ("done", 0)
    assert feed.requests == before + 3


def test_coverage_is_kept_with_the_page_that_completes_it(pull, feed, store, clock, mentions):
    feed.mentions = mentions
    feed.errors = {1: RetryLater("it is down")}
    pull()
    assert store.status()[0].coverage.spans == ()
    feed.errors = {}
    pull()
    assert store.status()[0].coverage.spans == ((clock.now() - timedelta(days=7), clock.now()),)
    assert scalar(store, "SELECT sum(covered_seconds) FROM coverage_days") == 7 * 86_400
    assert scalar(store, "SELECT sum(lost_seconds) FROM coverage_days") == 0


def test_what_the_platform_no_longer_gives_is_a_gap(pull, feed, store, clock):
    pull()
    left = clock.now()
    clock.step_to(left + timedelta(days=10))
    feed.covered_from = clock.now() - timedelta(days=7)
    pull()
    assert scalar(store, "SELECT sum(lost_seconds) FROM coverage_days") == 3 * 86_400
    assert scalar(store, "SELECT sum(covered_seconds) FROM coverage_days") == 14 * 86_400
    feed.covered_from = left - timedelta(hours=1)
    clock.step_to(clock.now() + timedelta(hours=1))
    pull()
    assert scalar(store, "SELECT sum(lost_seconds) FROM coverage_days") == 0


def test_leases_are_let_go_whatever_happens(pull, feed, store, mentions):
    feed.mentions = mentions
    feed.errors = {0: RetryLater("it is down")}
    pull()
    assert store.lease_owner("stream:1") is None
    assert leases.acquire(store, "stream:1", "someone", timedelta(minutes=1)) is not None
