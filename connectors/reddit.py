"""Reddit through praw: submissions by search, and the comments below them.

The API has no search for comments. They are read where they can be: every comment of a submission that the
search found (for ``follow_days``), and in each subreddit named in the stream its newest comments, of which
those that say one of the organization's names are kept. What is said about a hospital in a comment of a thread
about something else, outside the named subreddits, is not heard.

Limits (https://support.reddithelp.com/hc/en-us/articles/16160319875092): 100 requests a minute for each client
id, as a mean over ten minutes. Listings end at 1,000 items.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from connectors import _reddit_archive
from connectors._reddit_api import RedditApi
from connectors._reddit_items import CHANNEL, normalise, read_items, read_listing, tombstone
from connectors._reddit_pull import Pull
from connectors._reddit_threads import AT_ONCE
from connectors.base import (
    Archived,
    ConnectorSettings,
    Cursor,
    Limits,
    Meter,
    Page,
    PerThread,
    StreamOptions,
    StreamSpec,
    Window,
    batches,
    require_query,
    utc_day,
)
from listener.errors import RetryLater

__all__ = ["RedditConnector", "RedditOptions", "RedditSettings", "normalise"]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import SecretStr

    from listener.clock import Clock
    from listener.errors import SkipItem

_SUBREDDIT = re.compile(r"[A-Za-z0-9_]{2,50}")
_TOO_MANY_AT_ONCE = 20
_ANY_NAME = "t3_1"


class RedditSettings(ConnectorSettings):
    """``[connectors.reddit]``."""

    username: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{3,20}$",
        description="The Reddit account that registered the app. Every request names it in its User-Agent, as "
        "Reddit's rules demand (others are slowed down or shut out); nobody logs in with it.",
    )


class RedditOptions(StreamOptions):
    """What a Reddit stream has beyond its query."""

    subreddits: tuple[str, ...] = Field(
        default=("all",),
        min_length=1,
        description='Where to search: "all", or names of subreddits, whose comments that name the organization '
        "are then read too.",
    )
    follow_comments: bool = Field(default=True, description="Read the comments of the submissions found.")
    follow_days: int = Field(
        default=7, ge=1, le=90, description="For how long a submission's new comments are read."
    )

    @field_validator("subreddits")
    @classmethod
    def _plain_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = [name.strip().removeprefix("/").removeprefix("r/") for name in value]
        for name in names:
            if not _SUBREDDIT.fullmatch(name):
                raise ValueError(f'{name!r} is no subreddit; write "all" or a name such as "Hamilton"')
        return tuple({name.lower(): name for name in names}.values())


class RedditConnector:
    """Searches Reddit and follows the threads it finds."""

    channel: ClassVar[str] = CHANNEL
    secrets: ClassVar[tuple[str, ...]] = ("client_id", "client_secret")
    kinds: ClassVar[tuple[str, ...]] = ("search",)
    # A search goes back to Reddit's beginning; what ends it is the count of 1,000 items.
    lookback: ClassVar[timedelta | None] = None
    # Reddit wants deletions followed within 48 hours as a routine; look-ups set out every six.
    recheck_every: ClassVar[timedelta | None] = timedelta(hours=42)
    settings_model: ClassVar[type[ConnectorSettings]] = RedditSettings
    archive_formats: ClassVar[tuple[str, ...]] = _reddit_archive.FORMATS
    options_model: ClassVar[type[StreamOptions]] = RedditOptions

    def __init__(
        self, settings: RedditSettings, secrets: Mapping[str, SecretStr], *, clock: Clock, user_agent: str
    ) -> None:
        self._clock = clock
        agent = _user_agent(user_agent, settings.username)
        self._apis = PerThread(
            lambda: RedditApi(settings, secrets, clock=clock, user_agent=agent), RedditApi.close
        )

    @classmethod
    def budget(cls, settings: ConnectorSettings, now: datetime) -> tuple[Limits, datetime, datetime]:
        """Return the requests of a day, which begins at midnight UTC."""
        return Limits(requests=settings.daily_requests), *utc_day(now)

    @classmethod
    def check_stream(cls, stream: StreamSpec) -> None:
        """Refuse a search without a query."""
        require_query(stream)

    @classmethod
    def archive_format(cls, payload: Mapping[str, Any]) -> str | None:
        """Return which of its formats ``payload`` looks like (see :mod:`connectors._reddit_archive`), or None."""
        return _reddit_archive.archive_format(payload)

    @classmethod
    def archived(cls, payload: Mapping[str, Any], *, seen_at: datetime) -> Iterator[Archived | SkipItem]:
        """Yield what ``payload`` holds (see :mod:`connectors._reddit_archive`)."""
        yield from _reddit_archive.archived(payload, seen_at=seen_at)

    def pull(self, stream: StreamSpec, cursor: Cursor, window: Window, meter: Meter) -> Iterator[Page]:
        """Yield what is new (see :mod:`connectors._reddit_pull`).

        Raises ``AuthError``, ``RetryLater``, ``QuotaExhausted``, and ``ConfigError`` where none of the
        subreddits can be read; one of several that cannot is left out with a warning in the log.
        """
        options = RedditOptions.model_validate(dict(stream.options))
        pull = Pull(
            self._apis.get(),
            stream,
            cursor,
            window,
            meter,
            subreddits=options.subreddits,
            follow=timedelta(days=options.follow_days) if options.follow_comments else None,
            now=self._clock.now(),
        )
        yield from pull.pages()

    def recheck(self, external_ids: Iterable[str], meter: Meter) -> Iterator[Page]:
        """Yield the items as they are now; one that the look-up leaves out is a tombstone."""
        for names in batches(external_ids, AT_ONCE):
            yield self._look_up(names, meter)

    def check(self, meter: Meter) -> None:
        """Get a token and look one item up with it."""
        read_listing(self._apis.get().get("api/info/", {"id": _ANY_NAME}, meter))

    def close(self) -> None:
        """Let go of the connections of every thread."""
        self._apis.close()

    def _look_up(self, names: list[str], meter: Meter) -> Page:
        items, _ = read_listing(self._apis.get().get("api/info/", {"id": ",".join(names)}, meter))
        if not items and len(names) >= _TOO_MANY_AT_ONCE:
            # Reddit keeps what is deleted as "[deleted]": that all of many are unknown is an outage, not a fact.
            raise RetryLater(f"Reddit knows none of {len(names)} items it knew before: trying again later")
        now = self._clock.now()
        mentions, skipped = read_items(items, seen_at=now)
        unreadable = {problem.external_id for problem in skipped}
        for name in names:
            if name not in mentions and name not in unreadable:
                mentions[name] = tombstone(name, seen_at=now)
        return Page(mentions=tuple(mentions.values()), skipped=skipped, cursor={})


def _user_agent(program: str, username: str | None) -> str:
    """Return ``<platform>:<app ID>:<version> (by /u/<username>)``: so Reddit wants it (its API rules)."""
    name, _, remark = program.partition(" ")
    return f"python:{name.replace('/', ':v')} {f'(by /u/{username})' if username else remark}".strip()
