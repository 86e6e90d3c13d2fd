"""`davis_metrics_*.npz`: J, F and their statistics by the published DAVIS code, against ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.evaluation.measures import contour_accuracy, score_masks, statistics
from tools.goldens.rows import Golden, Row, farthest, unpack

if TYPE_CHECKING:  # it loads torch, and nothing here needs weights
    from tools.goldens.folder_weights import Weights

TOLERANCE = 1e-6


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """Each measure of each mask, with and without void pixels, and the statistics over them."""
    golden = Golden(path)
    shape = tuple(golden["shape"].tolist())
    truths, masks, voids = (unpack(golden[f"{name}_packed"], shape) != 0 for name in ("gt", "pred", "void"))
    j, f = np.array([score_masks(t, m) for t, m in zip(truths, masks, strict=True)]).T
    j_void, f_void = np.array([score_masks(t, m, v) for t, m, v in zip(truths, masks, voids, strict=True)]).T
    f_1px = [contour_accuracy(t, m, 1) for t, m in zip(truths, masks, strict=True)]
    j_stats, f_stats = ((s.mean, s.recall, s.decay) for s in (statistics(j), statistics(f)))
    measures = {
        "J": j, "F": f, "J_void": j_void, "F_void": f_void, "F_bound1px": f_1px, "J_stats": j_stats, "F_stats": f_stats
    }  # fmt: skip
    return [farthest(name, values, golden[name], TOLERANCE) for name, values in measures.items()]
