"""A seed in, the deterministic random weights of SuperPoint and SuperGlue out that golden numbers are made with.

Tensors of each file are drawn one after the other, in the order of the authors' sorted names, from one generator, then
scaled; no trained ones are needed:

    two or more dimensions         gain x / sqrt(fan-in); those of SuperPoint less their mean, or all looks were alike
    running variance, mean         exp(0.2 x), 0.1 x
    weights of a norm              1 + 0.1 x
    other vectors                  0.02 x; 0.002 x of those that add up over the layers

SuperPoint's class "no keypoint" and SuperGlue's bin are set apart, so that some pixels are keypoints and some match.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from nodes.tracker.superglue.checkpoint import from_superglue, from_superpoint, superglue_name, superpoint_name
from nodes.tracker.superglue.network import build_network

POINT_GAINS = {"convPb.": 6.0, "convDb.": 1.0, "conv1a.": 20.0, "": 1.41}  # by the beginning of a name
GLUE_GAINS = {  # by a part of a name; the first that fits counts
    "kenc.encoder.12.": 0.05,
    "kenc.": 1.41,
    ".attn.proj.0.": 6.0,
    ".attn.proj.1.": 6.0,
    ".attn.proj.2.": 1.0,
    ".attn.merge.": 1.0,
    ".mlp.0.": 1.41,
    ".mlp.3.": 0.15,
    "final_proj.": 22.0,
}
SMALL = (".mlp.3.bias", "kenc.encoder.12.bias")
NO_KEYPOINT, BIN = 10.0, 38.0
LAYERS = 18
STATISTICS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
POINT_NAMES = [
    f"conv{at}.{part}" for at in (*(f"{i}{ab}" for i in range(1, 5) for ab in "ab"), "Pa", "Pb", "Da", "Db")
    for part in ("weight", "bias")
]  # fmt: skip
GLUE_NAMES = [
    "bin_score",
    *(f"kenc.encoder.{i}.{part}" for i in (0, 3, 6, 9, 12) for part in ("weight", "bias")),
    *(f"kenc.encoder.{i}.{part}" for i in (1, 4, 7, 10) for part in STATISTICS),
    *(
        f"gnn.layers.{layer}.{at}.{part}"
        for layer in range(LAYERS)
        for at in ("attn.proj.0", "attn.proj.1", "attn.proj.2", "attn.merge", "mlp.0", "mlp.3")
        for part in ("weight", "bias")
    ),
    *(f"gnn.layers.{layer}.mlp.1.{part}" for layer in range(LAYERS) for part in STATISTICS),
    *(f"final_proj.{part}" for part in ("weight", "bias")),
]


def superpoint_weights(seed: int = 0) -> dict[str, Tensor]:
    """The 24 tensors of superpoint_v1.pth, float32, as the authors name them."""
    shapes = {name: t.shape for name, t in build_network().keypoint_detector.state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name in sorted(POINT_NAMES):
        x = torch.randn(shapes[superpoint_name(name)], generator=generator)
        if x.ndim >= 2:
            x = x - x.mean(dim=tuple(range(1, x.ndim)), keepdim=True)
            gain = next(g for start, g in POINT_GAINS.items() if name.startswith(start))
            weights[name] = gain * x / math.sqrt(math.prod(x.shape[1:]))
        else:
            weights[name] = 0.02 * x
    weights["convPb.bias"][-1] = NO_KEYPOINT
    return weights


def superglue_weights(seed: int = 0) -> dict[str, Tensor]:
    """The 339 tensors of superglue_outdoor.pth, float32, as the authors name and shape them."""
    shapes = {name: t.shape for name, t in build_network().state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name in sorted(GLUE_NAMES):
        shape = shapes[superglue_name(name)]
        if name == "bin_score":
            weights[name] = torch.tensor(BIN)
        elif name.endswith("num_batches_tracked"):
            weights[name] = torch.zeros((), dtype=torch.int64)
        else:
            own = (*shape, 1) if len(shape) == 2 else shape  # theirs are convolutions of length 1
            weights[name] = _scaled(name, torch.randn(own, generator=generator))
    return weights


def superglue_module(points: dict[str, Tensor], glue: dict[str, Tensor]) -> Any:
    """The network with these tensors."""
    module = build_network()
    both = {**{f"keypoint_detector.{n}": t for n, t in from_superpoint(points).items()}, **from_superglue(glue)}
    module.load_state_dict(both, strict=True, assign=True)
    return module.eval()


def _scaled(name: str, x: Tensor) -> Tensor:
    if x.ndim >= 2:
        gain = next(g for part, g in GLUE_GAINS.items() if part in name)
        return gain * x / math.sqrt(math.prod(x.shape[1:]))
    if name.endswith("running_var"):
        return torch.exp(0.2 * x)
    if name.endswith("running_mean"):
        return 0.1 * x
    if name.endswith("weight"):
        return 1 + 0.1 * x
    return (0.002 if name.endswith(SMALL) else 0.02) * x
