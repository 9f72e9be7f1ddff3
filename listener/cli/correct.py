"""``listener correct``: a person says what is right of a mention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from listener.cli.options import flag
from listener.cli.output import print_table
from listener.cli.state import state_of
from listener.errors import ConfigError
from listener.mention import Purpose, Sentiment

if TYPE_CHECKING:
    from jobs.correct import CorrectionReport
    from listener.signals.taxonomy import Taxonomy


def register(app: typer.Typer) -> None:
    """Add this module's command to the root."""
    app.command()(correct)


def correct(
    context: typer.Context,
    mention: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MENTION",
            help="channel:external_id, as `listener query --format csv` tells both.",
            show_default=False,
        ),
    ] = None,
    *,
    purpose: Annotated[
        Purpose | None, typer.Option(metavar="PURPOSE", help=f"What it is for: {', '.join(Purpose)}.")
    ] = None,
    sentiment: Annotated[
        Sentiment | None, typer.Option(metavar="TONE", help=f"Its tone: {', '.join(Sentiment)}.")
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SLUG", help="A topic that it has; may be repeated, and all that are right are named."
        ),
    ] = None,
    no_topics: Annotated[bool, flag("--no-topics", help="It has no topic.")] = False,
    withdraw: Annotated[
        bool, flag("--withdraw", help="Take back what was corrected: the mentions are heard again.")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="A query's CSV with any of the columns right_purpose, right_sentiment and right_topics added.",
        ),
    ] = None,
    dry_run: Annotated[bool, flag("--dry-run", help="Write nothing; show what would change.")] = False,
) -> None:
    """Say what is right of a mention: its purpose, its sentiment, its topics; the days are recounted.

    What is not named stays as it was heard. What is corrected outlives later pulls, edits and `listener retag`;
    who corrected it is not kept. Many mentions at once stand in a FILE: topics in a cell are separated by commas
    or spaces, - says that there is none, an empty cell says nothing. Where anything is wrong nothing is written.
    """
    from jobs import correct as job
    from jobs.hearing import analyzer_for
    from storage.correcting import Correction

    says = purpose is not None or sentiment is not None or bool(topic) or no_topics
    _check(mentions=bool(mention), file=file is not None, says=says, withdraw=withdraw)
    if topic and no_topics:
        raise ConfigError("--topic and --no-topics say opposite things: leave one out")
    state = state_of(context)
    taxonomy = state.taxonomy
    names = [job.name_of(word) for word in mention or []]
    if file is not None:
        sheet = job.read_sheet(file, taxonomy)
    else:
        topics = frozenset() if no_topics else _topics(topic, taxonomy)
        right = Correction(purpose=purpose, sentiment=sentiment, topics=topics)
        sheet = job.Sheet(tuple(job.Asked(name, right) for name in names))
    with state.rehearsal_store() if dry_run else state.store() as store:
        if withdraw:
            analyzer = analyzer_for(state.settings, taxonomy)
            report = job.withdraw(state.settings, store, names, analyzer=analyzer, dry_run=dry_run)
        else:
            report = job.correct(state.settings, store, sheet, dry_run=dry_run)
    rows = [
        {"what": turn.part, "was": turn.was, "is": turn.becomes, "mentions": turn.mentions}
        for turn in report.turns
    ]
    if rows:
        print_table(state, rows, ("what", "was", "is", "mentions"))
    state.say(_closing_line(report, withdraw=withdraw, dry_run=dry_run))


def _check(*, mentions: bool, file: bool, says: bool, withdraw: bool) -> None:
    """Raise ``ConfigError`` where what was typed does not go together."""
    if mentions == file:
        raise ConfigError(
            "name the mentions as channel:external_id, or a file of them with --file"
            + (": not both" if mentions else "; `listener correct --help` shows how")
        )
    if says and (file or withdraw):
        raise ConfigError(
            "--purpose, --sentiment, --topic and --no-topics say what is right of mentions that are named: leave "
            f"them out with {'--file' if file else '--withdraw'}"
        )
    if withdraw and file:
        raise ConfigError("--withdraw takes back the mentions that are named: leave --file out")
    if mentions and not (says or withdraw):
        raise ConfigError(
            "say what is right with --purpose, --sentiment, --topic or --no-topics, or take back with --withdraw "
            "what was said"
        )


def _topics(slugs: list[str] | None, taxonomy: Taxonomy) -> frozenset[str] | None:
    from jobs.correct import topics_of

    try:
        return topics_of(slugs, taxonomy) if slugs else None
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _closing_line(report: CorrectionReport, *, withdraw: bool, dry_run: bool) -> str:
    noun, done, not_so = (
        ("correction", "taken back", "had none") if withdraw else ("mention", "corrected", "so already")
    )
    would = "would be " if dry_run else ""
    entered, left = ("would enter", "would leave") if dry_run else ("entered", "left")
    what = [f"{_count(report.mentions, noun)} {would}{done}"]
    if report.unchanged:
        what.append(f"{report.unchanged:,} {not_so}")
    if report.skipped:
        what.append(f"{_count(report.skipped, 'row')} said nothing")
    return "; ".join(
        [
            ", ".join(what),
            f"{report.entered:,} {entered} the volumes of topics, {report.left:,} {left} them",
            f"{_count(report.days, 'day')} {would}recounted",
            *(["nothing was written"] if dry_run else []),
        ]
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
