"""Files, folders and graphs that can't be read, or not to their end: what the error says."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from capture.clips import complaint, levels, read_all, shade, write_clip, write_sound

from nodes.capture.sources import make_source
from stream.settings.config import Capture


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


def test_recordings_joined_in_one_file_are_whole_though_their_times_begin_again(tmp_path, caplog):
    long, short = (write_clip(tmp_path / f"{n}.ts", frames=n).read_bytes() for n in (60, 30))
    (tmp_path / "both.ts").write_bytes(long + short)
    _, pictures = read_all(make_source(Capture(source=str(tmp_path / "both.ts"))))
    assert len(pictures) == 90
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
    message = complaint(tmp_path / "nope.mp4")
    assert message.startswith(f"--source {tmp_path}/nope.mp4: no such file or folder (looked in {Path.cwd()})")
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
    (tmp_path / "2.png").write_bytes(b"broken")
    (tmp_path / "3.png").touch()
    assert f"{tmp_path}/2.png is no readable picture (6 bytes)" in complaint(tmp_path)
    (tmp_path / "2.png").unlink()
    assert "3.png is no readable picture (0 bytes)" in complaint(tmp_path)


def test_pictures_that_cannot_be_read_are_passed_over_and_counted_once(tmp_path, caplog):
    for i in range(6):
        cv2.imwrite(str(tmp_path / f"{i}.jpg"), shade(i))
    (tmp_path / "0.jpg").write_bytes(b"")
    whole = (tmp_path / "3.jpg").read_bytes()
    (tmp_path / "3.jpg").write_bytes(whole[: len(whole) // 2])
    source = make_source(Capture(source=str(tmp_path)))
    opened, pictures = read_all(source)
    assert opened.size == (64, 96)
    assert [round(p.rgb.mean() / 8) for p in pictures] == [1, 2, 4, 5]
    (record,) = caplog.records
    assert record.getMessage().startswith(
        f"2 of 6 pictures were passed over; the first of them: --source: {tmp_path}/0.jpg"
    )


def test_a_restart_goes_on_behind_the_pictures_that_were_given(tmp_path):
    for i in range(6):
        cv2.imwrite(str(tmp_path / f"{i}.png"), shade(i))
    (tmp_path / "1.png").write_bytes(b"")
    source = make_source(Capture(source=str(tmp_path)))
    source.open()
    source.skip(2)
    picture = source.read()
    assert picture is not None
    assert round(picture.rgb.mean() / 8) == 3


@pytest.mark.parametrize("graph", ["nosuchfilter=1", "testsrc2=size=apple", "sine=duration=1", ""])
def test_a_graph_that_can_not_be_built_is_told(graph, capfd):
    message = complaint(f"lavfi:{graph}")
    assert "no filter graph" in message or "holds no video, only audio" in message
    assert capfd.readouterr() == ("", "")


def test_an_animated_webp_is_refused_in_words_and_not_called_damaged(tmp_path, caplog, monkeypatch):
    monkeypatch.setitem(av.library_versions, "libavcodec", (62, 0, 0))
    picture = np.zeros((16, 16, 3), np.uint8)
    animation = cv2.Animation()
    animation.frames, animation.durations = [picture, picture + 99], np.array([100, 100], np.int32)
    assert cv2.imwriteanimation(str(tmp_path / "a.webp"), animation)
    assert "an animated WebP" in complaint(tmp_path / "a.webp")
    assert caplog.records == []
    cv2.imwrite(str(tmp_path / "still.webp"), picture)
    assert len(read_all(make_source(Capture(source=str(tmp_path / "still.webp"))))[1]) == 1
