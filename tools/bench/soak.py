"""Does the graph grow? Memory, descriptors and threads of every process, over a long run."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from stream.errors import StreamError
from stream.settings.addresses import LIVE_KINDS, source_kind
from tools.bench.rows import Row
from tools.bench.run import GraphRun
from tools.bench.usage import Usage

ENDLESS_FRAMES = 10_000_000  # of the demo, which is shown as fast as the graph takes it
SAMPLES = 300  # of a run, evenly in time
WARM_UP = 1 / 6  # of the run: by then every buffer has been filled, and every part of the code has run once
GROWTH_TARGET = 0.5  # MB in ten minutes
TEN_MINUTES_S = 600.0

Sample = tuple[float, Usage]  # seconds since the first masks


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of `benchmark.py soak`: a source that is followed and recorded for `options.minutes`."""
    duration_s = 60 * options.minutes
    history: dict[str, list[Sample]] = defaultdict(list)
    with (
        tempfile.TemporaryDirectory(prefix="spl-bench-") as folder,
        GraphRun([*_arguments(options), "--record", str(Path(folder) / "soak.mp4")]) as run,
    ):
        began_s = next_s = 0.0
        for _ in run.messages("soak"):
            now_s = time.monotonic()
            began_s = began_s or now_s
            if now_s - began_s >= duration_s:
                break
            if now_s >= next_s:
                next_s = now_s + duration_s / SAMPLES
                for process, usage in run.usage().items():
                    history[process].append((now_s - began_s, usage))
        else:
            raise StreamError(
                f"the source ended after {time.monotonic() - began_s:.0f} s; a soak needs one that goes on"
            )
    return [growth_row(process, samples, duration_s * WARM_UP) for process, samples in history.items()]


def _arguments(options: argparse.Namespace) -> list[str]:
    """Those of the run; an object is followed from the first frame on, the demo's own or what the box holds."""
    arguments = ["--config", options.config, "--source", options.source]
    if options.source == "demo":
        return [*arguments, "--set", f"capture.demo_frames={ENDLESS_FRAMES}"]
    if options.box:
        arguments += ["--box", options.box]
    return arguments if source_kind(options.source) in LIVE_KINDS else [*arguments, "--realtime"]


def growth_row(process: str, samples: list[Sample], warm_up_s: float) -> Row:
    """The row of a process: how its memory grows after the warm-up, by a straight line through the samples."""
    late = [sample for sample in samples if sample[0] >= warm_up_s]
    seconds = np.array([at_s for at_s, _ in late])
    rss_mb = np.array([usage.rss_mb for _, usage in late])
    slope = float(np.polyfit(seconds, rss_mb, 1)[0]) * TEN_MINUTES_S if len(late) > 1 else 0.0
    descriptors, threads = ([getattr(usage, name) for _, usage in late] for name in ("descriptors", "threads"))
    return {
        "process": process,
        "minutes": round((samples[-1][0]) / 60, 1),
        "warm_mb": round(rss_mb[0], 1),
        "last_mb": round(rss_mb[-1], 1),
        "most_mb": round(rss_mb.max(), 1),
        "mb_in_10_minutes": round(slope, 2),
        "descriptors": f"{min(descriptors)} to {max(descriptors)}",
        "threads": f"{min(threads)} to {max(threads)}",
        "target": f"<= {GROWTH_TARGET:g} MB",
        "met": "yes" if slope <= GROWTH_TARGET else "no",
        "mb_by_tenth": _by_tenth(samples),
    }


def _by_tenth(samples: list[Sample]) -> str:
    """The mean of each tenth of the samples, the warm-up too: a step is told from a slope by it."""
    tenths = np.array_split(np.array([usage.rss_mb for _, usage in samples]), 10)
    return " ".join(f"{tenth.mean():.1f}" for tenth in tenths if len(tenth))
