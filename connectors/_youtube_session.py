"""What every part of a YouTube pull works with: the API, the stream's state, and the pages that go out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors._youtube_api import ItemGone, ListPage, TokenRefused, YoutubeApi
from connectors._youtube_items import Thread, normalise, read_reply, shown_id
from connectors.base import Meter, Page, Room, read_each
from listener.errors import RetryLater, SkipItem

if TYPE_CHECKING:
    from connectors._youtube_cursor import Pull, State, Track
    from listener.clock import Clock
    from listener.mention import Mention

THREADS = {"order": "time", "textFormat": "plainText", "part": "snippet,replies"}
"""How comment threads are asked for, newest first."""
_THREADS_AT_ONCE = 100
_BROUGHT = 6
"""A thread brings its comment and up to five replies."""
_COMMENTS = {"textFormat": "plainText", "part": "snippet", "maxResults": 100}
_STALE_PAGES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a stream asks for: a search for ``query``, or with ``account`` what is said on a channel's videos."""

    query: str
    account: str | None
    follow_seconds: int
    max_videos: int
    search_seconds: int
    reread_seconds: int


class Listing:
    """Follows one list from page to page, and notices when it does not come to an end."""

    def __init__(self) -> None:
        self._tokens: set[str] = set()
        self._ids: set[str] = set()
        self._stale = 0

    def check(self, page: ListPage) -> None:
        """Take note of a page; raises ``RetryLater`` for a list that goes round, or on and on with nothing new."""
        ids = {identity for item in page.items if (identity := shown_id(item))}
        self._stale = self._stale + 1 if ids <= self._ids else 0
        self._ids |= ids
        if page.next_token and (page.next_token in self._tokens or self._stale >= _STALE_PAGES):
            raise RetryLater("YouTube's list goes round in a circle and does not end")
        self._tokens.add(page.next_token or "")


@dataclass(slots=True)
class Session:
    """One run's means: where to ask, what the stream knows, and what was skipped since the last page."""

    api: YoutubeApi
    clock: Clock
    meter: Meter
    orders: Orders
    track: Track
    pull: Pull
    room: Room
    skipped: list[SkipItem] = field(default_factory=list)

    @property
    def state(self) -> State:
        """The stream's state, or that of a window read aside."""
        return self.track.state

    def threads_at_once(self) -> int:
        """Return how many comment threads to ask for, so that what they bring is still wanted."""
        return max(1, self.room.page_size(_THREADS_AT_ONCE * _BROUGHT) // _BROUGHT)

    def now(self) -> int:
        """Return the present second."""
        return math.floor(self.clock.now().timestamp())

    def read(self, payloads: Iterable[Any]) -> list[Mention]:
        """Normalise payloads; those that cannot be read go out with the next page."""
        mentions, skipped = read_each(normalise, payloads)
        self.skipped += skipped
        return list(mentions)

    def wanted(self, mentions: Iterable[Mention], floor: int | None = None) -> list[Mention]:
        """Return those that lie in the window and, with ``floor``, are new or edited since then."""
        since, pull = self.state.since, self.pull
        return [
            mention
            for mention in mentions
            if pull.wants(published := mention.published_at.timestamp())
            and (since is None or published >= since)
            and (floor is None or max(published, _edited(mention)) >= floor)
        ]

    def page(self, mentions: Iterable[Mention] = (), *, covered: tuple[datetime, datetime] | None = None) -> Page:
        """Return a page with the state as it is now."""
        skipped, self.skipped = tuple(self.skipped), []
        given = tuple(mentions)
        self.room.take(len(given))
        return Page(mentions=given, cursor=self.track.cursor(), covered=covered, skipped=skipped)

    def replies(self, thread: Thread) -> list[Mention]:
        """Return every reply of a thread, by as many requests as it takes; none where its comment is gone."""
        listing, token = Listing(), None
        mentions: list[Mention] = []
        while True:
            try:
                page = self.api.ask(
                    "comments", self.meter, **_COMMENTS, parentId=thread.external_id, pageToken=token
                )
            except ItemGone:
                return mentions
            except TokenRefused as refused:
                raise RetryLater(f"{refused}, while reading replies") from refused
            listing.check(page)
            mentions += self.read(read_reply(item, thread.video_id) for item in page.items)
            token = page.next_token
            if token is None:
                return mentions


def _edited(mention: Mention) -> float:
    return mention.edited_at.timestamp() if mention.edited_at else 0.0
