"""Fills a store with mentions of two years of four hospitals, as ingest would have: page by page, tagged, linked.

The texts are the generator's, each heard once and then used again; ids, moments, authors and figures are new
for every mention.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING

import connectors
from benchmarks import world
from benchmarks.measure import Cost, cost
from benchmarks.platforms import posts
from jobs.connections import stream_state
from jobs.hearing import analyzer_for
from jobs.reading import changed_days
from listener.calendar import local_day, week_of_day
from listener.coverage import Spans
from listener.mention import Mention
from listener.signals.taxonomy import Taxonomy
from listener.standins.generator import CHANNELS
from listener.usage import Usage
from storage.store import MentionStore, Record

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.base import StreamSpec
    from listener.mention import Kind, Metrics
    from listener.settings import Settings
    from listener.signals.analysis import Analyzer, Signals

ORGANIZATIONS = ("st-elsewhere", "general", "lakeside", "north-shore")
SPAN = timedelta(days=728)
START = world.MOMENT - SPAN
PAGE = 10_000
RARE_WORD = "quokka"
"""One mention in 20,000 has it."""
_RARE_EVERY = 20_000
_TEXTS = 4_000
# So many people write about a hospital in a week; some write twice.
AUTHORS_A_WEEK = 1_500


@dataclass(frozen=True, slots=True)
class Heard:
    """A text of the generator's, redacted and heard, to be used again."""

    kind: Kind
    text: str
    metrics: Metrics
    own: bool
    signals: Signals


def write_config(folder: Path, url: str) -> Path:
    """Write a configuration of four hospitals, each listened for on three platforms; return the file."""
    lines = ["[store]", f"url = {json.dumps(url)}"]
    for slug in ORGANIZATIONS:
        name = f"{slug.replace('-', ' ').title()} Hospital"
        lines += ["[[organizations]]", f'slug = "{slug}"', f'name = "{name}"', 'timezone = "America/Toronto"']
        for channel in CHANNELS:
            lines += ["[[organizations.streams]]", f'channel = "{channel}"', f"query = '\"{name}\"'"]
    return world.write_files(folder, "\n".join(lines))


class Filling:
    """Fills one store, further at each call of :meth:`grow`."""

    def __init__(self, store: MentionStore, settings: Settings) -> None:
        self._store = store
        self._zone = settings.organizations[0].zone
        taxonomy = Taxonomy.load(None)
        store.declare(settings.organizations, taxonomy)
        self._streams = [stream for stream, _ in connectors.streams(settings)]
        analyzer = analyzer_for(settings, taxonomy)
        self._heard = {channel: cycle(list(_heard(channel, analyzer))) for channel in CHANNELS}
        self.count = 0

    def grow(self, count: int, *, server: Callable[[], float] | None = None) -> tuple[Cost, Cost]:
        """Add mentions up to ``count``, spread over two years; return what saving and rolling up took.

        ``server`` tells the CPU seconds that the database server has used so far.
        """
        missing = count - self.count
        slices = max(1, round(missing / len(self._streams) / PAGE))
        pages = slices * len(self._streams)
        saving = Cost(0.0, 0.0, 0.0 if server else None)
        for page in range(pages):
            number, stream = page // len(self._streams), self._streams[page % len(self._streams)]
            size = missing * (page + 1) // pages - missing * page // pages
            records = list(self._records(stream, START + SPAN * number / slices, SPAN / slices / size, size))
            saving = saving + cost(partial(self._save, stream, records), server=server)
        return saving, cost(self._store.roll_up, server=server)

    def _save(self, stream: StreamSpec, records: Sequence[Record]) -> None:
        state = stream_state(self._store, stream)
        usage = Usage(requests=len(records) // 100)
        run_id = self._store.begin_run(state.id, since=None, until=None)
        read = Spans(((START, world.MOMENT),))
        self._store.save_page(
            stream_id=state.id,
            run_id=run_id,
            records=records,
            cursor={"at": self.count},
            coverage=read,
            coverage_days=changed_days(state.coverage, read, self._zone),
            usage=usage,
        )
        self._store.finish_run(run_id, outcome="done", usage=usage)

    def _records(self, stream: StreamSpec, start: datetime, step: timedelta, size: int) -> Iterator[Record]:
        for place, heard in enumerate(islice(self._heard[stream.channel], size)):
            self.count += 1
            moment = (start + place * step).replace(microsecond=0)
            day = local_day(moment, self._zone)
            # A step through all remainders, so that the same author comes back now and then.
            author = f"{stream.organization} {week_of_day(day)} {self.count * 7_919 % AUTHORS_A_WEEK}"
            mention = Mention(
                channel=stream.channel,
                external_id=f"{stream.channel}_{self.count:08x}",
                kind=heard.kind,
                published_at=moment,
                text=heard.text if self.count % _RARE_EVERY else f"{heard.text} {RARE_WORD}",
                permalink=f"https://{stream.channel}.example/{self.count:08x}",
                conversation_id=f"{stream.channel}_{self.count // 4:08x}",
                metrics=heard.metrics,
            )
            yield Record(
                mention=mention,
                pseudonym=hashlib.blake2b(author.encode(), digest_size=32).hexdigest(),
                own=heard.own,
                day=day,
                signals=heard.signals,
            )


def _heard(channel: str, analyzer: Analyzer) -> Iterator[Heard]:
    written = list(posts(channel, _TEXTS, world.MOMENT))
    texts = [analyzer.redact(post.text) for post in written]
    every = analyzer.analyze_many(texts, [post.language for post in written])
    for post, text, signals in zip(written, texts, every, strict=True):
        yield Heard(post.kind, text, post.metrics, own=post.own, signals=signals)
