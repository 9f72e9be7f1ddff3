"""The loopback server answers, remembers what was asked, and fails in each way it is told to."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
import requests

from listener.clock import SteppedClock
from listener.mention import Kind
from listener.standins.posts import Post
from listener.standins.server import Fault, Request, Response, Standin

NOW = datetime(2026, 11, 10, tzinfo=UTC)


class EchoStandin(Standin):
    """Counts its answers and gives back what was asked."""

    channel: ClassVar[str] = "echo"
    secrets: ClassVar[dict[str, str]] = {}
    answered = 0

    def respond(self, request: Request) -> Response:
        self.answered += 1
        if request.path == "/teapot":
            return Response(418, "short and stout", {"X-Handle": "here", "Content-Type": "text/plain"})
        body = {"n": self.answered, "path": request.path, "query": request.query, "form": request.form}
        return Response(200, body, {"X-Seen": request.headers.get("x-mine", "")})


@pytest.fixture
def echo() -> Iterator[EchoStandin]:
    with EchoStandin(SteppedClock(NOW)) as standin:
        yield standin


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def ask(echo: EchoStandin, session: requests.Session, path: str = "/x", **keys: Any) -> requests.Response:
    return session.get(echo.base_url + path, timeout=2, **keys)


def test_what_was_asked_is_answered_and_remembered(echo: EchoStandin, session: requests.Session) -> None:
    answer = ask(echo, session, "/a/b?q=1&q=2&empty=", headers={"X-Mine": "yes"})
    assert answer.json() == {"n": 1, "path": "/a/b", "query": {"q": "2", "empty": ""}, "form": {}}
    assert answer.headers["X-Seen"] == "yes"
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    (request,) = echo.requests
    assert (request.method, request.path, request.query) == ("GET", "/a/b", {"q": "2", "empty": ""})
    assert request.headers["x-mine"] == "yes"


def test_a_form_is_read(echo: EchoStandin, session: requests.Session) -> None:
    answer = session.post(echo.base_url + "/token", data={"grant": "é & ü"}, timeout=2)
    assert answer.json()["form"] == {"grant": "é & ü"}
    assert echo.requests[0].method == "POST"


def test_an_answer_has_its_own_status_headers_and_text(echo: EchoStandin, session: requests.Session) -> None:
    answer = ask(echo, session, "/teapot")
    assert (answer.status_code, answer.text) == (418, "short and stout")
    assert answer.headers["X-Handle"] == "here"
    assert answer.headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"a": "\ud83d"}, rb'{"a": "\ud83d"}'),
        ("\ud83d", b"\xed\xa0\xbd"),
        (b"\xff", b"\xff"),
        (None, b"null"),
        ([], b"[]"),
    ],
)
def test_bodies_go_over_the_wire_as_platforms_send_them(body: Any, sent: bytes) -> None:
    assert Response(200, body).payload == sent


def test_one_connection_serves_many_requests(echo: EchoStandin, session: requests.Session) -> None:
    assert [ask(echo, session).json()["n"] for _ in range(3)] == [1, 2, 3]
    pools = session.get_adapter(echo.base_url).poolmanager.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 - it is no dict


def test_a_connection_that_is_to_be_closed_is_said_to_be(echo: EchoStandin, session: requests.Session) -> None:
    """Else the client would keep it, and lose its next request on it."""
    assert ask(echo, session, headers={"Connection": "close"}).headers["Connection"] == "close"
    assert "Connection" not in ask(echo, session).headers


def test_answers_do_not_wait_for_the_clients_acknowledgement(echo: EchoStandin, session: requests.Session) -> None:
    ask(echo, session)
    began = time.perf_counter()
    for _ in range(25):
        ask(echo, session)
    # With Nagle's algorithm it is some 40 ms each, a second in all.
    assert time.perf_counter() - began < 0.8


def test_requests_at_once_are_answered_one_by_one(echo: EchoStandin) -> None:
    def many() -> None:
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(20):
                ask(echo, session)

    threads = [threading.Thread(target=many) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert echo.answered == len(echo.requests) == 100


def test_a_status_does_no_work(echo: EchoStandin, session: requests.Session) -> None:
    echo.fail(Fault(status=429, headers={"Retry-After": "7"}, body={"error": "slow down"}))
    answer = ask(echo, session)
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()) == (429, "7", {"error": "slow down"})
    assert echo.answered == 0
    assert len(echo.requests) == 1
    assert ask(echo, session).status_code == 200


def test_a_reset_drops_the_connection(echo: EchoStandin, session: requests.Session) -> None:
    echo.fail(Fault(what="reset"))
    with pytest.raises(requests.ConnectionError):
        ask(echo, session)
    assert ask(echo, session).json()["n"] == 1


def test_a_reset_is_a_tcp_reset(echo: EchoStandin) -> None:
    echo.fail(Fault(what="reset"))
    with socket.create_connection(("127.0.0.1", int(echo.base_url.rsplit(":", 1)[1])), timeout=2) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            plain.recv(100)


def test_a_stall_says_nothing_for_its_time_then_hangs_up(echo: EchoStandin, session: requests.Session) -> None:
    echo.fail(Fault(what="stall", seconds=0.2))
    began = time.perf_counter()
    with pytest.raises(requests.ConnectionError):
        ask(echo, session)
    assert time.perf_counter() - began >= 0.2
    echo.fail(Fault(what="stall", seconds=5))
    with pytest.raises(requests.ReadTimeout):
        session.get(echo.base_url, timeout=0.1)


def test_a_stalled_answer_is_let_go_when_the_standin_stops(session: requests.Session) -> None:
    echo = EchoStandin(SteppedClock(NOW)).start()
    echo.fail(Fault(what="stall", seconds=60))
    failed: list[BaseException] = []

    def wait_for_it() -> None:
        try:
            session.get(echo.base_url, timeout=30)
        except requests.ConnectionError as error:
            failed.append(error)

    waiting = threading.Thread(target=wait_for_it)
    waiting.start()
    while not echo.requests:
        time.sleep(0.005)
    echo.stop()
    waiting.join(timeout=5)
    assert not waiting.is_alive()
    assert len(failed) == 1


def test_a_truncated_answer_promises_more_than_it_gives(echo: EchoStandin, session: requests.Session) -> None:
    echo.fail(Fault(what="truncate"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        ask(echo, session)
    assert echo.answered == 1


def test_a_replaced_body_keeps_the_real_status_and_does_the_work(
    echo: EchoStandin, session: requests.Session
) -> None:
    echo.fail(Fault(what="replace", body="<html>"))
    answer = ask(echo, session, "/teapot")
    assert (answer.status_code, answer.text, answer.headers["X-Handle"]) == (418, "<html>", "here")
    assert echo.answered == 1


def test_a_changed_body_is_made_of_the_real_one(echo: EchoStandin, session: requests.Session) -> None:
    echo.fail(Fault(what="change", change=lambda body: {**body, "n": "many"}, times=None))
    assert ask(echo, session, "/y").json() == {"n": "many", "path": "/y", "query": {}, "form": {}}


def test_a_change_that_changes_nothing_is_the_default(echo: EchoStandin, session: requests.Session) -> None:
    echo.fail(Fault(what="change"))
    assert ask(echo, session).json()["n"] == 1


@pytest.mark.parametrize(("length", "given"), [(1, [1, 1, 1, 1, 1]), (2, [1, 2, 1, 2, 1]), (3, [1, 2, 3, 1, 2])])
def test_a_cycle_repeats_its_first_answers(
    echo: EchoStandin, session: requests.Session, length: int, given: list[int]
) -> None:
    echo.fail(Fault(what="cycle", length=length, times=None))
    assert [ask(echo, session, f"/{number}").json()["n"] for number in range(5)] == given
    assert echo.answered == length


def test_a_fault_waits_for_its_path_and_its_turn(echo: EchoStandin, session: requests.Session) -> None:
    echo.fail(Fault(path="^/b", skip=1, times=2))
    paths = ["/a", "/b", "/a/b", "/b", "/bb", "/b"]
    assert [ask(echo, session, path).status_code for path in paths] == [200, 200, 200, 503, 503, 200]


def test_faults_stand_in_the_order_they_were_given(echo: EchoStandin, session: requests.Session) -> None:
    echo.fail(Fault(status=500))
    echo.fail(Fault(status=502, times=2))
    assert [ask(echo, session).status_code for _ in range(4)] == [500, 502, 502, 200]


def test_a_fault_for_ever_lasts_until_it_heals(echo: EchoStandin, session: requests.Session) -> None:
    echo.fail(Fault(times=None))
    assert [ask(echo, session).status_code for _ in range(3)] == [503] * 3
    echo.heal()
    assert ask(echo, session).status_code == 200


def test_it_starts_and_stops_and_starts_again() -> None:
    standin = EchoStandin(SteppedClock(NOW))
    with pytest.raises(RuntimeError, match="the echo stand-in is not started"):
        _ = standin.base_url
    standin.stop()
    for _ in range(2):
        with standin:
            assert requests.get(standin.base_url, timeout=2, proxies={"http": ""}).status_code == 200
    with pytest.raises(RuntimeError):
        _ = standin.base_url


def test_a_port_may_be_chosen_and_a_taken_one_is_refused(echo: EchoStandin) -> None:
    port = int(echo.base_url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"):
        EchoStandin(SteppedClock(NOW), port=port).start()


def test_posts_are_published_and_replaced(echo: EchoStandin) -> None:
    post = Post(channel="echo", external_id="1", kind=Kind.POST, published_at=NOW, text="one")
    echo.publish(post)
    assert [seen.text for seen in echo.timeline.visible()] == ["one"]


def test_what_belongs_to_a_platform_is_left_to_its_standin() -> None:
    bare = Standin(SteppedClock(NOW))
    with pytest.raises(NotImplementedError):
        bare.respond(Request("GET", "/", {}, {}, {}))
    with pytest.raises(NotImplementedError):
        Standin.example_posts(1, NOW)


def test_it_says_nothing_on_standard_error(
    echo: EchoStandin, session: requests.Session, capfd: pytest.CaptureFixture[str]
) -> None:
    echo.fail(Fault(what="truncate", path="broken"))
    with pytest.raises(requests.RequestException):
        ask(echo, session, "/broken")
    json.dumps(ask(echo, session).json())
    with socket.create_connection(("127.0.0.1", int(echo.base_url.rsplit(":", 1)[1])), timeout=2) as rude:
        rude.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    ask(echo, session)
    assert capfd.readouterr() == ("", "")
