"""Capacity: what so many hospitals need, by a simulation that is fed with what this machine was measured to do.

First the costs: CPU of a pull that brings nothing and of each mention, of the database server, of a line of an
archive; and what a million mentions weigh. Then a simulated day: every stream falls due at its interval, workers
take what is due, wait for the platform and then for their processor (one a process: Python's threads share it);
mentions come at random, to few hospitals many and to many hospitals few.
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Literal

from benchmarks import archives, filling, world
from benchmarks.measure import cost, median_cost, progress, show
from benchmarks.platforms import serving
from benchmarks.sizes import Sizes, sizes
from jobs.ingest import ingest
from storage.store import MentionStore

if TYPE_CHECKING:
    from benchmarks.databases import Databases
    from listener.settings import Settings

_DAY = 86_400.0
_GB = 1e9
_KINDS = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: mentions pulled a channel, mentions weighed, lines of a dump, rounds."""

    pulled: int
    weighed: int
    lines: int
    rounds: int


SIZES = {"small": Size(300, 5_000, 20_000, 1), "full": Size(3_000, 200_000, 500_000, 5)}


@dataclass(frozen=True, slots=True)
class Platform:
    """How a platform is pulled, and what it lets one application do (docs/how-to/get-platform-keys.md).

    ``every`` is the seconds between two pulls of a stream, ``requests`` what one pull takes, ``limit`` the
    requests a day of one application or key; ``share`` of all mentions are its.
    """

    every: float
    requests: float
    limit: int
    share: float


PLATFORMS: Mapping[str, Platform] = {
    # 450 searches in a quarter of an hour.
    "twitter": Platform(every=900, requests=1, limit=450 * 4 * 24, share=0.5),
    # 100 requests a minute; a search, a listing of comments, some threads.
    "reddit": Platform(every=1_800, requests=5, limit=100 * 60 * 24, share=0.3),
    # 100 searches a day; the comments have units of their own, which are ample.
    "youtube": Platform(every=6 * 3_600, requests=1, limit=100, share=0.2),
}
_WAIT = 0.3
"""Seconds that a request takes over the internet, of which nobody's processor knows."""
_SPREAD = 1.5
"""How unequal hospitals are: sigma of a lognormal distribution; the busiest 5% then have 44% of all mentions."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured, in CPU seconds: a pull, and each of its mentions, by channel; and for the server."""

    pull: Mapping[str, float]
    mention: Mapping[str, float]
    server: float
    line: float


@dataclass(frozen=True, slots=True)
class Programme:
    """Who listens: so many hospitals, each with so many mentions a year on average; workers and their threads.

    ``slower`` stretches the intervals of every stream.
    """

    name: str
    hospitals: int
    mentions_a_year: int
    workers: int = 1
    threads: int = 4
    slower: float = 1.0

    @property
    def mentions_a_day(self) -> float:
        """All hospitals' mentions."""
        return self.hospitals * self.mentions_a_year / 365


PROGRAMMES = (
    Programme("one hospital", 1, 2_000),
    Programme("a province: 150 hospitals", 150, 2_000),
    Programme("a nation: 2,349 hospitals", 2_349, 2_000),
    Programme("the same, pulled half as often, two workers", 2_349, 2_000, workers=2, slower=2.0),
    Programme("a nation, ten times as loud, four workers", 2_349, 20_000, workers=4),
)
_WORLD_LINES = 1_000_000_000
_WORLD_NAMED = 1 / 500
"""The internet's scale: a billion public posts a day out of archives, of which one in 500 names a hospital."""


@dataclass(slots=True)
class _Pull:
    """A stream in the simulation: ``wait`` seconds for the platform, due ``every`` so many, mentions a second.

    ``state`` is what happens to it next: it falls due, it is answered, the work on it ends.
    """

    channel: str
    wait: float
    every: float
    rate: float
    state: Literal["due", "answered", "working"] = "due"
    due: float = 0.0
    worker: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """A simulated day: pulls, mentions, seconds from due to stored, and how busy each worker's processor was."""

    pulls: Mapping[str, int]
    mentions: int
    delays: Sequence[float]
    busy: float

    def delay(self, share: float) -> float:
        """Return the seconds in which this share of the pulls was done."""
        ordered = sorted(self.delays)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def run(databases: Databases, scale: str) -> None:
    """Measure, simulate and print."""
    size = SIZES[scale]
    costs, weights = _measured(databases, size)
    _show_costs(costs, weights, size)
    progress("capacity: simulating a day of each programme")
    rows = [_row(programme, simulate(programme, costs), costs, weights) for programme in PROGRAMMES]
    head = (
        *("programme", "mentions a day", "pulls a day", "worker's CPU", "due to stored s, median", "99%"),
        *("server's CPU", "X apps", "Reddit apps", "YouTube keys", "X $ a day", "GB a year"),
    )
    note = (
        f"X is pulled every {PLATFORMS['twitter'].every / 60:.0f} minutes, Reddit every "
        f"{PLATFORMS['reddit'].every / 60:.0f}, YouTube every {PLATFORMS['youtube'].every / 3600:.0f} hours. CPU "
        "is the share of one core: of each worker, and of the PostgreSQL server. Apps and keys are how many the "
        "platforms' daily limits ask for; X costs $0.005 a post; the year's GB are PostgreSQL's."
    )
    show("Capacity: a simulated day", head, rows, note=note)
    _show_world(costs, weights)


def _measured(databases: Databases, size: Size) -> tuple[Costs, Mapping[str, tuple[int, Sizes]]]:
    pull, mention = {}, {}
    for channel in PLATFORMS:
        progress(f"capacity: pulling {channel}")
        pull[channel], mention[channel] = _pulled(databases, channel, size)
    weights, server = {}, 0.0
    for kind in _KINDS:
        progress(f"capacity: weighing {size.weighed:,} mentions on {kind}")
        url = databases.url(kind)
        settings = world.settings_of(filling.write_config(databases.folder / f"capacity-{kind}", url))
        with MentionStore.open(url, clock=world.clock()) as store:
            filler = filling.Filling(store, settings)
            saving, rolling = filler.grow(size.weighed, server=databases.server_cpu(kind))
            weights[kind] = (filler.count, sizes(store.database))
            server += ((saving.server or 0.0) + (rolling.server or 0.0)) / filler.count
        databases.drop(url)
    progress("capacity: searching a dump")
    dump = databases.folder / "capacity.zst"
    archives.write_dump(dump, size.lines, archives.SEED)
    settings = world.settings_of(world.write_config(databases.folder / "capacity", "sqlite://", {}))
    searched = median_cost(cost(partial(archives.search, str(dump), settings)) for _ in range(size.rounds))
    return Costs(pull, mention, server, searched.cpu / size.lines), weights


def _pulled(databases: Databases, channel: str, size: Size) -> tuple[float, float]:
    """Return the CPU seconds of a pull that brings nothing, and what each mention adds; medians."""
    empty, each = [], []
    with serving(channel, size.pulled, world.MOMENT) as address:
        # The first one of a process reads models and makes phrases ready, and does not count.
        for _ in range(1 + size.rounds):
            url = databases.url("sqlite")
            config = world.write_config(databases.folder / f"capacity-{channel}", url, {channel: address})
            settings = world.settings_of(config)
            with MentionStore.open(url, clock=world.clock()) as store:
                fresh, count = _pull(settings, store, channel)
                _pull(settings, store, channel)
                again, _ = _pull(settings, store, channel)
            empty.append(again)
            each.append((fresh - again) / count)
            databases.drop(url)
    return statistics.median(empty[1:]), statistics.median(each[1:])


def _pull(settings: Settings, store: MentionStore, channel: str) -> tuple[float, int]:
    inserted: list[int] = []

    def work() -> None:
        (report,) = ingest(settings, store, clock=world.clock(), channels=[channel])
        if report.outcome != "done":
            raise RuntimeError(f"the pull did not do what is measured: {report}")
        inserted.append(report.counts.inserted)

    taken = cost(work)
    return taken.cpu, inserted[0]


def simulate(programme: Programme, costs: Costs, *, seed: int = 2026) -> Load:
    """Return a day of a programme; the same at each call."""
    chance = Random(seed)
    loudness = [chance.lognormvariate(0, _SPREAD) for _ in range(programme.hospitals)]
    a_second = programme.mentions_a_day / sum(loudness) / _DAY
    happens: list[tuple[float, int, _Pull]] = []
    for channel, platform in PLATFORMS.items():
        every = platform.every * programme.slower
        for loud in loudness:
            pull = _Pull(channel, platform.requests * _WAIT, every, a_second * loud * platform.share)
            happens.append((chance.uniform(0, every), len(happens), pull))
    heapq.heapify(happens)
    count = len(happens)
    idle = [worker for _ in range(programme.threads) for worker in range(programme.workers)]
    free = [0.0] * programme.workers
    waiting: deque[_Pull] = deque()
    pulls, mentions, used, delays = dict.fromkeys(PLATFORMS, 0), 0, 0.0, []
    while happens[0][0] < _DAY:
        now, _, pull = heapq.heappop(happens)
        match pull.state:
            case "due":
                pull.due = now
                waiting.append(pull)
            case "answered":
                found = _poisson(chance, pull.rate * pull.every)
                work = costs.pull[pull.channel] + found * costs.mention[pull.channel]
                free[pull.worker] = max(now, free[pull.worker]) + work
                pull.state = "working"
                heapq.heappush(happens, (free[pull.worker], count, pull))
                pulls[pull.channel] += 1
                mentions += found
                used += work
            case "working":
                delays.append(now - pull.due)
                idle.append(pull.worker)
                pull.state = "due"
                heapq.heappush(happens, (max(now, pull.due + pull.every), count, pull))
        count += 1
        while waiting and idle:
            begun = waiting.popleft()
            begun.worker, begun.state = idle.pop(0), "answered"
            heapq.heappush(happens, (now + begun.wait, count, begun))
            count += 1
    return Load(pulls, mentions, delays, used / _DAY / programme.workers)


def _poisson(chance: Random, mean: float) -> int:
    """Return how many came, of so many on average (Knuth 1997, vol. 2, 3.4.1; by the normal curve from 30 on)."""
    if mean > 30:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count


def _show_costs(costs: Costs, weights: Mapping[str, tuple[int, Sizes]], size: Size) -> None:
    rows = [(channel, 1e3 * costs.pull[channel], 1e6 * costs.mention[channel]) for channel in PLATFORMS]
    note = (
        f"CPU of the process, medians of {size.rounds}; on SQLite. The PostgreSQL server takes "
        f"{1e6 * costs.server:,.0f} µs a mention, its rollup included; a line of a dump is searched in "
        f"{1e6 * costs.line:.2f} µs."
    )
    show("Capacity: what a pull costs", ("channel", "a pull, ms", "each mention, µs"), rows, note=note)
    table = []
    for kind, (count, found) in weights.items():
        parts = (found.tables, found.indexes, found.words, found.rollups)
        table.append((kind, count, *(each / count for each in parts), found.of_mentions / count))
    head = (
        *("database", "mentions", "tables", "their indexes", "full text", "rollups"),
        "MB for a million more (without rollups)",
    )
    note = "Bytes a mention, which are MB a million; four hospitals, two years, texts of the generator's."
    show("Capacity: what mentions weigh", head, table, note=note)


def _row(
    programme: Programme, load: Load, costs: Costs, weights: Mapping[str, tuple[int, Sizes]]
) -> tuple[object, ...]:
    apps = [math.ceil(load.pulls[name] * each.requests / each.limit) for name, each in PLATFORMS.items()]
    count, weight = weights["postgresql"]
    return (
        programme.name,
        load.mentions,
        sum(load.pulls.values()),
        f"{load.busy:.1%}",
        load.delay(0.5),
        load.delay(0.99),
        f"{load.mentions * costs.server / _DAY:.2%}",
        *apps,
        load.mentions * PLATFORMS["twitter"].share * 0.005,
        365 * load.mentions * weight.of_mentions / count / _GB,
    )


def _show_world(costs: Costs, weights: Mapping[str, tuple[int, Sizes]]) -> None:
    named = _WORLD_LINES * _WORLD_NAMED
    hear = named * costs.mention["twitter"]
    count, weight = weights["postgresql"]
    year = 365 * named
    rows = [
        ("lines searched a day", f"{_WORLD_LINES:,}"),
        ("mentions a day", f"{named:,.0f}"),
        ("cores, to search", _WORLD_LINES * costs.line / _DAY),
        ("cores, to hear and to store", hear / _DAY),
        ("cores of the PostgreSQL server", named * costs.server / _DAY),
        ("mentions a year", f"{year:,.0f}"),
        ("TB a year", year * weight.of_mentions / count / 1e12),
        ("hours on 64 cores, to hear a year again", year * costs.mention["twitter"] / 64 / 3_600),
    ]
    show("Capacity: the internet's scale, out of archives", ("what", "is"), rows)
