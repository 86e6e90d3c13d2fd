"""What a pushed stream costs the rest of a run: the age of masks without it and with it, run about."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from stream.arrays import Array
from stream.errors import StreamError
from tools.bench.demo_clip import DemoClip, draw_demo_clip
from tools.bench.rows import Row, row
from tools.bench.run import GraphRun
from tools.bench.usage import cpu_below

WARM_UP = 50  # frames that are not counted: start-up, and the connection to the server
OLDER_TARGET_MS = 1.0  # that the median p95 may differ by: less than two runs without a push do
LOOK_S = 1.0  # between two looks into /proc
PERCENTILES = (50, 95, 99)
PUSHES = "nodes.renderer.rtsp_push"
UNITS = {
    "published": "masks",
    "CPU of the renderer": "% of a core",
    "pushed": "pictures",
    "passed over": "pictures",
    "CPU of its process": "% of a core",
}


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of `benchmark.py push`."""
    ages_ms: dict[str, list[Array]] = {"without": [], "with": []}
    counts: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory(prefix="spl-bench-") as folder:
        clip = draw_demo_clip(Path(folder), options.size, options.fps, options.frames)
        for _ in range(options.repeat):
            for part, more in (("without", ()), ("with", ("--rtsp-push", options.url))):
                ages, counted = _run(clip, options, more)
                ages_ms[part].append(ages)
                counts[part].append(counted)
    percentiles = {
        (part, p): [float(np.percentile(run, p)) for run in runs] for part, runs in ages_ms.items() for p in PERCENTILES
    }
    rows = [row(part, f"age p{p}", "ms", values) for (part, p), values in percentiles.items()]
    older = float(np.median(percentiles["with", 95]) - np.median(percentiles["without", 95]))
    rows.append(row("with", "p95 more than without", "ms", [older], at_most=OLDER_TARGET_MS))
    for part, runs in counts.items():
        rows += [row(part, name, UNITS[name], [run[name] for run in runs]) for name in runs[0]]
    return rows


def _run(clip: DemoClip, options: argparse.Namespace, more: tuple[str, ...]) -> tuple[Array, dict[str, float]]:
    """How old each frame's masks were when they were published, ms; and what was counted, by its name in UNITS."""
    arguments = ("--config", options.config, "--source", str(clip.video), "--mask", str(clip.prompt), "--realtime")
    ages: list[float] = []
    looks: list[tuple[float, float, float]] = []  # (time, CPU time of the renderer, of the process that pushes), s
    with GraphRun([*arguments, *more]) as run:
        for received in run.messages("pushing" if more else "without a push"):
            stamp = received.masks.stamp
            if stamp.frame_id < WARM_UP:
                continue
            ages.append((received.published_ns - stamp.captured_ns) / 1e6)
            if time.monotonic() >= (looks[-1][0] if looks else 0.0) + LOOK_S:
                renderer = run.usage().get("renderer")
                if renderer is not None:
                    looks.append((time.monotonic(), renderer.cpu_s, cpu_below(run.process.pid, PUSHES)))
        summary = run.summary()
    if len(looks) < 2:
        raise StreamError("the run was over before its processes could be looked at twice; give --frames more")
    (first_s, *first), (last_s, *last) = looks[0], looks[-1]
    drawing, pushing = (100 * (b - a) / (last_s - first_s) for a, b in zip(first, last, strict=True))
    counted: dict[str, float] = {"published": len(ages), "CPU of the renderer": drawing}
    if more:
        push = summary["rtsp_push"]
        if not push["pushed"]:
            raise StreamError(f"nothing was pushed to {options.url} ({push['error']}); start a server that takes it")
        counted |= {"pushed": push["pushed"], "passed over": push["passed_over"], "CPU of its process": pushing}
    return np.array(ages), counted
