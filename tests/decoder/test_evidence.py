"""Points that speak for a mask or against it."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.evidence import contradicted
from stream.messages import ObjectTrack

WINDOW = (10, 20, 30, 15)  # x, y, width, height
FULL = np.ones((15, 30), np.uint8)
INSIDE, OUTSIDE = (12.4, 21.0), (9.4, 21.0)  # the left edge of the window is at 9.5


def track(*points) -> ObjectTrack:
    """Of (x, y), label, visibility."""
    return ObjectTrack(
        object_id=1,
        xy=np.array([xy for xy, _, _ in points], np.float32).reshape(-1, 2),
        labels=np.array([label for _, label, _ in points], np.uint8),
        visibility=np.array([seen for _, _, seen in points], np.float32),
    )


@pytest.mark.parametrize(
    ("points", "against"),
    [
        ([], False),
        ([(INSIDE, 1, 1.0), (OUTSIDE, 0, 1.0)], False),
        ([(OUTSIDE, 1, 1.0), (OUTSIDE, 1, 1.0), (INSIDE, 1, 1.0)], True),  # most positives miss it
        ([(OUTSIDE, 1, 0.2), (OUTSIDE, 1, 0.2), (INSIDE, 1, 1.0)], False),  # but these are hidden
        ([(INSIDE, 1, 1.0), (INSIDE, 0, 1.0)], True),  # it has flooded what was put outside
        ([(INSIDE, 1, 1.0), (INSIDE, 0, 1.0), (OUTSIDE, 0, 1.0)], False),  # one of two has slid onto it
        ([(INSIDE, 1, 1.0), (INSIDE, 0, 0.3)], False),
    ],
)
def test_visible_points_speak_for_a_mask_or_against_it(points, against):
    assert contradicted(track(*points), WINDOW, FULL) == against


def test_a_point_in_a_hole_of_the_mask_is_not_on_it():
    mask = FULL.copy()
    mask[:3, :5] = 0
    assert contradicted(track((INSIDE, 1, 1.0)), WINDOW, mask)
    assert not contradicted(track((INSIDE, 0, 1.0)), WINDOW, mask)


def test_a_mask_of_the_whole_frame_floods_the_negative_points():
    points = [((20 + 5 * i, 30), 1, 1.0) for i in range(8)] + [((90, 90), 0, 1.0)]
    assert contradicted(track(*points), (0, 0, 120, 100), np.ones((100, 120), np.uint8))


def test_an_empty_mask_is_contradicted_by_a_visible_positive_point():
    assert contradicted(track((INSIDE, 1, 1.0)), (0, 0, 0, 0), np.zeros((0, 0), np.uint8))
