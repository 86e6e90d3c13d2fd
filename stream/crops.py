"""A mask of a frame in, the crop of its bounding box out, and back: a mask travels as its crop."""

from __future__ import annotations

import numpy as np

from stream.arrays import Array


def crop_mask(mask: Array) -> tuple[tuple[int, int, int, int], Array]:
    """The bounding box (x, y, width, height) of a (H, W) mask and its crop as uint8 0/1; (0, 0, 0, 0) when empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return (0, 0, 0, 0), np.zeros((0, 0), np.uint8)
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    y, x, height, width = rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    crop = np.ascontiguousarray(mask[y : y + height, x : x + width] != 0).view(np.uint8)
    return (int(x), int(y), int(width), int(height)), crop


def uncrop_mask(bbox: tuple[int, int, int, int], crop: Array, size: tuple[int, int]) -> Array:
    """The inverse of `crop_mask`: a (H, W) uint8 mask of 0 and 1."""
    mask = np.zeros(size, np.uint8)
    x, y, width, height = bbox
    mask[y : y + height, x : x + width] = crop
    return mask
