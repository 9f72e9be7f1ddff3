"""What people say of mentions: read from a file or named, set whole or not at all, and taken back."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jobs import export
from jobs.correct import Asked, CorrectionReport, Sheet, Turn, correct, name_of, read_sheet, topics_of, withdraw
from jobs.hearing import analyzer_for
from jobs.ingest import ingest
from jobs.refresh import refresh
from jobs.retag import VolumeMove, retag
from jobs.rollup import roll_up
from listener.errors import ConfigError
from listener.mention import Purpose, Sentiment, Source
from listener.signals.analysis import Signals
from listener.signals.taxonomy import Taxonomy
from listener.signals.topics import TopicHit
from storage import retagging, schema
from storage.correcting import Correction, Name
from storage.queries import COLUMNS, Filters, rows
from storage.store import MentionStore

VISIT = "My mother was in hospital for a week and I paid for parking every day"
RIGHT = Correction(purpose=Purpose.NEWS, sentiment=Sentiment.POSITIVE, topics=frozenset({"pain"}))
NAMES = ("purpose", "purpose_score", "needs_review", "sentiment", "sentiment_score", "topics", "corrected")


class Hearer:
    """Hears the same in every text."""

    version = "2"

    def __init__(self, signals: Signals, before: Callable[[], None] = lambda: None) -> None:
        self.signals = replace(signals, version=self.version)
        self.before = before

    def analyze_many(self, texts: Sequence[str], hints: Sequence[str | None]) -> list[Signals]:
        self.before()
        return [self.signals for _ in texts]


FOOD = Hearer(
    Signals(
        "en",
        (TopicHit("food-drink", 0.9, Source.MODEL, ()),),
        purpose=Purpose.QUESTION,
        purpose_score=0.7,
        sentiment=Sentiment.NEGATIVE,
        sentiment_score=-0.5,
        positive_part=0.1,
        negative_part=0.2,
    )
)


@pytest.fixture
def store(either_store: MentionStore) -> MentionStore:
    return either_store


@pytest.fixture
def taxonomy(settings) -> Taxonomy:
    return Taxonomy.load(settings.topics_file)


@pytest.fixture
def heard(fake, feed, store, settings, clock, platforms):
    """Five experiences about parking, one a day, counted."""
    feed.mentions = [
        fake.make_mention(
            number, text=f"{VISIT}, number {number}", published_at=fake.START - timedelta(days=number)
        )
        for number in range(5)
    ]
    ingest(settings, store, clock=clock, platforms=platforms)
    roll_up(store)
    return store


@pytest.fixture
def say(settings, heard, clock, platforms) -> Callable[..., CorrectionReport]:
    def run(*external_ids: str, right: Correction = RIGHT, **options: Any) -> CorrectionReport:
        sheet = Sheet(tuple(Asked(Name("birdsong", one), right) for one in external_ids))
        values = {"sheet": sheet, "clock": clock, "platforms": platforms, "settings": settings, **options}
        return correct(values.pop("settings"), heard, values.pop("sheet"), **values)

    return run


@pytest.fixture
def take_back(settings, heard, platforms) -> Callable[..., CorrectionReport]:
    def run(*external_ids: str, analyzer: Any = FOOD, **options: Any) -> CorrectionReport:
        names = [Name("birdsong", one) for one in external_ids]
        return withdraw(settings, heard, names, analyzer=analyzer, platforms=platforms, **options)

    return run


def found(store, external_id):
    (row,) = [row for row in rows(store, Filters()) if row["external_id"] == external_id]
    return {name: row[name] for name in NAMES}


def volumes(store):
    return retagging.topic_volumes(store, since_day=None)


def counted(store):
    query = select(schema.topics.c.slug, schema.daily_volume.c.mentions).join(
        schema.topics, schema.topics.c.id == schema.daily_volume.c.topic_id
    )
    sums: dict[str, int] = {}
    with store.database.read() as connection:
        assert list(connection.execute(select(schema.dirty_days))) == []
        for slug, count in connection.execute(query):
            sums[slug] = sums.get(slug, 0) + count
    return sums


def test_a_correction_is_counted_at_once(heard, say):
    before = {name: rows for name, rows in counted(heard).items() if name != "all"}
    rehearsed = say("m0", "m1", dry_run=True)
    assert before == {name: rows for name, rows in counted(heard).items() if name != "all"}
    report = say("m0", "m1")
    assert report == rehearsed
    assert (report.mentions, report.unchanged, report.entered, report.left, report.days) == (2, 0, 0, 2, 2)
    assert report.turns[0] == Turn("purpose", "experience", "news", 2)
    assert report.turns[-1] == Turn("topics", "parking", "pain", 2)
    assert counted(heard) == volumes(heard) == {"all": 5, "(care)": 3, "parking": 3, "(other purposes)": 2}
    assert say("m0", right=Correction(purpose=Purpose.EXPERIENCE)).entered == 1
    assert counted(heard)["pain"] == 1
    assert say("m0", "m1", right=Correction(topics=RIGHT.topics)) == CorrectionReport(unchanged=2)


def test_what_the_hospital_wrote_itself_enters_nothing(fake, feed, heard, say, settings, clock, platforms):
    feed.mentions.append(fake.make_mention(9, author=fake.Author(id="1234", handle="StElsewhere")))
    ingest(settings, heard, clock=clock, platforms=platforms)
    report = say("m9")
    assert (report.mentions, report.entered, report.left) == (1, 0, 0)


def test_turns_tell_what_was_not_known(heard, say, settings, fake):
    silent = fake.make_settings(connectors={"birdsong": {"derived_metrics": False}})
    retag(silent, heard, analyzer=Hearer(Signals("en")), platforms=fake.FakePlatforms(birdsong=fake.Feed()))
    assert [(turn.part, turn.was) for turn in say("m0").turns] == [
        *(("purpose", "none"), ("sentiment", "unscored"), ("topics", "(untagged)")),
    ]


@pytest.mark.parametrize("right", [RIGHT, replace(RIGHT, topics=frozenset())])
def test_it_outlives_an_edit_a_look_up_a_removal_and_a_retag(
    heard, say, right, fake, feed, settings, clock, platforms
):
    say("m1", right=right)
    kept = found(heard, "m1")
    assert kept["corrected"] == ["purpose", "sentiment", "topics"]
    assert kept["topics"] == sorted(right.topics)

    def told_again(**changes: Any) -> None:
        clock.step_to(clock.now() + timedelta(hours=1))
        feed.mentions.append(replace(feed.mentions[1], **changes))
        ingest(settings, heard, clock=clock, platforms=platforms)
        roll_up(heard)
        assert found(heard, "m1") == kept
        assert counted(heard) == volumes(heard)

    told_again()
    told_again(text="The nurses were kind and the food was good when I stayed", edited_at=clock.now())
    told_again(text="", author=None, removed_at=clock.now())
    told_again(text="I waited for hours in pain and the parking was dear", edited_at=clock.now())
    clock.step_to(clock.now() + timedelta(hours=1))
    looked_up = replace(feed.mentions[-1], text="They helped me with the pain", edited_at=clock.now())
    feed.now_known["m1"] = looked_up
    refresh(settings, heard, clock=clock, platforms=platforms)
    assert found(heard, "m1") == kept
    assert retag(settings, heard, analyzer=FOOD, platforms=platforms).mentions == 5
    assert found(heard, "m1") == kept
    assert counted(heard) == volumes(heard)


def test_a_retag_counts_what_it_can_change(heard, say, settings, platforms):
    """All of m0 is a person's, of m1 the purpose: a rehearsal says so, and so does the retag."""
    say("m0")
    say("m1", right=Correction(purpose=Purpose.NEWS))
    retag(settings, heard, analyzer=FOOD, platforms=platforms)

    loud = Hearer(replace(FOOD.signals, purpose=Purpose.PROMOTION))
    loud.version, loud.signals = "3", replace(loud.signals, version="3")
    rehearsed = retag(settings, heard, analyzer=loud, platforms=platforms, dry_run=True)
    assert (rehearsed.mentions, rehearsed.changed) == (5, 3)
    assert rehearsed.volumes == (
        VolumeMove("all", 5, 5),
        VolumeMove("(care)", 3, 0),
        VolumeMove("food-drink", 3, 0),
        VolumeMove("(other purposes)", 2, 5),
    )
    report = retag(settings, heard, analyzer=loud, platforms=platforms)
    assert (report.mentions, report.changed, report.days) == (5, 3, 3)
    assert {move.topic: move.after for move in rehearsed.volumes if move.after} == volumes(heard)
    assert {row["signals_version"] for row in rows(heard, Filters())} == {"3"}


def test_taken_back_it_is_heard_again(heard, say, take_back):
    say("m0", "m1")
    kept = found(heard, "m0")
    rehearsed = take_back("m0", "m2", dry_run=True)
    assert found(heard, "m0") == kept
    report = take_back("m0", "m2")
    assert report == rehearsed
    assert (report.mentions, report.unchanged, report.entered, report.left, report.days) == (1, 1, 1, 0, 1)
    assert report.turns == (
        Turn("purpose", "news", "question", 1),
        Turn("sentiment", "positive", "negative", 1),
        Turn("topics", "pain", "food-drink", 1),
    )
    assert found(heard, "m0")["topics"] == ["food-drink"]
    assert found(heard, "m0")["corrected"] == []
    assert counted(heard) == volumes(heard)
    assert take_back("m0") == CorrectionReport(unchanged=1)


def test_taken_back_it_is_as_a_retag_would_have_it(heard, say, take_back, settings, taxonomy):
    as_heard = {name: found(heard, name) for name in ("m0", "m1")}
    say("m0", "m1")
    take_back("m0", "m1", analyzer=analyzer_for(settings, taxonomy))
    assert {name: found(heard, name) for name in ("m0", "m1")} == as_heard


def test_what_is_edited_while_it_is_taken_back_is_heard_anew(
    heard, say, take_back, feed, settings, clock, platforms
):
    say("m0")
    asked = []

    def edit() -> None:
        asked.append(1)
        if len(asked) == 1:
            feed.mentions.append(replace(feed.mentions[0], text="Another word", edited_at=clock.now()))
            ingest(settings, heard, clock=clock, platforms=platforms)

    assert take_back("m0", analyzer=Hearer(FOOD.signals, edit)).mentions == 1
    assert len(asked) == 2
    assert found(heard, "m0")["corrected"] == []


def test_of_a_tombstone_nothing_can_be_taken_back(heard, say, take_back, feed, settings, clock, platforms):
    say("m0", "m1")
    feed.mentions.append(replace(feed.mentions[0], text="", author=None, removed_at=clock.now()))
    ingest(settings, heard, clock=clock, platforms=platforms)
    with pytest.raises(ConfigError, match="birdsong:m0 was removed on its platform, there is no text to hear"):
        take_back("m0", "m1")
    assert found(heard, "m1")["corrected"] != []
    assert say("m0", right=Correction(purpose=Purpose.EXPERIENCE)).entered == 1


def test_a_platform_that_forbids_derived_metrics_is_not_corrected(heard, say, fake, take_back):
    say("m1")
    forbids = fake.make_settings(connectors={"birdsong": {"derived_metrics": False}})
    with pytest.raises(ConfigError, match=r"terms of birdsong allow no topics.*connectors\.birdsong") as raised:
        say("m0", "m2", settings=forbids)
    assert len(str(raised.value).splitlines()) == 1
    assert found(heard, "m0")["corrected"] == []
    assert take_back("m1").mentions == 1


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("reddit:t3_abc", Name("reddit", "t3_abc")),
        (" youtube:-abc ", Name("youtube", "-abc")),
        ("youtube:'-abc", Name("youtube", "-abc")),
        ("x:a:b", Name("x", "a:b")),
    ],
)
def test_names(word, name):
    assert name_of(word) == name


@pytest.mark.parametrize("word", ["", "t3_abc", ":t3_abc", "reddit:"])
def test_what_names_nothing(word):
    with pytest.raises(ConfigError, match="names no mention: write channel:external_id"):
        name_of(word)


def test_topics_are_told_with_the_nearest_name(taxonomy):
    assert topics_of(["Parking", "pain", "pain"], taxonomy) == {"parking", "pain"}
    with pytest.raises(
        ValueError, match=r"no topic 'all', no topic 'parkin'; did you mean 'parking'\?; `listener"
    ):
        topics_of(["parkin", "all", "pain"], taxonomy)


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, heard) -> Write:
    """Writes the query's CSV with these values of the right columns added, by external id."""

    def make(right: dict[str, dict[str, str]], columns: Sequence[str] = (), delimiter: str = ",") -> Path:
        file = tmp_path / "right.csv"
        names = columns or [f"right_{part}" for part in ("purpose", "sentiment", "topics")]
        with file.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.DictWriter(stream, [*COLUMNS, *names], delimiter=delimiter)
            writer.writeheader()
            for row in rows(heard, Filters(), sort="external_id"):
                cells = {name: export.safe_cell(row[name]) for name in COLUMNS}
                writer.writerow(cells | right.get(row["external_id"], {}))
        return file

    return make


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_query_with_what_is_right_beside_it(heard, say, write, taxonomy, delimiter):
    file = write(
        {
            "m0": {"right_purpose": "News", "right_sentiment": " positive ", "right_topics": "pain"},
            "m1": {"right_topics": "pain, food-drink parking"},
            "m2": {"right_topics": "-"},
            "m3": {"right_topics": "None", "right_purpose": " "},
        },
        delimiter=delimiter,
    )
    sheet = read_sheet(file, taxonomy)
    assert (sheet.skipped, sheet.problems) == (1, ())
    assert [(one.line, one.name.external_id, one.correction) for one in sheet.asked] == [
        (2, "m0", RIGHT),
        (3, "m1", Correction(topics=frozenset({"pain", "food-drink", "parking"}))),
        (4, "m2", Correction(topics=frozenset())),
        (5, "m3", Correction(topics=frozenset())),
    ]
    report = say(sheet=sheet)
    assert (report.mentions, report.skipped, report.left, report.days) == (4, 1, 1, 4)
    assert found(heard, "m1")["topics"] == ["food-drink", "pain", "parking"]
    assert say(sheet=sheet) == CorrectionReport(unchanged=4, skipped=1)


def test_one_column_is_enough(heard, say, write, taxonomy):
    sheet = read_sheet(write({"m0": {"Right purpose": "question"}}, ["Right purpose"]), taxonomy)
    assert [one.correction for one in sheet.asked] == [Correction(purpose=Purpose.QUESTION)]


def test_everything_wrong_is_told_at_once_and_nothing_written(heard, say, write, taxonomy, tmp_path):
    file = write(
        {
            "m0": {"right_purpose": "news"},
            "m1": {"right_purpose": "complain", "right_sentiment": "sad", "right_topics": "parkin"},
            "m2": {"right_purpose": "news", "external_id": "m99"},
            "m3": {"right_purpose": "newss", "channel": "birdsongs"},
            "m4": {"right_topics": ",", "external_id": "1.85E+18"},
        }
    )
    with file.open("a", encoding="utf-8") as stream:
        stream.write("birdsong,m5\n")
    with pytest.raises(ConfigError) as raised:
        say(sheet=read_sheet(file, taxonomy))
    assert str(raised.value).splitlines() == [
        f"{file}, line 3: right_purpose = 'complain': write one of {', '.join(Purpose)}",
        f"{file}, line 3: right_sentiment = 'sad': write negative, neutral or positive",
        (
            f"{file}, line 3: right_topics = 'parkin': no topic 'parkin'; did you mean 'parking'?; "
            "`listener topics list` shows them, and - says none"
        ),
        (
            f"{file}, line 4: the store has no mention birdsong:m99; `listener query --format csv` tells channel "
            "and external_id"
        ),
        f"{file}, line 5: right_purpose = 'newss': write one of {', '.join(Purpose)}; did you mean 'news'?",
        f"{file}, line 5: the store has no channel 'birdsongs'; did you mean 'birdsong'? (it has: birdsong)",
        f"{file}, line 6: a spreadsheet has rounded the id 1.85E+18: import the column external_id as text",
        f"{file}, line 6: right_topics = ',': names no topic; where none is right write -",
        f'{file}, line 7: 2 cells under 29 columns; put a text that has a separator in it in "quotes"',
    ]
    assert not any(row["corrected"] for row in rows(heard, Filters()))


def test_a_mention_of_two_hospitals_has_two_rows(heard, say, taxonomy, tmp_path):
    file = tmp_path / "right.csv"
    head = "channel,external_id,right_purpose,right_sentiment,right_topics\n"
    file.write_text(f"{head}birdsong,m0,news,,pain parking\nbirdsong,m0,news,positive,parking pain\n")
    report = say(sheet=read_sheet(file, taxonomy))
    assert (report.mentions, [turn.part for turn in report.turns]) == (1, ["purpose", "sentiment", "topics"])
    file.write_text(f"{head}birdsong,m1,news,,\nbirdsong,m1,,positive,\nbirdsong,m1,question,negative,\n")
    with pytest.raises(ConfigError) as raised:
        say(sheet=read_sheet(file, taxonomy))
    assert str(raised.value).splitlines() == [
        f"{file}, line 4: says another purpose than line 2: leave one",
        f"{file}, line 4: says another sentiment than line 3: leave one",
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty: the first line names the columns, those below are the mentions"),
        ("channel,external_id,right_purpose\n", "has no line below its header: add the mentions"),
        ("channel,id,right_purpose\nx,y,news\n", "has no column 'external_id'.*it needs the columns channel and"),
        ("external_id,right_purpose\ny,news\n", "has no column 'channel'"),
        ("channel,external_id\nx,y\n", "says of nothing what is right: add a column right_purpose, right_senti"),
        (
            "channel,external_id,right_topic\nx,y,pain\n",
            r"has a column 'right_topic'; did you mean 'right_topics'\? \(there are: right_purpose, right_senti",
        ),
        (
            "channel,external_id,right_topics,right topics\nx,y,pain,\n",
            "has the column 'right_topics' 2 times: leave one",
        ),
    ],
)
def test_a_file_that_is_none(taxonomy, tmp_path, content, told):
    file = tmp_path / "right.csv"
    file.write_text(content)
    with pytest.raises(ConfigError, match=told):
        read_sheet(file, taxonomy)


def test_without_a_store_nothing_is_found(store, settings, platforms):
    sheet = Sheet((Asked(Name("birdsong", "m0"), RIGHT),))
    with pytest.raises(ConfigError, match=r"the store has no channel 'birdsong' \(it has: none\)"):
        correct(settings, store, sheet, platforms=platforms)
