"""Point correspondences in, the similarity (rotation, scale, shift) that most of them agree on out.

One robust fit serves trackers and decoders; what counts as sane differs with the time between the two frames, so the
limits are given. OpenCV's RANSAC seeds itself: the same points give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stream.arrays import Array
from stream.geometry import scale_of


@dataclass(frozen=True)
class FitLimits:
    """What a similarity must hold to be believed."""

    agree_px: float  # a point that it misses by more is an outlier
    scales: tuple[float, float]  # how much it may shrink or enlarge lengths
    least_points: int = 3  # two fix a similarity exactly, and so does any noise on them
    least_agreement: float = 0.0  # share of the points that must agree
    rounds: int = 2000  # of RANSAC, at most
    confidence: float = 0.99


# Over a window of the tracker an object may come much nearer; from one frame to the next it hardly changes its size.
OVER_A_WINDOW = FitLimits(agree_px=3.0, scales=(0.5, 2.0))


def frame_to_frame(agree_px: float) -> FitLimits:
    """The limits between two neighbouring frames, for dense correspondences, many of which are wrong."""
    return FitLimits(agree_px, (0.85, 1.18), least_points=6, least_agreement=0.3, rounds=200, confidence=0.98)


def fit_similarity(source_xy: Array, target_xy: Array, limits: FitLimits) -> Array | None:
    """(2, 3) float64 from `source_xy` (N, 2) to `target_xy` (N, 2), px; None where the points agree on no sane one."""
    if len(source_xy) < limits.least_points:
        return None
    fitted, inliers = cv2.estimateAffinePartial2D(
        np.asarray(source_xy, np.float32),
        np.asarray(target_xy, np.float32),
        ransacReprojThreshold=limits.agree_px,
        maxIters=limits.rounds,
        confidence=limits.confidence,
    )
    if fitted is None or inliers.mean() < limits.least_agreement:
        return None
    smallest, largest = limits.scales
    return np.asarray(fitted, np.float64) if smallest <= scale_of(fitted) <= largest else None
