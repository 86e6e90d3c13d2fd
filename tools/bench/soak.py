"""Does the graph grow? Resident memory of every process early in a long run, and at its end."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tools.bench.rows import Row
from tools.bench.run import GraphRun
from tools.bench.usage import Usage

EARLY_FRAME = 1000  # by then every buffer has been filled once
FURTHER_FRAMES = 1000  # that the scene has left when the last is measured: a node that has ended has no memory
GROWTH_TARGET = 5.0  # %


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of `benchmark.py soak`: the demo, drawn and recorded, for `options.frames` frames."""
    early_at, late_at = min(EARLY_FRAME, options.frames // 2), options.frames
    early: dict[str, Usage] = {}
    late: dict[str, Usage] = {}
    with tempfile.TemporaryDirectory(prefix="spl-bench-") as folder:
        video = str(Path(folder) / "soak.mp4")
        with GraphRun(
            [
                *("--config", options.config, "--record", video),
                *("--set", f"capture.demo_frames={options.frames + FURTHER_FRAMES}"),
            ]
        ) as run:
            for message in run.messages("soak"):
                frame_id = message.masks.stamp.frame_id
                if frame_id >= early_at and not early:
                    early = run.usage()
                if frame_id >= late_at:
                    late = run.usage()
                    break
    return [_row(node, before.rss_mb, late[node].rss_mb, early_at, late_at) for node, before in early.items()]


def _row(process: str, early_mb: float, late_mb: float, early_at: int, late_at: int) -> Row:
    growth = 100 * (late_mb / early_mb - 1)
    return {
        "process": process,
        "early_frame": early_at,
        "early_mb": round(early_mb, 1),
        "late_frame": late_at,
        "late_mb": round(late_mb, 1),
        "growth_percent": round(growth, 1),
        "target": f"<= {GROWTH_TARGET:g}",
        "met": "yes" if growth <= GROWTH_TARGET else "no",
    }
