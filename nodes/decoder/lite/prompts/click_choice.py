"""The masks that one click may mean in; how likely each is the object out.

A click says nothing of an object's size. So masks are cut out at several sizes and thresholds, and what can be measured
of each speaks for it or against it: how sure its pixels are, whether others agree with it, whether the colours change
where it ends, where in it the click lies (people click at the middle), its size. click_choice.json weighs
that, fitted to drawn frames alone by tools/fit_clicks.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from nodes.decoder.mask_model import Window
from stream.arrays import Array

WEIGHTS = Path(__file__).with_name("click_choice.json")
MOST_PX = 30_000  # of the part that is compared
RING_PX = 3  # on each side of the outline: what is compared
NEIGHBOURHOOD = 9  # px, round each place of the outline
VISIBLE = 8.0  # Lab levels: a difference of colours that makes an edge
LEAST_PX = 20  # of the part that is compared: a smaller mask is none
MARGIN = 8  # px round all masks
CLOSEST = 3  # other masks that agree most
RANGE = 4.0  # deviations; what is farther from the mean counts as this far

MEASURES = (
    *("sure", "soft_iou", "cut_off", "scale", "lowered", "agreement", "closest", "edge", "size"),
    *("off_centre", "relative_depth"),
)


@dataclass(frozen=True)
class ClickedMask:
    """A mask that a click may mean, and what was known where it was cut out."""

    mask: Array  # (h, w) uint8 0/1, at the working size of the window that it was cut out of
    window: Window  # whole frame px
    sure: float = 1.0  # mean probability of its pixels, with the threshold at 0.5
    soft_iou: float = 1.0  # of those probabilities and the mask
    cut_off: float = 0.0  # px of it at the crop's border inside the frame, over the root of its area
    scale: float = 1.0  # how much larger an object was looked for than clicks suggest
    lowered: float = 0.0  # logits, by which the threshold was lowered


@dataclass(frozen=True)
class ChoiceWeights:
    """Fitted weights (2 C,) of measures and of their squares, once they have mean 0 and deviation 1 (C,)."""

    mean: Array
    spread: Array
    weights: Array

    def score(self, measures: Array) -> Array:
        """(N,): how likely each of N masks is the object, by its measures (N, C)."""
        return np.asarray(spread_measures(measures, self.mean, self.spread) @ self.weights)


def spread_measures(measures: Array, mean: Array, spread: Array) -> Array:
    """(..., 2 C): measures (..., C) at mean 0 and deviation 1, and their squares."""
    z = np.clip((measures - mean) / spread, -RANGE, RANGE)
    return np.concatenate([z, z**2], axis=-1)


@cache
def load_weights() -> ChoiceWeights:
    """Those that ship."""
    values = json.loads(WEIGHTS.read_text())
    return ChoiceWeights(*(np.asarray(values[key], np.float32) for key in ("mean", "spread", "weights")))


def choose_mask(rgb: Array, click: Array, masks: Sequence[ClickedMask]) -> int:
    """The number of the mask that is most likely the object of the picture (H, W, 3) at the click (2,)."""
    measures = measure_masks(rgb, click, masks)
    if measures is None:
        return 0
    scores = load_weights().score(measures)
    scores[[not m.mask.any() for m in masks]] = -np.inf
    return int(np.argmax(scores))


def measure_masks(rgb: Array, click: Array, masks: Sequence[ClickedMask]) -> Array | None:
    """(N, C) float32: the measures of each mask; None where all of them are empty."""
    boxes = np.array([_box_of(m) for m in masks if m.mask.any()])
    if not len(boxes):
        return None
    left, top = (max(int(v) - MARGIN, 0) for v in boxes[:, :2].min(axis=0))
    right, bottom = (int(v) + MARGIN for v in boxes[:, 2:].max(axis=0))
    picture = rgb[top:bottom, left:right]
    shrink = min(1.0, float(np.sqrt(MOST_PX / (picture.shape[0] * picture.shape[1]))))
    shape = (max(2, round(picture.shape[0] * shrink)), max(2, round(picture.shape[1] * shrink)))
    lab = cv2.cvtColor(cv2.resize(picture, shape[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    blurred = cv2.GaussianBlur(lab, (0, 0), 1.2).astype(np.float32)
    small = [_place_mask(m, (left, top), shrink, shape) for m in masks]
    at = (np.asarray(click, np.float32) - [left, top] + 0.5) * shrink - 0.5
    ious = _ious(np.stack(small).reshape(len(small), -1).astype(np.float32))
    closest = np.sort(ious, axis=1)[:, -1 - CLOSEST : -1].mean(axis=1)
    rows = []
    for i, (whole, mask) in enumerate(zip(masks, small, strict=True)):
        edge = edge_share(blurred, mask) if mask.sum() >= LEAST_PX else 0.0
        h, w = whole.mask.shape
        area = np.count_nonzero(whole.mask) * (whole.window[2] / w) * (whole.window[3] / h)
        side = float(np.sqrt(max(area, 1.0)))
        size = float(np.log(side / min(rgb.shape[0], rgb.shape[1])))
        known = [whole.sure, whole.soft_iou, whole.cut_off, np.log(whole.scale), whole.lowered]
        rows.append([*known, ious[i].mean(), closest[i], edge, size, *_place_click(mask, at)])
    return np.array(rows, np.float32)


def edge_share(lab: Array, mask: Array) -> float:
    """The share of a mask's outline where the colours on both sides of it differ; lab (h, w, 3) float32."""
    ring = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RING_PX + 1, 2 * RING_PX + 1))
    inner = mask - cv2.erode(mask, ring)
    outer = cv2.dilate(mask, ring) - mask
    outline = (mask - cv2.erode(mask, np.ones((3, 3), np.uint8))) > 0
    difference = np.linalg.norm(_means_near(lab, inner) - _means_near(lab, outer), axis=2)[outline]
    return float((difference > VISIBLE).mean()) if difference.size else 0.0


def _box_of(clicked: ClickedMask) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2, frame px, of a mask that is not empty."""
    (h, w), (x, y, width, height) = clicked.mask.shape, clicked.window
    left, top, across, down = cv2.boundingRect(clicked.mask)
    return (
        x + left * width / w,
        y + top * height / h,
        x + (left + across) * width / w,
        y + (top + down) * height / h,
    )


def _place_mask(clicked: ClickedMask, corner: tuple[int, int], shrink: float, shape: tuple[int, int]) -> Array:
    """(h, w) uint8: a mask as a part of the frame shows it that begins at a corner (x, y) and is shrunk to a shape."""
    (h, w), (x, y, width, height) = clicked.mask.shape, clicked.window
    x_scale, y_scale = shrink * width / w, shrink * height / h
    across = 0.5 * x_scale - 0.5 + shrink * (x - corner[0])
    down = 0.5 * y_scale - 0.5 + shrink * (y - corner[1])
    matrix = np.array([[x_scale, 0, across], [0, y_scale, down]])
    return np.asarray(cv2.warpAffine(clicked.mask.astype(np.float32), matrix, shape[::-1]) > 0.5, np.uint8)


def _place_click(mask: Array, click: Array) -> tuple[float, float]:
    """How far a click (2,) is from the middle of a mask (h, w), over the root of its area; how deep, of the deepest."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return 0.0, 0.0
    off_centre = np.hypot(columns.mean() - click[0], rows.mean() - click[1]) / np.sqrt(len(rows))
    depth = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]  # the frame's border is one of it
    x, y = (int(np.clip(round(float(v)), 0, n - 1)) for v, n in zip(click, mask.shape[::-1], strict=True))
    return float(off_centre), float(depth[y, x] / depth.max())


def _ious(masks: Array) -> Array:
    """(N, N): the IoU of each of the masks (N, px) with each."""
    both, areas = masks @ masks.T, masks.sum(axis=1)
    return np.asarray(both / np.maximum(areas[:, None] + areas - both, 1))


def _means_near(lab: Array, ring: Array) -> Array:
    """(h, w, 3): the mean colour of a ring's pixels near each pixel."""
    weight = ring.astype(np.float32)
    side = (NEIGHBOURHOOD, NEIGHBOURHOOD)
    return np.asarray(cv2.blur(lab * weight[..., None], side) / (cv2.blur(weight, side) + 1e-4)[..., None])
