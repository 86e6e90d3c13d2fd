"""What files, folders and graphs give."""

from __future__ import annotations

import gc
import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from capture.clips import levels, read_all, shade, write_clip, write_times

from nodes.capture.decoding.display import LOOK_EVERY, Orientation, display_flips, pixel_shape, upright
from nodes.capture.folder import natural_order
from nodes.capture.source import SourceInfo
from nodes.capture.sources import demo_scene, make_source
from stream.settings.config import Capture


def test_a_video_file_gives_every_frame_in_order(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4")
    opened, pictures = read_all(make_source(Capture(source=str(clip))))
    assert opened == SourceInfo((64, 96), 25.0, 12, codec="h264")
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


def test_pictures_are_named_after_their_files(tmp_path):
    for name in ("00005.jpg", "00010.png", "00000.jpg"):
        cv2.imwrite(str(tmp_path / name), shade(1))
    _, pictures = read_all(make_source(Capture(source=str(tmp_path))))
    assert [p.name for p in pictures] == ["00000", "00005", "00010"]
    cv2.imwrite(str(tmp_path / "00005.bmp"), shade(1))
    _, pictures = read_all(make_source(Capture(source=str(tmp_path))))
    assert [p.name for p in pictures] == ["00000", "00005.bmp", "00005.jpg", "00010"]
    _, (picture,) = read_all(make_source(Capture(source=str(tmp_path / "00010.png"))))
    assert picture.name == "00010"


@pytest.mark.parametrize(
    ("written", "read"), [(Fraction(24, 11), (24, 11)), (Fraction(1), (1, 1)), (Fraction(0), (1, 1))]
)
def test_a_video_tells_the_shape_of_its_pixels(tmp_path, monkeypatch, written, read):
    clip = write_clip(tmp_path / "clip.mp4", frames=2, pixel_aspect=written)
    _, pictures = read_all(make_source(Capture(source=str(clip))))
    assert {p.pixel_aspect for p in pictures} == {read}
    monkeypatch.setattr("nodes.capture.decoding.display.display_flips", lambda _: (True, False, False))
    _, pictures = read_all(make_source(Capture(source=str(clip))))
    assert {p.pixel_aspect for p in pictures} == {read[::-1]}, "as it is turned"
    assert pixel_shape(Fraction(1, 10_000), transposed=False) == (1, 1), "a fault in a header"


@pytest.mark.parametrize(
    ("written_ms", "read_ms"),
    [
        ([0, 40, 20, 60, 100, 80, 200], [0, 40, 80, 120, 160, 200, 240]),
        ([0, 40, 20, 100, 80, 400, 440], [0, 40, 80, 100, 140, 400, 440]),
        ([0] * 5, [0, 40, 80, 120, 160]),
        ([1960, 2000, 0, 40], [1960, 2000, 0, 40]),  # another recording begins
    ],
)
def test_a_picture_is_shown_after_the_one_before_it_whatever_its_file_says(tmp_path, written_ms, read_ms):
    source = make_source(Capture(source=str(write_times(tmp_path / "clip.mkv", written_ms))))
    _, pictures = read_all(source)
    first_s = pictures[0].pts_s - read_ms[0] / 1000
    assert [p.pts_s - first_s for p in pictures] == pytest.approx([t / 1000 for t in read_ms])
    assert len({p.rgb.mean().round() for p in pictures}) == len(read_ms), "none is left out"


def test_hidden_files_of_a_folder_are_no_frames(tmp_path):
    cv2.imwrite(str(tmp_path / "1.jpg"), shade(1))
    (tmp_path / "._1.jpg").write_bytes(b"what macOS leaves")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    opened, pictures = read_all(make_source(Capture(source=str(tmp_path))))
    assert (opened.frames, len(pictures)) == (1, 1)


def test_pictures_of_other_kinds_in_a_folder_are_not_passed_over_without_a_word(tmp_path, caplog):
    for name in ("1.jpg", "2.webp", "3.tif"):
        cv2.imwrite(str(tmp_path / name), shade(1))
    (tmp_path / "notes.txt").write_text("no picture")
    opened, _ = read_all(make_source(Capture(source=str(tmp_path))))
    assert opened.frames == 1
    assert [r.getMessage() for r in caplog.records] == [
        f"--source {tmp_path}: 2 pictures are passed over, the first of them 2.webp; frames are *.jpg, *.png or *.bmp: "
        "convert the others"
    ]


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


CORNERS = np.array([[1, 2], [3, 4]], np.uint8).repeat(2, axis=0).repeat(3, axis=1)  # 4 px high, 6 wide
ONE = 1 << 16  # in a display matrix


class DecodedFrame:
    """What PyAV gives of a frame with a display matrix, or with an angle alone."""

    def __init__(self, a: int = 0, b: int = 0, c: int = 0, d: int = 0, rotation: int = 0) -> None:
        matrix = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32)
        self.side_data = {"DISPLAYMATRIX": matrix} if not rotation else {}
        self.rotation = rotation


@pytest.mark.parametrize(
    ("frame", "corners"),
    [
        (DecodedFrame(ONE, 0, 0, ONE), [1, 2, 3, 4]),
        (DecodedFrame(-ONE, 0, 0, ONE), [2, 1, 4, 3]),  # a selfie camera
        (DecodedFrame(ONE, 0, 0, -ONE), [3, 4, 1, 2]),
        (DecodedFrame(-ONE, 0, 0, -ONE), [4, 3, 2, 1]),
        (DecodedFrame(0, ONE, ONE, 0), [1, 3, 2, 4]),
        (DecodedFrame(0, -ONE, -ONE, 0), [4, 2, 3, 1]),
        (DecodedFrame(0, ONE, -ONE, 0), [3, 1, 4, 2]),  # a quarter turn with the clock
        (DecodedFrame(0, -ONE, ONE, 0), [2, 4, 1, 3]),
        (DecodedFrame(rotation=-90), [3, 1, 4, 2]),
        (DecodedFrame(rotation=90), [2, 4, 1, 3]),
        (DecodedFrame(rotation=180), [4, 3, 2, 1]),
    ],
)
def test_a_turned_or_mirrored_recording_is_shown_as_players_show_it(frame, corners):
    rgb = upright(CORNERS[..., None].repeat(3, axis=2), Orientation(lambda frame: frame).of(frame))
    assert [int(rgb[y, x, 0]) for y in (0, -1) for x in (0, -1)] == corners
    assert rgb.flags.c_contiguous
    assert rgb.shape[:2] == ((6, 4) if display_flips(frame)[0] else (4, 6))


def test_a_source_that_is_turned_in_the_middle_is_seen_to_turn():
    orientation = Orientation(lambda frame: frame)
    assert orientation.of(DecodedFrame(rotation=0)) == (False, False, False)
    assert orientation.of(DecodedFrame(rotation=180)) == (False, True, True)
    mirrored = DecodedFrame(ONE, 0, 0, -ONE)  # its angle is 0 as before
    orientation.of(DecodedFrame(rotation=0))
    for _ in range(LOOK_EVERY):
        flips = orientation.of(mirrored)
    assert flips == (False, False, True)


def test_frames_and_the_threads_that_convert_them_do_not_pile_up(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", frames=120)
    source = make_source(Capture(source=str(clip)))
    source.open()
    gc.collect()
    gc.disable()  # what is left to it alone lives for thousands of pictures
    try:
        threads, alive = [], []
        while source.read() is not None:
            threads.append(len(os.listdir("/proc/self/task")))
            if len(threads) % 20:
                continue
            alive.append(sum(type(o) is av.VideoFrame and o.width > 2 for o in gc.get_objects()))
    finally:
        gc.enable()
        source.close()
    assert len(threads) == 120
    assert max(threads) <= threads[0] + 2
    assert max(alive) <= 12  # a decoder gives several at once


def test_a_single_picture_is_upright_as_its_exif_orientation_says(tmp_path):
    _, jpeg = cv2.imencode(".jpg", np.full((64, 96, 3), (0, 0, 255), np.uint8))
    tiff = b"II*\x00\x08\x00\x00\x00" + b"\x01\x00" + b"\x12\x01\x03\x00\x01\x00\x00\x00\x05\x00\x00\x00" + bytes(4)
    segment = b"Exif\x00\x00" + tiff  # orientation 5: mirrored and turned
    header = b"\xff\xd8\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    (tmp_path / "photo.jpg").write_bytes(header + jpeg.tobytes()[2:])
    opened, pictures = read_all(make_source(Capture(source=str(tmp_path / "photo.jpg"))))
    assert (opened.size, opened.frames, len(pictures)) == ((96, 64), 1, 1)
    assert pictures[0].rgb[10, 10].tolist() == pytest.approx([254, 0, 0], abs=2)


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mp4"])
def test_a_title_that_is_not_utf8_is_no_reason_to_refuse_a_video(tmp_path, suffix):
    clip = write_clip(tmp_path / f"clip.{suffix}", frames=3, title="TITLE")
    clip.write_bytes(clip.read_bytes().replace(b"TITLE", b"T\xcdTL\xc9"))
    assert len(read_all(make_source(Capture(source=str(clip))))[1]) == 3


def test_the_film_is_played_and_not_its_cover_picture(tmp_path):
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        film = container.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = 96, 64, "yuv420p"
        container.mux(cover.encode(av.VideoFrame.from_ndarray(shade(9, (32, 32)), format="rgb24")))
        for index in range(5):
            container.mux(film.encode(av.VideoFrame.from_ndarray(shade(index), format="rgb24")))
        container.mux(cover.encode(None))
        container.mux(film.encode(None))
    opened, pictures = read_all(make_source(Capture(source=str(clip))))
    assert (opened.size, len(pictures)) == ((64, 96), 5)


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
