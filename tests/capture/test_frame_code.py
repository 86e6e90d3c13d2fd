"""The code of a frame's number: it is read again after whatever happens to pictures on their way to a screen."""

from __future__ import annotations

import json
import shutil
import subprocess

import cv2
import numpy as np
import pytest
from running import ROOT

from nodes.capture.frame_code import NUMBERS, draw_frame_code, read_frame_code
from nodes.capture.scene import DemoScene

NUMBERS_TO_TRY = (0, 1, 249, 1000, 77_777, NUMBERS - 1)


def coded(number: int, size: tuple[int, int] = (360, 640)) -> np.ndarray:
    rgb = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
    draw_frame_code(rgb, number)
    return rgb


def through_jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


@pytest.mark.parametrize("size", [(360, 640), (480, 854), (480, 270), (144, 256), (1080, 1920)])
def test_a_number_is_read_from_its_picture(size):
    assert [read_frame_code(coded(n, size)) for n in NUMBERS_TO_TRY] == [*NUMBERS_TO_TRY]


def test_numbers_beyond_twenty_bits_begin_again():
    assert read_frame_code(coded(NUMBERS + 5)) == 5


@pytest.mark.parametrize("scale", [0.4, 0.5, 0.77, 1.0, 1.5, 2.3])
@pytest.mark.parametrize("quality", [30, 60, 80])
def test_a_number_outlives_jpeg_and_scaling(scale, quality):
    for number in NUMBERS_TO_TRY:
        picture = cv2.resize(through_jpeg(coded(number), quality), None, fx=scale, fy=scale)
        assert read_frame_code(picture) == number


def test_a_picture_without_a_code_gives_none():
    assert read_frame_code(np.zeros((360, 640, 3), np.uint8)) is None
    assert read_frame_code(np.full((360, 640, 3), 255, np.uint8)) is None
    rng = np.random.default_rng(0)
    found = [read_frame_code(rng.integers(0, 256, (90, 160, 3), dtype=np.uint8)) for _ in range(200)]
    assert found.count(None) >= 198


def test_the_scene_shows_its_numbers_only_where_asked_and_away_from_its_objects():
    plain, marked = DemoScene(), DemoScene(code=True)
    for index in (0, 62, 130, 215):
        rgb, truth = marked.draw(index)
        assert read_frame_code(rgb) == index
        before, truth_before = plain.draw(index)
        assert read_frame_code(before) is None
        assert np.array_equal(truth, truth_before)
        changed = np.argwhere((rgb != before).any(axis=2))
        assert changed.min(axis=0).tolist() >= [360 - 4 * 12, 640 - 8 * 12]


@pytest.mark.skipif(not shutil.which("node"), reason="node is not there to run the page's reader")
def test_the_reader_for_pages_reads_the_same(tmp_path):
    source = (ROOT / "tools/bench/frame_code.js").read_text()
    pictures = [coded(n) for n in NUMBERS_TO_TRY] + [through_jpeg(coded(n, (216, 384)), 60) for n in NUMBERS_TO_TRY]
    for i, rgb in enumerate([*pictures, np.zeros((90, 160, 3), np.uint8)]):
        (tmp_path / f"{i}.rgba").write_bytes(np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)]).tobytes())
    sizes = [[rgb.shape[1], rgb.shape[0]] for rgb in [*pictures, np.zeros((90, 160, 3))]]
    script = f"""
        const read = {source};
        const fs = require("fs");
        const canvas = (width, height, pixels) => ({{
          width, height, getContext: () => ({{
            getImageData: (left, top, w, h) => {{
              const data = new Uint8ClampedArray(4 * w * h);
              for (let row = 0; row < h; row++) {{
                const from = 4 * ((top + row) * width + left);
                data.set(pixels.subarray(from, from + 4 * w), 4 * row * w);
              }}
              return {{ data, width: w, height: h }};
            }},
          }}),
        }});
        const sizes = {json.dumps(sizes)};
        console.log(JSON.stringify(sizes.map(([w, h], i) => read(canvas(w, h, fs.readFileSync(`${{i}}.rgba`))))));
    """
    done = subprocess.run(["node", "-e", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [*NUMBERS_TO_TRY, *NUMBERS_TO_TRY, -1]
