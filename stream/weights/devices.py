"""The device and the precision that a config asks for, checked against what this machine has."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stream.arrays import Array
from stream.errors import ConfigError, ModelError

log = logging.getLogger(__name__)


def choose_device(key: str, name: str) -> torch.device:
    """The device of `name`, the value of the config's `key`: auto takes a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ConfigError(f"{key} is {name!r}; take auto, cpu, cuda or cuda:N")
    device = torch.device(name)
    if device.type == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if found == 0:
            built = "" if torch.version.cuda else " (this PyTorch is built for the CPU alone)"
            raise ConfigError(f"{key} is {name}, and PyTorch finds no GPU here{built}; take auto or cpu")
        if (device.index or 0) >= found:
            raise ConfigError(f"{key} is {name}, and this machine has {found} GPU: take cuda:0 to cuda:{found - 1}")
    return device


def choose_precision(key: str, name: str, device: torch.device) -> torch.dtype:
    """The dtype of `name`, the value of the config's `key`, for a device that can compute in it."""
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]
    if dtype == torch.float16 and device.type != "cuda":
        raise ConfigError(f"{key} is float16, which needs a GPU, and the device is {device}; take float32 or bfloat16")
    if dtype == torch.bfloat16 and device.type == "cpu" and not cpu_has_bfloat16():
        log.warning("%s is bfloat16, and this CPU has no instructions for it: float32 is faster here", key)
    if dtype == torch.float32 and device.type == "cuda":
        allow_tf32(False)  # PyTorch's convolutions round to 10 bits otherwise, and call it float32
    return dtype


def allow_tf32(allowed: bool) -> None:
    """Let a GPU round what products and convolutions of float32 multiply to 10 bits, or not."""
    if hasattr(torch.backends, "fp32_precision"):  # PyTorch 2.9 and newer; mixing both ways is an error there
        precision = "tf32" if allowed else "ieee"
        torch.backends.fp32_precision = precision
        backends: Any = torch.backends
        for own in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn):
            own.fp32_precision = precision  # where somebody has set it, that of all does not count
    else:
        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed


def upload(values: Array, device: torch.device) -> Tensor:
    """A copy of an array on the device. A GPU fetches it by itself from pinned memory, while Python goes on."""
    if device.type != "cuda":
        return torch.tensor(np.ascontiguousarray(values), device=device)
    on_host = torch.empty(values.shape, dtype=getattr(torch, values.dtype.name), pin_memory=True)
    whole = np.ascontiguousarray(values)
    ctypes.memmove(on_host.data_ptr(), whole.ctypes.data, whole.nbytes)
    return on_host.to(device, non_blocking=True)  # PyTorch gives its memory to nobody before it was fetched


def download(values: Tensor) -> Array:
    """The values of a tensor, read back; a GPU writes them to pinned memory, at several times the rate."""
    if values.device.type != "cuda":
        return np.asarray(values.numpy())
    on_host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    on_host.copy_(values, non_blocking=True)
    torch.cuda.current_stream(values.device).synchronize()
    return np.asarray(on_host.numpy())


@contextlib.contextmanager
def reporting_memory(what: str) -> Iterator[None]:
    """Running out of memory as a ModelError that says what it was for: the frame is passed over, and counted."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise ModelError(f"out of memory {what}: {str(error).splitlines()[0]}") from None
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise ModelError(f"out of memory {what}") from None


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself (AVX-512 BF16 or AMX), rather than by way of float32."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))
