"""What an object looks like: colours of object and surroundings counted per place and colour.

A `Places` counts per cell of the object's own coordinate frame (its px on the frame it was first seen on), so that a
white belly below a brown back stays two things; twice, as on the first frame and adapting. With a single cell it counts
over the whole window. `Nearby` counts per cell of the last frame's window: what was here a moment ago.
"""

from __future__ import annotations

import numpy as np

from nodes.decoder.lite import kernels
from nodes.decoder.lite.kernels import COLOURS
from nodes.decoder.lite.view import View
from stream.arrays import Array

CELLS = 10  # along the longer side of the object's first bounding box
MARGIN_CELLS = 3  # around it, for the surroundings
OBJECT_MASS = 5000.0  # an object's pixels weigh this much in all, whatever its size: cells then hold about 50
MIN_SCALE = 1e-3
NEARBY_PX = 16  # working px a cell


class Places:
    """Masses per cell and colour. The four of a cell and colour (first object, first surroundings; recent object,
    recent surroundings) lie side by side, because reading them is what costs: one cache line serves all.
    """

    def __init__(self, bbox: tuple[int, int, int, int] | None) -> None:
        self.rows = self.columns = 1
        self.cell_px, self.origin = np.inf, np.zeros(2, np.float32)
        if bbox is not None:
            x, y, width, height = bbox
            self.cell_px = max(width, height, CELLS) / CELLS
            self.origin = np.array([x - MARGIN_CELLS * self.cell_px, y - MARGIN_CELLS * self.cell_px], np.float32)
            self.columns = int(np.ceil(width / self.cell_px)) + 2 * MARGIN_CELLS
            self.rows = int(np.ceil(height / self.cell_px)) + 2 * MARGIN_CELLS
        self.mass = np.zeros((self.rows * self.columns * COLOURS, 4), np.float32)
        self.turn = 0  # pixels learnt from are the odd and the even ones in turn
        self.recent_scale = 1.0  # a recent mass is worth this much: fading them all each frame would cost 5 ms

    def begin(self, view: View, x: Array, y: Array, soft: Array, weight: Array) -> None:
        """Take the first frame's pixels at canonical places x, y (h, w): `soft` their chance to be the object."""
        self._add(view, x, y, soft, weight)
        self.mass[:, :2] = self.mass[:, 2:]

    def learn(self, view: View, x: Array, y: Array, soft: Array, weight: Array, rate: float) -> None:
        """Blend one frame's pixels into the adapting masses."""
        self.recent_scale *= 1 - rate
        if self.recent_scale < MIN_SCALE:
            self.mass[:, 2:] *= self.recent_scale
            self.recent_scale = 1.0
        # every second pixel, in turn: half the cost, and no worse
        self._add(view, x, y, soft, weight * np.float32(2 * rate / self.recent_scale), 2)

    def ask(self, view: View, x: Array, y: Array, least: float, out: Array) -> None:
        """At canonical places, (4, n): the first masses' ratio, object to surroundings and each with `least` more, and
        1 + their sum; the same of the recent ones.
        """
        u, v = self._cells(x, y)
        scale, base, fraction = self.recent_scale, view.base, view.fraction
        kernels.slice_four(self.mass, self.rows, self.columns, scale, u, v, base, fraction, least, out)

    def _cells(self, x: Array, y: Array) -> tuple[Array, Array]:
        if self.rows == self.columns == 1:
            nowhere = np.zeros(x.size, np.float32)
            return nowhere, nowhere
        per_px, half = np.float32(1 / self.cell_px), np.float32(0.5)
        return ((x - self.origin[0]) * per_px - half).ravel(), ((y - self.origin[1]) * per_px - half).ravel()

    def _add(self, view: View, x: Array, y: Array, soft: Array, weight: Array, step: int = 1) -> None:
        u, v = self._cells(x, y)
        start = self.turn % step
        self.turn += 1
        grid = (self.rows, self.columns)
        kernels.splat(self.mass, 2, *grid, u, v, view.codes, soft.ravel(), weight.ravel(), start, step)


class Nearby:
    """Colours of object and surroundings per place in the last frame's window; forgotten after one frame."""

    def __init__(self) -> None:
        self.rows = self.columns = 0
        self._buffer = np.zeros((0, 2), np.float32)

    def learn(self, view: View, soft: Array, weight: Array) -> None:
        """Take a frame's pixels in place of the last one's."""
        h, w = view.size
        self.rows, self.columns = h // NEARBY_PX + 2, w // NEARBY_PX + 2
        needed = self.rows * self.columns * COLOURS
        if len(self._buffer) < needed:
            self._buffer = np.zeros((needed, 2), np.float32)
        else:
            self._buffer[:needed] = 0
        u, v = self._cells(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
        u, v = np.tile(u, h), np.repeat(v, w)
        grid = (self.rows, self.columns)
        kernels.splat(self._buffer, 0, *grid, u, v, view.codes, soft.ravel(), weight.ravel(), 0, 1)

    def ask(self, view: View, x: Array, y: Array, least: float, out: Array) -> None:
        """At places x, y (h, w), working px of the last frame's window, (2, n): as `Places.ask` of its two masses."""
        u, v = self._cells(x, y)
        kernels.slice_two(self._buffer, self.rows, self.columns, u, v, view.base, view.fraction, least, out)

    @staticmethod
    def _cells(x: Array, y: Array) -> tuple[Array, Array]:
        per_px, half = np.float32(1 / NEARBY_PX), np.float32(0.5)
        return (x * per_px + half).ravel(), (y * per_px + half).ravel()
