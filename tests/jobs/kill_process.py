"""Kills ingest at random moments, in a process of its own: `kill_process.py URL VARIANT KILLS SEED`.

This process imports everything once and forks a child for each kill; it never opens the database itself. A
child pulls an endless feed and counts its days now and then, until it is killed. In the end one child is let
live and reads up to where the feed is then cut. Prints JSON: how many children were killed, how many mentions
the feed had by then.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from fake_platform import START, TAXONOMY, FakePlatforms, Feed, make_mention, make_settings

from jobs.hearing import analyzer_for
from jobs.ingest import ingest
from jobs.rollup import roll_up
from listener.clock import SteppedClock
from listener.mention import Mention, Metrics
from listener.signals.taxonomy import Taxonomy
from storage.store import MentionStore

PAGE = 10
REMOVED_AFTER = 45
"""More than a page: of what is removed before it was ever stored, nobody can say what it was about."""
# Experiences beyond doubt, or topics would not count them; "Passing by" is none, and has no topic either.
TEXTS = (
    "My mother was in hospital for a week and I paid for parking every day",
    "My dad had surgery last week and the nurses were kind",
    "Passing by",
    "We spent eight hours in emergency with my son and the parking was full",
)


def item(number: int) -> Mention:
    """What the feed serves at this place: mostly something new, sometimes an edit or a removal of before."""
    if number % 29 == 28 and number > REMOVED_AFTER:
        before = item(number - REMOVED_AFTER)
        return replace(before, text="", author=None, removed_at=START + timedelta(seconds=number))
    if number % 11 == 10 and (number - 9) % 29 != 28:
        before = item(number - 9)
        return replace(before, text=f"Edited: {TEXTS[number % 3]}", edited_at=START + timedelta(seconds=number))
    return make_mention(
        number,
        text=f"{TEXTS[number % 4]}, visit {number}",
        published_at=START + timedelta(minutes=number % (40 * 1440)),
        metrics=Metrics(likes=number % 5),
    )


class Endless(Sequence[Mention]):
    """The feed as a list, endless unless it is cut."""

    def __init__(self, length: int = 10**9) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, place: Any) -> Any:
        return [item(number) for number in range(*place.indices(self.length))]


class CursorFirst:
    """A broken store: the cursor is committed before the page it stands for."""

    def __init__(self, store: MentionStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def save_page(self, *, records: Sequence[Any], **page: Any) -> Any:
        self._store.save_page(records=(), **page)
        return self._store.save_page(records=records, **page)


class WithoutKey(CursorFirst):
    """A broken store: the data is committed before its cursor, and what comes twice is not known again."""

    def save_page(self, *, records: Sequence[Any], cursor: Mapping[str, Any], run_id: int, **page: Any) -> Any:
        anew = [
            replace(
                record,
                mention=replace(
                    record.mention, external_id=f"{record.mention.external_id}#{run_id}", removed_at=None
                ),
            )
            for record in records
            if record.signals
        ]
        before = self._store.find_stream(organization="st-elsewhere", channel="birdsong", key=self.key)
        counts = self._store.save_page(records=anew, cursor=before.cursor, run_id=run_id, **page)
        self._store.save_page(records=(), cursor=cursor, run_id=run_id, **page)
        return counts

    key = ""


VARIANTS: dict[str, Callable[[MentionStore], Any]] = {
    "right": lambda store: store,
    "cursor-first": CursorFirst,
    "without-key": WithoutKey,
}


def live(url: str, variant: str, feed: Feed, limit: int | None) -> None:
    """Pull and count, in the child: endlessly, or once to the feed's end."""
    settings = make_settings()
    platforms = FakePlatforms(birdsong=feed)
    WithoutKey.key = platforms.streams(settings)[0][0].key
    clock = SteppedClock(START + timedelta(days=50))
    with MentionStore.open(url, clock=clock) as store:
        pages = itertools.count(1)

        def count_sometimes(_stream: object, _count: int) -> None:
            if next(pages) % 4 == 0:
                roll_up(store)

        while True:
            (report,) = ingest(
                settings,
                VARIANTS[variant](store),
                clock=clock,
                limit=limit,
                # Two pages together at the most, or hardly a child would live to save one.
                at_once=PAGE + 1,
                on_page=count_sometimes,
                platforms=platforms,
            )
            if report.error is not None:
                raise report.error
            if report.outcome == "done":
                roll_up(store)
                return


def fork(work: Callable[[], None]) -> int:
    """Run ``work`` in a child and return its number; a child that fails leaves with 1."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    finally:
        # Reached by an exception alone. It must not unwind into the parent's own code.
        traceback.print_exc()
        os._exit(1)


def moments(chance: random.Random) -> Iterator[tuple[int, float]]:
    """Yield when to kill: so many pages were asked for, and so many seconds have gone by since.

    Mostly within the first pages, however slow the machine is; now and then while the child is still starting.
    """
    while True:
        yield chance.choice([0, *[2, 4, 5] * 3]), chance.uniform(0, 0.12)


def kill_one(url: str, variant: str, limit: int | None, *, pages: int, after: float) -> None:
    """Start a child, wait until it asks for so many pages and a little more, and kill it before its end."""
    ready, told = os.pipe()
    feed = Feed(mentions=Endless(), page_size=PAGE)
    feed.before_page = lambda _number: os.write(told, b".")
    child = fork(lambda: live(url, variant, feed, limit))
    os.close(told)
    for _ in range(pages):
        os.read(ready, 1)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(ready)
    if not os.WIFSIGNALED(status):
        raise SystemExit(f"a child ended by itself: {os.waitstatus_to_exitcode(status)}")


def main(url: str, variant: str, kills: str, seed: str) -> None:
    chance = random.Random(int(seed))
    for _, (pages, after) in zip(range(int(kills)), moments(chance), strict=False):
        limit = chance.choice([None, 90])
        kill_one(url, variant, limit, pages=pages, after=after)
    length = cut_where_it_stands(url, variant)
    json.dump({"killed": int(kills), "length": length}, sys.stdout)


def cut_where_it_stands(url: str, variant: str) -> int:
    """Let one child read on to the end of a feed that ends five pages after the kept cursor; return its length."""
    reader, writer = os.pipe()

    def finish() -> None:
        with MentionStore.open(url) as store:
            key = FakePlatforms(birdsong=Feed()).streams(make_settings())[0][0].key
            state = store.find_stream(organization="st-elsewhere", channel="birdsong", key=key)
            length = (state.cursor.get("at", 0) if state else 0) + 5 * PAGE + 3
        os.write(writer, str(length).encode())
        live(url, variant, Feed(mentions=Endless(length), page_size=PAGE), None)

    child = fork(finish)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit("the last child failed")
    return int(os.read(reader, 100))


if __name__ == "__main__":
    # The models are read, and the phrases made ready, at their first use: once here, not in each child, which
    # would be killed before it has heard its first page.
    texts = [item(number).text for number in range(2 * PAGE)]
    analyzer_for(make_settings(), Taxonomy.load(TAXONOMY)).analyze_many(texts)
    # One thread, or a fork would be a gamble.
    assert len(list(Path("/proc/self/task").iterdir())) == 1
    main(*sys.argv[1:])
