"""Single files of the renderer, written whole; and places for its files, checked before the run."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from nodes.renderer import sinks
from nodes.renderer.sinks import check_file, check_folder, replace_file, save_png
from stream.errors import ConfigError


def test_a_picture_is_saved_in_its_colours(tmp_path: Path):
    rgb = np.full((48, 64, 3), 40, np.uint8)
    rgb[:, :32] = (200, 30, 30)
    save_png(tmp_path / "a.png", rgb)
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], rgb)
    with pytest.raises(FileNotFoundError):
        save_png(tmp_path / "missing" / "a.png", rgb)


def test_a_file_is_replaced_whole(tmp_path: Path):
    replace_file(tmp_path / "a", b"one")
    replace_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_folders_are_made(tmp_path: Path):
    check_file(tmp_path / "a" / "b" / "c.mp4", "--record", ".mp4")
    assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a" / "b" / "c.mp4").exists()
    check_folder(tmp_path / "d" / "e", "--save-masks")
    assert list((tmp_path / "d" / "e").iterdir()) == []


def test_a_file_that_is_there_keeps_its_content_when_checked(tmp_path: Path):
    (tmp_path / "a.mp4").write_bytes(b"old")
    check_file(tmp_path / "a.mp4", "--record", ".mp4")
    assert (tmp_path / "a.mp4").read_bytes() == b"old"


def test_a_folder_is_no_video_file(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"--record .* is a folder; needs a file, for example .*live\.mp4"):
        check_file(tmp_path, "--record", ".mp4")


def test_another_ending_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"a\.avi: needs a name that ends in \.mp4"):
        check_file(tmp_path / "a.avi", "--record", ".mp4")


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"--save-masks: .* is a file; needs a folder"):
        check_folder(tmp_path / "f", "--save-masks")
    with pytest.raises(ConfigError, match="can't be made"):
        check_folder(tmp_path / "f" / "g", "--save-masks")
    with pytest.raises(ConfigError, match="is a file; needs a folder"):
        check_file(tmp_path / "f" / "a.mp4", "--record", ".mp4")


def test_a_pipe_is_no_video_file(tmp_path: Path):
    os.mkfifo(tmp_path / "p.mp4")
    with pytest.raises(ConfigError, match="is no regular file"):
        check_file(tmp_path / "p.mp4", "--record", ".mp4")


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(sinks.tempfile, "TemporaryFile", refuse)
    for check in (
        lambda: check_folder(tmp_path, "--save-masks"),
        lambda: check_file(tmp_path / "a.mp4", "--r", ".mp4"),
    ):
        with pytest.raises(ConfigError, match=f"can't be written \\({os.strerror(errno.EROFS)}\\)"):
            check()
