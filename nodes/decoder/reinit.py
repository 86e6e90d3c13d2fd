"""Which frame of a window the points are drawn anew on: re-initialisation A, B, C and D (paper, table 1), from areas.

A window is frame f, where its points were drawn, and the h - 1 frames after it. Index k means frame f + 1 + k. A mask
of MISSING_PX or less is no mask, and so are the first h // 4 frames: new points so soon would gain nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stream.arrays import Array
from stream.settings.options import Variant

MISSING_PX = 25
NO_MASK = 720.0  # D: what a missing mask costs; more than any change of area that is worth following
MERGE_BONUS = 36.0  # D: what it is worth that two groups of objects become one


def choose(
    variant: Variant,
    areas: Array,
    start_areas: Array,
    next_start: int | None = None,
    median: Callable[[Array], int] | None = None,
) -> Array:
    """(M,) int: the index k at which each object of a group starts its next window, 0 .. h - 2.

    `areas`: (M, h - 1) px, of the masks of the frames after f; `start_areas`: (M,) px, of the masks of frame f itself.
    `next_start`: in how many frames from f another object begins (A and D let the groups merge there). `median`: how B
    picks the index of a (K,) row's median, NaN left out; `median_index` by default.
    The index of an object whose masks are all missing names a frame without a mask: nothing can be drawn there.
    """
    n, later = areas.shape
    merge = None if next_start is None or next_start - 1 >= later else next_start - 1
    if variant == "A":
        return np.full(n, later - 1 if merge is None else merge)
    present_areas = present(areas)
    if variant == "B":
        return np.array([(median or median_index)(row) for row in present_areas], np.int64)
    change = np.abs(present_areas - start_areas[:, None])
    if variant == "C":
        return np.asarray(np.argmin(np.where(np.isnan(change), np.inf, change), axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = np.nan_to_num(change / start_areas[:, None], nan=NO_MASK, posinf=np.inf).sum(axis=0)
    if merge is not None:
        cost[merge] -= MERGE_BONUS
    return np.full(n, np.argmin(cost))


def present(areas: Array) -> Array:
    """`areas` (M, h - 1) as float64, NaN where a mask counts as missing."""
    present_areas = areas.astype(np.float64)
    present_areas[areas <= MISSING_PX] = np.nan
    present_areas[:, : (areas.shape[1] + 1) // 4] = np.nan
    return present_areas


def median_index(row: Array) -> int:
    """The first index of the lower median of a (K,) row, NaN left out; 0 where nothing else is there."""
    ordered = np.sort(row[~np.isnan(row)])
    return int(np.flatnonzero(row == ordered[(len(ordered) - 1) // 2])[0]) if len(ordered) else 0
