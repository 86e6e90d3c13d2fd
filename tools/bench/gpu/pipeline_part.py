"""The whole graph on a live 1280x720 feed: frames/s and capture-to-publish, by network, objects and camera rate."""

from __future__ import annotations

import argparse
import itertools
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from stream.errors import StreamError
from stream.geometry import Size
from tools.bench.gpu.networks import SAM_NETWORKS, SamName, write_sam, write_still_pips
from tools.bench.gpu.parts import Measurement
from tools.bench.rows import Row, row
from tools.bench.run import GraphRun

SIZE: Size = (720, 1280)
OBJECTS = (1, 5, 20)
RATES_HZ = (25, 30)
WARM_FRAMES, FRAMES = 60, 300
TARGETS: dict[SamName, tuple[int, float]] = {  # objects, frames/s
    ("sam", "vit_h"): (5, 30.0),
    ("sam", "vit_b"): (5, 60.0),
    ("mobile_sam", "vit_tiny"): (5, 90.0),
}
P99_MS = 100.0  # of ViT-H with 5 objects
AT_ONCE_HZ = 240  # a camera that no network keeps up with: what is the most that the graph does


def measurements(options: argparse.Namespace, device: torch.device, profiles: dict[str, str]) -> list[Measurement]:
    """The configurations of the targets first."""
    if options.quick:
        return [
            Measurement("MobileSAM, 1 object", partial(_measure, ("mobile_sam", "vit_tiny"), 1, 5, device, quick=True))
        ]
    found = []
    for count, rate_hz in itertools.product((5, 1, 20), (AT_ONCE_HZ, 30, 25)):
        for name, text in SAM_NETWORKS.items():
            found.append(
                Measurement(
                    f"{text}, {count} objects, {rate_hz} frames/s",
                    partial(_measure, name, count, rate_hz, device),
                    needs_gpu="SAM takes seconds a frame on a CPU: `benchmark.py decoder` measures it",
                )
            )
    return found


def _measure(name: SamName, count: int, rate_hz: int, device: torch.device, quick: bool = False) -> list[Row]:
    size = (180, 320) if quick else SIZE
    warm, frames = (1, 3) if quick else (WARM_FRAMES, FRAMES)
    part = f"{SAM_NETWORKS[name]}, {size[1]}x{size[0]}, {count} objects, camera of {rate_hz} frames/s"
    with (
        tempfile.TemporaryDirectory(prefix="spl-bench-") as folder,
        GraphRun(_arguments(name, count, rate_hz, size, device, Path(folder))) as run,
    ):
        ages_ms, times_s, decoded = [], [], 0
        for i, received in enumerate(run.messages()):
            stamp = received.masks.stamp
            if i >= warm:
                ages_ms.append((received.published_ns - stamp.captured_ns) / 1e6)
                times_s.append(received.published_ns / 1e9)
                decoded += any(o.origin == "decoded" for o in received.masks.objects)
            if i == warm + frames:
                break
        else:
            raise StreamError(f"the run ended after {i} frames; its log ends: {run.log()[-300:]}")
        memory_mb = sum(usage.rss_mb for usage in run.usage().values())
    rate = (len(times_s) - 1) / (times_s[-1] - times_s[0])
    target = TARGETS.get(name, (0, 0.0))
    at_least = target[1] if rate_hz == AT_ONCE_HZ and target[0] == count else None
    slowest = P99_MS if rate_hz == 30 and (name, count) == (("sam", "vit_h"), 5) else None
    rows = [
        row(part, "masks", "frames/s", [rate], at_least=at_least),
        row(part, "of them decoded", "%", [100 * decoded / len(ages_ms)]),
        row(part, "memory of all processes", "MB", [memory_mb]),
    ]
    for p, bound in ((50, None), (95, None), (99, slowest)):
        rows.append(row(part, f"capture to publish, p{p}", "ms", [float(np.percentile(ages_ms, p))], at_most=bound))
    return rows


def _arguments(name: SamName, count: int, rate_hz: int, size: Size, device: torch.device, folder: Path) -> list[str]:
    """The command line of such a run: boxes on the scene's first frame, weights that cost what trained ones do."""
    backend, model = name
    settings = {
        "capture.demo_size": f"{size[1]}x{size[0]}",
        "capture.demo_fps": rate_hz,
        "capture.demo_frames": 1_000_000,
        "tracker.checkpoint": write_still_pips(folder),
        "tracker.device": device,
        "tracker.precision": "float32" if device.type == "cpu" else "float16",
        "tracker.size": "96x128" if device.type == "cpu" else "576x1024",
        "decoder.backend": backend,
        "decoder.model": model,
        "decoder.checkpoint": write_sam(name, folder),
        "decoder.device": device,
        "decoder.precision": "float32" if device.type == "cpu" else "float16",
        "decoder.iou_threshold": 0,  # random weights rate nothing
    }
    boxes = _boxes(size, count)
    return [
        *("--config", "sam_pt_reinit", "--realtime"),
        *itertools.chain.from_iterable(("--box", box) for box in boxes),
        *itertools.chain.from_iterable(("--set", f"{key}={value}") for key, value in settings.items()),
    ]


def _boxes(size: Size, count: int) -> list[str]:
    """So many boxes, side by side in rows, on a frame of the scene."""
    across = int(np.ceil(np.sqrt(count * size[1] / size[0])))
    width, height = size[1] / across, size[0] / np.ceil(count / across)
    corners = [((i % across) * width, (i // across) * height) for i in range(count)]
    return [
        f"{x + 0.2 * width:.0f},{y + 0.2 * height:.0f},{x + 0.8 * width:.0f},{y + 0.8 * height:.0f}" for x, y in corners
    ]
