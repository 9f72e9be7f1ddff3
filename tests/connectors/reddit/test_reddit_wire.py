"""Tokens, limits, failures and threads: praw and the network below the connector."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from praw.config import Config
from pydantic import SecretStr

from connectors.base import Limits, Meter
from connectors.reddit import RedditConnector, RedditSettings
from listener.errors import AuthError, QuotaExhausted, RetryLater
from listener.standins.server import Fault

if TYPE_CHECKING:
    from conftest import Site

NOW = datetime(2026, 11, 10, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def test_a_used_up_rate_limit_is_waited_for_elsewhere(site: Site, naps: list[float]) -> None:
    for number in range(4):
        site.comment(f"c{number}", site.head(f"p{number}"))
    site.standin.requests_per_window = 3
    reading = site.pull()
    assert isinstance(reading.error, RetryLater)
    assert reading.error.at == NOW + 10 * MINUTE
    # The token, and the three that the limit holds: the one too many was never asked.
    assert site.asked() == 4
    assert naps == []
    site.clock.step_to(reading.error.at)
    site.standin.requests_per_window = 1000
    rest = site.pull(reading.cursor)
    assert reading.ids | rest.ids == {f"{kind}{number}" for kind in "pc" for number in range(4)}


def test_praw_does_not_pace_a_burst_by_sleeping(site: Site, naps: list[float]) -> None:
    for number in range(30):
        site.comment(f"c{number}", site.head(f"p{number}"))
    assert site.pull().error is None
    assert site.asked() > 30
    assert naps == []


def test_a_lone_failure_is_got_over_in_the_same_pull(site: Site, naps: list[float]) -> None:
    site.head("p1")
    site.standin.fail(Fault(what="status", status=503, path="/search"))
    site.standin.fail(Fault(what="reset", path="/api/info"))
    reading = site.pull()
    assert reading.error is None
    assert reading.ids == {"p1"}
    assert naps == [0.5, 0.5]


def test_a_token_that_runs_out_is_renewed(site: Site) -> None:
    connector = site.connector()
    site.head("p1")
    cursor = site.pull(connector=connector).cursor
    site.step(2 * DAY)
    site.head("p2")
    assert site.pull(cursor, connector=connector).ids >= {"p2"}
    site.standin.revoke_tokens()
    connector.check(Meter())
    assert site.asked("access_token") == 3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "invalid_grant"}, AuthError),
        ({"access_token": "x", "expires_in": "soon", "scope": "*"}, RetryLater),
        ({"access_token": "\u2603", "expires_in": 60, "scope": "*"}, RetryLater),
        ("not JSON", RetryLater),
    ],
)
def test_a_token_answer_without_a_token(site: Site, body: Any, expected: type[Exception]) -> None:
    site.standin.fail(Fault(what="replace", path="access_token", body=body, times=None))
    with pytest.raises(expected):
        site.connector().check(Meter())


def test_a_refused_token_without_a_challenge_is_no_bug(site: Site) -> None:
    site.standin.fail(
        Fault(what="status", status=401, path="/search", times=None, body={"message": "Unauthorized"})
    )
    assert isinstance(site.pull().error, AuthError)


@pytest.mark.parametrize("status", [204, 202])
def test_an_answer_without_content_is_no_answer(site: Site, status: int) -> None:
    site.standin.fail(Fault(what="status", status=status, path="/search", times=None, body=""))
    assert isinstance(site.pull().error, RetryLater)


def test_a_senseless_rate_limit_header_is_ignored(site: Site) -> None:
    headers = {"X-Ratelimit-Remaining": "few", "X-Ratelimit-Used": "many", "X-Ratelimit-Reset": "1e99"}
    listing = {"kind": "Listing", "data": {"children": [], "after": None}}
    site.standin.fail(
        Fault(what="status", status=200, times=None, path="^/(r|api/info)", headers=headers, body=listing)
    )
    assert site.pull().error is None


def test_no_praw_ini_and_no_variable_of_praws_is_heard(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = "reddit_url=http://127.0.0.1:9\noauth_url=http://127.0.0.1:9\nusername=somebody\npassword=x\n"
    (tmp_path / "praw.ini").write_text(f"[DEFAULT]\n{keys}[other]\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Config, "CONFIG", None)
    for name, value in {"site": "other", "username": "somebody", "password": "x", "refresh_token": "y"}.items():
        monkeypatch.setenv(f"praw_{name}", value)
    site.head("p1")
    assert site.pull().ids == {"p1"}
    assert {request.form["grant_type"] for request in site.standin.requests if request.form} == {
        "client_credentials"
    }


def test_without_a_base_url_it_is_reddit_itself_that_is_asked(site: Site) -> None:
    nothing_to_spend = Meter(Limits(requests=0))
    secrets = {name: SecretStr(value) for name, value in site.standin.secrets.items()}
    connector = RedditConnector(RedditSettings(), secrets, clock=site.clock, user_agent="tests of the connector")
    with pytest.raises(QuotaExhausted):
        connector.check(nothing_to_spend)
    connector.close()


@pytest.mark.parametrize(
    ("username", "said"),
    [("river_9", "python:listener-test:v1.2 (by /u/river_9)"), (None, "python:listener-test:v1.2 (a remark)")],
)
def test_every_request_says_who_asks_as_reddit_demands(site: Site, username: str | None, said: str) -> None:
    site.username = username
    site.comment("c1", site.head("p1"))
    site.pull()
    agents = {request.headers["user-agent"].partition(" PRAW/")[0] for request in site.standin.requests}
    assert agents == {said}
    assert site.asked("access_token") == 1


def test_threads_share_a_connector(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for number in range(20):
        site.comment(f"c{number}", site.head(f"p{number}"))
    connector = site.connector()
    readings: list[Any] = []
    pulls = [threading.Thread(target=lambda: readings.append(site.pull(connector=connector))) for _ in range(4)]
    for pull in pulls:
        pull.start()
    for pull in pulls:
        pull.join()
    assert [len(reading.ids) for reading in readings] == [40] * 4
    assert caplog.text == ""


def test_a_recheck_that_knows_nothing_of_many_is_an_outage(site: Site) -> None:
    names = [f"t3_p{number}" for number in range(30)]
    with pytest.raises(RetryLater):
        list(site.connector().recheck(names, Meter()))
    site.head("p7")
    pages = list(site.connector().recheck(names, Meter()))
    kept = [mention.external_id for page in pages for mention in page.mentions if mention.removed_at is None]
    assert kept == ["t3_p7"]
    assert sum(len(page.mentions) for page in pages) == 30


def test_a_recheck_leaves_an_unreadable_item_as_it_is(site: Site) -> None:
    site.head("p1")

    def broken(body: Any) -> Any:
        body["data"]["children"][0]["data"]["title"] = 12
        return body

    site.standin.fail(Fault(what="change", path="/api/info", change=broken))
    (page,) = site.connector().recheck(["t3_p1"], Meter())
    assert page.mentions == ()
    assert [problem.external_id for problem in page.skipped] == ["t3_p1"]
