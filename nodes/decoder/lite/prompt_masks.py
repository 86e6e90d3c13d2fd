"""The first mask of an object from a prompt: points, a box, a mask, or several of them.

Points: discs around them are sure, geodesic distance through the colours decides what is probable, one GrabCut
round decides the rest. A box: what differs from the box's border and lies near its middle is probable; GrabCut
decides, under a guard, because it may collapse to nothing (it does, on a fifth of real boxes). A mask is taken as it
is; points given with it correct it.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from nodes.decoder.lite import fusion
from nodes.decoder.lite.click_choice import choose_mask
from nodes.decoder.lite.cues import signed_distance
from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.kernels import geodesic_distance
from nodes.decoder.lite.prompt_crop import PromptCrop, clean_mask, draw_discs, run_grabcut
from nodes.decoder.lite.prompt_cues import PromptCues, PromptTrimap, collect_prompt_cues
from stream.arrays import Array
from stream.messages import Prompt

Box = tuple[float, float, float, float]  # x1, y1, x2, y2, frame px

# of what clicks may mean beside the default: how large an object is looked for, of the size that the clicks suggest,
# and by how many logits the threshold is lowered (tried on ten DAVIS sequences: docs/lite.md)
CANDIDATES = ((0.3, 0.0), (0.45, 3.0), (1.0, 0.0), (1.25, 3.0), (1.6, 1.5), (4.0, 0.0))
# what one click alone may mean, as CANDIDATES: it says nothing of the object's size, so several are tried, and
# click_choice.py takes the likeliest; the lowered threshold: one click marks the least of its object (docs/lite.md)
ONE_CLICK = ((0.7, 0.0), (0.7, 2.0), (1.0, 2.0), (1.4, 2.0), (2.0, 2.0))
CROP_MARGIN = 0.25  # of the crop's side
MANY_CLICKS = 8
CORE_SHARE = 0.35  # of a box: where distances to the object are measured from
COLLAPSED_SHARE = 0.3  # of GrabCut's answer: a mask smaller than this is wrong
BOX_OFFSETS = (0.0, 0.5, 1.0, 1.5, 2.0)  # logits by which the threshold is lowered until a mask fills its box
LOOSE_BOX = 1  # index of the offset for a box that no mask fills
# logits: drawn objects are rarely as plain as a square that fills its box, where GrabCut alone is right to a pixel
CUT_TRUST = {"points": np.float32(0.5), "box": np.float32(1)}
AGREE_IOU = 0.7  # of a restored mask with what is cut out of the frame in its place
TIGHT_SHARE = 0.8  # of the box's width and height
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
        if np.count_nonzero(labels == 1) == 1 and prompt.box is None:
            masks = [_cut_from_points(rgb, xy, labels, None, analysis, *setting) for setting in ONE_CLICK]
            return masks[choose_mask(rgb, masks)]
        return _cut_from_points(rgb, xy, labels, prompt.box, analysis)
    return _cut_from_box(rgb, prompt.box, analysis) if prompt.box is not None else np.zeros((height, width), np.uint8)


def make_candidates(rgb: Array, prompt: Prompt) -> list[Array]:
    """(H, W) uint8 each: what the clicks of a prompt may mean, from a small part to a large whole; clicks alone."""
    if prompt.xy is None or prompt.labels is None or prompt.mask is not None or prompt.box is not None:
        return []
    xy, labels = _inside(prompt, (rgb.shape[0], rgb.shape[1]))
    if not (labels == 1).any():
        return []
    return [_cut_from_points(rgb, xy, labels, None, None, scale, offset) for scale, offset in CANDIDATES]


def agrees_with_picture(rgb: Array, mask: Array, analysis: FrameAnalysis | None = None) -> bool:
    """Whether what a frame shows in the box of a (H, W) mask has the mask's shape."""
    if analysis is not None and analysis.previous_gray is None:
        analysis = None
    x, y, width, height = cv2.boundingRect(mask)
    cut = _cut_from_box(rgb, (x, y, x + width - 1, y + height - 1), analysis)
    return float((cut & mask).sum()) > AGREE_IOU * float((cut | mask).sum())


def _inside(prompt: Prompt, size: tuple[int, int]) -> tuple[Array, Array]:
    """xy (N, 2) and labels (N,) of the clicks that lie in a frame of that size (H, W)."""
    xy = np.zeros((0, 2), np.float32) if prompt.xy is None else np.asarray(prompt.xy, np.float32)
    labels = np.zeros(0, np.uint8) if prompt.labels is None else np.asarray(prompt.labels)
    inside = (xy >= 0).all(axis=1) & (xy[:, 0] < size[1]) & (xy[:, 1] < size[0])
    return xy[inside], labels[inside]


def _cut_from_points(
    rgb: Array,
    xy: Array,
    labels: Array,
    box: Box | None,
    analysis: FrameAnalysis | None,
    scale: float = 1.0,
    offset: float = 0.0,
) -> Array:
    crop, clicks, radius, cues = collect_point_cues(rgb, xy, labels, box, analysis, scale)
    mask = (_fuse_cues(cues, "points") > -offset).astype(np.uint8)
    if mask.sum() < COLLAPSED_SHARE * cues.cut.sum():
        mask = cues.cut.copy()
    draw_discs(mask, clicks[labels == 0], max(1, radius // 2), 0)
    draw_discs(mask, clicks[labels == 1], max(1, radius // 2), 1)
    return crop.mask_to_frame(clean_mask(mask, clicks[labels == 1]))


def _cut_from_box(rgb: Array, box: Box, analysis: FrameAnalysis | None) -> Array:
    crop, inner, cues = collect_box_cues(rgb, box, analysis)
    logits = np.where(inner, _fuse_cues(cues, "box"), -np.inf)
    _, _, width, height = cv2.boundingRect(inner.astype(np.uint8))
    masks = [clean_mask((logits > -offset).astype(np.uint8), NO_CLICKS) for offset in BOX_OFFSETS]
    spans = [cv2.boundingRect(mask)[2:] for mask in masks]
    # an object reaches nearly to the sides of its box; where no mask does, the box was drawn loosely
    tight = [min(w / width, h / height) > TIGHT_SHARE for w, h in spans]
    mask = masks[tight.index(True)] if any(tight) else masks[LOOSE_BOX]
    return crop.mask_to_frame(
        mask if mask.sum() > COLLAPSED_SHARE * cues.cut.sum() else clean_mask(cues.cut, NO_CLICKS)
    )


def _fuse_cues(cues: PromptCues, network: str) -> Array:
    """(h, w): what a network makes of the cues, with GrabCut's answer counted in."""
    raw = fusion.load_network(network)(cues.planes) + CUT_TRUST[network] * (2 * cues.cut.astype(np.float32) - 1)
    return fusion.smooth_logits(raw, cues.rgb)


def collect_point_cues(
    rgb: Array, xy: Array, labels: Array, box: Box | None, analysis: FrameAnalysis | None, scale: float = 1.0
) -> tuple[PromptCrop, Array, int, PromptCues]:
    """The crop that clicks ask for, the clicks in it, the radius of what they make sure, and the cues.

    `scale`: how much larger an object is looked for than the clicks suggest.
    """
    positives = xy[labels == 1]
    spacing = scale * _measure_spacing(positives, (rgb.shape[0], rgb.shape[1]))
    # eight clicks spread over an object mark its extent; fewer leave more of it unmarked
    reach = 0.6 * spacing * float(np.clip(MANY_CLICKS / len(positives), 1, 2.7)) + 3
    low, high = positives.min(axis=0) - reach, positives.max(axis=0) + reach
    if box is not None:
        low, high = np.array(box[:2]), np.array(box[2:])
    margin = CROP_MARGIN * float((high - low).max()) + 3
    crop = PromptCrop(rgb, low[0] - margin, low[1] - margin, high[0] + margin, high[1] + margin)
    clicks = crop.frame_to_crop_xy(xy)
    trimap = np.full((crop.h, crop.w), cv2.GC_BGD, np.uint8)
    (x1, y1), (x2, y2) = np.rint(crop.frame_to_crop_xy(np.stack([low, high]))).astype(int)
    trimap[max(y1, 0) : y2 + 1, max(x1, 0) : x2 + 1] = cv2.GC_PR_BGD
    if (trimap == cv2.GC_BGD).sum() == 0:
        trimap[[0, -1]] = trimap[:, [0, -1]] = cv2.GC_BGD
    radius = max(1, round(0.25 * spacing / crop.factor))
    draw_discs(trimap, clicks[labels == 0], radius, cv2.GC_BGD)
    draw_discs(trimap, clicks[labels == 1], radius, cv2.GC_FGD)
    near = [_measure_distance_to(clicks[labels == label], trimap.shape) / (spacing / crop.factor) for label in (1, 0)]
    outside = signed_distance((trimap != cv2.GC_BGD) & (trimap != cv2.GC_FGD)) / max(reach / crop.factor, 1)
    positions = [np.minimum(near[0], 4), np.minimum(near[1], 4), np.clip(outside, -3, 3)]
    few_clicks = max(0.0, float(np.log2(MANY_CLICKS / len(positives)) / np.log2(MANY_CLICKS)))
    prompt = PromptTrimap(trimap, trimap == cv2.GC_FGD, positions, few_clicks)
    return crop, clicks, radius, collect_prompt_cues(crop, prompt, analysis)


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


def _measure_distance_to(points: Array, size: tuple[int, ...]) -> Array:
    """(h, w) float32 px to the nearest of points (N, 2); far from all where there is none."""
    free = np.ones(size, np.uint8)
    draw_discs(free, points, 0, 0)
    return np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, 3)) if not free.all() else np.full(size, 1e3, np.float32)


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


def _measure_spacing(points: Array, size: tuple[int, int]) -> float:
    """Median distance of a point to its nearest neighbour, px; of a single point, a guess from the frame's size."""
    if len(points) < 2:
        return 0.2 * min(size)
    distance = np.hypot(points[:, None, 0] - points[None, :, 0], points[:, None, 1] - points[None, :, 1])
    np.fill_diagonal(distance, np.inf)
    return max(float(np.median(distance.min(axis=1))), 2.0)
