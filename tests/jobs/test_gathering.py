from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from connectors.base import Page
from jobs.gathering import PATIENCE, gather
from listener.clock import SteppedClock
from listener.errors import RetryLater, SkipItem


@pytest.fixture
def gathered(clock, mentions):
    """Gather pages of so many mentions each, as the numbers of the mentions that are kept together."""

    def run(sizes, *, at_once=10, limit=None):
        return list(gather(pages_of(mentions, sizes), {}, limit=limit, at_once=at_once, clock=clock))

    return run


def pages_of(mentions, sizes):
    at = 0
    for size in sizes:
        at += size
        yield Page(mentions=tuple(mentions[at - size : at]), cursor={"at": at})


def test_small_pages_are_kept_together_until_they_are_enough(gathered, mentions):
    first, second, third = gathered([4, 4, 4, 8, 2, 2, 1])
    assert (first.sizes, first.cursor) == ([4, 4, 4], {"at": 12})
    assert (second.sizes, second.cursor) == ([8, 2], {"at": 22})
    assert (third.sizes, third.cursor) == ([2, 1], {"at": 25})
    assert first.mentions == mentions[:12]


def test_empty_pages_move_the_cursor_too(gathered):
    (only,) = gathered([0, 0])
    assert (only.sizes, only.mentions, only.cursor) == ([0, 0], [], {"at": 0})
    assert gathered([]) == []


def test_what_has_been_read_and_what_was_skipped_is_kept_with_it(clock, mentions):
    now = clock.now()
    hour = timedelta(hours=1)
    pages = [
        Page(mentions=(), cursor={"at": 1}, skipped=(SkipItem("odd"),)),
        Page(mentions=(mentions[0],), cursor={"at": 2}, covered=(now - hour, now)),
        Page(mentions=(mentions[1],), cursor={"at": 3}, covered=(now, now + hour)),
    ]
    first, second = gather(pages, {}, limit=None, at_once=10, clock=clock)
    assert (first.covered, second.covered) == ([(now - hour, now)], [(now, now + hour)])
    assert [str(item) for item in first.skipped] == ["odd"]


def test_nothing_is_held_for_long(clock, mentions):
    def slow():
        for page in pages_of(mentions, [1, 1, 1, 1]):
            clock.step_to(clock.now() + PATIENCE / 2)
            yield page

    kept = gather(slow(), {}, limit=None, at_once=10, clock=clock)
    assert [each.sizes for each in kept] == [[1, 1, 1], [1]]


def test_a_limit_ends_it_and_a_page_cut_short_keeps_the_cursor_before_it(gathered, mentions):
    first, second = gathered([8, 8, 8], at_once=5, limit=12)
    assert (first.is_last, second.is_last) == (False, True)
    assert (second.mentions, second.cursor) == (mentions[8:12], {"at": 8})
    (only,) = gathered([8, 8, 8], at_once=50, limit=12)
    assert (only.mentions, only.cursor, only.is_last) == (mentions[:12], {"at": 8}, True)
    (whole,) = gathered([8, 4, 8], at_once=50, limit=12)
    assert (whole.mentions, whole.cursor, whole.is_last) == (mentions[:12], {"at": 12}, True)


@pytest.mark.parametrize("error", [RetryLater("it is down"), ValueError("a bug")])
def test_what_was_read_before_an_error_comes_before_it(clock, mentions, error):
    def failing():
        yield from pages_of(mentions, [3])
        raise error

    kept = gather(failing(), {}, limit=None, at_once=10, clock=clock)
    assert next(kept).cursor == {"at": 3}
    with pytest.raises(type(error)):
        next(kept)


def test_an_error_at_once_keeps_nothing(clock):
    def failing():
        raise RetryLater("it is down")
        yield

    with pytest.raises(RetryLater):
        next(gather(failing(), {}, limit=None, at_once=10, clock=clock))


def test_what_comes_again_otherwise_is_kept_after_what_it_was(clock, mentions):
    edited = replace(mentions[0], text="another text")
    removed = replace(edited, text="", removed_at=clock.now())
    pages = [
        Page(mentions=(each, mentions[1]), cursor={"at": number})
        for number, each in enumerate([mentions[0], mentions[0], edited, removed])
    ]
    kept = list(gather(pages, {}, limit=None, at_once=100, clock=clock))
    assert [each.sizes for each in kept] == [[2, 2], [2], [2]]


@given(
    sizes=st.lists(st.integers(0, 6), max_size=12),
    at_once=st.integers(1, 9),
    limit=st.none() | st.integers(1, 30),
)
def test_nothing_is_lost_doubled_or_put_in_another_order(fake, sizes, at_once, limit):
    mentions = [fake.make_mention(number) for number in range(sum(sizes))]
    clock = SteppedClock(fake.START)
    kept = list(gather(pages_of(mentions, sizes), {}, limit=limit, at_once=at_once, clock=clock))
    assert [mention for each in kept for mention in each.mentions] == mentions[:limit]
    assert all(len(each.mentions) >= at_once for each in kept[:-1])


def test_a_run_of_small_pages_is_few_transactions_and_tells_every_page(pull, feed, store, mentions):
    feed.mentions, feed.page_size = mentions, 2
    heard = []
    (report,) = pull(on_page=lambda stream, count: heard.append(count))
    assert (report.outcome, report.pages, report.fetched, report.counts.inserted) == ("done", 13, 25, 25)
    assert heard == [2] * 12 + [1]
    with store.database.read() as connection:
        assert connection.execute(text("SELECT pages, fetched FROM runs")).one() == (13, 25)


def test_what_was_held_when_a_pull_is_stopped_is_kept(pull, feed, mentions):
    feed.mentions, feed.page_size = mentions, 2
    stop = threading.Event()
    feed.before_page = lambda number: stop.set() if number == 3 else None
    (report,) = pull(stop=stop)
    assert (report.outcome, report.counts.inserted) == ("interrupted", 8)
    assert pull()[0].counts.inserted == 17
