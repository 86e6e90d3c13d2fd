"""The part of a frame that a prompt is about, at working size, and the functions that cut masks out there."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from nodes.decoder.lite.view import View
from nodes.decoder.mask_model import Window
from stream.arrays import Array
from stream.crops import uncrop_mask

Box = tuple[float, float, float, float]  # x1, y1, x2, y2, frame px

CROP_MARGIN = 0.25  # of the crop's side
MAX_PX = 16_000  # working px of a crop; GrabCut costs 2 ms per thousand
MAX_LOGIT = 6.0  # where several answers are averaged: one of them may not outvote the others
SEED = 72  # of OpenCV's random numbers: the same prompt must give the same mask
MIN_PART_SHARE = 0.1  # of the largest part: smaller ones are dropped
PLAIN_LEVELS = 0.7  # grey levels of standard deviation: less shows nothing to tell apart


class PromptCrop:
    """A part of the frame at working size, and the way back."""

    def __init__(self, rgb: Array, x1: float, y1: float, x2: float, y2: float) -> None:
        self.size = rgb.shape[:2]
        least_height, least_width = (min(2, n) for n in self.size)
        self.x = int(np.clip(np.floor(x1), 0, self.size[1] - least_width))
        self.y = int(np.clip(np.floor(y1), 0, self.size[0] - least_height))
        self.width = int(np.clip(np.ceil(x2), self.x + least_width, self.size[1])) - self.x
        self.height = int(np.clip(np.ceil(y2), self.y + least_height, self.size[0])) - self.y
        self.factor = max(1.0, float(np.sqrt(self.width * self.height / MAX_PX)))
        self.w, self.h = (max(2, round(n / self.factor)) for n in (self.width, self.height))
        self.rgb = self.shrink(rgb)

    @property
    def window(self) -> Window:
        """Whole frame px."""
        return self.x, self.y, self.width, self.height

    @cached_property
    def view(self) -> View:
        """It as objects are followed on."""
        return View.of_part(self.window, self.rgb)

    def shrink(self, image: Array) -> Array:
        """The crop of a frame-sized image at working size."""
        part = image[self.y : self.y + self.height, self.x : self.x + self.width]
        return np.asarray(cv2.resize(part, (self.w, self.h), interpolation=cv2.INTER_AREA))

    def border_inside_frame(self) -> Array:
        """(h, w) bool: the outermost working px, but for sides that are the frame's own."""
        border = np.zeros((self.h, self.w), bool)
        border[0] |= self.y > 0
        border[-1] |= self.y + self.height < self.size[0]
        border[:, 0] |= self.x > 0
        border[:, -1] |= self.x + self.width < self.size[1]
        return border

    def frame_to_crop_xy(self, xy: Array) -> Array:
        """Frame px to working px."""
        return np.asarray((xy - [self.x, self.y] + 0.5) / self.factor - 0.5, np.float32)

    def crop_to_frame_xy(self, xy: Array) -> Array:
        """Working px to frame px."""
        return np.asarray((xy + 0.5) * self.factor - 0.5 + [self.x, self.y], np.float32)

    def mask_to_frame(self, mask: Array) -> Array:
        """(H, W) uint8 from a mask at working size."""
        grown = cv2.resize(mask.astype(np.float32), (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        return uncrop_mask(self.window, grown > 0.5, self.size)

    def take_logits(self, other: PromptCrop, logits: Array) -> Array:
        """(h, w) float32: another crop's logits at this one's px, within MAX_LOGIT; minus that beyond its edge."""
        k = self.factor / other.factor
        x, y = ((a - b + 0.5 * self.factor) / other.factor - 0.5 for a, b in ((self.x, other.x), (self.y, other.y)))
        return np.asarray(
            cv2.warpAffine(
                np.clip(logits, -MAX_LOGIT, MAX_LOGIT).astype(np.float32),
                np.array([[k, 0, x], [0, k, y]]),
                (self.w, self.h),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderValue=-MAX_LOGIT,
            )
        )

    def blurred_lab(self) -> Array:
        """(h, w, 3) float32, a little blurred: what geodesic distances are measured on."""
        return np.asarray(cv2.cvtColor(cv2.GaussianBlur(self.rgb, (0, 0), 1), cv2.COLOR_RGB2LAB), np.float32)


def spread_clicks(inside: Array, count: int) -> Array:
    """(N, 2) float32: px of an (h, w) mask that is not empty, spread over it; `count` of them, where it has as many."""
    xy = np.argwhere(inside)[:, ::-1].astype(np.float32)
    cv2.setRNGSeed(SEED)
    rounds = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 20, 0.1)
    start = np.empty((0, 0), np.int32)
    _, _, middles = cv2.kmeans(xy, min(count, len(xy)), start, rounds, 3, cv2.KMEANS_PP_CENTERS)
    return np.stack([xy[np.square(xy - middle).sum(axis=1).argmin()] for middle in middles])


def draw_discs(image: Array, xy: Array, radius: int, value: int) -> None:
    """Draw discs of a value at points (N, 2)."""
    for x, y in np.rint(xy).astype(int):
        cv2.circle(image, (int(x), int(y)), radius, int(value), -1)


def run_grabcut(image: Array, trimap: Array) -> Array:
    """(h, w) uint8: the object after one round of GrabCut; its probable part as given where the image is plain."""
    inside = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    # on a plain image it finds nothing, and its graph cut takes seconds to do so
    if min(inside.sum(), (~inside).sum()) < 16 or float(image.std(axis=(0, 1)).max()) < PLAIN_LEVELS:
        return np.asarray(inside, np.uint8)
    cv2.setRNGSeed(SEED)  # its k-means start is random
    models = np.zeros((1, 65)), np.zeros((1, 65))
    out, _, _ = cv2.grabCut(np.ascontiguousarray(image), trimap.copy(), None, *models, 1, cv2.GC_INIT_WITH_MASK)
    return np.asarray((out == cv2.GC_FGD) | (out == cv2.GC_PR_FGD), np.uint8)


def clean_mask(mask: Array, clicks: Array) -> Array:
    """The mask without small parts that no click is in, and with small holes filled."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 1:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    large = areas >= MIN_PART_SHARE * areas.max()
    for x, y in np.rint(clicks).astype(int):
        if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]:
            large[parts[y, x]] = True
    large[0] = False
    cleaned = large[parts]
    holes, labels, hole_stats, _ = cv2.connectedComponentsWithStats((~cleaned).astype(np.uint8), connectivity=4)
    for i in range(1, holes):
        if hole_stats[i, cv2.CC_STAT_AREA] < 0.01 * cleaned.sum():
            cleaned[labels == i] = True
    return np.asarray(cleaned, np.uint8)
