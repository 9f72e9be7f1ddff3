from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from jobs.ingest import ingest
from jobs.refresh import refresh
from listener.errors import QuotaExhausted, RetryLater, SkipItem, StoreError
from listener.usage import Usage


@pytest.fixture
def look_up(settings, store, clock, platforms):
    def run(**options):
        return refresh(options.pop("settings", settings), store, clock=clock, platforms=platforms, **options)

    return run


@pytest.fixture
def stored(settings, feed, store, clock, platforms, mentions):
    """Five mentions, a day and a bit later, and what the platform shows of them now."""
    feed.mentions = mentions[:5]
    ingest(settings, store, clock=clock, platforms=platforms)
    clock.step_to(clock.now() + timedelta(hours=25))
    feed.now_known = {mention.external_id: mention for mention in mentions[:5]}
    feed.requests = 0
    return mentions[:5]


def texts(store):
    with store.database.read() as connection:
        return {
            row.external_id: row.text for row in connection.execute(text("SELECT external_id, text FROM mentions"))
        }


def test_edits_are_taken_over_and_removals_followed(look_up, feed, store, clock, stored):
    now = clock.now()
    feed.now_known["m1"] = replace(stored[1], text="The nurses, say jo@example.org, were kind", edited_at=now)
    feed.now_known["m2"] = replace(stored[2], text="", author=None, removed_at=now)
    (report,) = look_up()
    assert (report.channel, report.outcome, report.checked) == ("birdsong", "done", 5)
    assert (report.counts.updated, report.counts.unchanged, report.usage.requests) == (2, 3, 5)
    kept = texts(store)
    assert "kind" in kept["m1"]
    assert "jo@example.org" not in kept["m1"]
    assert kept["m2"] == ""
    assert kept["m0"] == stored[0].text


def test_what_was_looked_up_today_is_left_for_tomorrow(look_up, feed, clock, stored):
    look_up()
    assert look_up()[0].checked == 0
    assert feed.requests == 5
    clock.step_to(clock.now() + timedelta(hours=25))
    assert look_up()[0].checked == 5


def test_old_mentions_are_left_alone(look_up, clock, stored):
    clock.step_to(clock.now() + timedelta(days=40))
    assert look_up()[0].checked == 0
    assert look_up(look_back=timedelta(days=50))[0].checked == 5


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(RetryLater("it is down"), "failed"), (QuotaExhausted("used up"), "quota")],
)
def test_an_error_ends_the_look_up_and_never_the_streams_schedule(look_up, feed, store, stored, error, outcome):
    feed.errors = {2: error}
    (report,) = look_up()
    assert (report.outcome, report.error, report.checked) == (outcome, error, 2)
    status = store.status()[0]
    assert (status.last_run.outcome, status.failures, status.paused_until) == ("done", 0, None)


def test_a_bug_is_raised_when_every_channel_had_its_turn(fake, store, clock):
    streams = [{"channel": name, "query": "elsewhere"} for name in ("birdsong", "whisper")]
    settings = fake.make_settings(fake.make_organization(streams=[*streams, streams[0]]))
    feeds = {name: fake.Feed(mentions=[fake.make_mention(1, channel=name)]) for name in ("birdsong", "whisper")}
    platforms = fake.FakePlatforms(**feeds)
    ingest(settings, store, clock=clock, platforms=platforms)
    clock.step_to(clock.now() + timedelta(hours=25))
    for feed in feeds.values():
        feed.requests = 0
    feeds["birdsong"].errors = {0: ZeroDivisionError()}
    with pytest.raises(ZeroDivisionError):
        refresh(settings, store, clock=clock, platforms=platforms)
    assert feeds["whisper"].requests == 1
    feeds["birdsong"].errors = {}
    reports = refresh(settings, store, clock=clock, platforms=platforms, channels=["birdsong"])
    assert [(report.channel, report.checked) for report in reports] == [("birdsong", 0)]


def test_it_takes_a_quarter_of_the_days_budget(look_up, fake, store, clock, platforms, stored):
    settings = fake.make_settings(connectors={"birdsong": {"most_requests": 12}})
    (report,) = look_up(settings=settings)
    assert (report.outcome, report.checked, report.usage.requests) == ("quota", 3, 3)
    (report,) = look_up(settings=settings)
    assert (report.outcome, report.usage.requests) == ("quota", 0)
    assert ingest(settings, store, clock=clock, platforms=platforms)[0].outcome == "done"
    assert store.usage_since("birdsong", clock.now()) == Usage(requests=4, posts_read=3)
    assert store.usage_since("birdsong", clock.now(), job="refresh") == Usage(requests=3, posts_read=3)


def test_told_to_stop_it_keeps_what_it_saw(look_up, feed, stored):
    stop = threading.Event()
    feed.before_page = lambda number: stop.set() if number == 1 else None
    (report,) = look_up(stop=stop)
    assert (report.outcome, report.checked) == ("interrupted", 2)
    (report,) = look_up(stop=stop)
    assert (report.outcome, report.checked, report.usage.requests) == ("interrupted", 0, 0)


def test_what_a_killed_look_up_took_counts_too(look_up, feed, store, clock, stored):
    taken = store.usage_since("birdsong", clock.now()).requests
    feed.errors = {2: SystemExit()}
    with pytest.raises(SystemExit):
        look_up()
    assert store.usage_since("birdsong", clock.now()).requests == taken + 2


def test_where_the_database_refuses_the_run_has_an_end(look_up, feed, store, clock, stored):
    feed.errors = {2: StoreError("the disk is full")}
    with pytest.raises(StoreError):
        look_up()
    with store.database.read() as connection:
        ended = text("SELECT outcome, error, requests FROM runs WHERE job = 'refresh'")
        assert [tuple(row) for row in connection.execute(ended)] == [("failed", "the disk is full", 3)]


def test_what_cannot_be_read_is_named(look_up, feed, stored, caplog):
    feed.skipped = (SkipItem("no date", external_id="m3"),)
    look_up()
    assert "m3" in caplog.text


def test_a_platform_that_forbids_derived_metrics_gives_language_alone(look_up, feed, fake, store, clock, stored):
    feed.now_known["m1"] = replace(stored[1], text="The food was cold", edited_at=clock.now())
    look_up(settings=fake.make_settings(connectors={"birdsong": {"derived_metrics": False}}))
    with store.database.read() as connection:
        topics = text(
            "SELECT count(*) FROM mention_topics t JOIN mentions m ON m.id = t.mention_id "
            "WHERE m.external_id = 'm1'"
        )
        assert connection.execute(topics).scalar_one() == 0


def test_a_mention_is_looked_up_at_six_ages(look_up, settings, feed, store, clock, platforms, mentions):
    feed.mentions = mentions[:1]
    feed.now_known = {"m0": mentions[0]}
    clock.step_to(clock.now() + timedelta(minutes=10))
    ingest(settings, store, clock=clock, platforms=platforms)
    ages = []
    for _ in range(4 * 40):
        clock.step_to(clock.now() + timedelta(hours=6))
        if look_up()[0].checked:
            ages.append((clock.now() - mentions[0].published_at) / timedelta(days=1))
    assert [int(age) for age in ages] == [1, 2, 4, 8, 16, 30]


def test_what_the_platform_passes_over_does_not_head_the_queue_for_ever(look_up, feed, clock, stored):
    feed.now_known = {}
    assert look_up()[0].checked == 0
    assert feed.asked == ["m0", "m1", "m2", "m3", "m4"]
    look_up()
    assert len(feed.asked) == 5
    clock.step_to(clock.now() + timedelta(hours=25))
    look_up()
    assert len(feed.asked) == 10


@pytest.mark.no_cover
@pytest.mark.parametrize("looked_up_at_once", [1, 100])
def test_pulls_get_everything_for_weeks_beside_the_look_ups(
    look_up, fake, feed, store, clock, platforms, looked_up_at_once
):
    """Seventy posts a day and a budget of a hundred: the look-ups of four weeks would take four times as much."""
    settings = fake.make_settings(connectors={"birdsong": {"most_posts": 100}})
    feed.looked_up_at_once = looked_up_at_once
    clock.step_to(clock.now() + timedelta(hours=12))
    for day in range(28):
        midnight = clock.now()
        for quarter in range(4):
            # The worst order: what is looked up is paid before what is new.
            look_up(settings=settings)
            clock.step_to(midnight + timedelta(hours=5 + 6 * quarter))
            so_far = day * 70 + (quarter + 1) * 70 // 4
            for number in range(len(feed.mentions), so_far):
                new = fake.make_mention(number, published_at=clock.now() - timedelta(minutes=1))
                feed.mentions.append(new)
                feed.now_known[new.external_id] = new
            (report,) = ingest(settings, store, clock=clock, platforms=platforms)
            assert (report.outcome, len(texts(store))) == ("done", so_far)
            clock.step_to(midnight + timedelta(hours=6 * (quarter + 1)) - timedelta(seconds=1))
        looked_up = store.usage_since("birdsong", midnight, job="refresh").posts_read
        assert looked_up == 25 or (day < 2 and looked_up == 0)
        assert store.usage_since("birdsong", midnight, job="ingest").posts_read == 70
        clock.step_to(midnight + timedelta(days=1))
