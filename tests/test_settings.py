from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.errors import ConfigError
from listener.settings import Settings, StreamSettings, load, nearest, parse_duration

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
[store]
url = "sqlite:///data/listener.db"

[privacy]
author_key = "stable"

[connectors.twitter]
base_url = "http://127.0.0.1:8101"
daily_budget_usd = 5.0

[[organizations]]
slug = "st-elsewhere"
name = "St. Elsewhere Hospital"
timezone = "America/Toronto"
aliases = ["St Elsewhere", "@StElsewhere"]
own_accounts = { twitter = ["1234"], youtube = ["UC123"] }

[[organizations.streams]]
channel = "reddit"
query = '"St. Elsewhere"'
subreddits = ["all"]
every = "30m"
"""
ORGANIZATION = '[[organizations]]\nslug = "a"\nname = "A"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "listener.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problem(folder: Path, text: str) -> str:
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    message = str(caught.value)
    assert all(line.startswith(f"{path}") for line in message.splitlines()), "the file is named on each line"
    return message.replace(str(path), "FILE")


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    settings = load(write(tmp_path, WHOLE), environ={})
    (organization,) = settings.organizations
    assert organization.names == ("St. Elsewhere Hospital", "St Elsewhere", "@StElsewhere")
    assert organization.zone == ZoneInfo("America/Toronto")
    assert organization.own_accounts == {"twitter": ("1234",), "youtube": ("UC123",)}
    (stream,) = organization.streams
    assert (stream.channel, stream.kind, stream.query) == ("reddit", "search", '"St. Elsewhere"')
    assert stream.every == timedelta(minutes=30)
    assert stream.options == {"subreddits": ["all"]}
    assert settings.connectors["twitter"] == {"base_url": "http://127.0.0.1:8101", "daily_budget_usd": 5.0}
    assert settings.privacy.author_key == "stable"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/listener.db"
    assert settings.origin == str(tmp_path / "listener.toml")


def test_an_empty_file_has_every_default(tmp_path: Path) -> None:
    settings = load(write(tmp_path, ""), environ={})
    assert settings.organizations == ()
    assert settings.privacy.author_key == "weekly"
    assert settings.topics.file is None


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "listener.toml"
    path.write_bytes(b"\xef\xbb\xbf" + ORGANIZATION.encode())
    assert load(path, environ={}).organization("a").name == "A"


BAD = {
    "an unknown table": ("[stores]\n", "FILE: unknown key stores; did you mean 'store'?"),
    "an unknown key": ('[store]\nulr = "x"\n', "FILE: unknown key store.ulr; did you mean 'url'?"),
    "a key like no other": ("[store]\nzzz = 1\n", "FILE: unknown key store.zzz"),
    "an unknown key of a list": (
        ORGANIZATION + 'timezon = "UTC"\n',
        "FILE: unknown key organizations[0].timezon; did you mean 'timezone'?",
    ),
    "a word that is not a choice": (
        '[privacy]\nauthor_key = "monthly"\n',
        "FILE: privacy.author_key = 'monthly': input should be 'none', 'weekly' or 'stable'",
    ),
    "a number for a text": ("[store]\nurl = 5\n", "FILE: store.url = 5: input should be a valid string"),
    "a text for a table": ('store = "x"\n', "FILE: store = 'x': input should be a table"),
    "a text for a list": (
        ORGANIZATION + 'aliases = "St E"\n',
        "FILE: organizations[0].aliases = 'St E': input should be a list",
    ),
    "a text for a list in a table": (
        ORGANIZATION + 'own_accounts = { twitter = "12" }\n',
        "FILE: organizations[0].own_accounts.twitter = '12': input should be a list",
    ),
    "a table for a list of tables": ("organizations = 'a'\n", "FILE: organizations = 'a': input should be a list"),
    "a text for a connector's table": (
        'connectors = { twitter = "on" }\n',
        "FILE: connectors.twitter = 'on': input should be a table",
    ),
    "a missing name": ('[[organizations]]\nslug = "a"\n', "FILE: organizations[0].name is missing"),
    "an empty name": (
        '[[organizations]]\nslug = "a"\nname = ""\n',
        "FILE: organizations[0].name = '': string should have at least 1 character",
    ),
    "a slug with a space": (
        '[[organizations]]\nslug = "St E"\nname = "A"\n',
        "FILE: organizations[0].slug = 'St E': use lower-case letters, digits and single hyphens",
    ),
    "the slug of all together": (
        '[[organizations]]\nslug = "all"\nname = "A"\n',
        "FILE: organizations[0].slug = 'all': \"all\" stands for every organization together; choose another slug",
    ),
    "a slug twice": (ORGANIZATION * 2, "two organizations have the slug 'a'; each needs its own"),
    "a time zone that does not exist": (
        ORGANIZATION + 'timezone = "America/Toront"\n',
        "FILE: organizations[0].timezone = 'America/Toront': no such time zone; did you mean 'America/Toronto'?",
    ),
    "a time zone that climbs out": (
        ORGANIZATION + 'timezone = "../../etc/passwd"\n',
        "FILE: organizations[0].timezone = '../../etc/passwd': no such time zone",
    ),
    "a stream without a channel": (
        ORGANIZATION + "[[organizations.streams]]\n",
        "FILE: organizations[0].streams[0].channel is missing",
    ),
    "a duration without a unit": (
        ORGANIZATION + '[[organizations.streams]]\nchannel = "x"\nevery = "15"\n',
        "FILE: organizations[0].streams[0].every = '15': write a duration as a number and s, m, h or d",
    ),
    "a duration that is a number": (
        ORGANIZATION + '[[organizations.streams]]\nchannel = "x"\nevery = 15\n',
        "FILE: organizations[0].streams[0].every = 15: write a duration",
    ),
    "a duration beyond all time": (
        ORGANIZATION + f'[[organizations.streams]]\nchannel = "x"\nevery = "{"9" * 30}d"\n',
        "write a duration as a number and s, m, h or d",
    ),
    "a frantic stream": (
        ORGANIZATION + '[[organizations.streams]]\nchannel = "x"\nevery = "5s"\n',
        "FILE: organizations[0].streams[0].every = '5s': pull no more often than every 10 seconds",
    ),
    "no TOML": ("[store\n", "FILE is not valid TOML: "),
    "a key twice": ('[store]\nurl = "a"\nurl = "b"\n', "FILE is not valid TOML: "),
    "the reserved path": ('path = "x"\n', "FILE: unknown key path"),
    "the reserved environment": ("[environment]\n", "FILE: unknown key environment"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_value_is_one_clear_line(tmp_path: Path, what: str) -> None:
    text, expected = BAD[what]
    message = problem(tmp_path, text)
    assert expected in message
    assert len(message.splitlines()) == 1
    assert "Settings" not in message
    assert "Python" not in message


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    message = problem(tmp_path, '[store]\nulr = "x"\n[privacy]\nauthor_key = "monthly"\n')
    assert len(message.splitlines()) == 2


def test_a_file_that_is_not_there_is_named_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no configuration at .*nothing\.toml: run `listener init`"):
        load(tmp_path / "nothing.toml", environ={})


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, environ={})


def test_other_bytes_than_text_are_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "listener.toml"
    path.write_bytes(b'[store]\nurl = "\xff"\n')
    with pytest.raises(ConfigError, match="cannot be read"):
        load(path, environ={})


def test_secrets_come_from_the_environment_then_from_the_file_beside(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    (tmp_path / ".env").write_text(
        "LISTENER_A=file\nLISTENER_B=file\nOTHER=no\nLISTENER_EMPTY\nLISTENER_D=${HOME}\n"
    )
    settings = load(path, environ={"LISTENER_A": "process", "SOMETHING": "else"})
    assert secret_of(settings, "LISTENER_A") == "process"
    assert secret_of(settings, "LISTENER_B") == "file"
    assert secret_of(settings, "LISTENER_D") == "${HOME}"
    assert settings.secret("LISTENER_EMPTY") is None
    assert "OTHER" not in settings.environment
    assert "SOMETHING" not in settings.environment


def secret_of(settings: Settings, name: str) -> str:
    secret = settings.secret(name)
    assert secret is not None
    return secret.get_secret_value()


def test_the_process_environment_is_read_where_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTENER_A", "own")
    assert secret_of(load(write(tmp_path, "")), "LISTENER_A") == "own"


def test_another_environment_file_takes_the_place_of_the_one_beside(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    (tmp_path / ".env").write_text("LISTENER_A=beside\n")
    other = tmp_path / "other.env"
    other.write_text("LISTENER_A=other\n")
    assert secret_of(load(path, env_file=other, environ={}), "LISTENER_A") == "other"


def test_an_environment_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no environment file at .*: check --env-file"):
        load(write(tmp_path, ""), env_file=tmp_path / "no.env", environ={})


def test_an_environment_file_of_other_bytes_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"LISTENER_A=\xff\xfe\n")
    with pytest.raises(ConfigError, match=r"\.env cannot be read"):
        load(write(tmp_path, ""), environ={})


def test_a_secret_may_lie_in_a_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  very-secret\n")
    settings = Settings(environment={"LISTENER_A_FILE": str(file)})
    assert secret_of(settings, "LISTENER_A") == "very-secret"
    both = Settings(environment={"LISTENER_A": "direct", "LISTENER_A_FILE": str(file)})
    assert secret_of(both, "LISTENER_A") == "direct"


def test_a_secrets_file_of_the_environment_goes_before_the_secret_of_the_environment_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("of the server\n")
    (tmp_path / ".env").write_text("LISTENER_A=of the file\nLISTENER_B=of the file\n")
    settings = load(write(tmp_path, ""), environ={"LISTENER_A_FILE": str(file), "LISTENER_B_FILE": ""})
    assert secret_of(settings, "LISTENER_A") == "of the server"
    assert secret_of(settings, "LISTENER_B") == "of the file"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe\xff", None])
def test_a_secrets_file_that_holds_none_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"LISTENER_A_FILE names .*token, which "):
        Settings(environment={"LISTENER_A_FILE": str(file)}).secret("LISTENER_A")


def test_secrets_show_in_no_representation(tmp_path: Path) -> None:
    settings = load(write(tmp_path, WHOLE), environ={"LISTENER_A": "very-secret"})
    shown = [repr(settings), str(settings), settings.model_dump_json(), repr(settings.secret("LISTENER_A"))]
    assert not [text for text in shown if "very-secret" in text]


def test_an_error_in_the_file_shows_no_secret_of_the_environment(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, "[stores]\n"), environ={"LISTENER_A": "very-secret"})
    assert "very-secret" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///x.db", "sqlite:///{folder}/x.db"),
        ("sqlite:////var/x.db", "sqlite:////var/x.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("postgresql+psycopg://u@h/db", "postgresql+psycopg://u@h/db"),
    ],
)
def test_a_relative_database_lies_beside_the_file(tmp_path: Path, url: str, expected: str) -> None:
    path = write(tmp_path, f'[store]\nurl = "{url}"\n')
    assert load(path, environ={}).database_url == expected.format(folder=tmp_path)
    environ = {"LISTENER_DATABASE_URL": url}
    assert load(write(tmp_path, ""), environ=environ).database_url == expected.format(folder=tmp_path)
    assert load(write(tmp_path, ""), environ=environ).read_url is None
    path = write(tmp_path, f'[store]\nread_url = "{url}"\n')
    assert load(path, environ={}).read_url == expected.format(folder=tmp_path)
    environ = {"LISTENER_READ_DATABASE_URL": url}
    assert load(write(tmp_path, ""), environ=environ).read_url == expected.format(folder=tmp_path)


def test_without_a_file_paths_start_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.folder == tmp_path
    assert settings.origin == "the configuration"


def test_a_taxonomy_of_ones_own_lies_beside_the_file(tmp_path: Path) -> None:
    settings = load(write(tmp_path, '[topics]\nfile = "mine.toml"\n'), environ={})
    assert settings.topics_file == tmp_path / "mine.toml"
    assert Settings().topics_file is None


def test_authors_need_a_key_unless_nothing_is_kept_of_them() -> None:
    assert Settings(privacy={"author_key": "none"}, environment={"LISTENER_AUTHOR_KEY": "k"}).author_secret is None
    secret = Settings(environment={"LISTENER_AUTHOR_KEY": "k"}).author_secret
    assert secret is not None
    assert secret.get_secret_value() == "k"
    with pytest.raises(ConfigError, match=r'author_key = "weekly".*LISTENER_AUTHOR_KEY.*listener init'):
        _ = Settings().author_secret


def test_an_organization_is_found_by_its_slug(tmp_path: Path) -> None:
    settings = load(write(tmp_path, WHOLE), environ={})
    assert settings.organization("st-elsewhere").name == "St. Elsewhere Hospital"
    with pytest.raises(ConfigError, match=r"no organization 'st-elsewere' in .*; did you mean 'st-elsewhere'"):
        settings.organization("st-elsewere")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().store = None


def test_the_nearest_word_is_offered_only_where_one_is_near() -> None:
    assert nearest("twiter", ["twitter", "reddit"]) == "; did you mean 'twitter'?"
    assert nearest("x", ["twitter", "reddit"]) == ""
    assert nearest("x", []) == ""


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@given(st.integers(min_value=0, max_value=10**6), st.sampled_from(list(UNITS)), st.sampled_from(["", " "]))
def test_a_duration_is_a_number_and_a_unit(number: int, unit: str, space: str) -> None:
    parsed = parse_duration(f"{space}{number}{space}{unit}{space}")
    assert parsed == timedelta(seconds=number * UNITS[unit])
    assert parse_duration(parsed) == parsed


@given(st.one_of(st.text(), st.integers(), st.none(), st.floats(), st.lists(st.text())))
def test_anything_else_is_refused_as_a_duration(value: Any) -> None:
    try:
        parsed = parse_duration(value)
    except ValueError as error:
        assert "write a duration" in str(error)  # noqa: PT017 - most values are refused, some are durations
    else:
        assert isinstance(parsed, timedelta)


def test_a_stream_pulls_hourly_searches_unless_told() -> None:
    stream = StreamSettings(channel="toy")
    assert (stream.kind, stream.every, stream.options) == ("search", timedelta(hours=1), {})
