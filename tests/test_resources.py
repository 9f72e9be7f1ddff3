from __future__ import annotations

import tomllib

import pytest

from listener import resources


@pytest.mark.parametrize("name", ["topics.toml", "listener.example.toml"])
def test_shipped_files_are_found_and_read(name: str) -> None:
    path = resources.config_file(name)
    assert path.name == name
    assert tomllib.loads(path.read_text(encoding="utf-8"))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.toml is missing"):
        resources.config_file("nothing.toml")


def test_a_folder_is_no_file() -> None:
    with pytest.raises(FileNotFoundError):
        resources.config_file(".")
