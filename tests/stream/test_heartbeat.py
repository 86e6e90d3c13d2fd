"""What a heartbeat does beside its sign of life: memory that is free goes back to the system."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest
from running import ROOT

from stream.supervision.processes import MEMORY

GAPS = """
import json
from stream.heartbeat import freed_memory, resident_mb
blocks = [b"\\x01" * (100_000 + i) for i in range(300)]  # 30 MB, of which every tenth stays
kept = blocks[::10]
full = resident_mb()
del blocks
gaps = resident_mb()
first, second = freed_memory.give_back(), freed_memory.give_back()
print(json.dumps({"full": full, "gaps": gaps, "after": resident_mb(), "gave": [first, second]}))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory in gaps")
def test_gaps_between_blocks_in_use_go_back_to_the_system_once_a_period():
    env = {**os.environ, **MEMORY, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", GAPS], env=env, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["gaps"] > seen["full"] - 5  # by itself glibc keeps them
    assert seen["after"] < seen["full"] - 20
    assert seen["gave"] == [True, False]
