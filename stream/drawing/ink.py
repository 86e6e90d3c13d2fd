"""Text, a state or a size in, small coverage images out; `lay_ink` lays them on a picture. And the colours.

OpenCV's line font is coarse at the sizes of a video overlay, so each letter is drawn 8 times too large, shrunk once,
and cached: a line of text is then only its letters side by side. A coverage is (h, w) uint8, 0 nothing to 255 full ink.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from stream.arrays import Array
from stream.messages import State

Colour = tuple[int, int, int]  # RGB, 0..255
Box = tuple[int, int, int, int]  # x, y, width, height, px

INK: Colour = (16, 18, 22)
PAPER: Colour = (246, 247, 249)
FAINT: Colour = (176, 180, 188)

# Okabe and Ito's colours, distinct with every common colour blindness; the order keeps neighbours far apart.
PALETTE: tuple[Colour, ...] = (
    (86, 180, 233),  # sky blue
    (230, 159, 0),  # orange
    (0, 178, 130),  # bluish green
    (229, 124, 180),  # reddish purple
    (240, 228, 66),  # yellow
    (225, 98, 20),  # vermillion
    (40, 120, 220),  # blue
)

FONT = cv2.FONT_HERSHEY_SIMPLEX
FINER = 8  # drawn so many times too large, then shrunk: antialiasing that OpenCV's own text lacks
STROKE = 0.14  # of the capital height
LINE_HEIGHT = 1.7  # of the capital height: 0.35 of it above, 0.35 below for the tails of g and y
ABOVE = 0.35
PLATE_OPACITY = 0.72  # dark enough for white letters on a white picture, and the picture still shows through


def colour_of(object_id: int) -> Colour:
    """An object's colour: the same in every frame and every run."""
    return PALETTE[(object_id - 1) % len(PALETTE)]


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with a share of `other` in it."""
    r, g, b = (round(a + (z - a) * share) for a, z in zip(one, other, strict=True))
    return r, g, b


def cap_height(size: tuple[int, int]) -> int:
    """Height of a capital letter, px, that reads well on a picture of (height, width)."""
    # Below linear, since a large picture is looked at from nearer: 7 px at 180 lines, 8 at 360, 14 at 720, 19 at 1080.
    return max(7, round(8 * math.pow(min(size) / 360, 0.8)))


def line_height(cap_px: int) -> int:
    """Height of a line of text, px."""
    return round(cap_px * LINE_HEIGHT)


def letters(text: str, cap_px: int) -> Array:
    """(line height, w) coverage of one line; what is not ASCII becomes a question mark."""
    if not text:
        return np.zeros((line_height(cap_px), 0), np.uint8)
    return np.concatenate([_letter(c if " " <= c <= "~" else "?", cap_px) for c in text], axis=1)


@lru_cache(maxsize=1024)
def _letter(char: str, cap_px: int) -> Array:
    """(line height, advance) coverage of one letter."""
    cap = cap_px * FINER
    stroke = max(1, round(cap * STROKE))
    scale = cv2.getFontScaleFromHeight(FONT, cap, stroke)
    (advance, _), _ = cv2.getTextSize(char, FONT, scale, 1)
    width = max(1, round(advance / FINER))
    large = np.zeros((line_height(cap_px) * FINER, width * FINER), np.uint8)
    baseline = round((ABOVE + 1) * cap)
    cv2.putText(large, char, ((width * FINER - advance) // 2, baseline), FONT, scale, 255, stroke, cv2.LINE_AA)
    return _shrunk(large)


@lru_cache(maxsize=256)
def plate(height: int, width: int, radius: int) -> Array:
    """(height, width) coverage of a filled box with round corners."""
    large = np.zeros((height * FINER, width * FINER), np.uint8)
    r = min(radius, height // 2, width // 2) * FINER
    right, low = width * FINER - 1, height * FINER - 1
    cv2.rectangle(large, (r, 0), (right - r, low), 255, -1)
    cv2.rectangle(large, (0, r), (right, low - r), 255, -1)
    for centre in ((r, r), (right - r, r), (r, low - r), (right - r, low - r)):
        cv2.circle(large, centre, r, 255, -1)
    return _shrunk(large)


@lru_cache(maxsize=64)
def symbol(state: State, side: int) -> Array:
    """(side, side) coverage of a state's sign: disc, dashed ring, cross, or an arrow that comes round again."""
    full = side * FINER
    large = np.zeros((full, full), np.uint8)
    centre, r, stroke = (full // 2, full // 2), round(full * 0.36), max(1, round(full * 0.13))
    if state == "tracked":
        cv2.circle(large, centre, round(full * 0.30), 255, -1)
    elif state == "uncertain":
        for start in range(0, 360, 60):
            cv2.ellipse(large, centre, (r, r), 0, start, start + 25, 255, stroke)
    elif state == "lost":
        low, high = round(full * 0.2), round(full * 0.8)
        cv2.line(large, (low, low), (high, high), 255, stroke)
        cv2.line(large, (low, high), (high, low), 255, stroke)
    else:
        cv2.ellipse(large, centre, (r, r), 0, 0, 280, 255, stroke)
        tip = np.array([(0.74, 0.14), (0.50, -0.06), (0.50, 0.34)]) * full
        cv2.fillPoly(large, [tip.astype(np.int32)], 255)
    return _shrunk(large)


def _shrunk(large: Array) -> Array:
    height, width = large.shape[0] // FINER, large.shape[1] // FINER
    small: Array = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    small.flags.writeable = False  # it is cached and shared
    return small


def lay_ink(picture: Array, coverage: Array, corner: tuple[int, int], colour: Colour, opacity: float = 1.0) -> None:
    """Lay ink of one colour on the (H, W, 3) picture, in place; `corner` (x, y) px may lie outside."""
    x, y = corner
    left, top = max(0, -x), max(0, -y)
    ink = coverage[top : max(top, picture.shape[0] - y), left : max(left, picture.shape[1] - x)]
    if ink.size == 0:
        return
    region = picture[y + top : y + top + ink.shape[0], x + left : x + left + ink.shape[1]]
    weight: Array = ink.astype(np.uint16)[..., None]
    if opacity < 1:
        weight = weight * np.uint16(round(opacity * 256)) >> 8
    # At most 255 * 255, which uint16 just holds: half the memory traffic of the next wider type.
    region[:] = (region * (255 - weight) + np.array(colour, np.uint16) * weight + 127) // 255


def write_chip(picture: Array, text: str, cap_px: int, corner: tuple[int, int]) -> Box:
    """Write one line on a dark plate, in place; returns the plate's box."""
    x, y = corner
    height, width = chip_size(text, cap_px)
    lay_ink(picture, plate(height, width, corner_radius(cap_px)), corner, INK, PLATE_OPACITY)
    lay_ink(picture, letters(text, cap_px), (x + cap_px * 3 // 4, y + (height - line_height(cap_px)) // 2), PAPER)
    return x, y, width, height


def chip_size(text: str, cap_px: int) -> tuple[int, int]:
    """(height, width) of the plate of a line, px."""
    return chip_height(cap_px), letters(text, cap_px).shape[1] + 2 * (cap_px * 3 // 4)


def chip_height(cap_px: int) -> int:
    """Height of every plate, px."""
    return line_height(cap_px) + max(2, cap_px // 3)


def corner_radius(cap_px: int) -> int:
    """Radius of a plate's corners, px."""
    return cap_px * 2 // 3
