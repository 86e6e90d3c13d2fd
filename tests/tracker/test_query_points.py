"""Query points: how many, where, and what happens at the edges of the rules."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.tracker import query_points


def disc(radius: int = 20, size: tuple[int, int] = (80, 100)) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return ((x - 50) ** 2 + (y - 40) ** 2 <= radius**2).astype(np.uint8)


def picture(size: tuple[int, int] = (80, 100)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)


def draw(rule: str, mask: np.ndarray, n: int, seed: int = 72) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if rule == "positives":
        return query_points.draw_positives(mask, n, rng)
    if rule == "negatives":
        return query_points.draw_negatives(1 - mask, picture(mask.shape), n, rng)
    if rule == "random":
        return query_points.by_random(mask, n, rng)
    return query_points.by_shi_tomasi(mask, picture(mask.shape), n, rng)


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
def test_fewer_pixels_than_points_are_repeated_in_turn(rule):
    mask = np.zeros((80, 100), np.uint8)
    mask[10, 20:23] = 1
    xy = draw(rule, mask, 8)
    assert xy.shape == (8, 2)
    assert {tuple(p) for p in xy} == {(20.0, 10.0), (21.0, 10.0), (22.0, 10.0)}


@pytest.mark.parametrize("rule", RULES)
def test_the_same_seed_draws_the_same_points_and_another_seed_others(rule):
    assert np.array_equal(draw(rule, disc(), 8), draw(rule, disc(), 8))
    if rule != "shi_tomasi":
        assert not np.array_equal(draw(rule, disc(), 8), draw(rule, disc(), 8, seed=1))


def test_no_points_are_drawn_when_none_are_asked_for():
    assert draw("negatives", disc(), 0).shape == (0, 2)


def test_medoids_spread_over_the_mask():
    xy = draw("positives", disc(), 8)
    gaps = np.linalg.norm(xy[:, None] - xy[None], axis=-1) + 1e3 * np.eye(8)
    assert gaps.min() > 6  # eight cells of a disc of radius 20 are about 12 px apart


def test_two_clusters_get_a_medoid_each_and_it_is_their_middle():
    xy = np.array([[0, 0], [1, 0], [2, 0], [50, 0], [51, 0], [52, 0]], np.float32)
    assert sorted(query_points.kmedoids(xy, 2).tolist()) == [1, 4]


def test_corners_are_found_inside_and_not_on_the_edge_of_the_mask():
    rgb = np.zeros((80, 100, 3), np.uint8)
    rgb[disc() == 1] = 120  # the mask's own outline is the strongest edge of all
    rgb[30:50, 40:60] = 250
    xy = query_points.by_shi_tomasi(disc(), rgb, 4, np.random.default_rng(0))
    corners = np.array([[40, 30], [40, 49], [59, 30], [59, 49]])
    assert all(np.abs(xy - corner).max(axis=1).min() <= 1 for corner in corners)


def test_a_plain_mask_without_corners_is_filled_by_medoids():
    rgb = np.full((80, 100, 3), 90, np.uint8)
    assert query_points.by_shi_tomasi(disc(), rgb, 5, np.random.default_rng(0)).shape == (5, 2)


def test_the_mixed_rule_holds_its_shares():
    counts = {1: (0, 0, 1), 8: (2, 2, 4), 16: (4, 5, 7), 72: (18, 24, 30)}
    for n, (clustered, corners, rest) in counts.items():
        assert (n // 4, n // 3, n - n // 4 - n // 3) == (clustered, corners, rest)
        assert query_points.by_mixed(disc(), picture(), n, np.random.default_rng(0)).shape == (n, 2)
