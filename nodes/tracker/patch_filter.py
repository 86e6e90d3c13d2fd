"""Tracked points checked by what they lie on: one that has come to look unlike its query point is given up.

SAM-PT's patch-similarity filter. Off unless asked for: the paper found that it harms (table 2d).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.arrays import Array

PATCH_SIDE = 3  # px
THRESHOLD = 0.01  # a visible point is given up at this similarity or below
REACH = np.arange(PATCH_SIDE) - PATCH_SIDE // 2
OFFSETS = np.stack(np.meshgrid(REACH, REACH), axis=-1).reshape(-1, 2)  # (9, 2): x, y

# sRGB's linear light to CIE XYZ over its white (D65)
XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
WHITE = np.array([0.95047, 1.0, 1.08883])


class PatchFilter:
    """Query points that were drawn together, and which of them have been given up since."""

    def __init__(self, query: Array, threshold: float = THRESHOLD, rejected: Array | None = None) -> None:
        self.query = query  # (N, 27) float32: the patches that they were drawn on
        self.threshold = threshold
        # (N,) bool; for good: a point that has slid off does not come back by itself
        self.rejected = np.zeros(len(query), bool) if rejected is None else rejected

    def step(self, rgb: Array, xy: Array, visible: Array) -> Array:
        """(N,) bool: which of the points at `xy` (N, 2) still count as visible on the next frame."""
        unlike = visible & ~self.rejected & (similarity(self.query, patches(rgb, xy)) <= self.threshold)
        self.rejected |= unlike
        return np.asarray(visible & ~self.rejected)


def concatenate(filters: Sequence[PatchFilter]) -> PatchFilter:
    """One filter for the points of several; their threshold is the same."""
    return PatchFilter(
        np.concatenate([f.query for f in filters]),
        filters[0].threshold,
        np.concatenate([f.rejected for f in filters]),
    )


def patches(rgb: Array, xy: Array) -> Array:
    """(N, 27) float32: Lab of the 3x3 px around each point (N, 2) of a frame, bilinear, 0 outside it."""
    at = xy[:, None].astype(np.float64) + OFFSETS
    corner = np.floor(at)
    value = np.zeros((*at.shape[:-1], 3))
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.abs(1 - dx - (at[..., 0] - corner[..., 0])) * np.abs(1 - dy - (at[..., 1] - corner[..., 1]))
            x, y = (corner[..., 0] + dx).astype(np.int64), (corner[..., 1] + dy).astype(np.int64)
            inside = (x >= 0) & (y >= 0) & (x < rgb.shape[1]) & (y < rgb.shape[0])
            pixels = rgb[np.clip(y, 0, rgb.shape[0] - 1), np.clip(x, 0, rgb.shape[1] - 1)]
            value += np.where(inside, weight, 0)[..., None] * lab(pixels)
    return value.reshape(len(xy), -1).astype(np.float32)


def similarity(a: Array, b: Array) -> Array:
    """(N,) float32 in 0..1: how alike patches (N, 27) are."""
    return np.asarray(np.exp(-np.linalg.norm(a - b, axis=1) / (2 * PATCH_SIDE**2)), np.float32)


def lab(rgb: Array) -> Array:
    """(..., 3) float64: CIE Lab of 8-bit pixels by its formula; OpenCV's tables differ from it by up to 0.4.

    The channels are taken in the order blue, green, red, as the reference does, so that its threshold means the same.
    """
    light = rgb[..., ::-1] / 255.0
    light = np.where(light > 0.04045, ((light + 0.055) / 1.055) ** 2.4, light / 12.92)
    share = light @ XYZ.T / WHITE
    f = np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
