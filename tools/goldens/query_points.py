"""`query_points_*.npz`: the points that every rule draws from one mask, against ours with the same random choices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nodes.tracker.sampling import query_points as rules
from nodes.tracker.sampling.medoids import distance_sum, kmedoids
from stream.arrays import Array
from stream.errors import ConfigError
from tools.goldens.folder_weights import Weights
from tools.goldens.recorded_choices import TorchSource
from tools.goldens.rows import Golden, Row, differing, farthest, relative, unpack

TIES = 0.01  # medoids may differ where pixels tie for the start; then their distance sum counts
EDGE_POINTS = 8  # the goldens' n in edge cases


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """One row or more of every rule and number of points."""
    golden = Golden(path)
    seed = weights.query_seed(golden)
    height, width = golden["mask_shape"].tolist()
    mask, image = unpack(golden["mask_packed"], (height, width)), golden["image"]
    rows = []
    for name in golden:
        case, _, value = name.partition("/")
        rule, _, number = case.rpartition("_")
        if case == "edge_empty":
            points = _draw(value, np.zeros_like(mask), image, EDGE_POINTS, seed)
            rows.append(differing(f"{name}: points", len(points), np.count_nonzero(golden[name])))  # theirs are (0, 0)
        elif case == "edge_three_px":
            few = np.zeros_like(mask)
            x, y = golden[f"{case}/random"].astype(int).T
            few[y, x] = 1
            rows += _points(name, value, few, image, golden[name], seed)
        elif rule == "mixed_neg":
            rows += _points(case, "mixed", 1 - mask, image, golden[name], seed)
        elif rule == "erode" and value == "mask_packed":
            rows.append(differing(f"{case}, px", rules.erode(mask, float(number)), unpack(golden[name], mask.shape)))
        elif rule == "kmedoids" and value == "points_xy":
            rows += _kmedoids(golden, case, mask, int(number), seed)
        elif value == "points_xy":
            rows += _points(case, rule, mask, image, golden[name], seed)
    return rows


def _kmedoids(golden: Golden, case: str, mask: Array, k: int, seed: int) -> list[Row]:
    pixels = _clustered(mask, seed)
    medoids = kmedoids(pixels, k)
    ours, theirs = distance_sum(pixels[medoids], pixels), float(golden[f"{case}/inertia"])
    rows = [
        differing(f"{case}: pixels clustered", pixels[:, ::-1], golden[f"{case}/pixels_yx"]),
        relative(f"{case}: distance sum", ours, theirs, TIES),
    ]
    if np.array_equal(medoids, golden[f"{case}/medoid_indices"]):
        points = rules.by_kmedoids(mask, k, TorchSource(seed))
        rows.append(farthest(f"{case}, px", points, golden[f"{case}/points_xy"], 0.0))
    return rows


def _points(case: str, rule: str, mask: Array, image: Array, golden: Array, seed: int) -> list[Row]:
    """What a rule draws; where it clusters a part, that part by its distance sum."""
    points, n = _draw(rule, mask, image, len(golden), seed), len(golden)
    if rule == "mixed":
        medoids, strong = n // 4, n // 4 + n // 3
        return [
            *_distance_sum(f"{case}: medoids", mask, points[:medoids], golden[:medoids], seed),
            *_corners(case, mask, image, points[medoids:strong], golden[medoids:strong], seed),
            farthest(f"{case}: random, px", points[strong:], golden[strong:], 0.0),
        ]
    if rule == "shi_tomasi" and np.count_nonzero(mask) >= n:
        return _corners(case, mask, image, points, golden, seed)
    return [farthest(f"{case}, px", points, golden, 0.0)]


def _corners(case: str, mask: Array, image: Array, points: Array, golden: Array, seed: int) -> list[Row]:
    """Corners as they are, and the medoids that fill them up."""
    n = len(rules.corners(mask, image, len(golden)))
    rows = [farthest(f"{case}: corners, px", points[:n], golden[:n], 0.0)] if n else []
    return rows + _distance_sum(f"{case}: medoids for corners", mask, points[n:], golden[n:], seed)


def _distance_sum(case: str, mask: Array, points: Array, golden: Array, seed: int) -> list[Row]:
    if points.shape != golden.shape:
        return [differing(case, points, golden)]
    if not len(golden):
        return []
    pixels = _clustered(mask, seed)
    return [relative(f"{case}, distance sum", distance_sum(points, pixels), distance_sum(golden, pixels), TIES)]


def _clustered(mask: Array, seed: int) -> Array:
    """(P, 2): the pixels that k-medoids takes, the first that are drawn."""
    return rules.by_random(mask, min(rules.KMEDOIDS_SUBSET, int(np.count_nonzero(mask))), TorchSource(seed))


def _draw(rule: str, mask: Array, image: Array, n: int, seed: int) -> Array:
    source = TorchSource(seed)
    if rule == "random":
        return rules.by_random(mask, n, source)
    if rule == "kmedoids":
        return rules.by_kmedoids(mask, n, source)
    if rule == "shi_tomasi":
        return rules.by_shi_tomasi(mask, image, n, source)
    if rule == "mixed":
        return rules.by_mixed(mask, image, n, source)
    raise ConfigError(f"the golden file names a rule {rule!r}; known: random, kmedoids, shi_tomasi, mixed")
