"""How an object's points moved: a (2, 3) similarity whatever their number, and masks carried by it."""

from __future__ import annotations

import cv2
import numpy as np

from stream.arrays import Array
from stream.geometry import IDENTITY
from stream.similarity import OVER_A_WINDOW, fit_similarity


def estimate_motion(source_xy: Array, target_xy: Array) -> Array:
    """The (2, 3) map that carries `source_xy` (N, 2) to `target_xy`, px.

    A robust similarity; the median shift where the points agree on none, or are fewer than three; the identity where
    there is no point.
    """
    if len(source_xy) == 0:
        return IDENTITY.copy()
    fitted = fit_similarity(source_xy, target_xy, OVER_A_WINDOW)
    if fitted is not None:
        return fitted
    shift = np.quantile(target_xy - source_xy, 0.5, axis=0)
    return np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)


def carry_mask(mask: Array, similarity: Array, size: tuple[int, int]) -> Array:
    """(H, W) uint8 of `size`: a mask moved by a (2, 3) map."""
    moved = cv2.warpAffine(mask, similarity, (size[1], size[0]), flags=cv2.INTER_NEAREST)
    return np.asarray(moved, np.uint8)
