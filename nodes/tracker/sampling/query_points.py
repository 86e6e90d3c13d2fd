"""A mask in, query points out: random, k-medoids, Shi-Tomasi and mixed (paper, section 3.1), as SAM-PT draws them.

Every rule takes a (H, W) mask and n, and answers (n, 2) float32, frame px, each a pixel of the mask. Fewer pixels than
points are repeated in reading order, without drawing. An empty mask gives no points at all, (0, 2): SAM-PT's own code
gives (0, 0) n times, and throws these away later because they lie on the frame's edge.

Random choices come from the caller's `RandomSource`, so the same seed draws the same points.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from nodes.tracker.sampling.medoids import kmedoids
from stream.arrays import Array

KMEDOIDS_SUBSET = 1800  # px; of a larger mask a random subset is clustered
FILL_SUBSET = 2000  # px; the same where corners are missing
ERODE_SHARES = (0.06, 0.02, 0.01)  # of the mask's diagonal: the first that leaves enough px keeps corners off the edge
MIN_ERODED_PX = 10


class RandomSource(Protocol):
    """Where random choices come from."""

    def first(self, n: int, k: int) -> Array:
        """(k,) int: the first k of a random permutation of 0..n-1."""


class SeededSource:
    """numpy's generator, by its seed: a number, or several, such as seed, object and frame."""

    def __init__(self, *seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def first(self, n: int, k: int) -> Array:
        # a permutation of a whole frame costs ms; k distinct picks have the same distribution
        return self.rng.choice(n, k, replace=False)


def draw_positives(mask: Array, n: int, source: RandomSource | np.random.Generator) -> Array:
    """(n, 2): the positive points of an object, by k-medoids (paper, table 2)."""
    return by_kmedoids(mask, n, _as_source(source))


def draw_negatives(mask: Array, rgb: Array, n: int, source: RandomSource | np.random.Generator) -> Array:
    """(n, 2): the negative points of an object, by the mixed rule on everything outside its mask."""
    return by_mixed((mask == 0).astype(np.uint8), rgb, n, _as_source(source))


def by_random(mask: Array, n: int, source: RandomSource, inside: Array | None = None) -> Array:
    """(n, 2): the first n of a random permutation of the mask's pixels, whose places are `inside` if they are there."""
    inside = places(mask) if inside is None else inside
    if len(inside) < n:
        return _repeat(mask, inside, n)
    return _xy(mask, inside[source.first(len(inside), n)])


def by_kmedoids(
    mask: Array, n: int, source: RandomSource, subset: int = KMEDOIDS_SUBSET, inside: Array | None = None
) -> Array:
    """(n, 2): the medoids of n clusters of (a random subset of) the mask's pixels."""
    if n == 0:
        return np.zeros((0, 2), np.float32)  # nothing is drawn either
    inside = places(mask) if inside is None else inside
    if len(inside) < n:
        return _repeat(mask, inside, n)
    pixels = _xy(mask, inside[source.first(len(inside), min(len(inside), subset))])
    return np.asarray(pixels[kmedoids(pixels, n)])


def by_shi_tomasi(mask: Array, rgb: Array, n: int, source: RandomSource, inside: Array | None = None) -> Array:
    """(n, 2): the strongest corners inside the mask, strongest first, missing ones filled by k-medoids."""
    inside = places(mask) if inside is None else inside
    if len(inside) < n:
        return _repeat(mask, inside, n)
    found = corners(mask, rgb, n)
    return np.concatenate([found, by_kmedoids(mask, n - len(found), source, FILL_SUBSET, inside)])


def by_mixed(mask: Array, rgb: Array, n: int, source: RandomSource) -> Array:
    """(n, 2): n // 4 by k-medoids, n // 3 by Shi-Tomasi, the rest random (n = 1: one random)."""
    clustered, strong = n // 4, n // 3
    inside = places(mask)  # 1.3 ms for what surrounds an object at 1280x720
    return np.concatenate(
        [
            by_kmedoids(mask, clustered, source, inside=inside),
            by_shi_tomasi(mask, rgb, strong, source, inside),
            by_random(mask, n - clustered - strong, source, inside),
        ]
    )


def places(mask: Array) -> Array:
    """(P,) int: the places of a mask's pixels in the flat mask."""
    return np.flatnonzero(mask if mask.dtype == bool else mask != 0)


def corners(mask: Array, rgb: Array, n: int) -> Array:
    """(up to n, 2): the strongest corners inside the mask and off its edge, strongest first."""
    if n == 0:
        return np.zeros((0, 2), np.float32)
    inner = _inner(mask)
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    found = cv2.goodFeaturesToTrack(gray, n, 0.001, _diagonal(inner) / n, mask=inner, blockSize=3, gradientSize=3)
    if found is None:
        return np.zeros((0, 2), np.float32)
    return np.asarray(found.reshape(-1, 2), np.float32)


def erode(mask: Array, share: float) -> Array:
    """(H, W) uint8: the mask less an edge of about half a share of its diagonal; the frame's border is no edge."""
    side = int(_diagonal(mask) * share) or 3  # OpenCV reads an empty kernel as 3x3
    return np.asarray(cv2.erode((mask != 0).astype(np.uint8), np.ones((side, side), np.uint8)), np.uint8)


def _inner(mask: Array) -> Array:
    """The mask eroded by the largest share that leaves MIN_ERODED_PX; if none does, the mask."""
    for share in ERODE_SHARES:
        inner = erode(mask, share)
        if np.count_nonzero(inner) >= MIN_ERODED_PX:
            return inner
    return np.asarray(mask != 0, np.uint8)


def _diagonal(mask: Array) -> float:
    """Px between the outermost pixels of a mask."""
    width, height = cv2.boundingRect((mask != 0).astype(np.uint8))[2:]
    return float(np.hypot(width - 1, height - 1))


def _repeat(mask: Array, inside: Array, n: int) -> Array:
    """n of the pixels in reading order, from the first again after the last; none of an empty mask."""
    return _xy(mask, np.resize(inside, n if len(inside) else 0))


def _xy(mask: Array, inside: Array) -> Array:
    """(P, 2) float32: x, y of a mask's pixels, given by their places in the flat mask."""
    y, x = np.divmod(inside, mask.shape[1])
    return np.stack([x, y], axis=1).astype(np.float32)


class _GeneratorSource(SeededSource):
    """A generator that is already there."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng


def _as_source(source: RandomSource | np.random.Generator) -> RandomSource:
    return _GeneratorSource(source) if isinstance(source, np.random.Generator) else source
