"""Every point tracker on the device: milliseconds a new frame; and PIPS as a run has it there, part by part."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from nodes.tracker.pips.backend import PipsModel
from nodes.tracker.pips.network import S
from nodes.tracker.point_model import Points
from stream.geometry import Size
from stream.weights.compiling import is_wished
from tools.bench import tracker
from tools.bench.decoder_runs import frame_of, seconds
from tools.bench.gpu.networks import pips_network
from tools.bench.gpu.parts import Measurement
from tools.bench.gpu.peak import matrix_peak, share_of_peak
from tools.bench.gpu.profiling import profile
from tools.bench.gpu.variants import computing_in, variants
from tools.bench.gpu.waits import WaitCounter
from tools.bench.pips import operations
from tools.bench.rows import Row, row
from tools.paper_settings import TRACKER_SIZE

REPEAT, LIVE_REPEAT = 5, 20
BACKENDS = ("raft", "tapnet", "lucas_kanade")
OBJECTS, PROFILED = (1, 5, 20), 5
POINTS = 80  # of an object, as sam_pt_reinit draws them
MOST_WAITS = 1  # a frame
QUICK_SIZE: Size = (64, 96)


def measurements(options: argparse.Namespace, device: torch.device, profiles: dict[str, str]) -> list[Measurement]:
    """PIPS as it runs live, and beside the plain computation; then the others."""
    return [
        Measurement("PIPS as it runs live", partial(_live, options.quick, device, profiles)),
        *(
            Measurement(name, partial(_measure, name, options.quick, device))
            for name in ("pips", *(BACKENDS[-1:] if options.quick else BACKENDS))
        ),
    ]


def _measure(backend: str, quick: bool, device: torch.device) -> list[Row]:
    """The rows of `benchmark.py tracker --backend NAME`."""
    rows = tracker.measure(
        argparse.Namespace(backend=backend, size=None, checkpoint=None, device=str(device), quick=quick, repeat=REPEAT)
    )
    return [{**r, "part": f"{backend}, {r['part']}"} for r in rows]


def _live(quick: bool, device: torch.device, profiles: dict[str, str]) -> list[Row]:
    """An encode, and the windows of 1, 5 and 20 objects, in the precision of a run and compiled as there."""
    variant, size = variants(device)[-1], QUICK_SIZE if quick else TRACKER_SIZE
    repeat, objects, points = (1, OBJECTS[:1], 2) if quick else (LIVE_REPEAT, OBJECTS, POINTS)
    with computing_in(variant):
        model, rgb = PipsModel(pips_network(device, variant.dtype), size), frame_of()
        if compiled := is_wished("auto", device, variant.dtype):
            model.compile("auto")
        part = f"PIPS, {variant.name}, {size[1]}x{size[0]}{', compiled' if compiled else ''}"
        peak = matrix_peak(device, variant.dtype, side=128 if quick else 0)

        def timed(measure: str, run: Callable[[], object], flops: int) -> list[Row]:
            run()  # kernels are chosen and what is replayed is captured once
            took_s = [seconds(run, device) for _ in range(repeat)]
            shares = [share_of_peak(flops, s, peak) for s in took_s]
            return [
                row(part, measure, "ms", [1e3 * s for s in took_s]),
                row(part, measure, "% of the matrix peak", shares),
            ]

        rows = timed("encode", partial(model.encode, rgb), operations.encoder(size))
        features = model.encode(rgb)
        for count in objects:
            n = count * points
            xy = np.random.default_rng(n).uniform(0, rgb.shape[1::-1], (n, 2)).astype(np.float32)
            asked = Points(xy, np.ones(n, np.uint8), np.ones(n, np.int32), model.describe(features, xy))
            follow = partial(model.track, [features] * S, asked, None)
            rows += timed(f"a window of {n} points", follow, operations.mixer(n))

            def step(follow: Callable[[], object] = follow) -> None:
                model.encode(rgb)
                follow()

            with WaitCounter() as waited:
                step()
            bound = MOST_WAITS if device.type == "cuda" else None
            rows.append(row(part, f"waits of a frame of {n} points", "", [waited.waits], at_most=bound))
            if quick or count == PROFILED:
                shares, profiles[f"{part}, {n} points"] = profile(step, device)
                rows += [
                    row(part, f"a frame of {n} points, {what}", "% of time", [value]) for what, value in shares.items()
                ]
    return rows
