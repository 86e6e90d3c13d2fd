"""PIPS as its authors compute it, for comparison: frames and query points in, trajectories out, every window anew.

Eager layers on (B, C, h, w), the norm of each in passes of its own; whole correlation volumes, then sampled. The
numbers are those of `nodes/tracker/pips/network.py`, which a test holds against this.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

S = 8
ITERATIONS = 6
LEVELS = 4
RADIUS = 3
SIDE = 2 * RADIUS + 1
LAYERS = ((1, 1), (2, 2), (3, 2), (4, 2))  # number and stride

Weights = Mapping[str, Tensor]


def plain_maps(w: Weights, frames_bchw: Tensor, stride: int = 4) -> Tensor:
    """(B, 128, h, w) of frames (B, 3, H, W), 0..255."""

    def conv(name: str, x: Tensor, step: int, border: int) -> Tensor:
        return functional.conv2d(x, w[f"fnet.{name}.weight"], w[f"fnet.{name}.bias"], step, border)

    def residual(name: str, x: Tensor, step: int) -> Tensor:
        y = functional.relu(functional.instance_norm(conv(f"{name}.conv1", x, step, 1)))
        y = functional.relu(functional.instance_norm(conv(f"{name}.conv2", y, 1, 1)))
        if step > 1:
            x = functional.instance_norm(conv(f"{name}.downsample.0", x, step, 0))
        return functional.relu(x + y)

    x = 2 * (frames_bchw.float() / 255) - 1
    size = x.shape[2] // stride, x.shape[3] // stride
    x = functional.relu(functional.instance_norm(conv("conv1", x, 2, 3)))
    maps = []
    for i, step in LAYERS:
        x = residual(f"layer{i}.1", residual(f"layer{i}.0", x, step), 1)
        maps.append(functional.interpolate(x, size, mode="bilinear", align_corners=True))
    y = functional.instance_norm(conv("conv2", torch.cat(maps, dim=1), 1, 1))
    return conv("conv3", functional.relu(y), 1, 0)


def plain_features(maps: Tensor, xy: Tensor, stride: int = 4) -> Tensor:
    """(N, 128): what points `xy` (N, 2) px look like on the first of the maps."""
    limit = xy.new_tensor([maps.shape[3] - 1, maps.shape[2] - 1])
    return _sample(maps[:1], (xy / stride).clamp(min=0).minimum(limit).view(1, 1, -1, 2))[0, :, 0].T


def plain_window(w: Weights, maps: Tensor, xy: Tensor, features: Tensor, stride: int = 4) -> tuple[Tensor, Tensor]:
    """Trajectories (S, N, 2) px and visibility logits (S, N) of points on maps (S, 128, h, w), six iterations."""
    n, channels = features.shape
    start = xy / stride
    coords, feature = start.repeat(S, 1, 1), features.repeat(S, 1, 1)
    times = torch.linspace(0, S, S, device=xy.device).view(S, 1, 1).expand(S, n, 1)
    pyramid = [maps]
    for _ in range(LEVELS - 1):
        pyramid.append(functional.avg_pool2d(pyramid[-1], 2))
    for _ in range(ITERATIONS):
        correlation = torch.cat([_correlate(level, feature, coords / 2**i) for i, level in enumerate(pyramid)], dim=2)
        flow = torch.cat([coords - coords[:1], times], dim=2)
        waves = flow.unsqueeze(-1) * (31.25 * torch.arange(32, device=xy.device))
        waves = torch.stack([waves.sin(), waves.cos()], dim=-1).flatten(2)
        tokens = torch.cat([feature, correlation, waves, flow], dim=2).transpose(0, 1)
        change = _mix(w, tokens).view(n, S, 2 + channels).transpose(0, 1)
        update = functional.group_norm(change[..., 2:].reshape(-1, channels), 1, w["norm.weight"], w["norm.bias"])
        update = functional.linear(update, w["ffeat_updater.0.weight"], w["ffeat_updater.0.bias"])
        feature = feature + functional.gelu(update).view_as(feature)
        coords = coords + change[..., :2]
        coords[0] = start
    logits = functional.linear(feature, w["vis_predictor.0.weight"], w["vis_predictor.0.bias"])
    return coords * stride, logits.squeeze(2)


def _correlate(maps: Tensor, feature: Tensor, coords: Tensor) -> Tensor:
    """(S, N, 49): each point's feature against the whole of each map, then read around the point."""
    volume = torch.einsum("snc,schw->snhw", feature, maps) / feature.shape[2] ** 0.5
    steps = torch.arange(-RADIUS, RADIUS + 1, device=coords.device, dtype=coords.dtype)
    around = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)  # the first index moves x
    at = coords[:, :, None, None] + around
    return _sample(volume.flatten(0, 1).unsqueeze(1), at.flatten(0, 1)).view(*coords.shape[:2], SIDE * SIDE)


def _sample(maps: Tensor, at: Tensor) -> Tensor:
    """(B, C, i, j): maps (B, C, h, w) at px `at` (B, i, j, 2), between its pixels; 0 outside."""
    size = at.new_tensor([maps.shape[3] - 1, maps.shape[2] - 1])
    return functional.grid_sample(maps, 2 * at / size - 1, align_corners=True)


def _mix(w: Weights, tokens: Tensor) -> Tensor:
    """(N, 1040) of tokens (N, S, 519)."""

    def norm(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    def layer(name: str, x: Tensor) -> Tensor:
        apply = functional.conv1d if w[f"{name}.weight"].ndim == 3 else functional.linear
        return apply(x, w[f"{name}.weight"], w[f"{name}.bias"])

    whole = "delta_block.to_delta"
    x = layer(f"{whole}.0", tokens)
    for block in range(1, 13):
        for half in (0, 1):
            part = f"{whole}.{block}.{half}"
            x = x + layer(f"{part}.fn.3", functional.gelu(layer(f"{part}.fn.0", norm(f"{part}.norm", x))))
    return layer(f"{whole}.15", norm(f"{whole}.13", x).mean(1))
