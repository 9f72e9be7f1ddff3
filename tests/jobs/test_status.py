from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.connections import stream_state
from jobs.ingest import ingest
from jobs.refresh import refresh
from jobs.status import STATUS_COLUMNS, replica_line, status_rows
from listener.errors import RetryLater
from listener.signals.taxonomy import Taxonomy


def test_every_configured_stream_has_a_row(settings, feed, store, clock, platforms, mentions):
    def row():
        (found,) = status_rows(settings, store, clock=clock, platforms=platforms)
        assert tuple(found) == STATUS_COLUMNS
        return found

    before = row()
    assert (before["organization"], before["channel"], before["query"]) == (
        "st-elsewhere",
        "birdsong",
        "elsewhere",
    )
    assert (before["outcome"], before["mentions"], before["last_run"], before["read_until"]) == (
        "never",
        0,
        None,
        None,
    )

    feed.mentions = mentions
    ingest(settings, store, clock=clock, platforms=platforms)
    store.roll_up()
    done = row()
    assert (done["outcome"], done["new"], done["mentions"], done["requests_today"]) == ("done", 25, 25, 3)
    assert (done["last_run"], done["read_until"], done["newest"]) == (
        clock.now(),
        clock.now(),
        mentions[-1].published_at,
    )
    assert (done["failures"], done["paused_until"], done["error"], done["usd_today"]) == (0, None, None, 0)

    feed.errors = {0: RetryLater("it is down")}
    ingest(settings, store, clock=clock, platforms=platforms)
    failed = row()
    assert (failed["outcome"], failed["failures"], failed["error"]) == ("failed", 1, "it is down")
    assert failed["paused_until"] == clock.now() + timedelta(minutes=1)
    clock.step_to(clock.now() + timedelta(days=1))
    assert row()["requests_today"] == 0


def test_a_look_up_is_paid_for_and_is_not_the_last_pull(settings, feed, store, clock, platforms, mentions):
    feed.mentions = mentions
    ingest(settings, store, clock=clock, platforms=platforms)
    pulled_at = clock.now()
    clock.step_to(pulled_at + timedelta(hours=25))
    feed.errors = {2: RetryLater("it is down")}
    refresh(settings, store, clock=clock, platforms=platforms)
    (row,) = status_rows(settings, store, clock=clock, platforms=platforms)
    assert (row["outcome"], row["last_run"], row["new"], row["error"]) == ("done", pulled_at, 25, None)
    assert row["requests_today"] == 3


def test_a_run_without_an_end_is_under_way(settings, store, clock, platforms, feed):
    ingest(settings, store, clock=clock, platforms=platforms, limit=1)
    store.begin_run(1, since=None, until=None)
    (row,) = status_rows(settings, store, clock=clock, platforms=platforms)
    assert row["outcome"] == "running"
    other = settings.model_copy(update={"organizations": ()})
    assert list(status_rows(other, store, clock=clock, platforms=platforms)) == []


def test_a_stream_that_was_made_and_not_yet_run(settings, fake, store, clock, platforms):
    store.declare(settings.organizations, Taxonomy.load(None))
    ((stream, _),) = platforms.streams(settings)
    stream_state(store, stream)
    (row,) = status_rows(settings, store, clock=clock, platforms=platforms)
    assert (row["outcome"], row["last_run"]) == ("never", None)


def test_who_pulls_a_stream_now_is_named_and_nothing_else_of_its_holder(settings, store, clock, platforms, feed):
    ingest(settings, store, clock=clock, platforms=platforms)

    def worker():
        ((name,),) = ([row["worker"]] for row in status_rows(settings, store, clock=clock, platforms=platforms))
        return name

    assert worker() is None
    store.acquire_lease("stream:1", "ward-7/4026531836:41:900:ab12cd34", timedelta(minutes=1))
    assert worker() == "ward-7 41"
    clock.step_to(clock.now() + timedelta(minutes=1))
    assert worker() is None


@pytest.mark.parametrize(("later", "ago"), [(3.2, "0:00:03"), (-2, "0:00:00"), (90_000, "1 day, 1:00:00")])
def test_how_old_a_replica_may_be_is_told(later, ago):
    replayed = datetime(2026, 11, 9, 12, 0, 1, tzinfo=UTC)
    line = replica_line(replayed, replayed + timedelta(seconds=later))
    assert f"2026-11-09 12:00:01 UTC, {ago} ago" in line
