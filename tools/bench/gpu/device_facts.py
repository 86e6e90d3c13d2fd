"""The GPU in one dict: name, memory, driver, clocks, power, PyTorch and the libraries that it computes with."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import torch

QUERIED = (  # names of nvidia-smi
    "driver_version",
    "clocks.sm",
    "clocks.max.sm",
    "clocks.mem",
    "power.draw",
    "power.limit",
    "temperature.gpu",
    "memory.used",
    "mig.mode.current",
)


def device_facts(device: torch.device) -> dict[str, Any]:
    """What the figures depend on, as it is now: clocks and power at the end of a measurement are those of work."""
    if device.type != "cuda":
        return {"device": "cpu", "threads": torch.get_num_threads(), "torch": torch.__version__}
    properties = torch.cuda.get_device_properties(device)
    return {
        "device": properties.name,
        "memory_gb": round(properties.total_memory / 2**30, 1),
        "multiprocessors": properties.multi_processor_count,
        "capability": f"{properties.major}.{properties.minor}",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        **_nvidia_smi(device.index or 0),
    }


def _nvidia_smi(index: int) -> dict[str, str]:
    """What the driver says; or why it says nothing. PyTorch counts the GPUs that CUDA_VISIBLE_DEVICES names alone."""
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    name = visible[index] if index < len(visible) else str(index)
    command = ["nvidia-smi", f"--id={name}", f"--query-gpu={','.join(QUERIED)}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return {"nvidia-smi": f"not measured: {error}"}
    return {name: value.strip() for name, value in zip(QUERIED, answer.split(","), strict=False)}
