"""Makes the lifelike mentions behind the stand-ins: from a seed, in order of publication, a hundred or millions.

Every text says what its labels say (:mod:`listener.standins.phrasebook`), so that what a pipeline counts can
be held against what was written. Nothing is kept of what was yielded.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from listener.mention import Kind, Metrics
from listener.standins.identifiers import IdSource, twitter_user_id, youtube_channel_id
from listener.standins.posts import Edit, Post
from listener.standins.rhythm import Rhythm
from listener.standins.writer import Draft, Hospital, Writer

if TYPE_CHECKING:
    from collections.abc import Iterable

CHANNELS = ("twitter", "reddit", "youtube")
ST_ELSEWHERE = Hospital(
    name="St. Elsewhere Hospital",
    short="St. Elsewhere",
    handle="@StElsewhere",
    timezone="America/Toronto",
    own_accounts={
        "twitter": "1234",
        "reddit": "StElsewhereOfficial",
        "youtube": youtube_channel_id("St. Elsewhere Hospital"),
    },
)

MAX_REPLY_DELAY = timedelta(days=5)
"""No comment comes later after the head of its thread, so whoever follows a thread for a week has them all."""
MIN_REMOVAL_DELAY = timedelta(hours=36)
"""Nothing is removed sooner, so whoever looks once a day has seen it."""
MAX_REMOVAL_DELAY = timedelta(hours=72)
# X lets a post be edited for half an hour.
_EDIT_MINUTES = (4, 29)
_REPLY_GAP = timedelta(seconds=1)
_MEAN_REPLY_DELAY = timedelta(hours=14)
_SOONEST_REPLY = timedelta(minutes=2)
# Above this many mentions a week people answer faster, so that no more threads are open at a time.
_UNHURRIED_PER_WEEK = 5_000
_REPLIES_AT_MOST = 400
_ADJECTIVES = ("maple", "quiet", "north", "brick", "velvet", "copper", "rainy", "happy", "old", "silver", "lake")
_NOUNS = ("heron", "loon", "streetcar", "beaver", "ravine", "kettle", "canoe", "pigeon", "mitten", "poplar")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """A time in which people speak of ``topic`` about ``factor`` times as much as they else would."""

    topic: str
    start: datetime
    end: datetime
    factor: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manner:
    """How a platform is used: its share of all mentions, how long threads grow, and the share of odd cases."""

    share: float
    mean_replies: float
    nested: float
    own_heads: float
    own_replies: float
    nameless: float
    edited: float
    french: float = 0.04
    foreign: float = 0.01
    removed: float = 0.012


_MANNERS = {
    "twitter": _Manner(
        share=0.45, mean_replies=0.25, nested=0.3, own_heads=0.05, own_replies=0.04, nameless=0, edited=0.04
    ),
    "reddit": _Manner(
        share=0.38, mean_replies=3.1, nested=0.45, own_heads=0.01, own_replies=0.02, nameless=0.03, edited=0.04
    ),
    "youtube": _Manner(
        share=0.17, mean_replies=20, nested=0.35, own_heads=0.3, own_replies=0.03, nameless=0.02, edited=0.02
    ),
}


@dataclass(slots=True)
class _Thread:
    """A head and what will be written below it: ``due`` holds when, ``parents`` which one each replies to.

    A parent is a place in ``ids``, which begins with the head and grows as replies are published.
    """

    community: str | None
    due: tuple[datetime, ...]
    parents: tuple[int, ...]
    ids: list[str] = field(default_factory=list)


def generate(
    *,
    seed: int,
    start: datetime,
    end: datetime,
    per_week: int,
    organization: Hospital = ST_ELSEWHERE,
    channels: Iterable[str] = CHANNELS,
    spike: Spike | None = None,
) -> Iterator[Post]:
    """Yield the posts about ``organization`` from ``start`` to before ``end``, in order of publication.

    ``per_week`` is the mean number of mentions a week over all of :data:`CHANNELS`, without the spike;
    ``channels`` picks some of them without changing any of their posts. The same arguments give the same
    posts, and memory grows neither with the time nor with the rate. Comments come within
    :data:`MAX_REPLY_DELAY` of their thread's head; only edits on X change what a post means, and no edit leaves
    the local day; what is removed is the last of its thread, and no sooner than :data:`MIN_REMOVAL_DELAY`.
    """
    streams = [
        _Channel(channel, seed=seed, start=start, end=end, per_week=per_week, hospital=organization, spike=spike)
        for channel in channels
    ]
    yield from heapq.merge(*(stream.posts() for stream in streams), key=attrgetter("published_at"))


class _Channel:
    """One platform's posts, from a random source of its own."""

    def __init__(
        self,
        channel: str,
        *,
        seed: int,
        start: datetime,
        end: datetime,
        per_week: int,
        hospital: Hospital,
        spike: Spike | None,
    ) -> None:
        self._channel = channel
        self._start, self._end = start.astimezone(UTC), end.astimezone(UTC)
        self._rng = Random(f"{seed}/{channel}/{hospital.name}")  # noqa: S311 - lifelike, not secret
        self._hospital = hospital
        self._zone = ZoneInfo(hospital.timezone)
        self._rhythm = Rhythm(self._zone)
        self._writer = Writer(self._rng, channel, hospital)
        self._ids = IdSource(self._rng)
        self._manner = _MANNERS[channel]
        self._heads_per_week = per_week * self._manner.share / (1 + self._manner.mean_replies)
        self._authors = max(2_000, 40 * per_week)
        self._pace = min(1.0, _UNHURRIED_PER_WEEK / max(per_week, 1))
        self._spike = spike
        self._spike_extra = (spike.factor - 1) * self._writer.share_of(spike.topic) if spike else 0.0
        self._open: list[tuple[datetime, int, _Thread]] = []
        self._threads = itertools.count()

    def posts(self) -> Iterator[Post]:
        """Yield the heads as they arrive, and between them the replies that are due."""
        arrivals = self._rhythm.arrivals(
            self._rng, start=self._start, end=self._end, per_week=self._heads_per_week, lift=self._lift
        )
        for moment in arrivals:
            yield from self._replies_due(moment)
            yield self._head(moment)
        yield from self._replies_due(self._end)

    def _lift(self, moment: datetime) -> float:
        return 1 + self._spike_extra if self._in_spike(moment) else 1.0

    def _in_spike(self, moment: datetime) -> bool:
        return self._spike is not None and self._spike.start <= moment < self._spike.end

    def _topic_at(self, moment: datetime) -> str | None:
        # What the spike adds to the rate is all about its topic; the rest is as ever.
        if not self._spike or not self._in_spike(moment):
            return None
        return self._spike.topic if self._chance(self._spike_extra / (1 + self._spike_extra)) else None

    def _head(self, moment: datetime) -> Post:
        thread = self._open_thread(moment)
        own = self._chance(self._manner.own_heads)
        if own:
            draft = self._writer.own(head=True)
        elif self._chance(self._manner.french):
            draft = self._writer.head(language="fr")
        elif self._chance(self._manner.foreign):
            draft = self._writer.foreign(head=True)
        else:
            draft = self._writer.head(topic=self._topic_at(moment))
        kind = Kind.VIDEO if self._channel == "youtube" else Kind.POST
        last = kind is Kind.POST and not thread.due
        return self._post(moment, draft, kind, thread, own=own, last=last)

    def _replies_due(self, until: datetime) -> Iterator[Post]:
        while self._open and self._open[0][0] <= until:
            moment, number, thread = heapq.heappop(self._open)
            yield self._reply(moment, thread)
            self._await_reply(number, thread)

    def _reply(self, moment: datetime, thread: _Thread) -> Post:
        place = len(thread.ids) - 1
        own = self._chance(self._manner.own_replies)
        if own:
            draft = self._writer.own(head=False)
        elif self._chance(self._manner.french):
            draft = self._writer.reply(language="fr")
        elif self._chance(self._manner.foreign):
            draft = self._writer.foreign(head=False)
        else:
            draft = self._writer.reply(topic=self._topic_at(moment))
        nested = self._channel == "twitter" or thread.parents[place] > 0
        kind = Kind.REPLY if nested else Kind.COMMENT
        return self._post(moment, draft, kind, thread, own=own, last=place + 1 == len(thread.due))

    def _open_thread(self, moment: datetime) -> _Thread:
        community = None
        if self._channel == "reddit":
            community = self._writer.community()
        # Geometric: most threads are short, some are long, and the mean is what it should be.
        mean = self._manner.mean_replies
        count = int(math.log(1 - self._rng.random()) / math.log(mean / (1 + mean)))
        due: list[datetime] = []
        for delay in sorted(self._reply_delay(moment) for _ in range(min(count, _REPLIES_AT_MOST))):
            due.append(max(moment + delay, due[-1] + _REPLY_GAP if due else moment))
        due = [at for at in due if at < self._end and at - moment <= MAX_REPLY_DELAY]
        thread = _Thread(community, tuple(due), self._parents(len(due)))
        self._await_reply(next(self._threads), thread)
        return thread

    def _await_reply(self, number: int, thread: _Thread) -> None:
        published = max(len(thread.ids) - 1, 0)
        if published < len(thread.due):
            heapq.heappush(self._open, (thread.due[published], number, thread))

    def _reply_delay(self, moment: datetime) -> timedelta:
        """Draw a delay that seldom ends in the night."""
        delay = _SOONEST_REPLY
        for _ in range(8):
            seconds = self._rng.expovariate(1 / _MEAN_REPLY_DELAY.total_seconds()) * self._pace
            delay = min(_SOONEST_REPLY + timedelta(seconds=int(seconds)), MAX_REPLY_DELAY)
            if self._rhythm.is_awake(moment + delay, self._rng):
                break
        return delay

    def _parents(self, count: int) -> tuple[int, ...]:
        parents: list[int] = []
        for place in range(count):
            nested = place and self._chance(self._manner.nested)
            parent = self._rng.randint(1, place) if nested else 0
            if self._channel == "youtube" and parent:
                # YouTube has one level of replies: whoever answers a reply answers its comment.
                parent = parents[parent - 1] or parent
            parents.append(parent)
        return tuple(parents)

    def _post(self, moment: datetime, draft: Draft, kind: Kind, thread: _Thread, *, own: bool, last: bool) -> Post:
        parent = thread.ids[thread.parents[len(thread.ids) - 1]] if thread.ids else None
        thread.ids.append(self._identity(moment, kind, parent))
        author_id, handle = self._own_author() if own else self._author(kind)
        edits = () if own else self._edits(moment, draft, kind)
        removed_at = None
        # Only what nothing follows in its thread is removed: whoever counts comments could else miss one.
        if last and not own and not edits and self._chance(self._manner.removed * max(len(thread.due), 1)):
            removed_at = moment + timedelta(
                seconds=self._rng.randint(
                    int(MIN_REMOVAL_DELAY.total_seconds()), int(MAX_REMOVAL_DELAY.total_seconds())
                )
            )
        community = thread.community
        if self._channel == "youtube":
            community = thread.community = thread.community or author_id
        return Post(
            channel=self._channel,
            external_id=thread.ids[-1],
            kind=kind,
            published_at=moment,
            title=draft.title,
            text=draft.text,
            author_id=author_id,
            author_handle=handle,
            community=community,
            parent_id=parent,
            conversation_id=thread.ids[0],
            language=draft.language,
            metrics=self._metrics(kind, len(thread.due) if parent is None else 0),
            edits=edits,
            removed_at=removed_at,
            own=own,
            topics=draft.topics,
            sentiment=draft.sentiment,
            purpose=draft.purpose,
        )

    def _identity(self, moment: datetime, kind: Kind, parent: str | None) -> str:
        if self._channel == "twitter":
            return self._ids.tweet(moment)
        if self._channel == "reddit":
            return self._ids.reddit("t3" if kind is Kind.POST else "t1", moment)
        if kind is Kind.VIDEO:
            return self._ids.video()
        return self._ids.youtube_comment(parent if kind is Kind.REPLY else None)

    def _own_author(self) -> tuple[str, str]:
        account = self._hospital.own_accounts[self._channel]
        return account, account if self._channel == "reddit" else self._hospital.handle.lstrip("@")

    def _author(self, kind: Kind) -> tuple[str | None, str | None]:
        if kind is not Kind.VIDEO and self._chance(self._manner.nameless):
            return None, None
        # Zipf-Mandelbrot: a few write often, most once. The shift keeps the first from writing everything.
        shift = 20
        rank = int(shift * (1 + self._authors / shift) ** self._rng.random() - shift)
        handle = f"{_ADJECTIVES[rank % len(_ADJECTIVES)]}_{_NOUNS[rank % len(_NOUNS)]}{rank}"
        if self._channel == "twitter":
            # X allows 15 characters.
            return twitter_user_id(rank), f"{handle.split('_')[1][:8]}{rank}"
        if self._channel == "youtube":
            return youtube_channel_id(handle), f"@{handle}"
        return handle, handle

    def _edits(self, moment: datetime, draft: Draft, kind: Kind) -> tuple[Edit, ...]:
        on_x = self._channel == "twitter"
        if kind is Kind.VIDEO or (on_x and kind is Kind.REPLY) or not self._chance(self._manner.edited):
            return ()
        at = moment + timedelta(minutes=self._rng.randint(*_EDIT_MINUTES))
        if at.astimezone(self._zone).date() != moment.astimezone(self._zone).date():
            return ()
        said = draft
        if on_x and draft.language == "en" and self._chance(0.5):
            said = self._writer.head()
        text = said.text if said is not draft else self._writer.reworded(draft)
        return (Edit(at=at, text=text, topics=said.topics, sentiment=said.sentiment, purpose=said.purpose),)

    def _metrics(self, kind: Kind, replies: int) -> Metrics:
        """Draw what the platform counts: a long tail, and only the figures that it gives for such an item.

        Reddit and YouTube count the comments that are there by now, which the stand-in knows.
        """
        likes = min(int(self._rng.paretovariate(1.1)) - 1, 20_000)
        if self._channel == "twitter":
            return Metrics(
                likes=likes, replies=replies, shares=likes // 6, views=40 + likes * self._rng.randint(20, 60)
            )
        if kind is Kind.VIDEO:
            return Metrics(likes=likes, views=200 + likes * self._rng.randint(15, 40))
        return Metrics(likes=likes)

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability
