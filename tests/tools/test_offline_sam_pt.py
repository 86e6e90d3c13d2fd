"""SAM-PT over a finished clip, with points that move as their test says and a SAM that draws discs."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.disc_sam import DiscSam

from nodes.decoder.sam.prompting import PassRules
from nodes.tracker.point_model import Trajectories
from tools.offline.outcome import QueriedObject
from tools.offline.sam_pt import Parameters, run

SIZE = (100, 200)
STEP = np.array([3, 0], np.float32)  # px a frame, to the right


class Drift:
    """A point model for frames that hold their own number: every point drifts by STEP a frame."""

    def __init__(self, hidden=()) -> None:
        self.hidden = set(hidden)  # frames

    def encode(self, rgb):
        return int(rgb[0, 0, 0])

    def describe(self, features, xy):
        return np.zeros((len(xy), 1), np.float32)

    def relink(self, memory, features, xy, visibility):
        return memory

    def link(self, visibility):
        return np.full(visibility.shape[1], len(visibility) - 1)

    def track(self, window, points, tracked):
        xy = np.stack([points.xy + STEP * (i - window[0]) for i in window])
        visible = np.array([i not in self.hidden for i in window], np.float32)
        return Trajectories(xy.astype(np.float32), np.repeat(visible[:, None], len(points), axis=1))


def clip(n: int):
    return [np.full((*SIZE, 3), i, np.uint8) for i in range(n)]


def disc(x: float, y: float = 50, r: float = 10):
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return (np.hypot(columns - x, rows - y) <= r).astype(np.uint8)


class Draw:
    """The middle of a mask as its only point, and for which object and frame it was wanted."""

    def __init__(self) -> None:
        self.calls = []

    def __call__(self, mask, rgb, m, frame):
        self.calls.append((m, frame))
        if not mask.any():
            return np.zeros((0, 2), np.float32), np.zeros(0, np.uint8)
        y, x = np.nonzero(mask)
        return np.array([[x.mean(), y.mean()]], np.float32), np.ones(1, np.uint8)


def follow(queried, n=16, *, sam=None, model=None, draw=None, **parameters):
    rules = PassRules(refinement_passes=0)
    sam = sam or DiscSam(reach=10)
    return run(clip(n), queried, model or Drift(), sam, draw or Draw(), Parameters(rules=rules, **parameters))


def middle(outcome, m, frame):
    y, x = np.nonzero(outcome.mask(m, frame))
    return x.mean(), y.mean()


@pytest.mark.parametrize("reinit", [None, "A", "B", "C", "D"])
def test_the_mask_follows_its_points_through_the_whole_clip(reinit):
    outcome = follow([QueriedObject(0, disc(40))], reinit=reinit)
    for t in range(16):
        assert middle(outcome, 0, t) == pytest.approx((40 + 3 * t, 50), abs=2)
        assert outcome.iou[0, t] == pytest.approx(0.9)


@pytest.mark.parametrize("reinit", [None, "A", "C"])
def test_frames_before_an_objects_own_come_from_the_reversed_clip_or_stay_empty(reinit):
    both = follow([QueriedObject(6, disc(100))], reinit=reinit)
    assert middle(both, 0, 0) == pytest.approx((82, 50), abs=2)
    forward = follow([QueriedObject(6, disc(100))], reinit=reinit, both_ways=False)
    assert not forward.mask(0, 5).any()
    assert forward.mask(0, 6).any()


@pytest.mark.parametrize(("reinit", "both_ways"), [(None, True), ("A", True), ("D", False)])
def test_every_frame_is_encoded_once(reinit, both_ways):
    sam = DiscSam()
    follow([QueriedObject(3, disc(80)), QueriedObject(5, disc(80, 20))], sam=sam, reinit=reinit, both_ways=both_ways)
    assert sam.encoded == (16 if both_ways else 13)


def test_a_window_ends_on_the_frame_from_whose_mask_the_next_points_are_drawn():
    draw = Draw()
    outcome = follow([QueriedObject(0, disc(40))], n=20, draw=draw, reinit="A")
    assert [w.start for w in outcome.windows] == [0, 7, 14]
    assert draw.calls == [(0, 0), (0, 7), (0, 14)]
    assert set(outcome.replaced) == {(0, 7), (0, 14)}


def test_groups_merge_where_another_object_begins_and_only_then_share_their_points():
    sam = DiscSam(reach=10)
    objects = [QueriedObject(0, disc(40)), QueriedObject(5, disc(80, 20))]
    outcome = follow(objects, n=16, sam=sam, reinit="A", both_ways=False)
    assert [(w.start, w.objects) for w in outcome.windows] == [(0, (0,)), (5, (0, 1)), (12, (0, 1))]
    assert {call.labels.shape[1] for call in sam.calls[:8]} == {1}
    assert {call.labels.shape[1] for call in sam.calls[8:]} == {2}


def test_hidden_points_leave_a_frame_without_a_mask_or_a_score():
    outcome = follow([QueriedObject(0, disc(40))], model=Drift(hidden=[4, 5]))
    assert [(0, t) in outcome.iou for t in range(8)] == [True] * 4 + [False] * 2 + [True] * 2
    assert np.isneginf(outcome.logits(0, 4)).all()


def test_an_object_whose_mask_is_empty_at_the_boundary_is_gone():
    outcome = follow([QueriedObject(0, disc(40))], n=20, model=Drift(hidden=[7]), reinit="A")
    assert not any(outcome.mask(0, t).any() for t in range(7, 20))


def test_label_images_show_the_given_mask_on_its_frame_and_the_larger_logit_elsewhere():
    outcome = follow([QueriedObject(0, disc(40)), QueriedObject(2, disc(60, r=4))], n=4)
    first = outcome.label_image(0)
    assert np.array_equal(first, disc(40))  # the second object is not there yet
    second = outcome.label_image(2)
    assert np.array_equal(second == 2, disc(60, r=4) == 1)
    small = outcome.label_image(3, (50, 100))
    assert small.shape == (50, 100)
    assert set(np.unique(small)) == {0, 1, 2}


def test_points_may_be_given_instead_of_a_mask():
    queried = QueriedObject(0, xy=np.array([[40, 50], [45, 55]], np.float32), labels=np.array([1, 1], np.uint8))
    draw = Draw()
    outcome = follow([queried], draw=draw)
    assert draw.calls == []
    assert len(outcome.points[0, 3].xy) == 2


def test_the_patch_filter_leaves_out_what_slid_off():
    frames = [np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)] * 4
    frames = [
        np.roll(f, 40 * i, axis=0) for i, f in enumerate(frames)
    ]  # the picture moves, the points do not follow it
    for i, frame in enumerate(frames):
        frame[0, 0] = i
    queried = [QueriedObject(0, disc(40))]
    parameters = Parameters(rules=PassRules(refinement_passes=0), patch_threshold=0.01)
    outcome = run(frames, queried, Drift(), DiscSam(), Draw(), parameters)
    assert [int(outcome.points[0, t].codes[0]) for t in range(4)] == [1, -3, -4, -4]
