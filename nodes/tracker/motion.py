"""How a set of points moved: similarities as (2, 3) matrices, and masks carried by them."""

from __future__ import annotations

import cv2
import numpy as np

from stream.messages import Array

IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float64)


def fit_similarity(source_xy: Array, target_xy: Array) -> Array:
    """The (2, 3) similarity (rotation, scale, shift) that carries `source_xy` (N, 2) to `target_xy`, px.

    One point gives a shift, none the identity. Outliers are set aside by RANSAC (OpenCV seeds it itself: repeatable).
    """
    n = len(source_xy)
    if n == 0:
        return IDENTITY.copy()
    shift = np.quantile(target_xy - source_xy, 0.5, axis=0)
    moved = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
    if n < 3:  # two points fix a similarity exactly, and so does any noise on them
        return moved
    fitted, _ = cv2.estimateAffinePartial2D(
        np.asarray(source_xy, np.float32), np.asarray(target_xy, np.float32), ransacReprojThreshold=3.0
    )
    return moved if fitted is None or not 0.5 < scale_of(fitted) < 2.0 else np.asarray(fitted, np.float64)


def scale_of(similarity: Array) -> float:
    """How much a (2, 3) similarity enlarges."""
    return float(np.hypot(similarity[0, 0], similarity[1, 0]))


def compose(after: Array, before: Array) -> Array:
    """The (2, 3) similarity that applies `before`, then `after`."""
    a, b = np.vstack([after, [0, 0, 1]]), np.vstack([before, [0, 0, 1]])
    return np.asarray((a @ b)[:2])


def apply(similarity: Array, xy: Array) -> Array:
    """(N, 2) float32: `xy` carried by the similarity."""
    return np.asarray(xy @ similarity[:, :2].T + similarity[:, 2], np.float32)


def rescaling(old_size: tuple[int, int], new_size: tuple[int, int]) -> Array:
    """The (2, 3) map of frame px to frame px when the frame size (H, W) changes; pixel centres are whole numbers."""
    sy, sx = new_size[0] / old_size[0], new_size[1] / old_size[1]
    return np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5]], np.float64)


def carry_mask(mask: Array, similarity: Array, size: tuple[int, int]) -> Array:
    """(H, W) uint8 of `size`: a mask moved by a (2, 3) map."""
    moved = cv2.warpAffine(mask, similarity, (size[1], size[0]), flags=cv2.INTER_NEAREST)
    return np.asarray(moved, np.uint8)
