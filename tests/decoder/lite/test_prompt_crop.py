"""Crops of a frame: the way there and back, and from one to another."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.lite.prompts.prompt_crop import MAX_LOGIT, PromptCrop, spread_clicks

RGB = np.zeros((400, 600, 3), np.uint8)


def slope(crop: PromptCrop) -> np.ndarray:
    """(h, w) float32: a hundredth of each working px's x in the frame, plus a fiftieth of its y."""
    rows, columns = np.mgrid[: crop.h, : crop.w]
    x, y = crop.crop_to_frame_xy(np.stack([columns, rows], axis=-1).astype(np.float32)).transpose(2, 0, 1)
    return (x / 100 - y / 50).astype(np.float32)


def test_the_way_into_a_crop_is_the_way_out():
    crop = PromptCrop(RGB, 50, 20, 560, 390)
    assert crop.factor > 1
    xy = np.array([[60, 30], [300.5, 200.25]], np.float32)
    assert crop.crop_to_frame_xy(crop.frame_to_crop_xy(xy)) == pytest.approx(xy, abs=1e-3)


@pytest.mark.parametrize("other", [(0, 0, 600, 400), (150, 90, 480, 330), (220, 150, 300, 250)])
def test_logits_of_another_crop_are_taken_where_they_lie_in_the_frame(other):
    crop, other = PromptCrop(RGB, 200, 120, 420, 310), PromptCrop(RGB, *other)
    taken, wanted = crop.take_logits(other, slope(other)), slope(crop)
    rows, columns = np.mgrid[: crop.h, : crop.w]
    at = other.frame_to_crop_xy(crop.crop_to_frame_xy(np.stack([columns, rows], axis=-1).astype(np.float32)))
    inside = (at >= 1).all(axis=-1) & (at <= [other.w - 2, other.h - 2]).all(axis=-1)
    beyond = (at < -1).any(axis=-1) | (at > [other.w, other.h]).any(axis=-1)
    assert taken[inside] == pytest.approx(wanted[inside], abs=0.02)
    assert (taken[beyond] == -MAX_LOGIT).all()
    assert inside.any()


def test_no_answer_outvotes_the_others():
    crop = PromptCrop(RGB, 200, 120, 420, 310)
    assert crop.take_logits(crop, np.full((crop.h, crop.w), 99, np.float32)).max() == MAX_LOGIT


@pytest.mark.parametrize("count", [1, 4, 50])
def test_clicks_are_spread_over_a_mask_and_the_same_each_time(count):
    inside = np.zeros((40, 60), bool)
    inside[5:10, 5:10] = inside[30:35, 50:55] = True
    clicks = spread_clicks(inside, count)
    assert len(clicks) == min(count, 50)
    x, y = clicks.astype(int).T
    assert inside[y, x].all()
    assert np.array_equal(clicks, spread_clicks(inside, count))
    if count > 1:  # both parts have some
        assert (x < 20).any()
        assert (x > 40).any()
