"""A seed in, the deterministic random weights of TapNet out that golden numbers are made with; no trained ones needed.

Arrays are drawn one after the other, in the order of the file's sorted names, from one generator, then scaled:

    `w`, the kernels             gain x / sqrt(fan-in); those of units and of the occlusion head without their mean
    `scale`; `offset`, `b`       1 + 0.1 x; 0.1 x
    averages                     0.1 x of the mean, exp(0.2 x) of the variance

Noise alone gives heat maps without a maximum, and every point occluded: the regression's centre taps and the last bias
are set apart.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodes.tracker.tapnet.checkpoint import BACKBONE, ROOT, own_name, to_tensors
from nodes.tracker.tapnet.network import UNITS, TapNet
from stream.arrays import Array

GAINS = {
    "cost_volume_regression_1": 0.5,
    "cost_volume_regression_2": 0.5,
    "cost_volume_occlusion_1": 6.0,
    "cost_volume_occlusion_2": 3.0,
    "occlusion_out": 30.0,
}
OTHER_GAIN = 1.4
CENTRE = {"cost_volume_regression_1": 1.0, "cost_volume_regression_2": 0.5}  # added to the centre tap
OCCLUSION_BIAS = 11.0  # puts logits on both sides of zero
BLOCKS = [f"{BACKBONE}tsm_resnet_unit_{u}/block_{b}" for u in range(len(UNITS)) for b in range(2)]
NORMS = [f"{block}/{norm}" for block in BLOCKS for norm in ("batch_norm", "batch_norm_1")]
NAMES = [
    *(f"{ROOT}{head}/{leaf}" for head in GAINS for leaf in "wb"),
    f"{BACKBONE}tsm_resnet_stem/w",
    *(f"{block}/{conv}/w" for block in BLOCKS for conv in ("conv_0", "conv_2")),
    *(f"{block}/shortcut_conv/w" for block in BLOCKS[::2]),
    *(f"{norm}/{leaf}" for norm in NORMS for leaf in ("offset", "scale")),
    *(f"{norm}/~/{statistic}/average" for norm in NORMS for statistic in ("mean_ema", "var_ema")),
]


def tapnet_weights(seed: int = 0) -> dict[str, Tensor]:
    """The arrays of the published file, float32, by module/name, without those that only training needs."""
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in TapNet().state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    return {
        name: _scaled(name, torch.randn(_shape(name, shapes[own_name(name)]), generator=generator))
        for name in sorted(NAMES)
    }


def tapnet_tree(seed: int = 0) -> Array:
    """What `np.save` writes to make a file like the published one."""
    tree: dict[str, dict[str, dict[str, Any]]] = {"params": {}, "state": {}}
    for name, tensor in tapnet_weights(seed).items():
        module, leaf = name.rsplit("/", 1)
        own = tree["state" if leaf == "average" else "params"].setdefault(module, {})
        own[leaf] = tensor.numpy()
        if leaf == "average":
            own |= {"counter": np.int32(1000), "hidden": 0.5 * tensor.numpy()}
    return np.array(tree, dtype=object)


def tapnet_network(weights: dict[str, Tensor]) -> TapNet:
    """The network with these arrays."""
    with torch.device("meta"):
        network = TapNet()
    tensors = to_tensors({name: w.numpy() for name, w in weights.items()}, network, Path("by rule"))
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval()


def _shape(name: str, own: tuple[int, ...]) -> tuple[int, ...]:
    """Of an array of the file, whose channels come last; heads are convolutions over time, too, of one frame."""
    if len(own) == 4:
        out, into, height, width = own
        return (*((1,) if "cost_volume" in name else ()), height, width, into, out)
    if len(own) == 2:
        return own[::-1]
    return (1, 1, 1, *own) if "batch_norm" in name else own


def _scaled(name: str, x: Tensor) -> Tensor:
    module, leaf = name.rsplit("/", 1)
    last = module.rsplit("/", 1)[1]
    if leaf == "w":
        if "tsm_resnet_unit" in module or "occlusion" in module:
            x = x - x.mean(dim=tuple(range(x.ndim - 1)), keepdim=True)
        x = GAINS.get(last, OTHER_GAIN) * x / math.sqrt(math.prod(x.shape[:-1]))
        if last in CENTRE:
            x[0, 1, 1] += CENTRE[last]
        return x
    if last == "occlusion_out":
        return torch.full_like(x, OCCLUSION_BIAS)
    if leaf == "scale":
        return 1 + 0.1 * x
    if leaf in ("offset", "b") or last == "mean_ema":
        return 0.1 * x
    return torch.exp(0.2 * x)
