"""Commands that answer: ``query`` and ``summary``."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from listener.cli.options import Channels, Organizations, Output, Style, flag
from listener.cli.output import Format, View, style_for, write
from listener.cli.state import state_of
from listener.errors import ConfigError
from listener.mention import Kind, Purpose

if TYPE_CHECKING:
    from jobs.summary import SummaryRow
    from listener.signals.topics import Taxonomy
    from storage.queries import SignalChange

_ON_SCREEN = 100
"""Mentions in a table, unless --limit says otherwise."""


def register(app: typer.Typer) -> None:
    """Add this module's commands to the root."""
    app.command()(query)
    app.command()(summary)


def query(
    context: typer.Context,
    *,
    organization: Organizations = None,
    channel: Channels = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SLUG",
            help='Only mentions with this topic; may be repeated. Also "(untagged)", "(care)", "(other purposes)" '
            'and "(to review)".',
        ),
    ] = None,
    purpose: Annotated[
        list[Purpose] | None,
        typer.Option(metavar="PURPOSE", help=f"Only this purpose: {', '.join(Purpose)}; may be repeated."),
    ] = None,
    sentiment: Annotated[
        list[str] | None,
        typer.Option(metavar="TONE", help="Only negative, neutral, positive or unscored; may be repeated."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="From this day on (2026-11-09), in the organization's own time zone."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Up to this day, the day included.")] = None,
    week: Annotated[
        list[str] | None,
        typer.Option(metavar="WEEK", help="Only this ISO week (2026-W46); may be repeated."),
    ] = None,
    kind: Annotated[
        list[Kind] | None,
        typer.Option(metavar="KIND", help=f"Only this kind: {', '.join(Kind)}; may be repeated."),
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Only this language (en); may be repeated.")
    ] = None,
    contains: Annotated[
        str | None,
        typer.Option(
            metavar="SEARCH",
            help='Only mentions with these words, in any case and accents: parking cost, "phrase in quotes", OR, '
            "NOT or -word, beginning*, ( ). In French a word finds its other forms, too.",
        ),
    ] = None,
    own: Annotated[
        bool | None,
        typer.Option(
            "--own/--no-own", metavar="", help="Only what the organization wrote itself, or only what others did."
        ),
    ] = None,
    review: Annotated[
        bool | None,
        typer.Option(
            "--review/--no-review",
            metavar="",
            help="Only mentions whose purpose waits for a person's review, or only those that do not.",
        ),
    ] = None,
    corrected: Annotated[
        bool | None,
        typer.Option(
            "--corrected/--no-corrected",
            metavar="",
            help="Only mentions of which a person has corrected something, or only those as they were heard.",
        ),
    ] = None,
    count_by: Annotated[
        str | None,
        typer.Option(
            metavar="FIELDS",
            help="Count instead of list: one or more, with commas, of organization, channel, week, day, kind, "
            "language, purpose, sentiment, topic, group, hcahps, cpes, picker. By the last five only experiences, "
            "questions and what has no purpose are counted, as in the summary, unless --purpose or --review asks "
            "otherwise.",
        ),
    ] = None,
    every_purpose: Annotated[
        bool, flag("--every-purpose", help="With --count-by: count mentions for other purposes, too.")
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="A column, with - in front for descending; default: -published_at."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most N rows.")] = None,
    after: Annotated[
        str | None,
        typer.Option(metavar="CURSOR", help="Only what comes behind the rows that ended with this cursor."),
    ] = None,
    style: Style = None,
    output: Output = None,
) -> None:
    """List mentions, the newest first, or count them.

    A table shows when, where, topics, text and permalink, and 100 mentions unless --limit says otherwise; csv,
    json, jsonl and parquet have every column and every mention. Where --limit leaves some out, a cursor for
    --after is told: the same question with it gives the next ones.
    """
    from listener.calendar import parse_iso_week
    from listener.cli import values
    from storage import queries
    from storage.correcting import known_channels

    state = state_of(context)
    first, last = values.day(since, "--since"), values.day(until, "--until")
    values.in_order(first, last)
    style = style or style_for(output)
    with state.reading_store() as store:
        filters = queries.Filters(
            organizations=tuple(one.slug for one in values.organizations(state.settings, organization))
            if organization
            else (),
            channels=values.channels(channel or [], known_channels(store) if channel else ()),
            topics=tuple(_topics(state.taxonomy.slugs, topic or [])),
            purposes=tuple(purpose or ()),
            sentiments=tuple(sentiment or ()),
            since=first,
            until=last,
            weeks=tuple(parse_iso_week(one) for one in week or ()),
            kinds=tuple(kind or ()),
            languages=tuple(language or ()),
            contains=contains,
            own=own,
            needs_review=review,
            corrected=corrected,
        )
        if count_by is not None:
            if after is not None:
                raise ConfigError("--after goes on a list of mentions; counts have no pages: leave it out")
            fields = _fields(count_by)
            found = queries.count_by(
                store,
                filters,
                fields,
                crosswalks=_crosswalks(state.taxonomy, fields),
                every_purpose=every_purpose,
            )
            counts = _sorted(found, sort, (*fields, "mentions"))
            write(state, counts[:limit], (*fields, "mentions"), style=style, output=output)
            return
        sort = sort or "-published_at"
        most = _ON_SCREEN if style is Format.TABLE and limit is None else limit
        # One more than is shown tells whether there are more.
        asked = None if most is None else most + 1
        view = mention_view(several_organizations=len(state.settings.organizations) > 1)
        # A page ends before its rows do; the connection that they come by is given back first.
        with closing(queries.rows(store, filters, sort=sort, limit=asked, after=after)) as rows:
            page = _Page(rows, most, sort, is_asked=limit is not None)
            write(state, page, queries.COLUMNS, style=style, output=output, view=view)
        if page.onward:
            state.say(page.onward)


def _crosswalks(taxonomy: Taxonomy, fields: Sequence[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    from storage.queries import FRAMEWORKS

    return {
        name: {topic.slug: getattr(topic, name) for topic in taxonomy.topics}
        for name in FRAMEWORKS
        if name in fields
    }


def _topics(known: tuple[str, ...], asked: list[str]) -> list[str]:
    from listener.settings import nearest
    from storage.counting import PSEUDO_TOPICS

    for slug in asked:
        if slug not in (*known, *PSEUDO_TOPICS):
            raise ConfigError(f"no topic {slug!r}{nearest(slug, known)}; `listener topics list` shows them")
    return asked


def _fields(count_by: str) -> list[str]:
    fields = list(dict.fromkeys(field.strip() for field in count_by.split(",") if field.strip()))
    if not fields:
        raise ConfigError("--count-by names no field; try --count-by channel,week")
    return fields


def _sorted(counts: list[dict[str, Any]], sort: str | None, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Sort counts as ``sort`` asks, ties in the order they came; what is missing comes last."""
    from listener.settings import nearest

    if not sort:
        return counts
    column = sort.removeprefix("-")
    if column not in columns:
        raise ConfigError(
            f"cannot sort counts by {column!r}{nearest(column, columns)} (there are: {', '.join(columns)})"
        )
    present = [row for row in counts if row[column] is not None]
    missing = [row for row in counts if row[column] is None]
    return [*sorted(present, key=lambda row: row[column], reverse=sort.startswith("-")), *missing]


class _Page:
    """The first rows of an answer, and what there is to say if they are not all."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], most: int | None, sort: str, *, is_asked: bool) -> None:
        self._rows = iter(rows)
        self._most = most
        self._sort = sort
        self._is_asked = is_asked
        self.onward: str | None = None

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        last = None
        for last in itertools.islice(self._rows, self._most):
            yield last
        if last is not None and next(self._rows, None) is not None:
            self.onward = self._told(last)

    def _told(self, last: Mapping[str, Any]) -> str:
        from storage.paging import cursor_at, has_pages

        ways = [f"--after {cursor_at(last, self._sort)} shows the next"] if has_pages(self._sort) else []
        if self._is_asked:
            return f"There are more mentions: {ways[0]}." if ways else "There are more mentions."
        ways += ["--limit N shows N", "-o FILE.csv writes all"]
        return f"The first {self._most} of more mentions: {', '.join(ways)}."


def mention_view(*, several_organizations: bool) -> View:
    """Return what a table shows of mentions."""

    def show(row: Mapping[str, Any]) -> dict[str, Any]:
        words = "(removed on the platform)" if row["removed_at"] else " ".join(row["text"].split())
        where = [row["channel"], row["kind"], *([row["organization"]] if several_organizations else [])]
        return {
            "published": row["published_at"],
            "where": "\n".join(where),
            "topics": ", ".join(row["topics"]),
            "text": "\n".join(filter(None, [words, row["permalink"]])),
        }

    return View(("published", "where", "topics", "text"), show)


def summary(
    context: typer.Context,
    *,
    week: Annotated[
        str | None,
        typer.Option(metavar="WEEK", help="The ISO week (2026-W46); default: the last whole one."),
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=530, metavar="N", help="N weeks, the last of them --week.")] = 1,
    organization: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SLUG",
            help="Only this organization; may be repeated. all: every organization together, as one.",
        ),
    ] = None,
    style: Style = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="A folder, which gets one CSV for each organization and week, or one file for all.",
        ),
    ] = None,
) -> None:
    """Export the weekly summary: volume by channel and topic, with coverage and change.

    Every channel has a row for every topic, and the totals stand under "all"; so does what every organization has
    together, with --organization all. Topics count experiences and
    questions; what is for other purposes or waits for review stands in rows of its own. A table on the screen
    leaves out some columns, and topics that nobody mentioned in the week or the one before.
    """
    from dataclasses import asdict

    from jobs import summary as weekly
    from listener.calendar import parse_iso_week
    from listener.cli import values
    from listener.clock import SystemClock
    from storage import queries
    from storage.schema import ALL

    state = state_of(context)
    newest = parse_iso_week(week) if week else None
    asked = list(dict.fromkeys(organization or ()))
    # Says what is wrong where one is unknown, or none is configured.
    values.organizations(state.settings, [slug for slug in asked if slug != ALL])
    with state.reading_store() as store:
        rows = weekly.weekly_summary(
            state.settings,
            store,
            newest=newest,
            last=last,
            organizations=asked,
            clock=SystemClock(),
        )
        changes = queries.signal_changes(store)
    as_file = output is not None and output.suffix.lower() in (".json", ".jsonl", ".parquet")
    if output is None or style not in (None, Format.CSV) or as_file:
        shown = list(map(asdict, rows))
        write(state, shown, weekly.COLUMNS, style=style, output=output, view=summary_view(shown))
        if open_weeks := sorted({row.iso_week for row in rows if row.provisional}):
            state.say(f"Still provisional, late mentions can change it: {', '.join(open_weeks)}")
        for line in closing_lines(rows, changes):
            state.say(line)
        return
    for path in weekly.write_summaries(rows, output):
        state.out.print(str(path))


def closing_lines(rows: Sequence[SummaryRow], changes: Sequence[SignalChange]) -> Iterator[str]:
    """Yield what a reader of these rows should know: what topics leave out, and who heard the figures."""
    from jobs.summary import share_counted

    share = share_counted(rows)
    if share.counted < share.mentions:
        unknown = share.counted - share.care
        besides = f", {unknown:,} of them of no known purpose" if unknown else ""
        yield (
            f"Topics count experiences and questions: {share.counted:,} of {share.mentions:,} mentions{besides}; "
            f"left out {share.other_purposes:,} for other purposes and {share.to_review:,} "
            f"({share.to_review / share.mentions:.1%}) waiting for review"
        )
    for week, version in dict.fromkeys((row.iso_week, row.rebase) for row in rows if row.rebase):
        yield f"In {week} the figures of {version} begin; those before it were heard by another version"
    retags = [change for change in changes if change.is_retag]
    if retags:
        last = retags[-1]
        yield f"Last re-tagged on {last.made_at:%Y-%m-%d} with {last.to_version}: {last.mentions:,} mentions"


def summary_view(rows: Sequence[Mapping[str, Any]]) -> View:
    """Return what a table shows of these rows of the weekly summary."""
    columns = (
        *(["organization"] if len({row["organization"] for row in rows}) > 1 else []),
        *("iso_week", "channel", "topic", "mentions", "change"),
        # Both do not fit upon a narrow screen, nor does the tone by its whole name, net sentiment.
        "tone" if any(row["net_sentiment"] is not None for row in rows) else "authors",
        "coverage",
        *(["rebase"] if any(row["rebase"] for row in rows) else []),
    )

    def show(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        is_shown = row["mentions"] or row["mentions_previous_week"] or row["topic"] == "all"
        return {**row, "tone": row["net_sentiment"]} if is_shown else None

    return View(columns, show)
