"""`superglue_*.npz`: SuperPoint's keypoints, SuperGlue's matches and SAM-PT's draws among them, against ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nodes.tracker.matching.matcher import Keypoints
from nodes.tracker.matching.regions import Choose, Region, draw
from nodes.tracker.superglue.checkpoint import load_superglue
from nodes.tracker.superglue.network import SuperGlue, mutual_matches, to_gray
from stream.arrays import Array
from stream.errors import CheckpointError, ConfigError
from tools.goldens.folder_weights import QUERY_SEEDS, Weights
from tools.goldens.rows import Golden, Row, differing, farthest
from tools.goldens.trackers.frames import frames_of
from tools.goldens.trackers.superglue_weights import superglue_module, superglue_weights, superpoint_weights
from tools.paper_settings import SEED

LOOKS = 1e-5  # scores and descriptors
INSIDE = 1e-3  # what the layers compute, and the transport
SCORES = 1e-4  # of matches
CLOSE = 1e-2  # of the first map; two seeds differ by more than 1


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """Each kind of frames that the file has: `odd` ones are no multiples of 8."""
    golden = Golden(path)
    kinds = sorted({name.partition("/")[0] for name in golden if "/" in name})
    module = find_superglue(golden, frames_of(path, folder, kinds[0]), kinds[0], weights)
    rows = []
    for kind in kinds:
        frames = frames_of(path, folder, kind)[: len(golden[f"{kind}/trajectories"])]
        net = SuperGlue(module)
        found = [net.detect(rgb) for rgb in frames]
        if f"{kind}/conv1a_sub" in golden:
            rows += [*maps(golden, kind, frames, module), *layers(golden, kind, net, found)]
        rows += pair(golden, kind, net, found)
        rows += wrapper(golden, kind, net, found, weights)
    return rows


def find_superglue(golden: Golden, frames: Array, kind: str, weights: Weights) -> Any:
    """The network of a golden file: lying in its folder, of the seed given, or of the first seed whose map fits."""

    if importlib.util.find_spec("transformers") is None:
        raise ConfigError(
            f"{golden.path.name} needs the package transformers: `pip install -r requirements-trackers.txt` brings it"
        )

    def fits(module: Any) -> str:
        first = _maps(module, frames[0])["conv1a"]
        return "first map" if farthest("", first[::8, ::8, ::8], golden[f"{kind}/conv1a_sub"], CLOSE).ok else ""

    def load(path: Path) -> Any:
        for other in sorted(path.parent.glob("*.pth")):
            try:
                return load_superglue(path, other)
            except CheckpointError:
                continue
        raise CheckpointError(f"{path} is no file of SuperPoint beside one of SuperGlue")

    def make(seed: int) -> Any:
        return superglue_module(superpoint_weights(seed), superglue_weights(seed))

    return weights.find_network("SuperGlue", ".pth", golden.path, load, make, fits)


def maps(golden: Golden, kind: str, frames: Array, module: Any) -> list[Row]:
    """SuperPoint's maps of the first frame."""
    ours = _maps(module, frames[0])
    grays = np.stack([to_gray(torch.from_numpy(rgb)).numpy() for rgb in frames[:2]])
    values = {
        "conv1a_sub": ours["conv1a"][::8, ::8, ::8],
        "conv4b_sub": ours["conv4b"][::8, ::2, ::2],
        "convPb_sub": ours["convPb"][:, ::4, ::4],
        "convDb_sub": ours["convDb"][::8, ::4, ::4],
        "heat0_sub": ours["heat"][::4, ::4],
    }
    return [
        differing(f"{kind}/gray01", grays, golden[f"{kind}/gray01"]),
        *(farthest(f"{kind}/{name}", value, golden[f"{kind}/{name}"], INSIDE) for name, value in values.items()),
    ]


def layers(golden: Golden, kind: str, net: SuperGlue, found: list[Keypoints]) -> list[Row]:
    """What SuperGlue's layers compute of the first two frames."""
    watch: dict[str, list[torch.Tensor]] = {}
    net.transport(found[0], found[1], watch)

    def sub(values: torch.Tensor) -> torch.Tensor:
        return values[0].T[::8, ::4]

    values = {
        "kenc0_input": watch["input"][0][0, ::4],
        "kenc0_sub": sub(watch["encoded"][0]),
        **{f"gnn{i}_delta{side}_sub": sub(watch[f"delta{i}"][side]) for i in (0, 1, 17) for side in (0, 1)},
        "gnn_out0_sub": sub(watch["out"][0]),
        "final0_sub": sub(watch["final"][0]),
    }
    return [farthest(f"{kind}/{name}", value, golden[f"{kind}/{name}"], INSIDE) for name, value in values.items()]


def pair(golden: Golden, kind: str, net: SuperGlue, found: list[Keypoints]) -> list[Row]:
    """The keypoints of the first two frames, and how they match."""
    rows = []
    for i, keypoints in enumerate(found[:2]):
        looks = keypoints.looks
        rows += [
            differing(f"{kind}/keypoints{i}", keypoints.xy, golden[f"{kind}/keypoints{i}"]),
            farthest(f"{kind}/scores{i}", looks.scores, golden[f"{kind}/scores{i}"], LOOKS),
            farthest(
                f"{kind}/descriptors{i}_sub", looks.descriptors.T[::8], golden[f"{kind}/descriptors{i}_sub"], LOOKS
            ),
        ]
    watch: dict[str, list[torch.Tensor]] = {}
    transport = net.transport(found[0], found[1], watch)
    parts = {
        "score_matrix_sub": watch["scores"][0][0, ::4, ::4],
        "transport_log_sub": transport[:-1, :-1][::4, ::4],
        "transport_log_bin_col": transport[:, -1],
        "transport_log_bin_row": transport[-1],
    }
    rows += [farthest(f"{kind}/{name}", value, golden[f"{kind}/{name}"], INSIDE) for name, value in parts.items()]
    matched = net.match(found[0], found[1])
    for side, (own, others, log) in enumerate(
        ((matched.before, matched.after, transport), (matched.after, matched.before, transport.T))
    ):
        indices = np.full(len(found[side]), -1)
        indices[own] = others
        scores = mutual_matches(log)[1]
        rows += [
            differing(f"{kind}/matches{side}", indices, golden[f"{kind}/matches{side}"]),
            farthest(f"{kind}/matching_scores{side}", scores, golden[f"{kind}/matching_scores{side}"], SCORES),
        ]
    return rows


def wrapper(golden: Golden, kind: str, net: SuperGlue, found: list[Keypoints], weights: Weights) -> list[Row]:
    """SAM-PT's wrapper: every frame matched with the first, and points drawn among the matches of each mask."""
    rows, ends = [], []
    for t, keypoints in enumerate(found[1:], start=1):
        matched = net.match(found[0], keypoints)
        ends.append(keypoints.xy[matched.after])
        rows += [
            differing(f"{kind}/frame{t}_matched0", found[0].xy[matched.before], golden[f"{kind}/frame{t}_matched0"]),
            differing(f"{kind}/frame{t}_matched1", ends[-1], golden[f"{kind}/frame{t}_matched1"]),
            farthest(f"{kind}/frame{t}_match_scores", matched.scores, golden[f"{kind}/frame{t}_match_scores"], SCORES),
        ]
    seed = _draw_seed(golden, kind, ends, weights)
    pools, draws, xy, visibility = follow(golden, kind, ends, np.random.RandomState(seed))
    return [
        *rows,
        differing(f"{kind}/draw_pool_and_size", pools, golden[f"{kind}/draw_pool_and_size"]),
        differing(f"{kind}/draws", draws, golden[f"{kind}/draws"]),
        differing(f"{kind}/trajectories", xy, golden[f"{kind}/trajectories"]),
        differing(f"{kind}/visibilities", visibility, golden[f"{kind}/visibilities"]),
    ]


def follow(
    golden: Golden, kind: str, ends: list[Array], random: np.random.RandomState
) -> tuple[Array, Array, Array, Array]:
    """The wrapper's pools and their draws, trajectories and visibilities, of matches that end at (M, 2) each frame."""
    masks, queries = golden[f"{kind}/masks"], golden[f"{kind}/queries"]
    each = len(queries) // len(masks)
    positives = golden[f"{kind}/draws"].shape[-1]  # more of them than negatives, so they decide its last axis
    labels = (np.arange(each) < positives).astype(np.uint8)
    pools = np.zeros((len(ends), len(masks), 2, 2), np.int64)
    draws = np.full((len(ends), len(masks), 2, positives), -1, np.int64)
    xy, visibility = [queries[:, 1:].astype(np.float32)], [np.zeros(len(queries), np.float32)]
    for t, after_xy in enumerate(ends):
        drawn = []
        for m, mask in enumerate(masks):
            inside = Region(mask).contains(after_xy)
            pools[t, m] = [
                (n, min(n, most)) for n, most in ((inside.sum(), positives), ((~inside).sum(), each - positives))
            ]
            sides = iter(range(2) if pools[t, m, 0, 1] else (1,))
            drawn.append(draw(after_xy, inside, labels, _noted(random, draws[t, m], sides)))
        xy.append(np.concatenate([at for at, _ in drawn]))
        visibility.append(np.concatenate([seen for _, seen in drawn]))
    return pools, draws, np.stack(xy), np.stack(visibility)


def _noted(random: np.random.RandomState, draws: Array, sides: Any) -> Choose:
    """NumPy's old generator, whose choices are noted in (2, K): those of positives first."""

    def choose(n: int, k: int) -> Array:
        chosen = random.choice(n, k)
        draws[next(sides), :k] = chosen
        return np.asarray(chosen)

    return choose


def _draw_seed(golden: Golden, kind: str, ends: list[Array], weights: Weights) -> int:
    """The seed of the draws: given, or the first that draws what the file says."""
    if weights.given_query_seed is not None:
        return weights.given_query_seed
    seeds: tuple[int, ...] = (SEED, *QUERY_SEEDS)
    for seed in seeds:
        if np.array_equal(follow(golden, kind, ends, np.random.RandomState(seed))[1], golden[f"{kind}/draws"]):
            weights.note(f"SuperGlue: draws of seed {seed}, as {golden.path.name} has them")
            return seed
    raise ConfigError(
        f"no seed of {QUERY_SEEDS.start} to {QUERY_SEEDS.stop - 1} draws the points of {golden.path.name}: name it "
        "with --query-seed N"
    )


@torch.inference_mode()
def _maps(module: Any, rgb: Array) -> dict[str, torch.Tensor]:
    """SuperPoint's maps of a picture."""
    detector = module.keypoint_detector
    encoder, heads, looks = detector.encoder, detector.keypoint_decoder, detector.descriptor_decoder
    gray = to_gray(torch.from_numpy(rgb)).to(module.bin_score.device)[None, None].float() / 255
    maps = encoder(gray).last_hidden_state
    logits = heads.conv_score_b(heads.conv_score_a(maps).relu())[0]
    height, width = logits.shape[1:]
    shares = logits.softmax(dim=0)[:-1].view(8, 8, height, width)
    return {
        "conv1a": encoder.conv_blocks[0].conv_a(gray)[0].relu(),
        "conv4b": maps[0],
        "convPb": logits,
        "convDb": looks.conv_descriptor_b(looks.conv_descriptor_a(maps).relu())[0],
        "heat": shares.permute(2, 0, 3, 1).reshape(8 * height, 8 * width),
    }
