"""Every connector reads everything once, wherever it is stopped, and afterwards only what is new."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import Meter, Window
from listener.errors import RetryLater
from listener.standins.server import Fault

if TYPE_CHECKING:
    from conftest import Bench

HOUR = timedelta(hours=1)
ORDERS = ["newest first", "out of order", "with duplicates"]
CURSOR_BYTES = 64 * 1024


def disturb(bench: Bench, order: str) -> None:
    bench.standin.out_of_order = order == "out of order"
    bench.standin.duplicates = order == "with duplicates"


def test_an_empty_stream_gives_nothing_and_can_be_pulled_again(bench: Bench) -> None:
    first = bench.whole()
    assert first.mentions == {}
    posts = bench.posts(3, ago=HOUR)
    assert bench.whole(first.cursor).texts == bench.texts(posts)


@pytest.mark.parametrize("order", ORDERS)
def test_a_first_pull_pages_to_the_end(bench: Bench, order: str) -> None:
    bench.small_pages()
    disturb(bench, order)
    posts = bench.posts(40)
    reading = bench.whole()
    assert len(reading.pages) > 1
    assert reading.texts == bench.texts(posts)
    assert reading.skipped == 0


def test_a_mention_says_what_the_platform_says(bench: Bench) -> None:
    posts = bench.posts(12)
    mentions = bench.whole().mentions
    for post in posts:
        mention = mentions[post.external_id]
        assert mention.channel == bench.channel
        assert mention.kind == post.kind
        assert mention.published_at == post.published_at
        assert mention.parent_external_id == post.parent_id
        assert mention.conversation_id in {post.conversation_id, post.conversation_id or post.external_id}
        assert mention.author is not None
        assert mention.author.id == post.author_id
        assert mention.author.handle in {post.author_handle, None}
        assert mention.permalink is not None
        assert mention.permalink.startswith("https://")
        assert mention.edited_at is None
        assert mention.removed_at is None
        for name in ("likes", "replies", "shares", "views"):
            true, given = getattr(post.metrics, name), getattr(mention.metrics, name)
            assert true is None or given in {true, None}, name
        assert mention.language in {post.language, None}
    assert any(mention.metrics.likes is not None for mention in mentions.values())
    assert {mention.kind for mention in mentions.values()} == {post.kind for post in posts}


@pytest.mark.parametrize("length", [1, 2])
def test_a_platform_that_pages_in_a_circle_is_left_alone_soon(bench: Bench, length: int) -> None:
    bench.small_pages()
    posts = bench.posts(40)
    healthy = bench.whole()
    listing = next(request.path for request in bench.standin.requests if request.method == "GET")
    bench.standin.fail(Fault(what="cycle", path=f"^{listing}$", times=None, length=length))
    circle = bench.read()
    assert isinstance(circle.error, RetryLater)
    assert circle.requests <= healthy.requests + 10
    bench.standin.heal()
    rest = bench.whole(circle.cursor)
    assert circle.texts | rest.texts == bench.texts(posts)


@pytest.mark.parametrize("order", ORDERS)
def test_a_pull_can_be_resumed_at_every_page_boundary(bench: Bench, order: str) -> None:
    bench.small_pages()
    disturb(bench, order)
    posts = bench.posts(30)
    boundaries = len(bench.whole().pages)
    assert boundaries > 1
    for pages in range(boundaries):
        before = bench.read(pages=pages)
        after = bench.whole(before.cursor)
        assert before.texts | after.texts == bench.texts(posts), f"stopped after page {pages} of {boundaries}"


def test_what_comes_while_a_stopped_pull_waits_is_read_with_the_rest_or_next_time(bench: Bench) -> None:
    bench.small_pages()
    posts = bench.posts(30)
    for pages in range(1, len(bench.whole().pages)):
        before = bench.read(pages=pages)
        bench.step(2 * HOUR)
        posts += bench.posts(5, ago=HOUR)
        after = bench.whole(before.cursor)
        last = bench.whole(after.cursor)
        missing = bench.texts(posts).keys() - (before.texts | after.texts | last.texts).keys()
        assert not missing, f"stopped after page {pages}"


def test_a_pull_stopped_again_and_again_comes_to_its_end(bench: Bench) -> None:
    """A few pages at a time are enough: what is read again for the overlap's sake must not eat them all."""
    bench.small_pages()
    posts = bench.posts(30)
    read: dict[str, str] = {}
    cursor = {}
    for _ in range(60):
        reading = bench.read(cursor, pages=4)
        read |= reading.texts
        if read.keys() >= bench.texts(posts).keys():
            break
        assert reading.pages, "the pull is over and something was never read"
        cursor = reading.cursor
    assert read == bench.texts(posts)


@pytest.mark.parametrize("order", ORDERS)
def test_a_later_pull_asks_only_for_what_is_new(bench: Bench, order: str) -> None:
    bench.small_pages()
    disturb(bench, order)
    bench.posts(40)
    first = bench.whole()
    bench.step(6 * HOUR)
    fresh = bench.posts(3, ago=2 * HOUR)
    second = bench.whole(first.cursor)
    assert second.texts.items() >= bench.texts(fresh).items()
    assert len(second.listed) < len(first.listed)
    assert second.requests < first.requests
    bench.step(HOUR)
    third = bench.whole(second.cursor)
    assert third.requests <= second.requests


def test_an_item_that_shows_up_late_is_found(bench: Bench) -> None:
    bench.posts(10)
    first = bench.whole()
    late = bench.posts(1, ago=timedelta(minutes=1))
    bench.step(HOUR)
    assert bench.whole(first.cursor).texts.items() >= bench.texts(late).items()


def test_a_window_bounds_what_is_read_and_costs_nothing_of_the_rest(bench: Bench) -> None:
    """Everything of ``[since, until)`` comes, nothing from outside, and the next pull still finds the rest."""
    batches = [bench.standin.example_posts(9, bench.clock.now() - hours * HOUR, HOUR) for hours in (30, 20, 10)]
    bench.standin.publish(*(post for batch in batches for post in batch))
    _, inside, later = batches
    first = bench.whole(window=Window(inside[0].published_at, later[0].published_at))
    assert first.texts == bench.texts(inside)
    assert bench.whole(first.cursor).texts.items() >= bench.texts(later).items()


def test_since_reaches_back_behind_the_cursor(bench: Bench) -> None:
    posts = bench.posts(12)
    cursor = bench.whole().cursor
    bench.step(HOUR)
    again = bench.whole(cursor, Window(posts[0].published_at))
    assert again.texts == bench.texts(posts)
    bench.step(HOUR)
    fresh = bench.posts(2, ago=HOUR)
    assert bench.whole(again.cursor).texts.items() >= bench.texts(fresh).items()


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_called_covered_has_been_read_whole(bench: Bench, order: str) -> None:
    bench.small_pages()
    disturb(bench, order)
    posts = bench.posts(30)
    read: set[str] = set()
    spans = []
    for page in bench.whole().pages:
        read |= {mention.external_id for mention in page.mentions}
        if page.covered is None:
            continue
        start, end = page.covered
        spans.append(page.covered)
        assert start < end <= bench.clock.now()
        missing = {post.external_id for post in posts if start <= post.published_at < end} - read
        assert not missing, f"{start} to {end} is called covered"
    for post in posts:
        assert any(start <= post.published_at < end for start, end in spans), "read to the end, not called covered"


def test_an_empty_platform_is_covered_too(bench: Bench) -> None:
    """Nothing heard is not nothing read: a later pull that finds nothing says which time it read."""
    cursor = bench.whole().cursor
    bench.step(6 * HOUR)
    spans = [page.covered for page in bench.whole(cursor).pages if page.covered]
    assert spans
    assert max(end for _, end in spans) - min(start for start, _ in spans) >= 5 * HOUR


def test_the_cursor_is_json_and_stays_small(bench: Bench) -> None:
    bench.small_pages()
    bench.posts(60)
    cursor = {}
    for _ in range(5):
        reading = bench.whole(cursor)
        sizes = [len(json.dumps(page.cursor)) for page in reading.pages]
        assert max(sizes) < CURSOR_BYTES
        assert all(json.loads(json.dumps(page.cursor)) == page.cursor for page in reading.pages)
        cursor = reading.cursor
        bench.step(12 * HOUR)
        bench.posts(12, ago=11 * HOUR)


def test_every_request_is_counted(bench: Bench) -> None:
    bench.small_pages()
    posts = bench.posts(20)
    reading = bench.whole()
    assert reading.usage.requests == reading.requests
    again = bench.recheck([post.external_id for post in posts])
    assert again.usage.requests == again.requests


def test_a_connector_is_good_for_many_pulls_and_closes_twice(bench: Bench) -> None:
    posts = bench.posts(5)
    connector = bench.connector()
    assert bench.read(connector=connector).texts == bench.texts(posts)
    assert bench.read(connector=connector).texts == bench.texts(posts)
    connector.close()
    connector.close()


def test_time_and_new_posts_go_on_while_a_pull_is_under_way(bench: Bench) -> None:
    bench.small_pages()
    posts = bench.posts(30)
    read: set[str] = set()
    cursor: Any = {}
    for page in bench.connector().pull(bench.stream, {}, Window(), Meter()):
        read |= {mention.external_id for mention in page.mentions}
        cursor = json.loads(json.dumps(page.cursor))
        if len(posts) < 60:
            bench.step(timedelta(minutes=20))
            posts += bench.posts(3, ago=timedelta(minutes=15))
    bench.step(HOUR)
    rest = bench.whole(cursor)
    assert read | rest.texts.keys() == bench.texts(posts).keys()


def test_pulls_of_one_connector_do_not_mix(bench: Bench) -> None:
    bench.small_pages()
    posts = bench.posts(25)
    connector = bench.connector()
    slow = connector.pull(bench.stream, {}, Window(), Meter())
    first = next(slow)
    bench.read(connector=connector, pages=1)
    assert bench.read(connector=connector).texts == bench.texts(posts)
    pages = [first, *slow]
    assert {mention.external_id for page in pages for mention in page.mentions} == bench.texts(posts).keys()


def test_several_threads_read_with_a_connector_each(bench: Bench) -> None:
    """Made in one thread, used in another: so the scheduler has them."""
    posts = bench.posts(12)
    connectors = [bench.connector() for _ in range(4)]
    with ThreadPoolExecutor(len(connectors)) as threads:
        waiting = [threads.submit(bench.read, connector=connector) for connector in connectors]
        readings = [each.result(timeout=20) for each in waiting]
    assert [reading.error for reading in readings] == [None] * len(connectors)
    assert all(reading.texts == bench.texts(posts) for reading in readings)


def test_making_a_connector_asks_nothing(bench: Bench) -> None:
    bench.connector()
    assert bench.standin.requests == []
