"""``listener import``: mentions from files that somebody else has read."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from listener.cli import EXIT_INTERRUPTED
from listener.cli.options import Cluster, Processes, flag
from listener.cli.output import print_table
from listener.cli.state import state_of
from listener.errors import ConfigError
from listener.mention import is_channel

if TYPE_CHECKING:
    from jobs.importing import ImportReport, Order


def register(app: typer.Typer) -> None:
    """Add this module's command to the root."""
    app.command(name="import")(import_files)


def import_files(
    context: typer.Context,
    file: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="An archive, plain or packed with gzip, bzip2 or zstd; or a quoted pattern of several; - for "
            "standard input.",
            show_default=False,
        ),
    ],
    *,
    format_: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="FORMAT",
            help="auto, x-v2, twarc, reddit-dump, youtube, csv (a table) or jsonl (our own export).",
        ),
    ] = "auto",
    organization: Annotated[
        str | None,
        typer.Option(
            metavar="SLUG", help="Take everything, for this organization; default: what names one, or is its own."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="PAIRS",
            help="Of a table: which column holds what, as text=Comment,published_at=Date,id=ID. Also author, "
            "permalink, language, organization, parent, edited_at, likes; may be repeated.",
        ),
    ] = None,
    channel: Annotated[
        str, typer.Option(metavar="NAME", help="Of a table: the channel that its comments are counted under.")
    ] = "file",
    dates: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN", help='Of a table: how its dates are written, as "%d/%m/%Y %H:%M" (strptime).'
        ),
    ] = None,
    covers: Annotated[
        str | None,
        typer.Option(
            metavar="DAYS",
            help="The archive has all that was said in these days (2026-01-01..2026-03-31), in the organization's "
            "time zone: they count as read. Without it no time does.",
        ),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where to tell which lines could not be read, and why; default: beside each archive, with "
            ".rejects.jsonl.",
        ),
    ] = None,
    restart: Annotated[
        bool, flag("--restart", help="Begin anew, also where the file has changed; nothing is stored twice.")
    ] = False,
    dry_run: Annotated[bool, flag("--dry-run", help="Read and count, store nothing.")] = False,
    cluster: Cluster = None,
    processes: Processes = 1,
) -> None:
    """Import mentions from archives: dumps, API responses, survey and review tables, our own exports.

    What is imported and what is pulled are one mention; an archive never writes over what is newer. Stopped
    anywhere (SIGTERM, Ctrl-C, killed), the same command goes on from there.
    """
    from jobs.archives.table import columns_from
    from jobs.crew import crew_of
    from jobs.importing import Order, import_archives
    from jobs.rollup import roll_up
    from jobs.stopping import stop_on_signal
    from listener.clock import SystemClock

    order = Order(
        format=format_,
        forced=organization,
        channel=_channel_name(channel),
        columns=columns_from(columns or []),
        dates=dates,
        rejects=rejects,
        covers=_days(covers),
        restart=restart,
        dry_run=dry_run,
    )
    state = state_of(context)
    sizes = _sizes(file)
    with (
        state.rehearsal_store() if dry_run else state.store() as store,
        crew_of(cluster=cluster, processes=processes) as crew,
        state.progress(of_bytes=True) as bar,
        stop_on_signal() as asked,
    ):
        task = bar.add_task("importing", total=sizes)
        try:
            reports = import_archives(
                state.settings,
                store,
                file,
                order=order,
                clock=SystemClock(),
                stop=asked.event,
                progress=lambda done: bar.update(task, completed=done),
                crew=crew,
            )
        except ConfigError:
            # What was kept before counts, too.
            if not dry_run:
                roll_up(store)
            raise
        if not dry_run:
            bar.update(task, description="recounting days")
            roll_up(store)
    print_table(state, [_row(report) for report in reports], _COLUMNS)
    for line in _closing_lines(reports, order):
        state.say(line)
    if any(report.outcome == "interrupted" for report in reports):
        raise typer.Exit(EXIT_INTERRUPTED if asked.by == signal.SIGINT else 1)


_COLUMNS = (
    *("file", "as", "outcome", "read", "matched", "new", "changed", "equal", "rejected"),
    *("gone", "seconds"),
)


def _row(report: ImportReport) -> dict[str, object]:
    return {
        "file": report.file,
        "as": report.format,
        "outcome": report.outcome,
        "read": report.read,
        "matched": report.matched,
        "new": report.counts.inserted,
        "changed": report.counts.updated,
        "equal": report.counts.unchanged,
        "rejected": report.rejected,
        "gone": report.gone,
        "seconds": report.seconds,
    }


def _closing_lines(reports: Sequence[ImportReport], order: Order) -> Iterator[str]:
    for report in reports:
        if report.rejects is not None:
            yield f"{report.rejects} tells which lines of {report.file} could not be read, and why"
        if report.begun > 1 and not report.read:
            yield f"{report.file} has been imported before: --restart reads it again"
        elif report.begun > 1:
            yield f"{report.file} was gone on with at line {report.begun:,}"
        elif report.read and not report.matched and order.forced is None:
            yield f"Nothing in {report.file} is of an organization: --organization SLUG takes all of it"
    if order.dry_run:
        yield "Nothing was stored"


def _sizes(names: list[str]) -> int | None:
    from jobs.archives import files

    chosen = files.expand(names)
    return None if files.STANDARD_INPUT in chosen else sum(Path(name).stat().st_size for name in chosen)


def _channel_name(name: str) -> str:
    if not is_channel(name):
        raise ConfigError(
            f"--channel {name}: use small letters, digits and hyphens, such as survey or google-reviews"
        )
    return name


def _days(covers: str | None) -> tuple[date, date] | None:
    from listener.cli import values

    if covers is None:
        return None
    first, _, last = covers.partition("..")
    begins, ends = values.day(first, "--covers"), values.day(last or first, "--covers")
    assert begins is not None  # noqa: S101 - values.day gives None for None alone
    assert ends is not None  # noqa: S101 - as above
    if ends < begins:
        raise ConfigError(f"--covers {covers} ends before it begins: write FIRST..LAST")
    return begins, ends
