"""This machine in one dict: figures mean nothing without it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2


def describe() -> dict[str, Any]:
    """CPU, cores, memory, and the versions that matter for speed."""
    return {
        "cpu": _after_colon("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "ram_gb": round(int(_after_colon("/proc/meminfo", "MemTotal").split()[0]) / 2**20, 1),
        "load_1min": round(os.getloadavg()[0], 2),  # before the benchmark: who else was at work
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "opencv": cv2.__version__,  # by whatever name it was installed
        "av": version("av"),
        "pyzmq": version("pyzmq"),
        **_torch(),
    }


def _torch() -> dict[str, str]:
    try:
        return {"torch": version("torch")}
    except PackageNotFoundError:  # the lite preset does without
        return {}


def _after_colon(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return "0 unknown"
