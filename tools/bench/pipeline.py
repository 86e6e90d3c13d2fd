"""The whole graph: frames a second, latency at a camera's rate, and what transport takes of a frame's time."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from stream.errors import StreamError
from tools.bench.demo_clip import DemoClip, draw_demo_clip
from tools.bench.rows import Row, row
from tools.bench.run import GraphRun
from tools.bench.usage import Usage

WARM_UP = 25  # frames that are not counted: start-up, first prompts
SAMPLE_S = 0.25  # between two looks into /proc
LAST_SAMPLE = 3  # frames before the end, when all processes are still there, a sample is taken in any case
TRUTH_EVERY = 10  # frames; the IoU of each would cost more time than the run

RATE_TARGET = 30.0  # frames/s, lossless, 854x480, one object, two cores
SHARE_TARGET = 10.0  # % of a frame's time that transport may take


@dataclass(frozen=True)
class Sample:
    """The graph's processes just after a frame was published."""

    frame_id: int
    usage: dict[str, Usage]


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of `benchmark.py pipeline`."""
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="spl-bench-") as folder:
        clip = draw_demo_clip(Path(folder), options.size, options.fps, options.frames)
        for _ in range(options.repeat):
            for key, value in {**_lossless(clip, options), **_camera_rate(clip, options)}.items():
                values[key].append(value)
    targets = {"rate": {"at_least": RATE_TARGET}, "share of a frame's time": {"at_most": SHARE_TARGET}}
    return [
        row(part, name, unit, repetitions, **(targets.get(name, {}) if part != "camera rate" else {}))
        for (part, name, unit), repetitions in values.items()
    ]


def _arguments(clip: DemoClip, options: argparse.Namespace) -> list[str]:
    return ["--config", options.config, "--source", str(clip.video), "--mask", str(clip.prompt)]


def _lossless(clip: DemoClip, options: argparse.Namespace) -> dict[tuple[str, str, str], float]:
    """Every frame of the file, as fast as the graph goes."""
    warm_up = min(WARM_UP, options.frames // 3)
    arrivals: list[tuple[int, float]] = []
    samples: list[Sample] = []
    compared = []  # with the truth
    with GraphRun(_arguments(clip, options)) as run:
        sampled_s = 0.0
        for message in run.messages("pipeline, lossless"):
            frame_id, now_s = message.masks.stamp.frame_id, time.monotonic()
            if frame_id >= warm_up:
                arrivals.append((frame_id, now_s))
                if now_s - sampled_s >= SAMPLE_S or frame_id == options.frames - LAST_SAMPLE:
                    sampled_s = now_s
                    samples.append(Sample(frame_id, run.usage()))
            if frame_id % TRUTH_EVERY == 0:
                compared.append(message)
        summary = run.summary()

    (first_id, first_s), (last_id, last_s) = arrivals[0], arrivals[-1]
    rate = (last_id - first_id) / (last_s - first_s)
    wall_ms = 1e3 / rate
    cpu_ms, libzmq_ms = _per_frame(samples)
    calls_ms = {
        n: v["transport_ms"] / summary["frames"]["captured"] for n, v in summary["nodes"].items() if "step_ms" in v
    }
    transport_ms = sum(calls_ms.values()) + sum(libzmq_ms.values())
    part = f"lossless {options.size}"
    return {
        (part, "rate", "frames/s"): rate,
        (part, "wall", "ms/frame"): wall_ms,
        (part, "CPU", "ms/frame"): sum(cpu_ms.values()),
        (part, "mean IoU", ""): clip.mean_iou(compared),
        **{(part, f"CPU of {node}", "ms/frame"): ms for node, ms in cpu_ms.items()},
        # A frame's time is what all processes spend on it, as the hops are summed over all of them too; against the
        # wall clock, on which the stages work side by side, the same milliseconds look larger.
        ("transport", "share of a frame's time", "%"): 100 * transport_ms / sum(cpu_ms.values()),
        ("transport", "share of wall", "%"): 100 * transport_ms / wall_ms,
        ("transport", "all hops", "ms/frame"): transport_ms,
        **{("transport", f"calls in {node}", "ms/frame"): ms for node, ms in calls_ms.items()},
        **{("transport", f"libzmq in {node}", "ms/frame"): ms for node, ms in libzmq_ms.items()},
    }


def _per_frame(samples: list[Sample]) -> tuple[dict[str, float], dict[str, float]]:
    """(CPU time, CPU time of libzmq's threads) a frame by node, ms, between the first sample and the last whole one."""
    first = samples[0]
    last = next(s for s in reversed(samples) if s.usage.keys() == first.usage.keys())
    frames = last.frame_id - first.frame_id
    if frames < 1:
        raise StreamError("the run was over before its processes could be looked at twice; give --frames more")
    each = [(node, first.usage[node], last.usage[node]) for node in first.usage]
    return (
        {node: 1e3 * (after.cpu_s - before.cpu_s) / frames for node, before, after in each},
        {node: 1e3 * (after.libzmq_s - before.libzmq_s) / frames for node, before, after in each},
    )


def _camera_rate(clip: DemoClip, options: argparse.Namespace) -> dict[tuple[str, str, str], float]:
    """The same file as a live feed at its own rate: how old masks are when they are published."""
    with GraphRun([*_arguments(clip, options), "--realtime"]) as run:
        for _ in run.messages("pipeline, camera rate"):
            pass
        summary = run.summary()
    part = f"{options.fps:g} frames/s {options.size}"
    return {
        **{(part, f"latency {p}", "ms"): ms for p, ms in summary["latency_ms"].items()},
        (part, "captured", "frames"): summary["frames"]["captured"],
        (part, "passed over", "frames"): summary["frames"]["passed_over"],
    }
