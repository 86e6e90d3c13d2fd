"""Every point tracker on the device: milliseconds a new frame, as they run live."""

from __future__ import annotations

import argparse
from functools import partial

import torch

from tools.bench import tracker
from tools.bench.gpu.parts import Measurement
from tools.bench.rows import Row

REPEAT = 5
BACKENDS = ("raft", "tapnet", "lucas_kanade")


def measurements(options: argparse.Namespace, device: torch.device, profiles: dict[str, str]) -> list[Measurement]:
    """PIPS beside the plain computation first, then the others."""
    return [
        Measurement(name, partial(_measure, name, options.quick, device))
        for name in ("pips", *(BACKENDS[-1:] if options.quick else BACKENDS))
    ]


def _measure(backend: str, quick: bool, device: torch.device) -> list[Row]:
    """The rows of `benchmark.py tracker --backend NAME`."""
    rows = tracker.measure(
        argparse.Namespace(backend=backend, size=None, checkpoint=None, device=str(device), quick=quick, repeat=REPEAT)
    )
    return [{**r, "part": f"{backend}, {r['part']}"} for r in rows]
