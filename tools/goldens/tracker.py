"""`tracker_*.npz`: points chained over a clip, forwards and backwards (docs/sam_pt.md, b), against ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nodes.tracker.pips.backend import PipsModel
from stream.arrays import Array
from stream.messages import VISIBLE
from tools.goldens.folder_weights import Weights
from tools.goldens.rows import Golden, Row, clip_of, differing, farthest
from tools.offline.chaining import Link, two_way

PIXELS = 2e-3
PROBABILITY = 1e-3  # that of the logits; a probability moves a quarter as far


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """Where the points were, whether they were seen, and every link."""
    golden = Golden(path)
    model = PipsModel(weights.pips())
    features = [model.encode(rgb) for rgb in clip_of(path, folder)]
    queries = golden["queries"]
    ours, reversed_links = two_way(model, features, queries[:, 0].astype(int), queries[:, 1:])
    links = np.concatenate([_table(0, ours.links), _table(1, reversed_links)])
    return [
        differing("links", links, _ordered(golden["links"])),
        differing("points in each window", _windows(links), golden["model_calls"][golden["model_calls"][:, 0] == 0, 1]),
        differing("visibilities", ours.probability > VISIBLE, golden["visibilities"]),
        farthest("visibility_probs", ours.probability, golden["visibility_probs"], PROBABILITY),
        farthest("trajectories, px", ours.xy, golden["trajectories"], PIXELS),
    ]


def _table(direction: int, links: Sequence[Link]) -> Array:
    """(L, 5): direction, frame, point, next frame, real frames in the window; in order."""
    return _ordered(np.array([(direction, *link) for link in links], np.int64).reshape(-1, 5))


def _ordered(links: Array) -> Array:
    return np.asarray(links[np.lexsort(links.T[2::-1])])


def _windows(links: Array) -> Array:
    """How many points each window has, by direction and frame: points that start on a frame share a run."""
    return np.asarray(np.unique(links[:, :2], axis=0, return_counts=True)[1])
