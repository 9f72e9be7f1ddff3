"""What a YouTube stream remembers: how far the search has come, the videos it follows, and a pull half done.

Moments are whole seconds since 1970. The cursor's size is bounded by the videos that are followed
(``max_videos``, and during a pull what its search has found, which YouTube ends at some 500).

A window that does not join on to what was read before (it begins after it, or ends before its end) is read
*aside*: with a state of its own that is thrown away at its end, so that the stream's own state claims nothing
that was left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from connectors.base import Window

_VERSION = 1
SEARCH_OVERLAP = 2 * 86_400
"""A video may turn up in the search this long after it was published (seconds)."""
COMMENT_OVERLAP = 3_600
"""The same for a comment below its video; a longer delay shows as a count that nothing new explains."""


class Depth(StrEnum):
    """How a video's threads are read.

    ``ALL`` reports every comment. ``NEWEST`` reads back to the watermark, and further where that does not
    explain the count, and reports what is new or edited since then.
    """

    ALL = "all"
    NEWEST = "newest"


@dataclass(slots=True)
class Video:
    """A followed video.

    ``alive`` is when it was found or last had something new, ``read_to`` up to when its comments are stored,
    ``swept`` when all its threads were last read, ``count`` how many comments it had at ``read_to``.
    """

    alive: int
    read_to: int | None = None
    swept: int | None = None
    count: int | None = None

    def settle(self, pull: Pull, began: int, count: int | None, *, swept: bool) -> None:
        """Note that the comments are stored as they were at ``began``, all of them if ``swept``.

        Where the pull's window ends before ``began``, what came after it is still to be read.
        """
        if self.count is not None and count != self.count:
            self.alive = began
        if pull.until is not None and pull.until <= began:
            self.read_to, self.swept, self.count = pull.until, None, None
        else:
            self.read_to, self.swept, self.count = began, began if swept else self.swept, count


@dataclass(slots=True)
class Reading:
    """One video's threads, half read: ``token`` is the page in hand.

    ``expanded`` is None before that page's own comments are stored, then the last thread whose further
    replies are stored too (``""``: none yet).
    """

    video_id: str
    depth: Depth
    count: int | None
    began: int
    token: str | None = None
    expanded: str | None = None


@dataclass(slots=True)
class Pull:
    """A pull on its way: first it discovers videos, then it looks them up (``todo``), then reads (``waiting``).

    ``discovered`` is None while it discovers, then whether it has searched (and not only followed). ``todo`` is
    None until the discovery is over. ``waiting`` maps a video to how deep to read it, its count, and when that
    was asked.
    """

    start: int
    since: int | None = None
    until: int | None = None
    after: int | None = None
    token: str | None = None
    discovered: bool | None = None
    todo: list[str] | None = None
    waiting: dict[str, tuple[Depth, int | None, int]] = field(default_factory=dict)
    reading: Reading | None = None

    @property
    def end(self) -> int:
        """Up to when this pull reads."""
        return self.start if self.until is None else min(self.start, self.until)

    def wants(self, published: float) -> bool:
        """Tell whether an item of that moment lies in the window."""
        return (self.since is None or published >= self.since) and (self.until is None or published < self.until)


@dataclass(slots=True)
class State:
    """A stream: ``since`` is where its first window began, ``searched_to`` up to when videos are known."""

    since: int | None = None
    searched_to: int | None = None
    searched_at: int | None = None
    videos: dict[str, Video] = field(default_factory=dict)
    pull: Pull | None = None

    def trim(self, *, now: int, follow_seconds: int, most: int) -> None:
        """Let go of videos that were quiet for long, and of the quietest where there are too many."""
        followed = [
            (video.alive, identity)
            for identity, video in self.videos.items()
            if now - video.alive <= follow_seconds
        ]
        keep = {identity for _, identity in sorted(followed, reverse=True)[:most]}
        self.videos = {identity: video for identity, video in self.videos.items() if identity in keep}

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON."""
        videos = {name: [v.alive, v.read_to, v.swept, v.count] for name, v in self.videos.items()}
        return {
            "since": self.since,
            "searched_to": self.searched_to,
            "searched_at": self.searched_at,
            "videos": videos,
            "pull": _pull_to_json(self.pull) if self.pull else None,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> State:
        """Read what :meth:`to_json` wrote."""
        return cls(
            since=stored["since"],
            searched_to=stored["searched_to"],
            searched_at=stored["searched_at"],
            videos={name: Video(*values) for name, values in stored["videos"].items()},
            pull=_pull_from_json(stored["pull"]) if stored["pull"] else None,
        )


@dataclass(slots=True)
class Track:
    """The state a run works on, and how it goes into the cursor."""

    state: State
    main: State
    aside: tuple[int | None, int | None, State] | None

    @property
    def is_aside(self) -> bool:
        """Whether the run works beside the stream's own state."""
        return self.state is not self.main

    def finish(self) -> None:
        """Throw the state beside away: its window has been read."""
        if self.is_aside:
            self.aside = None

    def cursor(self) -> dict[str, Any]:
        """Return the cursor to keep."""
        cursor: dict[str, Any] = {"v": _VERSION, "state": self.main.to_json()}
        if self.aside:
            since, until, state = self.aside
            cursor["aside"] = {"since": since, "until": until, "state": state.to_json()}
        return cursor


def open_track(cursor: Mapping[str, Any], window: Window) -> Track:
    """Return what a run with ``window`` works on; a cursor of another version begins anew."""
    known = cursor.get("v") == _VERSION
    main = State.from_json(cursor["state"]) if known else State()
    stored = cursor.get("aside") if known else None
    aside = (stored["since"], stored["until"], State.from_json(stored["state"])) if stored else None
    since, until = _seconds_up(window.since), _seconds_up(window.until)
    if _joins_on(main, since, until):
        return Track(main, main, aside)
    if aside is None or aside[:2] != (since, until):
        videos = {identity: Video(video.alive) for identity, video in main.videos.items()}
        aside = (since, until, State(videos=videos))
    return Track(aside[2], main, aside)


def open_pull(state: State, window: Window, *, now: datetime) -> tuple[Pull, bool]:
    """Set ``state.pull`` to what this run has to do; return it, and whether it goes on with an earlier one.

    An earlier pull that was stopped is finished first where the window is the same, or none was asked for.
    """
    since, until = _seconds_up(window.since), _seconds_up(window.until)
    if state.pull and _goes_on(state.pull, since, until):
        return state.pull, True
    start = math.floor(now.timestamp())
    if state.searched_to is None and not state.videos:
        state.since = since
    elif since is not None and state.since is not None:
        state.since = min(state.since, since)
    after = since if since is not None else state.searched_to and state.searched_to - SEARCH_OVERLAP
    if after is not None and state.since is not None:
        after = max(after, state.since)
    state.pull = Pull(start=start, since=since, until=until, after=after)
    return state.pull, False


def depth_of(video: Video, count: int | None, *, now: int, windowed: bool, reread_seconds: int) -> Depth | None:
    """Decide how a video is read that has ``count`` comments now; None: not at all.

    A comment that was removed can hide a new one in the count, and an edit shows in none, so that everything
    is read again every ``reread_seconds``, whatever the count says.
    """
    if windowed:
        return Depth.ALL
    due = video.swept is None or now - video.swept >= reread_seconds
    if not due and count == video.count:
        return None
    return Depth.ALL if due or video.read_to is None else Depth.NEWEST


def at(seconds: int) -> datetime:
    """Return the moment."""
    return datetime.fromtimestamp(seconds, UTC)


def _goes_on(pull: Pull, since: int | None, until: int | None) -> bool:
    return (since, until) in {(None, None), (pull.since, pull.until)}


def _joins_on(main: State, since: int | None, until: int | None) -> bool:
    """Tell whether a run with this window may move the stream's own marks without leaving anything out."""
    if main.pull and _goes_on(main.pull, since, until):
        return True
    if main.searched_to is not None:
        return (since is None or since <= main.searched_to) and (until is None or until >= main.searched_to)
    if main.pull is None:
        return True
    # A first pull half done promises everything from where it began.
    begun = main.pull.since
    return begun is not None and since is not None and since <= begun and until is None


def _seconds_up(moment: datetime | None) -> int | None:
    """Return the first whole second not before ``moment``: YouTube's own moments are whole seconds."""
    return None if moment is None else math.ceil(moment.timestamp())


def _pull_to_json(pull: Pull) -> dict[str, Any]:
    reading = pull.reading
    return {
        "start": pull.start,
        "since": pull.since,
        "until": pull.until,
        "after": pull.after,
        "token": pull.token,
        "discovered": pull.discovered,
        "todo": None if pull.todo is None else list(pull.todo),
        "waiting": {name: [str(depth), count, began] for name, (depth, count, began) in pull.waiting.items()},
        "reading": reading
        and [
            reading.video_id,
            str(reading.depth),
            reading.count,
            reading.began,
            reading.token,
            reading.expanded,
        ],
    }


def _pull_from_json(stored: Mapping[str, Any]) -> Pull:
    waiting = {name: (Depth(depth), count, began) for name, (depth, count, began) in stored["waiting"].items()}
    reading = None
    if stored["reading"]:
        video_id, depth, count, began, token, expanded = stored["reading"]
        reading = Reading(video_id, Depth(depth), count, began, token, expanded)
        if reading.depth is not Depth.ALL:
            # What it had counted is lost with the process, so that only reporting everything is sure.
            reading = Reading(video_id, Depth.ALL, count, began)
    return Pull(**{**stored, "waiting": waiting, "reading": reading})
