"""Workers in processes of their own share the streams of a loopback X, and are killed and stopped meanwhile."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from waiting import wait_for

from listener.clock import SystemClock
from listener.standins.twitter import TwitterStandin
from storage.store import MentionStore

SCRIPT = Path(__file__).with_name("workers_process.py")
STREAMS = 6
POSTS = 40
ENOUGH = 100_000


class Gated(TwitterStandin):
    """Answers when the gate is open, after a moment in which its client can be killed."""

    page_size_cap = 10

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.gate = threading.Event()
        self.waiting = set()
        self.arrived = threading.Lock()

    def answer(self, request):
        with self.arrived:
            self.waiting.add(request.query.get("query"))
        self.gate.wait(60)
        time.sleep(0.03)
        return super().answer(request)

    @property
    def served(self):
        return sum(self.posts_read.values())


@pytest.fixture
def standin():
    start = SystemClock().now() - timedelta(hours=20)
    with Gated(SystemClock(), TwitterStandin.example_posts(POSTS, start)) as standin:
        yield standin
        standin.gate.set()


@pytest.fixture
def store(store_url):
    with MentionStore.open(store_url) as opened:
        yield opened


@pytest.fixture
def worker(store_url, tmp_path, standin):
    """Starts workers; ``posts`` is the day's budget, ``hold`` (seconds) how long a silent one keeps a turn."""
    running = []

    def start(*, streams=STREAMS, posts=ENOUGH, hold=60):
        config = tmp_path / "listener.toml"
        each = "".join(
            "[[organizations.streams]]\nchannel = 'twitter'\nevery = '1d'\n"
            f"query = '\"St. Elsewhere\" -word{number}'\n"
            for number in range(streams)
        )
        config.write_text(
            "[[organizations]]\nslug = 'st-elsewhere'\nname = 'St. Elsewhere Hospital'\n"
            f"{each}[connectors.twitter]\nbase_url = '{standin.base_url}'\n"
            f"daily_budget_usd = 500\ndaily_posts = {posts}\n"
        )
        log = (tmp_path / f"{len(running)}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), store_url, str(config), str(hold)],
            stderr=log,
            env={
                **os.environ,
                "PYTHONPATH": str(SCRIPT.parents[2]),
                "LISTENER_AUTHOR_KEY": "a key for tests",
                "LISTENER_TWITTER_BEARER_TOKEN": TwitterStandin.secrets["bearer_token"],
            },
        )
        log.close()
        process.log = Path(log.name)
        running.append(process)
        return process

    start.running = running
    yield start
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()


def query(store, sql):
    with store.database.read() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def turns_done(store, count=STREAMS):
    rows = query(store, "SELECT due_at FROM turns WHERE name LIKE 'stream:%'")
    return len(rows) == count and all(due is None for (due,) in rows)


def outcomes(store):
    return sorted(query(store, "SELECT stream_id, outcome FROM runs WHERE outcome IS NOT NULL"))


def each_done_once(store):
    """Tell whether each stream has one run that came to its end, and that was done; ids may have gaps."""
    ended = outcomes(store)
    return len({stream for stream, _ in ended}) == len(ended) == STREAMS and {word for _, word in ended} == {
        "done"
    }


def booked(store):
    (row,) = query(store, "SELECT sum(requests), sum(posts_read) FROM spending WHERE holder = ''")
    return row


def end(process):
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    log = process.log.read_text()
    assert process.returncode == 0, log
    return log


def holders(store):
    """Return the processes that have a stream in hand."""
    owners = [turn.holder for turn in store.due_turns() if turn.holder and turn.name.startswith("stream:")]
    return [int(owner.split(":")[1]) for owner in owners]


def test_three_share_the_streams_and_each_turn_is_done_once(worker, standin, store):
    workers = [worker() for _ in range(3)]
    # Each has one thread: three streams in hand are three workers at work.
    wait_for(lambda: len(standin.waiting) == 3)
    assert len({*holders(store)}) == 3
    standin.gate.set()
    wait_for(lambda: turns_done(store))
    logs = [end(process) for process in workers]
    assert each_done_once(store)
    assert all(": done, " in log for log in logs)
    assert sum(log.count("jobs.schedule leading") for log in logs) >= 1
    assert query(store, "SELECT DISTINCT number FROM turns WHERE name LIKE 'stream:%'") == [(1,)]
    assert query(store, "SELECT count(*), count(DISTINCT external_id) FROM mentions") == [(POSTS, POSTS)]
    assert booked(store) == (len(standin.requests), standin.served)


def test_killed_workers_lose_nothing_and_double_nothing(worker, standin, store):
    chance = random.Random(5)
    killed = 0
    for _ in range(3):
        worker()
    while killed < 4:
        # The first two wait for the platform's answer; the others are wherever they are, if there is a turn left.
        if killed == 2:
            standin.gate.set()
        wait_for(lambda: holders(store) or turns_done(store))
        if turns_done(store):
            break
        # Between two looks one can have laid a stream down, and none taken the next yet.
        pids = holders(store) or [None]
        time.sleep(chance.uniform(0, 0.05))
        for victim in worker.running:
            if victim.pid == pids[0] and victim.poll() is None:
                victim.kill()
                victim.wait()
                worker()
                killed += 1
    assert killed >= 2
    wait_for(lambda: turns_done(store))
    for process in worker.running:
        if process.poll() is None:
            end(process)
    assert each_done_once(store)
    assert query(store, "SELECT count(*), count(DISTINCT external_id) FROM mentions") == [(POSTS, POSTS)]
    assert query(store, "SELECT holder FROM spending WHERE holder <> ''") == []
    assert standin.served <= booked(store)[1]
    # A request that was booked and not made is one of a worker killed in between.
    assert len(standin.requests) <= booked(store)[0] <= len(standin.requests) + killed


def test_all_together_keep_the_budget_of_the_day_and_leave_nothing_of_it(worker, standin, store):
    budget = 95
    workers = [worker(streams=3, posts=budget) for _ in range(3)]
    standin.gate.set()
    # One holds all that is left, for X may give a hundred: the others come back until it is spent.
    wait_for(lambda: turns_done(store, 3))
    for process in workers:
        end(process)
    assert "quota" in {outcome for _, outcome in outcomes(store)}
    # X gives ten at the least: less is left for tomorrow.
    assert budget - 10 < standin.served <= budget
    assert booked(store) == (len(standin.requests), standin.served)


def test_one_that_was_stopped_and_comes_back_after_another_took_over_saves_nothing(worker, standin, store):
    late = worker(streams=1, hold=3)
    wait_for(lambda: standin.waiting)
    late.send_signal(signal.SIGSTOP)
    standin.gate.set()
    other = worker(streams=1, hold=3)
    wait_for(lambda: turns_done(store, 1))
    kept = query(store, "SELECT cursor FROM streams")
    late.send_signal(signal.SIGCONT)
    wait_for(lambda: (1, "interrupted") in outcomes(store))
    assert outcomes(store) == [(1, "done"), (1, "interrupted")]
    assert query(store, "SELECT outcome, inserted FROM runs ORDER BY id") == [("interrupted", 0), ("done", POSTS)]
    assert query(store, "SELECT cursor FROM streams") == kept
    assert query(store, "SELECT count(*), count(DISTINCT external_id) FROM mentions") == [(POSTS, POSTS)]
    logs = [end(process) for process in (late, other)]
    assert "lease 'stream:1'" in logs[0]
    assert booked(store) == (len(standin.requests), standin.served)
