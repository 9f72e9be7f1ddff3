"""``query`` and ``summary`` on a store with six days of mentions."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jobs.summary import COLUMNS as SUMMARY_COLUMNS
from listener.calendar import day_number
from listener.clock import SystemClock
from listener.standins.posts import Post
from listener.standins.scenario import ZONE
from storage.queries import COLUMNS
from storage.words import words

pytestmark = pytest.mark.usefixtures("filled")
Run = Callable[..., Any]
HCAHPS = (
    *("nurses", "doctors", "responsiveness", "restfulness", "cleanliness", "medicines", "symptoms"),
    *("coordination", "discharge", "overall", "recommend"),
)


def table_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def rows(run: Run, *arguments: str) -> list[dict[str, str]]:
    result = run("query", *arguments, "--format", "csv")
    assert result.code == 0
    assert result.err == "" or "--limit" in arguments
    return table_of(result.out)


@pytest.fixture
def every(posts: dict[str, list[Post]]) -> list[Post]:
    return [post for some in posts.values() for post in some]


def week_of(post: Post) -> str:
    return iso_week(post.published_at.isoformat())


def iso_week(moment: str) -> str:
    year, week, _ = datetime.fromisoformat(moment).astimezone(ZONE).isocalendar()
    return f"{year}-W{week:02d}"


def test_without_a_filter_every_mention_comes_the_newest_first(run: Run, every: list[Post]) -> None:
    found = rows(run)
    assert tuple(found[0]) == COLUMNS
    assert {row["external_id"] for row in found} == {post.external_id for post in every}
    assert [row["published_at"] for row in found] == sorted((row["published_at"] for row in found), reverse=True)


FILTERS: dict[str, tuple[tuple[str, ...], Callable[[Post], bool]]] = {
    "channel": (("--channel", "reddit"), lambda post: post.channel == "reddit"),
    "two channels": (
        ("--channel", "reddit", "--channel", "youtube"),
        lambda post: post.channel in ("reddit", "youtube"),
    ),
    "organization": (("--organization", "st-elsewhere"), lambda post: True),
    "kind": (("--kind", "comment"), lambda post: post.kind == "comment"),
    "own": (("--own",), lambda post: post.own),
    "not own": (("--no-own",), lambda post: not post.own),
    "language": (
        ("--language", "fr", "--channel", "twitter"),
        lambda post: post.language == "fr" and post.channel == "twitter",
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_leaves_what_it_says(run: Run, every: list[Post], name: str) -> None:
    arguments, belongs = FILTERS[name]
    wanted = {post.external_id for post in every if belongs(post)}
    assert {row["external_id"] for row in rows(run, *arguments)} == wanted


def topics_of(row: dict[str, str]) -> list[str]:
    return row["topics"].split(",") if row["topics"] else []


def is_about_care(row: dict[str, str]) -> bool:
    return row["needs_review"] == "false" and row["purpose"] in ("", "experience", "question")


# What is heard is for tests/signals to judge; here it is what the rows themselves say.
HEARD_FILTERS: dict[str, tuple[tuple[str, ...], Callable[[dict[str, str]], bool]]] = {
    "a sentiment": (("--sentiment", "positive"), lambda row: row["sentiment"] == "positive"),
    "unscored": (("--sentiment", "unscored"), lambda row: row["sentiment"] == ""),
    "a purpose": (("--purpose", "experience"), lambda row: row["purpose"] == "experience"),
    "two purposes": (
        ("--purpose", "news", "--purpose", "other"),
        lambda row: row["purpose"] in ("news", "other"),
    ),
    "review": (("--review",), lambda row: row["needs_review"] == "true"),
    "no review": (("--no-review",), lambda row: row["needs_review"] == "false"),
    "a topic": (("--topic", "waiting-times"), lambda row: "waiting-times" in topics_of(row)),
    "untagged": (("--topic", "(untagged)"), lambda row: not row["topics"]),
    "care": (
        ("--topic", "(care)"),
        lambda row: row["needs_review"] == "false" and row["purpose"] in ("experience", "question"),
    ),
    "other purposes": (
        ("--topic", "(other purposes)"),
        lambda row: row["needs_review"] == "false" and not is_about_care(row),
    ),
}


@pytest.mark.parametrize("name", HEARD_FILTERS)
def test_a_filter_by_what_is_heard_leaves_what_it_says(run: Run, name: str) -> None:
    arguments, belongs = HEARD_FILTERS[name]
    everything = rows(run)
    wanted = {row["external_id"] for row in everything if belongs(row)}
    assert 0 < len(wanted) < len(everything)
    assert {row["external_id"] for row in rows(run, *arguments)} == wanted


def test_text_is_found_in_any_case(run: Run) -> None:
    found = rows(run, "--contains", '"st. ELSEWHERE"')
    everything = rows(run)
    assert len(found) == sum("st elsewhere" in " ".join(words(row["text"])) for row in everything) > 0


def test_searches_are_boolean(run: Run) -> None:
    everything = rows(run)
    said = {row["external_id"]: words(row["text"]) for row in everything if not row["removed_at"]}
    # By stems French texts are found in more ways; that is looked at where the store is.
    french = {row["external_id"] for row in everything if row["language"] == "fr"}
    asked = {
        "parking OR wait*": {
            one
            for one, there in said.items()
            if "parking" in there or any(word.startswith("wait") for word in there)
        },
        "hospital -parking": {
            one for one, there in said.items() if "hospital" in there and "parking" not in there
        },
        "NOT the": {one for one, there in said.items() if "the" not in there},
    }
    for search, ids in asked.items():
        found = {row["external_id"] for row in rows(run, "--contains", search)}
        assert found - french == ids - french
        counted = rows(run, "--contains", search, "--count-by", "channel")
        assert sum(int(row["mentions"]) for row in counted) == len(found) > 0


def test_a_search_that_cannot_be_read_is_shown(run: Run) -> None:
    result = run("query", "--contains", "parking AND (")
    assert (result.code, result.out) == (2, "")
    first, shown, mark = result.err.splitlines()
    assert first == 'listener: the search fails at character 13: this "(" is not closed; write a ")"'
    assert shown[mark.index("^")] == "("


def test_pages_follow_each_other(run: Run) -> None:
    everything = [row["external_id"] for row in rows(run, "--sort", "-likes")]
    gathered: list[str] = []
    cursor: list[str] = []
    while True:
        limited = ("query", "--sort", "-likes", "--limit", "20", *cursor, "--format", "csv")
        result = run(*limited)
        gathered += [row["external_id"] for row in table_of(result.out)]
        if not result.err:
            break
        cursor = ["--after", result.err.split()[5]]
    assert gathered == everything
    assert run("query", "--sort", "text", "--limit", "1").err == "There are more mentions.\n"
    assert run("query", "--count-by", "week", *cursor).complaint.startswith(
        "listener: --after goes on a list of mentions"
    )
    assert "copy it whole" in run("query", "--after", "nonsense").complaint


def test_a_screen_of_mentions_says_how_to_go_on(run: Run, every: list[Post]) -> None:
    assert len(every) > 100
    told = run("query", "--format", "table").err
    assert told.startswith("The first 100 of more mentions: --after ")
    assert told.endswith(" shows the next, --limit N shows N, -o FILE.csv writes all.\n")


def test_the_index_can_be_made_anew(run: Run, filled: Path, every: list[Post]) -> None:
    with closing(sqlite3.connect(filled)) as database, database:
        database.execute("DELETE FROM mention_words WHERE rowid < 10")
    wrong = run("db", "check")
    assert wrong.code == 5
    assert "`listener db reindex`" in wrong.err
    assert run("db", "reindex").out.endswith(" mentions indexed\n")
    assert run("db", "check").code == 0


def test_a_store_on_postgresql_is_partitioned_once(
    run: Run, filled: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is SQLite, which needs no partitions" in run("db", "partition").complaint
    assert run("db", "partition", "--since", "last year").code == 2
    monkeypatch.setenv("LISTENER_DATABASE_URL", postgresql_url)
    assert run("db", "partition", "--since", "2024-05-06").out == "0 mentions in 2 partitions\n"
    assert run("db", "partition").out == "partitioned already: 0 mentions in 2 partitions\n"
    assert run("db", "check").code == 0


def test_days_and_weeks_are_the_hospitals_own(run: Run, every: list[Post]) -> None:
    day = (SystemClock().now() - timedelta(days=3)).astimezone(ZONE).date()
    of_day = {post.external_id for post in every if post.published_at.astimezone(ZONE).date() == day}
    assert {row["external_id"] for row in rows(run, "--since", str(day), "--until", str(day))} == of_day
    assert of_day
    weeks = Counter(map(week_of, every))
    for week, count in weeks.items():
        assert len(rows(run, "--week", week)) == count
    assert len(rows(run, *(part for week in weeks for part in ("--week", week)))) == len(every)


def test_sorted_and_limited(run: Run) -> None:
    likes = [int(row["likes"]) for row in rows(run, "--channel", "twitter", "--sort", "-likes", "--limit", "5")]
    assert likes == sorted(likes, reverse=True)
    assert len(likes) == 5


def test_counts_by_one_field_and_by_two(run: Run, every: list[Post]) -> None:
    by_channel = {row["channel"]: int(row["mentions"]) for row in rows(run, "--count-by", "channel")}
    assert by_channel == Counter(post.channel for post in every)
    by_both = {
        (row["topic"], row["week"]): int(row["mentions"])
        for row in rows(run, "--count-by", "topic, week,topic", "--channel", "twitter")
    }
    wanted = Counter(
        (topic, iso_week(row["published_at"]))
        for row in rows(run, "--channel", "twitter")
        if is_about_care(row)
        for topic in (topics_of(row) or ["(untagged)"])
    )
    assert by_both == wanted


@pytest.fixture
def purposes(filled: Path, run: Run) -> None:
    """Two of three mentions are told or asked about care; of each seven one waits for review."""
    with closing(sqlite3.connect(filled)) as database, database:
        database.execute(
            "UPDATE mentions SET needs_review = id % 7 = 0, purpose = CASE id % 3 WHEN 0 THEN 'experience'"
            " WHEN 1 THEN 'question' ELSE 'promotion' END"
        )
    assert run("rollup", "--rebuild").code == 0


@pytest.mark.usefixtures("purposes")
def test_counts_by_topic_and_week_are_the_summarys(run: Run, every: list[Post]) -> None:
    week = weeks_heard(every)[-1]
    summary = {
        row["topic"]: row["mentions"]
        for row in table_of(run("summary", "--week", week).out)
        if row["channel"] == "all" and row["mentions"] != "0"
    }
    left_out = {topic: summary.pop(topic) for topic in ("all", "(care)", "(other purposes)", "(to review)")}
    counted = rows(run, "--count-by", "topic", "--week", week, "--no-own")
    assert {row["topic"]: row["mentions"] for row in counted} == summary
    for topic in ("(other purposes)", "(to review)", "(care)"):
        assert len(rows(run, "--topic", topic, "--week", week, "--no-own")) == int(left_out[topic])
    more = rows(run, "--count-by", "topic", "--week", week, "--no-own", "--every-purpose")
    assert sum(int(row["mentions"]) for row in more) > sum(map(int, summary.values()))
    waiting = rows(run, "--review", "--week", week, "--no-own")
    assert {row["needs_review"] for row in waiting} == {"true"}
    assert len(waiting) == int(left_out["(to review)"])


@pytest.mark.usefixtures("purposes")
def test_a_summary_says_what_topics_leave_out(run: Run, every: list[Post]) -> None:
    week = weeks_heard(every)[-1]
    result = run("summary", "--week", week, "--format", "table")
    found = {
        row["topic"]: int(row["mentions"])
        for row in table_of(run("summary", "--week", week).out)
        if row["channel"] == "all"
    }
    everything, other, review = (found[topic] for topic in ("all", "(other purposes)", "(to review)"))
    counted = everything - other - review
    assert result.err.splitlines()[1] == (
        f"Topics count experiences and questions: {counted} of {everything} mentions; left out {other} for other "
        f"purposes and {review} ({review / everything:.1%}) waiting for review"
    )


def test_a_summary_says_where_figures_begin_and_when_they_were_heard_again(
    run: Run, filled: Path, every: list[Post]
) -> None:
    week = weeks_heard(every)[-1]
    day = day_number(max(post.published_at for post in every).astimezone(ZONE).date())
    with closing(sqlite3.connect(filled)) as database, database:
        database.execute(
            "INSERT INTO signal_changes (made_at, since_day, to_version, mentions, changed)"
            f" VALUES ('2026-11-09 12:00:00.000000', {day}, '2026.9', 1234, 5)"
        )
    result = run("summary", "--week", week, "--format", "table")
    assert result.err.splitlines()[2:] == [
        f"In {week} the figures of 2026.9 begin; those before it were heard by another version",
        "Last re-tagged on 2026-11-09 with 2026.9: 1,234 mentions",
    ]
    assert "rebase" in result.out.splitlines()[0]
    assert {row["rebase"] for row in table_of(run("summary", "--week", week).out)} == {"2026.9"}


def test_counts_by_the_domains_of_a_survey(run: Run) -> None:
    by_domain = {row["hcahps"]: int(row["mentions"]) for row in rows(run, "--count-by", "hcahps")}
    total = sum(int(row["mentions"]) for row in rows(run, "--count-by", "channel"))
    assert 0 < by_domain.pop("(none)") < total
    assert set(by_domain) <= set(HCAHPS)
    assert by_domain


def test_counts_are_sorted_as_asked(run: Run) -> None:
    counts = [int(row["mentions"]) for row in rows(run, "--count-by", "topic", "--sort", "-mentions")]
    assert counts == sorted(counts, reverse=True)
    languages = [row["language"] for row in rows(run, "--count-by", "language", "--sort", "-language")]
    known = [language for language in languages if language]
    assert known == sorted(known, reverse=True)
    assert languages[len(known) :] in ([], [""])
    assert len(rows(run, "--count-by", "topic", "--limit", "3")) == 3


def test_json_and_json_lines_hold_the_same_rows(run: Run) -> None:
    as_json = json.loads(run("query", "--format", "json", "--limit", "7").out)
    lines = [json.loads(line) for line in run("query", "--format", "jsonl", "--limit", "7").out.splitlines()]
    assert as_json == lines
    assert len(lines) == 7
    as_csv = [row["topics"] for row in rows(run, "--limit", "7")]
    assert [",".join(row["topics"]) for row in lines] == as_csv
    assert tuple(lines[0]) == COLUMNS


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_a_file_takes_its_format_from_its_name(run: Run, tmp_path: Path, ending: str, every: list[Post]) -> None:
    file = tmp_path / f"mentions.{ending}"
    result = run("query", "-o", file)
    assert (result.code, result.out) == (0, "")
    assert result.complaint == f"{len(every):,} rows written to {file}"
    read: dict[str, Callable[[Path], Any]] = {
        "csv": pd.read_csv,
        "json": lambda path: pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))),
        "jsonl": lambda path: pd.read_json(path, lines=True),
        "parquet": pd.read_parquet,
    }
    frame = read[ending](file)
    assert tuple(frame.columns) == COLUMNS
    if ending != "csv":
        topics = {slug for slugs in frame["topics"] for slug in slugs}
        assert topics == {slug for row in rows(run) for slug in topics_of(row)}
    assert set(frame["external_id"]) == {post.external_id for post in every}
    assert run("-q", "query", "--limit", "1", "-o", file).err == ""
    assert run("query", "--limit", "1", "-o", file).err.startswith(f"1 row written to {file}\nThere are more ")


def test_a_table_shows_what_a_person_reads(run: Run, every: list[Post]) -> None:
    result = run("query", "--format", "table", "--channel", "twitter", "--limit", "3")
    head, *body = result.out.splitlines()
    assert head.split() == ["published", "where", "topics", "text"]
    assert "https://x.com/i/web/status/" in result.out
    assert all(len(line) <= 200 for line in body)
    assert result.err.startswith("There are more mentions: --after ")


@pytest.mark.parametrize("width", [80, 120])
def test_a_table_fits_the_screen(run: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for command in (["query"], ["status"], ["topics", "list"], ["check"], ["summary"]):
        lines = run(*command, *([] if command == ["check"] else ["--format", "table"])).out.splitlines()
        assert lines
        assert max(map(len, lines)) <= width, command


def test_a_long_table_says_that_there_is_more(run: Run) -> None:
    result = run("query", "--format", "table")
    assert "The first 100 of more mentions" in result.complaint
    few = run("query", "--format", "table", "--topic", "waiting-times")
    assert few.err == ""


def test_a_removed_mention_says_so_in_a_table(run: Run, filled: Path) -> None:
    with sqlite3.connect(filled) as database:
        database.execute(
            "UPDATE mentions SET removed_at = published_at, text = '', permalink = NULL"
            " WHERE id = (SELECT max(id) FROM mentions)"
        )
        (channel, kind) = database.execute(
            "SELECT name, kind FROM mentions JOIN channels ON channels.id = channel_id ORDER BY mentions.id DESC"
        ).fetchone()
    assert (
        "(removed on the platform)"
        in run("query", "--format", "table", "--channel", channel, "--kind", kind, "--limit", "500").out
    )


def test_with_two_hospitals_a_table_says_which(run: Run, edit: Callable[..., None]) -> None:
    edit(("[[organizations]]", '[[organizations]]\nslug = "other"\nname = "Other"\n\n[[organizations]]'))
    assert "st-elsewhere" in run("query", "--format", "table", "--limit", "1").out
    # The store learns of the other one from whatever writes first.
    assert run("rollup").code == 0
    result = run("summary", "--format", "table")
    assert result.out.split()[0] == "organization"
    assert "other" in result.out


def weeks_heard(every: list[Post]) -> list[str]:
    return sorted(set(map(week_of, every)))


def test_a_summary_counts_each_week(run: Run, every: list[Post]) -> None:
    week = weeks_heard(every)[-1]
    found = table_of(run("summary", "--week", week).out)
    assert tuple(found[0]) == SUMMARY_COLUMNS
    counts = {
        row["channel"]: int(row["mentions"]) for row in found if row["topic"] == "all" and row["iso_week"] == week
    }
    wanted = Counter(post.channel for post in every if week_of(post) == week and not post.own)
    assert Counter(counts) == Counter({**wanted, "all": wanted.total()})
    assert {row["provisional"] for row in found} == {"true"}


def test_a_summary_goes_to_a_folder_or_a_file(run: Run, tmp_path: Path, every: list[Post]) -> None:
    week = weeks_heard(every)[-1]
    folder = tmp_path / "weekly"
    result = run("summary", "--week", week, "--last", "2", "-o", folder)
    paths = [Path(line) for line in result.out.splitlines()]
    assert result.code == 0
    assert sorted(folder.iterdir()) == sorted(paths)
    assert f"listener-weekly-st-elsewhere-{week}.csv" in {path.name for path in paths}
    one = tmp_path / "all.csv"
    assert run("summary", "--week", week, "--last", "2", "-o", one).out == f"{one}\n"
    merged = [row for path in sorted(paths) for row in table_of(path.read_text(encoding="utf-8"))]
    assert table_of(one.read_text(encoding="utf-8")) == merged
    assert table_of(run("summary", "--week", week, "--last", "2").out) == merged
    parquet = tmp_path / "all.parquet"
    assert run("summary", "--week", week, "-o", parquet).code == 0
    assert tuple(pd.read_parquet(parquet).columns) == SUMMARY_COLUMNS
    elsewhere = tmp_path / "all.txt"
    assert run("summary", "--week", week, "--format", "json", "-o", elsewhere).code == 0
    assert len(json.loads(elsewhere.read_text(encoding="utf-8"))) == len(pd.read_parquet(parquet))


def test_a_summary_on_the_screen_leaves_out_silence(run: Run, every: list[Post]) -> None:
    week = weeks_heard(every)[-1]
    result = run("summary", "--week", week, "--format", "table", "--organization", "st-elsewhere")
    found = result.out.splitlines()
    assert found[0].split()[:3] == ["iso", "week", "channel"]
    assert result.err.splitlines()[0] == f"Still provisional, late mentions can change it: {week}"
    silent = {
        row["topic"]
        for row in table_of(run("summary", "--week", week).out)
        if row["channel"] == "youtube" and row["mentions"] == "0" and row["mentions_previous_week"] in ("", "0")
    } - {"all"}
    shown = {line.split()[2] for line in found if "youtube" in line.split()[:2]}
    assert silent
    assert not silent & shown


def test_the_summary_of_all_organizations_together(run: Run, tmp_path: Path) -> None:
    asked = ("summary", "--last", "2", "--format", "csv")
    together, each = (table_of(run(*asked, *more).out) for more in (("--organization", "all"), ()))
    assert together == [row | {"organization": "all"} for row in each]
    both = table_of(run(*asked, "--organization", "all", "--organization", "st-elsewhere").out)
    assert both == together + each
    result = run("summary", "--organization", "all", "-o", tmp_path / "weekly")
    (file,) = (tmp_path / "weekly").iterdir()
    assert file.name == f"listener-weekly-all-{together[-1]['iso_week']}.csv"
    assert (result.code, result.out.strip()) == (0, str(file))
    assert run("summary", "--organization", "all", "--organization", "nowhere").code == 2
