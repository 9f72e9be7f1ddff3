"""The command line: parse, call a job, print. Data goes to standard output, all else to standard error."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from listener.collecting import collect_rarely
from listener.errors import ConfigError, ListenerError

if TYPE_CHECKING:
    from typer import TyperException

EXIT_BUG = 70
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command in ``arguments`` (default: the process's own) and leave with its exit code.

    0 done; 1 done in part; 2 usage or configuration; 3 credentials; 4 quota or budget, resumable; 5 database;
    6 another process holds the lease; 70 a bug, with its traceback in the log; 130 interrupted by hand.
    """
    collect_rarely()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What we write is UTF-8, whatever the locale of a cron job says.
        sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(_flushed(_run(list(sys.argv[1:] if arguments is None else arguments))))


def _run(arguments: list[str]) -> int:
    from typer import TyperException

    from listener.cli.app import app
    from listener.cli.logs import complain

    try:
        code = app(args=arguments, prog_name="listener", standalone_mode=False)
    except ListenerError as error:
        complain(str(error))
        logging.getLogger("listener").debug("stopped by", exc_info=error)
        return error.exit_code
    except TyperException as error:
        complain(_misuse(error))
        return error.exit_code
    except SystemExit as leaving:
        # Typer and Rich both make a closed pipe (`| head`) an exit with 1; that the reader has seen enough is
        # no failure.
        if isinstance(leaving.__context__, BrokenPipeError):
            return 0
        raise
    except Exception:  # any: it is told with its traceback, and the exit code says that it is a bug
        logging.getLogger("listener").critical("this is a bug in Listener; please report it", exc_info=True)
        return EXIT_BUG
    return int(code or 0)


def _misuse(error: TyperException) -> str:
    """Return what was typed wrong, in one line; empty where the help has been printed already."""
    words = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{words}; see `{context.command_path} --help`" if words and context else words


def _flushed(code: int) -> int:
    """Write out what is left for standard output; without a taker for it, make sure Python does not try again."""
    from listener.cli.logs import complain

    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError) and code == 0:
            complain(f"cannot write to standard output: {error.strerror}; make room, or name a file with -o")
            return ConfigError.exit_code
    return code
