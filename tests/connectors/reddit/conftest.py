"""A Reddit of its own for each test of what is peculiar to Reddit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.base import Meter, Page, StreamSpec, Window
from connectors.reddit import RedditConnector, RedditOptions, RedditSettings
from listener.clock import SteppedClock
from listener.errors import AuthError, ConfigError, RetryLater
from listener.mention import Kind, Mention, Metrics
from listener.standins.posts import Post
from listener.standins.reddit import RedditStandin

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NAMES = ("St. Elsewhere Hospital", "St. Elsewhere", "@StElsewhere")


class Reading:
    """The pages of one pull and the error that ended it, if any."""

    def __init__(self, pulling: Iterable[Page], at_most: int | None = None) -> None:
        self.pages: list[Page] = []
        self.error: Exception | None = None
        try:
            for page in pulling:
                self.pages.append(page)
                if len(self.pages) == at_most:
                    break
        except (AuthError, ConfigError, RetryLater) as error:
            self.error = error

    @property
    def cursor(self) -> dict[str, Any]:
        return json.loads(json.dumps(self.pages[-1].cursor))

    @property
    def mentions(self) -> dict[str, Mention]:
        return {mention.external_id: mention for page in self.pages for mention in page.mentions}

    @property
    def ids(self) -> set[str]:
        return {identity.split("_", 1)[1] for identity in self.mentions}

    @property
    def covered(self) -> list[tuple[datetime, datetime]]:
        return [page.covered for page in self.pages if page.covered]


class Site:
    """A Reddit of its own, and connectors to it."""

    def __init__(self) -> None:
        self.clock = SteppedClock(NOW)
        self.standin = RedditStandin(self.clock)
        self.username: str | None = None
        self._connectors: list[RedditConnector] = []

    def connector(self) -> RedditConnector:
        connector = RedditConnector(
            RedditSettings(base_url=self.standin.base_url, timeout_seconds=5, username=self.username),
            {name: SecretStr(value) for name, value in self.standin.secrets.items()},
            clock=self.clock,
            user_agent="listener-test/1.2 (a remark)",
        )
        self._connectors.append(connector)
        return connector

    def pull(
        self,
        cursor: Mapping[str, Any] | None = None,
        window: Window | None = None,
        *,
        connector: RedditConnector | None = None,
        at_most: int | None = None,
        names: tuple[str, ...] = NAMES,
        **options: Any,
    ) -> Reading:
        stream = StreamSpec(
            organization="st-elsewhere",
            channel="reddit",
            kind="search",
            query='"St. Elsewhere"',
            options=RedditOptions(**options).model_dump(mode="json"),
            names=names,
        )
        connector = connector or self.connector()
        return Reading(connector.pull(stream, cursor or {}, window or Window(), Meter()), at_most)

    def asked(self, path: str = "") -> int:
        return sum(path in request.path for request in self.standin.requests)

    def step(self, by: timedelta) -> None:
        self.clock.step_to(self.clock.now() + by)

    def head(self, identity: str, *, ago: timedelta = HOUR, **fields: Any) -> Post:
        plain = Post(
            channel="reddit",
            external_id=f"t3_{identity}",
            kind=Kind.POST,
            published_at=self.clock.now() - ago,
            title=f"At St. Elsewhere ({identity})",
            text="Six hours.",
            author_id="river",
            community="hamilton",
            conversation_id=f"t3_{identity}",
            metrics=Metrics(likes=3),
        )
        post = replace(plain, **fields)
        self.standin.publish(post)
        return post

    def comment(self, identity: str, parent: Post, *, ago: timedelta = MINUTE, **fields: Any) -> Post:
        plain = Post(
            channel="reddit",
            external_id=f"t1_{identity}",
            kind=Kind.COMMENT if parent.kind is Kind.POST else Kind.REPLY,
            published_at=self.clock.now() - ago,
            text=f"Same here, {identity}.",
            author_id="ward",
            community=parent.community,
            parent_id=parent.external_id,
            conversation_id=parent.conversation_id,
        )
        post = replace(plain, **fields)
        self.standin.publish(post)
        return post

    def close(self) -> None:
        for connector in self._connectors:
            connector.close()
        self.standin.stop()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.standin.start()
    yield site
    site.close()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken
