"""Cameras: each refusal in words, and what a live source does that a recording does not."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from capture.clips import complaint, levels, write_clip

from nodes.capture.cameras import CameraSource
from nodes.capture.decoding import video
from nodes.capture.files import FileSource
from stream.errors import SourceError


def test_a_camera_that_is_not_there_is_told_with_those_that_are(monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [Path("/dev/video2"), Path("/dev/video4")])
    message = complaint("97")
    assert message == (
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
