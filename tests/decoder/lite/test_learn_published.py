"""What a published mask leaves of an object's own soft mask: what another object took is no longer its."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.lite.textured_square import SIZE, draw

from nodes.decoder.lite.following import MaskEstimate, learn_published
from nodes.decoder.lite.object_memory import ObjectMemory
from nodes.decoder.lite.view import View, make_view, shrink_mask
from nodes.decoder.mask_model import Verdict

RGB, TRUTH = draw(80.0)
LEFT_HALF = np.zeros(SIZE, bool)
LEFT_HALF[:, :105] = True
SCATTERED = np.zeros(SIZE, bool)
SCATTERED[::2, ::2] = True


def view_of(working_px: int) -> View:
    return make_view(RGB, (50, 20, 110, 110), working_px)


def soft_mask_of(view: View) -> np.ndarray:
    return 0.05 + 0.9 * shrink_mask(TRUTH, view)


def soft_mask_after(published: np.ndarray, view: View, claimed: np.ndarray = TRUTH > 0) -> np.ndarray:
    """The object's soft mask, once `published` was shown of the mask that it claimed."""
    memory, soft_mask = ObjectMemory.from_mask(RGB, TRUTH), soft_mask_of(view)
    x, y, width, height = view.window
    claim = claimed[y : y + height, x : x + width]
    estimate = MaskEstimate(view, np.log(soft_mask / (1 - soft_mask)), soft_mask, claim=claim)
    learn_published(memory, estimate, Verdict(published.astype(np.uint8), False, False), 1)
    return memory.soft_mask


@pytest.mark.parametrize("working_px", [13_000, 3_000])
def test_a_part_that_another_object_took_is_not_its_any_more(working_px):
    view = view_of(working_px)
    soft_mask = soft_mask_after((TRUTH > 0) & ~LEFT_HALF, view)
    assert not (soft_mask[shrink_mask(TRUTH * LEFT_HALF, view) > 0.99] > 0.5).any()
    assert (soft_mask[shrink_mask(TRUTH * ~LEFT_HALF, view) > 0.99] > 0.5).all()


def test_single_pixels_that_another_took_are_left_to_both():
    view = view_of(3_000)
    np.testing.assert_array_equal(soft_mask_after((TRUTH > 0) & ~SCATTERED, view), soft_mask_after(TRUTH > 0, view))


def test_what_it_did_not_claim_itself_is_not_taken_from_it():
    view = view_of(3_000)
    claim = (TRUTH > 0) & ~SCATTERED  # the picture's detail was against the others
    np.testing.assert_array_equal(soft_mask_after(claim, view, claim), soft_mask_of(view))
