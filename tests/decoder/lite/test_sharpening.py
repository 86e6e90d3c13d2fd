"""Logits at working size become logits at the frame's size, whose outline follows the frame's detail."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from nodes.decoder.lite.sharpening import LARGER, MOST_LOGIT, enlarge_logits
from nodes.decoder.lite.view import View, make_view, shrink_mask

SIZE = (240, 320)
WINDOW = (20, 10, 280, 210)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A frame with a bright comb on a dark, slightly noisy ground; its true mask."""
    truth = np.zeros(SIZE, np.uint8)
    cv2.rectangle(truth, (80, 60), (240, 120), 1, -1)
    for x in range(80, 240, 24):
        cv2.rectangle(truth, (x, 120), (x + 9, 170), 1, -1)
    noise = np.random.default_rng(0).integers(0, 12, (*SIZE, 3))
    return (np.where(truth[..., None] > 0, (200, 170, 60), (40, 60, 90)) + noise).astype(np.uint8), truth


def small_logits(view: View, truth: np.ndarray) -> np.ndarray:
    """What a model that sees no more than the working size makes of a true mask."""
    return np.asarray(8 * cv2.GaussianBlur(shrink_mask(truth, view), (0, 0), 1.0) - 4, np.float32)


def iou(logits: np.ndarray, truth: np.ndarray) -> float:
    x, y, width, height = WINDOW
    true, inside = truth[y : y + height, x : x + width] > 0, logits > 0
    return float((true & inside).sum() / (true | inside).sum())


@pytest.mark.parametrize("working_px", [6000, 3000])
def test_an_outline_follows_the_detail_of_the_frame(working_px):
    rgb, truth = scene()
    view = make_view(rgb, WINDOW, working_px)
    logits = small_logits(view, truth)
    plain = cv2.resize(logits, WINDOW[2:], interpolation=cv2.INTER_LINEAR)
    sharp = enlarge_logits(logits, view, rgb)
    assert sharp.shape == plain.shape
    assert sharp.dtype == np.float32
    assert 1 - iou(sharp, truth) < 0.7 * (1 - iou(plain, truth))
    assert np.abs(sharp - plain).max() <= MOST_LOGIT + 1e-4


def test_a_frame_without_detail_moves_no_outline():
    flat, (_, truth) = np.full((*SIZE, 3), 90, np.uint8), scene()
    view = make_view(flat, WINDOW, 6000)
    logits = small_logits(view, truth)
    plain = cv2.resize(logits, WINDOW[2:], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(enlarge_logits(logits, view, flat), plain, atol=1e-4)


def test_a_window_at_its_own_size_is_left_as_it_is():
    rgb, truth = scene()
    view = make_view(rgb, (60, 40, 100, 80))
    logits = small_logits(view, truth)
    assert enlarge_logits(logits, view, rgb) is logits


def test_a_frame_that_may_not_be_written_to_is_read_as_any_other():
    rgb, truth = scene()
    view = make_view(rgb, WINDOW, 6000)
    logits = small_logits(view, truth)
    before = enlarge_logits(logits, view, rgb)
    rgb.flags.writeable = False
    np.testing.assert_array_equal(enlarge_logits(logits, view, rgb), before)


def test_noise_of_a_frame_much_larger_than_the_working_size_tears_no_hole():
    random = np.random.default_rng(1)
    rgb, truth = random.integers(0, 256, (1200, 1600, 3)).astype(np.uint8), np.zeros((1200, 1600), np.uint8)
    truth[300:900, 400:1200] = 1
    view = make_view(rgb, (200, 100, 1200, 1000), 3000)
    assert view.size[0] * LARGER < 1000
    logits = small_logits(view, truth)
    sharp = enlarge_logits(logits, view, rgb)
    plain = cv2.resize(logits, (1200, 1000), interpolation=cv2.INTER_LINEAR)
    assert sharp.shape == plain.shape
    assert ((sharp > 0) != (plain > 0)).mean() < 0.01
