"""Authors as keyed pseudonyms: enough to count people, not to find them."""

from __future__ import annotations

import hmac
from functools import lru_cache

from listener.errors import ConfigError
from listener.settings import AuthorKey


def pseudonym(secret: str | None, mode: AuthorKey, channel: str, author_id: str, iso_week: str) -> str | None:
    """Return the pseudonym that is kept for an author of ``channel``: 64 hex digits, or None for ``none``.

    HMAC-SHA256 (RFC 2104) of channel and author id under a key derived from ``secret``: with ``weekly`` the
    key is the week's own, so nobody can be followed from one week (``iso_week``, such as ``"2026-W46"``)
    into the next; with ``stable`` it is one key for ever. Without the secret a pseudonym cannot be traced
    back by trying ids. Raises ``ConfigError`` where a mode that needs the secret has none.
    """
    if mode == "none":
        return None
    if not secret:
        raise ConfigError(
            f'privacy.author_key = "{mode}" needs the secret LISTENER_AUTHOR_KEY: set it, or choose "none"'
        )
    key = _key(secret, iso_week if mode == "weekly" else "stable")
    return _hmac(key, f"{channel}\0{author_id}").hex()


@lru_cache(maxsize=256)
def _key(secret: str, period: str) -> bytes:
    return _hmac(secret.encode(), period)


def _hmac(key: bytes, message: str) -> bytes:
    # Platforms have been seen to send lone surrogates; they must count as an author, not stop a page.
    return hmac.digest(key, message.encode("utf-8", "surrogatepass"), "sha256")
