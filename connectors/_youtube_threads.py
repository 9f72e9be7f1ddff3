"""Reading one video's comment threads.

YouTube has no "comments since". What keeps a comment from being lost:

- the video's watermark moves only with the last page of its threads;
- threads come newest first, so that new ones are met at once. A new reply below an old thread is not, but the
  video's count has then grown by more than the new ones explain: reading goes on to the oldest thread, and
  where even that does not explain it (a comment held back and released later, an order that was not kept) the
  video is read again from the start and everything on it reported;
- a removed comment can hide a new one in the count: see :func:`connectors._youtube_cursor.depth_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from connectors._youtube_api import ItemGone, ListPage, TokenRefused
from connectors._youtube_cursor import COMMENT_OVERLAP, Depth, Reading, Video
from connectors._youtube_items import Thread, read_thread
from connectors._youtube_session import THREADS, Listing, Session
from listener.errors import RetryLater

if TYPE_CHECKING:
    from connectors.base import Page
    from listener.mention import Mention


class ThreadReader:
    """Reads the video that ``session.pull.reading`` names, from the page it names."""

    def __init__(self, session: Session, reading: Reading) -> None:
        self._session = session
        self._video: Video = session.state.videos[reading.video_id]
        self._reading = reading
        self._listing = Listing()
        self._renewed = False
        self._fresh: set[str] = set()

    def pages(self) -> Iterator[Page]:
        """Yield the pages; with the last one the video is settled and the reading is over."""
        while self._session.pull.reading is self._reading:
            try:
                page = self._session.api.ask(
                    "commentThreads",
                    self._session.meter,
                    **THREADS,
                    maxResults=self._session.threads_at_once(),
                    videoId=self._reading.video_id,
                    pageToken=self._reading.token,
                )
            except TokenRefused as refused:
                if self._renewed:
                    raise RetryLater(f"{refused}, again and again") from refused
                self._begin_anew()
                continue
            except ItemGone:
                # Comments turned off, or the video made private: asked again when it is due.
                self._video.swept, self._video.count = self._reading.began, self._reading.count
                self._session.pull.reading = None
                return
            self._listing.check(page)
            yield from self._read(page)

    @property
    def _floor(self) -> int | None:
        """What was published or edited before this is stored already; None: nothing is."""
        if self._reading.depth is Depth.ALL or self._video.read_to is None:
            return None
        return self._video.read_to - COMMENT_OVERLAP

    def _read(self, page: ListPage) -> Iterator[Page]:
        session, reading = self._session, self._reading
        threads = [read_thread(item) for item in page.items]
        mentions = session.read(payload for thread in threads for payload in thread.payloads)
        self._count_fresh(mentions)
        batch = session.wanted(mentions, self._floor) if reading.expanded is None else []
        for thread in self._to_expand(threads, mentions):
            reading.expanded = reading.expanded or ""
            if batch:
                yield session.page(batch)
            replies = session.replies(thread)
            self._count_fresh(replies)
            batch = session.wanted(replies, self._floor)
            reading.expanded = thread.external_id
        if page.next_token and not self._may_stop(threads, mentions):
            reading.token, reading.expanded = page.next_token, None
        elif self._is_explained():
            self._settle()
        else:
            self._begin_anew()
        if batch:
            yield session.page(batch)

    def _to_expand(self, threads: list[Thread], mentions: Iterable[Mention]) -> list[Thread]:
        """Return the threads of which not every reply came along that may be new, less those done already."""
        published = {mention.external_id: mention.published_at.timestamp() for mention in mentions}
        floor = self._floor
        todo = [
            thread
            for thread in threads
            if thread.external_id
            and thread.replies > thread.brought
            # The newest replies come along: where an old one is among them, no newer one is missing.
            and not (floor and any(published.get(identity, floor) < floor for identity in thread.reply_ids))
        ]
        done = [thread.external_id for thread in todo]
        return todo[done.index(self._reading.expanded) + 1 :] if self._reading.expanded in done else todo

    def _count_fresh(self, mentions: Iterable[Mention]) -> None:
        if self._video.read_to is not None:
            self._fresh |= {
                mention.external_id
                for mention in mentions
                if mention.published_at.timestamp() >= self._video.read_to
            }

    def _is_explained(self) -> bool:
        """Tell whether what was seen to be new accounts for how the video's count has grown."""
        before, count = self._video.count, self._reading.count
        return (
            self._reading.depth is Depth.ALL
            or before is None
            or count is None
            or len(self._fresh) >= count - before
        )

    def _may_stop(self, threads: list[Thread], mentions: Iterable[Mention]) -> bool:
        floor = self._floor
        if floor is None or not self._is_explained():
            return False
        tops = {thread.external_id for thread in threads}
        moments = [mention.published_at.timestamp() for mention in mentions if mention.external_id in tops]
        return bool(moments) and max(moments) < floor

    def _settle(self) -> None:
        reading = self._reading
        if self._fresh:
            self._video.alive = reading.began
        self._video.settle(
            self._session.pull, reading.began, reading.count, swept=reading.depth is not Depth.NEWEST
        )
        self._session.pull.reading = None

    def _begin_anew(self) -> None:
        reading = self._reading
        self._renewed = True
        self._listing = Listing()
        self._reading = Reading(reading.video_id, Depth.ALL, reading.count, reading.began)
        self._session.pull.reading = self._reading
