"""Scratch memory: a name and a shape in, an uninitialised tensor out, in memory that is reused.

The first write to a fresh page costs ten times a later one (37 MB: 22 ms against 2 ms), and an allocator gives large
tensors back to the system as soon as they are dropped.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Scratch:
    """Named buffers, each as large as the largest tensor that was asked for under its name."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype], Tensor] = {}

    def __call__(self, name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor of `shape` in the buffer of that name; it overwrites the last one of that name."""
        size = math.prod(shape)
        buffer = self._buffers.get((name, dtype))
        if buffer is None or len(buffer) < size:
            with torch.inference_mode(False):  # a tensor made in inference mode can't be written to outside of it
                buffer = self._buffers[name, dtype] = torch.empty(size, dtype=dtype)
        return buffer[:size].view(shape)
