"""Tables: which column is what, how dates are read, and ids from content."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs.archives.found import Found
from jobs.archives.table import TableReader, check_dates, columns_from, day_span, placed, read_moment
from listener.errors import ConfigError, SkipItem
from listener.mention import Author, Kind

TORONTO = ZoneInfo("America/Toronto")


def test_a_map_is_pairs() -> None:
    assert columns_from(["text=Comment, published_at=Date", "text=More"]) == {
        "text": ("Comment", "More"),
        "published_at": ("Date",),
    }


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("text", "write FIELD=COLUMN"),
        ("=Comment", "write FIELD=COLUMN"),
        ("txt=Comment", r"no field 'txt'; did you mean 'text'\?"),
        ("id=A,id=B", "names two columns for id"),
    ],
)
def test_a_map_that_is_none_is_told(pairs: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        columns_from([pairs])


@pytest.mark.parametrize(
    ("header", "mapped", "places"),
    [
        (["ID", "Date", "Comment"], {}, {"id": (0,), "published_at": (1,), "text": (2,)}),
        (["Réponse", "created-at", "Texte"], {}, {"published_at": (1,), "text": (2,)}),
        (
            ["Review", "Title", "Review date"],
            {"text": ("title", "review")},
            {"text": (1, 0), "published_at": (2,)},
        ),
        (["Text", "Comment", "Date"], {}, {"text": (0,), "published_at": (2,)}),
        (["Text", "When", "Date"], {"published_at": ("When",)}, {"text": (0,), "published_at": (1,)}),
    ],
)
def test_columns_are_found_by_usual_names_and_by_the_map(
    header: list[str], mapped: dict[str, Any], places: dict[str, Any]
) -> None:
    found = placed(header, mapped, file="survey.csv")
    assert {field: found[field] for field in places} == places


@pytest.mark.parametrize(
    ("header", "mapped", "message"),
    [
        (["A", "Date"], {}, r"hold the comments; name it with --map text=COLUMN; there are: A, Date"),
        (["c" * 26, *"ABCDEFGHI"], {}, r"there are: c{25}…, A, B, C, D, E, F, G, …$"),
        (["Text", "B"], {}, r"hold when they were written; name it with --map published_at=COLUMN"),
        (["Text", "Date"], {"text": ("Txt",)}, r"survey.csv has no column 'Txt'; did you mean 'Text'\?"),
    ],
)
def test_a_column_that_is_missing_is_told(header: list[str], mapped: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        placed(header, mapped, file="survey.csv")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-10-26T12:00:00Z", "2026-10-26T12:00:00+00:00"),
        ("2026-10-26T12:00:00-05:00", "2026-10-26T17:00:00+00:00"),
        ("2026-10-26 12:00", "2026-10-26T16:00:00+00:00"),
        ("2026-10-26", "2026-10-26T16:00:00+00:00"),
        ("2026/10/26", "2026-10-26T16:00:00+00:00"),
        ("26.10.2026 09:30", "2026-10-26T13:30:00+00:00"),
        ("26/10/2026", "2026-10-26T16:00:00+00:00"),
        ("10/26/2026 9:30 PM", "2026-10-27T01:30:00+00:00"),
        ("10-26-2026", "2026-10-26T16:00:00+00:00"),
        ("10/10/2026", "2026-10-10T16:00:00+00:00"),
        ("Oct 26, 2026", "2026-10-26T16:00:00+00:00"),
        ("26 October 2026 12:00:05", "2026-10-26T16:00:05+00:00"),
        ("1793016000", "2026-10-26T12:00:00+00:00"),
        ("1793016000.5", "2026-10-26T12:00:00.500000+00:00"),
        ("1793016000500", "2026-10-26T12:00:00.500000+00:00"),
    ],
)
def test_usual_dates_are_read(written: str, read: str) -> None:
    assert read_moment(written, zone=TORONTO).isoformat() == read


@pytest.mark.parametrize(
    ("written", "dates", "message"),
    [
        ("03/04/2026", None, r"written as '00/00/0000', day or month first: say --dates \"%d/%m/%Y\""),
        ("Ann Smith", None, r"written as 'xxx xxxxx', which is not known"),
        ("x" * 60 + "\n", None, r"written as 'x{25}…', which"),
        ("26/10/2026", "%Y-%m-%d", r"written as '00/00/0000', not as --dates '%Y-%m-%d' says"),
        ("40/40/2026", None, "which is not known|day or month first"),
        ("9999-12-31T23:59:59-12:00", None, "beyond the calendar"),
    ],
)
def test_why_a_date_is_not_read_is_told_without_what_is_written(
    written: str, dates: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_moment(written, zone=UTC, dates=dates)


def test_dates_are_read_as_they_are_said_to_be_written() -> None:
    assert read_moment("03/04/2026", zone=UTC, dates="%d/%m/%Y") == datetime(2026, 4, 3, 12, tzinfo=UTC)
    assert read_moment("03/04/2026 08h", zone=TORONTO, dates="%m/%d/%Y %Hh") == datetime(
        2026, 3, 4, 13, tzinfo=UTC
    )


@pytest.mark.parametrize("dates", ["%H:%M", "%d %d", "%Q", "%y", "soon"])
def test_a_format_that_tells_no_day_is_refused(dates: str) -> None:
    with pytest.raises(ConfigError, match="tells no day"):
        check_dates(dates)


def test_a_format_that_tells_the_day_is_taken() -> None:
    check_dates("%d/%m/%y %H:%M")


HEADER = ("id", "date", "text", "author", "url", "lang", "site", "parent", "likes", "edited")


def reader(**changes: Any) -> TableReader:
    values = {
        "places": placed(HEADER, {}, file="a"),
        "channel": "survey",
        "zone": UTC,
        "dates": None,
        "redact": lambda text: text.replace("555-0142", "[phone]").partition("?")[0],
    }
    return TableReader(**(values | changes))


def row(**cells: str) -> list[str]:
    return [({"date": "2026-10-26", "text": "Kind nurses"} | cells).get(name, "") for name in HEADER]


def found(cells: list[str]) -> Found:
    (one,) = reader().read(cells)
    assert isinstance(one, Found)
    return one


def test_a_row_is_a_mention() -> None:
    one = found(
        row(
            id="7",
            author="Ann",
            url="https://example.org/r?who=ann",
            lang="fr-CA",
            site="Mercy",
            parent="6",
            likes="3",
        )
    )
    mention = one.mention
    assert one.organization == "Mercy"
    assert (mention.channel, mention.external_id, mention.kind) == ("survey", "7", Kind.REPLY)
    assert (mention.author, mention.language, mention.metrics.likes) == (Author(id="Ann", handle="Ann"), "fr", 3)
    assert (mention.permalink, mention.parent_external_id) == ("https://example.org/r", "6")
    plain = found(row(id="8", url="javascript:x", lang="?", likes="many", edited="2026-10-27"))
    assert (plain.mention.permalink, plain.mention.language, plain.mention.metrics.likes) == (None, None, None)
    assert plain.mention.edited_at == datetime(2026, 10, 27, 12, tzinfo=UTC)
    assert (plain.mention.kind, plain.mention.author, plain.organization) == (Kind.COMMENT, None, None)


def test_what_has_no_id_gets_one_from_its_redacted_content() -> None:
    first = found(row(text="Call 555-0142")).mention.external_id
    assert first.startswith("h-")
    assert first == found(row(text="Call [phone]", author="Ann", likes="4")).mention.external_id
    assert first != found(row(text="Call [phone]", date="2026-10-27")).mention.external_id


def test_what_a_spreadsheet_was_kept_from_running_is_read_as_it_was() -> None:
    assert found(row(text="'=1+1")).mention.text == "=1+1"


def test_rows_without_a_text_say_nothing_and_others_are_told() -> None:
    assert list(reader().read(row(text=" \x00"))) == []
    problems = [
        str(one)
        for cells in (row(date=""), row(id="7" * 201), row(date="soon"))
        for one in reader().read(cells)
        if isinstance(one, SkipItem)
    ]
    assert [words.partition(",")[0] for words in problems] == [
        "it has no moment of publication",
        "its id has 201 characters",
        "its date is written as 'xxxx'",
    ]


def test_days_begin_and_end_where_the_organization_is() -> None:
    begins, ends = day_span(date(2026, 1, 1), date(2026, 3, 31), TORONTO)
    assert (begins, ends) == (datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 4, 1, 4, tzinfo=UTC))
