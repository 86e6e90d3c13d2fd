"""A mask of a frame in, the crop of its bounding box out, and back: a mask travels as its crop."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class PackedMask:
    """A mask as the bits of its crop: whole, one of an 8K frame takes 33 MB for as long as it is kept."""

    size: tuple[int, int]  # (height, width) of the frame, px
    bbox: tuple[int, int, int, int]  # x, y, width, height, px
    bits: bytes

    @classmethod
    def pack(cls, mask: Array) -> PackedMask:
        """Of a (H, W) mask of 0 and 1."""
        return cls.of_crop(*crop_mask(mask), (mask.shape[0], mask.shape[1]))

    @classmethod
    def of_crop(cls, bbox: tuple[int, int, int, int], crop: Array, size: tuple[int, int]) -> PackedMask:
        """Of the (height, width) crop of a mask of 0 and 1 in its box, on a frame of `size`."""
        return cls(size, bbox, np.packbits(crop).tobytes())

    def unpack(self) -> Array:
        """The (H, W) uint8 mask."""
        width, height = self.bbox[2:]
        crop = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=width * height).reshape(height, width)
        return uncrop_mask(self.bbox, crop, self.size)
