"""Colour histograms: pixels are added to masses by place and colour, and masses are read at places and colours.

Colour codes are continuous bin coordinates (3, n) float32 in 0..BINS-1: Lab scaled to BINS bins a channel. Masses come
in rows of one cell and colour; object first, surroundings second.
"""

from __future__ import annotations

import numpy as np

from nodes.decoder.lite.kernels.compiling import compiled
from stream.arrays import Array

BINS = 16  # colours a channel
COLOURS = BINS**3


@compiled("void(u1[:,::1], f4[:,::1], f4[:,::1], i4[::1], f4[:,::1])")
def split_codes(lab: Array, bins: Array, codes: Array, base: Array, fraction: Array) -> None:
    """Of (n, 3) uint8 Lab: colour codes (3, n), the lower corner of the cube each lies in, the way to the upper one.

    bins: (3, 256) the code of each level of a channel.
    """
    for i in range(lab.shape[0]):
        index = 0
        for c in range(3):
            code = bins[c, lab[i, c]]
            low = min(int(code), BINS - 2)
            index = index * BINS + low
            codes[c, i] = code
            fraction[c, i] = code - low
        base[i] = index


@compiled("void(f4[:,::1], i4, i4, f4[::1], f4[::1], i4[::1], f4[:,::1], f4, f4[:,::1])")
def slice_two(
    mass: Array,
    rows: int,
    columns: int,
    u: Array,
    v: Array,
    base: Array,
    fraction: Array,
    prior_mass: float,
    out: Array,
) -> None:
    """Read two masses (rows * columns * COLOURS, 2) at places u, v (cells) and colours: bilinear, trilinear.

    out: (2, n), their ratio, each with `prior_mass` more, and 1 + their sum. There is nothing off the grid.
    """
    for i in range(u.size):
        x, y = int(np.floor(u[i])), int(np.floor(v[i]))
        fx, fy = u[i] - x, v[i] - y
        a = np.float32(0)
        b = np.float32(0)
        for dy in range(2):
            row = y + dy
            if row < 0 or row >= rows:
                continue
            wy = fy if dy else 1 - fy
            for dx in range(2):
                column = x + dx
                if column < 0 or column >= columns:
                    continue
                w = wy * (fx if dx else 1 - fx)
                start = (row * columns + column) * COLOURS + base[i]
                for d0 in range(2):
                    w0 = w * (fraction[0, i] if d0 else 1 - fraction[0, i])
                    for d1 in range(2):
                        w1 = w0 * (fraction[1, i] if d1 else 1 - fraction[1, i])
                        at = start + d0 * BINS * BINS + d1 * BINS
                        w2 = w1 * fraction[2, i]
                        w1 -= w2
                        a += w1 * mass[at, 0] + w2 * mass[at + 1, 0]
                        b += w1 * mass[at, 1] + w2 * mass[at + 1, 1]
        out[0, i], out[1, i] = (a + prior_mass) / (b + prior_mass), 1 + a + b


@compiled("void(f4[:,::1], i4, i4, f4, f4[::1], f4[::1], i4[::1], f4[:,::1], f4, f4[:,::1])")
def slice_four(
    mass: Array,
    rows: int,
    columns: int,
    scale: float,
    u: Array,
    v: Array,
    base: Array,
    fraction: Array,
    prior_mass: float,
    out: Array,
) -> None:
    """As `slice_two` for four masses a row: the first two, and two more that are worth `scale` each; out: (4, n)."""
    for i in range(u.size):
        x, y = int(np.floor(u[i])), int(np.floor(v[i]))
        fx, fy = u[i] - x, v[i] - y
        a = np.float32(0)
        b = np.float32(0)
        c = np.float32(0)
        d = np.float32(0)
        for dy in range(2):
            row = y + dy
            if row < 0 or row >= rows:
                continue
            wy = fy if dy else 1 - fy
            for dx in range(2):
                column = x + dx
                if column < 0 or column >= columns:
                    continue
                w = wy * (fx if dx else 1 - fx)
                start = (row * columns + column) * COLOURS + base[i]
                for d0 in range(2):
                    w0 = w * (fraction[0, i] if d0 else 1 - fraction[0, i])
                    for d1 in range(2):
                        w1 = w0 * (fraction[1, i] if d1 else 1 - fraction[1, i])
                        at = start + d0 * BINS * BINS + d1 * BINS
                        w2 = w1 * fraction[2, i]
                        w1 -= w2
                        a += w1 * mass[at, 0] + w2 * mass[at + 1, 0]
                        b += w1 * mass[at, 1] + w2 * mass[at + 1, 1]
                        c += w1 * mass[at, 2] + w2 * mass[at + 1, 2]
                        d += w1 * mass[at, 3] + w2 * mass[at + 1, 3]
        c *= scale
        d *= scale
        out[0, i], out[1, i] = (a + prior_mass) / (b + prior_mass), 1 + a + b
        out[2, i], out[3, i] = (c + prior_mass) / (d + prior_mass), 1 + c + d


@compiled("void(f4[:,::1], i4, i4, i4, f4[::1], f4[::1], f4[:,::1], f4[::1], f4[::1], i4, i4)")
def splat(
    mass: Array,
    first: int,
    rows: int,
    columns: int,
    u: Array,
    v: Array,
    codes: Array,
    soft_mask: Array,
    weight: Array,
    start: int,
    step: int,
) -> None:
    """Add pixels to masses `first` (object) and `first` + 1 of their four cells, at the nearest colour.

    Every `step`-th pixel from `start` on.
    """
    for i in range(start, u.size, step):
        if weight[i] <= 0:
            continue
        x, y = int(np.floor(u[i])), int(np.floor(v[i]))
        fx, fy = u[i] - x, v[i] - y
        colour = (int(codes[0, i] + 0.5) * BINS + int(codes[1, i] + 0.5)) * BINS + int(codes[2, i] + 0.5)
        for dy in range(2):
            row = y + dy
            if row < 0 or row >= rows:
                continue
            wy = fy if dy else 1 - fy
            for dx in range(2):
                column = x + dx
                if column < 0 or column >= columns:
                    continue
                w = wy * (fx if dx else 1 - fx) * weight[i]
                at = (row * columns + column) * COLOURS + colour
                mass[at, first] += w * soft_mask[i]
                mass[at, first + 1] += w * (1 - soft_mask[i])
