"""The device itself: the most it multiplies and copies, what a launch costs; what shares of a peak are shares of."""

from __future__ import annotations

import argparse
from functools import partial

import torch

from tools.bench.gpu.parts import Measurement
from tools.bench.gpu.peak import copy_rate, device_copy_rate, launch_us, matrix_peak
from tools.bench.gpu.variants import variants
from tools.bench.rows import Row, row

QUICK_SIDE, QUICK_BYTES, QUICK_LAUNCHES = 128, 1 << 20, 50
FRAME_BYTES = 720 * 1280 * 3
HOST = torch.device("cpu")
NO_HOST = "a CPU computes in the host's own memory"


def measurements(options: argparse.Namespace, device: torch.device, profiles: dict[str, str]) -> list[Measurement]:
    """Products, copies within, copies between host and device, launches."""
    return [
        Measurement("matrix products", partial(_products, device, options.quick)),
        Measurement("copies and launches", partial(_within, device, options.quick)),
        Measurement("copies between host and device", partial(_between, device), needs_gpu=NO_HOST),
    ]


def _products(device: torch.device, quick: bool) -> list[Row]:
    side = QUICK_SIDE if quick else 0
    return [
        row("device", f"matrix product, {v.name}", "TFLOP/s", [matrix_peak(device, v.dtype, tf32=v.tf32, side=side)])
        for v in variants(device)
    ]


def _within(device: torch.device, quick: bool) -> list[Row]:
    copied = device_copy_rate(device, QUICK_BYTES if quick else 0)
    launched = launch_us(device, QUICK_LAUNCHES) if quick else launch_us(device)
    return [
        row("device", "copy within, read and written", "TB/s", [copied]),
        row("device", "launch of a small kernel", "us", [launched]),
    ]


def _between(device: torch.device) -> list[Row]:
    rows = []
    for name, source, target in (("host to device", HOST, device), ("device to host", device, HOST)):
        for pinned in (True, False):
            what = f"{name}, {'pinned' if pinned else 'pageable'} memory"
            rows.append(row("device", what, "GB/s", [copy_rate(source, target, pinned=pinned)]))
    for pinned in (True, False):
        rate = copy_rate(HOST, device, pinned=pinned, size=FRAME_BYTES)
        what = f"a frame of 1280x720 to the device, {'pinned' if pinned else 'pageable'} memory"
        rows.append(row("device", what, "ms", [FRAME_BYTES / rate / 1e6]))
    return rows
