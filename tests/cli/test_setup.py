"""The first day: ``init``, ``check`` and ``config``, and the JSON Schema against the files it describes."""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from listener.cli.confidential import secret_values, without_password
from listener.resources import config_file
from listener.settings import load
from listener.standins.scenario import demo_environment, demo_settings_toml
from listener.standins.server import Fault, Standin

Run = Callable[..., Any]


def states(out: str) -> dict[str, str]:
    """Return what ``check`` found, by what it looked at."""
    head, _, *lines = out.splitlines()
    at, end = head.index("state"), head.index("detail")
    return {line[:at].strip(): line[at:end].strip() for line in lines if line[:at].strip()}


def test_init_writes_a_configuration_that_check_takes_apart_from_the_keys(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "hospital"
    made = run("init", folder)
    assert made.code == 0
    assert made.out.splitlines() == [str(folder / "listener.toml"), str(folder / ".env")]
    assert "listener check --online" in made.err
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    assert run("-c", folder / "listener.toml", "config", "validate").code == 0

    checked = run("-c", folder / "listener.toml", "check")
    assert checked.code == 3
    assert states(checked.out) == {
        **dict.fromkeys(["configuration", "author key", "taxonomy", "database"], "good"),
        **dict.fromkeys(["reddit", "twitter", "youtube"], "to mend"),
        "youtube topics": "off",
    }
    assert "LISTENER_TWITTER_BEARER_TOKEN" in checked.out

    again = run("init", folder)
    assert again.code == 2
    assert again.complaint.startswith(f"listener: {folder / 'listener.toml'} is there already: move it away")


def test_init_here_makes_a_new_author_key_each_time(run: Run, tmp_path: Path) -> None:
    keys = set()
    for _ in range(2):
        assert run("-q", "init").err == ""
        keys.add(load(tmp_path / "listener.toml", environ={}).author_secret)
        (tmp_path / "listener.toml").unlink()
        (tmp_path / ".env").unlink()
    assert len({key.get_secret_value() for key in keys if key}) == 2


@pytest.mark.parametrize("where", ["/proc/nowhere", "file"])
def test_init_names_a_folder_it_cannot_write(run: Run, tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    result = run("init", where)
    assert result.code == 2
    assert result.complaint.startswith(f"listener: cannot write into {where}: ")


def test_init_that_fails_half_way_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("/proc/nowhere")
    result = run("init")
    assert result.code == 2
    assert result.complaint.startswith("listener: cannot write into .: ")
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


@pytest.mark.usefixtures("config")
def test_check_online_asks_the_platforms(run: Run, standins: dict[str, Standin]) -> None:
    offline = run("check")
    assert offline.code == 0
    assert not any(standin.requests for standin in standins.values())
    online = run("check", "--online")
    assert online.code == 0
    assert set(states(online.out).values()) == {"good", "off"}
    assert all(standin.requests for standin in standins.values())

    standins["reddit"].fail(Fault(status=401, times=None, body={}))
    refused = run("check", "--online")
    assert refused.code == 3
    assert states(refused.out)["reddit"] == "to mend"
    assert states(refused.out)["twitter"] == "good"


@pytest.mark.usefixtures("config")
def test_check_says_what_is_not_kept_or_not_there(run: Run, edit: Callable[..., None], tmp_path: Path) -> None:
    edit(
        ('author_key = "weekly"', 'author_key = "none"'),
        ("[[organizations]]", "derived_metrics = true\n\n[[organizations]]"),
    )
    result = run("check")
    assert "authors are not kept" in result.out
    assert "youtube topics" not in states(result.out)

    (tmp_path / "listener.toml").write_text("", encoding="utf-8")
    (tmp_path / ".env").unlink()
    empty = run("check")
    assert empty.code == 2
    assert states(empty.out)["configuration"] == "to mend"
    assert states(empty.out)["author key"] == "to mend"
    assert "add an [[organizations]] table" in empty.out


def test_config_show_holds_no_secret(run: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "LISTENER_DATABASE_URL", "postgresql+psycopg://listener:hunter2%40@db/listener?password=hunter3"
    )
    monkeypatch.setenv("LISTENER_READ_DATABASE_URL", "postgresql+psycopg://reader:hunter4@replica/listener")
    result = run("config", "show")
    assert result.code == 0
    shown = json.loads(result.out)
    assert shown["store"]["read_url"] == "postgresql+psycopg://reader:***@replica/listener"
    for secret in (*demo_environment().values(), "hunter2", "hunter3", "hunter4"):
        assert secret not in result.out
    assert shown["secrets"]["LISTENER_DATABASE_URL"] == "set"
    assert set(shown["secrets"].values()) == {"set"}
    assert shown["organizations"][0]["streams"][0]["every"] == "15m"
    assert shown["connectors"]["twitter"]["timeout_seconds"] == 20.0
    assert secret_values(load(config)).count("hunter2@") == 1
    assert "hunter4" in secret_values(load(config))
    monkeypatch.setenv("LISTENER_DATABASE_URL", "http://[broken")
    assert "http://[broken" in secret_values(load(config))


def test_an_address_without_a_password_is_shown_as_it_is() -> None:
    assert without_password("postgresql://listener@db/listener") == "postgresql+psycopg://listener@db/listener"


def test_an_unreadable_secret_file_hurts_only_who_needs_it(
    run: Run, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTENER_TWITTER_BEARER_TOKEN_FILE", "/nowhere")
    env = filled.parent / ".env"
    kept = [line for line in env.read_text(encoding="utf-8").splitlines() if "BEARER" not in line]
    env.write_text("\n".join(kept), encoding="utf-8")
    assert run("query", "--limit", "1").code == 0
    shown = run("config", "show")
    assert shown.code == 0
    said = json.loads(shown.out)["secrets"]["LISTENER_TWITTER_BEARER_TOKEN"]
    assert said.startswith("not set: LISTENER_TWITTER_BEARER_TOKEN_FILE names /nowhere")
    refused = run("ingest", "--channel", "twitter")
    assert refused.code == 2
    assert "LISTENER_TWITTER_BEARER_TOKEN_FILE names /nowhere" in refused.complaint


@pytest.fixture
def schema(run: Run) -> Any:
    result = run("config", "schema")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    jsonschema.Draft202012Validator.check_schema(document)
    return document


def refusals(schema: Any, toml: str) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(tomllib.loads(toml))]


def example() -> str:
    return config_file("listener.example.toml").read_text(encoding="utf-8")


def test_the_schema_takes_the_files_we_ship(schema: Any) -> None:
    urls = dict.fromkeys(("twitter", "reddit", "youtube"), "http://127.0.0.1:1")
    for toml in ("", example(), demo_settings_toml(urls, "sqlite:///listener.db")):
        assert refusals(schema, toml) == []


WRONG = {
    "an unknown table": ("[privacy]", "[privaci]"),
    "an unknown key": ("author_key =", "author_keys ="),
    "an unknown choice": ('"weekly"', '"monthly"'),
    "an unknown channel": ('channel = "reddit"', 'channel = "readit"'),
    "an unknown connector": ("[connectors.reddit]", "[connectors.readit]"),
    "an unknown connector's key": ("derived_metrics", "derived_metric"),
    "an unknown kind": ('channel = "youtube"', 'channel = "youtube"\nkind = "shorts"'),
    "another channel's option": ('channel = "twitter"', 'channel = "twitter"\nsubreddits = ["all"]'),
    "accounts of an unknown channel": ("own_accounts = { twitter", "own_accounts = { twiter"),
    "a duration without a unit": ('"15m"', '"15"'),
    "nothing to search for": ("query = '\"St. Elsewhere\" OR @StElsewhere'", 'query = " "'),
    "no query at all": ("query = '\"St. Elsewhere\" OR @StElsewhere'", ""),
    "a stream without a channel": ('channel = "twitter"\n', ""),
    "a wrong type": ('name = "St. Elsewhere Hospital"', "name = 3"),
    "the file's own place": ("[store]", 'path = "x"\n[store]'),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_schema_refuses_what_the_program_refuses(schema: Any, run: Run, tmp_path: Path, wrong: str) -> None:
    old, new = WRONG[wrong]
    assert old in example()
    toml = example().replace(old, new)
    assert refusals(schema, toml)
    (tmp_path / "listener.toml").write_text(toml, encoding="utf-8")
    result = run("config", "validate")
    assert result.code == 2
    assert all(line.startswith("listener: listener.toml: ") for line in result.err.splitlines())


def test_defaults_in_the_schema_are_what_the_file_would_say(schema: Any) -> None:
    stream = schema["$defs"]["StreamSettings"]["properties"]
    assert stream["every"]["default"] == "1h"
    assert (
        schema["properties"]["connectors"]["properties"]["twitter"]["properties"]["timeout_seconds"]["default"]
        == 20
    )


def test_validate_says_that_all_is_well(run: Run, config: Path) -> None:
    assert run("config", "validate").out == "listener.toml is valid\n"
    assert run("-c", config, "config", "validate").out == f"{config} is valid\n"
