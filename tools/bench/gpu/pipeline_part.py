"""The whole graph on a live 1280x720 feed: frames/s and capture-to-publish, by network, objects and camera rate."""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from stream.errors import StreamError
from stream.geometry import Size
from stream.public_wire.messages import Received
from tools.bench.gpu.decoder_part import encode_flops
from tools.bench.gpu.networks import SAM_NETWORKS, SamName, write_sam, write_still_pips
from tools.bench.gpu.parts import Measurement
from tools.bench.gpu.peak import matrix_peak, share_of_peak
from tools.bench.rows import Row, row
from tools.bench.run import GraphRun

SIZE: Size = (720, 1280)
OBJECTS = (5, 1, 20)  # that one run follows, one number after the other: a start takes a minute
WARM_FRAMES, FRAMES = 40, 200
PATIENCE_FRAMES = 2000  # until as many objects are in the masks as were asked for
TARGETS: dict[SamName, tuple[int, float]] = {  # objects, frames/s
    ("sam", "vit_h"): (5, 30.0),
    ("sam", "vit_b"): (5, 60.0),
    ("mobile_sam", "vit_tiny"): (5, 90.0),
}
P99_MS = 100.0  # of ViT-H with 5 objects
AT_ONCE_HZ = 120  # a camera that no network keeps up with: what is the most that the graph does
RUNS: tuple[tuple[SamName, int], ...] = (  # the targets' first
    (("sam", "vit_h"), 30),
    (("mobile_sam", "vit_tiny"), AT_ONCE_HZ),
    (("sam", "vit_b"), AT_ONCE_HZ),
    (("sam", "vit_h"), AT_ONCE_HZ),
    (("mobile_sam", "vit_tiny"), 30),
    (("sam", "vit_b"), 30),
    (("hq_sam", "vit_b"), 30),
    (("sam", "vit_h"), 25),
    (("sam", "vit_b"), 25),
    (("mobile_sam", "vit_tiny"), 25),
    (("hq_sam", "vit_b"), 25),
)


def measurements(options: argparse.Namespace, device: torch.device, profiles: dict[str, str]) -> list[Measurement]:
    """A measurement a run."""
    if options.quick:
        return [Measurement("MobileSAM, 5 frames/s", partial(_measure, ("mobile_sam", "vit_tiny"), 5, device, True))]
    return [
        Measurement(
            f"{SAM_NETWORKS[name]}, {rate_hz} frames/s",
            partial(_measure, name, rate_hz, device),
            needs_gpu="SAM takes seconds a frame on a CPU: `benchmark.py decoder` measures it",
        )
        for name, rate_hz in RUNS
    ]


def _measure(name: SamName, rate_hz: int, device: torch.device, quick: bool = False) -> list[Row]:
    size, counts = ((180, 320), (1,)) if quick else (SIZE, OBJECTS)
    warm, frames = (1, 3) if quick else (WARM_FRAMES, FRAMES)
    rows: list[Row] = []
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    flops, peak = encode_flops(name, device, dtype), matrix_peak(device, dtype)  # before a run has work for the device
    if device.type == "cuda":
        torch.cuda.empty_cache()
    with (
        tempfile.TemporaryDirectory(prefix="spl-bench-") as folder,
        GraphRun(_arguments(name, counts[0], rate_hz, size, device, Path(folder))) as run,
    ):
        messages = run.messages()
        for count in counts:
            _follow(run, messages, count, size)
            part = f"{SAM_NETWORKS[name]}, {size[1]}x{size[0]}, {count} objects, camera of {rate_hz} frames/s"
            if not rows:
                started_s = (time.monotonic_ns() - run.started_ns) / 1e9
                rows.append(row(part, "start of the command to masks of all objects", "s", [started_s]))
            window = list(itertools.islice(messages, warm, warm + frames))
            if len(window) < frames:
                raise StreamError(f"the run ended after {len(window)} frames; its log ends: {run.log()[-300:]}")
            rows += _rows(part, window, run, _targets(name, count, rate_hz))
            share = share_of_peak(flops * decoded_of(window), seconds_of(window), peak)
            rows.append(row(part, "encodes of SAM alone", "% of the matrix peak", [share]))
            if device.type == "cuda":
                free, total = torch.cuda.mem_get_info(device)
                rows.append(row(part, "memory of the device", "MB", [(total - free) / 1e6]))
    return rows


def _follow(run: GraphRun, messages: Iterator[Received], count: int, size: Size) -> None:
    """Have so many objects followed; return when the masks have them all."""
    for i, received in enumerate(messages):
        ids = sorted(o.object_id for o in received.masks.objects)
        if len(ids) == count:
            return
        if i == PATIENCE_FRAMES:
            break
        if i % WARM_FRAMES:
            continue
        for object_id in ids[count:]:
            run.ask("remove_object", object_id=object_id)
        for box in _boxes(size, count)[len(ids) :]:
            run.ask("add_object", box=[float(v) for v in box.split(",")])
    raise StreamError(f"the run does not follow {count} objects; its log ends: {run.log()[-300:]}")


def _targets(name: SamName, count: int, rate_hz: int) -> tuple[float | None, float | None]:
    """Frames/s at least, and p99 in ms at most."""
    objects, rate = TARGETS.get(name, (0, 0.0))
    if count != objects:
        return None, None
    slowest = P99_MS if name == ("sam", "vit_h") and rate_hz == rate else None
    return (0.97 * rate if rate_hz == rate else rate) if rate_hz >= rate else None, slowest


def _rows(part: str, window: list[Received], run: GraphRun, targets: tuple[float | None, float | None]) -> list[Row]:
    """What the frames of a window say."""
    ages_ms = [(received.published_ns - received.masks.stamp.captured_ns) / 1e6 for received in window]
    passes = run.ask("stats").get("budget", {}).get("refinement_passes")
    rows = [
        row(part, "masks", "frames/s", [(len(window) - 1) / seconds_of(window)], at_least=targets[0]),
        row(part, "of them decoded", "%", [100 * decoded_of(window) / len(window)]),
        row(part, "memory of all processes", "MB", [sum(usage.rss_mb for usage in run.usage().values())]),
    ]
    if passes is not None:
        rows.append(row(part, "refinement passes of the last of them", "", [passes]))
    for p, bound in ((50, None), (95, None), (99, targets[1])):
        rows.append(row(part, f"capture to publish, p{p}", "ms", [float(np.percentile(ages_ms, p))], at_most=bound))
    return rows


def decoded_of(window: list[Received]) -> int:
    """How many frames have masks of their own, not carried by points."""
    return sum(any(o.origin == "decoded" for o in received.masks.objects) for received in window)


def seconds_of(window: list[Received]) -> float:
    """From the first to the last of these frames, as they were published."""
    return (window[-1].published_ns - window[0].published_ns) / 1e9


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
        "decoder.check_masks": "false",  # and what they make of an object is no mask to believe
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
