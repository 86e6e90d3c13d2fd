"""Clicks in, the mask that they mean out.

Discs around clicks are sure, geodesic distance through the colours decides what is probable, a round of GrabCut is one
more opinion; fitted networks weigh these cues. Then what they are sure of counts as clicked, and all is done once more.
That is done for objects of a few sizes around what the clicks suggest, and their logits are averaged.
One click alone says nothing of an object's size: several are tried, and click_choice.py takes the likeliest mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from nodes.decoder.lite import fusion
from nodes.decoder.lite.cues import sigmoid, signed_distance
from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.prompts.click_choice import ClickedMask, choose_mask
from nodes.decoder.lite.prompts.finishing import add_target_model, enlarge_mask
from nodes.decoder.lite.prompts.prompt_crop import CROP_MARGIN, Box, PromptCrop, clean_mask, draw_discs
from nodes.decoder.lite.prompts.prompt_cues import PromptCues, PromptTrimap, collect_prompt_cues, fuse_prompt_pixels
from nodes.decoder.lite.window_network import WindowNetwork, load_network
from stream.arrays import Array

# of what clicks may mean beside the default: how large an object is looked for, of the size that the clicks suggest,
# and by how many logits the threshold is lowered (tried on ten DAVIS sequences: docs/lite.md)
CANDIDATES = ((0.3, 0.0), (0.45, 3.0), (1.0, 0.0), (1.25, 3.0), (1.6, 1.5), (4.0, 0.0))
# what one click alone may mean: each of these sizes with each of these thresholds
ONE_CLICK_SCALES, ONE_CLICK_OFFSETS = (0.7, 1.0, 1.4, 2.0, 3.0), (0.0, 1.5, 3.0)
AVERAGED_SCALES = (0.8, 1.25)  # sizes that an object is looked for in beside the one that clicks mean
MANY_CLICKS = 8
COLLAPSED_SHARE = 0.3  # of GrabCut's answer: a mask smaller than this is wrong
SURE_LOGIT = 1.5  # of a first look: what is surer than this tells the second one what object and surroundings look like


@dataclass(frozen=True)
class ClickCues:
    """The crop that clicks ask for, and what speaks there for a pixel."""

    crop: PromptCrop
    clicks: Array  # (N, 2) working px
    labels: Array  # (N,)
    radius: int  # working px, of what a click makes sure
    scale: float  # how much larger an object is looked for than the clicks suggest
    prompt: PromptTrimap
    cues: PromptCues

    def smooth(self, raw: Array) -> Array:
        """(h, w) logits of raw ones."""
        return fusion.smooth_logits(raw, self.cues.rgb)


def cut_from_clicks(rgb: Array, xy: Array, labels: Array, box: Box | None, analysis: FrameAnalysis | None) -> Array:
    """(H, W) uint8: what clicks (N, 2) with labels (N,), one of them on an object, mean; `box`: around it, if any."""
    if np.count_nonzero(labels == 1) == 1 and box is None:
        return _cut_from_one_click(rgb, xy, labels, analysis)
    clicked = collect_point_cues(rgb, xy, labels, box, analysis)
    sizes = [clicked, *_other_sizes(rgb, xy, labels, box, analysis)]
    logits = _look_twice_at_sizes([(one, fuse_clicks(one.cues)) for one in sizes], analysis)
    return _cut_out(rgb, clicked, add_target_model(clicked.crop, logits))


def look_twice(rgb: Array, xy: Array, box: Box, analysis: FrameAnalysis | None) -> tuple[PromptCrop, Array]:
    """A crop and its logits (h, w): what clicks (N, 2) on the object in a box mean, looked for in a few sizes."""
    sizes = _other_sizes(rgb, xy, np.ones(len(xy), np.uint8), box, analysis)
    return sizes[0].crop, _look_twice_at_sizes([(one, fuse_clicks(one.cues)) for one in sizes], analysis)


def cut_candidates(rgb: Array, xy: Array, labels: Array) -> list[Array]:
    """(H, W) uint8 each: what clicks may mean beside that, from a small part to a large whole."""
    looks = [collect_point_cues(rgb, xy, labels, None, None, scale) for scale, _ in CANDIDATES]
    return [
        _cut_out(rgb, clicked, clicked.smooth(fuse_clicks(clicked.cues)), offset)
        for clicked, (_, offset) in zip(looks, CANDIDATES, strict=True)
    ]


def look_at_sizes(
    rgb: Array, xy: Array, labels: Array, analysis: FrameAnalysis | None, network: WindowNetwork | None = None
) -> tuple[list[tuple[ClickCues, Array]], list[ClickedMask]]:
    """One click on an object, and any beside it, looked at in several sizes: cues and raw logits (h, w) of each size.

    And the masks that it may mean, as many of each size as there are offsets; `network`: else the one that ships.
    """
    cues = [collect_point_cues(rgb, xy, labels, None, analysis, scale) for scale in ONE_CLICK_SCALES]
    looks = [(clicked, fuse_clicks(clicked.cues, network)) for clicked in cues]
    smooth = [(clicked, clicked.smooth(raw)) for clicked, raw in looks]
    return looks, [cut_mask(*look, offset) for look in smooth for offset in ONE_CLICK_OFFSETS]


def _cut_from_one_click(rgb: Array, xy: Array, labels: Array, analysis: FrameAnalysis | None) -> Array:
    looks, masks = look_at_sizes(rgb, xy, labels, analysis)
    chosen = choose_mask(rgb, xy[labels == 1][0], masks)
    look = looks[chosen // len(ONE_CLICK_OFFSETS)]
    beside = _other_sizes(rgb, xy, labels, None, analysis, look[0].scale)
    logits = _look_twice_at_sizes([look, *((one, fuse_clicks(one.cues)) for one in beside)], analysis)
    return _cut_out(rgb, look[0], logits, masks[chosen].lowered)


def _other_sizes(
    rgb: Array, xy: Array, labels: Array, box: Box | None, analysis: FrameAnalysis | None, scale: float = 1.0
) -> list[ClickCues]:
    return [collect_point_cues(rgb, xy, labels, box, analysis, scale * factor) for factor in AVERAGED_SCALES]


def _look_twice_at_sizes(looks: Sequence[tuple[ClickCues, Array]], analysis: FrameAnalysis | None) -> Array:
    """(h, w) logits of what clicks mean; cues and raw logits of each size that is looked for, the meant one first."""
    clicked, _ = looks[0]
    answers = [clicked.crop.take_logits(one.crop, _second_logits(one, raw, analysis)) for one, raw in looks]
    return np.asarray(np.mean(answers, axis=0, dtype=np.float32))


def _cut_out(rgb: Array, clicked: ClickCues, logits: Array, offset: float = 0.0) -> Array:
    """(H, W) uint8: the mask that smoothed logits (h, w) mean, with the threshold lowered by `offset`."""
    return enlarge_mask(clicked.crop, rgb, cut_mask(clicked, logits, offset).mask, logits + offset)


def _second_logits(clicked: ClickCues, raw: Array, analysis: FrameAnalysis | None) -> Array:
    """(h, w) smoothed logits after a second look; `raw`: the first one's."""
    again = look_again(clicked, clicked.smooth(raw), analysis)
    return clicked.smooth(load_network("points_again").refine(stack_second_look(again), raw))


def cut_mask(clicked: ClickCues, logits: Array, offset: float = 0.0) -> ClickedMask:
    """What smoothed logits (h, w) mean, with the threshold lowered by `offset`; clicks are right in any case."""
    crop, cut, positive = clicked.crop, clicked.cues.cut, clicked.clicks[clicked.labels == 1]
    mask, radius = (logits > -offset).astype(np.uint8), max(1, clicked.radius // 2)
    if mask.sum() < COLLAPSED_SHARE * cut.sum():
        mask = cut.copy()
    draw_discs(mask, clicked.clicks[clicked.labels == 0], radius, 0)
    draw_discs(mask, positive, radius, 1)
    mask = clean_mask(mask, positive)
    inside, probability = mask > 0, sigmoid(logits + offset)
    union = max(float(np.maximum(probability, mask).sum()), 1e-3)
    return ClickedMask(
        mask=mask,
        window=crop.window,
        sure=float(probability[inside].mean()) if inside.any() else 0.0,
        soft_iou=float(np.minimum(probability, mask).sum()) / union,
        cut_off=float((inside & crop.border_inside_frame()).sum() / np.sqrt(max(inside.sum(), 1))),
        scale=clicked.scale,
        lowered=offset,
    )


def fuse_clicks(cues: PromptCues, network: WindowNetwork | None = None) -> Array:
    """(h, w) raw logits of a first look; `network`: else the one that ships."""
    return (network or load_network("points")).refine(cues.planes, fuse_prompt_pixels(cues, "points"))


def look_again(clicked: ClickCues, logits: Array, analysis: FrameAnalysis | None) -> PromptCues:
    """The cues of clicks once a first look has found logits (h, w): what it is sure of counts as clicked."""
    trimap = clicked.prompt.trimap.copy()
    open_part = (trimap == cv2.GC_PR_BGD) | (trimap == cv2.GC_PR_FGD)
    trimap[open_part & (logits > SURE_LOGIT)] = cv2.GC_FGD
    trimap[open_part & (logits < -SURE_LOGIT)] = cv2.GC_BGD
    prompt = replace(clicked.prompt, trimap=trimap, object_seeds=trimap == cv2.GC_FGD)
    return collect_prompt_cues(clicked.crop, prompt, analysis)


def stack_second_look(cues: PromptCues) -> Array:
    """(C, h, w): what the network of the second look sees beside the logits of the first one."""
    return np.concatenate([cues.planes, fuse_prompt_pixels(cues, "points")[None]])


def collect_point_cues(
    rgb: Array, xy: Array, labels: Array, box: Box | None, analysis: FrameAnalysis | None, scale: float = 1.0
) -> ClickCues:
    """The cues of clicks (N, 2) with labels (N,).

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
    return ClickCues(crop, clicks, labels, radius, scale, prompt, collect_prompt_cues(crop, prompt, analysis))


def _measure_distance_to(points: Array, size: tuple[int, ...]) -> Array:
    """(h, w) float32 px to the nearest of points (N, 2); far from all where there is none."""
    free = np.ones(size, np.uint8)
    draw_discs(free, points, 0, 0)
    return np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, 3)) if not free.all() else np.full(size, 1e3, np.float32)


def _measure_spacing(points: Array, size: tuple[int, int]) -> float:
    """Median distance of a point to its nearest neighbour, px; of a single point, a guess from the frame's size."""
    if len(points) < 2:
        return 0.2 * min(size)
    distance = np.hypot(points[:, None, 0] - points[None, :, 0], points[:, None, 1] - points[None, :, 1])
    np.fill_diagonal(distance, np.inf)
    return max(float(np.median(distance.min(axis=1))), 2.0)
