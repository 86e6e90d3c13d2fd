"""tools/fit_windows.py: rounds of drawn clips and fits in, networks that OpenCV reads out."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import Future

import cv2
import pytest
from running import ROOT

pytest.importorskip("torch")

from tools import fit_windows
from tools.fitting import window_fitting, window_rounds
from tools.fitting.window_validation import Figures


@pytest.fixture
def short_clips(in_this_process, monkeypatch):
    monkeypatch.setattr(window_rounds, "FRAMES", 6)
    monkeypatch.setattr(window_rounds, "VALIDATION_FRAMES", 5)
    monkeypatch.setattr(window_rounds, "SHARES", (0.8, 1.0))
    threads = cv2.getNumThreads()
    yield
    cv2.setNumThreads(threads)


def test_a_tiny_training_writes_a_network_of_each_seed_and_names_the_best(short_clips, tmp_path, capsys, monkeypatch):
    began = []

    def start_fit(windows, seed):
        began.append((seed, threading.current_thread()))
        return window_fitting.start_fit(windows, seed)

    monkeypatch.setattr(window_rounds, "start_fit", start_fit)
    assert fit_windows.main(["--out", str(tmp_path), "--size", "tiny", "--seeds", "0", "3", "--jobs", "1"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["seeds"]) == {"0", "3"}
    best = tmp_path / f"seed-{report['best']}" / "network.onnx"
    assert (tmp_path / "best.onnx").read_bytes() == best.read_bytes()
    for file in tmp_path.glob("seed-*/*.onnx"):
        assert cv2.dnn.readNetFromONNX(str(file)).getUnconnectedOutLayersNames()
    text = capsys.readouterr().out
    assert "chosen:" in text
    assert (tmp_path / "log.txt").read_text() == text
    # side by side, one seed's first weights would depend on how far another one's have come
    assert began == [(0, threading.main_thread()), (3, threading.main_thread())]


@pytest.mark.slow
def test_where_time_is_short_later_rounds_are_left_out(short_clips, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(window_rounds, "ENOUGH_S", 1e12)
    assert fit_windows.main(["--out", str(tmp_path), "--size", "tiny", "--jobs", "1"]) == 0
    assert cv2.dnn.readNetFromONNX(str(tmp_path / "seed-0" / "network.onnx")).getUnconnectedOutLayersNames()
    assert "round 1: left out" in capsys.readouterr().out


def test_what_is_not_done_in_time_is_given_up(capsys):
    done, waiting = Future(), Future()
    done.set_result(1)
    assert window_rounds.collect("clips", [done, waiting, waiting], ends_at=0) == [1]
    assert waiting.cancelled()
    assert "time for 1 of 3 only" in capsys.readouterr().out


def test_figures_tell_level_decay_and_wrong_frames():
    figures = Figures.of_clips([[1.0] * 8, [0.8, 0.8, 0.6, 0.6, 0.4, 0.4, 0.2, 0.2]])
    assert pytest.approx(75) == figures.J
    assert figures.decay == pytest.approx(30)
    assert figures.wrong == pytest.approx(12.5)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--jobs", "0"], "--jobs is 0; needs 1 or more"),
        (["--seeds", "1", "-1"], "--seeds is -1; needs 0 or more"),
        (["--seeds", "1", "1"], "each seed once"),
        (["--deadline-s", "0"], "--deadline-s is 0; needs more than 0"),
        (["--scratch", "no/such"], "--scratch no/such: the folder does not exist"),
    ],
)
def test_wrong_arguments_are_reported_in_a_line(arguments, word, tmp_path, capsys):
    assert fit_windows.main(["--out", str(tmp_path), *arguments]) == 2
    assert word in capsys.readouterr().err


WITHOUT_THEM = """
import subprocess
import sys
for name in ("zmq", "msgspec", "av", "yaml", "rich"):
    sys.modules[name] = None
import tools.fit_windows, tools.fitting.window_rounds
from tools.clips.clip import draw_clip
from tools.clips.layered_scene import Variety
draw_clip(0, (96, 128), 2, Variety.RICH)
"""


def test_a_machine_that_only_trains_needs_none_of_the_packages_of_the_stream():
    done = subprocess.run([sys.executable, "-c", WITHOUT_THEM], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
