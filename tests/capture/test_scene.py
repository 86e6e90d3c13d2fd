"""The demo scene: its truth, its path, its prompts."""

from __future__ import annotations

from itertools import pairwise
from math import hypot, pi

import numpy as np
import pytest

from nodes.capture.scene import PERIOD, DemoScene, planet_pose, rock_pose, star_pose


@pytest.fixture(scope="module")
def scene() -> DemoScene:
    return DemoScene()


@pytest.fixture(scope="module")
def areas(scene: DemoScene) -> np.ndarray:
    """(PERIOD, 4): visible px of each label in each frame."""
    return np.array([np.bincount(scene.draw(i)[1].ravel(), minlength=4) for i in range(PERIOD)])


def test_a_frame_depends_on_seed_and_index_alone(scene):
    other = DemoScene()
    other.draw(3)
    rgb, truth = other.draw(77)
    again_rgb, again_truth = scene.draw(77)
    assert np.array_equal(rgb, again_rgb)
    assert np.array_equal(truth, again_truth)
    assert not np.array_equal(rgb, DemoScene(seed=1).draw(77)[0])


def test_pictures_and_truth_have_the_size_asked_for():
    for size in ((360, 640), (64, 64), (90, 333), (480, 270)):
        rgb, truth = DemoScene(size).draw(5)
        assert (rgb.shape, rgb.dtype, truth.shape, truth.dtype) == ((*size, 3), np.uint8, size, np.uint8)
        assert set(np.unique(truth)) == {0, 1, 2, 3}


def test_all_objects_are_whole_and_apart_in_frame_0(scene):
    truth = scene.draw(0)[1]
    edge = np.concatenate([truth[0], truth[-1], truth[:, 0], truth[:, -1]])
    assert not edge.any()
    grown = [np.pad(truth == k, 2) for k in (1, 2, 3)]
    for a in range(3):
        for b in range(a):
            moved = [np.roll(grown[a], (dy, dx), (0, 1)) for dy in (-2, 0, 2) for dx in (-2, 0, 2)]
            assert not any((m & grown[b]).any() for m in moved)


def test_object_2_is_hidden_behind_object_1_for_a_second_and_comes_back(areas):
    hidden = np.flatnonzero(areas[:, 2] < 0.02 * areas[0, 2])
    first = hidden[hidden < PERIOD // 2]
    assert 15 <= len(first) <= 40
    assert np.array_equal(first, np.arange(first[0], first[-1] + 1))
    assert areas[first[0] - 20, 2] > 0.5 * areas[0, 2]
    assert areas[first[-1] + 20, 2] > 0.5 * areas[0, 2]


def test_object_3_leaves_the_frame_for_a_second_and_comes_back(areas):
    gone = np.flatnonzero(areas[:, 3] == 0)
    assert 15 <= len(gone) <= 40
    assert np.array_equal(gone, np.arange(gone[0], gone[-1] + 1))
    assert areas[gone[-1] + 40, 3] > 0.5 * areas[0, 3]


def test_object_1_is_always_in_sight_and_grows_but_mildly(areas):
    assert areas[:, 1].min() > 0.85 * areas[0, 1]
    assert areas[:, 1].max() < 1.2 * areas[0, 1]


def test_nothing_moves_faster_than_6_px_a_frame_and_the_path_closes(scene):
    for pose in (planet_pose, star_pose, rock_pose):
        path = [pose(2 * pi * i / PERIOD) for i in range(PERIOD + 1)]
        assert max(hypot(b.x - a.x, b.y - a.y) for a, b in pairwise(path)) < 6
    assert np.array_equal(scene.draw(3)[1], scene.draw(PERIOD + 3)[1])


def test_the_truth_is_where_the_picture_changes(scene):
    """The planet's pixels differ from the sky's: it is orange, the sky is blue."""
    rgb, truth = scene.draw(0)
    red_over_blue = rgb[..., 0].astype(int) - rgb[..., 2]
    assert np.median(red_over_blue[truth == 1]) > 40
    assert np.median(red_over_blue[truth == 0]) < 0


def test_prompts_show_the_three_ways_and_agree_with_the_truth(scene):
    truth = scene.draw(0)[1]
    clicks, box, mask = scene.prompts()
    assert [p.object_id for p in (clicks, box, mask)] == [1, 2, 3]
    assert clicks.xy is not None
    assert clicks.labels is not None
    on = [truth[round(y), round(x)] == 1 for x, y in clicks.xy]
    assert on == [bool(k) for k in clicks.labels] == [True, True, True, False]
    assert box.box is not None
    x1, y1, x2, y2 = (int(v) for v in box.box)
    assert (truth[y1 : y2 + 1, x1 : x2 + 1] == 2).sum() == (truth == 2).sum()
    assert (truth[y1, x1 : x2 + 1] == 2).any()
    assert (truth[y1 : y2 + 1, x1] == 2).any()
    assert mask.mask is not None
    assert np.array_equal(mask.mask != 0, truth == 3)


def test_prompts_fit_small_and_odd_frames():
    for size in ((64, 64), (90, 333), (480, 270)):
        scene = DemoScene(size)
        truth = scene.draw(0)[1]
        clicks = scene.prompts()[0]
        assert clicks.xy is not None
        assert [truth[round(y), round(x)] == 1 for x, y in clicks.xy] == [True, True, True, False]
