"""Finding the videos that a YouTube stream follows: by a search, or by what is said on a channel's videos."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from connectors._youtube_api import ItemGone, ListPage, TokenRefused
from connectors._youtube_cursor import Video, at
from connectors._youtube_items import found_video, read_thread
from connectors._youtube_session import THREADS, Listing, Session
from listener.errors import ConfigError, RetryLater, SkipItem

if TYPE_CHECKING:
    from connectors.base import Page

_LARGEST_SEARCH_PAGE = 50


def discover(session: Session) -> Iterator[Page]:
    """Yield the discovery's pages; at the end ``pull.discovered`` says whether there was one.

    Between two searches ``search_every`` apart a pull only follows what is known.
    """
    orders, pull = session.orders, session.pull
    waited = pull.start - (session.state.searched_at or 0)
    asked_for = pull.since is not None or pull.until is not None or pull.token is not None
    if waited < orders.search_seconds and not asked_for:
        pull.discovered = False
        return
    yield from _listen(session, orders.account) if orders.account else _search(session)
    _done(session)


def _done(session: Session) -> None:
    session.state.searched_at = session.pull.start
    session.pull.discovered = True


def _search(session: Session) -> Iterator[Page]:
    pull = session.pull
    parameters = {
        "part": "id,snippet",
        "q": session.orders.query,
        "type": "video",
        "order": "date",
        "maxResults": _LARGEST_SEARCH_PAGE,
        "publishedAfter": _rfc3339(pull.after),
        "publishedBefore": _rfc3339(pull.until),
    }
    for page in _pages(session, "search", parameters):
        for item in page.items:
            try:
                session.state.videos.setdefault(found_video(item), Video(pull.start))
            except SkipItem as unreadable:
                session.skipped.append(unreadable)
        if page.next_token:
            pull.token = page.next_token
            yield session.page()


def _listen(session: Session, account: str) -> Iterator[Page]:
    """Read the newest threads of a channel, and follow the videos they are about."""
    pull, videos = session.pull, session.state.videos
    try:
        asked = {**THREADS, "maxResults": session.threads_at_once(), "allThreadsRelatedToChannelId": account}
        for page in _pages(session, "commentThreads", asked):
            threads = [read_thread(item) for item in page.items]
            mentions = session.read(payload for thread in threads for payload in thread.payloads)
            past = bool(mentions) and all(mention.published_at < at(pull.after or 0) for mention in mentions)
            for thread in threads:
                if thread.video_id and len(videos) < session.orders.max_videos:
                    videos.setdefault(thread.video_id, Video(pull.start, read_to=pull.after))
                if thread.video_id not in videos and thread.replies > thread.brought:
                    mentions += session.replies(thread)
            pull.token = page.next_token
            if past or not page.next_token:
                _done(session)
            yield session.page(session.wanted(mentions, pull.after))
            if past:
                return
    except ItemGone as gone:
        raise ConfigError(f"{gone}: check the account {account} of the YouTube stream") from gone


def _pages(session: Session, resource: str, parameters: dict[str, Any]) -> Iterator[ListPage]:
    """Page on from ``pull.token``, beginning anew once where that is refused."""
    listing, token, renewed = Listing(), session.pull.token, False
    while True:
        try:
            page = session.api.ask(resource, session.meter, **parameters, pageToken=token)
        except TokenRefused as refused:
            if renewed:
                raise RetryLater(f"{refused}, again and again") from refused
            listing, token, renewed = Listing(), None, True
            continue
        listing.check(page)
        yield page
        token = page.next_token
        if token is None:
            return


def _rfc3339(seconds: int | None) -> str | None:
    return None if seconds is None else at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")
