"""Trajectories and their truth in, position accuracy, occlusion accuracy and average Jaccard out (TAP-Vid's measures).

A point counts on the frames after its query frame. Distances are in px of the frame as it was tracked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.arrays import Array

WITHIN_PX = (1, 2, 4, 8, 16)
NEAR_PX = 8  # what a curve over time shows


@dataclass(frozen=True)
class Trajectories:
    """N points over T frames: where they are, and where a tracker says they are."""

    true_xy: Array  # (T, N, 2)
    true_visible: Array  # (T, N) bool
    xy: Array  # (T, N, 2)
    visible: Array  # (T, N) bool
    query_frames: Array  # (N,)

    @property
    def counts(self) -> Array:
        """(T, N) bool: after the query frame."""
        return np.asarray(np.arange(len(self.true_xy))[:, None] > self.query_frames[None])

    @property
    def distance(self) -> Array:
        """(T, N) px."""
        return np.asarray(np.linalg.norm(self.xy - self.true_xy, axis=-1))

    def scores(self) -> dict[str, float]:
        """The row of one clip, 0..100.

        `delta_K`: share of the truly visible positions that are met within K px; `delta`: its mean over all K.
        `OA`: share of the frames whose visibility is right. `AJ`: mean over K of true positives over all
        truly visible and all false positives; a point called visible is a true positive where it is, and within K px.
        """
        counts, distance = self.counts, self.distance
        seen = self.true_visible & counts
        claimed = self.visible & counts  # the tracker calls it visible
        row = {"AJ": 0.0, "delta": 0.0, "OA": 100 * _share((self.true_visible == self.visible) & counts, counts)}
        jaccards = []
        for px in WITHIN_PX:
            near = distance < px
            row[f"delta_{px}"] = 100 * _share(near & seen, seen)
            hits = int((claimed & seen & near).sum())
            false = int((claimed & ~(seen & near)).sum())
            jaccards.append(hits / (int(seen.sum()) + false) if seen.any() or false else 1.0)
        row["delta"] = float(np.mean([row[f"delta_{px}"] for px in WITHIN_PX]))
        row["AJ"] = 100 * float(np.mean(jaccards))
        return row

    def curves(self) -> tuple[list[int], list[float], list[float]]:
        """Frames on which a point is to be seen; on each the share met within NEAR_PX, and OA, 0..1."""
        counts = self.counts
        seen, right = self.true_visible & counts, (self.true_visible == self.visible) & counts
        near = (self.distance < NEAR_PX) & seen
        frames = np.flatnonzero(seen.any(axis=1)).tolist()
        return frames, [_share(near[t], seen[t]) for t in frames], [_share(right[t], counts[t]) for t in frames]


def _share(part: Array, whole: Array) -> float:
    """Of what is counted; 1 where there is nothing."""
    return int(part.sum()) / int(whole.sum()) if whole.any() else 1.0
