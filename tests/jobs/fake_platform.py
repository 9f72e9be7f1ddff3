"""A platform in memory that satisfies connectors.base.Connector: holds state, can be told to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from connectors.base import ConnectorSettings, Limits, Meter, Page, StreamOptions, StreamSpec
from listener.errors import SkipItem
from listener.mention import Author, Kind, Mention
from listener.settings import OrganizationSettings, Settings, StreamSettings

TAXONOMY = Path(__file__).with_name("topics.toml")
START = datetime(2026, 11, 2, 12, tzinfo=UTC)  # a Monday


class FakeSettings(ConnectorSettings):
    derived_metrics: bool = True
    most_requests: int | None = None
    most_posts: int | None = None


@dataclass
class Feed:
    """What one channel holds: mentions in the order they are served, and what goes wrong."""

    mentions: list[Mention] = field(default_factory=list)
    page_size: int = 10
    errors: dict[int, Exception] = field(default_factory=dict)
    """Raised upon the n-th request of a pull, counted from 0."""
    refused: Exception | None = None
    """Raised on connecting."""
    skipped: tuple[SkipItem, ...] = ()
    before_page: Callable[[int], None] = lambda number: None
    covered_from: datetime | None = None
    now_known: dict[str, Mention] = field(default_factory=dict)
    """What a re-check finds, by id; an id that is not here has been left out."""
    looked_up_at_once: int = 1
    """How many ids one request of a re-check takes."""
    asked: list[str] = field(default_factory=list)
    """The ids that re-checks have asked for."""
    requests: int = 0
    closed: int = 0
    windows: list[Any] = field(default_factory=list)


class FakeConnector:
    """One channel; a subclass for each feed."""

    feed: ClassVar[Feed]
    channel: ClassVar[str]
    secrets = ()
    kinds = ("search",)
    lookback = timedelta(days=7)
    recheck_every: timedelta | None = None
    settings_model = FakeSettings
    options_model = StreamOptions

    def __init__(self, settings: FakeSettings, secrets: Any, *, clock: Any, user_agent: str) -> None:
        self.clock = clock

    @classmethod
    def budget(cls, settings: FakeSettings, now: datetime) -> tuple[Limits, datetime, datetime]:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        limits = Limits(requests=settings.most_requests, posts_read=settings.most_posts)
        return limits, midnight, midnight + timedelta(days=1)

    @classmethod
    def check_stream(cls, stream: StreamSpec) -> None:
        """Take any."""

    def pull(self, stream: StreamSpec, cursor: Any, window: Any, meter: Meter) -> Iterator[Page]:
        self.feed.windows.append(window)
        at = cursor.get("at", 0)
        read_from = cursor.get("read_until")
        since = datetime.fromisoformat(read_from) if read_from else self.clock.now() - timedelta(days=7)
        request = 0
        while True:
            meter.request()
            self.feed.requests += 1
            self.feed.before_page(request)
            if request in self.feed.errors:
                raise self.feed.errors[request]
            found = tuple(self.feed.mentions[at : at + self.feed.page_size])
            meter.add(posts_read=len(found))
            at += len(found)
            is_last = at >= len(self.feed.mentions)
            now = self.clock.now()
            kept = {"at": at, "read_until": now.isoformat()} if is_last else {**cursor, "at": at}
            yield Page(
                mentions=found,
                cursor=kept,
                covered=(self.feed.covered_from or since, now) if is_last else None,
                skipped=self.feed.skipped,
            )
            if is_last:
                return
            request += 1

    def recheck(self, external_ids: Iterable[str], meter: Meter) -> Iterator[Page]:
        waiting = list(external_ids)
        number = 0
        while waiting:
            at_once = meter.afford(least=1, most=self.feed.looked_up_at_once, posts_read=1)
            some, waiting = waiting[:at_once], waiting[at_once:]
            meter.request()
            self.feed.requests += 1
            self.feed.before_page(number)
            if number in self.feed.errors:
                raise self.feed.errors[number]
            self.feed.asked += some
            mentions = tuple(self.feed.now_known[one] for one in some if one in self.feed.now_known)
            meter.add(posts_read=len(mentions))
            yield Page(mentions=mentions, cursor={}, skipped=self.feed.skipped)
            number += 1

    def check(self, meter: Meter) -> None:
        meter.request()

    def close(self) -> None:
        self.feed.closed += 1


class FakePlatforms:
    """Stands where the package ``connectors`` stands."""

    def __init__(self, **feeds: Feed) -> None:
        self.feeds = feeds
        self._classes = {
            name: type("FakeConnector", (FakeConnector,), {"channel": name, "feed": feed})
            for name, feed in feeds.items()
        }

    def streams(self, settings: Settings) -> list[tuple[StreamSpec, StreamSettings]]:
        return [
            (
                StreamSpec(
                    organization=organization.slug,
                    channel=stream.channel,
                    kind=stream.kind,
                    query=stream.query,
                    names=organization.names,
                    own_accounts=tuple(organization.own_accounts.get(stream.channel, ())),
                ),
                stream,
            )
            for organization in settings.organizations
            for stream in organization.streams
        ]

    def connect(self, settings: Settings, channel: str, *, clock: Any) -> Any:
        if self.feeds[channel].refused:
            raise self.feeds[channel].refused
        return self._classes[channel](self.connector_settings(settings, channel), {}, clock=clock, user_agent="")

    def connector_class(self, channel: str) -> Any:
        return self._classes[channel]

    def connector_settings(self, settings: Settings, channel: str) -> FakeSettings:
        return FakeSettings.model_validate(settings.connectors.get(channel, {}))


def make_mention(number: int, **changes: Any) -> Mention:
    """An experience of care beyond doubt, about parking, unless its text is changed."""
    values: dict[str, Any] = {
        "channel": "birdsong",
        "external_id": f"m{number}",
        "kind": Kind.POST,
        "published_at": START + timedelta(minutes=number),
        "text": f"My mother was in St. Elsewhere for a week and I paid for parking every day, visit {number}",
        "author": Author(id=f"a{number % 7}", handle=f"person{number % 7}"),
        "language": "en",
    }
    return Mention(**(values | changes))


def make_organization(slug: str = "st-elsewhere", **changes: Any) -> OrganizationSettings:
    values: dict[str, Any] = {
        "slug": slug,
        "name": "St. Elsewhere Hospital",
        "timezone": "America/Toronto",
        "aliases": ["@StElsewhere"],
        "own_accounts": {"birdsong": ["@StElsewhere", "1234"]},
        "streams": [{"channel": "birdsong", "query": "elsewhere", "every": "15m"}],
    }
    return OrganizationSettings.model_validate(values | changes)


def make_settings(*organizations: OrganizationSettings, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "organizations": organizations or (make_organization(),),
        "environment": {"LISTENER_AUTHOR_KEY": "a key for tests"},
        "topics": {"file": TAXONOMY},
    }
    return Settings.model_validate(values | changes)
