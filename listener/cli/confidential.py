"""The secrets Listener may be given: their names, their values (for the log to blank), a URL without one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from listener.errors import ConfigError

if TYPE_CHECKING:
    from listener.settings import Settings


def secret_names() -> list[str]:
    """Return the environment variables that hold secrets, the connectors' included."""
    import connectors

    names = ["LISTENER_DATABASE_URL", "LISTENER_AUTHOR_KEY"]
    for channel, connector in connectors.discover().items():
        names += [f"LISTENER_{channel}_{name}".upper() for name in connector.secrets]
    return names


def secret_values(settings: Settings) -> list[str]:
    """Return every secret that is set, and the password in the store's URL."""
    values = []
    for name in secret_names():
        # A file that cannot be read hides its own secret; whoever needs it is told.
        with suppress(ConfigError):
            if secret := settings.secret(name):
                values.append(secret.get_secret_value())
    with suppress(ConfigError, ValueError):
        url = urlsplit(settings.database_url)
        values += [unquote(url.password or ""), *parse_qs(url.query).get("password", ())]
    return values


def without_password(url: str) -> str:
    """Return a database URL fit to be shown; raises ``ConfigError`` for one that is none."""
    from storage.opening import database_url

    parsed = database_url(url)
    if "password" in parsed.query:
        parsed = parsed.update_query_dict({"password": "***"})
    return parsed.render_as_string(hide_password=True)
