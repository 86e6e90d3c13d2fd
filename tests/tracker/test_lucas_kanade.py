"""The classical point model on drawn clips: it follows, it hides what is covered, and it finds it again."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from nodes.tracker.lucas_kanade import LucasKanade
from nodes.tracker.point_model import Points
from nodes.tracker.sampling.query_points import draw_positives


def texture(seed: int, size: tuple[int, int]) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(30, 225, (size[0] // 4 + 1, size[1] // 4 + 1, 3), np.uint8)
    fine = np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)[: size[0], : size[1]].astype(np.float32)
    return ((fine + np.roll(fine, 1, 0) + np.roll(fine, 1, 1) + np.roll(fine, 2, 0)) / 4).astype(np.uint8)


def clip(frames: int = 12, occluder: bool = True) -> list[np.ndarray]:
    """A square of 40 px moves 2 px a frame to the right; a bar comes down over its left half from frame 4 to 8."""
    pictures = []
    square, bar = texture(1, (40, 40)), texture(2, (120, 30))
    for i in range(frames):
        rgb = texture(3, (120, 160)) // 2
        x = 30 + 2 * i
        rgb[40:80, x : x + 40] = square
        if occluder and 4 <= i <= 8:
            rgb[: 40 + 10 * (i - 3), 40:62] = bar[: 40 + 10 * (i - 3), :22]
        pictures.append(rgb)
    return pictures


def query(model: LucasKanade, features, xy) -> Points:
    xy = np.array(xy, np.float32)
    labels, ids = np.ones(len(xy), np.uint8), np.ones(len(xy), np.int32)
    return Points(xy=xy, labels=labels, object_ids=ids, descriptors=model.describe(features, xy))


def track(pictures, xy):
    model = LucasKanade()
    window = [model.encode(rgb) for rgb in pictures]
    return model.track(window, query(model, window[0], xy), None)


GRID = [(x, y) for x in (38, 46, 54, 62) for y in (48, 60, 72)]


def test_points_follow_the_object_to_a_pixel():
    tracked = track(clip(8, occluder=False), GRID)
    expected = np.array(GRID) + 2.0 * np.arange(8)[:, None, None] * (1, 0)
    assert np.abs(tracked.xy - expected).max() < 1.0
    assert tracked.visibility.min() > 0.5


def test_a_covered_point_is_hidden_and_carried_by_the_rest_of_its_object():
    tracked = track(clip(8), GRID)
    at = np.array(GRID) + np.array([14, 0])  # on frame 7 the bar covers x 40..61 down to y 80
    covered = (at[:, 0] < 58) & (at[:, 0] > 44)
    assert covered.sum() == 3
    assert (tracked.visibility[7][covered] <= 0.5).all()
    assert (tracked.visibility[7][at[:, 0] > 68] > 0.5).all()
    assert np.abs(tracked.xy[7][covered] - at[covered]).max() < 1.0


def test_a_covered_point_is_visible_again_once_the_cover_has_gone():
    tracked = track(clip(12), GRID)
    assert (tracked.visibility[11] > 0.5).all()
    assert np.abs(tracked.xy[11] - np.array(GRID) - (22, 0)).max() < 1.0


def test_an_object_that_is_covered_whole_has_no_visible_point():
    pictures = clip(3, occluder=False)
    pictures[2][30:90, 20:100] = texture(9, (60, 80))
    assert (track(pictures, GRID).visibility[2] <= 0.5).all()


def test_extending_a_window_frame_by_frame_says_the_same_as_running_it_at_once():
    model = LucasKanade()
    window = [model.encode(rgb) for rgb in clip(8)]
    points = query(model, window[0], GRID)
    extended = None
    for n in range(1, 9):
        extended = model.track(window[:n], points, extended)
    whole = model.track(window, points, None)
    assert np.array_equal(extended.xy, whole.xy)
    assert np.array_equal(extended.visibility, whole.visibility)


def test_no_points_and_a_plain_picture_are_no_trouble():
    plain = [np.full((70, 70, 3), 128, np.uint8)] * 3
    assert track(plain, np.zeros((0, 2))).xy.shape == (3, 0, 2)
    assert track(plain, [(30, 30), (-5, 200)]).xy.shape == (3, 2, 2)


def test_points_drawn_from_a_mask_are_followed():
    pictures = clip(6, occluder=False)
    mask = np.zeros((120, 160), np.uint8)
    mask[40:80, 30:70] = 1
    xy = draw_positives(mask, 8, np.random.default_rng(0))
    assert np.abs(track(pictures, xy).xy[5] - xy - (10, 0)).max() < 1.5  # one lies on the square's edge


def test_the_cores_load_neither_torch_nor_zmq():
    code = (
        "import sys, nodes.tracker.tracking, nodes.tracker.lucas_kanade, nodes.tracker.backends;"
        "import nodes.decoder.segmentation, nodes.decoder.lite.backend, nodes.decoder.truth;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'zmq')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
