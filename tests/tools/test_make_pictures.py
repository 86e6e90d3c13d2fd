"""The README's animation: small, at its own rate, with the colours that a person looks at."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from nodes.renderer.video_file import VideoFile
from tools import make_pictures

SKY, OUTLINE = (20, 20, 60), (250, 160, 20)


def recorded(path: Path, seconds: float) -> Path:
    """A dark picture with a small bright spot that moves, 25 frames a second."""
    video = VideoFile(path, 25)
    for i in range(round(seconds * 25)):
        rgb = np.full((360, 640, 3), SKY, np.uint8)
        rgb[100:116, 40 + 2 * i : 56 + 2 * i] = OUTLINE
        video.write(rgb, i * 40_000_000)
    video.close()
    return path


def test_a_part_of_a_recording_becomes_an_animation_that_keeps_rare_colours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = recorded(tmp_path / "run.mp4", make_pictures.BEGIN_S + 2.0)
    assert make_pictures.main(["--video", str(video), "--folder", str(tmp_path)]) == 0
    assert "demo.gif: " in capsys.readouterr().out
    with av.open(str(tmp_path / "demo.gif")) as gif:
        frames = [f.to_ndarray(format="rgb24") for f in gif.decode(video=0)]
        assert (gif.streams.video[0].width, gif.streams.video[0].height) == make_pictures.SIZE
    assert len(frames) in (19, 20)
    spots = [np.abs(rgb.astype(int) - OUTLINE).max(axis=2) < 40 for rgb in frames]
    assert all(10 < spot.sum() < 400 for spot in spots)
    assert np.flatnonzero(spots[-1].any(axis=0))[0] > np.flatnonzero(spots[0].any(axis=0))[0] + 50


def test_a_recording_that_is_too_short_is_refused(tmp_path: Path) -> None:
    video = recorded(tmp_path / "run.mp4", make_pictures.BEGIN_S / 2)
    with pytest.raises(SystemExit, match="is shorter than"):
        make_pictures.animate(video, tmp_path / "run.gif")
