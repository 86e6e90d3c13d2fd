"""Trajectories and their truth in, position accuracy, occlusion accuracy and average Jaccard out (TAP-Vid's measures).

A point counts on the frames after its query frame. Distances are in px of the frame as it was tracked.
"""

from __future__ import annotations

import numpy as np

from stream.messages import Array

WITHIN_PX = (1, 2, 4, 8, 16)


def point_scores(
    true_xy: Array, true_visible: Array, xy: Array, visible: Array, query_frames: Array
) -> dict[str, float]:
    """The row of one clip, 0..100. xy: (T, N, 2), visible: (T, N) bool, query_frames: (N,).

    `delta_K`: share of the truly visible positions that are met within K px; `delta`: its mean over all K.
    `OA`: share of the frames on which visibility is told rightly. `AJ`: mean over K of true positives over all truly
    visible and all false positives; a point told visible is true where it truly is, and within K px.
    """
    counts = np.arange(len(true_xy))[:, None] > query_frames[None]
    seen = true_visible & counts
    told = visible & counts
    distance = np.linalg.norm(xy - true_xy, axis=-1)
    row = {"AJ": 0.0, "delta": 0.0, "OA": 100 * float((true_visible == visible)[counts].mean())}
    jaccards = []
    for px in WITHIN_PX:
        near = distance < px
        row[f"delta_{px}"] = 100 * _share(near & seen, seen)
        hits = int((told & seen & near).sum())
        wrong = int((told & ~(seen & near)).sum())
        jaccards.append(hits / (int(seen.sum()) + wrong) if seen.any() or wrong else 1.0)
    row["delta"] = float(np.mean([row[f"delta_{px}"] for px in WITHIN_PX]))
    row["AJ"] = 100 * float(np.mean(jaccards))
    return row


def _share(part: Array, whole: Array) -> float:
    """Of what is counted; 1 where there is nothing."""
    return int(part.sum()) / int(whole.sum()) if whole.any() else 1.0
