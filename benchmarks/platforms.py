"""A platform's stand-in in a process of its own, so that what it costs is not counted as the pipeline's.

``python -m benchmarks.platforms CHANNEL COUNT MOMENT`` serves about ``COUNT`` mentions, published in the week
before ``MOMENT``, at which its clock stands; it prints its address and ends with its standard input.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from listener.clock import SteppedClock
from listener.standins.generator import generate
from listener.standins.reddit import RedditStandin
from listener.standins.twitter import TwitterStandin
from listener.standins.youtube import YoutubeStandin

if TYPE_CHECKING:
    from listener.standins.posts import Post
    from listener.standins.server import Standin

SEED = 2026
_UNLIMITED = 10**9
# X shows seven days; a few hours less, so that nothing falls out while a pull goes on.
_SPAN = timedelta(days=6, hours=12)
# A week at this multiple of the count holds enough of each channel, of which one takes the first of.
_AMPLE = 8


def posts(channel: str, count: int, until: datetime) -> Iterator[Post]:
    """Yield ``count`` posts of the week before ``until``, in order of publication, the same each time."""
    made = generate(
        seed=SEED, start=until - _SPAN, end=until, per_week=_AMPLE * count, channels=[channel], spike=None
    )
    return islice(made, count)


def _standin(channel: str, count: int, moment: datetime) -> Standin:
    clock = SteppedClock(moment)
    if channel == "twitter":
        twitter = TwitterStandin(clock, posts(channel, count, moment))
        twitter.limits = dict.fromkeys(twitter.limits, _UNLIMITED)
        return twitter
    if channel == "reddit":
        reddit = RedditStandin(clock, posts(channel, count, moment))
        reddit.requests_per_window = _UNLIMITED
        return reddit
    youtube = YoutubeStandin(clock, posts(channel, count, moment))
    youtube.daily_searches = youtube.daily_units = _UNLIMITED
    return youtube


@contextmanager
def serving(channel: str, count: int, moment: datetime) -> Iterator[str]:
    """Serve a platform from another process for a block that gets its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.platforms", channel, str(count), moment.isoformat()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"the {channel} stand-in did not start")
        yield address
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


if __name__ == "__main__":
    asked_channel, asked_count, asked_moment = sys.argv[1:]
    with _standin(asked_channel, int(asked_count), datetime.fromisoformat(asked_moment)) as served:
        # What is published is made now, not upon the first request.
        served.timeline.get("")
        print(served.base_url, flush=True)
        sys.stdin.read()
