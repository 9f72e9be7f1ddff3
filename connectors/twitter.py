"""X (Twitter): recent search and mentions of the organization's own account, through tweepy's ``Client``.

Recent search gives seven days back, newest first. A pull makes a sweep from now down to the watermark; the
watermark rises only with the sweep's last page, and a sweep that was cut off goes on where it stopped. A
page token that X no longer takes is replaced by ``until_id``, a watermark that has grown older than X's
seven days by their edge.

Each post read costs money: $0.005, and $0.001 for mentions of the own account (X's price list, 2026).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from connectors import _x_archive
from connectors._x_posts import (
    CHANNEL,
    gone,
    id_at,
    ids,
    is_id,
    moment_of,
    normalise,
    page_of,
    tombstone,
    versions,
)
from connectors._x_sweep import INDEXED_AFTER, Position, Sweep
from connectors._x_transport import HOST, Refused, open_client
from connectors.base import (
    Archived,
    ConnectorSettings,
    Cursor,
    Limits,
    Meter,
    Page,
    PerThread,
    Room,
    StreamOptions,
    StreamSpec,
    Window,
    no_answer,
    read_each,
    require_query,
    utc_day,
)
from listener.errors import BudgetHeld, ConfigError, QuotaExhausted, RetryLater, SkipItem

if TYPE_CHECKING:
    from pydantic import SecretStr

    from connectors._x_transport import Transport
    from listener.clock import Clock
    from listener.mention import Mention

__all__ = ["TwitterConnector", "TwitterOptions", "TwitterSettings", "normalise"]

FIELDS = [
    "created_at",
    "author_id",
    "conversation_id",
    "lang",
    "note_tweet",
    "public_metrics",
    "referenced_tweets",
    "in_reply_to_user_id",
    "edit_history_tweet_ids",
    "edit_controls",
    "entities",
    "withheld",
]
LOOKBACK = timedelta(days=7)
EDGE = timedelta(minutes=1)
"""Stay this far inside X's seven days: its clock is not ours, and it counts in minutes."""
AT_ONCE = 100
AT_LEAST = 10
"""X gives no smaller pages."""
QUERY_LENGTH = 512
MENTIONS_GIVEN = 800
"""X shows no more than the newest 800 mentions of an account."""
POST_MICROUSD = 5_000
OWN_MENTION_MICROUSD = 1_000
BARREN_PAGES = 10
"""X may send an empty page before the end; that many in a row without a new post are a fault."""


class TwitterSettings(ConnectorSettings):
    """``[connectors.twitter]``."""

    daily_budget_usd: float = Field(
        default=5.0,
        gt=0,
        description="Read no more posts in a day (UTC) than this pays for. X gives ten posts at the least, so "
        "that the last $0.05 may stay unspent.",
    )
    daily_posts: int | None = Field(
        default=None, ge=1, description="Read no more posts than this in a day (UTC); X gives ten at the least."
    )


class TwitterOptions(StreamOptions):
    """What a stream of X may say beyond its query."""

    account: str | None = Field(
        default=None,
        pattern=r"^[0-9]{1,19}$",
        description="For kind mentions: the numeric user id. Default: the own account, where there is one.",
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a stream's pages come from, and what one post there costs."""

    endpoint: str
    method: str
    """tweepy's name for it."""
    subject: str
    token_name: str
    microusd: int
    extra: Mapping[str, str]

    @property
    def recent_only(self) -> bool:
        return self.endpoint == "search"


class TwitterConnector:
    """Reads X with an app's bearer token."""

    channel: ClassVar[str] = CHANNEL
    secrets: ClassVar[tuple[str, ...]] = ("bearer_token",)
    kinds: ClassVar[tuple[str, ...]] = ("search", "mentions")
    lookback: ClassVar[timedelta | None] = LOOKBACK
    recheck_every: ClassVar[timedelta | None] = None
    settings_model: ClassVar[type[ConnectorSettings]] = TwitterSettings
    archive_formats: ClassVar[tuple[str, ...]] = _x_archive.FORMATS
    options_model: ClassVar[type[StreamOptions]] = TwitterOptions

    def __init__(
        self, settings: TwitterSettings, secrets: Mapping[str, SecretStr], *, clock: Clock, user_agent: str
    ) -> None:
        self._settings = settings
        self._token = secrets["bearer_token"]
        self._clock = clock
        self._user_agent = user_agent
        self._opened = PerThread(self._open, lambda opened: opened[0].session.close())
        self._exhausted: dict[str, datetime] = {}

    @classmethod
    def budget(cls, settings: TwitterSettings, now: datetime) -> tuple[Limits, datetime, datetime]:
        """Return the limits of a UTC day: X charges a post once within it."""
        limits = Limits(
            requests=settings.daily_requests,
            posts_read=settings.daily_posts,
            cost_microusd=round(settings.daily_budget_usd * 1_000_000),
        )
        return limits, *utc_day(now)

    @classmethod
    def check_stream(cls, stream: StreamSpec) -> None:
        """Refuse a search without a query or with one too long for X, and mentions of nobody knows whom."""
        if stream.kind == "mentions":
            _account(stream)
            return
        require_query(stream)
        if len(stream.query.strip()) > QUERY_LENGTH:
            raise ConfigError(
                f"query has {len(stream.query.strip())} characters: X takes {QUERY_LENGTH} at the most, "
                "so make two streams of it"
            )

    @classmethod
    def archive_format(cls, payload: Mapping[str, Any]) -> str | None:
        """Return which of its formats ``payload`` looks like (see :mod:`connectors._x_archive`), or None."""
        return _x_archive.archive_format(payload)

    @classmethod
    def archived(cls, payload: Mapping[str, Any], *, seen_at: datetime) -> Iterator[Archived | SkipItem]:
        """Yield what ``payload`` holds (see :mod:`connectors._x_archive`)."""
        del seen_at  # nothing in an archive of X says that a post is gone
        yield from _x_archive.archived(payload)

    def pull(self, stream: StreamSpec, cursor: Cursor, window: Window, meter: Meter) -> Iterator[Page]:
        """Finish the sweep that was cut off, where there is one, then make a new one."""
        source = _source(stream)
        position = Position.read(cursor)
        room = Room(window.limit)
        if position.sweep is not None:
            resumed = self._resumed(source, position.sweep)
            position = yield from self._sweep(source, position, resumed, meter, room)
        yield from self._sweep(source, position, self._begun(source, position, window), meter, room)

    def recheck(self, external_ids: Iterable[str], meter: Meter) -> Iterator[Page]:
        """Look posts up in batches of 100; X names those that are gone."""
        waiting = list(external_ids)
        while waiting:
            at_once = meter.afford(least=1, most=AT_ONCE, posts_read=1, cost_microusd=POST_MICROUSD)
            batch, waiting = waiting[:at_once], waiting[at_once:]
            known = [identity for identity in batch if is_id(identity)]
            skipped = [
                SkipItem(f"{identity!r} is no id of X", external_id=identity)
                for identity in batch
                if not is_id(identity)
            ]
            mentions: tuple[Mention, ...] = ()
            if known:
                mentions, unread = self._look_up(known, meter)
                skipped += unread
            yield Page(mentions=mentions, skipped=tuple(skipped), cursor={})

    def check(self, meter: Meter) -> None:
        """Ask for the project's usage, which is free of charge and needs the same bearer token."""
        usage = self._call("usage", meter, lambda: self._client().request("GET", "/2/usage/tweets").json())
        if not isinstance(usage.get("data"), dict):
            raise RetryLater("X does not tell its usage as it should: trying again later")

    def close(self) -> None:
        """Let go of every thread's connections."""
        self._opened.close()

    def _begun(self, source: _Source, position: Position, window: Window) -> Sweep:
        now = self._clock.now()
        edge = now - LOOKBACK + EDGE
        low = id_at(window.since) - 1 if window.since else position.watermark
        if low is not None and (low < 1 or (source.recent_only and moment_of(low) < edge)):
            low = None
        until = window.until if window.until and window.until < now else None
        certain = now - INDEXED_AFTER
        return Sweep(
            low=low,
            high=id_at(until) if until and until <= certain else None,
            reads_from=edge if low is None else moment_of(low + 1),
            reads_to=min(certain, until) if until else certain,
            until=until,
        )

    def _resumed(self, source: _Source, sweep: Sweep) -> Sweep:
        """Return a sweep that was cut off without those of its bounds that X no longer takes."""
        edge = id_at(self._clock.now() - LOOKBACK + EDGE)
        if source.recent_only and min(sweep.low or edge, sweep.oldest or edge) < edge:
            return replace(sweep.without_token(), low=sweep.low if sweep.low and sweep.low >= edge else None)
        return sweep

    def _sweep(
        self, source: _Source, position: Position, sweep: Sweep, meter: Meter, room: Room
    ) -> Generator[Page, None, Position]:
        """Yield the sweep's pages; return the position after the last one."""
        tokens: set[str | None] = set()
        barren = 0
        while not self._out_of_reach(source, sweep):
            tokens.add(sweep.token)
            sweep, answer = self._ask(source, sweep, meter, room)
            items, token = self._page_of(answer, source)
            meter.add(posts_read=len(items), cost_microusd=len(items) * source.microusd)
            mentions, skipped = read_each(normalise, items)
            wanted = tuple(each for each in mentions if sweep.until is None or each.published_at < sweep.until)
            room.take(len(wanted))
            before, sweep = sweep, sweep.after(ids(items), token)
            if token is None:
                done = position.finished(sweep)
                covered = self._covered(source, sweep)
                yield Page(mentions=wanted, skipped=skipped, cursor=done.to_cursor(), covered=covered)
                return done
            barren = 0 if (sweep.newest, sweep.oldest) != (before.newest, before.oldest) else barren + 1
            endless = token in tokens or barren == BARREN_PAGES
            kept = replace(position, sweep=sweep.without_token() if endless else sweep)
            yield Page(mentions=wanted, skipped=skipped, cursor=kept.to_cursor())
            if endless:
                raise RetryLater("X gives the same page again and again: the rest is read next time")
        done = position.finished(sweep)
        yield Page(mentions=(), cursor=done.to_cursor(), covered=self._covered(source, sweep))
        return done

    def _out_of_reach(self, source: _Source, sweep: Sweep) -> bool:
        """Tell whether X has nothing of what the sweep has still to read."""
        now = self._clock.now()
        if sweep.low is not None and sweep.low >= id_at(now):
            return True
        below_edge = sweep.high is not None and moment_of(sweep.high) <= now - LOOKBACK + EDGE
        return source.recent_only and sweep.token is None and below_edge

    @staticmethod
    def _page_of(answer: Mapping[str, Any], source: _Source) -> tuple[list[Any], str | None]:
        if source.endpoint == "mentions" and "meta" not in answer and gone(answer):
            raise ConfigError(f"X knows no account {source.subject}: correct account or own_accounts.twitter")
        return page_of(answer)

    def _covered(self, source: _Source, sweep: Sweep) -> tuple[datetime, datetime] | None:
        begin = sweep.reads_from
        if source.recent_only:
            begin = max(begin, self._clock.now() - LOOKBACK + EDGE)
        elif sweep.oldest is not None and sweep.seen >= MENTIONS_GIVEN:
            begin = max(begin, moment_of(sweep.oldest))
        return (begin, sweep.reads_to) if begin < sweep.reads_to else None

    def _ask(self, source: _Source, sweep: Sweep, meter: Meter, room: Room) -> tuple[Sweep, Mapping[str, Any]]:
        """Ask for the sweep's next page; what X refuses of the token or the watermark is asked in another way."""
        affordable = meter.afford(least=AT_LEAST, most=AT_ONCE, posts_read=1, cost_microusd=source.microusd)
        page_size = room.page_size(affordable, least=AT_LEAST)
        while True:
            asked = {"since_id": sweep.low, "until_id": sweep.high, source.token_name: sweep.token, **source.extra}
            ask = partial(
                getattr(self._client(), source.method),
                source.subject,
                max_results=page_size,
                tweet_fields=FIELDS,
                **asked,
            )
            try:
                return sweep, self._call(source.endpoint, meter, ask)
            except Refused as refused:
                if refused.parameters & {"query", "id"}:
                    raise ConfigError(f"{refused}; change the stream's query or account") from refused
                if sweep.token is not None:
                    sweep = sweep.without_token()
                elif sweep.low is not None and "since_id" in refused.parameters:
                    sweep = replace(sweep, low=None)
                else:
                    raise

    def _look_up(self, identities: list[str], meter: Meter) -> tuple[tuple[Mention, ...], list[SkipItem]]:
        """Return posts as they read now; X shows an older version where its own id is asked for."""
        items, missing = self._posts(identities, meter)
        outdated = {versions(item)[-1]: versions(item)[0] for item in items if versions(item)[-1] != item["id"]}
        if outdated:
            again = self._affordable(list(outdated), meter)
            newest, newest_gone = self._posts(again, meter) if again else ([], set())
            items = [item for item in items if versions(item)[-1] not in outdated] + newest
            missing |= {outdated[identity] for identity in newest_gone if identity in outdated}
        mentions, skipped = read_each(normalise, items)
        answered = missing.union(*map(versions, items))
        now = self._clock.now()
        tombstones = tuple(tombstone(identity, now) for identity in identities if identity in missing)
        silent = [
            SkipItem(f"X says nothing of post {each}, or the budget does not hold its edit", external_id=each)
            for each in identities
            if each not in answered
        ]
        return mentions + tombstones, [*skipped, *silent]

    @staticmethod
    def _affordable(identities: list[str], meter: Meter) -> list[str]:
        """Return as many as the budget holds: what was read already must not be lost for what it does not."""
        try:
            count = meter.afford(least=1, most=len(identities), posts_read=1, cost_microusd=POST_MICROUSD)
        except (QuotaExhausted, BudgetHeld):
            return []
        return identities[:count]

    def _posts(self, identities: list[str], meter: Meter) -> tuple[list[Mapping[str, Any]], set[str]]:
        """Return the posts X shows of these, and the ids it says are gone (deleted, or no longer public)."""
        answer = self._call("lookup", meter, lambda: self._client().get_tweets(identities, tweet_fields=FIELDS))
        data = answer.get("data", [])
        missing = gone(answer)
        if not isinstance(data, list) or not (data or missing):
            raise RetryLater("X sent a look-up that is not one: trying again later")
        meter.add(posts_read=len(data), cost_microusd=len(data) * POST_MICROUSD)
        return [item for item in data if isinstance(item, dict) and is_id(item.get("id"))], missing

    def _call(self, endpoint: str, meter: Meter, ask: Callable[[], Any]) -> Mapping[str, Any]:
        """Make one request, announced to the meter; raises ``ListenerError`` for all that can go wrong."""
        import requests

        _, transport = self._opened.get()
        resets_at = self._exhausted.get(endpoint)
        if resets_at is not None and self._clock.now() < resets_at:
            raise RetryLater(f"X's rate limit is used up until {resets_at:%H:%M:%S} UTC", at=resets_at)
        meter.request(searches=int(endpoint == "search"))
        transport.exhausted_until = None
        try:
            answer = ask()
        except (requests.RequestException, ValueError, RecursionError) as error:
            # ValueError: JSON that the standard library refuses beyond JSONDecodeError (a number of 5,000 digits).
            configured = self._settings.base_url
            raise RetryLater(
                no_answer("X", CHANNEL, configured or HOST, error, configured=configured is not None)
            ) from error
        finally:
            if transport.exhausted_until is not None:
                self._exhausted[endpoint] = transport.exhausted_until
        if not isinstance(answer, dict):
            raise RetryLater("X sent something that is not an object: trying again later")
        return answer

    def _client(self) -> Any:
        return self._opened.get()[0]

    def _open(self) -> tuple[Any, Transport]:
        return open_client(
            self._token.get_secret_value(),
            base_url=self._settings.base_url,
            timeout_seconds=self._settings.timeout_seconds,
            user_agent=self._user_agent,
            clock=self._clock,
        )


def _source(stream: StreamSpec) -> _Source:
    if stream.kind == "mentions":
        account = _account(stream)
        return _Source("mentions", "get_users_mentions", account, "pagination_token", OWN_MENTION_MICROUSD, {})
    order = {"sort_order": "recency"}
    return _Source("search", "search_recent_tweets", stream.query.strip(), "next_token", POST_MICROUSD, order)


def _account(stream: StreamSpec) -> str:
    account = stream.options.get("account")
    own = [each for each in stream.own_accounts if is_id(each)]
    if account is None and len(own) == 1:
        account = own[0]
    if not is_id(account):
        raise ConfigError(
            f'account is missing: write account = "…", the numeric user id whose mentions are read '
            f"(own_accounts.twitter names {len(own)} of them)"
        )
    return str(account)
