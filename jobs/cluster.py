"""A crew of Dask workers: on this machine, or wherever a scheduler has them.

Dask does again what a lost worker had. What is sent to a scheduler is run by its workers, and what they send back
is unpickled here: a scheduler has to be trusted, and be reachable by nobody else (TLS, or a network of its own).
"""

from __future__ import annotations

import importlib
import logging
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from itertools import count
from typing import Any

from jobs.crew import Asked, Crew, Place, Tag, Told, deadly, in_order, window_of
from listener.errors import ConfigError, ListenerError
from listener.signals.models import models_version

_ANSWERS_WITHIN = 5
_WORKERS_WITHIN = 30
_WITHOUT_WORKERS = 120
"""Seconds: how long to wait for a scheduler, for its first worker, and for another one when all are gone."""
_LOOKED_AFTER = 5
_FAILURES = 3
"""How many workers may die of one task before it is held to be the cause; another scheduler has its own count."""


@contextmanager
def joined(place: Place, *, patience: float = _WORKERS_WITHIN) -> Iterator[Crew]:
    """Give a crew of Dask workers for a block; the first of them is waited for ``patience`` seconds.

    Raises ``ConfigError`` where Dask is not installed, no scheduler or worker answers, or workers have another
    version of Listener or of its models than this process.
    """
    dask, distributed = _dask()
    # At INFO it tells of every connection.
    logging.getLogger("distributed").setLevel(max(logging.getLogger().level, logging.WARNING))
    settings = {
        # A batch may be large; how much is under way at once is bounded by the window.
        "distributed.admin.large-graph-warning-threshold": "1GB",
        "distributed.scheduler.allowed-failures": _FAILURES,
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.deploy.lost-worker-timeout": _LOOKED_AFTER,
    }
    with dask.config.set(settings), ExitStack() as opened:
        if place.address is None:
            client, mend = opened.enter_context(_local(dask, distributed, place.size))
        else:
            client, mend = opened.enter_context(_remote(distributed, place.address)), _nothing
            _wait_for_workers(client, place.address, patience)
        check_versions(client.run(installed, on_error="return"))
        yield _Workers(client, distributed.KilledWorker, mend)


def _dask() -> tuple[Any, Any]:
    try:
        # By name, for nothing else of ours may need it.
        return importlib.import_module("dask"), importlib.import_module("distributed")
    except ImportError as error:
        raise ConfigError(
            "--cluster needs Dask, which is not installed: pip install 'hospital-listener[cluster]'; "
            "--processes N needs nothing"
        ) from error


@contextmanager
def _local(dask: Any, distributed: Any, size: int) -> Iterator[tuple[Any, Callable[[], None]]]:
    """Start workers on this machine that nobody else on it can speak to: by TLS, with keys made for this run.

    With the client comes what starts workers anew where some have left for good.
    """
    security = distributed.Security.temporary()
    nothing: dict[str, list[str]] = {
        f"distributed.{who}.http.routes": [] for who in ("scheduler", "worker", "nanny")
    }
    with (
        dask.config.set(nothing),
        distributed.LocalCluster(
            n_workers=size,
            threads_per_worker=1,
            host="127.0.0.1",
            # Dask opens a port for HTTP in any case: here nothing is behind it.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            security=security,
            preload=[__name__],
        ) as cluster,
        distributed.Client(cluster, security=security) as client,
    ):
        yield client, partial(cluster.scale, size)


def dask_setup(_worker: object) -> None:
    """Have a worker of our own, which Dask calls this in, live on when Ctrl-C is told to all on a terminal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _nothing() -> None:
    """Stand in where workers are somebody else's."""


@contextmanager
def _remote(distributed: Any, address: str) -> Iterator[Any]:
    try:
        client = distributed.Client(address, timeout=_ANSWERS_WITHIN)
    except TypeError as error:
        # How Dask says that it has no certificates.
        raise ConfigError(
            f"{address}: Dask's configuration names no certificates (distributed.comm.tls): name them, or use tcp://"
        ) from error
    except (OSError, TimeoutError) as error:
        raise ConfigError(
            f"no Dask scheduler answers at {address} within {_ANSWERS_WITHIN} seconds ({error}): check the "
            "address, and that it runs"
        ) from error
    with client:
        yield client


def _wait_for_workers(client: Any, address: str, patience: float) -> None:
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError as error:
        raise ConfigError(
            f"the Dask scheduler at {address} has no workers: start some (dask worker {address})"
        ) from error


def installed() -> tuple[str, str]:
    """Return which Listener this process has, and which models."""
    return version("hospital-listener"), models_version()


def check_versions(workers: dict[str, object]) -> None:
    """Raise ``ConfigError`` where a worker has other versions than this process: its signals would be others."""
    ours = installed()
    for address, theirs in sorted(workers.items()):
        if theirs != ours:
            told = (
                "no Listener that can be used" if not isinstance(theirs, tuple) else " with models ".join(theirs)
            )
            raise ConfigError(
                f"the worker at {address} has {told}, this command has {' with models '.join(ours)}: install the "
                "same on all"
            )


class _Workers:
    """The crew behind one client."""

    def __init__(self, client: Any, killed: type[Exception], mend: Callable[[], None]) -> None:
        self._client = client
        self._mend = mend
        self._killed = killed
        self._numbers = count()
        # Neither texts nor file names stand in a key, and no two commands' keys are alike.
        self._name = f"hear-{uuid.uuid4().hex[:12]}"

    def each(
        self, do: Callable[[Asked], Told], work: Iterable[tuple[Tag, Asked | None]]
    ) -> Iterator[tuple[Tag, Told | None]]:
        """See :meth:`jobs.crew.Crew.each`."""

        def begin(task: Asked) -> Any:
            return self._client.submit(do, task, key=f"{self._name}-{next(self._numbers)}", pure=False)

        return in_order(work, window_of(sum(self._client.nthreads().values())), begin, self._result)

    def _result(self, task: Asked, future: Any) -> Any:
        alone_since: float | None = None
        while True:
            try:
                return future.result(timeout=_LOOKED_AFTER)
            except TimeoutError as error:
                self._mend()
                if self._client.nthreads():
                    alone_since = None
                    continue
                alone_since = alone_since or time.monotonic()
                if time.monotonic() - alone_since > _WITHOUT_WORKERS:
                    raise self._lost("has had no workers for two minutes") from error
            except self._killed as error:
                raise deadly(task.label, _FAILURES + 1) from error
            except (CancelledError, OSError) as error:
                raise self._lost("is gone") from error

    @staticmethod
    def _lost(what: str) -> ListenerError:
        return ListenerError(
            f"the Dask scheduler {what}: what was saved is kept, and the same command goes on from there"
        )
