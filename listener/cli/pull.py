"""Commands that bring mentions in, hear and count them: ``ingest``, ``run``, ``refresh``, ``retag`` and others."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from listener.cli import EXIT_INTERRUPTED
from listener.cli.logs import complain, leave_errors_to_the_report
from listener.cli.options import Channels, Cluster, Organizations, Output, Processes, Style, flag
from listener.cli.output import View, print_table, write
from listener.cli.state import state_of
from listener.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.ingest import RunReport
    from jobs.stopping import Stop
    from listener.errors import ListenerError


_MOST_THREADS = 64


def register(app: typer.Typer) -> None:
    """Add this module's commands to the root."""
    for command in (ingest, run, status, rollup, refresh, retag):
        app.command()(command)


def ingest(
    context: typer.Context,
    *,
    channel: Channels = None,
    organization: Organizations = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Look back to this day or moment (2026-11-09, 2026-11-09T14:00; UTC), as far as the platform "
            "allows.",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Read nothing published from this day or moment on.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N mentions of each stream.")
    ] = None,
    dry_run: Annotated[bool, flag("--dry-run", help="Fetch and count, store nothing.")] = False,
) -> None:
    """Pull what is new from every stream, once, and recount the days it touched.

    SIGTERM or Ctrl-C finishes the page in hand and keeps it; the next run goes on from there.
    """
    from jobs.ingest import ingest as pull
    from jobs.rollup import roll_up
    from jobs.stopping import stop_on_signal
    from listener.cli import values
    from listener.clock import SystemClock

    state = state_of(context)
    start, end = values.moment(since, "--since"), values.moment(until, "--until")
    values.in_order(start, end)
    chosen = values.organizations(state.settings, organization or [])
    channels = values.configured_channels(state.settings, channel or [], chosen)
    leave_errors_to_the_report()
    opened = state.rehearsal_store() if dry_run else state.store()
    with opened as store, state.progress() as bar, stop_on_signal() as asked:
        task = bar.add_task("reading", total=None)
        reports = pull(
            state.settings,
            store,
            clock=SystemClock(),
            channels=channels,
            organizations=tuple(one.slug for one in chosen),
            since=start,
            until=end,
            limit=limit,
            dry_run=dry_run,
            stop=asked.event,
            on_page=lambda stream, count: bar.update(task, description=str(stream), advance=count),
        )
        if not dry_run:
            bar.update(task, description="recounting days")
            roll_up(store)
    print_table(state, [_report_row(report) for report in reports], _REPORT_COLUMNS)
    _leave(reports, asked)


_REPORT_COLUMNS = (
    *("stream", "outcome", "fetched", "new", "changed", "same", "skipped", "requests"),
    *("usd", "resume"),
)


def _report_row(report: RunReport) -> dict[str, Any]:
    return {
        "stream": f"{report.stream.organization} {report.stream.channel} {report.stream.kind}",
        "outcome": report.outcome,
        "fetched": report.fetched,
        "new": report.counts.inserted,
        "changed": report.counts.updated,
        "same": report.counts.unchanged,
        "skipped": report.skipped,
        "requests": report.usage.requests,
        "usd": report.usage.cost_microusd / 1_000_000,
        "resume": report.resume_at,
    }


class Ended(Protocol):
    """What a run's report says of its end."""

    @property
    def outcome(self) -> str:
        """How it ended, in a word."""
        ...

    @property
    def error(self) -> ListenerError | None:
        """Why, where it was not done."""
        ...


def exit_code(reports: Sequence[Ended]) -> int:
    """Return the exit code for several streams' outcomes.

    0 where all are done; 1 where some are, or where they failed for different reasons; else the reason's own.
    """
    codes = {_code_of(report) for report in reports}
    if len(codes) <= 1:
        return codes.pop() if codes else 0
    return 1


def _code_of(report: Ended) -> int:
    # "partial" is what --limit asked for.
    if report.outcome in ("done", "partial"):
        return 0
    return report.error.exit_code if report.error is not None else 1


def _leave(reports: Sequence[Ended], asked: Stop) -> None:
    """Say what went wrong, and leave with the exit code that tells it."""
    for report in reports:
        if report.error is not None:
            name = getattr(report, "stream", None) or getattr(report, "channel", "")
            complain(f"{name}: {report.error}")
    interrupted = any(report.outcome == "interrupted" for report in reports)
    if interrupted and asked.by == signal.SIGINT:
        raise typer.Exit(EXIT_INTERRUPTED)
    raise typer.Exit(exit_code(reports))


def run(
    context: typer.Context,
    *,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_THREADS,
            metavar="N",
            help="Read N streams at once. Default: as many as there are channels.",
        ),
    ] = None,
) -> None:
    """Pull every stream on its schedule until told to stop (SIGTERM, Ctrl-C).

    Several may run on one database, on one machine or many: they share the streams, and what one leaves behind
    is taken up by the others.
    """
    from jobs.schedule import connections_for, run_scheduler
    from listener.cli import values
    from listener.clock import SystemClock

    state = state_of(context)
    organizations = values.organizations(state.settings, [])
    values.configured_channels(state.settings, [], organizations)
    channels = {stream.channel for organization in organizations for stream in organization.streams}
    count = threads or len(channels)
    with state.store(connections=connections_for(count)) as store:
        run_scheduler(state.settings, store, clock=SystemClock(), threads=count)


def status(context: typer.Context, *, style: Style = None, output: Output = None) -> None:
    """Show each stream: when it was last read, how it went, what it has brought and what today has cost."""
    from jobs.status import STATUS_COLUMNS, replica_line, status_rows
    from listener.clock import SystemClock
    from storage.queries import replayed_until

    state, clock = state_of(context), SystemClock()
    with state.reading_store() as store:
        rows = list(status_rows(state.settings, store, clock=clock))
        replayed = replayed_until(store)
    write(state, rows, STATUS_COLUMNS, style=style, output=output, view=_status_view(rows))
    if replayed is not None:
        state.say(replica_line(replayed, clock.now()))


_IF_ANY = ("worker", "failures", "paused_until", "error")


def _status_view(rows: Iterable[Mapping[str, Any]]) -> View:
    """Return what a table shows of the streams: who reads one now, and trouble, only where there is some."""
    some = [name for name in _IF_ANY if any(row[name] for row in rows)]

    def show(row: Mapping[str, Any]) -> Mapping[str, Any]:
        cost = f", ${row['usd_today']:.2f}" if row["usd_today"] else ""
        return {
            **row,
            "stream": f"{row['organization']} {row['channel']} {row['kind']} {row['query']}",
            "today": f"{row['requests_today']:,} requests{cost}",
        }

    return View(("stream", "outcome", "last_run", "new", "mentions", "read_until", "today", *some), show)


def rollup(
    context: typer.Context,
    *,
    rebuild: Annotated[bool, flag("--rebuild", help="Recount everything, not only what changed.")] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="WHERE",
            help="Rebuild on PostgreSQL over several connections at once: local:N, or auto (one for each core).",
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option("--processes", metavar="N", min=1, max=256, help="The same over N connections.")
    ] = 1,
) -> None:
    """Recount the days that changed since the last time."""
    from jobs.crew import connections_of
    from jobs.rollup import roll_up

    state = state_of(context)
    connections = connections_of(cluster=cluster, processes=processes)
    if connections > 1 and not rebuild:
        raise ConfigError("--cluster and --processes are for --rebuild: what changed is soon counted by one")
    with state.store(connections=connections + 1) as store, state.progress() as bar:
        task = bar.add_task("recounting days", total=None)
        days = roll_up(
            store,
            rebuild=rebuild,
            progress=lambda count: bar.update(task, completed=count),
            connections=connections,
        )
    state.say(f"{days:,} day{'' if days == 1 else 's'} recounted")


def refresh(context: typer.Context, *, channel: Channels = None) -> None:
    """Look recent mentions up again: edits are taken over, what was deleted on the platform is deleted here."""
    from jobs.refresh import refresh as recheck
    from jobs.rollup import roll_up
    from jobs.stopping import stop_on_signal
    from listener.cli import values
    from listener.clock import SystemClock

    state = state_of(context)
    every = values.organizations(state.settings, [])
    channels = values.configured_channels(state.settings, channel or [], every)
    leave_errors_to_the_report()
    with state.store() as store, state.progress() as bar, stop_on_signal() as asked:
        bar.add_task("looking up", total=None)
        reports = recheck(state.settings, store, clock=SystemClock(), channels=channels, stop=asked.event)
        roll_up(store)
    rows = [
        {
            "channel": report.channel,
            "outcome": report.outcome,
            "checked": report.checked,
            "changed": report.counts.updated,
            "same": report.counts.unchanged,
        }
        for report in reports
    ]
    print_table(state, rows, ("channel", "outcome", "checked", "changed", "same"))
    _leave(reports, asked)


def retag(
    context: typer.Context,
    *,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DAY", help="Only mentions from this day on (2026-11-09), in the organization's own time zone."
        ),
    ] = None,
    topic_version: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="Only mentions that this version of taxonomy and models has heard; default: every other version.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, flag("--dry-run", help="Write nothing; show how many mentions each topic counts and would count.")
    ] = False,
    style: Style = None,
    output: Output = None,
    cluster: Cluster = None,
    processes: Processes = 1,
) -> None:
    """Hear stored mentions again with the present taxonomy and models, and recount the days that change.

    Stopped anywhere, the same command goes on from there. What a person corrected stays, and so do tombstones.
    --format and -o are for the table of --dry-run.
    """
    from jobs.crew import crew_of
    from jobs.hearing import analyzer_for
    from jobs.retag import retag as hear_again
    from listener.cli import values

    if not dry_run and (style is not None or output is not None):
        raise ConfigError("--format and -o are for the table of --dry-run: add it, or leave them out")
    state = state_of(context)
    first = values.day(since, "--since")
    values.organizations(state.settings, [])
    analyzer = analyzer_for(state.settings, state.taxonomy)
    opened = state.rehearsal_store() if dry_run else state.store()
    with opened as store, crew_of(cluster=cluster, processes=processes) as crew, state.progress() as bar:
        task = bar.add_task("hearing again", total=None)
        report = hear_again(
            state.settings,
            store,
            analyzer=analyzer,
            since=first,
            topic_version=topic_version,
            dry_run=dry_run,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            crew=crew,
        )
    if dry_run:
        rows = [
            {"topic": move.topic, "before": move.before, "after": move.after, "change": move.after - move.before}
            for move in report.volumes
        ]
        write(state, rows, ("topic", "before", "after", "change"), style=style, output=output)
    verbs = (
        ("would be heard again", "would change; nothing was written") if dry_run else ("heard again", "changed")
    )
    days = "" if dry_run else f"; {report.days:,} day{'' if report.days == 1 else 's'} recounted"
    state.say(
        f"{report.mentions:,} mention{'' if report.mentions == 1 else 's'} {verbs[0]} with {report.version}, "
        f"{report.changed:,} {verbs[1]}{days}"
    )
