"""The file of what could not be read: where each line stands and why, never the line, which may name people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from listener.errors import ConfigError

if TYPE_CHECKING:
    from jobs.archives.found import Reject


class Rejects:
    """Writes rejects of one archive as JSON lines: ``file``, ``line`` (from 1), ``offset`` (bytes), ``reason``.

    The file is made with the first of them. ``kept`` is how many bytes of it belong to what was read before: the
    rest is of a run that was killed, and is written anew. Where ``path`` is None nothing is written.
    """

    def __init__(self, path: Path | None, archive: str, *, kept: int = 0) -> None:
        self.path = path
        self._archive = Path(archive).name
        self._file: IO[bytes] | None = None
        self.size = kept

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, rejects: Iterable[Reject]) -> None:
        """Add these, safe on the disk when it returns; raises ``ConfigError`` where the file cannot be written."""
        lines = [
            json.dumps(
                {
                    "file": self._archive,
                    "line": reject.place.line,
                    "offset": reject.place.offset,
                    "reason": reject.reason,
                },
                ensure_ascii=False,
            ).encode("utf-8", "replace")
            for reject in rejects
        ]
        if self.path is None or not lines:
            return
        try:
            file = self._file = self._file or self._opened(self.path)
            file.write(b"\n".join(lines) + b"\n")
            file.flush()
            self.size = file.tell()
        except OSError as error:
            raise ConfigError(
                f"cannot write {self.path}: {error.strerror or error}; choose another place with --rejects"
            ) from error

    def _opened(self, path: Path) -> IO[bytes]:
        file = path.open("r+b" if path.exists() and self.size else "wb")
        file.seek(min(self.size, path.stat().st_size))
        file.truncate()
        return file
