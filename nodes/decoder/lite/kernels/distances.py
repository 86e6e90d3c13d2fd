"""Geodesic distances: what the cheapest path from the nearest seed costs, where crossing an edge is expensive."""

from __future__ import annotations

import numpy as np

from nodes.decoder.lite.kernels.compiling import compiled
from stream.arrays import Array


@compiled("f4[:,::1](f4[:,:,::1], b1[:,::1])")
def geodesic_distance(image: Array, seeds: Array) -> Array:
    """(h, w) float32: what the cheapest path from any seed costs over an (h, w, C) image.

    A step costs 3 (a diagonal one 3 times root 2) and the |difference| of its pixels. Two rounds of raster scans, down
    and up.
    """
    h, w, channels = image.shape
    far = np.empty((h, w), np.float32)
    for y in range(h):
        for x in range(w):
            far[y, x] = np.float32(0) if seeds[y, x] else np.float32(1e6)
    for scan in range(4):
        sign = 1 if scan % 2 == 0 else -1
        for i in range(h):
            y = i if sign == 1 else h - 1 - i
            for j in range(w):
                x = j if sign == 1 else w - 1 - j
                for neighbour in range(4):  # the neighbours that this scan has passed already
                    dy = 0 if neighbour == 0 else -sign
                    dx = -sign if neighbour == 0 else neighbour - 2
                    y2, x2 = y + dy, x + dx
                    if y2 < 0 or y2 >= h or x2 < 0 or x2 >= w:
                        continue
                    cost = np.float32(4.2426) if dx != 0 and dy != 0 else np.float32(3)
                    for c in range(channels):
                        cost += abs(image[y, x, c] - image[y2, x2, c])
                    far[y, x] = min(far[y, x], far[y2, x2] + cost)
    return far
