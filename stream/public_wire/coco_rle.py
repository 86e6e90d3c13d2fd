"""COCO's compressed run lengths: a mask in, the string that pycocotools calls `counts` out, and back.

The whole frame is read column by column, as alternating runs of background and mask, background first (of length 0
where the first pixel is mask). From the fourth run on, a run is written as its difference from the run two before. A
number is cut into groups of 5 bits, lowest first, in two's complement; a group becomes the character 48 + group, + 32
if more groups follow.
"""

from __future__ import annotations

import numpy as np

from stream.arrays import Array
from stream.errors import MessageError

GROUPS = 7  # of 5 bits: as many as a 32-bit run can need
MAX_BYTES = 4 * 1024 * 1024  # what decodes to at most 2**22 runs; a mask of pure noise in a full-HD frame has 2**20


def encode(mask: Array, bbox: tuple[int, int, int, int], size: tuple[int, int]) -> bytes:
    """The string of a crop `mask` (h, w), nonzero where the object is, at `bbox` in a frame of `size` (H, W)."""
    x, y, width, height = bbox
    H, W = size
    # Only the columns of the box are looked at; a zero at either end makes every edge of a run a difference.
    column_major = np.zeros(width * H + 2, np.uint8)
    column_major[1:-1].reshape(width, H)[:, y : y + height] = mask.T != 0
    edges = np.flatnonzero(column_major[1:] != column_major[:-1]) + x * H
    runs = np.diff(edges, prepend=0, append=H * W)
    if runs.size > 1 and runs[-1] == 0:  # the frame's last pixel is mask: COCO writes no empty run at the end
        runs = runs[:-1]
    return _write(runs)


def decode(payload: bytes | memoryview, bbox: tuple[int, int, int, int], size: tuple[int, int]) -> Array:
    """The crop (h, w) uint8 0/1 at `bbox` of the frame of `size` (H, W) that the string describes.

    MessageError where it is no such string, holds another number of pixels, or has mask outside the box.
    """
    x, y, width, height = bbox
    H, W = size
    runs = _read(payload)
    if runs.min() < 0 or int(runs.sum()) != H * W:
        raise MessageError(f"the runs of a coco_rle payload don't fill a frame of {W}x{H}")
    begin = x * H
    ends = np.clip(np.cumsum(runs), begin, begin + width * H)
    values = (np.arange(runs.size) & 1).astype(np.uint8)
    column_major = np.repeat(values, np.diff(ends, prepend=begin)).reshape(width, H)
    mask = np.ascontiguousarray(column_major[:, y : y + height].T)
    if np.count_nonzero(mask) != int(runs[1::2].sum()):
        raise MessageError("a coco_rle payload has mask outside its bbox")
    return mask


def _write(runs: Array) -> bytes:
    numbers = runs.copy()
    numbers[3:] -= runs[1:-2]
    group = np.arange(GROUPS)
    bits = (numbers[:, None] >> 5 * group) & 31
    above = numbers[:, None] >> (5 * group + 4)  # the group's top bit and all beyond it
    last = ((above == 0) | (above == -1)).argmax(axis=1)[:, None]  # nothing but sign is left
    characters = (48 + bits + 32 * (group < last)).astype(np.uint8)
    return bytes(characters[group <= last])


def _read(payload: bytes | memoryview) -> Array:
    """The runs, (N,) int64; their signs and sum are for the caller to check."""
    if not 1 <= len(payload) <= MAX_BYTES:
        raise MessageError(f"a coco_rle payload of {len(payload)} bytes came; it has 1 to {MAX_BYTES}")
    codes = np.frombuffer(payload, np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(codes < 32)
    if codes.min() < 0 or codes.max() > 63 or last.size == 0 or last[-1] != codes.size - 1:
        raise MessageError("a coco_rle payload is no list of whole numbers in characters 48 to 111")
    first = np.concatenate([[0], last[:-1] + 1])
    groups = last - first + 1
    if groups.max() > GROUPS:
        raise MessageError(f"a coco_rle number of {groups.max()} groups came; it has at most {GROUPS}")
    place = np.arange(codes.size) - np.repeat(first, groups)
    runs = np.add.reduceat((codes & 31) << 5 * place, first)
    runs -= np.where(codes[last] & 16, 1 << 5 * groups, 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])  # the first run stands by itself
    return runs
