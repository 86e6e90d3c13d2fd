"""Memory that is used again: a name and a shape in, a tensor out whose numbers are whatever was left there.

The first touch of a fresh page costs ten times a write to a known one (37 MB: 22 ms against 2 ms), and an allocator
gives large tensors back to the system as soon as they are dropped.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Scratch:
    """Named pieces of memory, each as large as it has ever been asked for."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, torch.dtype], Tensor] = {}

    def __call__(self, name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor of `shape` in the memory of that name; the last one of that name is gone."""
        size = math.prod(shape)
        held = self._held.get((name, dtype))
        if held is None or len(held) < size:
            with torch.inference_mode(False):  # else nobody could write to it outside of inference mode, ever
                held = self._held[name, dtype] = torch.empty(size, dtype=dtype)
        return held[:size].view(shape)
