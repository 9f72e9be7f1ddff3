"""What every connector owes: the protocol, a page, a cursor, a budget.

A connector is one module of this package that defines a class with the members of :class:`Connector` and is
found by :func:`connectors.discover`. It turns one platform's API into pages of
:class:`~listener.mention.Mention` and knows nothing of the store. What it owes:

- ``pull`` yields pages; each carries the cursor to keep once the page's mentions are stored. A process may
  die between any two pages: pulling again from the last kept cursor must lose nothing. Repeating items is
  allowed (the store knows them by their key), losing one is not.
- A later pull asks only for what is new, with an overlap where the platform orders loosely. The cursor is
  JSON, small and bounded: it must not grow with the age of the stream.
- ``covered`` on a page says which span of time has been read whole once that page is stored.
- Every request is announced to the meter *before* it is made, has a timeout, and is never followed by a
  sleep of more than a minute: a rate limit is a ``RetryLater`` with the moment to come back.
- Errors leave as the children of ``ListenerError``, with the cause chained and no secret in the message.
  One unreadable item is a ``SkipItem`` in ``Page.skipped``; a page that is not what the platform promises
  (truncated, of a wrong type, endless) is a ``RetryLater``. A bug is left to be a bug.
- Text arrives hostile: :func:`clean_text` is applied to every text.
- A platform SDK is imported inside the method that needs it: ``listener --help`` must not pay for it.
- No SDK is promised to be safe between threads: :class:`PerThread` gives each its own client.

What every connector would otherwise write for itself stands at the end of this module.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from connectors.ledger import OwnLedger
from listener.errors import BudgetHeld, ConfigError, QuotaExhausted, SkipItem
from listener.settings import Section
from listener.usage import Usage

if TYPE_CHECKING:
    from connectors.ledger import Ledger, Standing
    from listener.clock import Clock
    from listener.mention import Mention

Cursor: TypeAlias = Mapping[str, Any]
"""JSON that a connector hands out and gets back; nobody else reads it. A fresh stream has ``{}``."""


_ADDRESS = r"^https?://"


def _is_address(value: str) -> str:
    try:
        host = urlsplit(value).hostname
    except ValueError:
        host = None
    if not host or not re.match(_ADDRESS, value):
        raise ValueError("write an address that begins with http:// or https://")
    return value


Address = Annotated[str, AfterValidator(_is_address), Field(json_schema_extra={"pattern": _ADDRESS})]
"""Where an HTTP service is."""


class ConnectorSettings(Section):
    """The keys that ``[connectors.<channel>]`` has for every channel; a connector adds its own."""

    base_url: Address | None = Field(default=None, description="Where the API is, for stand-ins and proxies.")
    timeout_seconds: float = Field(default=20.0, gt=0, le=120, description="For each request.")
    daily_requests: int | None = Field(
        default=None, ge=1, description="Stop for the day after this many requests."
    )


class StreamOptions(Section):
    """The keys that a stream of every channel has beyond channel, kind, query and every: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """One thing to pull: what the configuration says of a stream, and whom it is for.

    ``organization`` is the slug, ``names`` the name and aliases that tell a mention of it, ``own_accounts``
    the ids and handles (any case, with or without ``@``) it writes under on this channel.
    """

    organization: str
    channel: str
    kind: str
    query: str
    options: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    own_accounts: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A name for the stream that changes with what is asked (query and options), 12 hex digits."""
        asked = json.dumps([self.kind, self.query, dict(self.options)], sort_keys=True, default=str)
        return hashlib.sha256(asked.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.organization}/{self.channel}/{self.kind}/{self.key}"


@dataclass(frozen=True, slots=True)
class Window:
    """Which time a run wants: from ``since`` (None: as far back as the cursor or platform has it) to ``until``.

    ``until`` is None for "up to now". Moments are UTC. ``limit`` is how many mentions the run wants at the most
    (None: all there are): a hint, and whoever runs the pull stops it there. Of a page that goes beyond it the
    cursor cannot be kept, so that a connector asks for no larger page than what is still wanted, as far as its
    platform lets it (see :class:`Room`).
    """

    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None


class Room:
    """How many mentions a pull's ``Window.limit`` still wants."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit

    def take(self, count: int) -> None:
        """Note that so many mentions have been given."""
        if self._left is not None:
            self._left -= count

    def page_size(self, most: int, *, least: int = 1) -> int:
        """Return how many to ask for, where the platform takes from ``least`` to ``most``."""
        return most if self._left is None else max(least, min(most, self._left))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some mentions, and the cursor that may be kept once they are stored."""

    mentions: tuple[Mention, ...]
    cursor: Cursor
    covered: tuple[datetime, datetime] | None = None
    skipped: tuple[SkipItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a connector may take in one of its platform's days; None: no limit."""

    requests: int | None = None
    quota_units: int | None = None
    searches: int | None = None
    posts_read: int | None = None
    cost_microusd: int | None = None


_KNOWN_AFTERWARDS = ("posts_read", "cost_microusd")
_NAMED = {
    "requests": ("request", "requests"),
    "quota_units": ("quota unit", "quota units"),
    "searches": ("search", "searches"),
    "posts_read": ("post", "posts"),
}


def _amount(name: str, number: int) -> str:
    """Write a number of the field ``name`` of :class:`Limits` as people do: ``"$0.30"``, ``"100 searches"``."""
    if name == "cost_microusd":
        usd = f"{number / 1_000_000:,.6f}"
        return f"${usd[:-4]}{usd[-4:].rstrip('0')}"
    return f"{number:,} {_NAMED[name][number != 1]}"


class Meter:
    """Counts what a run takes, and stops it cleanly before the day's budget is overdrawn.

    ``spent`` is what earlier runs of the same platform day took; ``resets_at`` is when that day ends. Where
    several runs take from one day at once, a ``ledger`` that they share says both, and what the limits are.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        spent: Usage | None = None,
        resets_at: datetime | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self._ledger = ledger or OwnLedger(limits or Limits(), spent=spent or Usage(), resets_at=resets_at)
        self.usage = Usage()

    def request(self, **costs: int) -> None:
        """Announce one request that costs ``costs`` (fields of :class:`Usage`) before it is made.

        Raises ``QuotaExhausted`` where the budget does not hold it, or where what is only known after a
        request (posts read, money) has reached its limit already; ``BudgetHeld`` where others hold the rest.
        """
        planned = replace(Usage(requests=1), **costs)

        def choose(standing: Standing) -> Usage:
            for limit in fields(Limits):
                self._require(standing, limit.name, getattr(planned, limit.name))
            return planned

        self._ledger.take(choose)
        self.usage = self.usage + planned

    def afford(self, *, least: int, most: int, **price: int) -> int:
        """Return how many posts, ``most`` at the most, the budget holds at ``price`` each, and hold that much.

        ``price`` names fields of :class:`Usage`. What is held is let go with the next :meth:`add`. Raises
        ``QuotaExhausted`` where the budget does not hold ``least``, ``BudgetHeld`` where others hold the rest.
        """
        granted = most

        def choose(standing: Standing) -> Usage:
            nonlocal granted
            for name, each in price.items():
                allowed = getattr(standing.limits, name)
                if allowed is None:
                    continue
                left = allowed - getattr(standing.spent, name)
                if left < least * each:
                    too_little = f"does not hold {_amount('posts_read', least)} more"
                    raise _exhausted(standing, name, "is used up" if left <= 0 else too_little)
                free = left - getattr(standing.held, name)
                if free < least * each:
                    raise _awaited(standing, name)
                granted = min(granted, free // each)
            return Usage(**{name: granted * each for name, each in price.items()})

        self._ledger.reserve(choose)
        return granted

    def add(self, **amounts: int) -> None:
        """Count what a response turned out to cost (fields of :class:`Usage`)."""
        taken = replace(Usage(), **amounts)
        self._ledger.settle(taken)
        self.usage = self.usage + taken

    def let_go(self) -> None:
        """Give back what is held for an answer that will not come."""
        if self._ledger.reserved != Usage():
            self._ledger.settle(Usage())

    def _require(self, standing: Standing, name: str, amount: int) -> None:
        allowed = getattr(standing.limits, name)
        # What is held for the answer was granted already.
        if allowed is None or getattr(self._ledger.reserved, name):
            return
        most = allowed - 1 if name in _KNOWN_AFTERWARDS else allowed
        total = getattr(standing.spent, name) + amount
        if total > most:
            raise _exhausted(standing, name, "is used up")
        if total + getattr(standing.held, name) > most:
            raise _awaited(standing, name)


def _exhausted(standing: Standing, name: str, what: str) -> QuotaExhausted:
    budget = _amount(name, getattr(standing.limits, name))
    return QuotaExhausted(
        f"the day's budget of {budget} {what}; the rest is read after the reset", at=standing.resets_at
    )


def _awaited(standing: Standing, name: str) -> BudgetHeld:
    budget = _amount(name, getattr(standing.limits, name))
    return BudgetHeld(
        f"what is left of the day's budget of {budget} is held for answers under way; what of it comes back is "
        "used later",
        at=standing.again_at,
    )


class Connector(Protocol):
    """One platform. The constructor is cheap and makes no request."""

    channel: ClassVar[str]
    secrets: ClassVar[tuple[str, ...]]
    """Names of the secrets it needs, unprefixed: ``bearer_token`` is ``LISTENER_TWITTER_BEARER_TOKEN``."""
    kinds: ClassVar[tuple[str, ...]]
    """The values of a stream's ``kind``, the default first."""
    lookback: ClassVar[timedelta | None]
    """How far back the platform gives; None: no fixed limit."""
    recheck_every: ClassVar[timedelta | None]
    """How often what is stored is to be looked up again, where the platform's terms say; None: at a few ages."""
    settings_model: ClassVar[type[ConnectorSettings]]
    options_model: ClassVar[type[StreamOptions]]

    def __init__(
        self, settings: Any, secrets: Mapping[str, SecretStr], *, clock: Clock, user_agent: str
    ) -> None: ...

    @classmethod
    def budget(cls, settings: Any, now: datetime) -> tuple[Limits, datetime, datetime]:
        """Return the day's limits, and when the platform's day that holds ``now`` began and ends (UTC)."""
        ...

    @classmethod
    def check_stream(cls, stream: StreamSpec) -> None:
        """Raise ``ConfigError`` where the platform could never give what ``stream`` asks for.

        It is asked when the configuration is read. The message begins with the stream's key at fault.
        """
        ...

    def pull(self, stream: StreamSpec, cursor: Cursor, window: Window, meter: Meter) -> Iterator[Page]:
        """Yield what is new since ``cursor`` (see the module's contract)."""
        ...

    def recheck(self, external_ids: Iterable[str], meter: Meter) -> Iterator[Page]:
        """Look items up again by id: their present state, or a tombstone where they are gone.

        The pages' cursor is ``{}``: a re-check has none.
        """
        ...

    def check(self, meter: Meter) -> None:
        """Make the cheapest call that proves the credential; raises ``AuthError`` or ``RetryLater``."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """A mention as an archive holds it, and the accounts, subreddits or channels that it was posted to or under.

    ``places`` are written as ``own_accounts`` are in the configuration.
    """

    mention: Mention
    places: tuple[str, ...] = ()


class ReadsArchives(Protocol):
    """A connector that knows how archives of its platform are written: files that somebody else has read.

    It knows nothing of files: it is handed objects of JSON, or rows of a table as objects of texts.
    """

    channel: ClassVar[str]
    archive_formats: ClassVar[tuple[str, ...]]
    """What ``listener import --as`` calls them."""

    @classmethod
    def archive_format(cls, payload: Mapping[str, Any]) -> str | None:
        """Return which of its formats ``payload`` looks like, or None."""
        ...

    @classmethod
    def archived(cls, payload: Mapping[str, Any], *, seen_at: datetime) -> Iterator[Archived | SkipItem]:
        """Yield what ``payload`` holds: one item, or a page of them; a ``SkipItem`` for each that is none.

        What was removed is a tombstone of the moment ``seen_at``. Never raises for what a payload holds.
        """
        ...


def require_query(stream: StreamSpec) -> None:
    """Raise ``ConfigError`` where a stream of a kind that needs a query has none."""
    if not stream.query.strip():
        raise ConfigError(f"query = {stream.query!r}: a stream of kind {stream.kind!r} needs words to search for")


def no_answer(platform: str, channel: str, url: str, error: Exception, *, configured: bool) -> str:
    """Return what is said where the host of ``url`` cannot be reached, or breaks off.

    ``configured`` tells that the host is the one that ``connectors.<channel>.base_url`` names.
    """
    host = urlsplit(url).netloc.rpartition("@")[2]
    fix = f"check connectors.{channel}.base_url; " if configured else ""
    return (
        f"{platform} does not answer as it should at {host} ({type(error).__name__}): {fix}the rest is read later"
    )


_REPLACED = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160))) | dict.fromkeys(
    range(55296, 57344), "�"
)


def clean_text(text: str, *, unescape: bool = False) -> str:
    r"""Make a platform's text storable: no NUL or other control but ``\t \n``, no lone surrogate.

    With ``unescape`` HTML entities become characters (once: ``&amp;lt;`` becomes ``&lt;``).
    """
    if unescape:
        text = html.unescape(text)
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_REPLACED).strip()


_LARGEST_COUNT = 2**53
"""Beyond it not every reader of JSON is exact, and below it a thousand counts add up to what a database holds."""


def read_count(value: object, *, negative: bool = False) -> int | None:
    """Return a platform's count, or None where it is no whole number of a size that anything is counted in.

    Only where ``negative`` (scores, from which votes are taken off) may it be below zero.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if (-_LARGEST_COUNT if negative else 0) <= value <= _LARGEST_COUNT else None


def read_each(
    normalise: Callable[[Any], Mention], payloads: Iterable[Any]
) -> tuple[tuple[Mention, ...], tuple[SkipItem, ...]]:
    """Return the mentions that ``normalise`` makes of ``payloads``, and why the others are none."""
    mentions: list[Mention] = []
    skipped: list[SkipItem] = []
    for payload in payloads:
        try:
            mentions.append(normalise(payload))
        except SkipItem as problem:
            skipped.append(problem)
    return tuple(mentions), tuple(skipped)


Thing = TypeVar("Thing")


def batches(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """Yield ``things`` in lists of ``size``, the last one perhaps shorter: what one look-up takes."""
    waiting = iter(things)
    while batch := list(islice(waiting, size)):
        yield batch


def utc_day(now: datetime) -> tuple[datetime, datetime]:
    """Return when the UTC day that holds ``now`` began and ends."""
    began = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return began, began + timedelta(days=1)


def is_loopback(url: str | None) -> bool:
    """Tell whether ``url`` points at this machine, where no proxy of the environment has to be asked."""
    host = urlsplit(url or "").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class PerThread(Generic[Thing]):
    """One thing for each thread that asks: made by ``make`` when first asked for, let go by ``let_go``."""

    def __init__(self, make: Callable[[], Thing], let_go: Callable[[Thing], None]) -> None:
        self._make = make
        self._let_go = let_go
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._made: list[Thing] = []

    def get(self) -> Thing:
        """Return the calling thread's own."""
        if not hasattr(self._mine, "thing"):
            thing = self._make()
            with self._lock:
                self._made.append(thing)
            self._mine.thing = thing
        mine: Thing = self._mine.thing
        return mine

    def drop(self) -> None:
        """Let go of the calling thread's own, if it has one; it is made anew when it is asked for again."""
        if not hasattr(self._mine, "thing"):
            return
        thing = self._mine.thing
        del self._mine.thing
        with self._lock:
            self._made = [other for other in self._made if other is not thing]
        self._let_go(thing)

    def close(self) -> None:
        """Let go of every thread's."""
        with self._lock:
            made, self._made = self._made, []
            self._mine = threading.local()
        for thing in made:
            self._let_go(thing)
