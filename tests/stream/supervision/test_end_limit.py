"""A run whose end hangs is ended by force."""

from __future__ import annotations

import subprocess
import sys

from running import PATIENCE_S, ROOT

HANGING = """
import threading
from stream.supervision.lifecycle import ends_within
with ends_within(60):
    pass
with ends_within(0.2):
    lock = threading.Lock()
    while {hangs}:
        lock.acquire()  # twice: for ever
print("the end")
"""


def ended(hangs: bool) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HANGING.format(hangs=hangs)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip


def test_an_end_that_hangs_is_ended_with_code_1_and_says_where_it_was():
    done = ended(hangs=True)
    assert done.returncode == 1
    assert "line 9 in <module>" in done.stderr
    assert "the end" not in done.stdout


def test_an_end_in_time_is_left_alone():
    done = ended(hangs=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")
