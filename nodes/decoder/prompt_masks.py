"""The first mask of an object from what somebody said of it: points, a box, a mask, or several of them.

Points: discs around them are sure, geodesic distance through the colours decides what is probable, one GrabCut round
settles it. A box: what differs from the box's border and lies near its middle is probable; GrabCut settles it, under a
guard, because it may collapse to nothing (it does, on a fifth of real boxes). A mask is
taken as it is; points given with it correct it.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.messages import Array, Prompt

MAX_PX = 16_000  # working px of a crop; GrabCut costs 2 ms per thousand
CROP_MARGIN = 0.25  # of the crop's side
MANY_CLICKS = 8
LIKELY_SHARE = 0.7  # of a box: what is likely the object's before GrabCut
KEEP_SHARE = 0.1  # a part this large against the largest one is kept
PLAIN_LEVELS = 0.7  # grey levels of standard deviation: less is no picture
COLLAPSED = 0.3  # of the box: less than this surviving is GrabCut giving up
FOREGROUND_LEAD = 0.9  # a pixel is probably the object's when it is this much nearer to a positive than to a negative


def first_mask(rgb: Array, prompt: Prompt, soft: Array | None = None) -> Array:
    """(H, W) uint8: the mask that a prompt means on a frame. `soft` (H, W) float32 is what was known before, if any."""
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
        return _from_points(rgb, xy, labels, prompt.box)
    return _from_box(rgb, prompt.box) if prompt.box is not None else np.zeros((height, width), np.uint8)


class _Crop:
    """A part of the frame at working size, and the way back."""

    def __init__(self, rgb: Array, x1: float, y1: float, x2: float, y2: float) -> None:
        self.size = rgb.shape[:2]
        self.x = int(np.clip(np.floor(x1), 0, self.size[1] - 2))
        self.y = int(np.clip(np.floor(y1), 0, self.size[0] - 2))
        self.width = int(np.clip(np.ceil(x2), self.x + 2, self.size[1])) - self.x
        self.height = int(np.clip(np.ceil(y2), self.y + 2, self.size[0])) - self.y
        self.factor = max(1.0, float(np.sqrt(self.width * self.height / MAX_PX)))
        self.w, self.h = (max(2, round(n / self.factor)) for n in (self.width, self.height))
        self.rgb = self.shrink(rgb)

    def shrink(self, image: Array) -> Array:
        """The crop of a frame-sized image at working size."""
        part = image[self.y : self.y + self.height, self.x : self.x + self.width]
        return np.asarray(cv2.resize(part, (self.w, self.h), interpolation=cv2.INTER_AREA))

    def to_crop(self, xy: Array) -> Array:
        """Frame px to working px."""
        return np.asarray((xy - [self.x, self.y] + 0.5) / self.factor - 0.5, np.float32)

    def to_frame(self, mask: Array) -> Array:
        """(H, W) uint8 from a mask at working size."""
        full = np.zeros(self.size, np.uint8)
        grown = cv2.resize(mask.astype(np.float32), (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        full[self.y : self.y + self.height, self.x : self.x + self.width] = grown > 0.5
        return full


def _from_points(rgb: Array, xy: Array, labels: Array, box: tuple[float, float, float, float] | None) -> Array:
    positives = xy[labels == 1]
    spacing = _spacing(positives, (rgb.shape[0], rgb.shape[1]))
    # eight clicks spread over an object mark its extent; fewer leave more of it unmarked
    reach = 0.6 * spacing * float(np.clip(MANY_CLICKS / len(positives), 1, 2.7)) + 3
    low, high = positives.min(axis=0) - reach, positives.max(axis=0) + reach
    if box is not None:
        low, high = np.array(box[:2]), np.array(box[2:])
    margin = CROP_MARGIN * float((high - low).max()) + 3
    crop = _Crop(rgb, low[0] - margin, low[1] - margin, high[0] + margin, high[1] + margin)
    at = crop.to_crop(xy)
    trimap = np.full((crop.h, crop.w), cv2.GC_BGD, np.uint8)
    (x1, y1), (x2, y2) = np.rint(crop.to_crop(np.stack([low, high]))).astype(int)
    trimap[max(y1, 0) : y2 + 1, max(x1, 0) : x2 + 1] = cv2.GC_PR_BGD
    if (trimap == cv2.GC_BGD).sum() == 0:
        trimap[[0, -1]] = trimap[:, [0, -1]] = cv2.GC_BGD
    radius = max(1, round(0.25 * spacing / crop.factor))
    _discs(trimap, at[labels == 0], radius, cv2.GC_BGD)
    _discs(trimap, at[labels == 1], radius, cv2.GC_FGD)
    lab = cv2.cvtColor(cv2.GaussianBlur(crop.rgb, (0, 0), 1), cv2.COLOR_RGB2LAB).astype(np.float32)
    ours = geodesic(lab, trimap == cv2.GC_FGD)
    theirs = geodesic(lab, trimap == cv2.GC_BGD)
    trimap[(trimap == cv2.GC_PR_BGD) & (ours < FOREGROUND_LEAD * theirs)] = cv2.GC_PR_FGD
    probable = (trimap == cv2.GC_PR_FGD) | (trimap == cv2.GC_FGD)
    mask = _grabcut(crop.rgb, trimap)
    if mask.sum() < COLLAPSED * probable.sum():
        mask = probable.astype(np.uint8)
    return crop.to_frame(_cleaned(mask, at[labels == 1]))


def _from_box(rgb: Array, box: tuple[float, float, float, float]) -> Array:
    x1, y1, x2, y2 = box
    margin = CROP_MARGIN * max(x2 - x1, y2 - y1) + 3
    crop = _Crop(rgb, x1 - margin, y1 - margin, x2 + margin, y2 + margin)
    corners = crop.to_crop(np.array([[x1, y1], [x2, y2]], np.float32))
    (left, top), (right, bottom) = np.rint(corners).astype(int)
    inner = np.zeros((crop.h, crop.w), bool)
    inner[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
    if inner.all():  # a box of the whole frame: its edge is all that is known of the surroundings
        inner[[0, -1]] = inner[:, [0, -1]] = False
    lab = cv2.cvtColor(cv2.GaussianBlur(crop.rgb, (0, 0), 1), cv2.COLOR_RGB2LAB).astype(np.float32)
    far = geodesic(lab, ~inner)
    top90 = max(float(np.percentile(far[inner], 90)), 1e-3)
    rows, columns = np.mgrid[: crop.h, : crop.w].astype(np.float32)
    (cx, cy), (sx, sy) = corners.mean(axis=0), np.maximum((corners[1] - corners[0]) / 2, 1)
    radius = np.hypot((columns - cx) / sx, (rows - cy) / sy)
    score = far / top90 + 0.6 * np.clip(1 - radius, -0.5, 1)
    likely = inner & (score > np.quantile(score[inner], 1 - LIKELY_SHARE))
    mask = likely.astype(np.uint8)
    for force_core in (False, True):
        trimap = np.where(inner, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
        trimap[likely] = cv2.GC_PR_FGD
        if force_core:
            trimap[inner & (radius < 0.5)] = cv2.GC_FGD
        cut = _grabcut(crop.rgb, trimap)
        if cut.sum() >= COLLAPSED * inner.sum():
            mask = cut
            break
    return crop.to_frame(_cleaned(mask, np.zeros((0, 2), np.float32)))


def _corrected(rgb: Array, soft: Array, xy: Array, labels: Array) -> Array:
    """A known mask with clicks laid over it: clicks are sure, the mask's middle is, the rest is settled anew."""
    rows, columns = np.nonzero(soft > 0.5)
    points = np.concatenate([np.stack([columns, rows], axis=1), xy])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = CROP_MARGIN * float((high - low).max()) + 8
    crop = _Crop(rgb, low[0] - margin, low[1] - margin, high[0] + margin, high[1] + margin)
    at = crop.to_crop(xy)
    known = crop.shrink(soft.astype(np.float32)) > 0.5
    depth = cv2.distanceTransform(known.astype(np.uint8), cv2.DIST_L2, 3)
    side = float(np.sqrt(max(known.sum(), 1)))
    trimap = np.where(known, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[depth > 0.1 * side] = cv2.GC_FGD
    trimap[[0, -1]] = trimap[:, [0, -1]] = cv2.GC_BGD
    lab = cv2.cvtColor(cv2.GaussianBlur(crop.rgb, (0, 0), 1), cv2.COLOR_RGB2LAB).astype(np.float32)
    radius = max(1, round(0.06 * side))
    for wanted, other, probable in ((1, ~known, cv2.GC_PR_FGD), (0, known, cv2.GC_PR_BGD)):
        clicked = np.zeros(known.shape, np.uint8)
        _discs(clicked, at[labels == wanted], radius, 1)
        settled = np.zeros(known.shape, np.uint8)
        _discs(settled, at[labels != wanted], radius, 1)
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
    _discs(trimap, at[labels == 1], radius, cv2.GC_FGD)
    _discs(trimap, at[labels == 0], radius, cv2.GC_BGD)
    mask = _grabcut(crop.rgb, trimap)
    return crop.to_frame(_cleaned(mask, at[labels == 1]))


def geodesic(lab: Array, seeds: Array) -> Array:
    """(h, w) float32: the cheapest way from any seed; a step costs 3 and its |dLab|, diagonals likewise times root 2.

    Two rounds of raster scans, down and up; the way along a row is a running minimum, so whole rows at a time.
    """
    far = np.where(seeds, 0, np.float32(1e6)).astype(np.float32)
    along = 3 + np.abs(np.diff(lab, axis=1)).sum(axis=2)
    reach = np.concatenate([np.zeros((lab.shape[0], 1), np.float32), np.cumsum(along, axis=1)], axis=1)
    down = 3 + np.abs(lab[1:] - lab[:-1]).sum(axis=2)
    right = 3 * np.sqrt(2) + np.abs(lab[1:, 1:] - lab[:-1, :-1]).sum(axis=2)
    left = 3 * np.sqrt(2) + np.abs(lab[1:, :-1] - lab[:-1, 1:]).sum(axis=2)
    height = lab.shape[0]

    def along_row(r: int) -> None:
        forward = np.minimum.accumulate(far[r] - reach[r]) + reach[r]
        back = np.minimum.accumulate((far[r] + reach[r])[::-1])[::-1] - reach[r]
        far[r] = np.minimum(forward, back)

    for _ in range(2):
        for r in range(height):
            if r:
                far[r] = np.minimum(far[r], far[r - 1] + down[r - 1])
                far[r, 1:] = np.minimum(far[r, 1:], far[r - 1, :-1] + right[r - 1])
                far[r, :-1] = np.minimum(far[r, :-1], far[r - 1, 1:] + left[r - 1])
            along_row(r)
        for r in range(height - 2, -1, -1):
            far[r] = np.minimum(far[r], far[r + 1] + down[r])
            far[r, :-1] = np.minimum(far[r, :-1], far[r + 1, 1:] + right[r])
            far[r, 1:] = np.minimum(far[r, 1:], far[r + 1, :-1] + left[r])
            along_row(r)
    return far


def _spacing(points: Array, size: tuple[int, int]) -> float:
    """Median distance of a point to its nearest neighbour, px; of a single point, a guess from the frame's size."""
    if len(points) < 2:
        return 0.2 * min(size)
    distance = np.hypot(points[:, None, 0] - points[None, :, 0], points[:, None, 1] - points[None, :, 1])
    np.fill_diagonal(distance, np.inf)
    return max(float(np.median(distance.min(axis=1))), 2.0)


def _discs(image: Array, xy: Array, radius: int, value: int) -> None:
    for x, y in np.rint(xy).astype(int):
        cv2.circle(image, (int(x), int(y)), radius, int(value), -1)


def _grabcut(rgb: Array, trimap: Array) -> Array:
    """(h, w) uint8 after one round; the probable parts as they are where there is nothing to tell apart."""
    ours = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    # on a plain picture it finds nothing, and its graph cut takes seconds to do so
    if min(ours.sum(), (~ours).sum()) < 16 or float(rgb.std(axis=(0, 1)).max()) < PLAIN_LEVELS:
        return np.asarray(ours, np.uint8)
    cv2.setRNGSeed(72)  # its k-means start is random: the same prompt must give the same mask
    models = np.zeros((1, 65)), np.zeros((1, 65))
    out, _, _ = cv2.grabCut(
        cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), trimap.copy(), None, *models, 1, cv2.GC_INIT_WITH_MASK
    )
    return np.asarray((out == cv2.GC_FGD) | (out == cv2.GC_PR_FGD), np.uint8)


def _cleaned(mask: Array, clicks: Array) -> Array:
    """The mask without small parts that no click is in, and with small holes filled."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 1:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    keep = areas >= KEEP_SHARE * areas.max()
    for x, y in np.rint(clicks).astype(int):
        if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]:
            keep[parts[y, x]] = True
    keep[0] = False
    kept = keep[parts]
    holes, labels, hole_stats, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8), connectivity=4)
    for i in range(1, holes):
        if hole_stats[i, cv2.CC_STAT_AREA] < 0.01 * kept.sum():
            kept[labels == i] = True
    return np.asarray(kept, np.uint8)
