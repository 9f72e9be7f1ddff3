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

    The file is made with the first of them. Of what stands in it already, everything is kept but the rejects of an
    archive of this name from the byte ``since`` on (None: those, too), which are of a run that was killed or are
    written anew. Where ``path`` is None nothing is written.
    """

    def __init__(self, path: Path | None, archive: str, *, since: int | None = 0) -> None:
        self.path = path
        self._archive = Path(archive).name
        self._since = since
        self._file: IO[bytes] | None = None

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
        except OSError as error:
            raise ConfigError(
                f"cannot write {self.path}: {error.strerror or error}; choose another place with --rejects"
            ) from error

    def _opened(self, path: Path) -> IO[bytes]:
        if self._since is not None and path.exists():
            self._take_out(path, self._since)
        return path.open("ab")

    def _take_out(self, path: Path, since: int) -> None:
        """Write the file anew without what is to go; killed meanwhile, it is as it was."""
        beside = path.with_name(f"{path.name}.new")
        with path.open("rb") as old, beside.open("wb") as new:
            new.writelines(line for line in old if line.endswith(b"\n") and not self._is_own(line, since))
        beside.replace(path)

    def _is_own(self, line: bytes, since: int) -> bool:
        try:
            told = json.loads(line)
            return bool(told["file"] == self._archive and told["offset"] >= since)
        except (ValueError, TypeError, KeyError, RecursionError):
            # What else stands there is somebody's.
            return False
