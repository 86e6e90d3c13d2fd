"""How many threads `lite` has for its objects: one a core, up to four.

A process of one of many cameras works on one object after the other: it finds LITE_THREADS=1 in its environment.
"""

from __future__ import annotations

import os

MOST_THREADS = 4
LIMIT = "LITE_THREADS"  # in the environment: how many threads a process has for its objects


def allowed_threads() -> int:
    """How many threads may work on objects: one a core that this process may use, unless the environment says less."""
    return int(os.environ.get(LIMIT) or min(len(os.sched_getaffinity(0)), MOST_THREADS))
