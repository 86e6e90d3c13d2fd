"""Similarities as (2, 3) matrices, from an object's own coordinates to frame px."""

from __future__ import annotations

import cv2
import numpy as np

from stream.arrays import Array
from stream.geometry import scale_of


def angle_of(pose: Array) -> float:
    """How far it turns, radians."""
    return float(np.arctan2(pose[1, 0], pose[0, 0]))


def angle_between(one: Array, two: Array) -> float:
    """How much further the second turns, radians, -pi..pi."""
    return float((angle_of(two) - angle_of(one) + np.pi) % (2 * np.pi) - np.pi)


def about(centre: Array, angle: float, scale: float, shift: Array) -> Array:
    """Turn and enlarge about a point, then shift."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    return np.column_stack([linear, centre - linear @ centre + shift])


def fit(source_xy: Array, target_xy: Array, threshold_px: float) -> Array | None:
    """The similarity from `source_xy` (N, 2) to `target_xy` by RANSAC; None where they don't agree on a sane one."""
    if len(source_xy) < 6:
        return None
    fitted, inliers = cv2.estimateAffinePartial2D(
        np.asarray(source_xy, np.float32),
        np.asarray(target_xy, np.float32),
        ransacReprojThreshold=threshold_px,
        maxIters=200,
        confidence=0.98,
    )
    if fitted is None or inliers.mean() < 0.3 or not 0.85 <= scale_of(fitted) <= 1.18:
        return None
    return np.asarray(fitted, np.float64)
