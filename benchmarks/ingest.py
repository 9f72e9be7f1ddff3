"""Ingest: from the platform's answer to the stored mention, beside a bare write of the same rows."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import requests

from benchmarks import world, yardsticks
from benchmarks.measure import Cost, cost, median_cost, progress, show
from benchmarks.platforms import serving
from benchmarks.stages import Stages, ingest_in_stages, middle
from connectors.twitter import FIELDS, normalise
from jobs.connections import stream_state
from jobs.ingest import ingest
from listener.signals.language import detect_language
from listener.signals.topics import TopicMatcher
from listener.standins.twitter import TwitterStandin
from listener.usage import Usage
from storage.bulk import batches
from storage.store import MentionStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from benchmarks.databases import Databases
    from benchmarks.world import Line
    from listener.mention import Mention
    from listener.settings import Settings
    from storage.records import Record

PLATFORM_PAGE = 100
"""What X gives at once, and so what ingest saves at once."""
STORE_PAGE = 1_000
_KINDS = ("sqlite", "postgresql")
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: posts of X, mentions of the other two, rounds."""

    posts: int
    others: int
    rounds: int


SIZES = {"small": Size(1_000, 150, 1), "full": Size(20_000, 1_800, 3)}

Costs = defaultdict[tuple[str, str], list[Cost]]
"""What each way took, round by round, by database and way."""


def run(databases: Databases, scale: str) -> None:
    """Measure the whole path and its parts, and print what they take."""
    size = SIZES[scale]
    costs: Costs = defaultdict(list)
    with serving("twitter", size.posts, world.MOMENT) as address:
        urls = {"twitter": address}
        settings = world.settings_of(world.write_config(databases.folder / "x", "sqlite://", urls))
        line = world.line(settings, "twitter")
        pages = list(world.fetched(settings, line.stream))
        mentions = [mention for page in pages for mention in page]
        records = line.hearing.records(mentions, {})
        stages: list[Stages] = []
        for number in range(size.rounds):
            stages.append(_in_stages(databases, urls))
            for kind in _KINDS:
                progress(f"ingest: round {number + 1} of {size.rounds}, {_NAMES[kind]}")
                _whole_path(databases, kind, urls, costs)
                _bare(databases, kind, records, costs)
                _store_alone(databases, kind, line, settings, records, costs)
        _show_paths(costs, len(records), size.rounds)
        progress("ingest: where the time goes")
        _show_stations(settings, line, address, pages, stages)
    _show_others(databases, size)


def _whole_path(databases: Databases, kind: str, base_urls: Mapping[str, str], costs: Costs) -> None:
    """Pull all of X into an empty store, and again with a cursor that knows nothing of it."""
    url = databases.url(kind)
    config = world.write_config(databases.folder / "x", url, base_urls)
    server = databases.server_cpu(kind)
    with MentionStore.open(url, clock=world.clock()) as store:
        costs[kind, "path fresh"].append(cost(lambda: _pull(config, store, "fresh"), server=server))
        world.asked_anew(config)
        databases.settle(url)
        costs[kind, "path equal"].append(cost(lambda: _pull(config, store, "equal"), server=server))
    databases.drop(url)


def _pull(config: Path, store: MentionStore, state: str) -> int:
    """Pull all of X; return how many mentions it gave."""
    (report,) = ingest(world.settings_of(config), store, clock=world.clock(), channels=["twitter"])
    counts = report.counts
    count = counts.inserted if state == "fresh" else counts.unchanged
    if report.outcome != "done" or not count or (state == "equal" and counts.inserted):
        raise RuntimeError(f"ingest did not do what is measured: {report}")
    return count


def _bare(databases: Databases, kind: str, records: Sequence[Record], costs: Costs) -> None:
    rows = [yardsticks.bare_row(record) for record in records]
    server = databases.server_cpu(kind)
    for page in (PLATFORM_PAGE, STORE_PAGE):
        url = databases.url(kind)
        yardsticks.prepare(url)
        for state in ("fresh", "equal"):
            work = _later(yardsticks.write, url, rows, page)
            costs[kind, f"bare {page} {state}"].append(cost(work, server=server))
        databases.drop(url)


def _store_alone(
    databases: Databases, kind: str, line: Line, settings: Settings, records: Sequence[Record], costs: Costs
) -> None:
    server = databases.server_cpu(kind)
    known = [replace(record, signals=None) for record in records]
    for page in (PLATFORM_PAGE, STORE_PAGE):
        url = databases.url(kind)
        with MentionStore.open(url, clock=world.clock()) as store:
            store.declare(settings.organizations, line.taxonomy)
            for state, some in (("fresh", records), ("equal", known)):
                work = _later(_save, store, line, some, page)
                costs[kind, f"store {page} {state}"].append(cost(work, server=server))
                databases.settle(url)
        databases.drop(url)


def _save(store: MentionStore, line: Line, records: Sequence[Record], page: int) -> None:
    stream = stream_state(store, line.stream)
    run_id = store.begin_run(stream.id, since=None, until=None)
    for some in batches(records, page):
        store.known(line.stream.channel, [record.mention.external_id for record in some])
        store.save_page(stream_id=stream.id, run_id=run_id, records=some, cursor={"at": 1}, usage=Usage())


def _later(work: Callable[..., object], *arguments: Any) -> Callable[[], object]:
    return lambda: work(*arguments)


_WAYS = (
    ("path", "ingest, fetched → stored (pages of 100)"),
    (f"store {PLATFORM_PAGE}", "the store alone, pages of 100"),
    (f"store {STORE_PAGE}", "the store alone, pages of 1,000"),
    (f"bare {PLATFORM_PAGE}", "bare upsert into one table, pages of 100"),
    (f"bare {STORE_PAGE}", "bare upsert into one table, pages of 1,000"),
)


def _show_paths(costs: Costs, count: int, rounds: int) -> None:
    rows = []
    for kind in _KINDS:
        for way, words in _WAYS:
            fresh, equal = (median_cost(costs[kind, f"{way} {state}"]) for state in ("fresh", "equal"))
            floor = median_cost(costs[kind, f"bare {STORE_PAGE} fresh"]).cpu
            figures = [count / fresh.cpu, count / fresh.wall, fresh.cpu / floor]
            rows.append(
                (f"{_NAMES[kind]}: {words}", *figures, fresh.server, count / equal.cpu, count / equal.wall)
            )
    head = (
        "way",
        "fresh, per CPU-second",
        "fresh, per wall second",
        "CPU, bare = 1",
        "server CPU s",
        "equal, per CPU-second",
        "equal, per wall second",
    )
    note = (
        f"{count:,} posts of X; mentions per second, medians of {rounds} alternating rounds. CPU is the "
        "pipeline's process alone: the stand-in has one of its own, and what the PostgreSQL server takes for the "
        "fresh rows stands apart. Bare is `sqlite3.executemany` with ON CONFLICT DO UPDATE; on PostgreSQL COPY "
        "into a temporary table and a merge."
    )
    show("Ingest, and a bare write of the same rows", head, rows, note=note)


def _in_stages(databases: Databases, base_urls: Mapping[str, str], channel: str = "twitter") -> Stages:
    url = databases.url("sqlite")
    config = world.write_config(databases.folder / "stages", url, base_urls)
    taken = ingest_in_stages(world.settings_of(config), url, channel, world.clock())
    databases.drop(url)
    return taken


def _show_stations(
    settings: Settings, line: Line, address: str, pages: Sequence[Sequence[Mention]], stages: Sequence[Stages]
) -> None:
    """Print what each station takes within a fresh ingest, and what it takes alone on the same mentions."""
    mentions = [mention for page in pages for mention in page]
    payloads = list(_payloads(address, line.stream.query))
    redacted = [replace(mention, text=line.analyzer.redact(mention.text)) for mention in mentions]
    english = [mention for mention in redacted if detect_language(mention.text) in ("en", None)]
    matcher = TopicMatcher(line.taxonomy)

    def alone(work: Callable[[], Iterable[object]]) -> float:
        """Measure a station by itself: what it gives is let go at once."""
        return median_cost(cost(lambda: deque(work(), maxlen=0)) for _ in stages).cpu

    redact = alone(lambda: (line.analyzer.redact(mention.text) for mention in mentions))
    language = alone(lambda: (detect_language(mention.text, hint=mention.language) for mention in redacted))
    phrases = alone(lambda: (matcher.match(mention.text) for mention in english))
    signals = alone(lambda: (line.analyzer.analyze_many(*some) for some in _texts(redacted)))
    within = middle(stages)
    stations: list[tuple[str, float | None, float | None]] = [
        (
            "pull: tweepy, requests, JSON, Mention",
            within.pull,
            alone(lambda: world.fetched(settings, line.stream)),
        ),
        ("- of it: from payload to Mention", None, alone(lambda: (normalise(payload) for payload in payloads))),
        (
            "hear: from Mention to Record",
            within.rest,
            alone(lambda: line.hearing.records(mentions, {})),
        ),
        ("- of it: redaction", None, redact),
        ("- of it: signals, from language to models", None, signals),
        ("-- of it: language", None, language),
        ("-- of it: phrases of topics", None, phrases),
        ("store: known", within.known, None),
        ("store: save_page", within.save, None),
        ("store: leases, runs, budgets", within.books, None),
        ("whole", within.whole, None),
    ]
    count = len(mentions)
    rows = [
        (name, *(None if taken is None else 1e6 * taken / count for taken in both)) for name, *both in stations
    ]
    letters = sum(len(mention.text) for mention in mentions) / count
    note = (
        f"Microseconds of CPU a mention ({letters:.0f} characters on average), fresh into SQLite in pages of 100. "
        "Within: by a clock at each station's door while the whole runs; hear is what is left, the set-up too. "
        "Alone: the station in a loop of its own, where its data and code stay in the processor's cache."
    )
    show("Where the CPU time of ingest goes", ("station", "within", "alone"), rows, note=note)
    steps = [
        ("redact", count / redact),
        ("detect the language", count / language),
        ("find the topics' phrases (of English texts)", len(english) / phrases),
        ("hear all signals, language and phrases included", count / signals),
        ("redact and hear", count / (redact + signals)),
    ]
    show("Signals alone", ("step", "mentions per CPU-second"), steps)


def _texts(redacted: Sequence[Mention]) -> Iterator[tuple[list[str], list[str | None]]]:
    """Yield texts and what X says of their languages, as many at once as X gives."""
    for some in batches(redacted, PLATFORM_PAGE):
        yield [mention.text for mention in some], [mention.language for mention in some]


def _payloads(address: str, query: str) -> Iterator[dict[str, Any]]:
    """Yield the posts as X sends them."""
    asked = {"query": query, "max_results": str(PLATFORM_PAGE), "tweet.fields": ",".join(FIELDS)}
    headers = {"Authorization": f"Bearer {TwitterStandin.secrets['bearer_token']}"}
    with requests.Session() as session:
        # An environment's proxy has no business with loopback.
        session.trust_env = False
        while True:
            answer = session.get(f"{address}/2/tweets/search/recent", params=asked, headers=headers).json()
            yield from answer.get("data", ())
            if (token := answer["meta"].get("next_token")) is None:
                return
            asked["next_token"] = token


def _show_others(databases: Databases, size: Size) -> None:
    rows = []
    for channel in ("reddit", "youtube"):
        progress(f"ingest: {channel}")
        with serving(channel, size.others, world.MOMENT) as address:
            taken = middle([_in_stages(databases, {channel: address}, channel) for _ in range(size.rounds)])
        count = int(taken.mentions)
        speeds = count / taken.whole, count / taken.wall
        parts = (1e6 * each / count for each in (taken.pull, taken.rest, taken.known + taken.save + taken.books))
        rows.append((channel, count, int(taken.pages), *speeds, *parts))
    head = (
        "channel",
        "mentions",
        "pages",
        "per CPU-second",
        "per wall second",
        "pull, µs",
        "hear, µs",
        "store, µs",
    )
    note = (
        f"Fresh into SQLite, medians of {size.rounds}; praw and google-api-python-client over loopback. "
        "Microseconds are CPU a mention."
    )
    show("Ingest from the other platforms", head, rows, note=note)
