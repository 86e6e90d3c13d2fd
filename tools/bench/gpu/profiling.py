"""A step in, where its time goes out: kernels, copies, launches, Python; with PyTorch's own table as text."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity
from torch.profiler import profile as torch_profile

STEPS = 3
ROWS = 25


def profile(step: Callable[[], object], device: torch.device) -> tuple[dict[str, float], str]:
    """Shares of the step's time in %, and the table.

    Kernels and copies are time of the device, launches and Python time of the host: together they are 100 % only where
    neither works while the other does.
    """
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    step()
    with torch_profile(activities=activities) as profiler:
        began = perf_counter()
        for _ in range(STEPS):
            step()
        if on_gpu:
            torch.cuda.synchronize(device)
        total_us = 1e6 * (perf_counter() - began)
    averages = profiler.key_averages()
    order = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    text = averages.table(sort_by=order, row_limit=ROWS)
    host_us = sum(a.self_cpu_time_total for a in averages)
    if not on_gpu:
        return {"operators": 100 * host_us / total_us}, text
    # An operator of the host has the time of its kernels as well, which are there themselves.
    there = [a for a in averages if a.device_type != DeviceType.CPU and not a.is_user_annotation]
    copies_us = sum(a.self_device_time_total for a in there if a.key.startswith("Mem"))
    device_us = sum(a.self_device_time_total for a in there)
    launches_us = sum(a.self_cpu_time_total for a in averages if "Launch" in a.key)
    waits_us = sum(a.self_cpu_time_total for a in averages if "Synchronize" in a.key)
    shares = {
        "kernels": device_us - copies_us,
        "copies": copies_us,
        "launches": launches_us,
        "waits": waits_us,
        "Python and dispatch": max(0.0, total_us - launches_us - waits_us),
    }
    return {what: 100 * us / total_us for what, us in shares.items()}, text
