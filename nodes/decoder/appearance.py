"""What an object looks like: colours of object and surroundings, in all and per place on the object.

Colours are counted in Lab, BINS a channel. A `ColourModel` counts over the whole window; a `CanonicalGrid` counts per
cell of the object's own coordinate frame (its px on the frame it was first seen on), so that a white belly below a
brown back stays two things. Both answer with a log-likelihood ratio, object against surroundings.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.messages import Array

BINS = 12  # a channel: 21 levels of L, 10 of a and b; finer bins are emptier and gain nothing measurable
N_COLOURS = BINS**3
CHROMA_LOW, CHROMA_SPAN = 72.0, 112.0  # 8-bit a and b of nearly all pictures lie in 72..184
CELLS = 10  # along the longer side of the object's first bounding box
MARGIN_CELLS = 3  # around it, for the surroundings
OBJECT_MASS = 5000.0  # an object's pixels weigh this much in all, whatever its size: cells then hold about 50
MIN_SCALE = 1e-3
PRIOR_MASS = 2.0  # what the whole-window colours weigh against a cell's own counts

_LUMA = np.minimum(np.arange(256) * BINS // 256, BINS - 1).astype(np.int32)
_CHROMA = np.clip((np.arange(256) - CHROMA_LOW) * BINS / CHROMA_SPAN, 0, BINS - 1).astype(np.int32)


def colour_codes(lab: Array) -> Array:
    """(h, w) int32 in 0..N_COLOURS-1: the bin of each pixel of an 8-bit Lab image."""
    return np.asarray((_LUMA[lab[..., 0]] * BINS + _CHROMA[lab[..., 1]]) * BINS + _CHROMA[lab[..., 2]])


class ColourModel:
    """Colours of the object and of its surroundings, over the whole window."""

    def __init__(self) -> None:
        self.counts = np.zeros((2, N_COLOURS), np.float32)  # object, surroundings; normalised mass
        self.share = np.full(N_COLOURS, 0.5, np.float32)  # chance that a pixel of that colour is the object's

    def learn(self, codes: Array, soft: Array, weight: Array, rate: float) -> None:
        """Blend in one frame's pixels: `soft` (h, w) their chance to be the object, `weight` what each one counts."""
        flat = codes.ravel()
        new = np.stack([np.bincount(flat, (m * weight).ravel(), N_COLOURS) for m in (soft, 1 - soft)]).astype(
            np.float32
        )
        self.counts = (1 - rate) * self.counts + rate * new
        smooth = np.stack([_blur_cube(c) for c in self.counts])
        self.share = (smooth[0] + 1) / (smooth[0] + smooth[1] + 2)

    def log_ratio(self, codes: Array) -> Array:
        """(h, w) float32: ln of object against surroundings."""
        return np.asarray(np.log(self.share / (1 - self.share)))[codes]


class CanonicalGrid:
    """Colours per cell of the object's own coordinate frame, `xy` in px of the frame it was first seen on.

    Kept twice: as on the first frame, and adapting. The four masses of a cell and colour (first object, surroundings;
    recent object, surroundings) lie side by side, because reading them is what costs: one cache line serves all.
    """

    def __init__(self, bbox: tuple[int, int, int, int]) -> None:
        x, y, width, height = bbox
        self.cell_px = max(width, height, CELLS) / CELLS
        self.origin = np.array([x - MARGIN_CELLS * self.cell_px, y - MARGIN_CELLS * self.cell_px], np.float32)
        self.columns = int(np.ceil(width / self.cell_px)) + 2 * MARGIN_CELLS
        self.rows = int(np.ceil(height / self.cell_px)) + 2 * MARGIN_CELLS
        self.mass = np.zeros((self.rows * self.columns * N_COLOURS, 4), np.float32)
        self.recent_scale = 1.0  # a recent mass is worth this much: fading them all each frame would cost 5 ms

    def begin(self, codes: Array, x: Array, y: Array, soft: Array, weight: Array) -> None:
        """Take the first frame's pixels at canonical places x, y (h, w): `soft` their chance to be the object."""
        self._add(codes, x, y, soft, weight)
        self.mass[:, :2] = self.mass[:, 2:]

    def learn(self, codes: Array, x: Array, y: Array, soft: Array, weight: Array, rate: float) -> None:
        """Blend one frame's pixels into the adapting masses."""
        self.recent_scale *= 1 - rate
        if self.recent_scale < MIN_SCALE:
            self.mass[:, 2:] *= self.recent_scale
            self.recent_scale = 1.0
        self._add(codes, x, y, soft, weight * (rate / self.recent_scale))

    def log_ratios(
        self, codes: Array, x: Array, y: Array, first_prior: ColourModel, recent_prior: ColourModel
    ) -> tuple[Array, Array]:
        """ln of object against surroundings at canonical places, first and recent, (h, w) float32 each.

        The prior answers where nothing is known. Bilinear between the four cells around a place, so that cell borders
        do not show in the mask.
        """
        u = (x - self.origin[0]) / self.cell_px - 0.5
        v = (y - self.origin[1]) / self.cell_px - 0.5
        column, row = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
        fu, fv = u - column, v - row
        total = np.empty((*codes.shape, 4), np.float32)
        for i, prior, scale in ((0, first_prior, 1.0), (2, recent_prior, self.recent_scale)):
            share = prior.share[codes]
            total[..., i], total[..., i + 1] = PRIOR_MASS / scale * share, PRIOR_MASS / scale * (1 - share)
        for dy, wy in ((0, 1 - fv), (1, fv)):
            for dx, wx in ((0, 1 - fu), (1, fu)):
                c, r = column + dx, row + dy
                inside = (c >= 0) & (c < self.columns) & (r >= 0) & (r < self.rows)
                index = np.where(inside, (r * self.columns + c) * N_COLOURS + codes, 0)
                total += (wx * wy * inside)[..., None] * self.mass.take(index, axis=0)
        np.log(total, out=total)
        return total[..., 0] - total[..., 1], total[..., 2] - total[..., 3]

    def _add(self, codes: Array, x: Array, y: Array, soft: Array, weight: Array) -> None:
        """Add pixels to the recent masses of their cells; those off the grid are left out."""
        column = np.rint((x - self.origin[0]) / self.cell_px - 0.5).astype(np.int32)
        row = np.rint((y - self.origin[1]) / self.cell_px - 0.5).astype(np.int32)
        inside = (column >= 0) & (column < self.columns) & (row >= 0) & (row < self.rows)
        at = 4 * ((row * self.columns + column) * N_COLOURS + codes)[inside]
        soft, weight = soft[inside], weight[inside].astype(np.float32)
        flat = self.mass.reshape(-1)
        np.add.at(flat, at + 2, soft * weight)
        np.add.at(flat, at + 3, (1 - soft) * weight)


def _blur_cube(counts: Array) -> Array:
    """The counts with each colour lending to its neighbours: (1, 2, 1) / 4 along each axis of the cube."""
    cube = counts.reshape(BINS, BINS * BINS)
    kernel = np.array([0.25, 0.5, 0.25], np.float32)
    one = np.ones(1, np.float32)
    cube = cv2.sepFilter2D(cube, -1, one, kernel, borderType=cv2.BORDER_REPLICATE)
    planes = cube.reshape(BINS, BINS, BINS)
    return np.stack([cv2.sepFilter2D(p, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE) for p in planes]).ravel()
