"""Many cameras on one device: how many it carries with one copy of each model, and what batches cost (a + c * b).

The rows `costs, PROFILE` are what `tools/simulate.py --profile PROFILE --costs FILE` takes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nodes.decoder.sam.network import Sam
from nodes.tracker.pips.backend import PipsModel
from stream.geometry import Size
from stream.transport.service_sockets import Listener
from stream.transport.sockets import Context
from stream.weights.compiling import is_wished
from tools.bench.decoder_runs import network_of
from tools.bench.fleet import fleet_run
from tools.bench.gpu.camera_run import CameraRun, Pace, config_tree
from tools.bench.gpu.camera_search import Step, search
from tools.bench.gpu.device_facts import device_facts
from tools.bench.gpu.networks import SAM_NETWORKS, SamName, pips_network, write_sam, write_still_pips
from tools.bench.gpu.parts import Measurement
from tools.bench.rows import Row, row
from tools.bench.sharing.batches import fit_costs, kinds_of_work, time_batches
from tools.paper_settings import TRACKER_SIZE

FPS = 10.0
SIZE: Size = (720, 1280)
MOST_CAMERAS = 64
PACE = Pace(patience_s=30.0, warm_up_s=4.0, seconds=6.0)
QUICK_PACE = Pace(patience_s=0.0, warm_up_s=0.0, seconds=3.0)
SEARCH_S = 60.0  # of a network, from its first step on; what has begun by then is finished
BATCHES = (1, 2, 4, 8)
REPEAT = 7
PROFILES: dict[str, SamName] = {"mobile-gpu": ("mobile_sam", "vit_tiny"), "sam-gpu": ("sam", "vit_b")}
QUICK_SIZE: Size = (180, 320)
QUICK_PIPS: Size = (96, 128)
QUICK_SIDE = 256


def measurements(options: argparse.Namespace, device: torch.device, profiles: dict[str, str]) -> list[Measurement]:
    """Costs first: they are short; then the search, MobileSAM before ViT-B."""
    quick = options.quick
    names = dict(list(PROFILES.items())[:1]) if quick else PROFILES
    slow = "" if quick else "SAM takes seconds a frame on a CPU: `benchmark.py sharing` measures its batches"
    costs = [
        Measurement(f"costs, {profile}", partial(_costs, profile, name, device, quick), needs_gpu=slow)
        for profile, name in names.items()
    ]
    searches = [
        Measurement(f"cameras, {SAM_NETWORKS[name]}", partial(_cameras, name, device, quick), needs_gpu=slow)
        for name in names.values()
    ]
    return [*costs, *searches]


# --- costs ------------------------------------------------------------------------------------------------------------


def _costs(profile: str, name: SamName, device: torch.device, quick: bool) -> list[Row]:
    """What batches of 1 to 8 take, and the line through them, as the scheduler fits it."""
    dtype = _dtype(device)
    if quick:
        sam = Sam(network_of("sam", "vit_b", tiny=True), device, dtype, QUICK_SIDE)
    else:
        sam = Sam(network_of(*name, tiny=False), device, dtype, compile="auto")
    pips = PipsModel(pips_network(device, dtype), QUICK_PIPS if quick else TRACKER_SIZE)
    if is_wished("auto", device, dtype):
        pips.compile("auto")
    sizes, repeat = (BATCHES[:2], 1) if quick else (BATCHES, REPEAT)
    rows = []
    for kind, times in time_batches(kinds_of_work(sam, pips), sizes, repeat, device).items():
        part, model = f"costs, {profile}", fit_costs(times)
        rows += [row(part, f"{kind}, batch of {n}", "ms", [1e3 * s for s in times[n]]) for n in sizes]
        rows.append(row(part, f"{kind}, fixed", "ms", [1e3 * model.fixed_s]))
        rows.append(row(part, f"{kind}, each", "ms", [1e3 * model.unit_s]))
    return rows


# --- cameras ----------------------------------------------------------------------------------------------------------


def _cameras(name: SamName, device: torch.device, quick: bool) -> list[Row]:
    """Rates, fairness, age and batches by the number of cameras, and the most that are carried."""
    size, fps, most, pace = (QUICK_SIZE, 1.0, 1, QUICK_PACE) if quick else (SIZE, FPS, MOST_CAMERAS, PACE)
    with tempfile.TemporaryDirectory(prefix="spl-bench-") as text:
        folder = Path(text)
        tree = config_tree(size, fps, _weights(name, device, folder), folder / "masks")
        with (
            fleet_run("shared", ["camera0"], tree, folder) as run,
            closing(Context()) as context,
            closing(Listener(context, tree["publisher"]["endpoint"], ["masks/"])) as listener,
        ):
            cameras = CameraRun(run, listener, size, pace)
            memory: list[str] = []

            def take(count: int) -> Step:
                step = cameras.take(count)
                memory.append(device_facts(device).get("memory.used", ""))
                return step

            carried, steps = search(take, fps, most, SEARCH_S)
    return _rows(name, size, fps, carried, steps, cameras.loads, memory)


def _rows(
    name: SamName,
    size: Size,
    fps: float,
    carried: int,
    steps: Sequence[Step],
    loads: Sequence[dict[str, float]],
    memory: Sequence[str],
) -> list[Row]:
    text = f"{SAM_NETWORKS[name]}, {size[1]}x{size[0]} at {fps:g} frames/s"
    rows = [row(text, "cameras that one device carries", "", [carried])]
    for step, load, used in zip(steps, loads, memory, strict=True):
        part = f"{text}, {step.cameras} camera{'s' if step.cameras > 1 else ''}"
        figures = {
            "decoded masks, a camera": ("frames/s", step.rate_hz),
            "decoded masks, the slowest camera": ("frames/s", step.slowest_hz),
            "masks, a camera": ("frames/s", step.published_hz),
            "Jain index of decoded masks": ("", step.jain_index),
            "capture to publish of decoded masks, p95": ("ms", step.age_p95_ms),
            "requests in a batch": ("", load.get("requests")),
            "the model is busy": ("% of time", load.get("busy")),
            "CPU of the model's process": ("cores", load["cores"]),
            "refinement passes, the first camera": ("", load["passes"]),
            "memory of the device in use": ("MiB", _number(used)),
        }
        rows += [row(part, what, unit, [value]) for what, (unit, value) in figures.items() if value is not None]
    return rows


def _weights(name: SamName, device: torch.device, folder: Path) -> dict[str, Any]:
    """The sections of a config: networks whose weights cost what trained ones do, points that stay in sight."""
    precision = str(_dtype(device)).removeprefix("torch.")
    common = {"device": str(device), "precision": precision}
    size = TRACKER_SIZE if device.type == "cuda" else QUICK_PIPS
    return {
        "tracker": {**common, "checkpoint": str(write_still_pips(folder)), "size": f"{size[0]}x{size[1]}"},
        "decoder": {
            **common,
            "backend": name[0],
            "model": name[1],
            "checkpoint": str(write_sam(name, folder)),
            "iou_threshold": 0,  # random weights rate nothing
            "check_masks": False,  # and what they make of an object is no mask to believe
        },
    }


def _dtype(device: torch.device) -> torch.dtype:
    return torch.float16 if device.type == "cuda" else torch.float32


def _number(text: str) -> float | None:
    """The number that nvidia-smi begins with."""
    first = text.partition(" ")[0]
    return float(first) if first.replace(".", "", 1).isdigit() else None
