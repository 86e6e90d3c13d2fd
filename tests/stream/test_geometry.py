from __future__ import annotations

import numpy as np
import pytest

from stream.geometry import IDENTITY, apply, compose, inverse, rescaling, resize_mask, scale_of

RNG = np.random.default_rng(0)
TURN = np.array([[1.2, -0.5, 3], [0.5, 1.2, -7]])
XY = RNG.uniform(-20, 300, (50, 2))


def test_a_map_and_its_inverse_lead_back():
    assert apply(inverse(TURN), apply(TURN, XY)) == pytest.approx(XY)
    assert compose(inverse(TURN), TURN) == pytest.approx(IDENTITY, abs=1e-12)


def test_composing_is_applying_one_after_the_other():
    shift = np.array([[1.0, 0, 5], [0, 1, 9]])
    assert apply(compose(TURN, shift), XY) == pytest.approx(apply(TURN, apply(shift, XY)))


def test_the_scale_of_a_similarity_is_how_much_it_enlarges():
    assert scale_of(TURN) == pytest.approx(1.3)


@pytest.mark.parametrize(
    ("old", "new"), [((360, 640), (480, 854)), ((1080, 1920), (360, 640)), ((100, 100), (100, 100))]
)
def test_rescaling_there_and_back_leads_back(old, new):
    assert apply(rescaling(new, old), apply(rescaling(old, new), XY)) == pytest.approx(XY)
    corners = np.array([[-0.5, -0.5], [old[1] - 0.5, old[0] - 0.5]])
    assert apply(rescaling(old, new), corners) == pytest.approx(np.array([[-0.5, -0.5], [new[1] - 0.5, new[0] - 0.5]]))


def test_a_mask_enlarged_and_reduced_by_a_whole_number_is_the_same():
    mask = (RNG.random((9, 13)) > 0.5).astype(np.uint8)
    assert np.array_equal(resize_mask(resize_mask(mask, (27, 39)), (9, 13)), mask)
    assert resize_mask(mask, (9, 13)) is mask
