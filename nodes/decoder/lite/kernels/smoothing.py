"""Smoothing inside the edges of an image, and not across them."""

from __future__ import annotations

import numpy as np

from nodes.decoder.lite.kernels.compiling import compiled
from stream.arrays import Array


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
