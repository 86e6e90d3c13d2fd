"""Masks that a prompt may mean in, those worth offering out, by area."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nodes.decoder.evidence import WHOLE_FRAME
from nodes.decoder.mask_model import Candidates
from stream.arrays import Array

ALIKE = 0.9  # IoU above which two masks are as good as the same
LEAST_PX = 25  # a smaller mask is no object (decoder.min_area_px)


def rank_candidates(default: Array, others: Sequence[Array]) -> Candidates:
    """Masks (H, W) by area, without those that are alike, tiny or fill the frame; the default is always among them."""
    offered = [default]
    for mask in others:
        fair = LEAST_PX <= np.count_nonzero(mask) <= WHOLE_FRAME * mask.size
        if fair and all(iou(mask, m) <= ALIKE for m in offered):
            offered.append(mask)
    order = sorted(range(len(offered)), key=lambda i: int(np.count_nonzero(offered[i])))
    return Candidates([offered[i] for i in order], order.index(0))


def iou(a: Array, b: Array) -> float:
    """Of two masks (H, W); 1 where both are empty."""
    both, either = np.count_nonzero((a != 0) & (b != 0)), np.count_nonzero((a != 0) | (b != 0))
    return both / either if either else 1.0
