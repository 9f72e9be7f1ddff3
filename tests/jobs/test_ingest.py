from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from jobs import leases
from jobs.budget import ASK_AGAIN
from jobs.ingest import Duty, ingest
from jobs.refresh import refresh
from jobs.rollup import roll_up
from listener.errors import AuthError, ConfigError, QuotaExhausted, RetryLater, SkipItem, StoreError
from listener.mention import Author
from listener.signals.taxonomy import Taxonomy
from listener.usage import Usage
from storage.records import Fence, Turn


def scalar(store, sql):
    with store.database.read() as connection:
        return connection.execute(text(sql)).scalar_one()


def column(store, sql):
    with store.database.read() as connection:
        return list(connection.execute(text(sql)).scalars())


def test_every_page_is_stored_and_counted(pull, feed, store, mentions):
    feed.mentions = mentions
    heard = []
    (report,) = pull(on_page=lambda stream, count: heard.append((str(stream).split("/")[1], count)))
    assert (report.outcome, report.pages, report.fetched) == ("done", 3, 25)
    assert report.counts.inserted == 25
    assert report.usage.requests == 3
    assert heard == [("birdsong", 10), ("birdsong", 10), ("birdsong", 5)]
    assert scalar(store, "SELECT count(*) FROM mentions") == 25
    assert (
        scalar(
            store,
            "SELECT count(*) FROM mention_topics t JOIN topics ON topics.id = t.topic_id "
            "WHERE topics.slug = 'parking'",
        )
        == 25
    )
    assert column(store, "SELECT DISTINCT outcome FROM runs") == ["done"]
    assert feed.closed == 1


def test_a_second_run_brings_only_what_is_new(pull, feed, fake, mentions):
    feed.mentions = mentions
    pull()
    assert pull()[0].counts.inserted == 0
    feed.mentions = [*mentions, fake.make_mention(99)]
    (report,) = pull()
    assert (report.fetched, report.counts.inserted) == (1, 1)


def test_an_edit_is_heard_again_and_an_equal_text_is_not(pull, feed, fake, store, mentions):
    feed.mentions = mentions[:3]
    pull()
    edited = replace(
        mentions[0], text="The food was cold and the nurses rude", edited_at=fake.START + timedelta(days=1)
    )
    feed.mentions = [*mentions[:3], edited, mentions[1]]
    (report,) = pull()
    assert (report.counts.updated, report.counts.unchanged) == (1, 1)
    topics = column(
        store,
        "SELECT slug FROM topics JOIN mention_topics t ON topics.id = t.topic_id "
        "JOIN mentions m ON m.id = t.mention_id WHERE m.external_id = 'm0' ORDER BY slug",
    )
    assert "parking" not in topics
    assert "food-drink" in topics


def test_a_removal_keeps_the_counts_and_nothing_that_was_said(pull, feed, fake, store, mentions):
    feed.mentions = mentions[:2]
    pull()
    gone = replace(mentions[0], text="", author=None, removed_at=fake.START + timedelta(days=1))
    feed.mentions = [*mentions[:2], gone]
    pull()
    roll_up(store)
    assert column(store, "SELECT text FROM mentions WHERE external_id = 'm0'") == [""]
    assert column(store, "SELECT author_id FROM mentions WHERE external_id = 'm0'") == [None]
    assert (
        scalar(
            store,
            "SELECT mentions FROM weekly_volume v JOIN topics t ON t.id = v.topic_id WHERE t.slug = 'parking'",
        )
        == 2
    )


def test_nothing_personal_reaches_the_store(pull, feed, fake, store):
    feed.mentions = [fake.make_mention(1, text="Write to jane.doe@example.org about @StElsewhere please")]
    pull()
    (kept,) = column(store, "SELECT text FROM mentions")
    assert "jane.doe" not in kept
    assert "@StElsewhere" in kept
    (pseudonym,) = column(store, "SELECT pseudonym FROM authors")
    assert len(pseudonym) == 64


@pytest.mark.parametrize(
    ("author", "own"),
    [
        (Author(id="1234"), True),
        (Author(id="9", handle="stelsewhere"), True),
        (Author(id="u/StElsewhere"), True),
        (Author(id="/u/stelsewhere"), True),
        (Author(id="9", handle="someone"), False),
        (Author(id="9"), False),
        (None, False),
    ],
)
def test_the_organizations_own_accounts_are_kept_apart(pull, feed, fake, store, author, own):
    feed.mentions = [fake.make_mention(1, author=author)]
    pull()
    assert column(store, "SELECT own FROM mention_organizations") == [own]


def test_a_platform_that_forbids_derived_metrics_gives_language_alone(pull, feed, fake, store, mentions):
    feed.mentions = mentions[:1]
    pull(settings=fake.make_settings(connectors={"birdsong": {"derived_metrics": False}}))
    assert column(store, "SELECT language FROM mentions") == ["en"]
    assert scalar(store, "SELECT count(*) FROM mention_topics") == 0


def test_no_author_key_means_no_authors(pull, feed, fake, store, mentions):
    feed.mentions = mentions
    pull(settings=fake.make_settings(privacy={"author_key": "none"}, environment={}))
    assert scalar(store, "SELECT count(*) FROM authors") == 0


def test_a_missing_author_key_is_an_error_of_the_configuration(pull, fake):
    with pytest.raises(ConfigError, match="LISTENER_AUTHOR_KEY"):
        pull(settings=fake.make_settings(environment={}))


def test_reversed_dates_are_refused(pull, fake):
    with pytest.raises(ConfigError, match="swap"):
        pull(since=fake.START, until=fake.START - timedelta(days=1))


def test_a_window_reaches_the_platform_and_the_run(pull, feed, fake, store):
    pull(since=fake.START - timedelta(days=3), until=fake.START)
    assert feed.windows[0].since == fake.START - timedelta(days=3)
    assert feed.windows[0].until == fake.START
    assert scalar(store, "SELECT since FROM runs").startswith("2026-10-30")


@pytest.mark.parametrize(
    ("make_error", "outcome", "failures", "rest"),
    [
        (
            lambda now: RetryLater("slow down", at=now + timedelta(minutes=9)),
            "rate_limited",
            0,
            timedelta(minutes=9),
        ),
        (lambda now: QuotaExhausted("used up", at=now + timedelta(hours=9)), "quota", 0, timedelta(hours=9)),
        (lambda now: QuotaExhausted("used up"), "quota", 1, timedelta(minutes=1)),
        (lambda now: RetryLater("it is down"), "failed", 1, timedelta(minutes=1)),
        (lambda now: AuthError("refused"), "auth", 1, timedelta(hours=1)),
        (lambda now: ConfigError("the query is too long"), "failed", 1, timedelta(minutes=1)),
    ],
)
def test_what_was_read_before_an_error_is_kept_and_the_stream_rests(
    pull, feed, store, clock, mentions, make_error, outcome, failures, rest
):
    feed.mentions = mentions
    error = make_error(clock.now())
    feed.errors = {1: error}
    (report,) = pull()
    assert (report.outcome, report.error, report.resume_at) == (outcome, error, clock.now() + rest)
    assert (report.pages, report.counts.inserted, report.usage.requests) == (1, 10, 2)
    status = store.status()[0]
    assert (status.failures, status.paused_until) == (failures, clock.now() + rest)
    assert status.last_run.error == str(error)
    feed.errors = {}
    (report,) = pull()
    assert (report.outcome, report.counts.inserted) == ("done", 15)
    assert (store.status()[0].failures, store.status()[0].paused_until) == (0, None)


@pytest.fixture
def scheduled(pull, settings, store, clock, platforms):
    """Pulls the one stream as a worker does."""
    store.declare(settings.organizations, Taxonomy.load(settings.topics_file))

    def run():
        ((stream, _),) = platforms.streams(settings)
        with leases.held(store, "stream:1", timedelta(minutes=1), clock) as lease:
            return pull(duty=Duty(stream, Turn("stream:1", clock.now()), lease))

    return run


def test_a_scheduled_run_lets_a_resting_stream_rest_and_one_by_hand_tries(pull, feed, clock, mentions, scheduled):
    feed.mentions = mentions
    feed.errors = {0: RetryLater("it is down")}
    scheduled()
    feed.errors = {}
    (report,) = scheduled()
    assert (report.outcome, report.resume_at) == ("paused", clock.now() + timedelta(minutes=1))
    assert feed.requests == 1
    assert pull()[0].outcome == "done"
    feed.errors = {0: RetryLater("it is down")}
    pull()
    feed.errors = {}
    clock.step_to(clock.now() + timedelta(minutes=1))
    assert scheduled()[0].outcome == "done"


@pytest.fixture
def two_channels(fake):
    """An organization with two streams: what stops the first must not stop the second."""
    streams = [{"channel": "birdsong", "query": "elsewhere"}, {"channel": "whisper", "query": "elsewhere"}]
    whispers = [fake.make_mention(number, channel="whisper") for number in range(5)]
    feeds = {"birdsong": fake.Feed(), "whisper": fake.Feed(mentions=whispers)}
    return fake.make_settings(fake.make_organization(streams=streams)), feeds, fake.FakePlatforms(**feeds)


def test_a_missing_credential_stops_its_own_channel_only(two_channels, store, clock):
    settings, feeds, platforms = two_channels
    feeds["birdsong"].refused = AuthError("birdsong needs the secret")
    reports = ingest(settings, store, clock=clock, platforms=platforms)
    assert [report.outcome for report in reports] == ["auth", "done"]
    assert reports[0].usage.requests == 0


def test_a_bug_stops_its_own_stream_and_is_raised_at_the_end(two_channels, store, clock, caplog):
    settings, feeds, platforms = two_channels
    feeds["birdsong"].errors = {0: ZeroDivisionError("a bug with a secret in it")}
    with pytest.raises(ZeroDivisionError):
        ingest(settings, store, clock=clock, platforms=platforms)
    first, second = store.status()
    assert (first.last_run.outcome, first.last_run.error, first.failures) == (
        "failed",
        "bug: ZeroDivisionError",
        1,
    )
    assert (second.last_run.outcome, second.last_run.counts.inserted) == ("done", 5)
    assert "ZeroDivisionError" in caplog.text
    assert [feed.closed for feed in feeds.values()] == [1, 1]


def test_a_refusing_database_stops_everything(two_channels, store, clock):
    settings, feeds, platforms = two_channels
    feeds["birdsong"].errors = {0: StoreError("the disk is full")}
    with pytest.raises(StoreError):
        ingest(settings, store, clock=clock, platforms=platforms)
    assert feeds["whisper"].requests == 0
    last = store.status()[0].last_run
    assert (last.outcome, last.error, last.finished_at) == ("failed", "the disk is full", clock.now())
    assert store.usage_since("birdsong", clock.now()).requests == 1, "what it took is kept"
    assert store.status()[0].failures == 0


class Full:
    """A store whose database takes nothing once a run has begun."""

    def __init__(self, store):
        self.store = store

    def __getattr__(self, name):
        return getattr(self.store, name)

    def finish_run(self, *_arguments, **_more):
        raise StoreError("full, still")


def test_a_database_that_refuses_the_end_of_a_run_too_is_told_by_what_it_refused_first(two_channels, store, clock):
    settings, feeds, platforms = two_channels
    feeds["birdsong"].errors = {0: StoreError("the disk is full")}
    with pytest.raises(StoreError, match="the disk is full"):
        ingest(settings, Full(store), clock=clock, platforms=platforms)
    assert store.status()[0].last_run.outcome is None


def test_streams_are_chosen_by_channel_and_organization(fake, store, clock):
    streams = [{"channel": "birdsong", "query": "a"}, {"channel": "whisper", "query": "b"}]
    settings = fake.make_settings(
        fake.make_organization(streams=streams), fake.make_organization("mercy", streams=streams)
    )
    platforms = fake.FakePlatforms(birdsong=fake.Feed(), whisper=fake.Feed())

    def chosen(**options):
        reports = ingest(settings, store, clock=clock, platforms=platforms, **options)
        return [(report.stream.organization, report.stream.channel) for report in reports]

    assert len(chosen()) == 4
    assert chosen(channels=["whisper"]) == [("st-elsewhere", "whisper"), ("mercy", "whisper")]
    assert chosen(organizations=["mercy"], channels=["birdsong"]) == [("mercy", "birdsong")]
    with leases.held(store, "stream:4", timedelta(minutes=1), clock) as lease:
        duty = Duty(platforms.streams(settings)[3][0], Turn("stream:4", clock.now()), lease)
        assert chosen(duty=duty) == [("mercy", "whisper")]


def test_a_mention_of_two_organizations_reads_the_same_for_both(fake, store, clock):
    organizations = [
        fake.make_organization("st-elsewhere", aliases=["@StElsewhere"]),
        fake.make_organization("mercy", aliases=["@MercyWest"], own_accounts={"birdsong": ["@MercyOwn"]}),
    ]
    both = fake.make_mention(1, text="@StElsewhere or @MercyWest, asks @MercyOwn? Parking is bad at both")
    platforms = fake.FakePlatforms(birdsong=fake.Feed(mentions=[both]))
    settings = fake.make_settings(*organizations)
    first, second = ingest(settings, store, clock=clock, platforms=platforms)
    assert (first.counts.inserted, second.counts.inserted) == (1, 0)
    assert column(store, "SELECT text FROM mentions") == [both.text]
    assert scalar(store, "SELECT count(*) FROM mention_organizations") == 2


def test_a_limit_keeps_no_more_and_the_rest_comes_next_time(pull, feed, store, mentions):
    feed.mentions = mentions
    (report,) = pull(limit=13)
    assert (report.outcome, report.fetched) == ("partial", 13)
    assert scalar(store, "SELECT count(*) FROM mentions") == 13
    (report,) = pull()
    assert (report.outcome, report.counts.inserted, report.counts.unchanged) == ("done", 12, 3)


def test_a_limit_at_a_pages_end_keeps_the_pages_own_cursor(pull, feed, mentions):
    feed.mentions = mentions
    assert pull(limit=10)[0].outcome == "partial"
    assert pull()[0].fetched == 15


def test_a_dry_run_counts_and_leaves_no_trace(pull, feed, fake, store, clock, mentions):
    feed.mentions = mentions
    (report,) = pull(dry_run=True)
    assert (report.outcome, report.fetched, report.counts.inserted) == ("done", 25, 25)
    for table in ("organizations", "streams", "runs", "mentions", "leases"):
        assert scalar(store, f"SELECT count(*) FROM {table}") == 0, table
    pull()
    edited = replace(mentions[3], text="Now I like it", edited_at=clock.now())
    feed.mentions = [*mentions, edited, mentions[4], fake.make_mention(77)]
    (report,) = pull(dry_run=True, limit=10)
    assert (report.counts.inserted, report.counts.updated, report.counts.unchanged) == (1, 1, 1)
    assert scalar(store, "SELECT count(*) FROM mentions") == 25


def test_a_dry_run_counts_what_comes_again_once(pull, feed, store, clock, mentions):
    edited = replace(mentions[3], text="Now I like it", edited_at=clock.now())
    feed.mentions = [*mentions[:10], mentions[0], mentions[0], edited]
    (foreseen,) = pull(dry_run=True)
    assert (foreseen.counts.inserted, foreseen.counts.updated, foreseen.counts.unchanged) == (10, 1, 2)
    assert pull()[0].counts == foreseen.counts


def test_a_pull_is_told_the_limit(pull, feed, mentions):
    feed.mentions = mentions
    pull(limit=13)
    pull()
    assert [window.limit for window in feed.windows] == [13, None]


def test_a_dry_run_stops_at_limits_signals_and_budgets(feed, fake, store, clock, mentions):
    feed.mentions = mentions
    streams = [{"channel": "birdsong", "query": query} for query in ("a", "b")]
    settings = fake.make_settings(
        fake.make_organization(streams=streams), connectors={"birdsong": {"most_requests": 4}}
    )
    platforms = fake.FakePlatforms(birdsong=feed)
    reports = ingest(settings, store, clock=clock, platforms=platforms, dry_run=True)
    assert [report.outcome for report in reports] == ["done", "quota"]
    assert [report.usage.requests for report in reports] == [3, 1]
    stop = threading.Event()
    reports = ingest(
        settings,
        store,
        clock=clock,
        platforms=platforms,
        dry_run=True,
        stop=stop,
        at_once=1,
        on_page=lambda stream, count: stop.set(),
    )
    assert [(report.outcome, report.pages) for report in reports] == [("interrupted", 1), ("interrupted", 0)]


def test_the_days_budget_holds_over_runs_and_ends_with_the_day(feed, fake, store, clock, mentions):
    feed.mentions = mentions
    settings = fake.make_settings(connectors={"birdsong": {"most_requests": 4}})
    platforms = fake.FakePlatforms(birdsong=feed)

    def pull():
        return ingest(settings, store, clock=clock, platforms=platforms)[0]

    assert (pull().outcome, pull().outcome) == ("done", "done")
    spent = pull()
    assert (spent.outcome, spent.usage.requests) == ("quota", 0)
    assert spent.resume_at == clock.now().replace(hour=0) + timedelta(days=1)
    clock.step_to(spent.resume_at)
    assert pull().outcome == "done"


def test_told_to_stop_it_finishes_the_page_in_hand_and_leaves_the_rest(two_channels, store, clock, mentions):
    settings, feeds, platforms = two_channels
    feeds["birdsong"].mentions = mentions
    stop = threading.Event()
    feeds["birdsong"].before_page = lambda number: stop.set()
    reports = ingest(settings, store, clock=clock, platforms=platforms, stop=stop)
    assert [(report.outcome, report.fetched) for report in reports] == [("interrupted", 10), ("interrupted", 0)]
    assert scalar(store, "SELECT count(*) FROM mentions") == 10
    assert ingest(settings, store, clock=clock, platforms=platforms)[0].counts.inserted == 15


def test_what_cannot_be_read_is_counted_and_named(pull, feed, store, mentions, caplog):
    feed.mentions = mentions[:2]
    feed.skipped = (SkipItem("no date", external_id="m77"), SkipItem("not an object"))
    (report,) = pull()
    assert (report.outcome, report.skipped, report.fetched) == ("done", 2, 2)
    assert scalar(store, "SELECT skipped FROM runs") == 2
    assert "m77" in caplog.text


def test_a_turn_that_meets_with_a_budget_which_others_hold_is_put_off_and_not_done(
    fake, store, clock, feed, platforms, mentions
):
    """The fake books its posts afterwards: where others hold all that is left, its request has to wait."""
    settings = fake.make_settings(connectors={"birdsong": {"most_posts": 40}})
    ((stream, _),) = platforms.streams(settings)
    feed.mentions = mentions
    ingest(settings, store, clock=clock, platforms=platforms, limit=1)
    day = clock.now().replace(hour=0)
    store.book("birdsong", day, lambda taken: {("ingest", "stream:9 somebody"): Usage(posts_read=39)})
    leader = Fence("scheduler", "a", store.acquire_lease("scheduler", "a", timedelta(hours=1)))
    store.plan_turn("stream:1", fence=leader)
    (turn,) = store.due_turns()
    with leases.held(store, "stream:1", timedelta(minutes=1), clock) as lease:
        (report,) = ingest(settings, store, clock=clock, platforms=platforms, duty=Duty(stream, turn, lease))
    assert (report.outcome, report.resume_at) == ("rate_limited", clock.now() + ASK_AGAIN)
    assert store.due_turns() == []
    clock.step_to(clock.now() + ASK_AGAIN)
    (again,) = store.due_turns()
    store.give_up_held("birdsong", "stream:9")
    with leases.held(store, "stream:1", timedelta(minutes=1), clock) as lease:
        (report,) = ingest(settings, store, clock=clock, platforms=platforms, duty=Duty(stream, again, lease))
    assert (report.outcome, store.due_turns()) == ("quota", [])


def test_with_a_turn_nothing_is_declared(fake, settings, store, clock, platforms, feed, mentions):
    """Two processes whose configurations differ would move the mentions to and fro."""
    feed.mentions = mentions
    ingest(settings, store, clock=clock, platforms=platforms)
    moved = fake.make_settings(fake.make_organization(timezone="Pacific/Auckland"))
    ((stream, _),) = platforms.streams(moved)

    def zone():
        with store.database.read() as connection:
            return connection.exec_driver_sql("SELECT timezone FROM organizations").scalar_one()

    before = zone()
    with leases.held(store, "stream:1", timedelta(minutes=1), clock) as lease:
        duty = Duty(stream, Turn("stream:1", clock.now()), lease)
        ingest(moved, store, clock=clock, platforms=platforms, duty=duty)
    with leases.held(store, "refresh:birdsong", timedelta(minutes=1), clock) as lease:
        refresh(moved, store, clock=clock, platforms=platforms, lease=lease)
    assert zone() == before != "Pacific/Auckland"
    refresh(moved, store, clock=clock, platforms=platforms)
    assert zone() == "Pacific/Auckland"
