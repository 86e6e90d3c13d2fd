"""The inner loops of `lite`, compiled once by numba and kept on disk: arrays in, arrays out, no state.

Everything here would take numpy three to twenty times as long. Signatures are written out, so that compiling happens
when this module is first imported (about 20 s in all, once a machine) and never in the middle of a feed.

Colour codes are continuous bin coordinates (3, n) float32 in 0..BINS-1: Lab scaled to BINS bins a channel. Masses come
in rows of one cell and colour; object first, surroundings second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

from stream.messages import Array

BINS = 16  # colours a channel
COLOURS = BINS**3
MOTION_BINS = 16  # of residual flow, each of x and y
MOTION_CELL_PX = 32  # working px

F = TypeVar("F", bound=Callable[..., Any])


def compiled(signature: str) -> Callable[[F], F]:
    """A typed `numba.njit`: for this signature, kept on disk, free of the interpreter's lock."""
    decorate: Callable[[F], F] = numba.njit(
        signature, cache=True, nogil=True, fastmath={"contract", "reassoc", "arcp", "nsz"}, error_model="numpy"
    )
    return decorate


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
    mass: Array, rows: int, columns: int, u: Array, v: Array, base: Array, fraction: Array, least: float, out: Array
) -> None:
    """Read two masses (rows * columns * COLOURS, 2) at places u, v (cells) and colours: bilinear, trilinear.

    out: (2, n), their ratio, each with `least` more, and 1 + their sum. There is nothing off the grid.
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
        out[0, i], out[1, i] = (a + least) / (b + least), 1 + a + b


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
    least: float,
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
        out[0, i], out[1, i] = (a + least) / (b + least), 1 + a + b
        out[2, i], out[3, i] = (c + least) / (d + least), 1 + c + d


@compiled("void(f4[:,::1], i4, i4, i4, f4[::1], f4[::1], f4[:,::1], f4[::1], f4[::1], i4, i4)")
def splat(
    mass: Array,
    first: int,
    rows: int,
    columns: int,
    u: Array,
    v: Array,
    codes: Array,
    soft: Array,
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
                mass[at, first] += w * soft[i]
                mass[at, first + 1] += w * (1 - soft[i])


@compiled("void(f4[:,:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4[::1], f4, f4[::1], f4[:,:,::1])")
def motion(
    flow: Array, soft: Array, ground: Array, own: Array, at: Array, slack: float, bins: Array, out: Array
) -> None:
    """How each pixel moves: (3, h, w) the ratio of object to surroundings among what moves alike nearby, and 1 + how
    far its flow is from the background's and from the object's own motion, both in units of `slack` px.

    flow: (h, w, 2) px; soft: (h, w) the object's chance; ground, own: (2, 3) where a pixel x, y of this frame was on
    the last; at: x and y of the first pixel and their steps; bins: (n,) the bin of a residual of 0, 1/32, 2/32 ... px.
    """
    h, w = soft.shape
    rows, columns = h // MOTION_CELL_PX + 2, w // MOTION_CELL_PX + 2
    cell_y, cell_x = np.float32(min(MOTION_CELL_PX, h)), np.float32(min(MOTION_CELL_PX, w))
    mass = np.zeros((rows * columns * MOTION_BINS * MOTION_BINS, 2), np.float32)
    place = np.empty((h, w, 2), np.float32)  # in bins
    top, middle = np.float32(MOTION_BINS - 1.001), np.float32(MOTION_BINS / 2 - 0.5)
    one = np.float32(1)
    for y in range(h):
        v = (y + np.float32(0.5)) / cell_y
        row = int(v)
        fy = v - row
        py = at[1] + y * at[3]
        for x in range(w):
            px = at[0] + x * at[2]
            dx = flow[y, x, 0] - (own[0, 0] - one) * px - own[0, 1] * py - own[0, 2]
            dy = flow[y, x, 1] - own[1, 0] * px - (own[1, 1] - one) * py - own[1, 2]
            out[2, y, x] = one + np.sqrt(dx * dx + dy * dy) / slack
            dx = (flow[y, x, 0] - (ground[0, 0] - one) * px - ground[0, 1] * py - ground[0, 2]) / slack
            dy = (flow[y, x, 1] - ground[1, 0] * px - (ground[1, 1] - one) * py - ground[1, 2]) / slack
            out[1, y, x] = one + np.sqrt(dx * dx + dy * dy)
            bx, by = bins[min(int(abs(dx) * 32), bins.size - 1)], bins[min(int(abs(dy) * 32), bins.size - 1)]
            bx = min(max(middle + (bx if dx > 0 else -bx), np.float32(0)), top)
            by = min(max(middle + (by if dy > 0 else -by), np.float32(0)), top)
            place[y, x, 0], place[y, x, 1] = bx, by
            u = (x + np.float32(0.5)) / cell_x
            column = int(u)
            fx = u - column
            start = int(by + np.float32(0.5)) * MOTION_BINS + int(bx + np.float32(0.5))
            for ry in range(2):
                for rx in range(2):
                    wt = (fy if ry else one - fy) * (fx if rx else one - fx)
                    cell = ((row + ry) * columns + column + rx) * MOTION_BINS * MOTION_BINS + start
                    mass[cell, 0] += wt * soft[y, x]
                    mass[cell, 1] += wt * (one - soft[y, x])
    for y in range(h):
        v = (y + np.float32(0.5)) / cell_y
        row = int(v)
        fy = v - row
        for x in range(w):
            u = (x + np.float32(0.5)) / cell_x
            column = int(u)
            fx = u - column
            low_x, low_y = min(int(place[y, x, 0]), MOTION_BINS - 2), min(int(place[y, x, 1]), MOTION_BINS - 2)
            gx, gy = place[y, x, 0] - low_x, place[y, x, 1] - low_y
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
            out[0, y, x] = (a + np.float32(2)) / (b + np.float32(2))


@compiled("void(f4[:,::1], f4[:,::1], f4[:,::1], f4[:,::1])")
def _sweep(weights: Array, top: Array, bottom: Array, scratch: Array) -> None:
    """Solve down and up every column: (1 + w above + w below) x - w above x' - w below x'' = given; two right sides."""
    rows, columns = top.shape
    for i in range(rows):
        for x in range(columns):
            above = weights[i - 1, x] if i else np.float32(0)
            below = weights[i, x] if i < rows - 1 else np.float32(0)
            before = scratch[i - 1, x] if i else np.float32(0)
            scale = np.float32(1) / (np.float32(1) + above + below - above * before)
            scratch[i, x] = below * scale
            if i:
                top[i, x] = (top[i, x] + above * top[i - 1, x]) * scale
                bottom[i, x] = (bottom[i, x] + above * bottom[i - 1, x]) * scale
            else:
                top[i, x] *= scale
                bottom[i, x] *= scale
    for i in range(rows - 2, -1, -1):
        for x in range(columns):
            top[i, x] += scratch[i, x] * top[i + 1, x]
            bottom[i, x] += scratch[i, x] * bottom[i + 1, x]


@compiled("f4[:,::1](f4[:,::1], f4[:,::1], u1[:,:,::1], f4, f4, i4)")
def smooth(values: Array, sure: Array, image: Array, strength: float, contrast: float, rounds: int) -> Array:
    """(h, w): values smoothed inside the edges of an (h, w, 3) image, each counting as much as it is sure.

    The fast global smoother (Min et al., 2014): a weighted least squares solved along columns and rows in turn.
    """
    h, w = values.shape
    down, right = np.empty((h, w), np.float32), np.empty((w, h), np.float32)
    for y in range(h):
        for x in range(w):
            for axis in range(2):
                y2, x2 = min(y + axis, h - 1), min(x + 1 - axis, w - 1)
                square = np.float32(0)
                for c in range(3):
                    step = np.float32(image[y, x, c]) - np.float32(image[y2, x2, c])
                    square += step * step
                alike = np.exp(-np.sqrt(square) / contrast)
                if axis:
                    down[y, x] = alike
                else:
                    right[x, y] = alike
    top, bottom = (values * sure).T.copy(), sure.T.copy()
    scratch_t, scratch = np.empty((w, h), np.float32), np.empty((h, w), np.float32)
    force = np.float32(strength)
    for _ in range(rounds):
        _sweep(right * force, top, bottom, scratch_t)
        top2, bottom2 = top.T.copy(), bottom.T.copy()
        _sweep(down * force, top2, bottom2, scratch)
        top, bottom = top2.T.copy(), bottom2.T.copy()
        force *= np.float32(0.25)
    return (top / bottom).T.copy()


@compiled("void(f4[:,::1], f4[:,::1], f4[::1], f4[:,::1])")
def _layer(inputs: Array, weights: Array, bias: Array, out: Array) -> None:
    """One layer with leaky ReLU 0.1 over a block: (C, n) in, (A, n) out; C divisible by 4, A by 2.

    Two outputs and four inputs at a time: their eight weights and two sums stay in registers.
    """
    n = inputs.shape[1]
    leak = np.float32(0.1)
    for j in range(0, weights.shape[0], 2):
        for k in range(n):
            out[j, k], out[j + 1, k] = bias[j], bias[j + 1]
        for i in range(0, weights.shape[1], 4):
            a0, a1, a2, a3 = weights[j, i], weights[j, i + 1], weights[j, i + 2], weights[j, i + 3]
            b0, b1, b2, b3 = weights[j + 1, i], weights[j + 1, i + 1], weights[j + 1, i + 2], weights[j + 1, i + 3]
            for k in range(n):
                x0, x1, x2, x3 = inputs[i, k], inputs[i + 1, k], inputs[i + 2, k], inputs[i + 3, k]
                out[j, k] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
                out[j + 1, k] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
        for k in range(n):
            out[j, k] = max(out[j, k], leak * out[j, k])
            out[j + 1, k] = max(out[j + 1, k], leak * out[j + 1, k])


@compiled("void(f4[:,::1], f4[:,::1], f4[::1], f4[:,::1], f4[::1], f4[::1], f4, f4[::1])")
def network(cues: Array, w1: Array, b1: Array, w2: Array, b2: Array, w3: Array, b3: float, out: Array) -> None:
    """Logits (n,) of cues (C, n): two hidden layers with leaky ReLU 0.1; w1 (A, C and zeros up to a multiple of 4).

    In blocks of pixels that stay in the first cache.
    """
    block = 256
    n = cues.shape[1]
    zero = np.zeros((w1.shape[1], block), np.float32)
    one = np.empty((w1.shape[0], block), np.float32)
    two = np.empty((w2.shape[0], block), np.float32)
    for start in range(0, n, block):
        size = min(block, n - start)
        zero[: cues.shape[0], :size] = cues[:, start : start + size]
        _layer(zero, w1, b1, one)
        _layer(one, w2, b2, two)
        last = out[start : start + size]
        last[:] = b3
        for j in range(w3.size):
            w, x = w3[j], two[j]
            for k in range(last.size):
                last[k] += w * x[k]


@compiled("f4[:,::1](f4[:,:,::1], b1[:,::1])")
def geodesic(image: Array, seeds: Array) -> Array:
    """(h, w) float32: the cheapest way from any seed over an (h, w, C) image; a step costs 3 and its |difference|,
    diagonals likewise times root 2. Two rounds of raster scans, down and up.
    """
    h, w, channels = image.shape
    far = np.empty((h, w), np.float32)
    for y in range(h):
        for x in range(w):
            far[y, x] = np.float32(0) if seeds[y, x] else np.float32(1e6)
    for turn in range(4):
        sign = 1 if turn % 2 == 0 else -1
        for i in range(h):
            y = i if sign == 1 else h - 1 - i
            for j in range(w):
                x = j if sign == 1 else w - 1 - j
                for way in range(4):  # the neighbours that this scan has passed already
                    dy = 0 if way == 0 else -sign
                    dx = -sign if way == 0 else way - 2
                    y2, x2 = y + dy, x + dx
                    if y2 < 0 or y2 >= h or x2 < 0 or x2 >= w:
                        continue
                    cost = np.float32(4.2426) if dx != 0 and dy != 0 else np.float32(3)
                    for c in range(channels):
                        cost += abs(image[y, x, c] - image[y2, x2, c])
                    far[y, x] = min(far[y, x], far[y2, x2] + cost)
    return far
