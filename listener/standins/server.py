"""The common part of every stand-in: an HTTP server on loopback that can be told to fail."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import parse_qsl, urlsplit

from listener.standins.posts import Post, Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from listener.clock import Clock


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked: ``query`` and ``form`` keep the last value of a repeated name."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """What the stand-in answers; ``body`` is sent as JSON unless it is text or bytes already."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def payload(self) -> bytes:
        """The body as it goes over the wire: lone surrogates go as escapes, as platforms send them."""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode("utf-8", "surrogatepass")
        return json.dumps(self.body).encode("ascii")


@dataclass(slots=True, kw_only=True)
class Fault:
    """A failure to serve instead of, or upon, the real answer.

    - ``status``: answer with ``status``, ``headers`` and ``body`` and do no work;
    - ``reset``: drop the connection with a TCP reset;
    - ``stall``: say nothing for ``seconds``, then drop the connection;
    - ``truncate``: send the real headers and half of the real body, then close;
    - ``replace``: do the work and send ``body`` in place of the real body, with the real status;
    - ``change``: do the work and send what ``change`` makes of the real body (still as objects, not yet JSON);
    - ``cycle``: answer truly ``length`` times, then give those same answers in turn, whatever is asked.

    It strikes requests whose path matches ``path`` (a regular expression, searched), after letting the first
    ``skip`` of them by, ``times`` times (None: for ever).
    """

    what: Literal["status", "reset", "stall", "truncate", "replace", "change", "cycle"] = "status"
    path: str = ""
    skip: int = 0
    times: int | None = 1
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = "unavailable"
    seconds: float = 30.0
    change: Callable[[Any], Any] = lambda body: body
    length: int = 1
    given: list[Response] = field(default_factory=list, init=False)
    """The answers a ``cycle`` repeats, the next one first."""


class Standin:
    """A loopback platform. Subclasses speak one protocol in :meth:`respond`.

    ``secrets`` are the credentials it accepts, by the connector's names; ``requests`` is the log of what was
    asked. Use it as a context manager, or call ``start`` and ``stop``; ``port`` 0 takes a free one.
    """

    channel: ClassVar[str]
    secrets: ClassVar[Mapping[str, str]]

    def __init__(self, clock: Clock, posts: Iterable[Post] = (), *, port: int = 0) -> None:
        self.clock = clock
        self.timeline = Timeline(clock, posts)
        self.requests: list[Request] = []
        self.lock = threading.RLock()
        self._faults: list[Fault] = []
        self._port = port
        self._server: _Server | None = None
        self._stopping = threading.Event()

    def respond(self, request: Request) -> Response:
        """Answer one request as the platform would; called under ``lock``, so state needs no care."""
        raise NotImplementedError

    @classmethod
    def example_posts(cls, count: int, start: datetime, step: timedelta = timedelta(minutes=30)) -> list[Post]:
        """Return ``count`` lifelike posts ``step`` apart, oldest first, for the connectors' conformance suite.

        Ids have the platform's own form and follow from the moment of publication, so that calls with other
        starts give other posts. A search for ``"St. Elsewhere"`` finds each one, or the head of its thread;
        every kind of item that the connector's default kind of stream reads is among the first ten, and at
        least half are heads. Parents come before their replies, and lie in the same call.
        """
        raise NotImplementedError

    def publish(self, *posts: Post) -> None:
        """Put posts on the platform, or replace those with the same id."""
        with self.lock:
            self.timeline.publish(posts)

    def fail(self, fault: Fault) -> None:
        """Serve ``fault`` when its turn comes; several stand in the order they were given."""
        with self.lock:
            self._faults.append(fault)

    def heal(self) -> None:
        """Forget every fault."""
        with self.lock:
            self._faults.clear()

    @property
    def base_url(self) -> str:
        """Where it listens, once started."""
        if self._server is None:
            raise RuntimeError(f"the {self.channel} stand-in is not started")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> Self:
        """Listen on 127.0.0.1 in a thread of its own; raises ``OSError`` where the port is taken."""
        self._stopping.clear()
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.standin = self
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name=self.channel, daemon=True
        ).start()
        return self

    def stop(self) -> None:
        """Stop listening; stalled answers are let go."""
        if self._server is not None:
            self._stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, request: Request) -> tuple[Fault | None, Response]:
        """Return the fault that strikes ``request``, if any, and the answer that goes with it."""
        with self.lock:
            self.requests.append(request)
            fault = self._strike(request)
            if fault and fault.what == "status":
                return None, Response(fault.status, fault.body, fault.headers)
            if fault and fault.what in ("reset", "stall"):
                return fault, Response()
            if fault and fault.what == "cycle" and len(fault.given) >= fault.length:
                fault.given.append(fault.given.pop(0))
                return None, fault.given[-1]
            response = self.respond(request)
            if fault and fault.what == "cycle":
                fault.given.append(response)
            if fault and fault.what == "change":
                return None, Response(response.status, fault.change(response.body), response.headers)
            if fault and fault.what == "replace":
                return None, Response(response.status, fault.body, response.headers)
            return fault, response

    def _strike(self, request: Request) -> Fault | None:
        for fault in self._faults:
            if fault.times == 0 or not re.search(fault.path, request.path):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None

    def wait(self, seconds: float) -> None:
        """Stall for ``seconds``, or until the stand-in stops."""
        self._stopping.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    standin: Standin

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where a client hung up: that is what tests and timeouts do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without this each answer waits some 40 ms for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's own name
        """Keep standard error for the pipeline: what was asked stands in ``Standin.requests``."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        form = self.rfile.read(length).decode("utf-8", "replace") if length else ""
        request = Request(
            method=self.command,
            path=url.path,
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            form=dict(parse_qsl(form, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        fault, response = self.server.standin.answer(request)
        if fault and fault.what == "stall":
            self.server.standin.wait(fault.seconds)
        if fault and fault.what in ("reset", "stall"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        payload = response.payload
        self.send_response(response.status)
        headers = {"Content-Type": "application/json; charset=UTF-8", **response.headers}
        if self.close_connection:
            # As the client wished (praw does, with each token): unsaid, it would send its next request into a
            # connection that is just being closed.
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if fault and fault.what == "truncate":
            self.wfile.write(payload[: len(payload) // 2])
            self.close_connection = True
            return
        self.wfile.write(payload)
