"""A seed in, the random choices of the reference out: it takes them from PyTorch's global generator."""

from __future__ import annotations

import torch

from stream.arrays import Array
from tools.paper_settings import SEED


class TorchSource:
    """`query_points.RandomSource` in the order of the reference; a seed restarts the global generator."""

    def __init__(self, seed: int | None = SEED) -> None:
        if seed is not None:
            torch.manual_seed(seed)

    def first(self, n: int, k: int) -> Array:
        """(k,) int: the first k of a random permutation of 0..n-1."""
        chosen: Array = torch.randperm(n)[:k].numpy()
        return chosen
