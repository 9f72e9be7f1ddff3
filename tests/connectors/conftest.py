"""What the conformance suite stands on: for every channel a stand-in, a clock, and a way to read.

Nothing here knows a platform. A connector is found by ``connectors.discover``; its stand-in is the ``Standin``
subclass of ``listener.standins.<channel>``, or, where there is none, the one that
``samples/<channel>/platform.toml`` declares. The folder ``toy`` holds one connector of an invented platform
and its samples: it goes through the suite like the others, and shows what a new platform takes.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import inspect
import json
import logging
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import connectors
from connectors.base import Connector, Limits, Meter, Page, StreamSpec, Window, clean_text
from listener.clock import SteppedClock
from listener.errors import ListenerError
from listener.mention import Mention
from listener.settings import Settings
from listener.standins.declared import declared
from listener.standins.posts import Post
from listener.standins.server import Standin
from listener.usage import Usage

HERE = Path(__file__).parent
# Another folder shows that the suite finds what is wrong with a toy that is broken (see test_toy.py).
TOY = Path(os.environ.get("CONFORMANCE_TOY", HERE / "toy"))
SAMPLES = (HERE / "samples", TOY / "samples")
QUERY = '"St. Elsewhere"'
NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
TIMEOUT = 10.0  # long enough for a busy machine; the tests of stalls ask for less
LONGEST_NAP = 60.0
ENOUGH_REQUESTS = 400


def with_toy() -> list[str]:
    """The folders that connectors lie in, the toy's among them."""
    return [*connectors.__path__, str(TOY)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "channel" in metafunc.fixturenames:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connectors, "__path__", with_toy())
            metafunc.parametrize("channel", list(connectors.discover()))


@pytest.fixture
def toy_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the toy connector beside the real ones for one test."""
    monkeypatch.setattr(connectors, "__path__", with_toy())


def samples_of(channel: str) -> Path | None:
    return next((folder / channel for folder in SAMPLES if (folder / channel).is_dir()), None)


def standin_class(channel: str) -> type[Standin]:
    name = f"listener.standins.{channel}"
    if importlib.util.find_spec(name):
        module = importlib.import_module(name)
        for _, thing in inspect.getmembers(module, inspect.isclass):
            if issubclass(thing, Standin) and thing.__module__ == name:
                return thing
    folder = samples_of(channel)
    if folder is None or not (folder / "platform.toml").is_file():
        raise AssertionError(
            f"{channel} needs a stand-in: listener/standins/{channel}.py, or platform.toml with its samples"
        )
    return declared(folder)


@dataclass
class Reading:
    """What one pull (or re-check) gave: everything up to the end, the stop, or the error."""

    pages: list[Page] = field(default_factory=list)
    error: ListenerError | None = None
    usage: Usage = field(default_factory=Usage)
    requests: int = 0
    seconds: float = 0.0
    start: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cursor(self) -> Any:
        """The last cursor that may be kept, as the store gives it back."""
        return json.loads(json.dumps(self.pages[-1].cursor if self.pages else self.start))

    @property
    def listed(self) -> list[Mention]:
        return [mention for page in self.pages for mention in page.mentions]

    @property
    def mentions(self) -> dict[str, Mention]:
        """By id; the last one wins, as in the store."""
        return {mention.external_id: mention for mention in self.listed}

    @property
    def texts(self) -> dict[str, str]:
        return {identity: mention.text for identity, mention in self.mentions.items()}

    @property
    def skipped(self) -> int:
        return sum(len(page.skipped) for page in self.pages)


class Bench:
    """One platform under test."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.kind = connectors.connector_class(channel)
        self.clock = SteppedClock(NOW)
        self.standin = standin_class(channel)(self.clock)
        self.stream = StreamSpec(
            organization="st-elsewhere",
            channel=channel,
            kind=self.kind.kinds[0],
            query=QUERY,
            options=self.kind.options_model().model_dump(mode="json"),
            names=("St. Elsewhere Hospital", "St. Elsewhere"),
        )
        self.errors: list[ListenerError] = []
        self._connected: list[Connector] = []

    def posts(self, count: int, *, ago: timedelta = timedelta(hours=40)) -> list[Post]:
        """Make lifelike posts, the first one ``ago``, spread evenly up to now; publish them."""
        posts = self.standin.example_posts(count, self.clock.now() - ago, ago / (count + 1))
        self.standin.publish(*posts)
        return posts

    @staticmethod
    def texts(posts: list[Post]) -> dict[str, str]:
        """By id, the text that a connector owes for each post."""
        return {
            post.external_id: clean_text(f"{post.title}\n\n{post.text}" if post.title else post.text)
            for post in posts
        }

    def step(self, forward: timedelta) -> None:
        """Let time go by."""
        self.clock.step_to(self.clock.now() + forward)

    def small_pages(self) -> None:
        """Have the platform page as finely as it can."""
        if hasattr(self.standin, "page_size_cap"):
            self.standin.page_size_cap = 10

    def settings(self, secrets: Mapping[str, str] | None = None, **keys: Any) -> Settings:
        keys = {"base_url": self.standin.base_url, "timeout_seconds": TIMEOUT} | keys
        secrets = self.standin.secrets if secrets is None else secrets
        environment = {f"LISTENER_{self.channel}_{name}".upper(): value for name, value in secrets.items()}
        return Settings(connectors={self.channel: keys}, environment=environment)

    def connector(self, secrets: Mapping[str, str] | None = None, **keys: Any) -> Connector:
        connector = connectors.connect(self.settings(secrets, **keys), self.channel, clock=self.clock)
        self._connected.append(connector)
        return connector

    def meter(self, **keys: Any) -> Meter:
        """A meter with the budget that ``[connectors.<channel>]`` with ``keys`` gives."""
        settings = connectors.connector_settings(self.settings(**keys), self.channel)
        limits, _, resets_at = self.kind.budget(settings, self.clock.now())
        return Meter(limits, resets_at=resets_at)

    def read(
        self,
        cursor: Mapping[str, Any] | None = None,
        window: Window | None = None,
        *,
        connector: Connector | None = None,
        meter: Meter | None = None,
        pages: int | None = None,
    ) -> Reading:
        """Pull to the end, to the error, or up to ``pages`` pages."""
        connector = connector or self.connector()
        meter = meter or Meter(Limits(requests=ENOUGH_REQUESTS))
        pulling = connector.pull(self.stream, cursor or {}, window or Window(), meter)
        return self._take(pulling, Reading(start=cursor or {}), meter, pages)

    def recheck(self, external_ids: list[str], *, connector: Connector | None = None) -> Reading:
        meter = Meter(Limits(requests=ENOUGH_REQUESTS))
        return self._take((connector or self.connector()).recheck(external_ids, meter), Reading(), meter, None)

    def _take(self, pulling: Iterator[Page], reading: Reading, meter: Meter, pages: int | None) -> Reading:
        before = len(self.standin.requests)
        began = time.perf_counter()
        try:
            while pages is None or len(reading.pages) < pages:
                page = next(pulling, None)
                if page is None:
                    break
                reading.pages.append(page)
        except ListenerError as error:
            reading.error = error
            self.errors.append(error)
        finally:
            if inspect.isgenerator(pulling):
                pulling.close()
        reading.seconds = time.perf_counter() - began
        reading.usage = meter.usage
        reading.requests = len(self.standin.requests) - before
        return reading

    def whole(self, cursor: Mapping[str, Any] | None = None, window: Window | None = None) -> Reading:
        """Pull to the end, which must come without an error."""
        reading = self.read(cursor, window)
        if reading.error:
            raise AssertionError(f"the pull did not come to its end: {reading.error}") from reading.error
        return reading

    def close(self) -> None:
        for connector in self._connected:
            connector.close()
        self.standin.stop()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long anybody wanted to sleep: the SDKs' pauses are counted instead of waited for."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: taken.append(float(seconds)))
    return taken


@pytest.fixture
def bench(channel: str, toy_path: None, naps: list[float], caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    """The platform under test; afterwards, whatever the test was about: no secret came out, nobody slept long."""
    caplog.set_level(logging.DEBUG)
    bench = Bench(channel)
    bench.standin.start()
    try:
        yield bench
    finally:
        bench.close()
    assert sum(naps) <= LONGEST_NAP, f"slept {naps} inside a job"
    written = [(record.name, _written(record)) for record in caplog.get_records("call")]
    written += [("an error", "".join(traceback.format_exception(error)) + repr(error)) for error in bench.errors]
    for secret in _disguises(bench.standin.secrets):
        leaks = {where for where, text in written if secret in text}
        assert not leaks, f"a secret stands in what was said by: {', '.join(leaks)}"


def _written(record: logging.LogRecord) -> str:
    return logging.Formatter().format(record) + str(record.__dict__)


def _disguises(secrets: Mapping[str, str]) -> set[str]:
    """The secrets as they are, in a URL, and as HTTP Basic credentials."""
    pairs = {f"{a}:{b}" for a in secrets.values() for b in secrets.values() if a != b}
    basic = {base64.b64encode(pair.encode()).decode() for pair in pairs}
    return set(secrets.values()) | {quote(value, safe="") for value in secrets.values()} | basic


@pytest.fixture
def sample_files(channel: str) -> list[Path]:
    """The channel's golden samples."""
    folder = samples_of(channel)
    files = sorted(folder.glob("*.json")) if folder else []
    return [path for path in files if path.name != "item.json"]


@pytest.fixture
def normalise(channel: str, toy_path: None) -> Callable[[Any], Mention]:
    """What makes a mention of one payload of the channel."""
    module = importlib.import_module(connectors.connector_class(channel).__module__)
    found: Callable[[Any], Mention] = module.normalise
    return found


@pytest.fixture
def as_json() -> Callable[[Mention], dict[str, Any]]:
    """What writes a mention as the golden samples do."""
    return _as_json


def _as_json(mention: Mention) -> dict[str, Any]:
    """A mention as the golden samples write it."""
    moments = {
        name: moment.isoformat() if (moment := getattr(mention, name)) else None
        for name in ("published_at", "edited_at", "removed_at")
    }
    plain = ("channel", "external_id", "text", "permalink", "parent_external_id", "conversation_id", "language")
    author = mention.author
    return {
        **{name: getattr(mention, name) for name in plain},
        **moments,
        "kind": str(mention.kind),
        "author": {"id": author.id, "handle": author.handle} if author else None,
        "metrics": {name: getattr(mention.metrics, name) for name in ("likes", "replies", "shares", "views")},
    }
