"""`sampt_NAME.npz` with its frames in `NAME/`: the whole of SAM-PT over a clip, against the offline tool. Minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from nodes.decoder.sam.prompting import PassRules
from nodes.tracker.pips.backend import PipsModel
from stream.arrays import Array
from stream.errors import ConfigError
from stream.geometry import Size
from tools.goldens.folder_weights import Weights
from tools.goldens.pictures import shown_at
from tools.goldens.rows import Golden, Row, differing, farthest
from tools.goldens.sam_weights import find_sam
from tools.offline.outcome import Outcome, QueriedObject
from tools.offline.sam_pt import Parameters, run
from tools.paper_settings import NEGATIVES, POSITIVES

TRACK_PX = 2e-3
REFINED = 5e-2  # of IoU and logits, after twelve refinements
AREA = 0.005  # share
# A ten-thousandth of a px may move a box by one px, and with random weights the mask goes elsewhere: a shift of all
# points by that much changes the area in one frame of `dog` by 6 %.
WORST_AREA = 0.1


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """Points, scores, masks and logits of every frame. The query points are the golden ones.

    Which ones are drawn depends on all that took random numbers before, in the reference also the making of networks.
    """
    golden = Golden(path)
    frames, ids, size = _clip(folder / path.stem.removeprefix("sampt_"))
    scale = _scale((ids.shape[0], ids.shape[1]), size)
    labels = np.repeat(np.array([1, 0], np.uint8), [POSITIVES, NEGATIVES])
    queried, misplaced = [], 0
    for m, value in enumerate(np.unique(ids[ids > 0])):
        mask = (ids == value).astype(np.uint8)
        xy = np.rint(golden["trajectories"][0, m] / scale).astype(np.int64)  # they are drawn among the pixels
        misplaced += int((mask[xy[:, 1], xy[:, 0]] != labels).sum())
        queried.append(QueriedObject(0, mask, xy.astype(np.float32), labels))
    parameters = Parameters(rules=PassRules(iou_threshold=-np.inf))
    outcome = run(frames, queried, PipsModel(weights.pips()), find_sam(weights), _no_draw, parameters)
    rows = [Row("query points on the wrong side of the mask", float(misplaced), 0.0)]
    return rows + _compare_outcome(golden, outcome, scale, size)


def _scale(worked_at: Size, size: Size) -> Array:
    """(2,) what the reference multiplies x and y with, to the output's size: x by the ratio of the heights."""
    return np.array([size[0] / worked_at[0], size[1] / worked_at[1]])


def _clip(folder: Path) -> tuple[list[Array], Array, Size]:
    """The frames and the label image of the first one at the size that SAM-PT works at, and their own size (H, W)."""
    files = sorted(folder.glob("*.jpg"))
    if not files:
        raise ConfigError(f"{folder} has no frames (*.jpg), which the golden file was made from; copy it as well")
    pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    ids = np.asarray(Image.open(folder / f"{files[0].stem}_mask.png"))
    height, width = ids.shape[:2]
    return [shown_at(picture) for picture in pictures], shown_at(ids, smooth=False), (height, width)


def _compare_outcome(golden: Golden, outcome: Outcome, scale: Array, size: Size) -> list[Row]:
    t, m = golden["trajectories"].shape[:2]
    keys = [(o, i) for i in range(t) for o in range(m)]
    xy = np.stack([outcome.points[k].xy * scale for k in keys]).reshape(golden["trajectories"].shape)
    codes = np.stack([outcome.points[k].codes for k in keys]).reshape(golden["visibilities"].shape)
    scores = np.array([outcome.iou.get(k, -np.inf) for k in keys]).reshape(t, m)
    rows = [
        farthest("trajectories, px", xy, golden["trajectories"], TRACK_PX),
        differing("visibility codes", codes, golden["visibilities"]),
        farthest("scores per frame", scores, golden["scores_per_frame"], REFINED),
        farthest("scores", scores.mean(axis=0), golden["scores"], REFINED),
    ]
    logits = np.stack([[outcome.logits(o, i, size) for o in range(m)] for i in range(t)])  # (T, M, H, W)
    areas, theirs = (logits > 0).sum(axis=(2, 3)).reshape(golden["mask_area"].shape), golden["mask_area"]
    shares = np.abs(areas - theirs) / np.maximum(theirs, 1)
    ours = logits[:, :, ::16, ::16].reshape(golden["logits_sub"].shape)
    there = np.isfinite(ours) & np.isfinite(golden["logits_sub"])
    gaps = np.abs(ours[there] - golden["logits_sub"][there])
    return [
        *rows,
        differing("logits, where there are any", np.isfinite(ours), np.isfinite(golden["logits_sub"])),
        Row("logits, 95 of 100 px", float(np.quantile(gaps, 0.95)), REFINED),
        Row("mask areas, share, median frame", float(np.median(shares)), AREA),
        Row("mask areas, share, worst frame", float(shares.max()), WORST_AREA),
    ]


def _no_draw(mask: Array, rgb: Array, m: int, frame: int) -> tuple[Array, Array]:
    raise AssertionError("all objects have points")
