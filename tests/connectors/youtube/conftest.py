"""What the tests of YouTube stand on: a desk with a stand-in, a connector and a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.base import Meter, Page, StreamSpec, Window
from connectors.youtube import YoutubeConnector, YoutubeOptions, YoutubeSettings
from listener.clock import SteppedClock
from listener.mention import Kind, Mention
from listener.standins.posts import Post
from listener.standins.youtube import YoutubeStandin

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACCOUNT = "UC" + "h" * 22


@dataclass
class Desk:
    """A stand-in, a connector on it, and a stream that keeps its cursor."""

    clock: SteppedClock
    standin: YoutubeStandin
    kind: str = "search"
    options: dict[str, Any] = field(default_factory=dict)
    cursor: Any = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**6)))

    def __post_init__(self) -> None:
        self.connector = self.connect(self.standin)

    def connect(self, standin: YoutubeStandin, key: str = YoutubeStandin.secrets["api_key"]) -> YoutubeConnector:
        settings = YoutubeSettings(base_url=standin.base_url, timeout_seconds=2)
        return YoutubeConnector(settings, {"api_key": SecretStr(key)}, clock=self.clock, user_agent="test/1")

    def listen_to_the_channel(self, **options: Any) -> None:
        """Have the stream read what is said on the hospital's own channel."""
        self.kind, self.options = "channel", {"account": ACCOUNT, **options}

    @property
    def stream(self) -> StreamSpec:
        return StreamSpec(
            organization="st-elsewhere",
            channel="youtube",
            kind=self.kind,
            query='"St. Elsewhere"',
            options=YoutubeOptions.model_validate(self.options).model_dump(mode="json"),
        )

    def pull(
        self, window: Window | None = None, *, meter: Meter | None = None, pages: int | None = None
    ) -> dict[str, Mention]:
        """Pull, keep the cursor as the store does, and return what came; the pages so far stay in ``pages``."""
        self.pages = []
        pulling = self.connector.pull(self.stream, self.cursor, window or Window(), meter or Meter())
        for page in pulling:
            self.pages.append(page)
            self.cursor = json.loads(json.dumps(page.cursor))
            if pages is not None and len(self.pages) >= pages:
                break
        return self.got

    @property
    def got(self) -> dict[str, Mention]:
        return {mention.external_id: mention for page in self.pages for mention in page.mentions}

    @property
    def state(self) -> Any:
        return self.cursor["state"]

    def asked(self, path: str) -> list[Mapping[str, str]]:
        return [request.query for request in self.standin.requests if request.path.endswith(path)]

    def video(self, ago: timedelta = HOUR, **changes: Any) -> Post:
        number = next(self._numbers)
        post = Post(
            channel="youtube",
            external_id=f"vid{number:08d}",
            kind=Kind.VIDEO,
            published_at=self.clock.now() - ago,
            title="A night at St. Elsewhere",
            text="What we saw.",
            author_id=ACCOUNT,
            author_handle="The hospital",
            community=ACCOUNT,
            conversation_id=f"vid{number:08d}",
        )
        return self.publish(replace(post, **changes))

    def comment(self, under: Post, ago: timedelta = HOUR, **changes: Any) -> Post:
        number = next(self._numbers)
        reply = under.kind is Kind.COMMENT
        post = Post(
            channel="youtube",
            external_id=f"{under.external_id}.{number:022d}" if reply else f"Ug{number:024d}",
            kind=Kind.REPLY if reply else Kind.COMMENT,
            published_at=self.clock.now() - ago,
            text=f"Comment {number}",
            author_id=f"UC{number % 9:022d}",
            parent_id=under.external_id,
            conversation_id=under.conversation_id,
            language=None,
        )
        return self.publish(replace(post, **changes))

    def publish(self, post: Post) -> Post:
        self.standin.publish(post)
        return post

    def remove(self, post: Post) -> None:
        self.standin.publish(replace(post, removed_at=self.clock.now()))

    def step(self, forward: timedelta) -> None:
        self.clock.step_to(self.clock.now() + forward)


@pytest.fixture
def desk() -> Iterator[Desk]:
    clock = SteppedClock(NOW)
    with YoutubeStandin(clock) as standin:
        desk = Desk(clock, standin)
        yield desk
        desk.connector.close()
