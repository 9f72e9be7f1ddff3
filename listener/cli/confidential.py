"""The secrets Listener may be given: their names, their values (for the log to blank), a URL without one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from listener.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from listener.settings import Settings


def secret_names() -> list[str]:
    """Return the environment variables that hold secrets, the connectors' included."""
    import connectors

    names = ["LISTENER_DATABASE_URL", "LISTENER_READ_DATABASE_URL", "LISTENER_AUTHOR_KEY"]
    for channel, connector in connectors.discover().items():
        names += [f"LISTENER_{channel}_{name}".upper() for name in connector.secrets]
    return names


def secret_values(settings: Settings) -> list[str]:
    """Return every secret that is set, and the passwords in the URLs of the store and its replica."""
    values = []
    for name in secret_names():
        # A file that cannot be read hides its own secret; whoever needs it is told.
        with suppress(ConfigError):
            if secret := settings.secret(name):
                values.append(secret.get_secret_value())
    values += _passwords(lambda: settings.database_url)
    values += _passwords(lambda: settings.read_url)
    return values


def _passwords(url_of: Callable[[], str | None]) -> list[str]:
    with suppress(ConfigError, ValueError):
        url = urlsplit(url_of() or "")
        return [unquote(url.password or ""), *parse_qs(url.query).get("password", ())]
    return []


READ_URL = "store.read_url (or LISTENER_READ_DATABASE_URL)"
"""How errors name the URL of a replica."""


def without_password(url: str, **named: str) -> str:
    """Return a database URL fit to be shown; raises ``ConfigError`` for one that is none.

    ``named`` is as in :func:`storage.opening.database_url`.
    """
    from storage.opening import database_url

    parsed = database_url(url, **named)
    if "password" in parsed.query:
        parsed = parsed.update_query_dict({"password": "***"})
    return parsed.render_as_string(hide_password=True)
