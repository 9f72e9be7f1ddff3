"""Small pages together: what a platform gives by the handful is heard and saved by the hundred.

A thread of Reddit is a page of a few comments. A transaction of its own costs several times what they do, and a
text by itself costs three times as much to hear as in a page. So pages are held until they are worth a
transaction, and kept together, with the cursor of the last. That is as safe as each by itself: a page that was
fetched and not saved is fetched again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from connectors.base import Page

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.base import Cursor
    from listener.clock import Clock
    from listener.coverage import Span
    from listener.errors import SkipItem
    from listener.mention import Mention

AT_ONCE = 100
"""From so many mentions on, what is held is kept: what X gives at once, of which each has been paid for."""
PATIENCE = timedelta(seconds=20)
"""How long a page may be held: so much at the most is asked for again after a kill."""


@dataclass(slots=True)
class Gathered:
    """Pages that are kept together; ``cursor`` is that of the last, ``sizes`` tells the mentions of each.

    ``is_last``: what follows is more than was asked for.
    """

    cursor: Cursor
    mentions: list[Mention] = field(default_factory=list)
    covered: list[Span] = field(default_factory=list)
    skipped: list[SkipItem] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    is_last: bool = False
    _held: dict[str, Mention] = field(default_factory=dict)

    def contradicts(self, page: Page) -> bool:
        """Tell whether a mention of ``page`` is held with another text, or was not yet removed."""
        return any(
            (held.text, held.removed_at) != (mention.text, mention.removed_at)
            for mention in page.mentions
            if (held := self._held.get(mention.external_id))
        )

    def add(self, page: Page) -> None:
        """Hold one more page."""
        self._held.update((mention.external_id, mention) for mention in page.mentions)
        self.cursor = page.cursor
        self.mentions += page.mentions
        self.skipped += page.skipped
        self.sizes.append(len(page.mentions))
        if page.covered:
            self.covered.append(page.covered)


def gather(
    pages: Iterable[Page], cursor: Cursor, *, limit: int | None, at_once: int, clock: Clock
) -> Iterator[Gathered]:
    """Yield what to keep at once, of a pull that began at ``cursor``; no more than ``limit`` mentions in all.

    What was held when the pull fails is yielded first, and the error raised after it. A mention that comes again
    otherwise is kept after what it was: what is removed has been counted before.
    """
    held = Gathered(cursor)
    begun: datetime | None = None
    room = limit
    try:
        for page in pages:
            fitting, is_last = cut(page, held.cursor, room)
            if held.contradicts(fitting):
                yield held
                held, begun = Gathered(held.cursor), None
            held.add(fitting)
            held.is_last = is_last
            room = None if room is None else room - len(fitting.mentions)
            begun = begun or clock.now()
            is_enough = len(held.mentions) >= at_once or clock.now() - begun >= PATIENCE
            if is_enough or held.is_last or page.covered:
                yield held
                if held.is_last:
                    return
                held, begun = Gathered(held.cursor), None
    except Exception:
        if held.sizes:
            yield held
        raise
    if held.sizes:
        yield held


def cut(page: Page, cursor: Cursor, room: int | None) -> tuple[Page, bool]:
    """Return what of ``page`` fits into ``room`` (None: all of it), and whether that is the last to be kept.

    Of a page cut short the cursor before it is kept: its rest is fetched again by the next run.
    """
    if room is None or len(page.mentions) < room:
        return page, False
    if len(page.mentions) == room:
        return page, True
    return replace(page, mentions=page.mentions[:room], cursor=cursor, covered=None), True
