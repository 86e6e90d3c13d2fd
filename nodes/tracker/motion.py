"""How a set of points moved: similarities as (2, 3) matrices, and masks carried by them."""

from __future__ import annotations

import cv2
import numpy as np

from stream.arrays import Array
from stream.geometry import IDENTITY, scale_of


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


def carry_mask(mask: Array, similarity: Array, size: tuple[int, int]) -> Array:
    """(H, W) uint8 of `size`: a mask moved by a (2, 3) map."""
    moved = cv2.warpAffine(mask, similarity, (size[1], size[0]), flags=cv2.INTER_NEAREST)
    return np.asarray(moved, np.uint8)
