"""One pull of one Reddit stream: sweep the listings, then read the threads that were found.

A *sweep* reads one listing (the search of a subreddit, or its newest comments) newest first, back to where the
sweep before it began, less an overlap: Reddit's search shows some submissions hours late. In the cursor stand
its ``mark`` (when the last whole sweep began: that far it has been read), ``read`` (the span that has been
read whole and not yet been called covered) and, while it is under way, ``pending`` (what it wants, and the
item that its next page comes after). Only the last page of a sweep moves the mark.

A *round* is every sweep and then the threads; ``done`` in the cursor names the sweeps of a round that was
stopped. The next pull first brings that round to its end, then makes one of its own: however often a pull is
stopped, each gets further than the one before.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors._reddit_api import Unreadable
from connectors._reddit_items import read_items, read_listing
from connectors._reddit_threads import AT_ONCE, Threads
from connectors.base import Page, Room
from listener.errors import AuthError, RetryLater
from listener.mention import Kind
from listener.names import NamePattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connectors._reddit_api import RedditApi
    from connectors.base import Cursor, Meter, StreamSpec, Window
    from listener.errors import SkipItem
    from listener.mention import Mention

log = logging.getLogger(__name__)

OVERLAP = timedelta(hours=6)
_LISTING_ENDS = 900
"""Listings end at 1,000 items; a few of those are filtered out on the way."""
_SEARCH_ENDS = 200
"""A search may end sooner (at some 250, it is reported). Where it may have, no more than was seen is claimed."""
_PAGES_AT_MOST = 1000
_SETTLED = 3
"""This many items older than wanted, on one page, end a sweep: one alone may be out of its order."""
_SPANS = (("hour", 1 / 24), ("day", 1), ("week", 7), ("month", 30), ("year", 365))
_CLOCK_SKEW = timedelta(hours=1)
_QUIET = timedelta(days=7)
"""A first search that finds nothing at all is called covered for so long, not for ever."""
_FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Sweep:
    """One listing to read: its path, its parameters, and whether it is a search."""

    subreddit: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its name in the cursor."""
        return f"{'search' if self.params else 'comments'}:{self.subreddit.lower()}"


class Pull:
    """What one pull knows; :meth:`pages` runs it. ``follow`` is None where threads are not followed."""

    def __init__(
        self,
        api: RedditApi,
        stream: StreamSpec,
        cursor: Cursor,
        window: Window,
        meter: Meter,
        *,
        subreddits: Sequence[str],
        follow: timedelta | None,
        now: datetime,
    ) -> None:
        self._api = api
        self._query = stream.query
        self._names = NamePattern.of(stream.names)
        self._window = window
        self._room = Room(window.limit)
        self._meter = meter
        self._subreddits = subreddits
        self._follow_for = follow
        self._now = now
        self._states: dict[str, dict[str, Any]] = copy.deepcopy(dict(cursor.get("sweeps", {})))
        self._done: list[str] = list(cursor.get("done", ()))
        self._threads = Threads(api, meter, cursor.get("followed", {}), now=now, until=window.until)

    def pages(self) -> Iterator[Page]:
        """Yield the pages of the round that was stopped, if any, and of a round up to now."""
        if self._done or any("pending" in state for state in self._states.values()):
            yield from self._round()
        yield from self._round()

    def _round(self) -> Iterator[Page]:
        """Yield the pages of every sweep not done yet and of the threads; the last one says what is covered."""
        sweeps = list(self._listings())
        refused: dict[str, Unreadable] = {}
        for sweep in sweeps:
            if sweep.key in self._done:
                continue
            try:
                yield from self._sweep(sweep)
            except Unreadable as error:
                log.warning("r/%s is left out: %s", sweep.subreddit, error)
                refused[sweep.key] = error
        if len(refused) == len(sweeps):
            refusal = next(iter(refused.values()))
            raise self._nothing_readable(refusal) from refusal
        if self._follow_for is not None:
            for mentions, skipped in self._threads.read(self._follow_for):
                yield Page(mentions=mentions, skipped=skipped, cursor=self._cursor())
        # What is not public to us is not what the stream hears: it is left out of the coverage, too.
        covered = self._covered([self._states[sweep.key] for sweep in sweeps if sweep.key not in refused])
        self._done.clear()
        yield Page(mentions=(), cursor=self._cursor(), covered=covered)

    def _listings(self) -> Iterator[Sweep]:
        for subreddit in self._subreddits:
            everywhere = subreddit.lower() == "all"
            asked = {"q": self._query, "sort": "new", "restrict_sr": "0" if everywhere else "1"}
            yield Sweep(subreddit, f"r/{subreddit}/search/", asked)
            if not everywhere and self._names:
                yield Sweep(subreddit, f"r/{subreddit}/comments/")

    def _nothing_readable(self, refusal: Unreadable) -> Exception:
        if refusal.status == _FORBIDDEN and "all" in map(str.lower, self._subreddits):
            return AuthError(
                "Reddit forbids this application to search (403): check the app at reddit.com/prefs/apps"
            )
        return refusal

    def _sweep(self, sweep: Sweep) -> Iterator[Page]:
        state = self._states.setdefault(sweep.key, {})
        yield from self._read(sweep, state, state.get("pending") or self._plan(state))

    def _plan(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a new sweep wants: back to ``floor`` (seconds since 1970), up to before ``until``.

        A window's ``since`` that lies after what the cursor still owes does not cut that off; one that lies
        before it reaches back. With a window (``strict``) nothing older than the floor is given.
        """
        floors = [state["mark"] - OVERLAP.total_seconds()] if "mark" in state else []
        if self._window.since is not None:
            floors.append(self._window.since.timestamp())
        until = self._window.until.timestamp() if self._window.until else None
        now = self._now.timestamp()
        return {
            "floor": min(floors, default=None),
            "strict": self._window.since is not None,
            "until": until,
            "mark": now if until is None else min(until, now),
            "after": None,
            "count": 0,
            "oldest": None,
        }

    def _read(self, sweep: Sweep, state: dict[str, Any], plan: dict[str, Any]) -> Iterator[Page]:
        may_turn_back = True
        seen: set[str] = set()
        turned: set[str] = set()
        while True:
            items, after = read_listing(self._api.get(sweep.path, self._params(sweep, plan), self._meter))
            if not items and plan["after"] and may_turn_back:
                # The item to go on after is gone, or was the last one: only a new look from the top can tell.
                may_turn_back = False
                turned.clear()
                seen.clear()
                plan = {**plan, "after": None, "count": 0}
                continue
            mentions, skipped, older = self._take(items, sweep, plan, seen)
            self._room.take(len(mentions))
            if after is None or (older and older >= min(_SETTLED, len(items))):
                ends = _SEARCH_ENDS if sweep.params else _LISTING_ENDS
                self._finish(state, plan, is_cut=after is None and not older and plan["count"] >= ends)
                self._done.append(sweep.key)
                yield Page(mentions=mentions, skipped=skipped, cursor=self._cursor())
                return
            if after in turned or len(turned) >= _PAGES_AT_MOST:
                raise RetryLater(f"Reddit pages {sweep.path} in a circle: the rest is read next time")
            turned.add(after)
            plan = {**plan, "after": after}
            state["pending"] = plan
            yield Page(mentions=mentions, skipped=skipped, cursor=self._cursor())

    def _params(self, sweep: Sweep, plan: Mapping[str, Any]) -> dict[str, str | int]:
        params: dict[str, str | int] = {**sweep.params, "limit": AT_ONCE}
        if sweep.params and plan["until"] is None:
            # Of what a search gives nearly everything is wanted; elsewhere small pages would only be many.
            params["limit"] = self._room.page_size(AT_ONCE, least=_SETTLED)
        if sweep.params:
            params["t"] = time_filter(self._now, plan["floor"])
        if plan["after"]:
            params["after"] = plan["after"]
        return params

    def _take(
        self, items: list[Any], sweep: Sweep, plan: dict[str, Any], seen: set[str]
    ) -> tuple[tuple[Mention, ...], tuple[SkipItem, ...], int]:
        """Return a page's mentions, the unreadable, and how many items are older than the sweep wants.

        Counts into ``plan`` what was seen, and notes the submissions to follow.
        """
        found, skipped = read_items(items, seen_at=self._now)
        wanted: list[Mention] = []
        older = 0
        for name, mention in found.items():
            at = mention.published_at.timestamp()
            is_older = plan["floor"] is not None and at < plan["floor"]
            older += is_older
            if name in seen:
                continue
            seen.add(name)
            plan["count"] += 1
            plan["oldest"] = at if plan["oldest"] is None else min(at, plan["oldest"])
            is_in_window = not (is_older and plan["strict"]) and (plan["until"] is None or at < plan["until"])
            if is_in_window and (sweep.params or self._names_it(mention)):
                wanted.append(mention)
        for mention in wanted:
            if mention.kind is Kind.POST:
                self._threads.note(mention, again=plan["strict"])
        return tuple(wanted), skipped, older

    def _names_it(self, mention: Mention) -> bool:
        return self._names is not None and self._names.is_in(mention.text)

    def _finish(self, state: dict[str, Any], plan: Mapping[str, Any], *, is_cut: bool) -> None:
        """Move the mark, and say which span of this listing has been read without a gap."""
        begins = plan["floor"]
        if begins is None or is_cut:
            begins = plan["oldest"]
        if begins is None:
            begins = plan["mark"] - _QUIET.total_seconds()
        state.pop("pending", None)
        state["read"] = [begins, plan["mark"]]
        state["mark"] = max(plan["mark"], state.get("mark", plan["mark"]))

    def _covered(self, states: Sequence[dict[str, Any]]) -> tuple[datetime, datetime] | None:
        """Return the span that every listing has been read in, which is said once."""
        spans = [state.pop("read") for state in states]
        begins, ends = max(begins for begins, _ in spans), min(ends for _, ends in spans)
        return (_moment(begins), _moment(ends)) if begins < ends else None

    def _cursor(self) -> Cursor:
        told = {
            "sweeps": copy.deepcopy(self._states),
            "followed": self._threads.told(),
            "done": [*self._done],
        }
        return {name: part for name, part in told.items() if part}


def time_filter(now: datetime, floor: float | None) -> str:
    """Return the narrowest of the search's time filters that reaches back to ``floor`` (seconds since 1970)."""
    if floor is None:
        return "all"
    span = now - _moment(floor) + _CLOCK_SKEW
    return next((name for name, days in _SPANS if span <= timedelta(days=days)), "all")


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
