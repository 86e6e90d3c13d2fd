"""Masks carried by points between two decoded frames."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.propagation import Propagator, fit
from stream import geometry
from stream.arrays import Array
from stream.crops import crop_mask, uncrop_mask
from stream.messages import ObjectTrack

SIZE = (120, 160)
POINTS = np.array([[45, 45], [75, 45], [45, 75], [75, 75], [60, 50], [55, 66], [70, 60], [50, 58]], np.float32)


def by(xy, dx, dy) -> Array:
    return xy + np.array([dx, dy], np.float32)


def square(x1=40, y1=40, x2=80, y2=80) -> Array:
    mask = np.zeros(SIZE, np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def track(xy, visibility=1.0, labels=None) -> ObjectTrack:
    xy = np.asarray(xy, np.float32)
    return ObjectTrack(
        object_id=1,
        xy=xy,
        visibility=np.broadcast_to(np.float32(visibility), len(xy)).copy(),
        labels=np.ones(len(xy), np.uint8) if labels is None else np.array(labels, np.uint8),
    )


def decoded(xy=POINTS, mask=None, score=0.9) -> Propagator:
    propagator = Propagator()
    propagator.keep(*crop_mask(square() if mask is None else mask), score, track(xy))
    return propagator


def carried(propagator, xy, **more):
    answer = propagator.carry(track(xy, **more), SIZE)
    return uncrop_mask(answer.window, (answer.logits > 0).astype(np.uint8), SIZE), answer.score


def iou(a, b) -> float:
    return float((a & b).sum() / (a | b).sum())


def turned(angle=0.0, scale=1.0, shift=(0, 0), about=(60, 60)) -> Array:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    return np.column_stack([linear, np.array(about) - linear @ about + shift])


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_a_shifted_object_takes_its_mask_along(n):
    mask, score = carried(decoded(POINTS[:n]), by(POINTS[:n], 12, -7))
    assert np.array_equal(mask, square(52, 33, 92, 73))
    assert score == pytest.approx(0.9)


def test_a_turned_and_enlarged_object_takes_its_mask_along():
    move = turned(0.3, 1.2, (8, 5))
    mask, score = carried(decoded(), geometry.apply(move, POINTS))
    centre = geometry.apply(move, np.array([[59.5, 59.5]]))[0]
    y, x = np.nonzero(mask)
    assert (x.mean(), y.mean()) == pytest.approx(tuple(centre), abs=0.5)
    assert mask.sum() == pytest.approx(1.44 * 1600, rel=0.02)
    assert score == pytest.approx(0.9)


def test_many_points_well_spread_follow_a_stretch_and_points_on_a_line_do_not():
    stretch = np.array([[1.5, 0, -30], [0, 1, 0]])
    mask, _ = carried(decoded(), geometry.apply(stretch, POINTS))
    assert iou(mask, square(30, 40, 90, 80)) > 0.95
    line = np.column_stack([np.linspace(42, 78, 8), np.full(8, 60.0)])
    noise = np.random.default_rng(0).normal(0, 0.3, line.shape)
    mask, _ = carried(decoded(line), line + noise + [5, 0])
    assert iou(mask, square(45, 40, 85, 80)) > 0.9


def test_points_that_slid_off_do_not_drag_the_mask_but_lower_its_score():
    xy = by(POINTS, 10, 0)
    xy[:2] += [40, 30]
    mask, score = carried(decoded(), xy)
    assert iou(mask, square(50, 40, 90, 80)) > 0.95
    assert score == pytest.approx(0.9 * 6 / 8)


def test_hidden_points_tell_nothing_and_without_any_the_mask_rests_where_it_was_last():
    propagator = decoded()
    carried(propagator, by(POINTS, 6, 0))
    mask, score = carried(propagator, by(POINTS, 90, 90), visibility=0.1)
    assert np.array_equal(mask, square(46, 40, 86, 80))
    assert score == 0
    mask, score = carried(propagator, by(POINTS, 12, 0))  # seen again: carried from the decode, not from there
    assert np.array_equal(mask, square(52, 40, 92, 80))
    assert score == pytest.approx(0.9)


@pytest.mark.parametrize("fresh", [by(POINTS[::-1], 9, 3), by(POINTS[:5], 9, 0)])
def test_points_drawn_anew_carry_the_mask_on_from_where_they_are_first_seen(fresh):
    propagator = decoded()
    carried(propagator, by(POINTS, 10, 0))
    mask, score = carried(propagator, fresh)
    assert np.array_equal(mask, square(50, 40, 90, 80))
    assert score < 0.9
    mask, _ = carried(propagator, by(fresh, 5, 2))
    assert np.array_equal(mask, square(55, 42, 95, 82))


def test_negative_points_do_not_move_the_mask():
    labels = [1] * 4 + [0] * 4
    propagator = Propagator()
    propagator.keep(*crop_mask(square()), 0.9, track(POINTS, labels=labels))
    moved = POINTS + np.where(np.array(labels) == 1, 10, -30)[:, None]
    mask, score = carried(propagator, moved, labels=labels)
    assert np.array_equal(mask, square(50, 50, 90, 90))
    assert score == pytest.approx(0.9)


def test_a_mask_carried_out_of_the_frame_is_cut_and_then_gone():
    mask, _ = carried(decoded(), by(POINTS, 100, 0))
    assert np.array_equal(mask, square(140, 40, 160, 80))
    mask, score = carried(decoded(), by(POINTS, 200, 0))
    assert not mask.any()
    assert score == 0


def test_an_object_that_was_never_decoded_or_has_no_mask_is_carried_as_nothing():
    assert Propagator().carry(track(POINTS), SIZE).logits.size == 0
    assert decoded(mask=np.zeros(SIZE, np.uint8)).carry(track(POINTS), SIZE).logits.size == 0


def test_a_long_way_of_small_steps_does_not_wear_the_mask_off():
    propagator = decoded()
    for i in range(1, 100):
        mask, _ = carried(propagator, geometry.apply(turned(0.05 * i), POINTS))
    assert mask.sum() == pytest.approx(1600, rel=0.02)


def test_a_motion_that_no_object_makes_is_refused():
    rng = np.random.default_rng(1)
    move, agreeing = fit(POINTS, rng.uniform(0, 120, POINTS.shape).astype(np.float32), reach=57)
    assert move is None
    assert agreeing < 0.5
    mirrored = POINTS * [-1, 1] + [120, 0]
    move, _ = fit(POINTS, mirrored.astype(np.float32), reach=57)
    assert move is None or np.linalg.det(move[:, :2]) > 0
