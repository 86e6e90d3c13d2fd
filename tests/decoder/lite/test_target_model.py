"""What an object looks like beside its surroundings: told by more than a pixel's own colour, kept, and adapted."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.lite import kernels
from nodes.decoder.lite.target_model import FEATURES, MOST_FOR, MOST_FOR_MISSING, TargetModel, describe
from nodes.decoder.lite.view import View, make_view

SIZE = (90, 110)
BOX = (slice(25, 65), slice(30, 80))
TRUTH = np.zeros(SIZE, np.float32)
TRUTH[BOX] = 1


def view_of(picture: np.ndarray) -> View:
    return make_view(np.repeat(picture[..., None], 3, axis=2).astype(np.uint8), (0, 0, SIZE[1], SIZE[0]))


def stripes(*, along: int, beside: int, offset: int = 0) -> View:
    """Grey stripes, 6 px from one to the next, that run along an axis in the object and along another beside it."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    waves = [128 + 60 * np.sin(2 * np.pi * (axis + offset) / 6) for axis in (rows, columns)]
    return view_of(np.where(TRUTH > 0, waves[along], waves[beside]))


def iou(logits: np.ndarray) -> float:
    inside, true = logits > 0, TRUTH > 0.5
    return float((inside & true).sum() / (inside | true).sum())


def test_an_object_is_told_by_its_texture_where_its_colours_are_those_of_the_background():
    model = TargetModel(stripes(along=0, beside=1), TRUTH)
    assert iou(model(stripes(along=0, beside=1, offset=2))) > 0.85
    assert iou(model(stripes(along=1, beside=0))) < 0.05


def test_what_cannot_be_told_apart_gets_small_answers():
    random = np.random.default_rng(0)
    noise = [view_of(random.integers(0, 256, SIZE)) for _ in range(2)]
    model, sure = TargetModel(noise[0], TRUTH), TargetModel(stripes(along=0, beside=1), TRUTH)
    for _ in range(2):
        model.adapt(noise[1], TRUTH)
        sure.adapt(stripes(along=0, beside=1, offset=1), TRUTH)
    unseen = view_of(random.integers(0, 256, SIZE))
    assert np.abs(model(unseen)).mean() < 0.25 * np.abs(sure(stripes(along=0, beside=1))).mean()


def test_a_new_look_is_learnt_and_the_first_one_is_kept():
    first, later = stripes(along=0, beside=1), view_of(np.where(TRUTH > 0, 220, 60))
    model = TargetModel(first, TRUTH)
    before = iou(model(later))
    for _ in range(30):
        model.adapt(later, TRUTH, 4)
    assert iou(model(later)) > max(0.9, before)
    assert iou(model(first)) > 0.8


def test_a_mask_that_is_nowhere_sure_teaches_nothing():
    model = TargetModel(stripes(along=0, beside=1), TRUTH)
    before = model(stripes(along=0, beside=1))
    for _ in range(2):
        model.adapt(stripes(along=1, beside=0), 0.55 * TRUTH)
    np.testing.assert_array_equal(model(stripes(along=0, beside=1)), before)


@pytest.mark.parametrize("mask", [np.zeros(SIZE, np.float32), np.ones(SIZE, np.float32)])
def test_a_mask_of_one_side_alone_gives_finite_answers(mask):
    view = stripes(along=0, beside=1)
    model = TargetModel(view, mask)
    model.adapt(view, mask)
    assert np.isfinite(model(view)).all()


def test_two_models_of_the_same_frames_answer_the_same():
    answers = []
    for _ in range(2):
        model = TargetModel(stripes(along=0, beside=1), TRUTH)
        for offset in range(2):
            model.adapt(stripes(along=0, beside=1, offset=offset), TRUTH)
        answers.append(model(stripes(along=0, beside=1)))
    np.testing.assert_array_equal(*answers)


def test_features_are_of_every_pixel_and_the_first_are_its_colours():
    view = stripes(along=0, beside=1)
    features = describe(view.lab)
    assert features.shape == (FEATURES, SIZE[0] * SIZE[1])
    np.testing.assert_array_equal(features[:3], view.lab.reshape(-1, 3).T)


@pytest.mark.parametrize("count", [1, 256, 700])
def test_the_compiled_loop_weighs_as_its_formula_says(count):
    random = np.random.default_rng(count)
    features, weights, bias, shares = (
        random.normal(size=shape).astype(np.float32) for shape in ((FEATURES, count), (4, FEATURES), 4, 4)
    )
    out = np.empty(count, np.float32)
    kernels.weigh_rectified(features, weights, bias, shares, 0.5, out)
    np.testing.assert_allclose(
        out, 0.5 + shares @ np.maximum(weights @ features + bias[:, None], 0), rtol=1e-4, atol=1e-4
    )


def test_more_is_said_for_a_pixel_where_a_part_of_the_object_is_missing_and_no_less_against_one():
    view = stripes(along=0, beside=1)
    model = TargetModel(view, TRUTH)
    whole, partly, missing = (model(view, share) for share in (0.0, 0.5, 1.0))
    for_it, against = whole > 0, whole < 0
    assert (whole[for_it].max(), missing.max()) == pytest.approx((MOST_FOR, MOST_FOR_MISSING))
    assert (partly[for_it] > whole[for_it]).all()
    assert (missing[for_it] > partly[for_it]).all()
    np.testing.assert_array_equal(missing[against], whole[against])
