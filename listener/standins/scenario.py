"""The world of the demo: one fictional hospital, twelve weeks of mentions, three platforms and one clock.

A pull a day or so walks through it (:func:`walk`), as X gives only seven days back. :meth:`World.truth` says
how many mentions a faultless pipeline has counted at the end, from the posts alone, and :meth:`World.meanings`
what their authors meant, which no pipeline hears without a fault.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias
from zoneinfo import ZoneInfo

from listener.clock import SteppedClock
from listener.standins.generator import CHANNELS, MIN_REMOVAL_DELAY, ST_ELSEWHERE, Spike, generate
from listener.standins.posts import as_of
from listener.standins.reddit import RedditStandin
from listener.standins.twitter import TwitterStandin
from listener.standins.youtube import YoutubeStandin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from listener.standins.posts import Meaning, Post
    from listener.standins.server import Standin

ORGANIZATION_SLUG = "st-elsewhere"
ZONE = ZoneInfo(ST_ELSEWHERE.timezone)
START = datetime(2026, 8, 24, tzinfo=ZONE)
END = datetime(2026, 11, 16, tzinfo=ZONE)
"""Midnight after Sunday 2026-11-15: the last whole week is 2026-W46. Daylight saving time ends on the way."""
SPIKE = Spike(
    topic="waiting-times",
    start=datetime(2026, 10, 12, tzinfo=ZONE),
    end=datetime(2026, 10, 19, tzinfo=ZONE),
    factor=4.0,
)
SPIKE_WEEK = "2026-W42"
PER_WEEK = 375
SEED = 5
"""Of a few this one has no week in which a single long thread outweighs the planted event."""
DAY = timedelta(days=1)
AUTHOR_KEY = "demo-only-author-key-0123456789abcdef"

ALL = "all"
Truth: TypeAlias = dict[tuple[str, str], int]
"""Mentions by ISO week (``"2026-W46"``) and channel; ``"all"`` stands for every channel."""

STANDINS: Mapping[str, type[Standin]] = {
    "twitter": TwitterStandin,
    "reddit": RedditStandin,
    "youtube": YoutubeStandin,
}


def demo_settings_toml(base_urls: Mapping[str, str], database_url: str) -> str:
    """Return a ``listener.toml`` that listens for the demo's hospital at ``base_urls`` (by channel)."""
    quoted = {name: json.dumps(value, ensure_ascii=False) for name, value in base_urls.items()}
    own = ", ".join(f"{name} = [{json.dumps(account)}]" for name, account in ST_ELSEWHERE.own_accounts.items())
    short, handle = ST_ELSEWHERE.short, ST_ELSEWHERE.handle
    return f"""\
[store]
url = {json.dumps(database_url, ensure_ascii=False)}

[privacy]
author_key = "weekly"

[connectors.twitter]
base_url = {quoted["twitter"]}
daily_budget_usd = 5.0

[connectors.reddit]
base_url = {quoted["reddit"]}

[connectors.youtube]
base_url = {quoted["youtube"]}

[[organizations]]
slug = "{ORGANIZATION_SLUG}"
name = "{ST_ELSEWHERE.name}"
timezone = "{ST_ELSEWHERE.timezone}"
aliases = ["{short.replace(".", "")}", "{handle}"]
own_accounts = {{ {own} }}

[[organizations.streams]]
channel = "twitter"
query = '"{short}" OR {handle}'
every = "15m"

[[organizations.streams]]
channel = "reddit"
query = '"{short}"'
subreddits = ["all"]
every = "30m"

[[organizations.streams]]
channel = "youtube"
query = '"{ST_ELSEWHERE.name}"'
every = "6h"
"""


def demo_environment() -> dict[str, str]:
    """Return the environment variables that hold the secrets the stand-ins take, and a key for pseudonyms."""
    secrets = {
        f"LISTENER_{channel}_{name}".upper(): secret
        for channel, standin in STANDINS.items()
        for name, secret in standin.secrets.items()
    }
    return {**secrets, "LISTENER_AUTHOR_KEY": AUTHOR_KEY}


class World:
    """The three platforms on loopback, what is posted on them, and the clock that all share.

    Use it as a context manager, or call ``start`` and ``stop``. The clock stands at ``start`` until somebody
    steps it; ``last_pull`` is a day after ``end``. ``ports`` picks a port by channel, else a free one is taken.
    """

    def __init__(
        self,
        *,
        seed: int = SEED,
        per_week: int = PER_WEEK,
        start: datetime = START,
        end: datetime = END,
        spike: Spike | None = SPIKE,
        ports: Mapping[str, int] | None = None,
    ) -> None:
        self.clock = SteppedClock(start)
        self.end = end
        self.posts_by_channel: dict[str, tuple[Post, ...]] = {
            channel: tuple(
                generate(seed=seed, start=start, end=end, per_week=per_week, channels=[channel], spike=spike)
            )
            for channel in CHANNELS
        }
        self.standins: dict[str, Standin] = {
            channel: STANDINS[channel](self.clock, posts, port=(ports or {}).get(channel, 0))
            for channel, posts in self.posts_by_channel.items()
        }
        self._started = ExitStack()

    @property
    def last_pull(self) -> datetime:
        """When the last week has been over for a day: :func:`walk` ends here."""
        return self.end + DAY

    @property
    def base_urls(self) -> dict[str, str]:
        """Where each platform listens, once started."""
        return {channel: standin.base_url for channel, standin in self.standins.items()}

    def settings_toml(self, database_url: str) -> str:
        """Return the configuration for these platforms, once started."""
        return demo_settings_toml(self.base_urls, database_url)

    def start(self) -> Self:
        """Let all platforms listen."""
        with ExitStack() as starting:
            for standin in self.standins.values():
                starting.enter_context(standin)
            self._started = starting.pop_all()
        return self

    def stop(self) -> None:
        """Let none listen any more."""
        self._started.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def published(self, channel: str) -> dict[str, Post]:
        """Return what a channel has shown by now, by id: the hospital's own posts and removed ones too."""
        now = self.clock.now()
        return {post.external_id: post for post in self.posts_by_channel[channel] if post.published_at <= now}

    def truth(self) -> Truth:
        """Return how much has been said by now, for a pipeline that has pulled at least once a day.

        The hospital's own posts are left out and removed ones are counted. Weeks are the hospital's own. Zero
        counts are not listed.
        """
        counts: Counter[tuple[str, str]] = Counter()
        for channel in self.posts_by_channel:
            for post in self.published(channel).values():
                if not post.own:
                    week = _iso_week(post)
                    counts[week, channel] += 1
                    counts[week, ALL] += 1
        return dict(counts)

    def meanings(self, *, derived_metrics: bool = False) -> dict[tuple[str, str], Meaning]:
        """Return what people mean by their posts as these read now, by channel and external id.

        A removed post means what it meant before. Left out are what a pipeline cannot hear or does not count: all
        of YouTube unless ``derived_metrics``, posts in a language that nobody reads, and the hospital's own.
        """
        now = self.clock.now()
        return {
            (channel, external_id): as_of(post, now).meaning
            for channel in self.posts_by_channel
            if derived_metrics or channel != "youtube"
            for external_id, post in self.published(channel).items()
            if not post.own and post.purpose is not None
        }


def walk(world: World, pull: Callable[[datetime], None], *, every: timedelta = DAY) -> int:
    """Step the world's clock ``every`` so often to its ``last_pull``, call ``pull`` at each stop, count the stops.

    Goes on from where the clock stands. Raises ``ValueError`` for steps so long that something could be
    removed unseen between two pulls.
    """
    if not timedelta(0) < every <= MIN_REMOVAL_DELAY:
        raise ValueError(f"pull at least every {MIN_REMOVAL_DELAY}, or posts are removed before anyone sees them")
    stops = 0
    while (now := world.clock.now()) < world.last_pull:
        world.clock.step_to(min(now + every, world.last_pull))
        pull(world.clock.now())
        stops += 1
    return stops


def _iso_week(post: Post) -> str:
    year, week, _ = post.published_at.astimezone(ZONE).isocalendar()
    return f"{year}-W{week:02d}"
