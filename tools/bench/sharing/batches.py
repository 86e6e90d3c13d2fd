"""What batches of several cameras cost: encodes and passes of SAM, encodes and windows of PIPS, as a + c * b.

Random weights cost what trained ones do. Each kind of work is done for 1, 2 and 4 cameras at once, by what a shared
model runs (`graph.processes: device`); the line is fitted as its scheduler fits it. `pays`: whether that scheduler
would let two cameras go together. `tools/simulate.py --costs` takes the file that --json writes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from nodes.decoder.sam.network import PromptedFrame, Sam
from nodes.decoder.sam.protocol import SamPrompts
from nodes.tracker.pips.backend import PipsModel
from nodes.tracker.pips.network import Pips, S
from nodes.tracker.point_model import Points
from stream.scheduling.cost_model import CostModel
from stream.weights.devices import choose_device
from tools.bench.decoder_runs import frame_of, network_of, seconds
from tools.bench.rows import Row
from tools.goldens.weights import pips_weights

CAMERAS = (1, 2, 4)
POINTS = 9  # of an object: 8 positive ones and a negative one
PIPS_SIZE, QUICK_SIZE = (576, 1024), (64, 96)
SIDE, QUICK_SIDE = 512, 256

Work = Callable[[int], object]  # for so many cameras at once


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of `benchmark.py sharing`."""
    device = choose_device("--device", options.device)
    cameras = CAMERAS[:2] if options.quick else CAMERAS
    repeat = 1 if options.quick else options.repeat
    network = network_of("sam" if options.quick else options.backend, options.model, options.quick)
    sam = Sam(network, device, side=QUICK_SIDE if options.quick else SIDE)
    pips = Pips()
    pips.load_state_dict(pips_weights(0))
    kinds = kinds_of_work(sam, PipsModel(pips.to(device), QUICK_SIZE if options.quick else PIPS_SIZE))
    return [_row(part, times) for part, times in time_batches(kinds, cameras, repeat, device).items()]


def kinds_of_work(sam: Sam, pips: PipsModel) -> dict[str, Work]:
    """What a shared model does for a frame of each of some cameras, by name."""
    return {**_sam(sam), **_pips(pips)}


def time_batches(
    kinds: Mapping[str, Work], sizes: Sequence[int], repeat: int, device: torch.device
) -> dict[str, dict[int, list[float]]]:
    """Seconds that each kind of work took for so many cameras at once; in turn, so that a pause hits all alike."""
    times: dict[str, dict[int, list[float]]] = {kind: {n: [] for n in sizes} for kind in kinds}
    for work in kinds.values():
        for n in sizes if device.type == "cuda" else sizes[:1]:  # a GPU chooses kernels for each size
            work(n)
    for i in range(repeat):
        print(f"batches: repetition {i + 1} of {repeat}", file=sys.stderr)
        for kind, work in kinds.items():
            for n in sizes:
                times[kind][n].append(seconds(partial(work, n), device))
    return times


def fit_costs(times: Mapping[int, Sequence[float]]) -> CostModel:
    """What a batch costs by its size, as the scheduler fits it."""
    model = CostModel()
    for n, durations in times.items():
        for duration in durations:
            model.add(n, duration)
    return model


def _row(part: str, times: Mapping[int, Sequence[float]]) -> Row:
    model = fit_costs(times)
    saved = 1 - model.estimate_s(2) / (2 * model.estimate_s(1))
    return {
        "part": part,
        **{f"{n} ms": round(1e3 * sorted(durations)[len(durations) // 2], 2) for n, durations in times.items()},
        "fixed_ms": round(1e3 * model.fixed_s, 3),
        "unit_ms": round(1e3 * model.unit_s, 3),
        "saved by two %": round(100 * saved, 1),
        "pays": "yes" if saved >= 0.05 else "no",
        "target": "",
        "met": "",
    }


def _sam(sam: Sam) -> dict[str, Work]:
    """Encodes of a frame, and passes for one object a camera."""
    rgb = frame_of()
    embedding = sam.encode(rgb)
    rng = np.random.default_rng(0)
    xy = rng.uniform(100, 500, (1, POINTS, 2)).astype(np.float32)
    labels = np.ones((1, POINTS), np.int64)
    box = np.array([[100, 100, 500, 400]], np.float32)
    low_res = torch.zeros(1, 256, 256, device=sam.device)
    prompts = SamPrompts(xy, labels, box, low_res, np.ones(1, bool))
    frame = PromptedFrame(embedding, sam.share(embedding), prompts)
    return {
        "sam encode": lambda n: sam.encode_together([rgb] * n),
        "sam pass": lambda n: sam.predict_together([replace(frame)] * n),
    }


def _pips(model: PipsModel) -> dict[str, Work]:
    """Encodes of a frame, and windows of one object a camera."""
    rgb = frame_of()
    features = model.encode(rgb)
    xy = np.random.default_rng(1).uniform(100, 500, (POINTS, 2)).astype(np.float32)
    points = Points(xy, np.ones(POINTS, np.uint8), np.ones(POINTS, np.int32), model.describe(features, xy))
    return {
        "pips encode": lambda n: model.encode_together([rgb] * n),
        "pips window": lambda n: model.track_together([([features] * S, points, None)] * n),
    }
