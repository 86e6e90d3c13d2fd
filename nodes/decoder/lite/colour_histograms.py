"""What an object looks like: colour histograms of the object and of what surrounds it.

A `HistogramGrid` holds a histogram for each cell of the object's own coordinate frame (its px on the frame it was first
seen on), so that a white belly below a brown back stays two things; twice: as on the first frame, and adapting. With a
single cell it covers the whole window. `LastFrameHistograms` holds one for each cell of the last frame's window.
"""

from __future__ import annotations

import threading

import numpy as np

from nodes.decoder.lite import kernels
from nodes.decoder.lite.kernels import COLOURS
from nodes.decoder.lite.lazy_memory import lazy_zeros
from nodes.decoder.lite.view import View
from stream.arrays import Array

CELLS = 10  # along the longer side of the object's first bounding box
MARGIN_CELLS = 3  # around it, for the surroundings
OBJECT_MASS = 5000.0  # an object's pixels weigh this much in all, whatever its size: cells then hold about 50
MIN_SCALE = 1e-3
LAST_FRAME_CELL_PX = 16  # working px


class HistogramGrid:
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
        self.mass = lazy_zeros((self.rows * self.columns * COLOURS, 4))
        self.additions = 0  # frames added: the even and the odd pixels are added on alternate frames
        self.recent_scale = 1.0  # a recent mass is worth this much: fading them all each frame would cost 5 ms

    def fill(self, view: View, x: Array, y: Array, soft_mask: Array, weight: Array) -> None:
        """Take the first frame's pixels at canonical x, y (h, w), each with its weight."""
        self._add(view, x, y, soft_mask, weight)
        used = self._used_rows()
        self.mass[used, :2] = self.mass[used, 2:]

    def blend(self, view: View, x: Array, y: Array, soft_mask: Array, weight: Array, rate: float) -> None:
        """Blend one frame's pixels into the recent masses."""
        self.recent_scale *= 1 - rate
        if self.recent_scale < MIN_SCALE:
            self.mass[self._used_rows(), 2:] *= self.recent_scale
            self.recent_scale = 1.0
        # every second pixel, even and odd ones in alternation: half the cost, and no worse
        self._add(view, x, y, soft_mask, weight * np.float32(2 * rate / self.recent_scale), 2)

    def read(self, view: View, x: Array, y: Array, prior_mass: float, out: Array) -> None:
        """At canonical x, y, (4, n): the first masses' ratio, object to surroundings and each with `prior_mass` more,
        and 1 + their sum; the same of the recent ones.
        """
        u, v = self._cells(x, y)
        scale, base, fraction = self.recent_scale, view.base, view.fraction
        kernels.slice_four(self.mass, self.rows, self.columns, scale, u, v, base, fraction, prior_mass, out)

    def _used_rows(self) -> Array:
        """The cells and colours with a recent mass: writing zeros to the others would take memory (lazy_memory.py)."""
        return np.flatnonzero((self.mass[:, 2] != 0) | (self.mass[:, 3] != 0))

    def _cells(self, x: Array, y: Array) -> tuple[Array, Array]:
        if self.rows == self.columns == 1:
            origin = np.zeros(x.size, np.float32)
            return origin, origin
        per_px, half = np.float32(1 / self.cell_px), np.float32(0.5)
        return ((x - self.origin[0]) * per_px - half).ravel(), ((y - self.origin[1]) * per_px - half).ravel()

    def _add(self, view: View, x: Array, y: Array, soft_mask: Array, weight: Array, step: int = 1) -> None:
        u, v = self._cells(x, y)
        start = self.additions % step
        self.additions += 1
        grid = (self.rows, self.columns)
        kernels.splat(self.mass, 2, *grid, u, v, view.codes, soft_mask.ravel(), weight.ravel(), start, step)


class LastFrameHistograms:
    """Colours of object and surroundings per cell of the last frame's window.

    They take 3 MB and are read once, on the next frame on which the object is decoded. So only what they are made of is
    stored, and `read` makes them, in a buffer that all objects share.
    """

    _buffers = threading.local()

    def __init__(self) -> None:
        self._last: tuple[View, Array, Array] | None = None  # view, soft mask and weight

    def replace(self, view: View, soft_mask: Array, weight: Array) -> None:
        """Take a frame's pixels in place of the last one's."""
        self._last = (view, soft_mask, weight)

    def read(self, view: View, x: Array, y: Array, prior_mass: float, out: Array) -> None:
        """At x, y (h, w), working px of the last frame's window, (2, n): as `HistogramGrid.read` of its two masses."""
        assert self._last is not None, "there is no last frame"
        mass, rows, columns = self._make(*self._last)
        u, v = self._cells(x, y)
        kernels.slice_two(mass, rows, columns, u, v, view.base, view.fraction, prior_mass, out)

    def _make(self, view: View, soft_mask: Array, weight: Array) -> tuple[Array, int, int]:
        """The masses (rows * columns * COLOURS, 2), rows and columns; they are overwritten by the next call."""
        h, w = view.size
        rows, columns = h // LAST_FRAME_CELL_PX + 2, w // LAST_FRAME_CELL_PX + 2
        needed = rows * columns * COLOURS
        buffer = getattr(self._buffers, "mass", None)
        if buffer is None or len(buffer) < needed:
            buffer = self._buffers.mass = np.zeros((needed, 2), np.float32)
        else:
            buffer[:needed] = 0
        u, v = self._cells(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
        u, v = np.tile(u, h), np.repeat(v, w)
        kernels.splat(buffer, 0, rows, columns, u, v, view.codes, soft_mask.ravel(), weight.ravel(), 0, 1)
        return buffer, rows, columns

    @staticmethod
    def _cells(x: Array, y: Array) -> tuple[Array, Array]:
        per_px, half = np.float32(1 / LAST_FRAME_CELL_PX), np.float32(0.5)
        return (x * per_px + half).ravel(), (y * per_px + half).ravel()
