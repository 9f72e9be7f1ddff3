"""Ids in the platforms' own shapes, the same from the same seed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

# X's snowflakes count milliseconds from here (2010-11-04T01:42:54.657Z), above 22 bits of machine and sequence.
TWITTER_EPOCH_MS = 1_288_834_974_657
_SNOWFLAKE_BITS = 22

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# Puts today's Reddit ids at seven digits of base 36, as they are.
_REDDIT_EPOCH = 1_500_000_000
_REDDIT_IDS_PER_SECOND = 200
_COMMENT_SUFFIX = "4AaABAg"


class IdSource:
    """Hands out ids that are unique, and on X and Reddit strictly growing when asked for in order of time."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._last: dict[str, int] = {}

    def tweet(self, at: datetime) -> str:
        """Return a snowflake of the second ``at``."""
        milliseconds = int(at.timestamp()) * 1000 + self._rng.randrange(1000) - TWITTER_EPOCH_MS
        return str(self._growing("tweet", milliseconds << _SNOWFLAKE_BITS | self._rng.randrange(1 << 12)))

    def reddit(self, prefix: str, at: datetime) -> str:
        """Return a fullname: ``prefix`` is ``t3`` for a submission, ``t1`` for a comment."""
        number = (int(at.timestamp()) - _REDDIT_EPOCH) * _REDDIT_IDS_PER_SECOND
        number += self._rng.randrange(_REDDIT_IDS_PER_SECOND)
        return f"{prefix}_{base36(self._growing(prefix, number))}"

    def video(self) -> str:
        """Return a YouTube video id."""
        return self._letters(11)

    def youtube_comment(self, parent: str | None = None) -> str:
        """Return the id of a YouTube comment, or of a reply to the comment ``parent``."""
        if parent is not None:
            return f"{parent}.{self._letters(22)}"
        return f"Ug{self._letters(24 - len(_COMMENT_SUFFIX))}{_COMMENT_SUFFIX}"

    def _growing(self, series: str, candidate: int) -> int:
        self._last[series] = max(candidate, self._last.get(series, -1) + 1)
        return self._last[series]

    def _letters(self, count: int) -> str:
        return "".join(self._rng.choices(_BASE64URL, k=count))


def base36(number: int) -> str:
    """Return ``number`` (not negative) in base 36, lower case."""
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
        if not number:
            return digits


def youtube_channel_id(name: str) -> str:
    """Return the channel id that belongs to ``name``: ``UC`` and 22 characters, always the same."""
    digest = hashlib.sha256(name.encode()).digest()
    return "UC" + "".join(_BASE64URL[byte % 64] for byte in digest[:22])


def twitter_user_id(rank: int) -> str:
    """Return the numeric id of the author at ``rank``: no two ranks below 2**40 share one."""
    # An odd factor is invertible modulo a power of two, so this only shuffles.
    return str(10**9 + rank * 2_654_435_761 % 2**40)
