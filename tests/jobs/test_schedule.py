from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import text
from waiting import wait_for

from jobs.ingest import ingest
from jobs.schedule import LEASE, Pace, run_scheduler
from listener.clock import SystemClock
from listener.errors import AuthError, ConfigError, LeaseHeld, StoreError
from listener.usage import Usage
from storage.store import MentionStore

QUICK = Pace(
    rollup=timedelta(seconds=0.3),
    refresh=timedelta(seconds=1),
    lease=timedelta(seconds=2.4),
    turn=timedelta(seconds=3),
    poll=timedelta(seconds=0.05),
)


@pytest.fixture
def live_store(tmp_path, sqlite_template):
    """A store on the machine's own clock: leases run out by themselves."""
    file = tmp_path / "live.db"
    file.write_bytes(sqlite_template.read_bytes())
    with MentionStore.open(f"sqlite:///{file}") as opened:
        yield opened


@pytest.fixture
def scheduler(live_store):
    """Runs schedulers in threads of this process, and stops them."""
    with contextlib.ExitStack() as stack:

        def start(settings, platforms, *, threads=2, store=live_store):
            stop = threading.Event()
            thread = threading.Thread(
                target=run_scheduler,
                args=(settings, store),
                kwargs={
                    "clock": SystemClock(),
                    "pace": QUICK,
                    "threads": threads,
                    "stop": stop,
                    "platforms": platforms,
                },
            )

            def end():
                stop.set()
                thread.join(30)
                assert not thread.is_alive()

            thread.start()
            stack.callback(end)
            return end

        yield start


def outcomes(store):
    with store.database.read() as connection:
        return list(connection.execute(text("SELECT outcome FROM runs ORDER BY id")).scalars())


def counted(store):
    with store.database.read() as connection:
        return connection.execute(text("SELECT coalesce(sum(mentions), 0) FROM daily_volume")).scalar_one()


def test_it_catches_up_at_once_counts_and_looks_up(scheduler, settings, platforms, feed, live_store, mentions):
    feed.mentions = mentions
    end = scheduler(settings, platforms)
    wait_for(lambda: outcomes(live_store) == ["done"] and counted(live_store) > 0)
    end()
    assert live_store.lease_owner(LEASE) is None
    assert live_store.lease_owner("stream:1") is None


def test_a_failing_stream_rests_while_the_others_are_pulled(scheduler, fake, live_store, caplog):
    streams = [
        {"channel": "birdsong", "query": "elsewhere", "every": "10s"},
        {"channel": "whisper", "query": "elsewhere", "every": "10s"},
    ]
    settings = fake.make_settings(fake.make_organization(streams=streams))
    feeds = {
        "birdsong": fake.Feed(refused=AuthError("refused")),
        "whisper": fake.Feed(errors={0: ZeroDivisionError()}),
    }
    scheduler(settings, fake.FakePlatforms(**feeds))
    wait_for(lambda: sorted(filter(None, outcomes(live_store))) == ["auth", "failed"])
    wait_for(lambda: "ZeroDivisionError" in caplog.text)
    assert {status.failures for status in live_store.status()} == {1}


def test_a_job_that_cannot_be_done_is_one_line_in_the_log(scheduler, fake, live_store, caplog):
    settings = fake.make_settings(environment={})
    scheduler(settings, fake.FakePlatforms(birdsong=fake.Feed()))
    wait_for(lambda: "LISTENER_AUTHOR_KEY" in caplog.text)
    (record,) = [
        record
        for record in caplog.records
        if (record.name, record.levelname) == ("jobs.workers", "ERROR") and "AUTHOR_KEY" in record.getMessage()
    ]
    assert record.exc_info is None


def planned_long_ago(store, name):
    with store.database.write() as connection:
        connection.execute(
            text("UPDATE turns SET planned_at = '2026-01-01 00:00:00' WHERE name = :name"), {"name": name}
        )


def turns(store):
    with store.database.read() as connection:
        return dict(connection.execute(text("SELECT name, number FROM turns")).all())


def test_a_resting_stream_lets_its_turn_pass(scheduler, fake, settings, live_store, caplog):
    caplog.set_level("INFO")
    feed = fake.Feed(refused=AuthError("refused"))
    end = scheduler(settings, fake.FakePlatforms(birdsong=feed))
    wait_for(lambda: outcomes(live_store) == ["auth"])
    end()
    planned_long_ago(live_store, "stream:1")
    scheduler(settings, fake.FakePlatforms(birdsong=feed))
    wait_for(lambda: "paused, 0 new" in caplog.text)
    assert outcomes(live_store) == ["auth"]
    wait_for(lambda: "stream:1" not in [turn.name for turn in live_store.due_turns()])


def test_turns_come_by_the_clock_and_who_leads_next_keeps_the_pace(scheduler, fake, live_store, mentions):
    streams = [{"channel": "birdsong", "query": "elsewhere", "every": "10m"}]
    settings = fake.make_settings(fake.make_organization(streams=streams))
    platforms = fake.FakePlatforms(birdsong=fake.Feed(mentions=mentions))
    for least in (3, 6):
        end = scheduler(settings, platforms)
        wait_for(lambda least=least: turns(live_store).get("rollup", 0) >= least)
        end()
        assert turns(live_store)["stream:1"] == 1, "it has just been planned"
        assert not [thread for thread in threading.enumerate() if thread.name == "APScheduler"]
    planned_long_ago(live_store, "stream:1")
    scheduler(settings, platforms)
    wait_for(lambda: turns(live_store)["stream:1"] == 2)


def test_streams_of_one_channel_are_read_at_once_by_as_many_threads_as_there_are(
    scheduler, fake, live_store, mentions
):
    streams = [{"channel": "birdsong", "query": query, "every": "10m"} for query in ("first", "second")]
    settings = fake.make_settings(fake.make_organization(streams=streams))
    feed = fake.Feed(mentions=mentions, page_size=100)
    together = threading.Barrier(2)
    feed.before_page = lambda number: together.wait(30)
    scheduler(settings, fake.FakePlatforms(birdsong=feed), threads=2)
    wait_for(lambda: outcomes(live_store) == ["done", "done"])


def test_told_to_stop_it_finishes_the_page_in_hand(scheduler, settings, platforms, feed, live_store, mentions):
    feed.mentions = mentions
    fetching = threading.Event()

    def slowly(number):
        fetching.set()
        time.sleep(0.3)

    feed.before_page = slowly
    end = scheduler(settings, platforms)
    assert fetching.wait(30)
    end()
    assert outcomes(live_store) == ["interrupted"]
    assert live_store.status()[0].last_run.counts.inserted == 10


def test_what_one_that_stops_has_broken_off_another_takes_up(
    scheduler, fake, settings, live_store, mentions, caplog
):
    caplog.set_level("INFO")
    feeds = [fake.Feed(mentions=mentions, page_size=1), fake.Feed(mentions=mentions, page_size=1)]
    feeds[0].before_page = lambda number: time.sleep(0.1)
    end_first = scheduler(settings, fake.FakePlatforms(birdsong=feeds[0]))
    wait_for(lambda: feeds[0].requests)
    scheduler(settings, fake.FakePlatforms(birdsong=feeds[1]))
    wait_for(lambda: "standing by" in caplog.text)
    assert feeds[1].requests == 0
    end_first()
    wait_for(lambda: outcomes(live_store) == ["interrupted", "done"])
    assert feeds[0].requests + feeds[1].requests == 25
    wait_for(lambda: caplog.text.count(" leading") == 2)


def test_a_leader_whose_lease_is_lost_plans_no_more_and_works_on(
    scheduler, fake, settings, live_store, mentions, caplog
):
    caplog.set_level("INFO")
    feed = fake.Feed(mentions=mentions, page_size=1)
    feed.before_page = lambda number: time.sleep(0.1)
    scheduler(settings, fake.FakePlatforms(birdsong=feed))
    wait_for(lambda: feed.requests)
    with live_store.database.write() as connection:
        connection.execute(
            text(
                "UPDATE leases SET owner = 'elsewhere/1:1:1:aa', fence = fence + 1, "
                "expires_at = '2999-01-01 00:00:00.000000' WHERE name = 'scheduler'"
            )
        )
    wait_for(lambda: "standing by" in caplog.text)
    planned = live_store.planned()
    wait_for(lambda: outcomes(live_store) == ["done"])
    assert live_store.planned() == planned
    wait_for(lambda: "APScheduler" not in [thread.name for thread in threading.enumerate()])


class Refusing:
    """A store whose database refuses what the schedule asks of it, for a while or for good."""

    def __init__(self, store):
        self.store = store
        self.refuses = threading.Event()

    def __getattr__(self, name):
        return getattr(self.store, name)

    def acquire_lease(self, name, owner, ttl):
        if self.refuses.is_set() and name == LEASE:
            raise StoreError("the database does not answer")
        return self.store.acquire_lease(name, owner, ttl)

    def due_turns(self):
        if self.refuses.is_set():
            raise StoreError("the database does not answer")
        return self.store.due_turns()

    def planned(self):
        if self.refuses.is_set():
            raise StoreError("the database does not answer")
        return self.store.planned()

    def plan_turn(self, name, *, fence):
        if self.refuses.is_set():
            raise StoreError("the database does not answer")
        return self.store.plan_turn(name, fence=fence)

    def release_lease(self, name, owner):
        if self.refuses.is_set() and name == LEASE:
            raise StoreError("the database does not answer")
        self.store.release_lease(name, owner)


def test_a_database_that_does_not_answer_is_waited_for(scheduler, fake, settings, live_store, mentions, caplog):
    caplog.set_level("INFO")
    store = Refusing(live_store)
    store.refuses.set()
    feed = fake.Feed(mentions=mentions)
    end = scheduler(settings, fake.FakePlatforms(birdsong=feed), store=store)
    wait_for(lambda: "lease could not be renewed" in caplog.text and "no work can be taken" in caplog.text)
    assert live_store.planned() == {}
    store.refuses.clear()
    wait_for(lambda: outcomes(live_store) == ["done"])
    store.refuses.set()
    wait_for(lambda: "nothing can be planned" in caplog.text)
    wait_for(lambda: "standing by" in caplog.text)
    end()


@pytest.mark.parametrize(
    "refusal",
    [StoreError("it does not answer"), LeaseHeld("it has passed to another"), ZeroDivisionError("it is a bug")],
)
def test_a_turn_that_could_not_be_written_down_is_due_still(
    scheduler, fake, settings, live_store, mentions, caplog, refusal
):
    caplog.set_level("INFO")

    class RefusingOnce(Refusing):
        left = 1

        def plan_turn(self, name, *, fence):
            if name == "stream:1" and self.left:
                self.left = 0
                raise refusal
            return self.store.plan_turn(name, fence=fence)

    feed = fake.Feed(mentions=mentions)
    scheduler(settings, fake.FakePlatforms(birdsong=feed), store=RefusingOnce(live_store))
    wait_for(lambda: outcomes(live_store) == ["done"])
    assert str(refusal) in caplog.text


def test_a_clock_whose_lease_lapsed_is_set_anew(scheduler, settings, platforms, live_store):
    """Another may have led meanwhile: what it planned, and what nobody did, stands in the database."""
    scheduler(settings, platforms)
    wait_for(lambda: outcomes(live_store) == ["done"])
    planned_long_ago(live_store, "stream:1")
    with live_store.database.write() as connection:
        connection.execute(text("UPDATE leases SET fence = fence + 1 WHERE name = 'scheduler'"))
    wait_for(lambda: turns(live_store)["stream:1"] == 2)


def test_a_wrong_configuration_is_refused_at_the_start(settings, live_store):
    class Platforms:
        def streams(self, settings):
            raise ConfigError("unknown channel")

    with pytest.raises(ConfigError, match="unknown channel"):
        run_scheduler(settings, live_store, clock=SystemClock(), threads=1, platforms=Platforms())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_this_process_ends_it_and_the_handlers_are_put_back(
    settings, platforms, feed, live_store, number
):
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    sender = threading.Thread(target=lambda: (wait_for(lambda: feed.requests), os.kill(os.getpid(), number)))
    sender.start()
    run_scheduler(settings, live_store, clock=SystemClock(), pace=QUICK, threads=2, platforms=platforms)
    sender.join()
    assert {one: signal.getsignal(one) for one in before} == before
    assert live_store.lease_owner(LEASE) is None


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, RuntimeError])
def test_trouble_while_it_stops_leaves_no_thread_and_no_lease_behind(
    settings, platforms, feed, live_store, monkeypatch, trouble
):
    shutdown = BackgroundScheduler.shutdown

    def troubled(scheduler, **options):
        shutdown(scheduler, **options)
        raise trouble

    monkeypatch.setattr(BackgroundScheduler, "shutdown", troubled)
    stop = threading.Event()
    feed.before_page = lambda number: stop.set()
    with pytest.raises(trouble):
        run_scheduler(
            settings, live_store, clock=SystemClock(), pace=QUICK, threads=2, stop=stop, platforms=platforms
        )
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("worker ")]
    assert live_store.lease_owner(LEASE) is None


@pytest.fixture
def process(live_store, tmp_path):
    """Starts schedulers in processes of their own, on one database, and tells who pulled."""
    log = tmp_path / "log"
    log.touch()
    script = Path(__file__).with_name("scheduler_process.py")
    url = live_store.database.writing.url.render_as_string()
    running = []

    def start():
        one = subprocess.Popen(
            [sys.executable, str(script), url, str(log)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(script.parents[2])},
        )
        running.append(one)
        return one

    start.pullers = lambda: [int(line) for line in log.read_text().split()]
    yield start
    for one in running:
        if one.poll() is None:
            one.kill()
            one.communicate()


def test_sigterm_ends_a_process_well_and_another_takes_over(process, live_store):
    leader = process()
    wait_for(process.pullers)
    standby = process()
    wait_for(lambda: live_store.status()[0].mentions > 5)
    assert set(process.pullers()) == {leader.pid}
    leader.send_signal(signal.SIGTERM)
    _, log = leader.communicate(timeout=30)
    assert leader.returncode == 0, log
    assert "leading" in log
    wait_for(lambda: process.pullers()[-1] == standby.pid)
    standby.send_signal(signal.SIGINT)
    _, log = standby.communicate(timeout=30)
    assert standby.returncode == 0, log
    assert live_store.lease_owner(LEASE) is None


def test_a_killed_leader_is_followed_by_the_standby(process, live_store):
    leader = process()
    wait_for(process.pullers)
    standby = process()
    wait_for(lambda: live_store.status()[0].mentions > 5)
    assert set(process.pullers()) == {leader.pid}
    leader.kill()
    leader.communicate()
    assert leader.returncode == -signal.SIGKILL
    wait_for(lambda: process.pullers()[-1] == standby.pid, seconds=15)
    standby.send_signal(signal.SIGTERM)
    _, log = standby.communicate(timeout=30)
    assert standby.returncode == 0, log
    with live_store.database.read() as connection:
        doubled = connection.execute(
            text("SELECT count(*) - count(DISTINCT external_id) FROM mentions")
        ).scalar_one()
    assert doubled == 0


def test_look_ups_that_only_wait_for_what_pulls_hold_come_again(scheduler, fake, live_store):
    settings = fake.make_settings(connectors={"birdsong": {"most_requests": 8}})
    now = SystemClock().now()
    posted = replace(fake.make_mention(1), published_at=now - timedelta(days=2))
    platforms = fake.FakePlatforms(birdsong=fake.Feed(mentions=[posted]))
    ingest(settings, live_store, clock=SystemClock(), platforms=platforms)
    with live_store.database.write() as connection:
        connection.execute(text("UPDATE mentions SET checked_at = published_at"))
    live_store.acquire_lease("stream:99", "somebody", timedelta(hours=1))
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in (today, today + timedelta(days=1)):
        live_store.book("birdsong", day, lambda taken: {("ingest", "stream:99 somebody"): Usage(requests=7)})
    scheduler(settings, platforms)

    def looked_up():
        with live_store.database.read() as connection:
            runs = connection.execute(text("SELECT outcome FROM runs WHERE job = 'refresh'")).scalars().all()
            due_at = text("SELECT due_at FROM turns WHERE name = 'refresh:birdsong'")
            return runs, connection.execute(due_at).scalar_one_or_none()

    wait_for(lambda: looked_up()[0] == ["rate_limited"])
    wait_for(lambda: live_store.lease_owner("refresh:birdsong") is None)
    assert looked_up()[1] is not None
    assert not [turn for turn in live_store.due_turns() if turn.name == "refresh:birdsong"], "it is put off"
