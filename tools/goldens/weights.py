"""A seed in, the deterministic random weights of PIPS out that golden numbers are made with; no trained ones needed.

Tensors are drawn one after the other, in the order of their sorted names, from one generator, then scaled:

    two or more dimensions         / sqrt(fan-in), the product of all sizes but the first
    weights of a norm              1 + 0.1 x
    any other                      0.02 x

An untrained mixer would turn a millionth of a pixel into pixels by way of sin(968.75 dx), and no two implementations
could be compared: the columns of its first layer that read the waves of dx and dy are damped by 1 / (1 + frequency).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nodes.tracker.pips.correlation import CHANNELS, CORRELATIONS
from nodes.tracker.pips.network import FREQUENCIES, Pips

NORMS = ("norm.weight", "to_delta.13.weight")
FIRST = "delta_block.to_delta.0.weight"


def pips_weights(seed: int = 0) -> dict[str, Tensor]:
    """The 200 tensors of PIPS, float32, as `Pips.state_dict()` names them."""
    with torch.device("meta"):
        shapes = {name: t.shape for name, t in Pips().state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name in sorted(shapes):
        tensor = torch.randn(shapes[name], generator=generator)
        if tensor.ndim >= 2:
            tensor /= math.sqrt(math.prod(tensor.shape[1:]))
        elif name.endswith(NORMS):
            tensor = 1 + 0.1 * tensor
        else:
            tensor *= 0.02
        if name == FIRST:
            waves = CHANNELS + CORRELATIONS
            damping = 1 / (1 + 31.25 * torch.arange(FREQUENCIES)).repeat_interleave(2)
            tensor[:, waves : waves + 4 * FREQUENCIES] *= damping.repeat(2)
        weights[name] = tensor
    return weights


def checksum(weights: dict[str, Tensor]) -> tuple[float, float]:
    """The sum of all numbers and of their magnitudes, in double precision."""
    values = [w.double() for w in weights.values()]
    return sum(v.sum().item() for v in values), sum(v.abs().sum().item() for v in values)
