"""``listener demo`` and ``listener standins``: the whole pipeline without a platform's key."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from listener.cli.output import print_table
from listener.cli.state import State, state_of
from listener.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jobs.ingest import RunReport
    from jobs.summary import SummaryRow
    from listener.settings import Settings
    from listener.standins.posts import Post
    from listener.standins.scenario import World
    from storage.store import MentionStore

_WEEKS = 12
Cell = TypeVar("Cell", bound="tuple[str, ...]")
"""What a count is of: week and channel, or these and a topic."""


def register(app: typer.Typer) -> None:
    """Add this module's commands to the root."""
    app.command()(demo)
    app.command()(standins)


def demo(
    context: typer.Context,
    *,
    directory: Annotated[Path, typer.Option(help="Where configuration, store and CSV go.")] = Path("demo"),
) -> None:
    """Run everything on twelve weeks of synthetic mentions: no key, nothing beyond this machine.

    Stand-ins of the three platforms listen on loopback; a clock walks through the weeks with a pull a day. A
    second run goes on from where the store stands, and so adds nothing twice.
    """
    from listener.cli.ask import closing_lines
    from listener.settings import load
    from listener.signals.taxonomy import Taxonomy
    from listener.standins.scenario import World, demo_environment
    from storage import queries
    from storage.store import MentionStore

    state = state_of(context)
    with World() as world:
        state.say("Stand-ins of " + ", ".join(f"{name} at {url}" for name, url in world.base_urls.items()))
        config = _write_files(directory, world.settings_toml("sqlite:///listener.db"), demo_environment())
        # The demo's own secrets only: a LISTENER_DATABASE_URL of the shell must not lead it to a real store.
        settings = load(config, environ={})
        with MentionStore.open(settings.database_url, clock=world.clock) as store:
            _refuse_strangers(directory, world, store)
            store.declare(settings.organizations, Taxonomy.load(None))
            counts = _walk(state, world, settings, store)
            state.say(
                f"{counts['inserted']:,} new mentions, {counts['updated']:,} changed, {counts['same']:,} as before"
            )
            rows, paths = _summaries(directory, world, settings, store)
            _print_weeks(state, rows)
            for line in (*closing_lines(rows, queries.signal_changes(store)), *_verdict(world, store, rows)):
                state.say(line)
    for path in paths:
        state.out.print(str(path))
    again = f"{_command()} -c {config}"
    state.say(
        f"Look further: {again} query --topic waiting-times --limit 5\n"
        f"              {again} query --count-by week,channel\n"
        f"              {again} summary --week 2026-W42 -o {directory}"
    )


def _write_files(directory: Path, toml: str, environment: Mapping[str, str]) -> Path:
    config = directory / "listener.toml"
    lines = "".join(f"{name}={value}\n" for name, value in environment.items())
    try:
        directory.mkdir(parents=True, exist_ok=True)
        config.write_text(toml, encoding="utf-8")
        (directory / ".env").write_text(lines, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write into {directory}: {error.strerror}; choose another --directory"
        ) from error
    return config


def _refuse_strangers(directory: Path, world: World, store: MentionStore) -> None:
    from storage import queries

    ids = {(post.channel, post.external_id) for posts in world.posts_by_channel.values() for post in posts}
    if any((row["channel"], row["external_id"]) not in ids for row in queries.rows(store, queries.Filters())):
        raise ConfigError(
            f"{directory} holds mentions of another demo, or of another version's: delete it or choose another "
            "--directory"
        )


def _walk(state: State, world: World, settings: Settings, store: MentionStore) -> Counter[str]:
    from jobs.ingest import ingest
    from jobs.rollup import roll_up
    from listener.standins.scenario import walk

    counts: Counter[str] = Counter()
    read_until = [status.last_run.started_at for status in store.status() if status.last_run]
    world.clock.step_to(max([world.clock.now(), *read_until]))
    with state.progress() as bar:
        days = (world.last_pull - world.clock.now()) / timedelta(days=1)
        task = bar.add_task("pulling a day at a time", total=max(round(days), 1))

        def pull(_now: datetime) -> None:
            reports = ingest(settings, store, clock=world.clock)
            _stop_on_error(reports)
            for report in reports:
                counts["inserted"] += report.counts.inserted
                counts["updated"] += report.counts.updated
                counts["same"] += report.counts.unchanged
            roll_up(store)
            bar.update(task, advance=1)

        if walk(world, pull) == 0:
            pull(world.clock.now())
    return counts


def _stop_on_error(reports: Iterable[RunReport]) -> None:
    for report in reports:
        if report.error is not None:
            raise report.error


def _summaries(
    directory: Path, world: World, settings: Settings, store: MentionStore
) -> tuple[list[SummaryRow], list[Path]]:
    from jobs.summary import last_whole_week, weekly_summary, write_summaries

    newest = last_whole_week(settings.organizations[0], world.clock.now())
    rows = weekly_summary(settings, store, newest=newest, last=_WEEKS, clock=world.clock)
    latest = [row for row in rows if row.iso_week == rows[-1].iso_week]
    return rows, write_summaries(latest, directory)


def _print_weeks(state: State, rows: Iterable[SummaryRow]) -> None:
    from storage.counting import PSEUDO_TOPICS
    from storage.schema import ALL, CARE, OTHER_PURPOSES, TO_REVIEW

    weeks: dict[str, dict[str, Any]] = {}
    topics: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        week = weeks.setdefault(row.iso_week, {"week": row.iso_week, "left out": 0, "most heard": ""})
        if row.topic == ALL:
            week[row.channel] = row.mentions
        if row.channel != ALL:
            continue
        if row.topic == ALL:
            week["change"] = row.change
        elif row.topic == CARE:
            week["care"] = row.mentions
        elif row.topic in (OTHER_PURPOSES, TO_REVIEW):
            week["left out"] += row.mentions
        elif row.topic not in PSEUDO_TOPICS and row.mentions:
            topics.setdefault(row.iso_week, []).append((row.mentions, row.topic))
    for name, heard in topics.items():
        count, topic = min(heard, key=lambda one: (-one[0], one[1]))
        weeks[name]["most heard"] = f"{topic} {count}"
    columns = ("week", "twitter", "reddit", "youtube", "all", "change", "care", "left out", "most heard")
    print_table(state, weeks.values(), columns, title="St. Elsewhere Hospital: mentions by week")


def _verdict(world: World, store: MentionStore, rows: Iterable[SummaryRow]) -> Iterator[str]:
    """Yield what comes of checking the counts; raises ``RuntimeError`` where one is wrong."""
    from listener.standins.agreement import agreement
    from storage import queries
    from storage.schema import ALL

    heard = list(queries.rows(store, queries.Filters(own=False)))
    counts = {(row.iso_week, row.channel, row.topic): row.mentions for row in rows if row.mentions}
    volumes = {(week, channel): count for (week, channel, topic), count in counts.items() if topic == ALL}
    _demand_equal(volumes, world.truth(), "what the generator wrote")
    _demand_equal(counts, _recount(heard), "a recount of the stored mentions")
    yield "Every count by week and channel equals what the generator wrote."
    yield "Every count by topic equals a recount of the stored mentions."
    yield f"Heard as meant: {agreement(world.meanings(), heard)}"


def _recount(mentions: Iterable[Mapping[str, Any]]) -> Counter[tuple[str, str, str]]:
    """Count mentions by week, channel and topic, as the rollup should have."""
    from listener.calendar import iso_week, local_day, week_of_day
    from listener.standins.scenario import ZONE
    from storage.counting import places
    from storage.schema import ALL

    counts: Counter[tuple[str, str, str]] = Counter()
    for row in mentions:
        week = iso_week(week_of_day(local_day(row["published_at"], ZONE)))
        topics = places(row["purpose"], frozenset(row["topics"]), needs_review=row["needs_review"])
        counts.update((week, channel, topic) for channel in (row["channel"], ALL) for topic in topics)
    return counts


def _demand_equal(counts: Mapping[Cell, int], expected: Mapping[Cell, int], whose: str) -> None:
    wrong = sorted(cell for cell in counts.keys() | expected.keys() if counts.get(cell) != expected.get(cell))
    if wrong:
        shown = ", ".join(" ".join(cell) for cell in wrong[:3])
        raise RuntimeError(f"{len(wrong)} counts differ from {whose}: {shown} …")


def standins(
    context: typer.Context,
    *,
    directory: Annotated[
        Path, typer.Option(help="Where a configuration and .env that fit the stand-ins are written.")
    ] = Path("standins"),
    port: Annotated[
        int, typer.Option(min=0, max=65533, help="The first of three ports in a row; 0 takes any free ones.")
    ] = 8101,
    per_week: Annotated[int, typer.Option(min=1, help="Mean mentions a week over all channels.")] = 375,
    seed: Annotated[int, typer.Option(help="Another seed, other mentions.")] = 2026,
) -> None:
    """Serve the three platforms on 127.0.0.1 until Ctrl-C, with mentions up to now and from now on."""
    from jobs.stopping import stop_on_signal
    from listener.clock import SystemClock
    from listener.standins.scenario import STANDINS, demo_environment, demo_settings_toml

    state = state_of(context)
    clock = SystemClock()
    with ExitStack() as running, stop_on_signal() as asked:
        base_urls = {}
        for place, (channel, kind) in enumerate(STANDINS.items()):
            try:
                standin = running.enter_context(
                    kind(clock, _posts_around(clock.now(), channel, per_week, seed), port=port and port + place)
                )
            except OSError as error:
                raise ConfigError(
                    f"port {port + place} on 127.0.0.1 cannot be used for {channel}: {error.strerror}; "
                    "choose another --port"
                ) from error
            base_urls[channel] = standin.base_url
        toml = demo_settings_toml(base_urls, "sqlite:///listener.db")
        config = _write_files(directory, toml, demo_environment())
        for channel, url in base_urls.items():
            state.out.print(f"{channel:7} {url}")
        state.say(f"In another terminal: {_command()} -c {config} ingest   (Ctrl-C here stops the stand-ins)")
        asked.event.wait()


def _posts_around(now: datetime, channel: str, per_week: int, seed: int) -> Iterator[Post]:
    from listener.standins.generator import generate

    start, end = now - timedelta(weeks=_WEEKS), now + timedelta(days=365)
    return generate(seed=seed, start=start, end=end, per_week=per_week, channels=[channel])


def _command() -> str:
    """Name the command as it was called: in a checkout it lies in .venv/bin and not on the path."""
    return "listener" if shutil.which("listener") else sys.argv[0]
