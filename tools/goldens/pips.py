"""`pips_*.npz`: single functions of PIPS, and whole windows with what happens inside, against ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nodes.tracker.pips.correlation import build_pyramids, correlate, look_up
from nodes.tracker.pips.network import Pips, embed
from stream.arrays import Array
from tools.goldens.folder_weights import Weights
from tools.goldens.rows import Golden, Row, clip_of, differing, farthest

FEATURES = 1e-4  # maps, embedding, lookup, correlation, and what the mixer makes of them
PIXELS = 2e-3  # trajectories
LOGITS = 1e-3  # visibility
STEPS = {  # which values of a stage of the encoder are golden: every so many channels, rows and columns
    "conv1": (8, 16, 16),
    "layer1": (8, 16, 16),
    "layer2": (8, 8, 8),
    "layer3": (8, 4, 4),
    "layer4": (8, 2, 2),
    "conv2": (16, 4, 4),
}
INSIDE = {  # golden name of the first iteration -> ours
    "it0_fcorr": "corr",
    "it0_flow": "flow",
    "it0_mixer_in": "mixer_in",
    "it0_mixer_out": "mixer_out",
    "it0_ffeat_update": "feature_change",
}


def compare_functions(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """The functions without weights: embedding, lookup, correlation."""
    golden = Golden(path)

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(golden[name]).to(weights.device)

    lookup, *_ = build_pyramids(tensor("lookup_map").unsqueeze(0))
    correlation = correlate(build_pyramids(tensor("corr_fmaps")), tensor("corr_targets"), tensor("corr_coords"))
    return [
        farthest("emb_out", embed(tensor("emb_in")), golden["emb_out"], FEATURES),
        farthest("lookup_out", look_up(lookup, tensor("lookup_xy")), golden["lookup_out"], FEATURES),
        farthest("corr_out", correlation, golden["corr_out"], FEATURES),
    ]


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """A window at each stride that the file has: names begin with s4_ and s8_, or with nothing for stride 4."""
    golden = Golden(path)
    frames = golden["frames"] if "frames" in golden else clip_of(path, folder)[:8]
    rows = []
    for prefix in sorted(name.removesuffix("traj_iters") for name in golden if name.endswith("traj_iters")):
        network = weights.pips(int(prefix[1:-1]) if prefix else 4)
        rows += _window(golden, prefix, frames, network)
    return rows


def _window(golden: Golden, prefix: str, frames: Array, network: Pips) -> list[Row]:
    device = network.norm.weight.device
    frames_bchw = torch.from_numpy(frames).to(device).permute(0, 3, 1, 2)
    pyramids = network.encode(frames_bchw)
    xy = torch.from_numpy(golden[f"{prefix}xys"]).to(device)
    features = network.describe(pyramids[0], xy)
    inside: dict[str, Tensor] = {}

    def keep_first(name: str, value: Tensor) -> None:
        inside.setdefault(name, value.clone())

    run = network.follow(pyramids, xy, features, watch=keep_first)
    ours = {
        **_maps(network, frames_bchw[:1], torch.stack([p.level(0).permute(2, 0, 1) for p in pyramids])),
        "corr0_level_shapes": np.array(pyramids[0].sizes),
        "corr0_level3_p0": torch.stack([p.level(3) @ features[0] for p in pyramids]) / features.shape[1] ** 0.5,
        **{name: _points_first(inside[own]) for name, own in INSIDE.items()},
        "feat_init": features,
        "feat_final": run.features,
    }
    rows = [
        differing(f"{prefix}{name}", value, golden[f"{prefix}{name}"])
        if name.endswith(("shape", "shapes"))
        else farthest(f"{prefix}{name}", value, golden[f"{prefix}{name}"], FEATURES)
        for name, value in ours.items()
    ]
    return [
        *rows,
        farthest(f"{prefix}traj_iters, px", run.iterates, golden[f"{prefix}traj_iters"], PIXELS),
        farthest(f"{prefix}vis_logits", run.visibility_logits, golden[f"{prefix}vis_logits"], LOGITS),
    ]


@torch.inference_mode()
def _maps(network: Pips, first_bchw: Tensor, maps: Tensor) -> dict[str, Tensor | Array]:
    """The feature maps (S, 128, h, w) as the golden files sample them, and the stages of the encoder on frame 0."""
    stages = network.fnet.stages(2 * (first_bchw.float() / 255) - 1)
    sampled = {f"enc_{name}_sub": stages[name][0, ::c, ::y, ::x] for name, (c, y, x) in STEPS.items()}
    return {
        **sampled,
        "fmaps_shape": np.array(maps.shape),
        "fmaps_sub": maps[:, ::4, ::4, ::4],
        "fmaps_mean": maps.mean((1, 2, 3)),
        "fmaps_std": maps.std((1, 2, 3)),
        "fmap0_pixel": maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2],
    }


def _points_first(value: Tensor) -> Tensor:
    """(S, N, C) to (N, S, C), as the golden files have it; (N, C) as it is."""
    return value.transpose(0, 1) if value.ndim == 3 else value
