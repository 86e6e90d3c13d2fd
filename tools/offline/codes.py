"""The reference's visibility codes: why a point is not prompted, for whole trajectories (docs/sam_pt.md, b)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from nodes.tracker.patch_filter import PatchFilter, patches
from stream.arrays import Array

BORDER = 0.01  # share of the frame's side


class VisibilityCode(IntEnum):
    """Only visible points are prompted."""

    VISIBLE = 1
    OCCLUDED = 0
    OUTSIDE = -2
    UNLIKE = -3  # its patch is not like the one of its query point
    AFTER_UNLIKE = -4  # nor was it on an earlier frame


def code(
    frames: Sequence[Array], query_frames: Array, query_xy: Array, xy: Array, visible: Array, threshold: float | None
) -> Array:
    """(T, N) int8 of N points queried at (N,), (N, 2), tracked to `xy` (T, N, 2), `visible` (T, N) bool.

    `threshold`: of the patch filter; None: it is off.
    """
    codes = np.where(visible, VisibilityCode.VISIBLE, VisibilityCode.OCCLUDED).astype(np.int8)
    if threshold is not None:
        _filter(codes, frames, query_frames, query_xy, xy, threshold)
    share = xy / np.array(frames[0].shape[1::-1], xy.dtype)
    codes[((share < BORDER) | (share > 1 - BORDER)).any(axis=-1)] = VisibilityCode.OUTSIDE
    return codes


def _filter(
    codes: Array, frames: Sequence[Array], query_frames: Array, query_xy: Array, xy: Array, threshold: float
) -> None:
    """Mark the points that the patch filter rejects, away from the query frame in both directions."""
    for start in sorted(set(query_frames.tolist())):
        own = np.flatnonzero(query_frames == start)
        query = patches(frames[start], query_xy[own])
        for ids in (range(start, len(frames)), range(start - 1, -1, -1)):
            points = PatchFilter(query, threshold)
            for i in ids:
                before = points.rejected.copy()
                points.step(frames[i], xy[i, own], codes[i, own] == VisibilityCode.VISIBLE)
                codes[i, own[points.rejected]] = VisibilityCode.UNLIKE
                codes[i, own[before]] = VisibilityCode.AFTER_UNLIKE
