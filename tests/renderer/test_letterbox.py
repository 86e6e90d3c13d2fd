"""A frame fitted into another size, and points there and back."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.renderer.letterbox import fit
from stream.geometry import Letterbox

PAIRS = [((360, 640), (700, 900)), ((360, 640), (360, 640)), ((480, 640), (180, 320)), ((640, 360), (333, 777))]


@pytest.mark.parametrize(("frame", "canvas"), PAIRS)
def test_points_return_to_where_they_were(frame: tuple[int, int], canvas: tuple[int, int]):
    place = Letterbox(frame, canvas)
    for xy in ((0.0, 0.0), (12.5, 99.0), (frame[1] - 1.0, frame[0] - 1.0)):
        assert place.to_frame(*place.to_canvas(*xy)) == pytest.approx(xy)


@pytest.mark.parametrize(("frame", "canvas"), PAIRS)
def test_a_bright_spot_lies_where_its_point_is_said_to_be(frame: tuple[int, int], canvas: tuple[int, int]):
    rgb = np.zeros((*frame, 3), np.uint8)
    y, x = frame[0] // 3, frame[1] // 4
    rgb[y - 10 : y + 11, x - 10 : x + 11] = 255
    place = Letterbox(frame, canvas)
    fitted = fit(rgb, place)
    assert fitted.shape == (*canvas, 3)
    ys, xs = np.nonzero(fitted[..., 0] > 127)
    assert (xs.mean(), ys.mean()) == pytest.approx(place.to_canvas(x, y), abs=0.6)


@pytest.mark.parametrize(("height", "width", "aspect"), [(576, 720, 64 / 45), (480, 720, 8 / 9), (1080, 1440, 4 / 3)])
@pytest.mark.parametrize("canvas", [(700, 900), (360, 640), (333, 777)])
def test_pixels_that_are_not_square_are_shown_as_wide_as_they_are_and_points_return(height, width, aspect, canvas):
    place = Letterbox((height, width), canvas, aspect)
    shown_height, shown_width = place.size
    assert shown_width / shown_height == pytest.approx(width * aspect / height, rel=0.01)
    assert shown_height <= canvas[0]
    assert shown_width <= canvas[1]
    for xy in ((0.0, 0.0), (12.5, 99.0), (width - 1.0, height - 1.0)):
        assert place.to_frame(*place.to_canvas(*xy)) == pytest.approx(xy)
    rgb = np.zeros((height, width, 3), np.uint8)
    y, x = height // 3, width // 4
    rgb[y - 20 : y + 21, x - 20 : x + 21] = 255
    ys, xs = np.nonzero(fit(rgb, place)[..., 0] > 127)
    assert (xs.mean(), ys.mean()) == pytest.approx(place.to_canvas(x, y), abs=0.6)
    assert np.ptp(xs) / np.ptp(ys) == pytest.approx(aspect, rel=0.15)


def test_the_bars_lie_outside_the_frame():
    place = Letterbox((360, 640), (700, 900))
    assert place.to_frame(450, 20)[1] < -0.5
    assert place.to_frame(450, 690)[1] > 359.5
    assert not fit(np.full((360, 640, 3), 255, np.uint8), place)[:90].any()


def test_the_very_frame_comes_back_where_nothing_changes():
    rgb = np.zeros((36, 64, 3), np.uint8)
    assert fit(rgb, Letterbox((36, 64), (36, 64))) is rgb
