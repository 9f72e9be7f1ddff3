"""An import is killed again and again, and leaves what one that was left in peace leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from sqlalchemy import text

from storage.store import MentionStore

SCRIPT = Path(__file__).with_name("import_process.py")
ENVIRONMENT = {"PYTHONPATH": str(SCRIPT.parents[2]), "OPENBLAS_NUM_THREADS": "1"}
KILLS = 10

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="counts its threads in /proc before it forks"
)


def dump(file: Path, count: int) -> None:
    texts = ("at St. Elsewhere Hospital", "nothing", "at Mercy", "at Mercy and at St. Elsewhere Hospital", "{")
    lines = []
    for number in range(count):
        body = f"{texts[number % 5]}, visit {number}"
        values = {"id": f"c{number}", "body": body, "author": "a", "subreddit": "x", "link_id": "t3_p"}
        line = json.dumps(values | {"parent_id": "t3_p", "created_utc": 1_790_000_000 + number})
        lines.append(line if number % 5 != 4 else f"{{Mercy {number}")
    file.write_bytes(zstandard.ZstdCompressor().compress("\n".join(lines).encode()))


def run(url: str, file: Path, kills: int) -> int:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), url, str(file), str(kills), "5"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
    )
    return int(done.stdout)


def everything(url: str, file: Path) -> list[object]:
    """Return what a kill could have harmed."""
    queries = (
        "SELECT external_id, text FROM mentions ORDER BY external_id",
        """SELECT m.external_id, o.slug, day FROM mention_organizations l JOIN mentions m ON m.id = l.mention_id
        JOIN organizations o ON o.id = l.organization_id ORDER BY m.external_id, o.slug""",
    )
    with MentionStore.open(url) as store, store.database.read() as connection:
        told = [[tuple(row) for row in connection.execute(text(query))] for query in queries]
    rejects = Path(f"{file}.rejects.jsonl").read_text().splitlines()
    return [*told, rejects]


def test_ten_kills_lose_nothing_and_double_nothing(store_url: str, tmp_path: Path) -> None:
    killed_file, peaceful_file = tmp_path / "killed.zst", tmp_path / "peace" / "killed.zst"
    peaceful_file.parent.mkdir()
    for file in (killed_file, peaceful_file):
        dump(file, 400)
    assert run(store_url, killed_file, KILLS) >= KILLS / 2
    peaceful_url = f"sqlite:///{tmp_path / 'peace.db'}"
    MentionStore.open(peaceful_url).close()
    assert run(peaceful_url, peaceful_file, 0) == 0
    assert everything(store_url, killed_file) == everything(peaceful_url, peaceful_file)
