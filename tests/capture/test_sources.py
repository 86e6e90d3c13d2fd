"""Files, folders, graphs and cameras: what they give, and what they say when they can't."""

from __future__ import annotations

import errno
import logging
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from capture.examples import shade, write_clip, write_sound

from nodes.capture import video
from nodes.capture.cameras import CameraSource
from nodes.capture.drawn import natural_order
from nodes.capture.picture import Opened, Picture, Source
from nodes.capture.sources import demo_scene, make_source
from nodes.capture.video import FileSource, upright_rgb
from stream.config import Capture
from stream.errors import SourceError


def read_all(source: Source) -> tuple[Opened, list[Picture]]:
    opened = source.open()
    pictures = list(iter(source.read, None))
    source.close()
    source.close()
    return opened, pictures


def complaint(source: object, **config: object) -> str:
    """What is said when this source is opened."""
    with pytest.raises(SourceError) as caught:
        read_all(make_source(Capture(source=str(source), **config)))  # type: ignore[arg-type]
    assert caught.value.exit_code == 3
    assert caught.value.__cause__ is None
    return str(caught.value)


def levels(pictures: list[Picture]) -> list[int]:
    """The index that each `shade` picture was drawn with, as far as compression lets it be told."""
    return [round((float(p.rgb.mean()) - 29.5) / 8) for p in pictures]


# --- what they give ---


def test_a_video_file_gives_every_frame_in_order(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4")
    opened, pictures = read_all(make_source(Capture(source=str(clip))))
    assert opened == Opened((64, 96), 25.0, 12)
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
    assert opened == Opened((64, 96), 25.0, 3)
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
    assert opened == Opened((96, 128), 10.0, 3)
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


# --- broken files ---


def test_a_cut_recording_gives_what_it_has_and_says_what_is_missing(tmp_path, caplog, capfd):
    whole = write_clip(tmp_path / "whole.mp4", frames=60, movflags="faststart").read_bytes()
    assert whole.find(b"moov") < whole.find(b"mdat")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    opened, pictures = read_all(make_source(Capture(source=str(cut))))
    assert opened.frames == 60
    assert 15 < len(pictures) < 45
    assert levels(pictures[:8]) == list(range(8))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"{len(pictures)} of 60 frames could be read" in record.getMessage()
    assert capfd.readouterr() == ("", "")  # FFmpeg's own lines stay off the terminal


def test_damaged_packets_are_passed_over_and_counted_once(tmp_path, caplog, capfd):
    data = bytearray(write_clip(tmp_path / "whole.mp4", frames=60, movflags="faststart").read_bytes())
    start = data.find(b"mdat") + (len(data) - data.find(b"mdat")) // 3
    data[start : start + 3000] = np.random.default_rng(1).integers(0, 256, 3000, np.uint8).tobytes()
    (tmp_path / "bad.mp4").write_bytes(data)
    _, pictures = read_all(make_source(Capture(source=str(tmp_path / "bad.mp4"))))
    assert 30 < len(pictures) <= 60
    assert pictures[-1].pts_s == pytest.approx(59 / 25)
    (record,) = caplog.records
    assert "damaged" in record.getMessage()
    assert capfd.readouterr() == ("", "")


def test_a_whole_file_warns_of_nothing(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    for suffix in ("mp4", "mkv"):
        read_all(make_source(Capture(source=str(write_clip(tmp_path / f"clip.{suffix}")))))
    assert caplog.records == []


def test_a_recording_without_its_index_is_told(tmp_path):
    whole = write_clip(tmp_path / "whole.mp4", frames=30).read_bytes()
    (tmp_path / "unfinished.mp4").write_bytes(whole[: whole.find(b"moov") - 4])
    assert "an MP4 without its index (the moov box)" in complaint(tmp_path / "unfinished.mp4")


def test_what_is_no_video_is_told_by_kind(tmp_path):
    text = "not a video\n" * 50
    (tmp_path / "fake.mp4").write_text(text)
    (tmp_path / "notes.txt").write_text(text)
    (tmp_path / "empty.mp4").touch()
    assert "no video that FFmpeg knows" in complaint(tmp_path / "fake.mp4")
    assert "a text file" in complaint(tmp_path / "notes.txt")
    assert "the file is empty (0 bytes)" in complaint(tmp_path / "empty.mp4")
    assert "holds no video, only audio" in complaint(write_sound(tmp_path / "sound.mp4"))


def test_a_file_that_is_not_there_is_told_with_the_place(tmp_path):
    said = complaint(tmp_path / "nope.mp4")
    assert said.startswith(f"--source {tmp_path}/nope.mp4: no such file or folder (looked in {Path.cwd()})")
    (tmp_path / "file").touch()
    assert "no such file or folder" in complaint(tmp_path / "file" / "nope.mp4")


@pytest.fixture
def locked() -> Iterator[Path]:
    """A file that may not be read. Root may read everything, so its test runs as somebody else."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "locked.mp4"
        path.write_bytes(b"x")
        path.chmod(0o000)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        yield path
        if root:
            os.seteuid(0)


def test_a_file_that_may_not_be_read_is_told(locked):
    assert f"no permission to read it; try: chmod u+r {locked}" in complaint(locked)


def test_folders_without_usable_pictures_are_told(tmp_path):
    assert "the folder holds 0 entries" in complaint(tmp_path)
    (tmp_path / "a.txt").touch()
    assert "the folder holds 1 entries, none of them a picture" in complaint(tmp_path)
    cv2.imwrite(str(tmp_path / "1.png"), shade(1))
    (tmp_path / "2.png").write_bytes(b"broken")
    (tmp_path / "3.png").touch()
    assert f"{tmp_path}/2.png is no readable picture (6 bytes)" in complaint(tmp_path)
    (tmp_path / "2.png").unlink()
    assert "3.png is no readable picture (0 bytes)" in complaint(tmp_path)


@pytest.mark.parametrize("graph", ["nosuchfilter=1", "testsrc2=size=apple", "sine=duration=1", ""])
def test_a_graph_that_can_not_be_built_is_told(graph, capfd):
    said = complaint(f"lavfi:{graph}")
    assert "no filter graph" in said or "holds no video, only audio" in said
    assert capfd.readouterr() == ("", "")


# --- cameras ---


def test_a_camera_that_is_not_there_is_told_with_those_that_are(monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [Path("/dev/video2"), Path("/dev/video4")])
    said = complaint("97")
    assert said == (
        "camera /dev/video97: no such file or directory; there is /dev/video2, /dev/video4; give --source one of them"
    )
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [])
    assert "there is no /dev/video* at all; plug a camera in" in complaint("/dev/video97")


def test_what_is_no_camera_is_told(tmp_path):
    assert "no camera that gives pictures" in complaint("/dev/null")
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="is no device"):
        CameraSource(str(tmp_path / "file"), "", 0.0).open()


def test_a_camera_without_permission_tells_of_the_group(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "sudo usermod -aG video $USER" in complaint("/dev/null")


@pytest.mark.parametrize(
    ("number", "wish", "part"),
    [
        (errno.EBUSY, "", "in use by another program"),
        (errno.EINVAL, "1234x567", "does not give 1234x567 at 30"),
        (errno.EINVAL, "", "no camera that gives pictures"),
        (errno.EIO, "", "can't be opened"),
    ],
)
def test_each_refusal_of_a_camera_is_put_into_words(number, wish, part, monkeypatch):
    def refuse(address: str, **arguments: object) -> None:
        assert (address, arguments["format"]) == ("/dev/null", "v4l2")
        av.error.err_check(-number)

    monkeypatch.setattr(video.av, "open", refuse)
    assert part in complaint("/dev/null", camera_size=wish, camera_fps=30.0 if wish else 0.0)


# --- live sources ---


class LiveFile(FileSource):
    """A recording in the part of a camera."""

    live = True


def test_the_end_of_a_live_source_is_a_lost_connection(tmp_path):
    source = LiveFile(write_clip(tmp_path / "clip.mp4", frames=3))
    assert source.open().frames is None
    assert [source.read() is not None for _ in range(3)] == [True] * 3
    with pytest.raises(SourceError, match="the connection was closed after 3 frames"):
        source.read()
    source.close()


def test_a_live_source_that_never_gives_a_picture_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "NO_PICTURE_S", 0.0)
    monkeypatch.setattr(LiveFile, "_decode_packet", lambda self, stream, packet: [])
    with pytest.raises(SourceError, match="no picture that can be decoded"):
        LiveFile(write_clip(tmp_path / "clip.mp4")).open()


def test_the_spoilt_buffer_of_a_camera_does_not_end_it(tmp_path, monkeypatch):
    source = LiveFile(write_clip(tmp_path / "clip.mp4", frames=3))
    spoilt = av.Packet()

    class Container:
        def __init__(self, container) -> None:
            self.streams, self.format, self.close = container.streams, container.format, container.close
            self.inner = container

        def demux(self, stream) -> Iterator[av.Packet]:
            for packet in self.inner.demux(stream):
                yield spoilt
                yield packet

    opening = av.open
    monkeypatch.setattr(video.av, "open", lambda *a, **k: Container(opening(*a, **k)))
    source.open()
    assert levels([p for _ in range(3) if (p := source.read())]) == [0, 1, 2]
    source.close()


# --- addresses that no server is needed for ---


def test_an_rtsp_server_that_is_not_there_is_told_without_the_password():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = complaint(f"rtsp://me:secret@127.0.0.1:{port}/cam")
    assert said.startswith(f"rtsp://***@127.0.0.1:{port}/cam: nothing listens at 127.0.0.1:{port}")
    assert "secret" not in said


def test_an_rtsp_server_that_says_nothing_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        said = complaint(f"rtsp://me:secret@127.0.0.1:{mute.getsockname()[1]}/cam", open_timeout_s=0.3)
    assert "no answer within 0.3 s (capture.open_timeout_s)" in said
    assert "secret" not in said


def test_a_server_of_another_kind_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection = server.accept()[0]
            connection.sendall(b"SSH-2.0-other\r\n")
            connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        assert "speaks no RTSP" in complaint(f"rtsp://127.0.0.1:{server.getsockname()[1]}/cam")
        thread.join()


def test_an_unknown_host_is_told():
    assert "the host no-such-host.invalid is unknown" in complaint("rtsp://me:secret@no-such-host.invalid/cam")


@pytest.mark.parametrize("address", ["rtsp:///cam", "rtsp://me:secret@host:99999/cam", "rtsp://me:secret@host:x/cam"])
def test_an_address_that_is_none_is_told(address):
    said = complaint(address)
    assert "needs rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH" in said
    assert "secret" not in said
