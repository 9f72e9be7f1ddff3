"""Links, e-mail addresses and handles in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable

EMAIL = "[email]"
HANDLE = "[handle]"

_LINK = re.compile(
    r"(?:(?:https?|ftp)://|(?<![\w@])www\."
    r"|(?<![\w@./-])(?:[a-z0-9-]{1,63}+\.){1,4}[a-z]{2,24}(?::\d{1,5})?/)[^\s<>\"]++",
    re.IGNORECASE,
)
_AFTER_A_LINK = ".,;:!?)'\u2019\u201d"
# Where the first part of the path, or the part after /u/, /user/ or /in/, names a person's profile.
_PROFILE_HOST = re.compile(
    r"(?:www\.|m\.|mobile\.|old\.)?(?:twitter|x|instagram|facebook|threads|tiktok|linkedin)\.(?:com|net)",
    re.IGNORECASE,
)
_NO_PROFILE = frozenset(
    {"i", "intent", "search", "hashtag", "home", "explore", "share", "sharer.php", "watch", "groups", "events"}
    | {"pages", "company", "school", "jobs", "p", "reel", "reels", "stories", "tag", "status", "in", "feed"}
    | {"posts", "pulse", "story.php", "photo.php", "permalink.php", "profile.php", "video"}
)

_NAME = r"\w++(?:[.-]\w++)*+"
_AT = "[@\uff20]"
_EMAIL = re.compile(rf"(?<![\w.+@\uff20-])[\w.+-]++{_AT}(?:[\w-]++\.)++[\w-]++")
# "jane dot roe at gmail dot com": only the big providers, where it can hardly mean anything else.
_PROVIDERS = (
    "gmail",
    "hotmail",
    "outlook",
    "yahoo",
    "icloud",
    "proton",
    "live",
    "btinternet",
    "rogers",
    "sympatico",
)
_SPELT_EMAIL = re.compile(
    r"(?<![\w.+-])(?:[\w.+-]{1,64} (?:dot|point) ){0,2}[\w.+-]++ ?[\[(]? ?(?:at|@|arobase|a commercial) ?[\])]? ?"
    rf"(?:{'|'.join(_PROVIDERS)})(?:mail)? ?[\[(]? ?(?:dot|point|\.) ?[\])]? ?"
    r"(?:com|ca|net|me|co ?(?:dot|\.) ?uk)(?!\w)",
    re.IGNORECASE,
)
# "@7pm" and "@10:30" are times. A chain ("@a@b.social", the Mastodon way) is one handle.
_HANDLE = re.compile(
    rf"(?<!\w){_AT}(?!\d{{1,2}}(?:[:.]?\d\d)?(?:[ap]m)?(?![\w.-]*[a-z_]))({_NAME}(?:{_AT}{_NAME})*+)", re.I
)
# "u/mL" and "10 u/hour" are doses.
_REDDIT = re.compile(
    r"(?<![\w/])(/?u/)(?!(?:hr|hour|day|min|week|dose|kg|night|shift)s?(?!\w))([\w-]{3,20})(?!\w)", re.I
)


class ContactRedactor:
    """Takes addresses and handles out of texts; ``own_handles`` stay."""

    def __init__(self, own_handles: Iterable[str] = ()) -> None:
        self._own = frozenset(_bare(handle) for handle in own_handles)

    def redact(self, text: str) -> str:
        """Return ``text`` without link details, e-mail addresses and handles of people."""
        lowered = text.lower()
        if _has_sign(lowered):
            # None of them holds a space, so the expressions need not see the words without a sign.
            words = [self._redact_word(word) if _has_sign(word.lower()) else word for word in text.split(" ")]
            text = " ".join(words)
            lowered = text.lower()
        # A loop, not any(): each text is looked through.
        for provider in _PROVIDERS:
            if provider in lowered:
                return _SPELT_EMAIL.sub(EMAIL, text)
        return text

    def _redact_word(self, word: str) -> str:
        word = _REDDIT.sub(self._handle, _LINK.sub(self._link, word))
        # Handles first: of "@a@b.social" the e-mail expression would leave an "@".
        return _EMAIL.sub(EMAIL, _HANDLE.sub(self._handle, word))

    def _is_own(self, handle: str) -> bool:
        return _bare(handle) in self._own

    def _handle(self, match: re.Match[str]) -> str:
        return match[0] if self._is_own(match[0]) else HANDLE

    def _link(self, match: re.Match[str]) -> str:
        link = match[0].rstrip(_AFTER_A_LINK)
        after = match[0][len(link) :]
        address = re.split(r"[?#]", link, maxsplit=1)[0]
        scheme, separator, rest = address.rpartition("://")
        authority, slash, path = rest.partition("/")
        host = authority.rpartition("@")[2]
        return scheme + separator + host + self._path(host, slash + path) + after

    def _path(self, host: str, path: str) -> str:
        parts = path.split("/")
        for index, part in enumerate(parts):
            if part and self._names_someone(host, parts, index) and not self._is_own(part):
                parts[index] = HANDLE
        return "/".join(parts)

    def _names_someone(self, host: str, parts: list[str], index: int) -> bool:
        if parts[index] == HANDLE:
            return False
        before = parts[index - 1].lower() if index > 1 else ""
        if parts[index].startswith("@") or before in ("u", "user", "users", "in", "profile"):
            return True
        return index == 1 and _PROFILE_HOST.fullmatch(host) is not None and parts[1].lower() not in _NO_PROFILE


def _has_sign(lowered: str) -> bool:
    return "/" in lowered or "@" in lowered or "www." in lowered or "\uff20" in lowered


def _bare(handle: str) -> str:
    return handle.strip().lower().lstrip("@\uff20/").removeprefix("u/")
