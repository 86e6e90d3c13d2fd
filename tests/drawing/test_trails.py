"""Which points are the same ones as before, and how much of their way is remembered."""

from __future__ import annotations

import numpy as np
from renderer.box_masks import box_object, masks_of

from stream.drawing.trails import Trails
from stream.messages import Masks

SQUARE = [[10.0, 10], [40, 10], [10, 40], [40, 40]]


def square_at(dx: float, frame_id: int, visibility: float = 1.0, object_id: int = 1, session: int = 1) -> Masks:
    points = [[x + dx, y, 1, visibility] for x, y in SQUARE]
    return masks_of(box_object(object_id, points=points), frame_id=frame_id, session=session)


def lines(trails: Trails, object_id: int = 1) -> int:
    return sum(len(s) for s in trails.steps(object_id))


def test_each_step_holds_a_line_for_every_point():
    trails = Trails(12)
    for i in range(4):
        trails.step(square_at(3.0 * i, i))
    assert [len(s) for s in trails.steps(1)] == [0, 4, 4, 4]
    assert np.allclose(trails.steps(1)[-1][0], [[16, 10], [19, 10]])


def test_only_the_last_frames_are_remembered():
    trails = Trails(3)
    for i in range(50):
        trails.step(square_at(1.0 * i, i))
    assert [len(s) for s in trails.steps(1)] == [4, 4, 4]


def test_a_trail_of_length_0_remembers_nothing():
    trails = Trails(0)
    for i in range(5):
        trails.step(square_at(1.0 * i, i))
    assert trails.steps(1) == []


def test_points_drawn_anew_are_not_joined_to_the_old_ones_and_the_old_trail_stays():
    trails = Trails(12)
    for i in range(4):
        trails.step(square_at(1.0 * i, i))
    anew = [[33, 12, 1, 1], [15, 35, 1, 1], [28, 22, 1, 1], [12, 14, 1, 1]]
    trails.step(masks_of(box_object(points=anew), frame_id=4))
    assert [len(s) for s in trails.steps(1)] == [0, 4, 4, 4, 0]


def test_another_number_of_points_is_a_new_draw():
    trails = Trails(12)
    trails.step(square_at(0, 0))
    trails.step(masks_of(box_object(points=[[11, 10, 1, 1]]), frame_id=1))
    assert lines(trails) == 0


def test_a_single_point_that_leaps_across_the_frame_leaves_no_line():
    trails = Trails(12)
    trails.step(masks_of(box_object(points=[[10, 10, 1, 1]]), frame_id=0))
    trails.step(masks_of(box_object(points=[[200, 100, 1, 1]]), frame_id=1))
    assert lines(trails) == 0


def test_hidden_points_leave_no_line():
    trails = Trails(12)
    trails.step(square_at(0, 0))
    trails.step(square_at(1, 1, visibility=0.2))
    trails.step(square_at(2, 2))
    assert lines(trails) == 0


def test_the_same_frame_drawn_again_adds_nothing():
    trails = Trails(12)
    for frame_id in (0, 1, 1, 1):
        trails.step(square_at(frame_id, frame_id))
    assert [len(s) for s in trails.steps(1)] == [0, 4]


def test_a_removed_object_is_forgotten():
    trails = Trails(12)
    for i in range(4):
        trails.step(square_at(1.0 * i, i, object_id=1 + i))
        assert list(trails._steps) == [1 + i]
        assert list(trails._last) == [1 + i]
    trails.step(masks_of(frame_id=9))
    assert trails.steps(4) == []


def test_another_session_or_an_earlier_frame_begins_anew():
    trails = Trails(12)
    for i in range(3):
        trails.step(square_at(1.0 * i, i))
    trails.step(square_at(3, 3, session=2))
    assert lines(trails) == 0
    trails.step(square_at(4, 4, session=2))
    trails.step(square_at(5, 0, session=2))
    assert lines(trails) == 0
