from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from benchmarks.plans import statements
from jobs.ingest import ingest
from jobs.rollup import roll_up
from jobs.summary import COLUMNS, last_whole_week, net_sentiment, share_counted, weekly_summary, write_summaries
from listener.calendar import day_number, parse_iso_week, week_span
from listener.clock import SteppedClock
from listener.errors import ConfigError, RetryLater
from listener.mention import Author, Metrics
from storage.changes import SignalChange, write_change
from storage.store import MentionStore

WEEK = parse_iso_week("2026-W45")
NEXT = parse_iso_week("2026-W46")
TOPICS = ["parking", "food-drink", "pain"]
ADMITTED = "My mother was admitted last night and we could not find parking"
"""An experience beyond doubt."""


@pytest.fixture
def heard(fake, store, clock):
    """Two channels, one of which fails until told otherwise; read through the week of 2 November."""
    metrics = Metrics(likes=2, replies=1, views=50)
    birds = [
        fake.make_mention(1, text=f"{ADMITTED} and the food was disgusting, it was horrible", metrics=metrics),
        fake.make_mention(2, text=f"{ADMITTED}, it was horrible", author=Author(id="a1")),
        # Of a language that is not read neither purpose nor sentiment is known.
        fake.make_mention(3, text="El hospital es muy grande y está cerca de la estación de trenes"),
        fake.make_mention(4, text="The parking is free today", author=Author(id="1234")),
        fake.make_mention(5, text=f"{ADMITTED}, it was horrible", published_at=fake.START + timedelta(days=7)),
    ]
    streams = [{"channel": "birdsong", "query": "elsewhere"}, {"channel": "whisper", "query": "elsewhere"}]
    settings = fake.make_settings(fake.make_organization(streams=streams))
    feeds = {"birdsong": fake.Feed(), "whisper": fake.Feed()}
    platforms = fake.FakePlatforms(**feeds)
    feeds["whisper"].errors = {0: RetryLater("down")}

    def read_until(moment):
        clock.step_to(moment)
        feeds["birdsong"].mentions = [one for one in birds if one.published_at < moment]
        ingest(settings, store, clock=clock, platforms=platforms)
        roll_up(store)

    def rows(moment=None, **options):
        at = SteppedClock(moment or clock.now())
        found = weekly_summary(settings, store, clock=at, platforms=platforms, **options)
        return {(row.iso_week, row.channel, row.topic): row for row in found}

    rows.settings, rows.platforms, rows.feeds, rows.read_until = settings, platforms, feeds, read_until
    read_until(datetime(2026, 11, 9, 5, tzinfo=UTC))
    read_until(datetime(2026, 11, 12, 5, tzinfo=UTC))
    return rows


def test_a_row_for_every_channel_and_topic_zeros_included(heard):
    rows = heard(newest=WEEK)
    channels = list(dict.fromkeys(channel for _, channel, _ in rows))
    topics = list(dict.fromkeys(topic for _, _, topic in rows))
    assert channels == ["all", "birdsong", "whisper"]
    assert topics == ["all", "(care)", *TOPICS, "(untagged)", "(other purposes)", "(to review)"]
    assert len(rows) == len(channels) * len(topics)
    assert rows["2026-W45", "whisper", "parking"].mentions == 0


def test_a_mention_counts_in_each_of_its_topics_and_once_in_all(heard):
    rows = heard(newest=WEEK)
    counts = {topic: rows["2026-W45", "birdsong", topic].mentions for topic in ("all", "parking", "food-drink")}
    assert counts == {"all": 3, "parking": 2, "food-drink": 1}
    assert rows["2026-W45", "birdsong", "(untagged)"].mentions == 1
    assert rows["2026-W45", "all", "all"].mentions == 3
    total = rows["2026-W45", "birdsong", "all"]
    assert (total.unscored, total.net_sentiment, total.engagement, total.authors) == (1, -1.0, 3, 2)
    assert (total.week_start, total.week_end) == (date(2026, 11, 2), date(2026, 11, 8))


def test_what_topics_leave_out_has_rows_of_its_own(heard, store):
    with store.database.write() as connection:
        connection.execute(text("UPDATE mentions SET purpose = 'experience' WHERE external_id IN ('m1', 'm5')"))
        connection.execute(text("UPDATE mentions SET purpose = 'news' WHERE external_id = 'm2'"))
        connection.execute(text("UPDATE mentions SET needs_review = true WHERE external_id = 'm3'"))
    roll_up(store, rebuild=True)
    rows = heard(newest=WEEK)
    counts = {
        topic: row.mentions for (_, channel, topic), row in rows.items() if channel == "all" and row.mentions
    }
    assert counts == {
        **dict.fromkeys(("(care)", "parking", "food-drink", "(other purposes)", "(to review)"), 1),
        "all": 3,
    }
    share = share_counted(rows.values())
    assert (share.mentions, share.counted, share.care, share.other_purposes, share.to_review) == (3, 1, 1, 1, 1)
    # Weeks add up, channels do not once more.
    assert share_counted(heard(newest=NEXT, last=2).values()).mentions == 4


def note(store, since, version, mentions=0):
    day = None if since is None else day_number(since)
    change = SignalChange(
        made_at=datetime(2026, 11, 12, tzinfo=UTC),
        since_day=day,
        from_version="1",
        to_version=version,
        mentions=mentions,
    )
    with store.database.write() as connection:
        write_change(connection, change)


def rebases(rows):
    return {(row.iso_week, row.rebase) for row in rows.values()}


def test_a_new_version_is_told_in_the_week_it_begins_in(heard, store):
    assert rebases(heard(newest=NEXT, last=2)) == {("2026-W45", None), ("2026-W46", None)}
    note(store, date(2026, 11, 10), "2")
    note(store, date(2026, 11, 11), "3")
    assert rebases(heard(newest=NEXT, last=2)) == {("2026-W45", None), ("2026-W46", "3")}
    # All of it heard again: one version from the beginning.
    note(store, None, "3", mentions=5)
    assert rebases(heard(newest=NEXT, last=2)) == {("2026-W45", None), ("2026-W46", None)}
    note(store, date(2026, 11, 2), "4", mentions=3)
    assert rebases(heard(newest=NEXT, last=2)) == {("2026-W45", "4"), ("2026-W46", None)}


def test_change_is_against_a_week_that_was_read(heard):
    rows = heard(newest=NEXT, last=2)
    first, second = rows["2026-W45", "birdsong", "parking"], rows["2026-W46", "birdsong", "parking"]
    assert (second.mentions, second.mentions_previous_week, second.change) == (1, 2, -1)
    assert (first.mentions_previous_week, first.change) == (None, None)
    never = rows["2026-W46", "whisper", "parking"]
    assert (never.mentions_previous_week, never.change) == (None, None)
    assert rows["2026-W46", "birdsong", "pain"].mentions_previous_week == 0


def test_coverage_is_the_mean_of_the_streams_and_a_silent_one_is_a_hole(heard):
    rows = heard(newest=WEEK)
    assert rows["2026-W45", "birdsong", "all"].coverage == 1.0
    assert rows["2026-W45", "whisper", "pain"].coverage == 0.0
    assert rows["2026-W45", "all", "all"].coverage == 0.5
    heard.feeds["whisper"].errors = {}
    heard.read_until(datetime(2026, 11, 14, 5, tzinfo=UTC))
    rows = heard(newest=WEEK)
    start, end = week_span(WEEK, heard.settings.organizations[0].zone)
    seen = (end - (datetime(2026, 11, 7, 5, tzinfo=UTC))) / (end - start)
    assert rows["2026-W45", "whisper", "all"].coverage == round(seen, 4)


@pytest.mark.parametrize(
    ("moment", "provisional"),
    [
        (datetime(2026, 11, 10, tzinfo=UTC), True),
        (datetime(2026, 11, 11, 4, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 11, 5, tzinfo=UTC), False),
    ],
)
def test_a_week_is_provisional_for_two_days_after_its_end(heard, moment, provisional):
    assert heard(moment, newest=WEEK)["2026-W45", "birdsong", "all"].provisional is provisional


def test_a_week_is_provisional_while_a_stream_has_not_read_past_it(heard):
    rows = heard(datetime(2026, 12, 30, tzinfo=UTC), newest=NEXT, last=2)
    assert not rows["2026-W45", "birdsong", "all"].provisional
    assert rows["2026-W46", "birdsong", "all"].provisional
    assert rows["2026-W45", "whisper", "all"].provisional
    assert rows["2026-W45", "all", "all"].provisional


def test_a_stream_that_is_no_longer_configured_counts_where_it_read(heard, fake, store, clock):
    streams = [{"channel": "birdsong", "query": "another question"}]
    changed = fake.make_settings(fake.make_organization(streams=streams))
    heard.read_until(datetime(2026, 11, 16, 5, tzinfo=UTC))
    clock.step_to(datetime(2026, 11, 23, 5, tzinfo=UTC))
    ingest(changed, store, clock=clock, platforms=heard.platforms)
    found = weekly_summary(changed, store, newest=NEXT + 1, last=2, clock=clock, platforms=heard.platforms)
    coverage = {row.iso_week: row.coverage for row in found if row.channel == row.topic == "all"}
    # What is asked now was not asked in W46, what was asked then was read.
    assert coverage == {"2026-W46": 0.5, "2026-W47": 1.0}
    assert {row.channel for row in found} == {"all", "birdsong"}


def test_a_channel_that_was_not_read_the_week_before_leaves_no_change(heard):
    heard.feeds["whisper"].errors = {}
    heard.feeds["whisper"].mentions = []
    heard.read_until(datetime(2026, 11, 16, 12, tzinfo=UTC))
    heard.read_until(datetime(2026, 11, 23, 12, tzinfo=UTC))
    rows = heard(newest=NEXT + 1, last=3)
    coverage = {key[:2]: row.coverage for key, row in rows.items()}
    assert coverage["2026-W45", "whisper"] == 0.0
    assert coverage["2026-W46", "whisper"] > 0.0
    assert coverage["2026-W46", "all"] == pytest.approx((1.0 + coverage["2026-W46", "whisper"]) / 2, abs=1e-4)
    before = {key[:2]: row.mentions_previous_week for key, row in rows.items() if key[2] == "all"}
    change = {key[:2]: row.change for key, row in rows.items() if key[2] == "all"}
    assert (before["2026-W46", "all"], change["2026-W46", "all"]) == (None, None)
    assert (before["2026-W46", "whisper"], change["2026-W46", "whisper"]) == (None, None)
    assert (before["2026-W46", "birdsong"], change["2026-W46", "birdsong"]) == (3, -2)
    assert (before["2026-W47", "all"], change["2026-W47", "all"]) == (1, -1)
    assert (before["2026-W47", "whisper"], change["2026-W47", "whisper"]) == (0, 0)


def test_a_channel_that_is_read_in_neither_week_takes_no_change_from_the_others(heard):
    row = heard(newest=NEXT)["2026-W46", "all", "all"]
    assert (row.mentions_previous_week, row.change) == (3, -2)


def test_a_stream_that_was_added_later_lowers_the_coverage_of_the_weeks_before_it(heard, fake, store, clock):
    streams = [{"channel": "birdsong", "query": "elsewhere"}, {"channel": "birdsong", "query": "added later"}]
    settings = fake.make_settings(fake.make_organization(streams=streams))
    clock.step_to(datetime(2026, 11, 23, 5, tzinfo=UTC))
    ingest(settings, store, clock=clock, platforms=heard.platforms)
    roll_up(store)
    found = weekly_summary(settings, store, newest=NEXT + 1, last=3, clock=clock, platforms=heard.platforms)
    rows = {row.iso_week: row for row in found if (row.channel, row.topic) == ("birdsong", "all")}
    assert {week: row.coverage for week, row in rows.items()} == {
        "2026-W45": 0.5,
        "2026-W46": 0.5,
        "2026-W47": 1.0,
    }
    # The channel was read in both weeks.
    assert rows["2026-W47"].change == -1


def test_a_stream_that_was_never_read_is_a_hole_too(heard, fake, store, clock):
    streams = [{"channel": "birdsong", "query": "elsewhere"}, {"channel": "birdsong", "query": "never pulled"}]
    settings = fake.make_settings(fake.make_organization(streams=streams))
    found = weekly_summary(settings, store, newest=WEEK, clock=clock, platforms=heard.platforms)
    assert {row.coverage for row in found if row.channel == "birdsong"} == {0.5}


def test_the_default_is_the_last_whole_week_where_the_organization_is(heard, fake):
    assert {week for week, _, _ in heard(datetime(2026, 11, 16, 4, 59, tzinfo=UTC))} == {"2026-W45"}
    assert {week for week, _, _ in heard(datetime(2026, 11, 16, 5, tzinfo=UTC))} == {"2026-W46"}
    sydney = fake.make_organization(timezone="Australia/Sydney")
    assert last_whole_week(sydney, datetime(2026, 11, 15, 13, tzinfo=UTC)) == NEXT


def test_organizations_are_chosen_by_slug(heard):
    assert heard(newest=WEEK, organizations=["st-elsewhere"])
    with pytest.raises(ConfigError, match="did you mean"):
        heard(newest=WEEK, organizations=["st-elsewere"])


def test_a_topic_that_left_the_taxonomy_keeps_its_row(heard, fake, tmp_path):
    shorter = tmp_path / "topics.toml"
    shorter.write_text(
        'version = "2"\n[groups]\nmedicines = "Medicines"\n'
        '[[topics]]\nslug = "pain"\nname = "Pain"\ngroup = "medicines"\n'
        'definition = "Pain and its relief."\nphrases = ["pain"]\n'
    )
    settings = heard.settings.model_copy(
        update={"topics": heard.settings.topics.model_copy(update={"file": shorter})}
    )
    clock = SteppedClock(datetime(2026, 11, 12, 5, tzinfo=UTC))
    with MentionStore.open(f"sqlite:///{tmp_path / 'listener.db'}", clock=clock) as store:
        found = weekly_summary(settings, store, newest=WEEK, clock=clock, platforms=heard.platforms)
    topics = [row.topic for row in found if row.channel == "birdsong"]
    assert topics == [
        *("all", "(care)", "pain", "food-drink", "parking", "(untagged)", "(other purposes)", "(to review)")
    ]


def test_without_author_keys_authors_are_unknown_not_none_at_all(heard, store):
    settings = heard.settings.model_copy(
        update={"privacy": heard.settings.privacy.model_copy(update={"author_key": "none"})}
    )
    clock = SteppedClock(datetime(2026, 11, 12, 5, tzinfo=UTC))
    found = weekly_summary(settings, store, newest=WEEK, clock=clock, platforms=heard.platforms)
    assert {row.authors for row in found} == {None}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((0, 0, 0), None), ((1, 0, 0), -1.0), ((0, 3, 0), 0.0), ((1, 1, 1), 0.0), ((1, 0, 2), 0.3333)],
)
def test_net_sentiment_is_of_those_that_were_scored(counts, expected):
    assert net_sentiment(*counts) == expected


def test_the_csv_has_the_columns_in_their_order_and_reads_back(heard, tmp_path):
    rows = list(heard(newest=NEXT, last=2).values())
    (path,) = write_summaries(rows, tmp_path / "weeks.csv")
    header = (
        "organization,iso_week,week_start,week_end,channel,topic,mentions,authors,negative,neutral,positive,"
        "unscored,net_sentiment,engagement,mentions_previous_week,change,coverage,provisional,rebase"
    )
    assert path.read_text().splitlines()[0] == header == ",".join(COLUMNS)
    read = list(csv.DictReader(path.read_text().splitlines()))
    assert len(read) == len(rows)
    (parking,) = [
        row
        for row in read
        if (row["iso_week"], row["channel"], row["topic"]) == ("2026-W46", "birdsong", "parking")
    ]
    assert (parking["change"], parking["net_sentiment"], parking["provisional"]) == ("-1", "-1.0", "true")
    assert (parking["week_start"], parking["coverage"]) == ("2026-11-09", "0.4286")


def test_a_folder_gets_a_file_for_each_organization_and_week(heard, tmp_path):
    rows = list(heard(newest=NEXT, last=2).values())
    rows += [replace(row, organization="mercy") for row in rows]
    written = write_summaries(rows, tmp_path / "weeks")
    assert [path.name for path in written] == [
        "listener-weekly-st-elsewhere-2026-W45.csv",
        "listener-weekly-st-elsewhere-2026-W46.csv",
        "listener-weekly-mercy-2026-W45.csv",
        "listener-weekly-mercy-2026-W46.csv",
    ]
    assert all(path.is_file() for path in written)
    assert {line.split(",")[1] for line in written[0].read_text().splitlines()[1:]} == {"2026-W45"}


def test_without_a_place_the_files_lie_where_one_is(heard, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (path,) = write_summaries(list(heard(newest=WEEK).values()))
    assert (tmp_path / path).is_file()


@pytest.mark.parametrize("output", ["missing/folder", "missing/weeks.csv", "file/weeks.csv", "file/folder"])
def test_a_place_that_cannot_be_written_is_named(heard, tmp_path, output):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=output.split("/", maxsplit=1)[0]):
        write_summaries(list(heard(newest=WEEK).values()), tmp_path / output)


@pytest.mark.parametrize("output", ["weeks.txt", "weeks.csv.gz", "there.txt"])
def test_an_ending_that_is_no_format_is_refused(heard, tmp_path, output):
    (tmp_path / "there.txt").touch()
    with pytest.raises(ConfigError, match=rf"{output}: cannot tell the format .* \.csv, .* or name a folder"):
        write_summaries(list(heard(newest=WEEK).values()), tmp_path / output)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("weeks")] == []


def test_a_folder_that_is_there_may_have_any_name(heard, tmp_path):
    (tmp_path / "2026.weeks").mkdir()
    (path,) = write_summaries(list(heard(newest=WEEK).values()), tmp_path / "2026.weeks")
    assert path.parent == tmp_path / "2026.weeks"


def test_a_device_is_a_file(heard):
    device = Path("/dev/null")
    assert write_summaries(list(heard(newest=WEEK).values()), device) == [device]
    assert device.is_char_device()


@pytest.fixture
def two(fake, store, clock):
    """Two organizations that hear the same platform, a day's turn apart, read into the week of 9 November."""
    streams = [{"channel": "birdsong", "query": "elsewhere"}]
    far = [{"channel": "birdsong", "query": "general"}, {"channel": "whisper", "query": "general"}]
    settings = fake.make_settings(
        fake.make_organization(streams=streams, timezone="America/Toronto"),
        fake.make_organization(slug="general", name="General", streams=far, timezone="Pacific/Auckland"),
    )
    # Late on Sunday in Toronto, Monday in Auckland.
    mentions = [
        fake.make_mention(
            1, text=ADMITTED, published_at=datetime(2026, 11, 9, 2, tzinfo=UTC), author=Author(id="a")
        ),
        fake.make_mention(
            2, text=ADMITTED, published_at=datetime(2026, 11, 5, 2, tzinfo=UTC), author=Author(id="a")
        ),
    ]
    long_ago = datetime(2026, 11, 4, tzinfo=UTC)
    platforms = fake.FakePlatforms(
        birdsong=fake.Feed(mentions, covered_from=long_ago), whisper=fake.Feed(covered_from=long_ago)
    )
    clock.step_to(datetime(2026, 11, 16, 6, tzinfo=UTC))
    ingest(settings, store, clock=clock, platforms=platforms)
    roll_up(store)

    def rows(moment=None, **options):
        at = SteppedClock(moment or clock.now())
        found = weekly_summary(settings, store, clock=at, platforms=platforms, **options)
        return {(row.organization, row.iso_week, row.channel, row.topic): row for row in found}

    rows.settings, rows.platforms = settings, platforms
    return rows


def test_all_organizations_together_are_the_sum_of_each_in_its_own_week(two):
    rows = two(newest=NEXT, last=2, organizations=["all", "st-elsewhere", "general"])
    for week, each in (("2026-W45", (2, 1)), ("2026-W46", (0, 1))):
        counted = [rows[one, week, "birdsong", "all"].mentions for one in ("st-elsewhere", "general")]
        assert tuple(counted) == each
        together = rows["all", week, "birdsong", "all"]
        assert together.mentions == sum(each)
        assert together.authors == sum(count > 0 for count in each)
        assert rows["all", week, "all", "parking"].mentions == sum(each)
    assert {channel for one, _, channel, _ in rows if one == "all"} == {"all", "birdsong", "whisper"}
    last = rows["all", "2026-W46", "all", "all"]
    assert (last.mentions, last.mentions_previous_week, last.change) == (1, 3, -2)


def test_the_coverage_of_all_is_the_mean_over_all_streams(two):
    rows = two(newest=NEXT, last=2, organizations=["all", "st-elsewhere", "general"])
    for week in ("2026-W45", "2026-W46"):
        ours, theirs, other = (
            rows["st-elsewhere", week, "birdsong", "all"].coverage,
            rows["general", week, "birdsong", "all"].coverage,
            rows["general", week, "whisper", "all"].coverage,
        )
        assert rows["all", week, "birdsong", "all"].coverage == pytest.approx((ours + theirs) / 2, abs=1e-4)
        assert rows["all", week, "all", "all"].coverage == pytest.approx((ours + theirs + other) / 3, abs=1e-4)


def test_a_week_of_all_is_over_when_it_is_over_everywhere(two):
    over_in_auckland = datetime(2026, 11, 15, 12, tzinfo=UTC)
    assert {week for _, week, _, _ in two(over_in_auckland, organizations=["general"])} == {"2026-W46"}
    assert {week for _, week, _, _ in two(over_in_auckland, organizations=["all"])} == {"2026-W45"}
    two_days_on = datetime(2026, 11, 18, 4, tzinfo=UTC)
    settled = {one: two(two_days_on, newest=NEXT, organizations=[one]) for one in ("general", "all")}
    assert not settled["general"]["general", "2026-W46", "birdsong", "all"].provisional
    assert settled["all"]["all", "2026-W46", "birdsong", "all"].provisional
    later = two(two_days_on + timedelta(hours=2), newest=NEXT, organizations=["all"])
    assert not later["all", "2026-W46", "birdsong", "all"].provisional


def test_an_organization_that_is_no_longer_configured_still_counts_in_all(two, store):
    left = two.settings.model_copy(update={"organizations": two.settings.organizations[:1]})
    at = SteppedClock(datetime(2026, 11, 20, tzinfo=UTC))
    found = weekly_summary(left, store, newest=NEXT, organizations=["all"], clock=at, platforms=two.platforms)
    rows = {(row.channel, row.topic): row for row in found}
    assert rows["birdsong", "all"].mentions == 1
    # What it read counts as well.
    assert rows["birdsong", "all"].coverage == 1.0
    assert {row.organization for row in found} == {"all"}


def test_reading_all_takes_as_many_statements_as_reading_one(two, store):
    asked = []
    for one in ("st-elsewhere", "all"):
        with statements(store.database) as said:
            two(newest=NEXT, last=4, organizations=[one])
        asked.append(said)
    # The one more asks which id the organization has.
    assert len(asked[1]) == len(asked[0]) - 1
    assert not any("mention_organizations" in words or "daily" in words for said in asked for words, _ in said)
    assert not any("weekly_volume" in words for words, _ in asked[1])
