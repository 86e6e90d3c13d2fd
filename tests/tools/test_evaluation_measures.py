"""J, F and their statistics: the published code's own numbers, and cases that can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stream.arrays import Array
from tools.evaluation.measures import contour, contour_accuracy, disk, region_similarity, score_masks, statistics

SIZE = (480, 854)  # contours agree within 8 px here


def square(x: int, y: int, side: int = 100) -> Array:
    mask = np.zeros(SIZE, bool)
    mask[y : y + side, x : x + side] = True
    return mask


EMPTY, FULL = np.zeros(SIZE, bool), np.ones(SIZE, bool)


def test_every_number_is_that_of_the_published_davis_evaluation(golden: Path) -> None:
    z = np.load(golden / "davis_metrics_dog.npz")
    shape = tuple(z["shape"])
    truths, masks, voids = (
        np.unpackbits(z[f"{k}_packed"], count=np.prod(shape)).reshape(shape).astype(bool)
        for k in ("gt", "pred", "void")
    )
    plain = np.array([score_masks(t, m) for t, m in zip(truths, masks, strict=True)])
    with_void = np.array([score_masks(t, m, v) for t, m, v in zip(truths, masks, voids, strict=True)])
    narrow = [contour_accuracy(t, m, 1) for t, m in zip(truths, masks, strict=True)]
    np.testing.assert_allclose(plain.T, [z["J"], z["F"]], atol=1e-6)
    np.testing.assert_allclose(with_void.T, [z["J_void"], z["F_void"]], atol=1e-6)
    np.testing.assert_allclose(narrow, z["F_bound1px"], atol=1e-6)
    for values, expected in zip(plain.T, (z["J_stats"], z["F_stats"]), strict=True):
        s = statistics(values)
        np.testing.assert_allclose([s.mean, s.recall, s.decay], expected, atol=1e-6)


def test_the_golden_comparison_finds_a_number_that_is_off(golden: Path, tmp_path: Path) -> None:
    from tools.goldens.davis_metrics import compare

    file = golden / "davis_metrics_dog.npz"
    assert all(row.ok for row in compare(file, golden, None))  # type: ignore[arg-type]
    arrays = dict(np.load(file))
    arrays["F"] = arrays["F"] + 2e-6
    np.savez(tmp_path / "davis_metrics_off.npz", **arrays)
    wrong = [row.quantity for row in compare(tmp_path / "davis_metrics_off.npz", tmp_path, None) if not row.ok]  # type: ignore[arg-type]
    assert wrong == ["F"]


@pytest.mark.parametrize("mask", [square(200, 100), EMPTY, FULL])
def test_identical_masks_agree_fully(mask: Array) -> None:
    assert score_masks(mask, mask) == (1.0, 1.0)


@pytest.mark.parametrize("d", [0, 1, 8, 50, 100])
def test_a_square_shifted_by_d_keeps_100_minus_d_of_100_plus_d(d: int) -> None:
    assert region_similarity(square(200, 100), square(200 + d, 100)) == (100 - d) / (100 + d)


def test_contours_agree_up_to_the_radius_and_no_further() -> None:
    assert contour_accuracy(square(200, 100), square(208, 100)) == 1.0
    # 9 px: the left and the right side miss but for their ends; both contours have 4 * 100 px
    assert 0.5 < contour_accuracy(square(200, 100), square(209, 100)) < 0.6


def test_empty_against_full_is_nothing_and_against_empty_all() -> None:
    assert score_masks(EMPTY, EMPTY) == (1.0, 1.0)
    assert score_masks(EMPTY, FULL) == (0.0, 1.0)  # a mask that fills the frame has no contour either
    assert score_masks(FULL, EMPTY) == (0.0, 1.0)
    assert score_masks(square(9, 9), EMPTY) == (0.0, 0.0)
    assert score_masks(EMPTY, square(9, 9)) == (0.0, 0.0)


def test_void_pixels_count_neither_for_nor_against() -> None:
    truth, mask = square(200, 100), square(250, 100)
    void = np.zeros(SIZE, bool)
    void[:, 300:350] = True  # what the mask has beyond the truth
    assert score_masks(truth, mask, void)[0] == 0.5
    assert score_masks(truth, truth | void, void) == (1.0, 1.0)


def test_a_contour_lies_on_the_upper_left_of_each_change() -> None:
    mask = np.zeros((5, 6), bool)
    mask[2:4, 2:5] = True
    assert contour(mask).tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0],
        [0, 1, 0, 0, 1, 0],
        [0, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    assert contour(np.eye(3, dtype=bool)).tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 0]]


def test_the_disk_holds_what_lies_within_the_radius() -> None:
    assert disk(1).tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert disk(8).sum() == 197  # lattice points within 8 of the origin


def test_decay_is_the_first_quarter_minus_the_last_edges_in_both() -> None:
    s = statistics(np.array([1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.2, 0.2]))
    # quarters of 9 frames begin and end on frames 1, 3, 5, 7 and 9
    assert s.decay == pytest.approx(1 - (0.5 + 0.2 + 0.2) / 3)
    assert s.recall == pytest.approx(3 / 9)  # above a half, not at it
    assert statistics(np.array([0.7])).decay == 0.0
