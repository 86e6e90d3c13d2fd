"""A seed in, the deterministic random weights of RAFT out that golden numbers are made with; no trained ones needed.

Tensors are drawn one after the other, in the order of the authors' sorted names, from one generator, then scaled:

    two or more dimensions         gain x / sqrt(fan-in), the product of all sizes but the first
    running variance, mean         exp(0.2 x), 0.1 x
    weights of a norm              1 + 0.1 x
    other vectors                  0.02 x

The gains keep the recurrence from dying out and from running away: 32 updates give flows of a few px.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from nodes.tracker.raft.checkpoint import PARALLEL, to_torchvision, torchvision_name
from nodes.tracker.raft.network import build_network

GAINS = {  # by the beginning of a name; the first that fits counts
    "fnet.": 1.4,
    "cnet.": 1.4,
    "update_block.encoder.": 1.4,
    "update_block.gru.": 1.0,
    "update_block.flow_head.conv1.": 1.4,
    "update_block.flow_head.conv2.": 0.02,
    "update_block.mask.0.": 1.4,
    "update_block.mask.2.": 4.0,
}
ENCODERS = [
    f"{at}.{part}"
    for at in ("conv1", *(f"layer{i}.{j}.conv{k}" for i in (1, 2, 3) for j in (0, 1) for k in (1, 2)), "conv2")
    for part in ("weight", "bias")
]
DOWN = [f"layer{i}.0.downsample.0.{part}" for i in (2, 3) for part in ("weight", "bias")]
STATISTICS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
NORMS = ["norm1", *(f"layer{i}.{j}.norm{k}" for i in (1, 2, 3) for j in (0, 1) for k in (1, 2))]
DOWN_NORMS = [f"layer{i}.0.downsample.1" for i in (2, 3)]
UPDATES = [
    *(f"encoder.{c}" for c in ("convc1", "convc2", "convf1", "convf2", "conv")),
    *(f"gru.conv{gate}{half}" for gate in "zrq" for half in "12"),
    *("flow_head.conv1", "flow_head.conv2", "mask.0", "mask.2"),
]
NAMES = [  # of the authors; what one module has under two names, once
    *(f"{net}.{name}" for net in ("fnet", "cnet") for name in (*ENCODERS, *DOWN)),
    *(f"cnet.{norm}.{name}" for norm in (*NORMS, *DOWN_NORMS) for name in STATISTICS),
    *(f"update_block.{at}.{part}" for at in UPDATES for part in ("weight", "bias")),
]


def raft_weights(seed: int = 0) -> dict[str, Tensor]:
    """The 179 tensors of raft-things.pth, float32, as the authors name them."""
    shapes = {name: t.shape for name, t in build_network().state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name in sorted(NAMES):
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.zeros((), dtype=torch.int64)
        else:
            weights[name] = _scaled(name, torch.randn(shapes[torchvision_name(name)], generator=generator))
    again = {n.replace("downsample.1", "norm3"): w.clone() for n, w in weights.items() if ".downsample.1." in n}
    return {PARALLEL + name: tensor for name, tensor in {**weights, **again}.items()}


def _scaled(name: str, x: Tensor) -> Tensor:
    if x.ndim >= 2:
        gain = next(g for start, g in GAINS.items() if name.startswith(start))
        return gain * x / math.sqrt(math.prod(x.shape[1:]))
    if name.endswith("running_var"):
        return torch.exp(0.2 * x)
    if name.endswith("running_mean"):
        return 0.1 * x
    is_norm = ".norm" in name or ".downsample.1." in name
    return 1 + 0.1 * x if is_norm and name.endswith("weight") else 0.02 * x


def raft_module(tensors: dict[str, Tensor]) -> Any:
    """The network with these tensors."""
    module = build_network()
    module.load_state_dict(to_torchvision(tensors), strict=True, assign=True)
    return module.eval()
