"""A linear model of logits by colours, pixel by pixel, and its use at a larger size."""

from __future__ import annotations

import numpy as np

from nodes.decoder.lite.kernels.compiling import compiled
from stream.arrays import Array


@compiled("f4[:,:,::1](f4[:,::1], u1[:,:,::1])")
def multiply_colours(logits: Array, rgb: Array) -> Array:
    """(h, w, 13): red, green, blue, logit; rr, rg, rb, gg, gb, bb; and each colour times the logit."""
    h, w = logits.shape
    out = np.empty((h, w, 13), np.float32)
    for y in range(h):
        for x in range(w):
            r, g, b = np.float32(rgb[y, x, 0]), np.float32(rgb[y, x, 1]), np.float32(rgb[y, x, 2])
            logit, to = logits[y, x], out[y, x]
            to[0], to[1], to[2], to[3] = r, g, b, logit
            to[4], to[5], to[6], to[7], to[8], to[9] = r * r, r * g, r * b, g * g, g * b, b * b
            to[10], to[11], to[12] = r * logit, g * logit, b * logit
    return out


@compiled("f4[:,:,::1](f4[:,:,::1], f4)")
def fit_slopes(means: Array, noise: float) -> Array:
    """(h, w, 3): logits a grey level of red, green and blue, of the means of `multiply_colours` round each pixel.

    `noise`: variance of colours that is no detail.
    """
    h, w, _ = means.shape
    out = np.empty((h, w, 3), np.float32)
    for y in range(h):
        for x in range(w):
            m = means[y, x]
            r, g, b, logit = m[0], m[1], m[2], m[3]
            rr, gg, bb = m[4] - r * r + noise, m[7] - g * g + noise, m[9] - b * b + noise
            rg, rb, gb = m[5] - r * g, m[6] - r * b, m[8] - g * b
            lr, lg, lb = m[10] - r * logit, m[11] - g * logit, m[12] - b * logit
            # the inverse of the symmetric matrix of variances by its cofactors
            crr, crg, crb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
            cgg, cgb, cbb = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
            scale = np.float32(1) / (rr * crr + rg * crg + rb * crb)
            out[y, x, 0] = (crr * lr + crg * lg + crb * lb) * scale
            out[y, x, 1] = (crg * lr + cgg * lg + cgb * lb) * scale
            out[y, x, 2] = (crb * lr + cgb * lg + cbb * lb) * scale
    return out


@compiled("f4[:,::1](f4[:,::1], f4[:,:,::1], u1[:,:,::1], u1[:,:,::1], f4, f4)")
def enlarge(logits: Array, slopes: Array, small: Array, large: Array, near: float, most: float) -> Array:
    """(H, W): logits (h, w) between pixels, moved by what the large image (H, W, 3) shows beside the small (h, w, 3).

    They are moved by `most` at most, and only where they are within `near` of the outline.
    """
    (h, w), (height, width) = logits.shape, large.shape[:2]
    out = np.empty((height, width), np.float32)
    left, right, part = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.float32)
    for x in range(width):
        place = min(max((np.float32(x) + np.float32(0.5)) * w / width - np.float32(0.5), np.float32(0)), w - 1)
        left[x] = int(place)
        right[x], part[x] = min(left[x] + 1, w - 1), place - left[x]
    row, slope, colour = np.empty(w, np.float32), np.empty((w, 3), np.float32), np.empty((w, 3), np.float32)
    for y in range(height):
        place = min(max((np.float32(y) + np.float32(0.5)) * h / height - np.float32(0.5), np.float32(0)), h - 1)
        top = int(place)
        bottom, down = min(top + 1, h - 1), np.float32(place - top)
        for x in range(w):
            row[x] = logits[top, x] + down * (logits[bottom, x] - logits[top, x])
            for c in range(3):
                slope[x, c] = slopes[top, x, c] + down * (slopes[bottom, x, c] - slopes[top, x, c])
                above, below = np.float32(small[top, x, c]), np.float32(small[bottom, x, c])
                colour[x, c] = above + down * (below - above)
        to, pixels = out[y], large[y]
        for x in range(width):
            to[x] = row[left[x]] + part[x] * (row[right[x]] - row[left[x]])
        for x in range(width):
            if abs(to[x]) < near:
                a, b, across, move = left[x], right[x], part[x], np.float32(0)
                for c in range(3):
                    shown = colour[a, c] + across * (colour[b, c] - colour[a, c])
                    move += (slope[a, c] + across * (slope[b, c] - slope[a, c])) * (pixels[x, c] - shown)
                to[x] += min(max(move, -most), most)
    return out
