"""The threads of the submissions that were found: which have new comments, and all that stands in those.

``followed`` goes into the cursor: for each submission the number of comments that has been read, when it was
published, and when its thread was last read (seconds since 1970). One look-up for a hundred submissions says
which number has changed; those threads are read again. A comment that a moderator took away can hide a new one
in that number, so that each thread is read once a day whatever it says.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from connectors._reddit_api import Unreadable
from connectors._reddit_items import read_items, read_listing, read_more, read_things, read_tree, tombstone
from connectors.base import batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors._reddit_api import RedditApi
    from connectors.base import Meter
    from listener.errors import SkipItem
    from listener.mention import Mention

    Part: TypeAlias = tuple[tuple[Mention, ...], tuple[SkipItem, ...]]

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Reddit takes and gives at most this many items a request."""
FOLLOWED_AT_MOST = 500
_REREAD = timedelta(days=1)
_TREE_COMMENTS = 500
_TREE_REQUESTS = 300


class Threads:
    """The threads of one stream during one pull; those published ``until`` or later are left for another."""

    def __init__(
        self,
        api: RedditApi,
        meter: Meter,
        followed: Mapping[str, list[int]],
        *,
        now: datetime,
        until: datetime | None,
    ) -> None:
        self._api = api
        self._meter = meter
        self._now = now
        self._until = until
        self.followed = {name: [*known] for name, known in followed.items()}

    def told(self) -> dict[str, list[int]]:
        """Return a copy of ``followed``. Every page's cursor has one, of hundreds: no deep copy, which is slow."""
        return {name: [*known] for name, known in self.followed.items()}

    def note(self, submission: Mention, *, again: bool) -> None:
        """Follow a submission; ``again`` has its comments read even where they have been."""
        if again or submission.external_id not in self.followed:
            self.followed[submission.external_id] = [0, int(submission.published_at.timestamp()), 0]
        if len(self.followed) > FOLLOWED_AT_MOST:
            oldest = min(self.followed, key=lambda name: self.followed[name][1])
            log.warning("more than %d threads to follow: %s is let go", FOLLOWED_AT_MOST, oldest)
            del self.followed[oldest]

    def read(self, follow_for: timedelta) -> Iterator[Part]:
        """Yield, part by part, the mentions (and the unreadable) of every thread that has changed.

        After each part ``followed`` says what has been read. Submissions older than ``follow_for`` are let go
        at the end: one that was found only now is read this once.
        """
        grown, changed, skipped = self._look_up()
        for submission in grown:
            yield from self._thread(submission)
        for submission in changed:
            if submission.removed_at:
                del self.followed[submission.external_id]
        horizon = (self._now - follow_for).timestamp()
        self.followed = {name: known for name, known in self.followed.items() if known[1] >= horizon}
        if changed or skipped:
            yield tuple(changed), skipped

    def _look_up(self) -> tuple[list[Mention], list[Mention], tuple[SkipItem, ...]]:
        """Return the submissions with other comments than were read, those otherwise changed, the unreadable."""
        names = sorted(self.followed, key=lambda name: self.followed[name][1], reverse=True)
        grown: list[Mention] = []
        changed: list[Mention] = []
        unreadable: tuple[SkipItem, ...] = ()
        for batch in batches(names, AT_ONCE):
            items, _ = read_listing(self._api.get("api/info/", {"id": ",".join(batch)}, self._meter))
            found, skipped = read_items(items, seen_at=self._now)
            unreadable += skipped
            for name in set(batch) - {problem.external_id for problem in skipped} - found.keys():
                found[name] = tombstone(name, seen_at=self._now, published_at=_moment(self.followed[name][1]))
            for name in filter(found.__contains__, batch):
                submission = found[name]
                if self._is_to_be_read(submission):
                    grown.append(submission)
                elif submission.edited_at or submission.removed_at:
                    changed.append(submission)
        return grown, changed, unreadable

    def _is_to_be_read(self, submission: Mention) -> bool:
        known, _, read_at = self.followed[submission.external_id]
        replies = submission.metrics.replies
        is_due = self._now.timestamp() - read_at >= _REREAD.total_seconds()
        return replies is not None and (replies != known or (replies > 0 and is_due))

    def _note_read(self, submission: Mention) -> None:
        known = self.followed[submission.external_id]
        known[0], known[2] = submission.metrics.replies or 0, int(self._now.timestamp())

    def _thread(self, submission: Mention) -> Iterator[Part]:
        name = submission.external_id
        try:
            yield from self._comments(submission)
        except Unreadable as error:
            # A thread can be closed to us while its submission still shows; where that shows no more either,
            # it is not the thread: this raises.
            self._api.get("api/info/", {"id": name}, self._meter)
            log.warning("the comments of %s are left out: %s", name, error)
            self._note_read(submission)

    def _comments(self, submission: Mention) -> Iterator[Part]:
        """Yield the submission and every comment below it; with the last part they are noted as read."""
        name = submission.external_id
        path = f"comments/{name.removeprefix('t3_')}/"
        asked: dict[str, str | int] = {"limit": _TREE_COMMENTS, "sort": "new"}
        things = read_tree(self._api.get(path, asked, self._meter))
        tree = _Tree()
        above: tuple[Mention, ...] = (submission,)
        is_whole = True
        while True:
            mentions, skipped = tree.take(things, self._now)
            in_time = tuple(filter(self._is_in_time, mentions))
            is_whole &= len(in_time) == len(mentions)
            if not tree.waiting or tree.requests >= _TREE_REQUESTS:
                break
            yield above + in_time, skipped
            above = ()
            parent, children = tree.next()
            if children:
                form = {"children": ",".join(children), "link_id": name, "sort": "new"}
                things = read_things(self._api.post("api/morechildren/", form, self._meter))
            else:
                things = read_tree(self._api.get(f"{path}_/{parent.removeprefix('t1_')}/", asked, self._meter))
        if tree.waiting:
            log.warning("%s has more comments than are read at once: %d lists are left", name, len(tree.waiting))
        if is_whole:
            self._note_read(submission)
        yield above + in_time, skipped

    def _is_in_time(self, comment: Mention) -> bool:
        return self._until is None or comment.published_at < self._until


class _Tree:
    """What has been read of one thread, and the lists of further comments that have not been asked for."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, tuple[str, ...]]] = []
        self.requests = 0
        self._seen: set[str] = set()
        self._noted: set[tuple[str, tuple[str, ...]]] = set()

    def take(self, things: list[Any], now: datetime) -> Part:
        """Return the mentions that were not there before, and the unreadable; a list is noted once only."""
        lists = [read_more(thing) for thing in things]
        comments = [thing for thing, more in zip(things, lists, strict=True) if more is None]
        for parent, children in filter(None, lists):
            for start in range(0, len(children), AT_ONCE) or (0,):
                self._note((parent, children[start : start + AT_ONCE]))
        mentions, skipped = read_items(comments, seen_at=now)
        fresh = tuple(mention for name, mention in mentions.items() if name not in self._seen)
        self._seen |= mentions.keys()
        return fresh, skipped

    def next(self) -> tuple[str, tuple[str, ...]]:
        """Return the parent and ids of a list to ask for now."""
        self.requests += 1
        return self.waiting.pop()

    def _note(self, more: tuple[str, tuple[str, ...]]) -> None:
        if more not in self._noted:
            self._noted.add(more)
            self.waiting.append(more)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
