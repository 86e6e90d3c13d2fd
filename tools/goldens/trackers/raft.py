"""`raft_*.npz`: RAFT's flow with what happens inside, and SAM-PT's trajectories made of it, against ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from nodes.tracker.raft.backend import RaftModel
from nodes.tracker.raft.checkpoint import load_raft
from nodes.tracker.raft.network import UPDATES, Raft, padding, upsample
from stream.arrays import Array
from stream.messages import VISIBLE
from tools.goldens.folder_weights import Weights
from tools.goldens.rows import Golden, Row, differing, farthest
from tools.goldens.trackers.frames import frames_of
from tools.goldens.trackers.raft_weights import raft_module, raft_weights
from tools.offline.chaining import two_way

INSIDE = 1e-3  # maps, context, correlation (values to 150) and what the first update makes of them
FLOW = 1e-3  # px
TRACK = 2e-3  # px
FEW = 12  # updates of the second set of trajectories
CLOSE = 1e-2  # of the first maps; two seeds differ by more than 1


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """Each kind of frames that the file has: `even` ones fit the network, `odd` ones have to be padded."""
    golden = Golden(path)
    kinds = sorted({name.partition("/")[0] for name in golden if "/" in name})
    module = find_raft(golden, frames_of(path, folder, kinds[0]), kinds[0], weights)
    return [row for kind in kinds for row in _of(golden, kind, frames_of(path, folder, kind), module)]


def find_raft(golden: Golden, frames: Array, kind: str, weights: Weights) -> Any:
    """The network of a golden file: lying in its folder, of the seed given, or of the first seed whose context fits."""

    def fits(module: Any) -> str:
        raft = Raft(module)
        context = raft.context(raft.encode(torch.from_numpy(frames[0])))
        return "context" if farthest("", context[0, ::8, ::2, ::2], golden[f"{kind}/cnet_sub"], CLOSE).ok else ""

    return weights.find_network(
        "RAFT", ".pth", golden.path, load_raft, lambda seed: raft_module(raft_weights(seed)), fits
    )


def _of(golden: Golden, kind: str, frames: Array, module: Any) -> list[Row]:
    return [
        *inside(golden, kind, frames, module),
        *tracks(golden, kind, frames, module, UPDATES),
        *tracks(golden, kind, frames, module, FEW),
    ]


def tracks(golden: Golden, kind: str, frames: Array, module: Any, updates: int) -> list[Row]:
    """SAM-PT's trajectories, forwards and backwards; with the number of updates that it takes, also what is seen."""
    frames = frames[: len(golden[f"{kind}/trajectories"])]
    model = RaftModel(Raft(module, updates))
    features = [model.encode(rgb) for rgb in frames]
    queries = golden[f"{kind}/queries"]
    ours, _ = two_way(model, features, queries[:, 0].astype(int), queries[:, 1:])
    name = f"{kind}/trajectories" if updates == UPDATES else f"{kind}/trajectories_{updates}it"
    rows = [farthest(f"{name}, px", ours.xy, golden[name], TRACK)]
    if updates == UPDATES:
        back = model.flow(features[1], features[0]).transpose(2, 0, 1)
        rows.append(farthest(f"{kind}/flow10_it32_sub, px", back[:, ::4, ::4], golden[f"{kind}/flow10_it32_sub"], FLOW))
        rows.append(differing(f"{kind}/visibilities", ours.probability > VISIBLE, golden[f"{kind}/visibilities"]))
    return rows


@torch.inference_mode()
def inside(golden: Golden, kind: str, frames: Array, module: Any) -> list[Row]:
    """The flow from the first frame to the second, update by update, and what is inside the first."""
    raft = Raft(module, UPDATES)
    first, second = (raft.encode(torch.from_numpy(rgb)) for rgb in frames[:2])
    maps, others, context = raft.features(first), raft.features(second), raft.context(first)
    watch: dict[str, list[torch.Tensor]] = {}
    raft.flow(maps, context, others, watch)
    height, width = frames.shape[1:3]
    left, _, top, _ = padding((height, width))

    def flow_after(updates: int) -> torch.Tensor:
        mask = module.mask_predictor(watch["hidden"][updates - 1])
        return upsample(watch["low"][updates - 1], mask)[:, top : top + height, left : left + width]

    motion = module.update_block.motion_encoder(torch.zeros_like(watch["low"][0]), watch["correlation"][0])
    values = {
        "fmap1_sub": maps[0, ::8, ::2, ::2],
        "fmap2_sub": others[0, ::8, ::2, ::2],
        "cnet_sub": context[0, ::8, ::2, ::2],
        "corr_it1_sub": watch["correlation"][0][0, :, ::4, ::4],
        "motion_it1_sub": motion[0, ::4, ::4, ::4],
        "hidden_it1_sub": watch["hidden"][0][0, ::4, ::4, ::4],
        "delta_it1": watch["change"][0][0],
        "mask_it1_sub": module.mask_predictor(watch["hidden"][0])[0, ::8, ::4, ::4],
    }
    rows_at = [0, 1, height // 2, height - 2, height - 1]
    flows = {f"flow01_it{updates}_sub": flow_after(updates)[:, ::4, ::4] for updates in (1, FEW, UPDATES)}
    flows["flow01_it32_rows"] = flow_after(UPDATES)[:, rows_at]
    flows["flow01_low_iters"] = torch.stack([watch["low"][i - 1][0] for i in golden[f"{kind}/low_iters"].tolist()])
    return [
        differing(f"{kind}/pad_lrtb", padding((height, width)), golden[f"{kind}/pad_lrtb"]),
        *(farthest(f"{kind}/{n}", v, golden[f"{kind}/{n}"], INSIDE) for n, v in values.items()),
        differing(f"{kind}/corr_shape", watch["correlation"][0].shape, golden[f"{kind}/corr_shape"]),
        *(farthest(f"{kind}/{n}", v, golden[f"{kind}/{n}"], FLOW) for n, v in flows.items()),
    ]
