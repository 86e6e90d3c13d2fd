"""The pictures of the page, made once from a real run; and when the scene shows most."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import pytest

from nodes.capture.scene import PERIOD, DemoScene
from tools import make_web_pictures
from tools.chromium import what_is_missing


def test_the_film_begins_where_no_object_is_hidden_for_long() -> None:
    scene = DemoScene()
    begin = make_web_pictures.clearest_phase(scene, PERIOD, 60)
    areas = make_web_pictures.areas_by_phase(scene, PERIOD)
    seen = [areas[(begin + i) % PERIOD] for i in range(0, 60, make_web_pictures.PHASE_STEP)]
    largest = [max(column) for column in zip(*areas.values(), strict=True)]
    assert all(min(column) > 0.5 * most for column, most in zip(zip(*seen, strict=True), largest, strict=True))


@pytest.mark.slow
@pytest.mark.skipif(bool(what_is_missing()), reason=f"THE PAGE'S PICTURES WERE NOT MADE: {what_is_missing()}")
def test_a_picture_and_a_film_of_the_page_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_web_pictures, "SECONDS", 1.0)
    assert make_web_pictures.main(["--folder", str(tmp_path)]) == 0
    width, height = make_web_pictures.WINDOW
    assert cv2.imread(str(tmp_path / "web.png")).shape == (height, width, 3)
    with av.open(str(tmp_path / "web.gif")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) > 10
    assert frames[0].shape == (make_web_pictures.SIZE[1], make_web_pictures.SIZE[0], 3)
