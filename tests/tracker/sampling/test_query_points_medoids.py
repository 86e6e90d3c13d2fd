"""K-medoids: the medoids are those of the plain rule, whatever is skipped on the way."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.tracker.sampling.medoids import cheap_sums, distance_sum, kmedoids


def blob(pixels: int, seed: int = 0) -> np.ndarray:
    """(P, 2): distinct pixels, two clusters of different size."""
    rng = np.random.default_rng(seed)
    xy = np.concatenate([rng.normal((60, 50), (25, 8), (pixels, 2)), rng.normal((160, 90), 9, (pixels // 3, 2))])
    xy = np.unique(np.rint(xy), axis=0).astype(np.float32)
    rng.shuffle(xy)
    return xy


def line(pixels: int) -> np.ndarray:
    return np.stack([np.arange(pixels), np.full(pixels, 7)], axis=1).astype(np.float32)


def square(side: int) -> np.ndarray:
    return np.argwhere(np.ones((side, side))).astype(np.float32)


def plainly(xy: np.ndarray, k: int) -> np.ndarray:
    """The rule with a table of all distances."""
    gaps = np.linalg.norm(xy[:, None].astype(float) - xy, axis=-1)
    chosen = np.argsort(gaps.sum(axis=1), kind="stable")[:k]
    while True:
        cluster = np.argmin(gaps[chosen], axis=0)
        moved = chosen.copy()
        for i in range(k):
            members = np.flatnonzero(cluster == i)
            costs = gaps[np.ix_(members, members)].sum(axis=1)
            if costs.min() < costs[members == chosen[i]]:
                moved[i] = members[np.argmin(costs)]
        if np.array_equal(moved, chosen):
            return chosen
        chosen = moved


@pytest.mark.parametrize("k", [1, 3, 8, 18])
@pytest.mark.parametrize("pixels", [30, 200, 900])
def test_the_medoids_are_those_of_the_plain_rule(pixels, k):
    xy = blob(pixels, seed=k)
    assert kmedoids(xy, k).tolist() == plainly(xy, k).tolist()


def sums_of(xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points as complex numbers, and the sum of distances of each."""
    at = xy[:, 0] + 1j * xy[:, 1].astype(float)
    return at, np.abs(at[:, None] - at).sum(axis=1)


@pytest.mark.parametrize("xy", [blob(300), blob(1000), line(200), square(14)], ids=["blob", "large", "line", "square"])
@pytest.mark.parametrize("n", [1, 8, 40])
def test_the_n_smallest_sums_of_all_are_found(xy, n):
    at, sums = sums_of(xy)
    found = np.sort(cheap_sums(at, np.array([len(at)]), n))
    assert found[:n] == pytest.approx(np.sort(sums)[:n])


def test_clusters_are_summed_up_each_for_itself():
    parts = [square(3), blob(100), line(1), line(60) + 40]
    found = cheap_sums(sums_of(np.concatenate(parts))[0], np.array([len(p) for p in parts]), 1)
    ends = np.cumsum([len(p) for p in parts])[:-1]
    assert [f.min() for f in np.split(found, ends)] == pytest.approx([sums_of(p)[1].min() for p in parts])


def test_most_points_are_ruled_out_without_being_summed_up():
    at, _ = sums_of(square(40))
    assert np.isfinite(cheap_sums(at, np.array([len(at)]), 1)).sum() < 0.05 * len(at)


def test_two_clusters_get_a_medoid_each_and_it_is_their_middle():
    xy = np.array([[0, 0], [1, 0], [2, 0], [50, 0], [51, 0], [52, 0]], np.float32)
    assert sorted(kmedoids(xy, 2).tolist()) == [1, 4]
    assert distance_sum(xy[[1, 4]], xy) == 4


def test_as_many_medoids_as_points_are_all_of_them():
    assert sorted(kmedoids(square(3), 9).tolist()) == list(range(9))


def test_medoids_spread_over_the_pixels():
    y, x = np.nonzero(np.add.outer(np.arange(-20, 21) ** 2, np.arange(-20, 21) ** 2) <= 400)
    disc = np.stack([x, y], axis=1).astype(np.float32)
    at = disc[kmedoids(disc, 8)]
    gaps = np.linalg.norm(at[:, None] - at, axis=-1) + 1e3 * np.eye(8)
    assert gaps.min() > 6  # eight cells of a disc of radius 20 are about 12 px apart
