"""A stand-in that is nothing but a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
import requests

from listener.clock import SteppedClock
from listener.mention import Kind, Metrics
from listener.standins.declared import DeclaredStandin, declared
from listener.standins.posts import Edit, Post

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
PLATFORM = """
[auth]
header = "X-Key"
value = "key {key}"
secrets = { key = "declared-key-77" }
[list]
path = "/list"
query = "q"
since = "from"
until = "to"
cursor = "at"
items = "result.items"
next = "result.more.at"
page_size = 4
[lookup]
path = "/get"
ids = "id"
items = "items"
at_most = 3
[item]
external_id = "id"
kind = "sort"
published_at = "when"
edited_at = "changed"
title = "head"
text = "text"
author_id = "by.id"
likes = "likes"
[kinds]
video = "film"
comment = "remark"
[example]
external_id = "f{seconds}"
"""
ITEM = {"id": "f1", "sort": "film", "when": 1793000000, "changed": "x", "head": "h", "text": "t", "extra": [1]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "platform.toml").write_text(PLATFORM)
    (folder / "item.json").write_text(json.dumps(ITEM))
    return folder


@pytest.fixture
def films(folder: Path) -> Iterator[DeclaredStandin]:
    with declared(folder)(SteppedClock(NOW)) as standin:
        yield standin


def ask(films: DeclaredStandin, path: str, key: str = "key declared-key-77", **query: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(films.base_url + path, params=query, headers={"X-Key": key}, timeout=2)


def film(number: int, **fields: Any) -> Post:
    plain = Post(
        channel="films",
        external_id=f"f{number}",
        kind=Kind.VIDEO,
        published_at=NOW - timedelta(hours=number),
        title="Ward",
        text=f"film {number}",
        author_id="a",
        metrics=Metrics(likes=number),
    )
    return replace(plain, **fields)


def listed(films: DeclaredStandin, **query: str) -> list[list[str]]:
    """Every page's ids, to the end."""
    pages: list[list[str]] = []
    at = ""
    while True:
        result = ask(films, "/list", q="film", at=at, **query).json()["result"]
        pages.append([item["id"] for item in result["items"]])
        if "more" not in result:
            return pages
        at = result["more"]["at"]


def test_the_folders_name_is_the_channel(films: DeclaredStandin) -> None:
    assert films.channel == "films"
    assert films.secrets == {"key": "declared-key-77"}


def test_an_item_has_the_samples_shape_and_the_posts_values(films: DeclaredStandin) -> None:
    edit = Edit(at=NOW - timedelta(minutes=1), text="again")
    films.publish(film(1, edits=(edit,)), film(2, author_id=None))
    first, second = ask(films, "/get", id="f1,f2").json()["items"]
    moment = int((NOW - timedelta(hours=1)).timestamp())
    assert first == {
        "id": "f1",
        "sort": "film",
        "when": moment,
        "changed": int(edit.at.timestamp()),
        "head": "Ward",
        "text": "again",
        "by": {"id": "a"},
        "likes": 1,
        "extra": [1],
    }
    assert "changed" not in second
    assert second["by"] == {}


def test_it_refuses_what_it_should(films: DeclaredStandin) -> None:
    assert ask(films, "/list", key="key wrong", q="film").status_code == 401
    assert ask(films, "/nowhere").status_code == 404
    assert ask(films, "/list", q="film", at="f99").status_code == 400
    assert ask(films, "/get", id="f1,f2,f3,f4").status_code == 400


def test_a_list_pages_newest_first_and_leaves_out_what_is_gone_or_not_asked_for(films: DeclaredStandin) -> None:
    films.publish(*map(film, range(1, 10)), film(10, title=None, text="other"), film(11, removed_at=NOW))
    assert listed(films) == [["f1", "f2", "f3", "f4"], ["f5", "f6", "f7", "f8"], ["f9"]]
    films.page_size_cap = 8
    assert [len(page) for page in listed(films)] == [4, 4, 1]
    films.page_size_cap = 3
    assert [len(page) for page in listed(films)] == [3, 3, 3]
    assert [item["id"] for item in ask(films, "/list", q='"nothing" OR "other"').json()["result"]["items"]] == [
        "f10"
    ]


def test_a_window_is_half_open(films: DeclaredStandin) -> None:
    films.publish(*map(film, range(1, 10)))
    since, until = (str(int((NOW - timedelta(hours=hours)).timestamp())) for hours in (5, 2))
    assert listed(films, **{"from": since, "to": until}) == [["f3", "f4", "f5"]]
    iso = (NOW - timedelta(hours=2)).isoformat()
    assert listed(films, **{"from": iso}) == [["f1", "f2"]]


def test_duplicates_begin_a_page_with_the_last_of_the_one_before(films: DeclaredStandin) -> None:
    films.duplicates = True
    films.publish(*map(film, range(1, 7)))
    assert listed(films) == [["f1", "f2", "f3", "f4"], ["f4", "f5", "f6"]]


def test_out_of_order_is_another_order_of_the_same(films: DeclaredStandin) -> None:
    films.publish(*(film(number, published_at=NOW - timedelta(minutes=number)) for number in range(1, 30)))
    in_order = list(chain.from_iterable(listed(films)))
    films.out_of_order = True
    mixed = list(chain.from_iterable(listed(films)))
    assert mixed != in_order
    assert sorted(mixed) == sorted(in_order)


def test_what_is_gone_is_left_out_of_a_lookup(films: DeclaredStandin) -> None:
    films.publish(film(1), film(2, removed_at=NOW))
    assert [item["id"] for item in ask(films, "/get", id="f1,f2,f3").json()["items"]] == ["f1"]


def test_moments_are_written_as_the_sample_writes_them(folder: Path) -> None:
    (folder / "item.json").write_text(json.dumps({**ITEM, "when": "2026-01-01T00:00:00Z"}))
    standin = declared(folder)(SteppedClock(NOW))
    assert standin.item(film(1))["when"] == "2026-11-10T11:00:00Z"


def test_example_posts_are_heads_and_replies_that_a_search_finds(films: DeclaredStandin, folder: Path) -> None:
    posts = films.example_posts(10, NOW - timedelta(hours=9))
    assert len({post.external_id for post in posts}) == 10
    assert [post.published_at for post in posts] == sorted(post.published_at for post in posts)
    assert {post.kind for post in posts} == {Kind.VIDEO, Kind.COMMENT}
    heads = {post.external_id for post in posts if post.parent_id is None}
    assert len(heads) >= 5
    assert {post.parent_id for post in posts if post.parent_id} <= heads
    films.publish(*posts)
    found = ask(films, "/list", q='"St. Elsewhere"').json()["result"]["items"]
    assert len(found) == 4
    (folder / "platform.toml").write_text(PLATFORM.replace('comment = "remark"\n', ""))
    assert {post.kind for post in declared(folder).example_posts(10, NOW)} == {Kind.VIDEO}


@pytest.mark.parametrize("missing", ["platform.toml", "item.json"])
def test_a_folder_needs_both_files(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(FileNotFoundError, match=missing):
        declared(folder)
