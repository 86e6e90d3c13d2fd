"""A window of a frame in, its view out: the window at working size, with what cues need of each pixel.

Small objects are worked on at full resolution, large ones are shrunk, so that a step costs about the same for
all (and J gains about 5 points over a fixed half resolution).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nodes.decoder.lite import kernels
from nodes.decoder.lite.frame_analysis import clip_window, pixel_axes
from nodes.decoder.mask_model import Window
from stream import geometry
from stream.arrays import Array

WORKING_PX = 13_000  # of a window: 18 000 cost a third more and gain nothing (docs/lite.md)
FIRST_PX = 18_000  # of the window of a first mask, whose colours are kept, and of the search for a part of an object
WINDOW_PAD, WINDOW_PAD_PX = 0.3, 24  # round the object's box: share of its side, at least px
NARROW_PAD = 0.2  # of one object among others: as sharp, with three quarters of the pixels
MIN_SIDE = 8  # working px
CHROMA_LOW, CHROMA_SPAN = 72.0, 112.0  # 8-bit a and b of nearly all images lie in 72..184
MAX_CODE = kernels.BINS - 1.001

_LUMA = np.minimum(np.arange(256) * (kernels.BINS - 1) / 255, MAX_CODE)
_CHROMA = np.clip((np.arange(256) - CHROMA_LOW) * (kernels.BINS - 1) / CHROMA_SPAN, 0, MAX_CODE)
CODE_OF_LEVEL = np.stack([_LUMA, _CHROMA, _CHROMA]).astype(np.float32)  # (3, 256) of each level of L, a, b

# OpenCV makes its tables for Lab at the first use, which takes 0.15 s: here, and not on the first frame of a feed.
cv2.cvtColor(np.zeros((1, 1, 3), np.uint8), cv2.COLOR_RGB2LAB)


@dataclass(frozen=True)
class View:
    """A window with everything per pixel that cues are made of; n = h * w."""

    window: Window
    rgb: Array  # (h, w, 3) uint8
    lab: Array  # (h, w, 3) uint8
    codes: Array  # (3, n) float32, continuous colour bins
    base: Array  # (n,) int32, the lower corner of each pixel's cube of colour bins
    fraction: Array  # (3, n) float32, the way from there

    @classmethod
    def of_part(cls, window: Window, rgb: Array) -> View:
        """The view of a window whose picture (h, w, 3) uint8 at working size is at hand."""
        lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
        return cls(window, rgb, lab, *split_colours(lab))

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) working px."""
        return self.lab.shape[0], self.lab.shape[1]

    @property
    def grid(self) -> Array:
        """(4,) float32: frame px x and y of the first pixel, and their steps."""
        (x, y, width, height), (h, w) = self.window, self.size
        kx, ky = width / w, height / h
        return np.array([x + 0.5 * kx - 0.5, y + 0.5 * ky - 0.5, kx, ky], np.float32)

    @property
    def frame_px(self) -> float:
        """Frame px (an area) that one working px stands for."""
        return self.window[2] * self.window[3] / self.base.size

    def canonical_xy(self, pose: Array) -> tuple[Array, Array]:
        """x, y (h, w) float32 of each pixel in an object's own coordinates."""
        x, y = pixel_axes(self.window, self.size)
        m = geometry.inverse(pose).astype(np.float32)
        return m[0, 0] * x + (m[0, 1] * y + m[0, 2]), m[1, 0] * x + (m[1, 1] * y + m[1, 2])


def make_view(rgb: Array, window: Window, working_px: int = WORKING_PX) -> View:
    """The view of a window that lies inside the frame."""
    x, y, width, height = window
    factor = max(1.0, float(np.sqrt(width * height / working_px)))
    w, h = max(MIN_SIDE, round(width / factor)), max(MIN_SIDE, round(height / factor))
    part = rgb[y : y + height, x : x + width]
    small = cv2.resize(part, (w, h), interpolation=cv2.INTER_AREA) if (w, h) != (width, height) else part.copy()
    return View.of_part(window, small)


def split_colours(lab: Array) -> tuple[Array, Array, Array]:
    """`codes` (3, n), `base` (n,) and `fraction` (3, n) of a `View`, of an (h, w, 3) uint8 Lab image."""
    n = lab.shape[0] * lab.shape[1]
    codes, base, fraction = np.empty((3, n), np.float32), np.empty(n, np.int32), np.empty((3, n), np.float32)
    kernels.split_codes(lab.reshape(-1, 3), CODE_OF_LEVEL, codes, base, fraction)
    return codes, base, fraction


def shrink_mask(mask: Array, view: View) -> Array:
    """(h, w) float32: the part of a (H, W) mask that a view shows, at its working size."""
    x, y, width, height = view.window
    part = mask[y : y + height, x : x + width].astype(np.float32)
    return np.asarray(cv2.resize(part, view.size[::-1], interpolation=cv2.INTER_AREA))


def pad_window(bbox: Window, size: tuple[int, int], pad: float = WINDOW_PAD) -> Window:
    """The window round a bounding box, inside the frame (H, W); `pad` is a share of the box's side."""
    x, y, width, height = bbox
    px, py = (max(WINDOW_PAD_PX, round(pad * n)) for n in (width, height))
    return clip_window((x - px, y - py, width + 2 * px, height + 2 * py), size)


def bounding_window(mask: Array, window: Window) -> Window:
    """The bounding box, in frame px, of a mask at a window's working size; width 0 when it is empty."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    kx, ky = window[2] / mask.shape[1], window[3] / mask.shape[0]
    return round(window[0] + x * kx), round(window[1] + y * ky), round(width * kx), round(height * ky)
