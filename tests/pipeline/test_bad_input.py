"""Whatever is wrong: one clear message, the right exit code, no traceback, nothing left behind."""

from __future__ import annotations

import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
from rtsp_fixture import need_rtsp, start_rtsp_server
from running import ROOT


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "text.mp4").write_text("hello\n")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "no_pictures").mkdir()
    (tmp_path / "junk.png").write_text("x")
    cv2.imwrite(str(tmp_path / "small.png"), np.pad(np.ones((9, 9), np.uint8), 9))
    cv2.imwrite(str(tmp_path / "nothing.png"), np.zeros((360, 640), np.uint8))
    return tmp_path


def run(folder, *arguments):
    command = [sys.executable, str(ROOT / "run_stream.py"), "--no-dashboard", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False
    )


def refused(done, code, words):
    """One message, the last line, and nothing that a user need not read."""
    # what the run tells at its start and every few seconds, and that a busy machine was slow to stop, is another matter
    usual = re.compile(r"\d\d:\d\d:\d\d graph: (?!warning: |error: )|.* did not stop in")
    lines = [line for line in done.stderr.splitlines() if not usual.match(line)]
    assert done.returncode == code, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("run_stream: error: ")
    assert words in lines[0]
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--source", "nope.mp4"], 3, "no such file"),
        (["--source", "text.mp4"], 3, "needs a video file"),
        pytest.param(["--source", "empty.mp4"], 3, "empty", marks=pytest.mark.slow),
        pytest.param(["--source", "no_pictures"], 3, "picture", marks=pytest.mark.slow),
        (["--source", "/dev/video99"], 3, "/dev/video99"),
        pytest.param(["--source", "lavfi:nonsense"], 3, "filter", marks=pytest.mark.slow),
        (["--source", "gopher://h/x"], 2, "unknown scheme 'gopher'"),
        (["--config", "lit"], 2, "did you mean 'lite'"),
        (["--set", "tracker.horizn=4"], 2, "did you mean 'horizon'"),
        (["--set", "tracker.horizon=four"], 2, "needs a whole number from 2 to 64"),
        (["--frames", "few"], 2, "--help"),
        (["--nonsense"], 2, "--help"),
        (["--point", "9999,5"], 2, "outside the frame of 640x360"),
        (["--point", "1,2,7"], 2, "label"),
        (["--point", "one,two"], 2, "[ID:]x,y[,0|1]"),
        (["--point", "0:5,5"], 2, "object id 0"),
        pytest.param(["--box", "10,10,900,90"], 2, "leaves the frame of 640x360", marks=pytest.mark.slow),
        (["--box", "90,90,10,10"], 2, "inverted"),
        (["--mask", "small.png"], 2, "27x27"),
        (["--mask", "nothing.png"], 2, "holds no object"),
        (["--mask", "junk.png"], 2, "no picture"),
        (["--mask", "absent.png"], 2, "no such file"),
        (["--auto", "3"], 2, "--auto needs a SAM decoder"),
        (["--config", "sam_pt", "--auto", "-1"], 2, "decoder.auto is -1"),
        (["--publish", "tcp://0.0.0.0:5556"], 2, "--insecure"),
        (["--record", "live.avi"], 2, ".mp4"),
        (["--save-masks", "text.mp4"], 2, "needs a folder"),
        (["--save-masks", "/proc/masks"], 2, "/proc/masks"),
        (["--summary", "absent/s.json"], 2, "does not exist"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(folder, arguments, code, words):
    refused(run(folder, *arguments), code, words)


def test_an_endpoint_in_use_is_named(folder):
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        endpoint = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        refused(run(folder, "--publish", endpoint), 2, f"{endpoint} is in use")
        refused(run(folder, "--set", f"control.endpoint={endpoint}"), 2, f"{endpoint} is in use")


def test_a_camera_that_refuses_is_named_without_its_password(folder):
    done = run(folder, "--source", "rtsp://user:hunter2@127.0.0.1:9/cam", "--debug")
    assert done.returncode != 0
    assert "hunter2" not in done.stderr + done.stdout
    refused(run(folder, "--source", "rtsp://user:hunter2@127.0.0.1:9/cam"), 3, "connection refused")


@pytest.mark.rtsp
def test_wrong_password_and_wrong_path_are_told_apart(folder):
    need_rtsp()
    with start_rtsp_server(user="user", password="hunter2") as camera:
        for path, secret, words in (("cam", "hunter3", "401"), ("cellar", "hunter2", "404")):
            done = run(folder, "--source", f"rtsp://user:{secret}@127.0.0.1:{camera.port}/{path}")
            refused(done, 3, words)
            assert "hunter" not in done.stderr + done.stdout


def test_check_says_yes_and_starts_nothing(folder):
    done = run(folder, "--check", "--point", "3:5,5", "--record", "live.mp4")
    assert (done.returncode, done.stderr) == (0, "")
    assert "fine" in done.stdout
    assert not (folder / "live.mp4").exists()


@pytest.mark.parametrize(
    "arguments", [["--source", "absent.mp4"], ["--save-masks", "text.mp4"], ["--mask", "junk.png"]]
)
def test_check_says_no(folder, arguments):
    assert run(folder, "--check", *arguments).returncode in (2, 3)
