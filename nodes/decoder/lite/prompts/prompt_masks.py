"""The first mask of an object from a prompt: points, a box, a mask, or several of them.

Points: click_masks.py. A box: what differs from the box's border and lies near its middle is probable; GrabCut
decides, under a guard, because it may collapse to nothing (it does, on a fifth of real boxes). What that is surest of
is clicked on then, and the clicks' answers count as much; the threshold is lowered until the mask fills its box. A mask
is taken as it is; points given with it correct it.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from nodes.decoder.lite import fusion
from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.kernels import geodesic_distance
from nodes.decoder.lite.prompts.click_masks import COLLAPSED_SHARE, cut_candidates, cut_from_clicks, look_twice
from nodes.decoder.lite.prompts.finishing import add_target_model, enlarge_mask
from nodes.decoder.lite.prompts.prompt_crop import (
    CROP_MARGIN,
    MAX_LOGIT,
    Box,
    PromptCrop,
    clean_mask,
    draw_discs,
    run_grabcut,
    spread_clicks,
)
from nodes.decoder.lite.prompts.prompt_cues import PromptCues, PromptTrimap, collect_prompt_cues, fuse_prompt_pixels
from stream.arrays import Array
from stream.messages import Prompt

CORE_SHARE = 0.35  # of a box: where distances to the object are measured from
BOX_OFFSETS = (0.0, 0.5, 1.0, 1.5, 2.0)  # logits by which the threshold is lowered until a mask fills its box
LOOSE_BOX_OFFSET = 0.5  # the same, of a first look, for a box that no mask fills
AGREE_IOU = 0.7  # of a restored mask with what is cut out of the frame in its place
TIGHT_SHARE = 0.8  # of the box's width and height: a mask that reaches over more of both fills it
# clicks on what a first look at a box is surest of: how many, on which share of its mask; chosen on 139 drawn objects
BOX_CLICKS = ((4, 0.5), (4, 0.7))
CLICKED_BOX_OFFSET = 0.5  # logits by which the threshold is lowered then
NO_CLICKS = np.zeros((0, 2), np.float32)


def make_first_mask(
    rgb: Array, prompt: Prompt, old_mask: Array | None = None, analysis: FrameAnalysis | None = None
) -> Array:
    """(H, W) uint8: the mask that a prompt means on a frame.

    `old_mask` (H, W) float32 is the object's mask before the prompt, if it has one; `analysis` that of the frame, for
    the motion since the frame before.
    """
    if analysis is not None and analysis.previous_gray is None:
        analysis = None
    height, width = rgb.shape[:2]
    xy, labels = _inside(prompt, (height, width))
    if prompt.mask is not None:
        old_mask = prompt.mask.astype(np.float32)
    if old_mask is not None and (old_mask > 0.5).any():
        return _correct_mask(rgb, old_mask, xy, labels) if len(xy) else (old_mask > 0.5).astype(np.uint8)
    if (labels == 1).any():
        return cut_from_clicks(rgb, xy, labels, prompt.box, analysis)
    return _cut_from_box(rgb, prompt.box, analysis) if prompt.box is not None else np.zeros((height, width), np.uint8)


def make_candidates(rgb: Array, prompt: Prompt) -> list[Array]:
    """(H, W) uint8 each: what the clicks of a prompt may mean, from a small part to a large whole; clicks alone."""
    if prompt.xy is None or prompt.labels is None or prompt.mask is not None or prompt.box is not None:
        return []
    xy, labels = _inside(prompt, (rgb.shape[0], rgb.shape[1]))
    if not (labels == 1).any():
        return []
    return cut_candidates(rgb, xy, labels)


def agrees_with_picture(rgb: Array, mask: Array, analysis: FrameAnalysis | None = None) -> bool:
    """Whether what a frame shows in the box of a (H, W) mask has the mask's shape."""
    if analysis is not None and analysis.previous_gray is None:
        analysis = None
    x, y, width, height = cv2.boundingRect(mask)
    crop, _, _, found = _look_at_box(rgb, (x, y, x + width - 1, y + height - 1), analysis)
    cut = crop.mask_to_frame(found)
    return float((cut & mask).sum()) > AGREE_IOU * float((cut | mask).sum())


def fill_box(logits: Array, inner: Array, loose_offset: float) -> tuple[Array, float]:
    """The mask (h, w) of logits whose threshold is lowered until it fills its box, and by how much it is lowered.

    An object reaches nearly to the sides of its box; where no mask does, the box was drawn loosely.
    """
    _, _, width, height = cv2.boundingRect(inner.astype(np.uint8))

    def lower(offset: float) -> Array:
        return clean_mask((inner & (logits > -offset)).astype(np.uint8), NO_CLICKS)

    for offset in BOX_OFFSETS:
        mask = lower(offset)
        _, _, w, h = cv2.boundingRect(mask)
        if min(w / width, h / height) > TIGHT_SHARE:
            return mask, offset
    return lower(loose_offset), loose_offset


def _inside(prompt: Prompt, size: tuple[int, int]) -> tuple[Array, Array]:
    """xy (N, 2) and labels (N,) of the clicks that lie in a frame of that size (H, W)."""
    xy = np.zeros((0, 2), np.float32) if prompt.xy is None else np.asarray(prompt.xy, np.float32)
    labels = np.zeros(0, np.uint8) if prompt.labels is None else np.asarray(prompt.labels)
    inside = (xy >= 0).all(axis=1) & (xy[:, 0] < size[1]) & (xy[:, 1] < size[0])
    return xy[inside], labels[inside]


def _cut_from_box(rgb: Array, box: Box, analysis: FrameAnalysis | None) -> Array:
    crop, inner, logits, mask = _look_at_box(rgb, box, analysis)
    if not mask.any():
        return crop.mask_to_frame(mask)
    answers = [np.clip(logits, -MAX_LOGIT, MAX_LOGIT)]
    for count, share in BOX_CLICKS:
        surest = (mask > 0) & (logits >= np.quantile(logits[mask > 0], 1 - share))
        clicks = crop.crop_to_frame_xy(spread_clicks(surest, count))
        answers.append(crop.take_logits(*look_twice(rgb, clicks, box, analysis)))
    mean = np.asarray(np.mean(answers, axis=0, dtype=np.float32))
    logits = add_target_model(crop, mean + np.float32(CLICKED_BOX_OFFSET))
    filled, offset = fill_box(logits, inner, loose_offset=0.0)
    return enlarge_mask(crop, rgb, filled if filled.any() else mask, logits + np.float32(offset))


def _look_at_box(rgb: Array, box: Box, analysis: FrameAnalysis | None) -> tuple[PromptCrop, Array, Array, Array]:
    """The crop around a box, the (h, w) bool part inside the box, its logits, and the mask (h, w) that they mean."""
    crop, inner, cues = collect_box_cues(rgb, box, analysis)
    logits = np.where(inner, fusion.smooth_logits(fuse_prompt_pixels(cues, "box"), cues.rgb), -np.inf)
    mask, _ = fill_box(logits, inner, LOOSE_BOX_OFFSET)
    if mask.sum() <= COLLAPSED_SHARE * cues.cut.sum():
        mask = clean_mask(cues.cut, NO_CLICKS)
    return crop, inner, logits, mask


def collect_box_cues(rgb: Array, box: Box, analysis: FrameAnalysis | None) -> tuple[PromptCrop, Array, PromptCues]:
    """The crop around a box, the (h, w) bool part inside the box, and the cues."""
    x1, y1, x2, y2 = box
    margin = CROP_MARGIN * max(x2 - x1, y2 - y1) + 3
    crop = PromptCrop(rgb, x1 - margin, y1 - margin, x2 + margin, y2 + margin)
    corners = crop.frame_to_crop_xy(np.array([[x1, y1], [x2, y2]], np.float32))
    (left, top), (right, bottom) = np.rint(corners).astype(int)
    inner = np.zeros((crop.h, crop.w), bool)
    inner[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
    if inner.all():  # a box of the whole frame: only its edge shows the surroundings
        inner[[0, -1]] = inner[:, [0, -1]] = False
    if not inner.any():  # of a frame two px wide, or a box between two px
        inner[min(max((top + bottom) // 2, 0), crop.h - 1), min(max((left + right) // 2, 0), crop.w - 1)] = True
    rows, columns = np.mgrid[: crop.h, : crop.w].astype(np.float32)
    (cx, cy), (sx, sy) = corners.mean(axis=0), np.maximum((corners[1] - corners[0]) / 2, 1)
    across, down = (columns - cx) / sx, (rows - cy) / sy
    radius = np.hypot(across, down)
    prompt = PromptTrimap(
        np.where(inner, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8), inner, [], centrality=np.clip(1 - radius, -0.5, 1)
    )
    score = prompt.score_box(geodesic_distance(crop.blurred_lab(), ~inner))
    core = inner & (score > np.quantile(score[inner], 1 - CORE_SHARE))
    positions = [np.clip(score, -1, 3), np.clip(radius, 0, 2), np.clip(down, -1.5, 1.5)]
    return crop, inner, collect_prompt_cues(crop, replace(prompt, object_seeds=core, positions=positions), analysis)


def _correct_mask(rgb: Array, old_mask: Array, xy: Array, labels: Array) -> Array:
    """A mask corrected by clicks: clicks are sure, the mask's middle is, GrabCut decides the rest."""
    rows, columns = np.nonzero(old_mask > 0.5)
    points = np.concatenate([np.stack([columns, rows], axis=1), xy])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = CROP_MARGIN * float((high - low).max()) + 8
    crop = PromptCrop(rgb, low[0] - margin, low[1] - margin, high[0] + margin, high[1] + margin)
    clicks = crop.frame_to_crop_xy(xy)
    inside = crop.shrink(old_mask.astype(np.float32)) > 0.5
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    side = float(np.sqrt(max(inside.sum(), 1)))
    trimap = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[depth > 0.1 * side] = cv2.GC_FGD
    trimap[[0, -1]] = trimap[:, [0, -1]] = cv2.GC_BGD
    radius = max(1, round(0.06 * side))
    image = crop.blurred_lab()
    for label, correctable, probable in ((1, ~inside, cv2.GC_PR_FGD), (0, inside, cv2.GC_PR_BGD)):
        clicked, others = (
            _draw_clicks(inside.shape, clicks[chosen], radius) for chosen in (labels == label, labels != label)
        )
        if clicked.any():
            fixed = trimap == cv2.GC_BGD if label == 1 else np.zeros_like(clicked)
            trimap[_claimed_part(image, clicked, others, correctable, fixed, 60 + 3 * side)] = probable
    draw_discs(trimap, clicks[labels == 1], radius, cv2.GC_FGD)
    draw_discs(trimap, clicks[labels == 0], radius, cv2.GC_BGD)
    mask = run_grabcut(cv2.cvtColor(crop.rgb, cv2.COLOR_RGB2BGR), trimap)
    return crop.mask_to_frame(clean_mask(mask, clicks[labels == 1]))


def _claimed_part(image: Array, clicked: Array, others: Array, correctable: Array, fixed: Array, reach: float) -> Array:
    """(h, w) bool: what clicks change to their label, of the part that has the other one.

    That is what is nearer to them, through the colours, than to anything that stays as it was.
    """
    unchanged = cv2.erode((~correctable).astype(np.uint8), np.ones((3, 3), np.uint8)) == 1
    rivals = ((others | unchanged) & ~clicked) | fixed
    if not rivals.any():
        return correctable
    distance = geodesic_distance(image, clicked)
    return np.asarray((distance < geodesic_distance(image, rivals)) & (distance < reach) & correctable)


def _draw_clicks(size: tuple[int, ...], points: Array, radius: int) -> Array:
    """(h, w) bool: discs around points (N, 2)."""
    image = np.zeros(size, np.uint8)
    draw_discs(image, points, radius, 1)
    return np.asarray(image == 1)
