"""A signal ends the whole run in order, whatever it is doing."""

from __future__ import annotations

import signal
import time

import pytest
from running import GONE_S, LOOP, crowding, gone, handles_signals, nodes_of, until, video_frames


@pytest.fixture
def silent_port():
    """A port that takes connections and never says a word."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("phase", "number"),
    [
        ("loading", signal.SIGINT),
        ("running", signal.SIGTERM),
        ("connecting", signal.SIGINT),
        ("backing off", signal.SIGTERM),
        pytest.param("loading", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("running", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("connecting", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("backing off", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_everything_in_every_phase(start, phase, number, tmp_path, own_run_folder, silent_port):
    source = {
        "connecting": ("--source", f"rtsp://127.0.0.1:{silent_port}/cam"),  # accepts, and never answers
        "backing off": ("--source", "rtsp://127.0.0.1:9/cam", "--set", "capture.wait_for_source=true"),
    }.get(phase, LOOP)
    run = start(*source, "--record", "live.mp4")
    if phase == "loading":
        until(lambda: nodes_of(run.process.pid), "a node")
    elif phase == "running":
        run.tracks(1)
        until((tmp_path / "live.mp4").exists, "the recording")
    elif phase == "connecting":
        until(lambda: run.ctl("list", check=False)[0] == 0, "control")
        until(lambda: run.ctl("stats")["nodes"]["capture"]["rss_mb"] > 0, "capture")
    else:
        run.says("next try in")
    began = time.monotonic()
    run.send(number)
    until(lambda: gone(run, own_run_folder), "the end")
    assert time.monotonic() - began < GONE_S * crowding() + 1  # the supervisor's own limit is 3 s
    assert run.wait() == 0, run.output
    assert "Traceback" not in run.output
    if phase == "running":
        assert video_frames(tmp_path / "live.mp4") > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_anything_has_started_ends_the_run_in_order(start, number, own_run_folder):
    run = start(*LOOP)
    until(lambda: handles_signals(run.process.pid), "the first line")
    run.send(number)
    assert run.wait() == 0, run.output
    assert "Traceback" not in run.output
    until(lambda: gone(run, own_run_folder), "the end of all")
