"""`patch_filter*.npz`: the likeness of tracked patches, and visibility codes at several thresholds, against ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nodes.tracker.patch_filter import patches, similarity
from tools.goldens.folder_weights import Weights
from tools.goldens.rows import Golden, Row, differing, farthest
from tools.offline.codes import code

SIMILARITY = 1e-4
THRESHOLDS = "visibilities_thr_"


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """The similarities, and a row a threshold."""
    golden = Golden(path)
    frames, visible = list(golden["frames"]), golden["visibilities_in"]
    shape = visible.shape  # frames, objects, points
    xy = golden["trajectories"].reshape(shape[0], -1, 2)
    queries = golden["queries"].reshape(-1, 3)
    starts, query_xy = queries[:, 0].astype(np.int64), queries[:, 1:]
    query = np.concatenate([patches(frames[t], at[None]) for t, at in zip(starts, query_xy, strict=True)])
    similarities = np.stack([similarity(query, patches(frame, at)) for frame, at in zip(frames, xy, strict=True)])
    rows = [farthest("similarities", similarities.reshape(shape), golden["similarities"], SIMILARITY)]
    for name in golden:
        if name.startswith(THRESHOLDS):
            text = name.removeprefix(THRESHOLDS)
            threshold = None if text == "None" else float(text)
            codes = code(frames, starts, query_xy, xy, visible.reshape(xy.shape[:2]), threshold)
            rows.append(differing(f"codes, threshold {text}", codes.reshape(shape), golden[name]))
    return rows
