"""Similarities as (2, 3) matrices, from an object's own coordinates to frame px."""

from __future__ import annotations

import cv2
import numpy as np

from stream.messages import Array

IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float64)


def compose(after: Array, before: Array) -> Array:
    """The map that applies `before`, then `after`."""
    linear = after[:, :2] @ before[:, :2]
    shift = after[:, :2] @ before[:, 2] + after[:, 2]
    return np.column_stack([linear, shift])


def inverse(pose: Array) -> Array:
    """The map back."""
    return np.asarray(cv2.invertAffineTransform(pose))


def scale_of(pose: Array) -> float:
    """How much it enlarges."""
    return float(np.sqrt(abs(pose[0, 0] * pose[1, 1] - pose[0, 1] * pose[1, 0])))


def angle_of(pose: Array) -> float:
    """How far it turns, radians."""
    return float(np.arctan2(pose[1, 0], pose[0, 0]))


def about(centre: Array, angle: float, scale: float, shift: Array) -> Array:
    """Turn and enlarge about a point, then shift."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    return np.column_stack([linear, centre - linear @ centre + shift])


def apply(pose: Array, xy: Array) -> Array:
    """(N, 2): points carried by the map."""
    return np.asarray(xy @ pose[:, :2].T + pose[:, 2])


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
