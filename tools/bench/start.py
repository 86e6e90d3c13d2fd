"""How long a person waits: for --help, and for the first mask of the demo; and how much memory the processes hold."""

from __future__ import annotations

import argparse
import subprocess
import time

from tools.bench.rows import Row, row
from tools.bench.run import COMMAND, GraphRun
from tools.bench.usage import Usage

HELP_TARGET_S = 0.5
FIRST_MASK_TARGET_S = 3.0
MEMORY_AT = 25  # frames after which the memory is read


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of `benchmark.py start`."""
    runs = [_first_mask(options) for _ in range(options.repeat)]
    rows = [
        row("start", "--help", "s", [_help_s() for _ in range(options.repeat)], at_most=HELP_TARGET_S),
        row("start", "first mask", "s", [seconds for seconds, _ in runs], at_most=FIRST_MASK_TARGET_S),
    ]
    rows += [
        row("memory", node, "MB", [usage[node].rss_mb for _, usage in runs if node in usage]) for node in runs[0][1]
    ]
    return [*rows, row("memory", "all", "MB", [sum(u.rss_mb for u in usage.values()) for _, usage in runs])]


def _help_s() -> float:
    began_s = time.monotonic()
    subprocess.run([*COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began_s


def _first_mask(options: argparse.Namespace) -> tuple[float, dict[str, Usage]]:
    """(seconds from the start of the command to the first published mask, what the processes use then)."""
    first_ns = 0
    with GraphRun(["--config", options.config]) as run:
        for message in run.messages():
            if not first_ns and any(o.area for o in message.masks.objects):
                first_ns = message.published_ns
            if first_ns and message.masks.stamp.frame_id >= MEMORY_AT:
                return (first_ns - run.started_ns) / 1e9, run.usage()
    raise AssertionError("the demo has more frames than that")
