"""A seed in, deterministic random weights of DISK and LightGlue out, for tests and for timing; no trained ones needed.

Tensors are drawn one after the other, in the order of the package's sorted names, from one generator for each network:

    two or more dimensions         gain x / sqrt(fan-in)
    weights of a norm, of a PReLU  1 + 0.1 x, 0.25
    other vectors                  0.02 x

The gains let a keypoint's looks outlast the layers, so that some of them match, and no layer is sure enough to stop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nodes.tracker.lightglue.checkpoint import THRESHOLDS
from nodes.tracker.lightglue.network import build_networks, thresholds

GAINS = {  # by the end of a name
    "final_proj.weight": 16.0,
    "to_out.weight": 0.1,
    "out_proj.weight": 0.1,
    "ffn.3.weight": 0.1,
    "token.0.weight": 0.1,
}
MATCHABLE = 4.0  # logit of a keypoint that may match


def disk_weights(seed: int = 0) -> dict[str, Tensor]:
    """The tensors of DISK by name, float32."""
    return _drawn(build_networks()[0], seed)


def lightglue_weights(seed: int = 0) -> dict[str, Tensor]:
    """The tensors of LightGlue by the package's names, float32, without the thresholds that the file lacks."""
    weights = _drawn(build_networks()[1], seed)
    del weights[THRESHOLDS]
    return weights


def lightglue_networks(seed: int = 0) -> tuple[Any, Any]:
    """DISK and LightGlue with these tensors."""
    disk, lightglue = build_networks()
    _load(disk, disk_weights(seed))
    _load(lightglue, {**lightglue_weights(seed), THRESHOLDS: thresholds(lightglue)})
    return disk.eval(), lightglue.eval()


def _load(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    module.load_state_dict(dict(tensors), strict=True, assign=True)


def _drawn(module: nn.Module, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: t.shape for name, t in module.state_dict().items()}
    return {name: _scaled(name, torch.randn(shapes[name], generator=generator)) for name in sorted(shapes)}


def _scaled(name: str, x: Tensor) -> Tensor:
    if name.endswith("matchability.bias"):
        return torch.full_like(x, MATCHABLE)
    if x.ndim >= 2:
        gain = next((g for end, g in GAINS.items() if name.endswith(end)), 1.0)
        return gain * x / math.sqrt(math.prod(x.shape[1:]))
    if ".ffn.1." in name and name.endswith("weight"):
        return 1 + 0.1 * x
    if name.startswith("unet.") and name.endswith("1.weight"):
        return torch.full_like(x, 0.25)
    return 0.02 * x
