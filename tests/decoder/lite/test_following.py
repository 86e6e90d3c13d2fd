"""What an object's step takes in again where a part of it was missing from its mask, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.lite.textured_square import SIDE, SIZE, draw

from nodes.decoder.lite.following import follow
from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.object_memory import ObjectMemory
from nodes.decoder.lite.poses import similarity_about
from nodes.decoder.lite.view import make_view, shrink_mask

MIDDLE = (SIZE[1] - SIDE) // 2
POLE = slice(MIDDLE + 10, MIDDLE + 35)  # columns that hide half of the square


def frame(i: int) -> tuple[np.ndarray, np.ndarray]:
    """The square a px further to the right on each frame, behind a pole; and what shows of it."""
    rgb, mask = draw(MIDDLE + i)
    rgb[:, POLE], mask[:, POLE] = 70, 0
    return rgb, mask


def test_what_comes_out_on_the_other_side_of_a_pole_is_taken_in_though_nothing_of_the_mask_is_there():
    memory = ObjectMemory.from_mask(*draw(MIDDLE))
    (rgb, seen), (later, truth) = frame(0), frame(1)
    beyond = np.arange(SIZE[1]) >= POLE.stop
    known = seen * ~beyond
    memory.store_mask(view := make_view(rgb, (0, 0, *SIZE[::-1])), shrink_mask(known, view))
    estimate = follow(memory, FrameAnalysis(later, FrameAnalysis(rgb, None).gray))
    assert estimate is not None
    shown = shrink_mask(truth * beyond, estimate.view) > 0.9
    assert shown.any()
    assert (estimate.soft_mask[shown] > 0.5).mean() > 0.8


@pytest.mark.parametrize(
    ("x", "part", "in_sight"),
    [(MIDDLE, 1.0, 1.0), (-SIDE // 2, 0.5, 1.0), (MIDDLE, 1.0, 0.5)],
    ids=["whole", "half of it has left the frame", "half of it is hidden"],
)
def test_what_should_be_in_sight_is_what_should_be_in_the_frame(x, part, in_sight):
    memory = ObjectMemory.from_mask(*draw(MIDDLE))
    rgb, mask = draw(x)
    if in_sight < 1:
        mask[:, MIDDLE : MIDDLE + SIDE // 2] = 0
    memory.store_mask(view := make_view(rgb, (0, 0, *SIZE[::-1]), 10**6), shrink_mask(mask, view))
    memory.move_to(np.array([[1, 0, x - MIDDLE], [0, 1, 0]], float))
    expected = memory.expect(SIZE)
    assert expected.in_frame == pytest.approx(part)
    assert expected.in_sight == pytest.approx(in_sight)


def test_a_pose_that_has_drifted_does_not_make_a_part_missing_for_ever():
    memory = ObjectMemory.from_mask(*draw(MIDDLE))
    memory.move_to(similarity_about(memory.middle, 0.0, 1.2, np.zeros(2)))
    before = memory.place.box(memory.pose)
    assert memory.expect(SIZE).in_sight == pytest.approx(1 / 1.2**2, rel=0.05)
    for _ in range(700):
        memory.adapt(5)
    assert memory.expect(SIZE).in_sight == pytest.approx(1, rel=0.05)
    assert memory.place.box(memory.pose)[2] < before[2]


def test_an_object_that_is_hidden_for_a_while_is_not_taken_as_smaller():
    memory = ObjectMemory.from_mask(*draw(MIDDLE))
    rgb, mask = draw(MIDDLE)
    mask[:, POLE.start :] = 0
    memory.store_mask(view := make_view(rgb, (0, 0, *SIZE[::-1]), 10**6), shrink_mask(mask, view))
    for _ in range(20):
        memory.adapt(5)
    assert memory.place.growth == 1
