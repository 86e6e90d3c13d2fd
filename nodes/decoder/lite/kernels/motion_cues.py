"""Motion cues: flow in, how much each pixel moves like the object and unlike the background out."""

from __future__ import annotations

import numpy as np

from nodes.decoder.lite.kernels.compiling import compiled
from stream.arrays import Array

MOTION_BINS = 16  # of residual flow, each of x and y
MOTION_CELL_PX = 32  # working px


@compiled("void(f4[:,::1], f4[:,:,::1], i8, f4, f4, f4[:,::1])")
def _read_masses(
    mass: Array, residual: Array, columns: int, cell_x: np.float32, cell_y: np.float32, out: Array
) -> None:
    """Fill `out` (h, w) with the ratio of object to surroundings at each pixel's place and residual motion."""
    h, w = out.shape
    one = np.float32(1)
    for y in range(h):
        v = (y + np.float32(0.5)) / cell_y
        row = int(v)
        fy = v - row
        for x in range(w):
            u = (x + np.float32(0.5)) / cell_x
            column = int(u)
            fx = u - column
            low_x, low_y = min(int(residual[y, x, 0]), MOTION_BINS - 2), min(int(residual[y, x, 1]), MOTION_BINS - 2)
            gx, gy = residual[y, x, 0] - low_x, residual[y, x, 1] - low_y
            a = np.float32(0)
            b = np.float32(0)
            for ry in range(2):
                for rx in range(2):
                    wt = (fy if ry else one - fy) * (fx if rx else one - fx)
                    cell = (
                        ((row + ry) * columns + column + rx) * MOTION_BINS * MOTION_BINS + low_y * MOTION_BINS + low_x
                    )
                    w00, w01 = wt * (one - gy) * (one - gx), wt * (one - gy) * gx
                    w10, w11 = wt * gy * (one - gx), wt * gy * gx
                    a += w00 * mass[cell, 0] + w01 * mass[cell + 1, 0]
                    a += w10 * mass[cell + MOTION_BINS, 0] + w11 * mass[cell + MOTION_BINS + 1, 0]
                    b += w00 * mass[cell, 1] + w01 * mass[cell + 1, 1]
                    b += w10 * mass[cell + MOTION_BINS, 1] + w11 * mass[cell + MOTION_BINS + 1, 1]
            out[y, x] = (a + np.float32(2)) / (b + np.float32(2))


@compiled("void(f4[:,:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4, f4[::1], f4[:,:,::1])")
def compare_motion(
    flow: Array,
    soft_mask: Array,
    background: Array,
    own: Array,
    grid: Array,
    tolerance_px: float,
    bins: Array,
    out: Array,
) -> None:
    """How each pixel moves: (3, h, w) the ratio of object to surroundings among what moves alike nearby, and 1 + how
    far its flow is from the background's and from the object's own motion, both in units of `tolerance_px`.

    flow: (h, w, 2) px; soft_mask: (h, w) the object's probability; background, own: (2, 3) where a pixel x, y of this
    frame was on the last, if it moves with the background or with the object; grid: x and y of the first pixel and
    their steps; bins: (n,) the bin of a residual of 0, 1/32, 2/32 ... px.
    """
    h, w = soft_mask.shape
    rows, columns = h // MOTION_CELL_PX + 2, w // MOTION_CELL_PX + 2
    cell_y, cell_x = np.float32(min(MOTION_CELL_PX, h)), np.float32(min(MOTION_CELL_PX, w))
    mass = np.zeros((rows * columns * MOTION_BINS * MOTION_BINS, 2), np.float32)
    residual = np.empty((h, w, 2), np.float32)  # from the background's motion, in bins
    top, middle = np.float32(MOTION_BINS - 1.001), np.float32(MOTION_BINS / 2 - 0.5)
    one = np.float32(1)
    for y in range(h):
        v = (y + np.float32(0.5)) / cell_y
        row = int(v)
        fy = v - row
        py = grid[1] + y * grid[3]
        for x in range(w):
            px = grid[0] + x * grid[2]
            dx = flow[y, x, 0] - (own[0, 0] - one) * px - own[0, 1] * py - own[0, 2]
            dy = flow[y, x, 1] - own[1, 0] * px - (own[1, 1] - one) * py - own[1, 2]
            out[2, y, x] = one + np.sqrt(dx * dx + dy * dy) / tolerance_px
            dx = flow[y, x, 0] - (background[0, 0] - one) * px - background[0, 1] * py - background[0, 2]
            dy = flow[y, x, 1] - background[1, 0] * px - (background[1, 1] - one) * py - background[1, 2]
            dx, dy = dx / tolerance_px, dy / tolerance_px
            out[1, y, x] = one + np.sqrt(dx * dx + dy * dy)
            bx, by = bins[min(int(abs(dx) * 32), bins.size - 1)], bins[min(int(abs(dy) * 32), bins.size - 1)]
            bx = min(max(middle + (bx if dx > 0 else -bx), np.float32(0)), top)
            by = min(max(middle + (by if dy > 0 else -by), np.float32(0)), top)
            residual[y, x, 0], residual[y, x, 1] = bx, by
            u = (x + np.float32(0.5)) / cell_x
            column = int(u)
            fx = u - column
            start = int(by + np.float32(0.5)) * MOTION_BINS + int(bx + np.float32(0.5))
            for ry in range(2):
                for rx in range(2):
                    wt = (fy if ry else one - fy) * (fx if rx else one - fx)
                    cell = ((row + ry) * columns + column + rx) * MOTION_BINS * MOTION_BINS + start
                    mass[cell, 0] += wt * soft_mask[y, x]
                    mass[cell, 1] += wt * (one - soft_mask[y, x])
    _read_masses(mass, residual, columns, cell_x, cell_y, out[0])
