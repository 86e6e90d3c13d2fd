"""A frame and its masks in, the picture that people look at out: tints, outlines, points with trails, captions.

State is never shown by colour alone: an uncertain outline is dashed, a reacquired one has a second line around it, a
lost object has no mask and is listed, and every caption carries its state's sign and word. Ink goes only where it is
needed (tables over the masks' boxes, blending of single pixels): a blend of the whole frame costs more than the rest.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from stream.arrays import Array
from stream.drawing.captions import Hud, write_captions
from stream.drawing.ink import INK, PAPER, Colour, cap_height, colour_of, mixed
from stream.drawing.trails import Trails
from stream.messages import VISIBLE, Masks, ObjectMask

TINT = {"tracked": 0.42, "reacquired": 0.42, "uncertain": 0.22, "lost": 0.12}  # share of the colour in the mask
SUBPIXEL = 4  # bits of fraction in the coordinates given to OpenCV
LONGEST_CONTOURS = 32  # smoothed; a mask of crumbs has hundreds, and the rest is drawn as it is


class Painter:
    """Draws scene after scene; all it remembers is the points' trails of the last `trail` frames."""

    def __init__(self, trail: int) -> None:
        self.trails = Trails(trail)

    def draw(self, frame_rgb: Array, masks: Masks, info: Hud | None) -> Array:
        """A drawn copy of the (H, W, 3) uint8 frame; without `info` nothing is written on it, only masks and points."""
        size = frame_rgb.shape[:2]
        assert masks.size == size, f"masks of {masks.size} on a frame of {size}"
        self.trails.step(masks)
        picture = np.ascontiguousarray(frame_rgb).copy()
        cap = cap_height(size)
        for o in masks.objects:
            if o.area > 0:
                _draw_mask(picture, o, cap)
        for o in masks.objects:
            _draw_trail(picture, self.trails.steps(o.object_id), colour_of(o.object_id), cap)
            _draw_points(picture, o, cap)
        if info is not None:
            write_captions(picture, masks, info, cap)
        return picture


# --- masks ----------------------------------------------------------------------------------------------------------


def _draw_mask(picture: Array, o: ObjectMask, cap: int) -> None:
    """Tint the mask and draw its outline."""
    x, y, width, height = o.bbox
    colour = colour_of(o.object_id)
    crop = picture[y : y + height, x : x + width]
    cv2.copyTo(cv2.LUT(crop, _tint_table(colour, TINT[o.state])), o.mask, crop)
    stride = max(2, cap // 3)
    lines = _contours(o.mask, (x, y), stride)
    thin = max(1, round(cap / 7))
    if o.state == "uncertain":
        lines = _dashes(lines, max(2, round(max(8, cap * 0.75) / stride)))
    elif o.state == "reacquired":
        _polylines(picture, lines, PAPER, thin + 2 * max(2, round(cap / 5)), closed=True)
    closed = o.state != "uncertain"
    _polylines(picture, lines, mixed(colour, INK, 0.75), thin + 2, closed=closed)  # a dark rim: crisp on any background
    _polylines(picture, lines, colour, thin, closed=closed)


@lru_cache(maxsize=64)
def _tint_table(colour: Colour, share: float) -> Array:
    """(1, 256, 3) uint8: what each value of each channel becomes under a tint."""
    values = np.arange(256)[None, :, None]
    return np.rint(values * (1 - share) + np.array(colour) * share).astype(np.uint8)


def _contours(mask: Array, corner: tuple[int, int], stride: int) -> list[Array]:
    """Closed outlines of a (h, w) mask whose corner is at (x, y): each (K, 2) float32, frame px, a point a stride.

    The steps from pixel to pixel are smoothed away; few points, since each stretch of an antialiased line costs 1 us.
    """
    padded = np.pad(mask, 1)  # the mask touches its own box, where OpenCV would not see an edge
    offset = (corner[0] - 1, corner[1] - 1)
    found, _ = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=offset)
    found = sorted(found, key=len, reverse=True)
    smooth = [_smoothed(c[:, 0].astype(np.float32), stride) for c in found[:LONGEST_CONTOURS]]
    return smooth + [c[:, 0].astype(np.float32) for c in found[LONGEST_CONTOURS:]]


def _smoothed(xy: Array, stride: int) -> Array:
    """A closed (K, 2) outline of pixel steps, each point the mean of its neighbourhood, one of every `stride`."""
    if len(xy) < 6 * stride:
        return xy
    reach = 3
    sums = np.cumsum(np.concatenate([xy[-reach - 1 :], xy, xy[:reach]]), axis=0, dtype=np.float64)
    mean: Array = (sums[2 * reach + 1 :] - sums[: -2 * reach - 1]) / (2 * reach + 1)
    return mean[::stride].astype(np.float32)


def _dashes(lines: list[Array], step: int) -> list[Array]:
    """Every second stretch, of `step` points, of the outlines."""
    return [line[i : i + step + 1] for line in lines for i in range(0, len(line), 2 * step)]


def _polylines(picture: Array, lines: list[Array], colour: Colour, thickness: int, *, closed: bool) -> None:
    points = [_subpixel(line) for line in lines]
    cv2.polylines(picture, points, closed, colour, thickness, cv2.LINE_AA, SUBPIXEL)


def _subpixel(xy: Array) -> Array:
    fixed: Array = np.rint(xy * (1 << SUBPIXEL)).astype(np.int32)
    return fixed


# --- points ---------------------------------------------------------------------------------------------------------


def _draw_trail(picture: Array, steps: list[Array], colour: Colour, cap: int) -> None:
    """Lines that fade with age, laid on pixel by pixel."""
    drawn = [s for s in steps if len(s)]
    if not drawn:
        return
    thickness = max(1, round(cap / 8))
    height, width = picture.shape[:2]
    every = np.concatenate(drawn).reshape(-1, 2)
    left, top = np.maximum(np.floor(every.min(axis=0)).astype(int) - thickness - 1, 0)
    right, low = np.minimum(np.ceil(every.max(axis=0)).astype(int) + thickness + 2, (width, height))
    if left >= right or top >= low:
        return
    ink = np.zeros((low - top, right - left), np.uint8)
    points = list(_subpixel(every - np.array([left, top], np.float32)).reshape(-1, 2, 2))
    for i, lines in enumerate(steps):
        strength = round(230 * (i + 1) / len(steps))  # oldest first, so that the newest lies on top
        cv2.polylines(ink, points[: len(lines)], False, strength, thickness, cv2.LINE_AA, SUBPIXEL)
        points = points[len(lines) :]
    rows, columns = np.nonzero(ink)
    weight = ink[rows, columns].astype(np.uint16)[:, None]
    rows, columns = rows + top, columns + left
    light = np.array(mixed(colour, PAPER, 0.45), np.uint16)
    picture[rows, columns] = (picture[rows, columns] * (255 - weight) + light * weight + 127) // 255


def _draw_points(picture: Array, o: ObjectMask, cap: int) -> None:
    """Positive points as dots, negative ones as crosses; hidden ones hollow and dim."""
    height, width = picture.shape[:2]
    radius = max(2.5, cap * 0.34)
    dot = mixed(colour_of(o.object_id), PAPER, 0.35)
    dim = mixed(colour_of(o.object_id), (110, 112, 118), 0.45)
    for (x, y), visibility, label in zip(o.xy.tolist(), o.visibility.tolist(), o.labels.tolist(), strict=True):
        if not (-radius <= x <= width + radius and -radius <= y <= height + radius):  # also what is not a number
            continue
        visible = visibility > VISIBLE
        if label == 1 and visible:
            _circle(picture, x, y, radius + 1, INK, -1)
            _circle(picture, x, y, radius, dot, -1)
        elif label == 1:
            _circle(picture, x, y, max(3.0, radius), dim, 1)
        elif visible:
            _cross(picture, x, y, radius, INK, max(3, round(cap / 2.7)))
            _cross(picture, x, y, radius, dot, max(1, round(cap / 7)))
        else:
            _cross(picture, x, y, radius * 0.7, dim, 1)


def _circle(picture: Array, x: float, y: float, radius: float, colour: Colour, thickness: int) -> None:
    one = 1 << SUBPIXEL
    centre = (round(x * one), round(y * one))
    cv2.circle(picture, centre, round(radius * one), colour, thickness, cv2.LINE_AA, SUBPIXEL)


def _cross(picture: Array, x: float, y: float, r: float, colour: Colour, thickness: int) -> None:
    arms = np.array([[(x - r, y - r), (x + r, y + r)], [(x - r, y + r), (x + r, y - r)]])
    _polylines(picture, list(arms), colour, thickness, closed=False)
