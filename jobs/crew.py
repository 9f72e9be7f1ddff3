"""Pure work done by other processes: a window of tasks ahead, results in order, a dead one's tasks done again.

Whoever asks reads and writes; a crew knows neither file nor database. A task depends on nothing but itself, so
that it can be done twice, and anywhere.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from listener.errors import ConfigError, ListenerError

if TYPE_CHECKING:
    from types import TracebackType

MOST_PROCESSES = 256
SCHEDULER = "DASK_SCHEDULER_ADDRESS"
"""The environment's name for the address of a Dask scheduler, which Dask itself reads, too."""
_LIVES = 3
"""How many processes may die of one task before it is held to be the cause."""
_LOCAL = re.compile(r"local(?::([1-9][0-9]{0,2}))?")
_REMOTE = re.compile(r"(?:tcp|tls)://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PORT = 8786


class Task(Protocol):
    """What is given to a crew: it can be pickled, and says what it is a part of."""

    @property
    def label(self) -> str:
        """What names it in an error."""
        ...


Tag = TypeVar("Tag")
Asked = TypeVar("Asked", bound=Task)
Told = TypeVar("Told")


class Crew(Protocol):
    """Several processes that do one task each at a time."""

    def each(
        self, do: Callable[[Asked], Told], work: Iterable[tuple[Tag, Asked | None]]
    ) -> Iterator[tuple[Tag, Told | None]]:
        """Yield what ``do`` says of each task, in order, with its tag; None where there is no task.

        ``work`` is asked for as much as a window holds ahead of what is yielded, so that the memory that this
        takes does not grow with the work. What ``do`` raises is raised here in its turn.

        Raises ``ListenerError`` where processes die of a task again and again.
        """
        ...


class Awaited(Protocol):
    """What is going to hold a result."""

    def done(self) -> bool:
        """Tell whether it does."""
        ...


Handle = TypeVar("Handle", bound=Awaited)


@dataclass(slots=True)
class _Waiting(Generic[Tag, Asked, Handle]):
    tag: Tag
    task: Asked | None
    handle: Handle | None


def in_order(
    work: Iterable[tuple[Tag, Asked | None]],
    window: int,
    begin: Callable[[Asked], Handle],
    end: Callable[[Asked, Handle], Told],
) -> Iterator[tuple[Tag, Told | None]]:
    """Begin ``window`` tasks ahead, and yield their results in their order, each as soon as it is its turn."""
    waiting: deque[_Waiting[Tag, Asked, Handle]] = deque()
    for tag, task in work:
        waiting.append(_Waiting(tag, task, begin(task) if task is not None else None))
        while waiting and (len(waiting) > window or _is_done(waiting[0])):
            yield _ended(waiting.popleft(), end)
    while waiting:
        yield _ended(waiting.popleft(), end)


def _is_done(one: _Waiting[Any, Any, Any]) -> bool:
    return one.handle is None or bool(one.handle.done())


def _ended(one: _Waiting[Tag, Asked, Handle], end: Callable[[Asked, Handle], Told]) -> tuple[Tag, Told | None]:
    if one.task is None or one.handle is None:
        return one.tag, None
    return one.tag, end(one.task, one.handle)


class Pool:
    """A crew of ``size`` processes of this machine, started with the first task."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()

    def each(
        self, do: Callable[[Asked], Told], work: Iterable[tuple[Tag, Asked | None]]
    ) -> Iterator[tuple[Tag, Told | None]]:
        """See :meth:`Crew.each`."""

        def begin(task: Asked) -> Future[Told]:
            return self._begin(do, task)

        def end(task: Asked, future: Future[Told]) -> Told:
            return self._end(do, task, future)

        return in_order(work, window_of(self._size), begin, end)

    def _begin(self, do: Callable[[Asked], Told], task: Asked) -> Future[Told]:
        if self._pool is None:
            # Spawned, not forked: who asks has threads and an open database.
            self._pool = ProcessPoolExecutor(
                self._size, mp_context=get_context("spawn"), initializer=_outlive_nobody
            )
        try:
            return self._pool.submit(do, task)
        except BrokenExecutor as error:
            # Told in its turn, as if it had broken while it was under way.
            broken: Future[Told] = Future()
            broken.set_exception(error)
            return broken

    def _end(self, do: Callable[[Asked], Told], task: Asked, future: Future[Told]) -> Told:
        """Return the result; a task that was under way when a process died is done again once it is its turn."""
        for _ in range(_LIVES):
            try:
                return future.result()
            except BrokenExecutor:
                self._let_go_if_broken()
                future = self._begin(do, task)
        try:
            return future.result()
        except BrokenExecutor as error:
            raise deadly(task.label, _LIVES + 1) from error

    def _let_go_if_broken(self) -> None:
        """Give up the pool where it is the broken one: others of its tasks have been told before that it was."""
        assert self._pool is not None  # noqa: S101 - a future came from it
        try:
            self._pool.submit(int)
        except BrokenExecutor:
            self._let_go()

    def _let_go(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _outlive_nobody() -> None:
    """Let a process of a pool end with who started it, and not before: Ctrl-C is told to all on a terminal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None  # noqa: S101 - a pool's process has been started by another

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def window_of(size: int) -> int:
    """Return how many tasks are begun ahead for so many processes: none waits for the next while one is saved."""
    return 2 * size + 1


def deadly(label: str, times: int) -> ListenerError:
    """Return the error that tells that processes die of a task."""
    return ListenerError(
        f"{times} processes in a row died while they heard {label}: give them more memory, or fewer processes; "
        "what was saved before is kept, and the same command goes on from there"
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a crew is: a Dask scheduler at ``address``, or ``size`` workers of our own on this machine."""

    address: str | None = None
    size: int = 0


def place_of(cluster: str) -> Place:
    """Read what ``--cluster`` says; raises ``ConfigError``.

    ``auto`` is the scheduler that the environment names, else this machine with all its cores.
    """
    named = os.environ.get(SCHEDULER, "").strip()
    origin, said = (SCHEDULER, named) if cluster == "auto" and named else ("--cluster", cluster)
    if said == "auto":
        return Place(size=cores())
    if local := _LOCAL.fullmatch(said):
        size = int(local[1]) if local[1] else cores()
        if size > MOST_PROCESSES:
            raise ConfigError(f"{origin} {said}: at most {MOST_PROCESSES} workers")
        return Place(size=size)
    if not _REMOTE.fullmatch(said):
        # What stands there by mistake may hold a password.
        shown = "…" if "@" in said else said
        raise ConfigError(f"{origin} {shown}: write auto, local, local:N, or tcp://HOST:{_PORT} (or tls://)")
    has_port = re.search(r":[0-9]+$", said)
    return Place(said if has_port else f"{said}:{_PORT}")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def crew_of(*, cluster: str | None = None, processes: int = 1) -> Iterator[Crew | None]:
    """Give the crew that was asked for, for a block; None where this process does it all.

    Raises ``ConfigError`` where both are asked for, and where the cluster is not to be had.
    """
    if cluster is not None and processes > 1:
        raise both_asked()
    if cluster is not None:
        from jobs.cluster import joined

        with joined(place_of(cluster)) as crew:
            yield crew
    elif processes > 1:
        with Pool(processes) as pool:
            yield pool
    else:
        yield None


def connections_of(*, cluster: str | None, processes: int) -> int:
    """Return over how many connections a rebuild counts at once, by ``--cluster`` or ``--processes``.

    It is the database that counts: what it needs of others are connections. Raises ``ConfigError`` for a
    scheduler, whose workers would have to be given the database's address to do no more than that.
    """
    if cluster is None:
        return processes
    if processes > 1:
        raise both_asked()
    place = place_of(cluster)
    if place.address is not None:
        raise ConfigError(
            f"the database counts by itself, and workers at {place.address} could not help it: write "
            "--cluster local:N for N connections at once"
        )
    return place.size


def both_asked() -> ConfigError:
    """Return the error of who asks for a cluster and for processes."""
    return ConfigError("--cluster and --processes are two ways of one thing: leave one out")
