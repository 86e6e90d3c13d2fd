"""Recordings: right when all goes well, playable when it does not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from nodes.renderer.recording import Recording
from nodes.renderer.video_file import VideoFile
from stream.arrays import Array
from stream.reports import SinkState

ROOT = Path(__file__).resolve().parents[2]
MS = 1_000_000
SIZE = (48, 64)


def picture(i: int, size: tuple[int, int] = SIZE) -> Array:
    rgb = np.full((*size, 3), 40, np.uint8)
    rgb[:, : size[1] // 2] = (200, 30, 30)
    rgb[0:8, (2 * i) % (size[1] - 8) :][:, :8] = 255
    return rgb


def record(path: Path, times_ms: list[int], size: tuple[int, int] = SIZE) -> VideoFile:
    video = VideoFile(path, fps=25)
    for i, ms in enumerate(times_ms):
        video.write(picture(i, size), 7_000_000_000 + ms * MS)
    return video


def read(path: Path) -> tuple[list[float], list[Array]]:
    """The times in seconds and the pictures of a video file."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [float(f.pts * f.time_base) for f in frames], [f.to_ndarray(format="rgb24") for f in frames]


def test_a_video_has_every_frame_at_the_time_it_was_captured(tmp_path: Path):
    times = [0, 40, 80, 200, 233, 1233, 1273]
    record(tmp_path / "a.mp4", times).close()
    seconds, pictures = read(tmp_path / "a.mp4")
    assert seconds == pytest.approx([t / 1000 for t in times], abs=2e-4)
    assert {p.shape for p in pictures} == {(*SIZE, 3)}


def test_the_last_frame_lasts_as_long_as_the_feeds_rate_says(tmp_path: Path):
    record(tmp_path / "a.mp4", [0, 40, 80]).close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(0.12, abs=1e-3)


def test_colours_survive(tmp_path: Path):
    record(tmp_path / "a.mp4", [0, 40]).close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0))
        assert frame.colorspace == 1, "marked BT.709, which players take HD video for"
        rgb = frame.to_ndarray(format="rgb24").astype(int)
    assert np.abs(rgb[20:40, 8:24] - (200, 30, 30)).max() < 14
    assert np.abs(rgb[20:40, 40:60] - 40).max() < 8


def test_a_closed_video_is_an_ordinary_seekable_file(tmp_path: Path):
    record(tmp_path / "a.mp4", list(range(0, 8000, 100))).close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.frames == 80, "the index at its end knows them all"
        container.seek(int(5 / stream.time_base), stream=stream)
        first = next(container.decode(stream))
        assert first.key_frame
        assert 3 <= first.time <= 5


def test_a_video_whose_process_was_killed_plays(tmp_path: Path):
    path = tmp_path / "killed.mp4"
    writer = (
        "import os, sys, numpy as np\n"
        "from nodes.renderer.video_file import VideoFile\n"
        "video = VideoFile(sys.argv[1], 25)\n"
        "for i in range(200):\n"
        "    video.write(np.full((48, 64, 3), i, np.uint8), i * 40_000_000)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", writer, str(path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    seconds, pictures = read(path)
    assert len(pictures) >= 200 - 2 * 50 - 10, "at most the last two seconds, and what is in the encoder"
    assert seconds == pytest.approx([0.04 * i for i in range(len(seconds))], abs=1e-3)


def test_time_in_a_video_only_goes_forward(tmp_path: Path):
    record(tmp_path / "a.mp4", [0, 40, 40, 10, 50, 10 * 3600 * 1000]).close()
    seconds, _ = read(tmp_path / "a.mp4")
    assert seconds == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.2], abs=2e-4)


def test_the_second_frame_may_have_the_time_of_the_first(tmp_path: Path):
    record(tmp_path / "a.mp4", [0, 0, 40]).close()
    seconds, _ = read(tmp_path / "a.mp4")
    assert seconds == pytest.approx([0, 0.04, 0.08], abs=2e-4)


def test_an_odd_size_is_padded_to_an_even_one(tmp_path: Path):
    record(tmp_path / "a.mp4", [0, 40], size=(49, 63)).close()
    _, pictures = read(tmp_path / "a.mp4")
    assert pictures[0].shape == (50, 64, 3)


def test_pixels_that_are_not_square_are_shown_as_their_source_shows_them(tmp_path: Path):
    video = VideoFile(tmp_path / "a.mp4", 25)
    for i in range(2):
        video.write(picture(i), i * 40 * MS, (24, 11))
    disc = np.zeros((96, 128, 3), np.uint8)
    disc[24:72, 40:88] = 255
    video.write(disc, 80 * MS)  # of square ones: it stays a square where it is shown
    video.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(24, 11)
        last = list(container.decode(video=0))[-1].to_ndarray(format="gray") > 128
    height, width = last.any(axis=1).sum(), last.any(axis=0).sum()
    assert width * 24 / 11 == pytest.approx(height, abs=3)


def test_another_size_is_scaled_into_the_first_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    video = record(tmp_path / "a.mp4", [0, 40])
    for i in range(2, 5):
        video.write(picture(i, (96, 96)), 7_000_000_000 + i * 40 * MS)
    video.close()
    _, pictures = read(tmp_path / "a.mp4")
    assert [p.shape for p in pictures] == [(*SIZE, 3)] * 5
    assert pictures[-1][:, :6].max() < 30, "a bar"
    assert [r.getMessage() for r in caplog.records] == [
        f"recording {tmp_path / 'a.mp4'}: frames are 96x96 now; they are scaled into its 64x48"
    ]


def test_without_a_frame_there_is_no_file(tmp_path: Path):
    VideoFile(tmp_path / "a.mp4", 25).close()
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_or_writing_afterwards_changes_nothing(tmp_path: Path):
    video = record(tmp_path / "a.mp4", [0, 40])
    video.close()
    video.close()
    video.write(picture(0), 9_000_000_000)
    assert len(read(tmp_path / "a.mp4")[0]) == 2


def test_a_full_disk_stops_the_recording_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    full = tmp_path / "full.mp4"
    full.symlink_to("/dev/full")
    video = record(full, list(range(0, 400, 40)))
    assert video.stopped
    video.close()
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert str(full) in caplog.text
    assert os.strerror(errno.ENOSPC) in caplog.text


def test_what_was_written_before_the_disk_was_full_plays(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """On a real file system of 256 KiB, where the machine lets us mount one."""
    with small_disk(tmp_path, "256k"):
        noise = np.random.default_rng(0)
        video = VideoFile(tmp_path / "a.mp4", 25)
        for i in range(400):
            video.write(noise.integers(0, 255, (48, 64, 3), np.uint8), i * 40 * MS)
        assert video.stopped
        video.close()
        assert len(caplog.records) == 1
        seconds, _ = read(tmp_path / "a.mp4")
        assert len(seconds) >= 25


def test_a_recording_goes_on_in_the_next_file_when_the_disk_has_room_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    now_s = 0.0
    with small_disk(tmp_path, "512k"):
        (tmp_path / "other").write_bytes(bytes(256 << 10))
        noise = np.random.default_rng(0)
        recording = Recording(str(tmp_path / "a.mp4"), 0.0, 0, lambda: now_s)

        def write(count: int) -> None:
            nonlocal now_s
            for _ in range(count):
                recording.write(noise.integers(0, 255, (48, 64, 3), np.uint8), round(now_s * 1e9))
                now_s += 0.04

        write(400)
        state = recording.state()
        assert (Path(state.path).name, state.error) == ("a.mp4", os.strerror(errno.ENOSPC))
        assert len(caplog.records) == 1
        (tmp_path / "other").unlink()
        write(150)
        state = recording.state()
        assert (Path(state.path).name, state.files, state.error) == ("a-2.mp4", 2, "")
        recording.close()
        assert [r.getMessage() for r in caplog.records[1:]] == [f"the recording goes on in {tmp_path / 'a-2.mp4'}"]
        lengths = [len(read(tmp_path / name)[0]) for name in ("a.mp4", "a-2.mp4")]
        assert min(lengths) >= 25


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of that size in the folder; skips the test where nobody may mount one."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs Linux and root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_recording_that_is_there_is_not_written_over(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "a.mp4"
    names = []
    for _ in range(3):
        recording = Recording(str(path), 0.0, 0)
        recording.write(picture(0), 0)
        recording.close()
        names.append(Path(recording.state().path).name)
        assert recording.written == 1
    assert names == ["a.mp4", "a-2.mp4", "a-3.mp4"]
    assert {len(read(tmp_path / name)[0]) for name in names} == {1}
    assert [r.getMessage() for r in caplog.records] == [
        f"--record {path}: there is such a file already; this recording is {tmp_path / name}" for name in names[1:]
    ]


def test_an_empty_file_and_a_link_to_nothing_are_no_recordings(tmp_path: Path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").symlink_to(tmp_path / "c.mp4")
    for name in ("a.mp4", "b.mp4"):
        recording = Recording(str(tmp_path / name), 0.0, 0)
        recording.write(picture(0), 0)
        recording.close()
        assert recording.state().path == str(tmp_path / name)
    assert (tmp_path / "c.mp4").stat().st_size > 0


def test_a_recording_without_a_frame_leaves_nothing_and_a_closed_one_takes_none(tmp_path: Path):
    recording = Recording(str(tmp_path / "a.mp4"), 0.0, 0)
    recording.close()
    recording.write(picture(0), 0)
    assert list(tmp_path.iterdir()) == []
    assert (recording.written, recording.state()) == (0, SinkState())


def test_a_recording_that_somebody_removed_is_named_as_failed(tmp_path: Path):
    recording = Recording(str(tmp_path / "a.mp4"), 0.0, 0)
    for i in range(100):
        recording.write(picture(i), i * 40 * MS)
    (tmp_path / "a.mp4").unlink()
    recording.close()
    assert (recording.written, recording.state().error) == (0, os.strerror(errno.ENOENT))


def test_a_video_that_cant_be_opened_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    video = record(tmp_path / "missing" / "a.mp4", [0, 40, 80])
    video.close()
    assert [r.getMessage() for r in caplog.records] == [
        f"recording to {tmp_path / 'missing' / 'a.mp4'} stopped: {os.strerror(errno.ENOENT)}; nothing of it is left"
    ]


def test_an_error_at_the_very_end_is_a_warning_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    video = record(tmp_path / "a.mp4", [0, 40])

    class Full:
        def encode(self) -> list[Any]:
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(video, "_stream", Full())
    video.close()
    assert len(caplog.records) == 1
    assert video.stopped


def test_a_name_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    record(Path("2024-11-14T22:57:44.mp4"), [0, 40]).close()
    assert len(read(tmp_path / "2024-11-14T22:57:44.mp4")[0]) == 2
