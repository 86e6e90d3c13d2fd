"""What files, folders and graphs give."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from capture.clips import levels, read_all, shade, write_clip

from nodes.capture.folder import natural_order
from nodes.capture.source import SourceInfo
from nodes.capture.sources import demo_scene, make_source
from nodes.capture.video import upright_rgb
from stream.settings.config import Capture


def test_a_video_file_gives_every_frame_in_order(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4")
    opened, pictures = read_all(make_source(Capture(source=str(clip))))
    assert opened == SourceInfo((64, 96), 25.0, 12)
    assert levels(pictures) == list(range(12))
    assert [p.pts_s for p in pictures] == pytest.approx([i / 25 for i in range(12)])
    assert all(p.rgb.dtype == np.uint8 and p.rgb.flags.c_contiguous for p in pictures)


def test_a_video_file_can_be_named_as_file_url_and_may_have_a_colon(tmp_path):
    clip = write_clip(tmp_path / "yard:2024.mp4", frames=3)
    assert len(read_all(make_source(Capture(source=str(clip))))[1]) == 3
    assert len(read_all(make_source(Capture(source=f"file://{clip}")))[1]) == 3


def test_frames_before_an_index_are_passed_over(tmp_path):
    source = make_source(Capture(source=str(write_clip(tmp_path / "clip.mp4"))))
    source.open()
    source.skip(7)
    assert levels(list(iter(source.read, None))) == [7, 8, 9, 10, 11]
    source.close()
    source = make_source(Capture(source=str(tmp_path / "clip.mp4")))
    source.open()
    source.skip(99)
    assert source.read() is None
    source.close()


def test_a_folder_plays_in_natural_order_and_sizes_may_differ(tmp_path):
    for index, name in enumerate(("2.png", "10.JPG", "11.bmp")):
        cv2.imwrite(str(tmp_path / name), shade(index + 1, (64 + 16 * index, 96)))
    (tmp_path / "notes.txt").write_text("not a picture")
    opened, pictures = read_all(make_source(Capture(source=str(tmp_path))))
    assert opened == SourceInfo((64, 96), 25.0, 3)
    assert [p.rgb.shape[0] for p in pictures] == [64, 80, 96]
    assert [round(p.rgb.mean() / 8) for p in pictures] == [1, 2, 3]
    source = make_source(Capture(source=str(tmp_path)))
    source.open()
    source.skip(2)
    assert len(list(iter(source.read, None))) == 1


def test_pictures_are_rgb(tmp_path):
    red = np.zeros((64, 96, 3), np.uint8)
    red[..., 2] = 255  # BGR beside OpenCV
    cv2.imwrite(str(tmp_path / "1.png"), red)
    assert read_all(make_source(Capture(source=str(tmp_path))))[1][0].rgb[0, 0].tolist() == [255, 0, 0]
    _, pictures = read_all(make_source(Capture(source="lavfi:color=red:size=97x65:rate=5:duration=1")))
    assert pictures[0].rgb.shape == (65, 97, 3)
    assert pictures[0].rgb[0, 0, 0] > 240
    assert pictures[0].rgb[0, 0, 1:].max() < 15


def test_hidden_files_of_a_folder_are_no_frames(tmp_path):
    cv2.imwrite(str(tmp_path / "1.jpg"), shade(1))
    (tmp_path / "._1.jpg").write_bytes(b"what macOS leaves")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    opened, pictures = read_all(make_source(Capture(source=str(tmp_path))))
    assert (opened.frames, len(pictures)) == (1, 1)


@pytest.mark.parametrize("depth", [10, 12, 14, 16])
def test_pictures_of_16_bits_are_shown_in_the_range_that_their_sensor_has(tmp_path, caplog, depth):
    for i, white in enumerate((2**depth - 1, 2**depth // 20)):  # a dark one is not brightened by itself
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((64, 96), white, np.uint16))
    _, pictures = read_all(make_source(Capture(source=str(tmp_path))))
    assert [int(p.rgb.max()) for p in pictures] == [255, 12]
    assert all(p.rgb.dtype == np.uint8 for p in pictures)
    assert len(caplog.records) == (depth < 16)


def test_numbers_in_names_are_compared_as_numbers():
    names = ["img10.png", "img9.png", "a.png", "007.png", "img9b.png", "12"]
    assert sorted(map(Path, names), key=natural_order) == list(
        map(Path, ["007.png", "12", "a.png", "img9.png", "img9b.png", "img10.png"])
    )


def test_a_filter_graph_is_a_source():
    opened, pictures = read_all(make_source(Capture(source="lavfi:testsrc2=size=96x64:rate=10:duration=1.5")))
    assert (opened.size, opened.fps, len(pictures)) == ((64, 96), 10.0, 15)


def test_the_demo_is_a_source_that_knows_its_truth():
    config = Capture(demo_size="128x96", demo_frames=3, demo_fps=10.0)
    opened, pictures = read_all(make_source(config))
    assert opened == SourceInfo((96, 128), 10.0, 3)
    assert [p.pts_s for p in pictures] == [0, 0.1, 0.2]
    assert np.array_equal(pictures[2].truth, demo_scene(config).draw(2)[1])


def test_a_turned_recording_is_shown_upright():
    class Turned:
        rotation = 90

        def to_ndarray(self, format: str) -> np.ndarray:
            picture = np.zeros((2, 3, 3), np.uint8)
            picture[0, 2] = 255  # the upper right corner
            return picture

    rgb = upright_rgb(Turned())
    assert rgb.shape == (3, 2, 3)
    assert rgb[0, 0, 0] == 255  # a quarter turn against the clock brings it to the upper left


def test_a_change_of_size_within_a_stream_is_passed_on(tmp_path):
    path = tmp_path / "two.h264"
    for size in ((64, 96), (128, 192)):
        with av.open(str(tmp_path / "part.h264"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = size[1], size[0], "yuv420p"
            for index in range(4):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(shade(index, size), format="rgb24")))
            container.mux(stream.encode(None))
        with path.open("ab") as file:
            file.write((tmp_path / "part.h264").read_bytes())
    _, pictures = read_all(make_source(Capture(source=str(path))))
    assert [p.rgb.shape[:2] for p in pictures] == [(64, 96)] * 4 + [(128, 192)] * 4
