"""What the benchmarks listen to: the demo's hospital, pulled from stand-ins or written as ready records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import connectors
from connectors.base import Meter, Window
from jobs.hearing import Hearing, account_names, analyzer_for
from listener.clock import SteppedClock
from listener.settings import Settings, load
from listener.signals.taxonomy import Taxonomy
from listener.standins.generator import CHANNELS
from listener.standins.scenario import demo_environment, demo_settings_toml

if TYPE_CHECKING:
    from connectors.base import StreamSpec
    from listener.mention import Mention
    from listener.signals.analysis import Analyzer

MOMENT = datetime(2026, 11, 16, 12, tzinfo=UTC)
"""When it is, for every benchmark that does not run the command itself."""
# A port that nothing listens on: the channels that are not measured are not asked.
_NOWHERE = "http://127.0.0.1:9"


def clock() -> SteppedClock:
    """Return a clock that stands at :data:`MOMENT`."""
    return SteppedClock(MOMENT)


def write_config(folder: Path, database_url: str, base_urls: Mapping[str, str]) -> Path:
    """Write the demo's configuration, with a budget beyond reach, and its secrets; return the file."""
    toml = demo_settings_toml({**dict.fromkeys(CHANNELS, _NOWHERE), **base_urls}, database_url)
    return write_files(folder, toml.replace("daily_budget_usd = 5.0", "daily_budget_usd = 1_000_000.0"))


def write_files(folder: Path, toml: str) -> Path:
    """Write a configuration, and the stand-ins' secrets beside it; return the file."""
    folder.mkdir(exist_ok=True)
    config = folder / "listener.toml"
    config.write_text(toml, encoding="utf-8")
    secrets = "".join(f"{name}={value}\n" for name, value in demo_environment().items())
    (folder / ".env").write_text(secrets, encoding="utf-8")
    return config


def asked_anew(config: Path) -> None:
    """Change the query's spelling and not its meaning: another stream, with a cursor of its own."""
    toml = config.read_text(encoding="utf-8")
    config.write_text(toml.replace('" OR ', '"  OR '), encoding="utf-8")


def settings_of(config: Path) -> Settings:
    """Read a configuration that :func:`write_config` wrote."""
    return load(config, environ={})


@dataclass(frozen=True, slots=True)
class Line:
    """The stations of the pipeline for one stream, each for itself."""

    stream: StreamSpec
    analyzer: Analyzer
    hearing: Hearing
    taxonomy: Taxonomy


def line(settings: Settings, channel: str) -> Line:
    """Return what ingest makes for the stream of ``channel``."""
    (stream,) = (spec for spec, _ in connectors.streams(settings) if spec.channel == channel)
    taxonomy = Taxonomy.load(settings.topics_file)
    analyzer = analyzer_for(settings, taxonomy)
    secret = settings.author_secret
    hearing = Hearing(
        channel=channel,
        analyzer=analyzer,
        zone=settings.organization(stream.organization).zone,
        own_accounts=account_names(stream.own_accounts),
        author_key=settings.privacy.author_key,
        author_secret=secret.get_secret_value() if secret else None,
    )
    return Line(stream, analyzer, hearing, taxonomy)


def fetched(settings: Settings, stream: StreamSpec) -> Iterator[list[Mention]]:
    """Pull a stream from its beginning through the real SDK; yield its pages."""
    connector = connectors.connect(settings, stream.channel, clock=clock())
    try:
        for page in connector.pull(stream, {}, Window(), Meter()):
            yield list(page.mentions)
    finally:
        connector.close()
