"""What players do with a decoded frame before they show it: turn it, mirror it, make its pixels wider or higher."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from stream.arrays import Array

MAX_PIXEL_ASPECT = 20  # beyond, a fault in a header: nobody could look at such a picture


LOOK_EVERY = 25  # frames between two looks at the matrix, where the angle stays

Flips = tuple[bool, bool, bool]


class Orientation:
    """How the frames of a source are to be shown.

    PyAV's frame and its side data refer to each other, so a frame that was asked for its matrix stays in memory until
    Python looks for such circles, which it does by the number of objects: thousands of pictures later. `copied` gives a
    copy to ask, of a few px, with the same side data.
    """

    def __init__(self, copied: Callable[[Any], Any]) -> None:
        self._copied = copied
        self._flips: Flips = (False, False, False)
        self._angle: float | None = None
        self._since = 0  # frames

    def of(self, frame: Any) -> Flips:
        """As `display_flips` of the frame."""
        self._since += 1
        if frame.rotation != self._angle or self._since >= LOOK_EVERY:
            self._angle, self._since = frame.rotation, 0
            self._flips = display_flips(self._copied(frame))
        return self._flips


def upright(rgb: Array, flips: Flips) -> Array:
    """(H, W, 3) uint8 RGB, turned and mirrored as players show it."""
    transposed, mirrored, upside_down = flips
    if transposed:
        rgb = rgb.transpose(1, 0, 2)
    if mirrored:
        rgb = rgb[:, ::-1]
    if upside_down:
        rgb = rgb[::-1]
    return np.ascontiguousarray(rgb)  # rows of odd widths come padded


def display_flips(frame: Any) -> Flips:
    """How a frame is to be shown: first x and y swapped, then mirrored left to right, then upside down; each or not.

    Angles in between are rounded to quarter turns.
    """
    a, b, c, d = _display_matrix(frame)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, c < 0, b < 0
    return False, a < 0, d < 0


def _display_matrix(frame: Any) -> tuple[float, float, float, float]:
    """a, b, c, d of the frame's display matrix: x' = a x + c y, y' = b x + d y."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # the frame carries side data that this PyAV has no name for (18: EXIF); the angle can be had
        data = None
    if data is None:
        turn = math.radians(frame.rotation)
        return math.cos(turn), -math.sin(turn), math.sin(turn), math.cos(turn)
    a, b, _, c, d = np.frombuffer(data, np.int32)[:5].tolist()
    return a, b, c, d


def pixel_shape(aspect: Fraction | None, *, transposed: bool) -> tuple[int, int]:
    """(width, height) of a pixel of the upright picture, from that of the stored one: None or 0 where unknown."""
    aspect = Fraction(aspect or 1)
    if not 1 / MAX_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT:
        return 1, 1
    aspect = (1 / aspect if transposed else aspect).limit_denominator(1000)
    return aspect.numerator, aspect.denominator
