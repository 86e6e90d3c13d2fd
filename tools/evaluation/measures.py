"""Two masks in, J and F out; the values of a sequence in, their mean, recall and decay out (DAVIS' own definition).

Checked against the published evaluation code to 1e-6 (`tests/tools/test_evaluation_measures.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, hypot

import cv2
import numpy as np

from stream.arrays import Array

TOLERANCE = 0.008  # of the frame's diagonal: how far two contours may lie apart and still agree (8 px at 854x480)
RECALL_ABOVE = 0.5  # a frame above this counts as recalled
QUARTERS = 4  # decay: the first quarter against the last


@dataclass(frozen=True)
class Statistics:
    """What one measure says of one object over its frames, 0..1."""

    mean: float
    recall: float  # share of the frames above RECALL_ABOVE
    decay: float  # first quarter minus last: what is lost on the way


def statistics(values: Array) -> Statistics:
    """Of the (T,) values of a sequence's frames, in order, at least one."""
    edges = np.round(np.linspace(1, len(values), QUARTERS + 1) + 1e-10).astype(int) - 1  # halves are rounded up
    first, last = values[: edges[1] + 1], values[edges[-2] :]  # edges belong to both of their quarters
    return Statistics(
        float(values.mean()), float((values > RECALL_ABOVE).mean()), float(first.mean()) - float(last.mean())
    )


def score_masks(truth: Array, mask: Array, void: Array | None = None) -> tuple[float, float]:
    """(J, F) of one object in one frame. All are (H, W), nonzero inside; `void` pixels count for neither."""
    true, found = truth != 0, mask != 0
    if void is not None:
        true, found = true & ~void, found & ~void
    return region_similarity(true, found), contour_accuracy(true, found)


def region_similarity(truth: Array, mask: Array) -> float:
    """J: intersection over union of two (H, W) bool masks; 1 where both are empty."""
    union = int(np.count_nonzero(truth | mask))
    return int(np.count_nonzero(truth & mask)) / union if union else 1.0


def contour_accuracy(truth: Array, mask: Array, tolerance: float = TOLERANCE) -> float:
    """F: how well the contours of two (H, W) bool masks agree within `tolerance` (a share of the diagonal, or px >= 1).

    The harmonic mean of precision (share of the mask's contour near the true one) and recall (the reverse); 1 where
    both are empty, 0 where one is.
    """
    radius = int(tolerance) if tolerance >= 1 else ceil(tolerance * hypot(*truth.shape))
    # Both contours lie in the box around both masks: nothing outside it can change the answer.
    box = _box_around(truth | mask, radius + 1)
    true_edge, found_edge = contour(truth[box]), contour(mask[box])
    n_true, n_found = int(true_edge.sum()), int(found_edge.sum())
    if n_true == 0 or n_found == 0:
        return float(n_true == n_found)
    reach = disk(radius)
    precision = int((found_edge & cv2.dilate(true_edge, reach)).sum()) / n_found
    recall = int((true_edge & cv2.dilate(found_edge, reach)).sum()) / n_true
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def contour(mask: Array) -> Array:
    """(H, W) uint8: 1 where a pixel of a bool mask differs from its right, lower or lower right neighbour."""
    edge = np.zeros(mask.shape, np.uint8)
    here = mask[:-1, :-1]
    edge[:-1, :-1] = (here != mask[:-1, 1:]) | (here != mask[1:, :-1]) | (here != mask[1:, 1:])
    edge[-1, :-1] = mask[-1, :-1] != mask[-1, 1:]  # the frame's last row has no lower neighbours,
    edge[:-1, -1] = mask[:-1, -1] != mask[1:, -1]  # its last column no right ones
    return edge


@lru_cache(maxsize=8)
def disk(radius: int) -> Array:
    """(2r + 1, 2r + 1) uint8: 1 within `radius` px of the middle."""
    x = np.arange(-radius, radius + 1)
    return (x[:, None] ** 2 + x**2 <= radius**2).astype(np.uint8)


def _box_around(mask: Array, margin: int) -> tuple[slice, slice]:
    """The rows and columns of the mask and `margin` px around it; a single pixel where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return slice(0, 1), slice(0, 1)
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )
