"""`tapnet_*.npz`: TapNet's features, heads and tracks, and SAM-PT's trajectories made of them, against ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from nodes.tracker.tapnet.backend import TapNetModel
from nodes.tracker.tapnet.checkpoint import load_tapnet
from nodes.tracker.tapnet.network import SIDE, TapNet
from stream.arrays import Array
from stream.messages import VISIBLE
from tools.goldens.folder_weights import Weights
from tools.goldens.rows import Golden, Row, differing, farthest
from tools.goldens.trackers.frames import frames_of, square_frames_of
from tools.goldens.trackers.tapnet_weights import tapnet_network, tapnet_weights

STAGE = 1e-3  # values to 8
FEATURE = 1e-5  # and the cost volume
PIXELS = 5e-3
LOGITS = 1e-3
CLOSE = 1e-2  # of the stem; two seeds differ by more than 1
SHOWN = (0, 5, 11)  # frames of the stages
HERE, WHEN = 1, 4  # query and frame whose heads are golden


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """The network on square frames, then SAM-PT's wrapper on frames of another shape."""
    golden = Golden(path)
    rgb = square_frames_of(path, folder)
    network = find_tapnet(golden, rgb, weights)
    return [*network_rows(golden, rgb, network), *wrapper_rows(golden, frames_of(path, folder, "even"), network)]


def find_tapnet(golden: Golden, rgb: Array, weights: Weights) -> TapNet:
    """The network of a golden file: lying in its folder, of the seed given, or of the first seed whose stem fits."""

    def fits(network: TapNet) -> str:
        stem = network.stages(_images(rgb[:1], network))["stem"].permute(0, 2, 3, 1)
        return "stem" if farthest("", stem[0, ::8, ::8, ::8], golden["stage_stem_sub"][0], CLOSE).ok else ""

    return weights.find_network(
        "TapNet", ".npy", golden.path, load_tapnet, lambda seed: tapnet_network(tapnet_weights(seed)), fits
    )


def network_rows(golden: Golden, rgb: Array, network: TapNet) -> list[Row]:
    """Stages, features, heads and tracks of the 256x256 clip."""
    stages = network.stages(_images(rgb, network))
    rows = []
    for name in ("stem", "unit_0", "unit_1", "unit_2"):
        stage = stages[name].permute(0, 2, 3, 1)
        step = 8 if stage.shape[1] > 32 else 4
        rows += [
            differing(f"stage_{name}_shape", stage.shape, golden[f"stage_{name}_shape"]),
            farthest(f"stage_{name}_sub", stage[list(SHOWN), ::step, ::step, ::8], golden[f"stage_{name}_sub"], STAGE),
            farthest(f"stage_{name}_mean_t", stage.mean((1, 2, 3)), golden[f"stage_{name}_mean_t"], STAGE),
            farthest(f"stage_{name}_std_t", stage.std((1, 2, 3), correction=0), golden[f"stage_{name}_std_t"], STAGE),
        ]
    grid = stages["grid"]
    rows.append(
        farthest("feature_grid_sub", grid.permute(0, 2, 3, 1)[:, ::4, ::4, ::8], golden["feature_grid_sub"], FEATURE)
    )
    rows += _cut_rows(golden, rgb, network, grid)
    watch: dict[str, torch.Tensor] = {}
    queries = golden["queries_tyx"]
    features, xy, logits = _followed(network, grid, queries, watch)
    part = {name: value[HERE, WHEN] for name, value in watch.items()}
    occlusion = part["occlusion"].permute(1, 2, 0)
    heads = {
        "cost_volume_q1_t4": (part["cost"], FEATURE),
        "cost_volume_q5_sub": (watch["cost"][5, :, ::4, ::4], FEATURE),
        "hid1_q1_t4_sub": (part["hidden"].permute(1, 2, 0)[::4, ::4], STAGE),
        "pos_logits_q1_t4": (part["position"], STAGE),
        "occ_conv_q1_t4_sub": (occlusion[::4, ::4], STAGE),
        "occ_mean_q1_t4": (part["mean"], STAGE),
    }
    fractions = golden["frac_queries_tyx"]
    two = np.flatnonzero((fractions[:, 0] % 1) != 0).tolist()
    fraction_features, fraction_xy, _ = _followed(network, grid, fractions[two])
    return [
        *rows,
        farthest("query_feats", features, golden["query_feats"], FEATURE),
        *(farthest(name, value, golden[name], most) for name, (value, most) in heads.items()),
        differing("occ_conv_shape", occlusion.shape, golden["occ_conv_shape"]),
        farthest("tracks_xy, px", xy, golden["tracks_xy"], PIXELS),
        farthest("occlusion", logits, golden["occlusion"], LOGITS),
        farthest("frac_query_feats", fraction_features, golden["frac_query_feats"], FEATURE),
        farthest("frac_tracks_xy, px", fraction_xy, golden["frac_tracks_xy"], PIXELS),
    ]


def _cut_rows(golden: Golden, rgb: Array, network: TapNet, grid: torch.Tensor) -> list[Row]:
    """How far the features change when the clip is cut: not at all more than four frames before its end."""
    theirs = golden["cut8_diff_per_frame"]
    cut = network.encode(_images(rgb[: len(theirs)], network))
    return [farthest("cut8_diff_per_frame", (cut - grid[: len(cut)]).abs().amax((1, 2, 3)), theirs, FEATURE)]


def wrapper_rows(golden: Golden, rgb: Array, network: TapNet) -> list[Row]:
    """SAM-PT's wrapper: frames of any shape in, trajectories in their px out."""
    rgb = rgb[: len(golden["wrapper/trajectories"])]
    model = TapNetModel(network)
    window = [model.encode(frame) for frame in rgb]
    images = torch.stack([f.image for f in window]).permute(0, 2, 3, 1)
    followed = model.follow(window, golden["wrapper/queries_txy"])
    queries = golden["wrapper/model_queries_tyx"]
    _, xy, logits = _followed(network, network.encode(images.permute(0, 3, 1, 2)), queries)
    return [
        farthest("wrapper/model_input_sub", images[:, ::32, ::32], golden["wrapper/model_input_sub"], FEATURE),
        farthest("wrapper/model_input_row", images[3, 100], golden["wrapper/model_input_row"], FEATURE),
        farthest("wrapper/tracks_256_xy, px", xy, golden["wrapper/tracks_256_xy"], PIXELS),
        farthest("wrapper/occlusion", logits, golden["wrapper/occlusion"], LOGITS),
        farthest("wrapper/trajectories, px", followed.xy, golden["wrapper/trajectories"], PIXELS),
        differing("wrapper/visibilities", followed.visibility > VISIBLE, golden["wrapper/visibilities"]),
    ]


def _followed(
    network: TapNet, grid: torch.Tensor, queries_tyx: Array, watch: dict[str, torch.Tensor] | None = None
) -> tuple[torch.Tensor, Array, torch.Tensor]:
    """Features, tracks (N, T, 2) with the query on its own frame, and occlusion logits."""
    features = network.describe(grid, torch.from_numpy(queries_tyx.astype(np.float32)).to(grid.device))
    positions, logits = network.follow(grid, features, watch)
    xy = np.array(positions.cpu().numpy())
    xy[np.arange(len(xy)), np.rint(queries_tyx[:, 0]).astype(int)] = queries_tyx[:, :0:-1]
    return features, xy, logits


def _images(rgb: Array, network: TapNet) -> torch.Tensor:
    """(T, 3, 256, 256) in -1..1, on the network's device."""
    assert rgb.shape[1:3] == (SIDE, SIDE)
    return 2 * (torch.from_numpy(rgb).to(network.stem.weight.device).permute(0, 3, 1, 2).float() / 255) - 1
