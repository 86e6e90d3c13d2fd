"""Matches and the mask of an object in, the object's points on a frame out, as SAM-PT draws them anew on each frame.

pool     matched keypoints at their new places; of positives those that belong to the mask, of negatives the others
drawn    as many as are wanted, but no more than the pool holds, with replacement
missing  at (-1, -1), not visible; at the end of the positives, and of the negatives
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stream.arrays import Array
from stream.crops import crop_mask

Choose = Callable[[int, int], Array]  # n, k -> (k,) int: indices below n, some of them more than once
NOWHERE = -1.0  # px: where a point is that no match was left for


class Region:
    """The mask that an object's points were drawn from: the crop of its bounding box."""

    def __init__(self, mask: Array) -> None:
        (x, y, _, _), self.mask = crop_mask(mask)
        self.corner = np.array([x, y])

    def contains(self, xy: Array) -> Array:
        """(M,) bool: whose pixel, of points (M, 2) in frame px, belongs to the mask."""
        height, width = self.mask.shape
        column, row = (np.rint(xy).astype(np.int64) - self.corner).T
        within = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        inside = np.zeros(len(xy), bool)
        inside[within] = self.mask[row[within], column[within]] != 0
        return inside


def draw(after_xy: Array, inside: Array, labels: Array, choose: Choose) -> tuple[Array, Array]:
    """(N, 2) float32 frame px, and (N,) visibility, of points with these labels: positives are drawn first.

    `after_xy` (M, 2): where the matched keypoints are; `inside` (M,) bool: which of them belong to the object.
    """
    xy = np.full((len(labels), 2), NOWHERE, np.float32)
    visibility = np.zeros(len(labels), np.float32)
    for label, pool in ((1, after_xy[inside]), (0, after_xy[~inside])):
        rows = np.flatnonzero(labels == label)[: len(pool)]
        if len(rows):
            xy[rows] = pool[choose(len(pool), len(rows))]
            visibility[rows] = 1
    return xy, visibility
