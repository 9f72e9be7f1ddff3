from __future__ import annotations

import subprocess
import sys

CODE = """
import gc
from listener.collecting import collect_rarely
before = gc.get_threshold()[0]
collect_rarely()
print(gc.isenabled(), gc.get_threshold()[0] >= 50 * before)
"""


def test_cycles_are_still_collected_and_rarely() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
