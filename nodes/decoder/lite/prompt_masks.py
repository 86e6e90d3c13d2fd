"""The first mask of an object from what somebody said of it: points, a box, a mask, or several of them.

Points: discs around them are sure, geodesic distance through the colours decides what is probable, one GrabCut round
settles it. A box: what differs from the box's border and lies near its middle is probable; GrabCut settles it, under a
guard, because it may collapse to nothing (it does, on a fifth of real boxes). A mask is
taken as it is; points given with it correct it.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from nodes.decoder.lite import fusion
from nodes.decoder.lite.cues import signed_distance
from nodes.decoder.lite.frame_analysis import Picture
from nodes.decoder.lite.kernels import geodesic
from nodes.decoder.lite.prompt_crop import Crop, cleaned, discs, grabcut
from nodes.decoder.lite.prompt_cues import PromptCues, Seeds, gather
from stream.arrays import Array
from stream.messages import Prompt

Box = tuple[float, float, float, float]  # x1, y1, x2, y2, frame px

CROP_MARGIN = 0.25  # of the crop's side
MANY_CLICKS = 8
CORE_SHARE = 0.35  # of a box: what ways of the object start from
COLLAPSED = 0.3  # of GrabCut's answer: a mask smaller than this is none
BOX_OFFSETS = (0.0, 0.5, 1.0, 1.5, 2.0)  # logits by which the bar is lowered until a mask fills its box
# logits: drawn objects are rarely as plain as a square that fills its box, where GrabCut alone is right to a pixel
CUT_TRUST = {"points": np.float32(0.5), "box": np.float32(1)}
TIGHT_SHARE = 0.8  # of the box's width and height
NO_CLICKS = np.zeros((0, 2), np.float32)


def first_mask(rgb: Array, prompt: Prompt, soft: Array | None = None, picture: Picture | None = None) -> Array:
    """(H, W) uint8: the mask that a prompt means on a frame.

    `soft` (H, W) float32 is what was known before, if anything; `picture` the frame with its flow, for the motion since
    the frame before.
    """
    if picture is not None and picture.before is None:
        picture = None
    height, width = rgb.shape[:2]
    xy = np.zeros((0, 2), np.float32) if prompt.xy is None else np.asarray(prompt.xy, np.float32)
    labels = np.zeros(0, np.uint8) if prompt.labels is None else np.asarray(prompt.labels)
    inside = (xy >= 0).all(axis=1) & (xy[:, 0] < width) & (xy[:, 1] < height)
    xy, labels = xy[inside], labels[inside]
    if prompt.mask is not None:
        soft = prompt.mask.astype(np.float32)
    if soft is not None and (soft > 0.5).any():
        return _corrected(rgb, soft, xy, labels) if len(xy) else (soft > 0.5).astype(np.uint8)
    if (labels == 1).any():
        return _from_points(rgb, xy, labels, prompt.box, picture)
    return _from_box(rgb, prompt.box, picture) if prompt.box is not None else np.zeros((height, width), np.uint8)


def _from_points(rgb: Array, xy: Array, labels: Array, box: Box | None, picture: Picture | None) -> Array:
    crop, at, radius, cues = point_cues(rgb, xy, labels, box, picture)
    mask = (_logits(cues, "points") > 0).astype(np.uint8)
    if mask.sum() < COLLAPSED * cues.cut.sum():
        mask = cues.cut.copy()
    discs(mask, at[labels == 0], max(1, radius // 2), 0)
    discs(mask, at[labels == 1], max(1, radius // 2), 1)
    return crop.to_frame(cleaned(mask, at[labels == 1]))


def _from_box(rgb: Array, box: Box, picture: Picture | None) -> Array:
    crop, inner, cues = box_cues(rgb, box, picture)
    logits = np.where(inner, _logits(cues, "box"), -np.inf)
    _, _, width, height = cv2.boundingRect(inner.astype(np.uint8))
    masks = [cleaned((logits > -offset).astype(np.uint8), NO_CLICKS) for offset in BOX_OFFSETS]
    spans = [cv2.boundingRect(mask)[2:] for mask in masks]
    # an object reaches nearly to the sides of its box; where no mask does, the box was drawn loosely
    tight = [min(w / width, h / height) > TIGHT_SHARE for w, h in spans]
    mask = masks[tight.index(True)] if any(tight) else masks[1]
    return crop.to_frame(mask if mask.sum() > COLLAPSED * cues.cut.sum() else cleaned(cues.cut, NO_CLICKS))


def _logits(cues: PromptCues, network: str) -> Array:
    """(h, w): what a network makes of the cues, with a hand on the scales for GrabCut."""
    raw = fusion.fitted(network)(cues.planes) + CUT_TRUST[network] * (2 * cues.cut.astype(np.float32) - 1)
    return fusion.settled(raw, cues.rgb)


def point_cues(
    rgb: Array, xy: Array, labels: Array, box: Box | None, picture: Picture | None
) -> tuple[Crop, Array, int, PromptCues]:
    """The crop that clicks ask for, the clicks in it, the radius of what they make sure, and the cues."""
    positives = xy[labels == 1]
    spacing = _spacing(positives, (rgb.shape[0], rgb.shape[1]))
    # eight clicks spread over an object mark its extent; fewer leave more of it unmarked
    reach = 0.6 * spacing * float(np.clip(MANY_CLICKS / len(positives), 1, 2.7)) + 3
    low, high = positives.min(axis=0) - reach, positives.max(axis=0) + reach
    if box is not None:
        low, high = np.array(box[:2]), np.array(box[2:])
    margin = CROP_MARGIN * float((high - low).max()) + 3
    crop = Crop(rgb, low[0] - margin, low[1] - margin, high[0] + margin, high[1] + margin)
    at = crop.to_crop(xy)
    trimap = np.full((crop.h, crop.w), cv2.GC_BGD, np.uint8)
    (x1, y1), (x2, y2) = np.rint(crop.to_crop(np.stack([low, high]))).astype(int)
    trimap[max(y1, 0) : y2 + 1, max(x1, 0) : x2 + 1] = cv2.GC_PR_BGD
    if (trimap == cv2.GC_BGD).sum() == 0:
        trimap[[0, -1]] = trimap[:, [0, -1]] = cv2.GC_BGD
    radius = max(1, round(0.25 * spacing / crop.factor))
    discs(trimap, at[labels == 0], radius, cv2.GC_BGD)
    discs(trimap, at[labels == 1], radius, cv2.GC_FGD)
    near = [_nearest(at[labels == wanted], trimap.shape) / (spacing / crop.factor) for wanted in (1, 0)]
    outside = signed_distance((trimap != cv2.GC_BGD) & (trimap != cv2.GC_FGD)) / max(reach / crop.factor, 1)
    places = [np.minimum(near[0], 4), np.minimum(near[1], 4), np.clip(outside, -3, 3)]
    few = max(0.0, float(np.log2(MANY_CLICKS / len(positives)) / np.log2(MANY_CLICKS)))
    return crop, at, radius, gather(crop, Seeds(trimap, trimap == cv2.GC_FGD, places, few), picture)


def box_cues(rgb: Array, box: Box, picture: Picture | None) -> tuple[Crop, Array, PromptCues]:
    """The crop round a box, the (h, w) bool part inside the box, and the cues."""
    x1, y1, x2, y2 = box
    margin = CROP_MARGIN * max(x2 - x1, y2 - y1) + 3
    crop = Crop(rgb, x1 - margin, y1 - margin, x2 + margin, y2 + margin)
    corners = crop.to_crop(np.array([[x1, y1], [x2, y2]], np.float32))
    (left, top), (right, bottom) = np.rint(corners).astype(int)
    inner = np.zeros((crop.h, crop.w), bool)
    inner[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
    if inner.all():  # a box of the whole frame: its edge is all that is known of the surroundings
        inner[[0, -1]] = inner[:, [0, -1]] = False
    rows, columns = np.mgrid[: crop.h, : crop.w].astype(np.float32)
    (cx, cy), (sx, sy) = corners.mean(axis=0), np.maximum((corners[1] - corners[0]) / 2, 1)
    across, down = (columns - cx) / sx, (rows - cy) / sy
    radius = np.hypot(across, down)
    seeds = Seeds(
        np.where(inner, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8), inner, [], centre=np.clip(1 - radius, -0.5, 1)
    )
    score = seeds.score(geodesic(crop.lab(), ~inner))
    core = inner & (score > np.quantile(score[inner], 1 - CORE_SHARE))
    places = [np.clip(score, -1, 3), np.clip(radius, 0, 2), np.clip(down, -1.5, 1.5)]
    return crop, inner, gather(crop, replace(seeds, ours=core, places=places), picture)


def _nearest(points: Array, size: tuple[int, ...]) -> Array:
    """(h, w) float32 px to the nearest of points (N, 2); far from all where there is none."""
    free = np.ones(size, np.uint8)
    discs(free, points, 0, 0)
    return np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, 3)) if not free.all() else np.full(size, 1e3, np.float32)


def _corrected(rgb: Array, soft: Array, xy: Array, labels: Array) -> Array:
    """A known mask with clicks laid over it: clicks are sure, the mask's middle is, the rest is settled anew."""
    rows, columns = np.nonzero(soft > 0.5)
    points = np.concatenate([np.stack([columns, rows], axis=1), xy])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = CROP_MARGIN * float((high - low).max()) + 8
    crop = Crop(rgb, low[0] - margin, low[1] - margin, high[0] + margin, high[1] + margin)
    at = crop.to_crop(xy)
    known = crop.shrink(soft.astype(np.float32)) > 0.5
    depth = cv2.distanceTransform(known.astype(np.uint8), cv2.DIST_L2, 3)
    side = float(np.sqrt(max(known.sum(), 1)))
    trimap = np.where(known, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[depth > 0.1 * side] = cv2.GC_FGD
    trimap[[0, -1]] = trimap[:, [0, -1]] = cv2.GC_BGD
    lab = crop.lab()
    radius = max(1, round(0.06 * side))
    for wanted, other, probable in ((1, ~known, cv2.GC_PR_FGD), (0, known, cv2.GC_PR_BGD)):
        clicked = np.zeros(known.shape, np.uint8)
        discs(clicked, at[labels == wanted], radius, 1)
        settled = np.zeros(known.shape, np.uint8)
        discs(settled, at[labels != wanted], radius, 1)
        if not clicked.any():
            continue
        # a click claims what is nearer to it, through the colours, than to anything else that stays as it was
        rival = (settled == 1) | (cv2.erode((~other).astype(np.uint8), np.ones((3, 3), np.uint8)) == 1)
        rival[clicked == 1] = False
        if wanted == 1:
            rival |= trimap == cv2.GC_BGD
        near = geodesic(lab, clicked == 1)
        claim = (near < geodesic(lab, rival)) & (near < 60 + 3 * side) & other if rival.any() else other
        trimap[claim] = probable
    discs(trimap, at[labels == 1], radius, cv2.GC_FGD)
    discs(trimap, at[labels == 0], radius, cv2.GC_BGD)
    mask = grabcut(cv2.cvtColor(crop.rgb, cv2.COLOR_RGB2BGR), trimap)
    return crop.to_frame(cleaned(mask, at[labels == 1]))


def _spacing(points: Array, size: tuple[int, int]) -> float:
    """Median distance of a point to its nearest neighbour, px; of a single point, a guess from the frame's size."""
    if len(points) < 2:
        return 0.2 * min(size)
    distance = np.hypot(points[:, None, 0] - points[None, :, 0], points[:, None, 1] - points[None, :, 1])
    np.fill_diagonal(distance, np.inf)
    return max(float(np.median(distance.min(axis=1))), 2.0)
