"""Query points: how many, where, and what happens at the edges of the rules."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.tracker.sampling import query_points
from nodes.tracker.sampling.query_points import SeededSource


def disc(radius: int = 20, size: tuple[int, int] = (80, 100)) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return ((x - 50) ** 2 + (y - 40) ** 2 <= radius**2).astype(np.uint8)


def picture(size: tuple[int, int] = (80, 100)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)


def draw(rule: str, mask: np.ndarray, n: int, seed: int = 72) -> np.ndarray:
    source = SeededSource(seed)
    if rule == "positives":
        return query_points.draw_positives(mask, n, source)
    if rule == "negatives":
        return query_points.draw_negatives(1 - mask, picture(mask.shape), n, source)
    if rule == "random":
        return query_points.by_random(mask, n, source)
    return query_points.by_shi_tomasi(mask, picture(mask.shape), n, source)


class InOrderSource:
    """Chooses the first numbers in order, and records how many of how many."""

    def __init__(self) -> None:
        self.choices: list[tuple[int, int]] = []

    def first(self, n: int, k: int) -> np.ndarray:
        self.choices.append((n, k))
        return np.arange(k)


RULES = ["positives", "negatives", "random", "shi_tomasi"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [1, 8, 16])
def test_every_rule_draws_as_many_points_as_asked_for_and_all_inside_the_mask(rule, n):
    mask = disc()
    xy = draw(rule, mask, n)
    assert xy.shape == (n, 2)
    assert xy.dtype == np.float32
    assert all(mask[int(y), int(x)] for x, y in xy)


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_mask_gives_no_points(rule):
    assert draw(rule, np.zeros((80, 100), np.uint8), 8).shape == (0, 2)


@pytest.mark.parametrize("rule", RULES)
def test_fewer_pixels_than_points_are_repeated(rule):
    mask = np.zeros((80, 100), np.uint8)
    mask[10, 20:23] = 1
    xy = draw(rule, mask, 8)
    assert xy.shape == (8, 2)
    assert {tuple(p) for p in xy} == {(20.0, 10.0), (21.0, 10.0), (22.0, 10.0)}


@pytest.mark.parametrize("rule", RULES)
def test_as_many_pixels_as_points_are_each_taken_once(rule):
    mask = np.zeros((80, 100), np.uint8)
    mask[10, 20:22] = 1
    assert sorted(map(tuple, draw(rule, mask, 2).tolist())) == [(20.0, 10.0), (21.0, 10.0)]


@pytest.mark.parametrize("rule", RULES)
def test_the_same_seed_draws_the_same_points_and_another_seed_others(rule):
    assert np.array_equal(draw(rule, disc(), 8), draw(rule, disc(), 8))
    if rule != "shi_tomasi":
        assert not np.array_equal(draw(rule, disc(), 8), draw(rule, disc(), 8, seed=1))


def test_no_points_are_drawn_when_none_are_asked_for():
    assert draw("negatives", disc(), 0).shape == (0, 2)


def test_corners_are_found_inside_and_not_on_the_edge_of_the_mask():
    rgb = np.zeros((80, 100, 3), np.uint8)
    rgb[disc() == 1] = 120  # the mask's own outline is the strongest edge of all
    rgb[30:50, 40:60] = 250
    xy = query_points.by_shi_tomasi(disc(), rgb, 4, SeededSource(0))
    corners = np.array([[40, 30], [40, 49], [59, 30], [59, 49]])
    assert all(np.abs(xy - corner).max(axis=1).min() <= 1 for corner in corners)


def test_a_plain_mask_without_corners_is_filled_by_medoids():
    rgb = np.full((80, 100, 3), 90, np.uint8)
    assert query_points.by_shi_tomasi(disc(), rgb, 5, SeededSource(0)).shape == (5, 2)


def test_the_mixed_rule_holds_its_shares():
    counts = {1: (0, 0, 1), 8: (2, 2, 4), 16: (4, 5, 7), 72: (18, 24, 30)}
    for n, (clustered, corners, rest) in counts.items():
        assert (n // 4, n // 3, n - n // 4 - n // 3) == (clustered, corners, rest)
        assert query_points.by_mixed(disc(), picture(), n, SeededSource(0)).shape == (n, 2)


def test_a_generator_gives_the_points_of_a_source_that_was_seeded_alike():
    rng = np.random.default_rng([72, 3, 8])
    assert np.array_equal(
        query_points.draw_positives(disc(), 8, rng), query_points.draw_positives(disc(), 8, SeededSource(72, 3, 8))
    )


def test_a_large_mask_is_clustered_by_a_subset_and_missing_corners_by_a_larger_one():
    large = np.ones((80, 100), np.uint8)
    plain = np.full((80, 100, 3), 90, np.uint8)
    source = InOrderSource()
    query_points.by_kmedoids(large, 4, source)
    query_points.by_shi_tomasi(large, plain, 4, source)
    query_points.by_kmedoids(disc(), 4, source)
    pixels = int(disc().sum())
    assert source.choices == [(8000, 1800), (8000, 2000), (pixels, pixels)]


def test_nothing_is_chosen_at_random_where_corners_are_enough():
    source = InOrderSource()
    query_points.by_shi_tomasi(disc(), picture(), 4, source)
    assert source.choices == []


def test_a_negative_corner_may_lie_at_the_border_of_the_frame():
    rgb = np.full((80, 100, 3), 90, np.uint8)
    rgb[:2, 60:62] = 250
    mask = np.zeros((80, 100), np.uint8)
    mask[30:50, 40:60] = 1
    [[x, y]] = query_points.corners(1 - mask, rgb, 1)
    assert y <= 3
    assert 58 <= x <= 63


def test_a_mask_is_eroded_less_where_little_of_it_would_be_left():
    thin = np.zeros((80, 100), np.uint8)
    thin[40:44, 5:95] = 1  # 6 % of its diagonal are 5 px, more than it is thick
    assert not query_points.erode(thin, 0.06).any()
    assert query_points.erode(thin, 0.02).sum() > 10
    assert len(query_points.corners(thin, picture(), 4)) > 0


def test_every_rule_draws_the_golden_points(golden):
    pytest.importorskip("torch", reason="the golden points were drawn by its generator")
    from tools.goldens.folder_weights import Weights
    from tools.goldens.query_points import compare

    for file in golden.glob("query_points_*.npz"):
        rows = compare(file, golden, Weights(golden))
        assert len(rows) > 30
        assert [row for row in rows if not row.ok] == []
