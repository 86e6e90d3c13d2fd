"""Query points from a mask: random, k-medoids, Shi-Tomasi and mixed (paper, section 3.1; SAM-PT's own rules).

Every rule takes a (H, W) mask and n, and answers (n, 2) float32, frame px, each a pixel of the mask. An empty mask
gives no points at all, (0, 2): the reference gives (0, 0) n times and throws them away later. Fewer mask pixels than
points are repeated cyclically. The generator is the caller's, so the same seed draws the same points.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.messages import Array

KMEDOIDS_SUBSET = (
    400  # px; of a larger mask a random subset is clustered. The reference takes 1800, at 20 times the cost
)
ERODE_SHARES = (0.06, 0.02, 0.01)  # of the mask's diagonal: the first that leaves enough px keeps corners off the edge
MIN_ERODED_PX = 10
MAX_ROUNDS = 300


def draw_positives(mask: Array, n: int, rng: np.random.Generator) -> Array:
    """(n, 2): the positive points of an object, by k-medoids (paper, table 2)."""
    return by_kmedoids(mask, n, rng)


def draw_negatives(mask: Array, rgb: Array, n: int, rng: np.random.Generator) -> Array:
    """(n, 2): the negative points of an object, by the mixed rule on everything outside its mask."""
    return by_mixed((mask == 0).astype(np.uint8), rgb, n, rng)


def mask_pixels(mask: Array) -> Array:
    """(P, 2) float32: x, y of the mask's pixels in reading order."""
    y, x = np.nonzero(mask)
    return np.stack([x, y], axis=1).astype(np.float32)


def by_random(mask: Array, n: int, rng: np.random.Generator) -> Array:
    """(n, 2): the first n of a random permutation of the mask's pixels."""
    inside = np.flatnonzero(mask != 0)
    if len(inside) <= n:
        return _cycle(mask_pixels(mask), n)
    # a permutation of a whole frame costs ms; n distinct picks follow the same law
    y, x = np.divmod(inside[rng.choice(len(inside), n, replace=False)], mask.shape[1])
    return np.stack([x, y], axis=1).astype(np.float32)


def by_kmedoids(mask: Array, n: int, rng: np.random.Generator, subset: int = KMEDOIDS_SUBSET) -> Array:
    """(n, 2): the medoids of n clusters of (a random subset of) the mask's pixels."""
    pixels = mask_pixels(mask)
    if len(pixels) <= n:
        return _cycle(pixels, n)
    if len(pixels) > subset:
        pixels = pixels[rng.choice(len(pixels), subset, replace=False)]
    return np.asarray(pixels[kmedoids(pixels, n)])


def by_shi_tomasi(mask: Array, rgb: Array, n: int, rng: np.random.Generator) -> Array:
    """(n, 2): the strongest corners inside the mask, missing ones filled by k-medoids."""
    if n == 0 or not mask.any():
        return np.zeros((0, 2), np.float32)
    inner = _eroded(mask)
    diagonal = float(np.hypot(*np.ptp(mask_pixels(inner), axis=0)))
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    corners = cv2.goodFeaturesToTrack(
        gray, n, 0.001, diagonal / n, mask=inner, blockSize=3, gradientSize=3, useHarrisDetector=False
    )
    found = np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2).astype(np.float32)
    missing = n - len(found)
    return found if missing == 0 else np.concatenate([found, by_kmedoids(mask, missing, rng)])


def by_mixed(mask: Array, rgb: Array, n: int, rng: np.random.Generator) -> Array:
    """(n, 2): n // 4 by k-medoids, n // 3 by Shi-Tomasi, the rest random (n = 1: one random)."""
    clustered, corners = n // 4, n // 3
    parts = [
        by_kmedoids(mask, clustered, rng) if clustered else np.zeros((0, 2), np.float32),
        by_shi_tomasi(mask, rgb, corners, rng),
        by_random(mask, n - clustered - corners, rng),
    ]
    return np.concatenate(parts)


def kmedoids(xy: Array, k: int) -> Array:
    """(k,) indices into `xy` (P, 2) of the medoids: Euclidean, alternating, as scikit-learn-extra's defaults.

    The start is the k points with the smallest sum of distances; each round reassigns, then moves every medoid to its
    cluster's cheapest point, until nothing changes.
    """
    x, y = xy[:, 0].astype(np.float32), xy[:, 1].astype(np.float32)
    # no matrix product here: BLAS starts threads for it, and they fight the other nodes for the cores
    distance = np.hypot(x[:, None] - x, y[:, None] - y)  # (P, P) px
    medoids = np.argsort(distance.sum(axis=1), kind="stable")[:k]
    for _ in range(MAX_ROUNDS):
        cluster = np.argmin(distance[medoids], axis=0)
        moved = medoids.copy()
        for i in range(k):
            members = np.flatnonzero(cluster == i)
            costs = distance[members].sum(axis=0)  # what each point would cost as this cluster's medoid
            best = members[np.argmin(costs[members])] if members.size else medoids[i]
            if costs[best] < costs[medoids[i]]:
                moved[i] = best
        if np.array_equal(moved, medoids):
            break
        medoids = moved
    return np.asarray(medoids)


def _cycle(pixels: Array, n: int) -> Array:
    """The first n of the pixels repeated without end; none of none."""
    if len(pixels) == 0:
        return np.zeros((0, 2), np.float32)
    return np.asarray(pixels[np.arange(n) % len(pixels)])


def _eroded(mask: Array) -> Array:
    """The mask eroded by a share of its diagonal, as much as leaves MIN_ERODED_PX."""
    binary = (mask != 0).astype(np.uint8)
    diagonal = float(np.hypot(*np.ptp(mask_pixels(binary), axis=0)))
    for share in ERODE_SHARES:
        side = int(diagonal * share) or 3  # OpenCV reads an empty kernel as 3x3
        inner = cv2.erode(binary, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
        if int(inner.sum()) >= MIN_ERODED_PX:
            return np.asarray(inner, np.uint8)
    return np.asarray(binary)
