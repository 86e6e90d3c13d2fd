"""The most that a device does, measured: matrix products and copies; and what share of it a computation reaches."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from stream.errors import StreamError
from stream.weights.devices import allow_tf32
from tools.bench.decoder_runs import operations, seconds

SIDE, CPU_SIDE = 8192, 1024  # of the square matrices
ROUNDS = 3  # the fastest counts: a device that has idled raises its clock first
LEAST_S = 0.05  # that a round takes, so that launches weigh nothing
COPIED_BYTES, CPU_COPIED_BYTES = 1 << 30, 1 << 26


@functools.cache
def matrix_peak(device: torch.device, dtype: torch.dtype, *, tf32: bool = False, side: int = 0) -> float:
    """TFLOP/s of a product of two square matrices; measured once, then remembered.

    Of normal numbers: zeros take less power, so that the clock is higher than it is at work. On a CPU the second one is
    transposed, as the weights of layers are: one without bfloat16 takes 12 times as long otherwise.
    """
    side = side or (CPU_SIDE if device.type == "cpu" else SIDE)
    generator = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(side, side, device=device, generator=generator).to(dtype) for _ in range(2))
    second, out = b.T if device.type == "cpu" else b, torch.empty_like(a)
    allow_tf32(tf32)
    try:
        with torch.inference_mode():
            per_product_s = _fastest_s(lambda: torch.mm(a, second, out=out), device)
    finally:
        allow_tf32(False)
    return 2 * side**3 / per_product_s / 1e12


def copy_rate(source: torch.device, target: torch.device, *, pinned: bool = False, size: int = 0) -> float:
    """GB/s of copies from one device to another; `pinned`: the host's memory stays where it is, so the GPU reads it."""
    on_cpu = "cuda" not in (source.type, target.type)
    size = size or (CPU_COPIED_BYTES if on_cpu else COPIED_BYTES)
    parts = [
        torch.ones(size, dtype=torch.uint8, device=d, pin_memory=pinned and d.type == "cpu") for d in (source, target)
    ]
    working = target if target.type == "cuda" else source
    copy_s = _fastest_s(lambda: parts[1].copy_(parts[0], non_blocking=pinned), working)
    return size / copy_s / 1e9


def device_copy_rate(device: torch.device, size: int = 0) -> float:
    """TB/s that a copy within the device reads and writes, both counted."""
    return 2 * copy_rate(device, device, size=size) / 1e3


def launch_us(device: torch.device, launches: int = 1000) -> float:
    """How long the host takes to launch one small kernel, us; the device does them meanwhile."""
    x = torch.ones(1, device=device)

    def launch() -> None:
        for _ in range(launches):
            x.add_(1)

    with torch.inference_mode():
        return 1e6 * _fastest_s(launch, device) / launches


def flops_of(run: Callable[[], object]) -> int:
    """Floating-point operations of the products and convolutions in `run`; a multiplication and an addition are two.

    StreamError where none is seen: a captured CUDA graph and compiled code hide theirs, so the plain code is counted.
    """
    if not (counted := operations(run)):
        raise StreamError("no operations are seen in what was run: count those of the code before it is captured")
    return counted


def share_of_peak(flops: int, took_s: float, peak_tflops: float) -> float:
    """% of the peak (TFLOP/s) that so many operations in that time are."""
    return 100 * flops / took_s / (1e12 * peak_tflops)


def _fastest_s(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one `run`, of many in a row, in the fastest round."""
    once_s = min(seconds(run, device) for _ in range(2))
    times = max(1, round(LEAST_S / max(once_s, 1e-9)))

    def many() -> None:
        for _ in range(times):
            run()

    return min(seconds(many, device) for _ in range(ROUNDS)) / times
