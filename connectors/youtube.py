"""YouTube: videos that a search finds, and the comments and replies below them (Data API v3, by API key).

Searches are dear (a bucket of 100 a day), everything else is cheap (10,000 units a day, one a request). So a
pull searches once, asks for the counts of all followed videos 50 at a time, and reads the threads of those whose
count changed. Where the day's searches are used up, it goes on following what it knows and ends with
``QuotaExhausted``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import filterfalse
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_serializer

from connectors import _youtube_archive
from connectors._youtube_api import IDS_AT_ONCE, YoutubeApi, quota_day
from connectors._youtube_cursor import Reading, at, depth_of, open_pull, open_track
from connectors._youtube_discovery import discover
from connectors._youtube_items import comment_count, is_video, normalise, shown_id, tombstone
from connectors._youtube_session import Orders, Session
from connectors._youtube_threads import ThreadReader
from connectors.base import (
    Archived,
    ConnectorSettings,
    Cursor,
    Limits,
    Meter,
    Page,
    Room,
    StreamOptions,
    StreamSpec,
    Window,
    batches,
    read_each,
    require_query,
)
from listener.errors import ConfigError, QuotaExhausted, SkipItem
from listener.settings import Duration

if TYPE_CHECKING:
    from pydantic import SecretStr

    from listener.clock import Clock

__all__ = ["YoutubeConnector", "YoutubeOptions", "YoutubeSettings", "normalise"]

_NO_VIDEO = "-----------"


class YoutubeSettings(ConnectorSettings):
    """``[connectors.youtube]``."""

    daily_quota_units: int = Field(
        default=10_000, ge=1, description="Stop for the Pacific day after this many units (one a request)."
    )
    daily_searches: int = Field(
        default=100,
        ge=1,
        description="Stop searching for the Pacific day after this many searches. A stream that wants one more "
        "follows its known videos once and then rests until the day ends: space the searches by search_every.",
    )
    derived_metrics: bool = Field(
        default=False,
        description="YouTube's terms forbid metrics derived from its data, such as topics and sentiment, unless "
        "Google has accepted your amendment. While this is false YouTube's mentions are counted without topic "
        "and sentiment.",
    )


class YoutubeOptions(StreamOptions):
    """What a YouTube stream can say beyond its query."""

    account: str | None = Field(
        default=None,
        pattern=r"^UC[A-Za-z0-9_-]{22}$",
        description='For kind = "channel": the id (UC…) of the channel whose videos\' comments are read.',
    )
    follow_days: int = Field(
        default=30, ge=1, le=366, description="Follow a video until it has had nothing new for this many days."
    )
    max_videos: int = Field(default=200, ge=1, le=500, description="Follow at most this many, the liveliest.")
    search_every: Duration = Field(
        default=timedelta(0),
        description="Search for new videos at most this often; pulls in between only follow the known ones. Set "
        "it where a stream is pulled every few minutes: a day has 100 searches for all streams together, and "
        "once they are used up a stream that wants to search rests until the day ends, known videos included.",
    )
    reread_every: Duration = Field(
        default=timedelta(days=1),
        description="Read all comments of a followed video again this often, whatever its comment count says.",
    )

    @field_serializer("search_every", "reread_every")
    def _as_written(self, value: timedelta) -> str:
        return f"{int(value.total_seconds())}s"


class YoutubeConnector:
    """Reads YouTube by API key. Needs no permission of anybody's channel, and writes nothing."""

    channel: ClassVar[str] = "youtube"
    secrets: ClassVar[tuple[str, ...]] = ("api_key",)
    kinds: ClassVar[tuple[str, ...]] = ("search", "channel")
    lookback: ClassVar[timedelta | None] = None
    recheck_every: ClassVar[timedelta | None] = None
    settings_model: ClassVar[type[ConnectorSettings]] = YoutubeSettings
    archive_formats: ClassVar[tuple[str, ...]] = _youtube_archive.FORMATS
    options_model: ClassVar[type[StreamOptions]] = YoutubeOptions

    def __init__(
        self, settings: YoutubeSettings, secrets: Mapping[str, SecretStr], *, clock: Clock, user_agent: str
    ) -> None:
        self._clock = clock
        self._api = YoutubeApi(
            base_url=settings.base_url,
            timeout=settings.timeout_seconds,
            key=secrets["api_key"],
            user_agent=user_agent,
            clock=clock,
        )

    @classmethod
    def budget(cls, settings: YoutubeSettings, now: datetime) -> tuple[Limits, datetime, datetime]:
        """Return the limits, and the Pacific day that Google counts them in."""
        limits = Limits(
            requests=settings.daily_requests,
            quota_units=settings.daily_quota_units,
            searches=settings.daily_searches,
        )
        return limits, *quota_day(now)

    @classmethod
    def check_stream(cls, stream: StreamSpec) -> None:
        """Refuse a search without a query, and a channel without its id."""
        if stream.kind == "search":
            require_query(stream)
        elif not stream.options.get("account"):
            raise ConfigError('account is missing: write account = "UC…", the id of the channel to read')

    @classmethod
    def archive_format(cls, payload: Mapping[str, Any]) -> str | None:
        """Return which of its formats ``payload`` looks like (see :mod:`connectors._youtube_archive`), or None."""
        return _youtube_archive.archive_format(payload)

    @classmethod
    def archived(cls, payload: Mapping[str, Any], *, seen_at: datetime) -> Iterator[Archived | SkipItem]:
        """Yield what ``payload`` holds (see :mod:`connectors._youtube_archive`)."""
        del seen_at  # nothing in an archive of YouTube says that a comment is gone
        yield from _youtube_archive.archived(payload)

    def pull(self, stream: StreamSpec, cursor: Cursor, window: Window, meter: Meter) -> Iterator[Page]:
        """Yield new videos, the followed videos as they are now, and their new comments and replies."""
        orders, track, now = _orders(stream), open_track(cursor, window), self._clock.now()
        room = Room(window.limit)
        pull, goes_on = open_pull(track.state, window, now=now)
        yield from _run(Session(self._api, self._clock, meter, orders, track, pull, room))
        if goes_on and pull.start < int(now.timestamp()) and window.until is None and not track.is_aside:
            # The stopped pull is done as far as its own day went: now for what came since.
            pull, _ = open_pull(track.state, Window(), now=now)
            yield from _run(Session(self._api, self._clock, meter, orders, track, pull, room))

    def recheck(self, external_ids: Iterable[str], meter: Meter) -> Iterator[Page]:
        """Look videos and comments up again, 50 to a request; those that are gone become tombstones."""
        identities = list(dict.fromkeys(external_ids))
        for batch in batches(filter(is_video, identities), IDS_AT_ONCE):
            yield self._as_page(batch, self._api.look_up("videos", batch, meter, part="snippet,statistics"))
        for batch in batches(filterfalse(is_video, identities), IDS_AT_ONCE):
            yield self._as_page(batch, self._look_up_comments(batch, meter))

    def check(self, meter: Meter) -> None:
        """Ask for a video that does not exist: one unit, and the key is proven."""
        self._api.look_up("videos", [_NO_VIDEO], meter, part="id")

    def close(self) -> None:
        """Let go of connections."""
        self._api.close()

    def _look_up_comments(self, batch: list[str], meter: Meter) -> list[Any]:
        """Look comments up as threads first: only so the API tells how many replies one has."""
        text = {"part": "snippet", "textFormat": "plainText"}
        found = self._api.look_up(
            "commentThreads", [identity for identity in batch if "." not in identity], meter, **text
        )
        known = {shown_id(item) for item in found}
        return found + self._api.look_up(
            "comments", [identity for identity in batch if identity not in known], meter, **text
        )

    def _as_page(self, asked: Iterable[str], items: list[Any]) -> Page:
        mentions, skipped = read_each(normalise, items)
        there = {shown_id(item) for item in items}
        gone = [tombstone(identity, self._clock.now()) for identity in asked if identity not in there]
        return Page(mentions=(*mentions, *gone), cursor={}, skipped=skipped)


def _orders(stream: StreamSpec) -> Orders:
    options = YoutubeOptions.model_validate(dict(stream.options))
    return Orders(
        query=stream.query,
        account=options.account if stream.kind == "channel" else None,
        follow_seconds=options.follow_days * 86_400,
        max_videos=options.max_videos,
        search_seconds=int(options.search_every.total_seconds()),
        reread_seconds=int(options.reread_every.total_seconds()),
    )


def _run(session: Session) -> Iterator[Page]:
    """Yield the pages of the pull that is on its way; the last one says what is covered."""
    pull = session.pull
    out_of_searches: QuotaExhausted | None = None
    if pull.discovered is None:
        try:
            yield from discover(session)
        except QuotaExhausted as spent:
            out_of_searches = spent
    if pull.todo is None:
        # Longest unread first: where the quota ends a pull early, the next one begins with the others.
        videos = session.state.videos.items()
        pull.todo = [identity for identity, _ in sorted(videos, key=lambda item: (item[1].swept or 0, item[0]))]
    yield from _follow(session)
    if out_of_searches:
        pull.todo = None
        yield session.page()
        raise out_of_searches
    yield _finish(session)


def _follow(session: Session) -> Iterator[Page]:
    pull = session.pull
    while True:
        if pull.reading:
            yield from ThreadReader(session, pull.reading).pages()
        elif pull.waiting:
            video_id = next(iter(pull.waiting))
            pull.reading = Reading(video_id, *pull.waiting.pop(video_id))
        elif pull.todo:
            yield _look_up_counts(session, pull.todo[: session.room.page_size(IDS_AT_ONCE)])
        else:
            return


def _look_up_counts(session: Session, batch: list[str]) -> Page:
    """Return the followed videos of a batch as they are now; those with something to read are set waiting."""
    pull, began = session.pull, session.now()
    found = session.api.look_up("videos", batch, session.meter, part="snippet,statistics")
    windowed = pull.since is not None
    for item in found:
        identity = shown_id(item)
        video = session.state.videos.get(identity or "")
        if video is None or identity is None:
            continue
        count = comment_count(item)
        depth = depth_of(video, count, now=began, windowed=windowed, reread_seconds=session.orders.reread_seconds)
        if count == 0:
            video.settle(pull, began, count, swept=True)
        elif depth is not None:
            pull.waiting[identity] = (depth, count, began)
    pull.todo = (pull.todo or [])[len(batch) :]
    return session.page(session.wanted(session.read(found)))


def _finish(session: Session) -> Page:
    state, pull, orders = session.state, session.pull, session.orders
    covered = None
    if pull.discovered:
        # A first pull looks back as far as YouTube gives; as read whole it claims no more than it would follow.
        start = pull.since if pull.since is not None else state.searched_to or pull.end - orders.follow_seconds
        covered = (at(start), at(pull.end)) if start < pull.end else None
        state.searched_to = max(state.searched_to or pull.end, pull.end)
    state.trim(now=session.now(), follow_seconds=orders.follow_seconds, most=orders.max_videos)
    state.pull = None
    session.track.finish()
    return session.page(covered=covered)
