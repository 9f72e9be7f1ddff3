"""The suite can fail: each fault below, put into the toy connector, is found by the scenario made for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


class Broken(NamedTuple):
    """A fault: ``wrong`` stands in the place of ``right``, and one of the ``scenarios`` must notice."""

    what: str
    right: str
    wrong: str
    scenarios: str


SOUND = Broken("nothing is broken", "OVERLAP", "OVERLAP", "every_page_boundary or empty_stream or readable_moment")
BROKEN = [
    Broken(
        "the mark moves before the pages are stored",
        'cursor={**cursor, "pass": going})',
        'cursor={"read_until": going["until"]})',
        "every_page_boundary",
    ),
    Broken("no overlap", "OVERLAP = timedelta(hours=1)", "OVERLAP = timedelta(0)", "shows_up_late"),
    Broken(
        "everything is read again",
        'if since is None and cursor.get("read_until"):',
        "if False:",
        "only_for_what_is_new",
    ),
    Broken(
        "what the stopped pass had left is given up",
        'if going.get("asked") != asked:',
        'if going:\n            going = {**going, "page": None, "since": going["until"]}\n        else:',
        "every_page_boundary",
    ),
    Broken("the window's end is passed over", '"before": going["until"]', '"before": None', "window_bounds"),
    Broken("pages in a circle are followed", "if token in seen:", "if False:", "circle"),
    Broken(
        "covered is claimed too early",
        'cursor={**cursor, "pass": going})',
        'cursor={**cursor, "pass": going}, covered=_covered(going | {"since": "2026-01-01T00:00+00:00"}, ()))',
        "called_covered",
    ),
    Broken("covered is never claimed", "covered=_covered(going, mentions),", "", "covered"),
    Broken(
        "the cursor grows",
        "seen.add(token)",
        'seen.add(token)\n            going["x"] = "x" * 70_000',
        "stays_small",
    ),
    Broken("requests go uncounted", "        meter.request()\n", "", "every_request_is_counted"),
    Broken(
        "the budget is asked too late",
        "        meter.request()\n",
        "        self._session().get(self._settings.base_url, timeout=1)\n        meter.request()\n",
        "days_budget",
    ),
    Broken("no timeout", "timeout=self._settings.timeout_seconds", "timeout=None", "at_once and stall"),
    Broken(
        "a bare exception",
        "(requests.RequestException, ValueError, RecursionError) as",
        "KeyError as",
        "at_once and reset",
    ),
    Broken("JSON that nothing can hold is a bug", ", RecursionError) as", ") as", "at_once and bottom"),
    Broken("a refused token is an outage", "if status in (401, 403):", "if False:", "bad_credentials"),
    Broken(
        "the token stands in an error",
        "status {status}: trying again later",
        "{response.request.headers}",
        "at_once and 503",
    ),
    Broken(
        "the token stands in a cause",
        'trying again later", at=at)',
        'trying again later", at=at) from ValueError(self._token.get_secret_value())',
        "at_once and 503",
    ),
    Broken(
        "the token stands in the log",
        "            self._refuse(response)\n",
        "            __import__('logging').getLogger('x').debug('%s', response.request.headers)\n",
        "empty_stream",
    ),
    Broken(
        "a limit is slept away",
        "        if status != 200:\n",
        "        if status != 200:\n            __import__('time').sleep(120)\n",
        "at_once and 429",
    ),
    Broken(
        "a limit's end is not told", 'trying again later", at=at)', 'trying again later")', "when_to_come_back"
    ),
    Broken(
        "one strange item stops the page",
        "return read_each(normalise, notes)",
        "return tuple(map(normalise, notes)), ()",
        "readable_moment",
    ),
    Broken(
        "a strange item goes unmentioned",
        "return read_each(normalise, notes)",
        "return read_each(normalise, notes)[0], ()",
        "readable_moment",
    ),
    Broken("hostile text goes through", "text=clean_text(payload[", "text=(payload[", "hostile"),
    Broken("what is gone goes unmentioned", "mentions=mentions + gone", "mentions=mentions", "tombstone"),
    Broken("an author must be there", " if author else None", "", "author_may_be_missing"),
    Broken("a batch's first id is lost", '",".join(identities)', '",".join(identities[1:])', "every_item"),
    Broken("no moment but now", 'datetime.fromisoformat(payload["created"])', "datetime.now(UTC)", "samples"),
]


def break_toy(folder: Path, number: int, broken: Broken) -> str:
    """Write the toy with this fault into ``folder`` as a channel of its own; return the channel."""
    channel = f"toy{number:02}"
    source = (HERE / "toy" / "toy.py").read_text(encoding="utf-8")
    assert source.count(broken.right) >= 1, f"{broken.what}: the toy has changed, change this fault with it"
    source = source.replace('ClassVar[str] = "toy"', f'ClassVar[str] = "{channel}"')
    (folder / f"{channel}.py").write_text(source.replace(broken.right, broken.wrong), encoding="utf-8")
    shutil.copytree(HERE / "toy" / "samples" / "toy", folder / "samples" / channel)
    return channel


def run_suite(folder: Path, scenarios: str) -> dict[str, int]:
    """Run the suite over the toys in ``folder``; return by channel how many scenarios failed, 0 where none did."""
    report = folder / "report.xml"
    files = [str(HERE / f"test_conformance_{name}.py") for name in ("reading", "items", "failures")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *files]
    run = subprocess.run(
        [*command, "-k", scenarios],
        cwd=ROOT,
        env={**os.environ, "CONFORMANCE_TOY": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert report.is_file(), run.stdout[-2000:] + run.stderr[-2000:]
    failures: dict[str, int] = {}
    for case in ET.parse(report).iter("testcase"):
        found = re.search(r"\[(toy\d\d)", case.get("name", ""))
        assert found, f"a scenario ran that is not the toys' own: {case.get('name')}"
        failures[found[1]] = failures.get(found[1], 0) + sum(part.tag in ("failure", "error") for part in case)
    return failures


def test_every_fault_is_found_and_the_sound_toy_passes(tmp_path: Path) -> None:
    everything = [SOUND, *BROKEN]
    channels = [break_toy(tmp_path, number, broken) for number, broken in enumerate(everything)]
    scenarios = [
        f"({channel} and ({broken.scenarios}))" for channel, broken in zip(channels, everything, strict=True)
    ]
    failures = run_suite(tmp_path, " or ".join(scenarios))
    assert failures.keys() == set(channels), "each has at least one scenario"
    assert failures.pop(channels[0]) == 0, "the sound toy fails"
    missed = [broken.what for channel, broken in zip(channels[1:], BROKEN, strict=True) if not failures[channel]]
    assert not missed, f"the suite did not notice: {missed}"
