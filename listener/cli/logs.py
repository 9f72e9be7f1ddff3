"""Where log lines go and what they look like: standard error, as text or as one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import quote, quote_plus


class LogFormat(StrEnum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


_OURS = ("listener", "jobs", "connectors", "storage")
_SHORTEST_SECRET = 4
"""Blanking anything shorter would blank ordinary words."""


class _Formatter(logging.Formatter):
    """Formats a record and blanks every known secret: the last guard, should one ever reach a log."""

    def __init__(self, style: LogFormat) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.shape = style
        self._secrets: tuple[str, ...] = ()

    def hide(self, secrets: Iterable[str]) -> None:
        long_enough = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        forms = {form for secret in long_enough for form in (secret, quote(secret, safe=""), quote_plus(secret))}
        self._secrets = tuple(sorted(forms, key=len, reverse=True))

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record) if self.shape is LogFormat.TEXT else self._json(record)
        for secret in self._secrets:
            line = line.replace(secret, "[secret]")
        return line

    def _json(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


class _ToStandardError(logging.Handler):
    """Writes to what standard error is at the time: a progress bar puts itself in between while it is drawn."""

    def __init__(self, formatter: _Formatter) -> None:
        super().__init__()
        self.formatter: _Formatter = formatter

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except (OSError, ValueError):
            self.handleError(record)


def configure(verbosity: int, style: LogFormat) -> None:
    """Log to standard error: errors at -1, warnings at 0, our own INFO at 1, our DEBUG and others' INFO at 2."""
    root = logging.getLogger()
    root.handlers[:] = [_ToStandardError(_Formatter(style))]
    # Others stay above DEBUG whatever is asked for: there tweepy and prawcore log whole posts as they came,
    # before redaction, tweepy the bearer token and googleapiclient the key with each request.
    root.setLevel(logging.INFO if verbosity > 1 else logging.ERROR if verbosity < 0 else logging.WARNING)
    ours = logging.DEBUG if verbosity > 1 else logging.INFO if verbosity == 1 else root.level
    for name in _OURS:
        logging.getLogger(name).setLevel(ours)
    # At INFO it writes every statement with the texts in it.
    logging.getLogger("sqlalchemy").setLevel(max(root.level, logging.WARNING))


def leave_errors_to_the_report() -> None:
    """Silence the log's copy of errors that a command prints itself, with its report."""
    logging.getLogger("jobs.attempt").setLevel(logging.ERROR)


def hide_secrets(secrets: Iterable[str]) -> None:
    """Blank these values in every log line from here on."""
    for handler in _handlers():
        handler.formatter.hide(secrets)


def complain(message: str) -> None:
    """Tell on standard error what stopped a command, a line for each line of ``message``."""
    as_json = any(handler.formatter.shape is LogFormat.JSON for handler in _handlers())
    for line in message.splitlines():
        if as_json:
            logging.getLogger("listener").error(line)
        else:
            sys.stderr.write(f"listener: {line}\n")


def _handlers() -> list[_ToStandardError]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, _ToStandardError)]
