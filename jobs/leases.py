"""Work that one process at a time should do: a lease in the database, named after its holder."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from listener.errors import LeaseHeld
from storage.records import Fence

if TYPE_CHECKING:
    from listener.clock import Clock
    from storage.store import MentionStore

_START_TIME = 19  # field 22 of /proc/PID/stat, counted from the state that follows the command's name


def owner_name() -> str:
    """Return a new name for a holder, from which others on this machine can tell whether it still lives.

    The machine counts together with its process namespace: two containers may share a host name, and neither
    can see the other's processes. The start time tells a process from a later one of the same number, and a
    token two threads of one process.
    """
    pid = os.getpid()
    return f"{_machine()}:{pid}:{_started(pid)}:{secrets.token_hex(4)}"


def is_dead(owner: str) -> bool:
    """Tell whether ``owner`` is a process of this machine that has ended; False where that cannot be known.

    Without ``/proc`` (macOS) the number alone must do: one that was given anew counts as alive.
    """
    machine, _, rest = owner.partition(":")
    pid, _, started = rest.partition(":")
    if machine != _machine() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return _started(int(pid)) != started.partition(":")[0]


def holder_name(owner: str) -> str:
    """Name the holder for people: its machine and process number."""
    machine, _, rest = owner.partition(":")
    return f"{machine.partition('/')[0]} {rest.partition(':')[0]}".strip()


def acquire(store: MentionStore, name: str, owner: str, ttl: timedelta) -> int | None:
    """Take or renew the lease ``name`` and return its fence, or None where another live process holds it.

    A lease that a killed process of this machine left behind is taken at once; one from elsewhere runs out.
    """
    fence = store.acquire_lease(name, owner, ttl)
    if fence is None and (holder := store.lease_owner(name)) is not None and is_dead(holder):
        store.release_lease(name, holder)
        fence = store.acquire_lease(name, owner, ttl)
    return fence


class Lease:
    """A lease that this process holds: it is renewed while the work goes on, and fences what is saved under it."""

    def __init__(self, store: MentionStore, name: str, ttl: timedelta, clock: Clock) -> None:
        """Take the lease; raises ``LeaseHeld`` where another process has it."""
        self._store = store
        self._ttl = ttl
        self._clock = clock
        self._renewed_at = clock.now()
        owner = owner_name()
        self.fence = Fence(name, owner, self._acquire(name, owner))

    def renew(self) -> None:
        """Hold it for longer, once a third of its time has passed.

        Raises ``LeaseHeld`` where another process has or had it since: what was begun before is not ours any more.
        """
        now = self._clock.now()
        if now - self._renewed_at < self._ttl / 3:
            return
        before = self.fence
        number = self._acquire(before.name, before.owner)
        # It grows by one where the lease had run out, and by another one for each holder between.
        if number - before.number > 1:
            raise LeaseHeld(f"the lease {before.name!r} was another process's meanwhile: it has done the work")
        self.fence = Fence(before.name, before.owner, number)
        self._renewed_at = now

    def release(self) -> None:
        """Let it go, if it is still held."""
        self._store.release_lease(self.fence.name, self.fence.owner)

    def _acquire(self, name: str, owner: str) -> int:
        number = acquire(self._store, name, owner, self._ttl)
        if number is None:
            raise LeaseHeld(
                f"another process holds the lease {name!r} ({self._store.lease_owner(name)}): let it finish"
            )
        return number


@contextlib.contextmanager
def held(store: MentionStore, name: str, ttl: timedelta, clock: Clock) -> Iterator[Lease]:
    """Hold the lease ``name`` for a block of work; raises ``LeaseHeld`` where another process has it."""
    lease = Lease(store, name, ttl, clock)
    try:
        yield lease
    finally:
        lease.release()


def _machine() -> str:
    namespace = Path("/proc/self/ns/pid")
    inode = namespace.stat().st_ino if namespace.exists() else 0
    return f"{socket.gethostname()}/{inode}"


def _started(pid: int) -> str:
    """Return when the process started, in ticks since the machine did; empty for a dead or unknown one.

    A killed process that nobody has waited for still has an entry: its state says Z, and it is dead.
    """
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        fields = stat.rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[_START_TIME]
    return ""
