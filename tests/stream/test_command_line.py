from __future__ import annotations

import io
import json
import sys
import time

import pytest

from stream.command_line import check_start, conclude, needed_weights, read_command_line
from stream.console.output import outputs
from stream.errors import ConfigError, SourceError
from stream.settings.presets import load
from stream.topology import wiring


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({}, []),
        ({"tracker.backend": "pips"}, ["pips"]),
        ({"tracker.backend": "raft"}, ["raft"]),
        ({"tracker.backend": "tapnet"}, ["tapnet"]),
        (
            {"tracker.backend": "pips", "decoder.backend": "mobile_sam", "decoder.model": "vit_tiny"},
            ["pips", "mobile_sam"],
        ),
        ({"decoder.backend": "sam", "decoder.model": "vit_b"}, ["sam_vit_b"]),
        ({"decoder.backend": "hq_sam", "decoder.model": "vit_tiny"}, ["hq_sam_vit_tiny"]),
        ({"decoder.backend": "sam2", "decoder.model": "base_plus"}, ["sam2_base_plus"]),
        ({"decoder.backend": "edgetam"}, ["edgetam"]),
        ({"decoder.backend": "sam", "decoder.checkpoint": "own.pth"}, []),
        ({"tracker.backend": "pips", "tracker.checkpoint": "own.pth"}, []),
        ({"tracker.backend": "pips", "decoder.backend": "sam", "graph.run": ["decoder"]}, ["sam_vit_h"]),
        ({"tracker.backend": "pips", "decoder.backend": "sam", "graph.run": ["capture"]}, []),
    ],
)
def test_weights_are_needed_for_the_backends_that_this_host_runs(keys, names):
    config = load("lite", keys)
    assert needed_weights(config, wiring(config)) == names


def test_a_file_has_to_be_there_only_on_the_host_that_reads_it():
    here = {"capture.source": "no_such_clip.mp4"}
    with pytest.raises(SourceError, match="no such file or folder"):
        check_start(load("lite", here))
    endpoints = {
        "scenes": "tcp://127.0.0.1:7001",
        "commands": "tcp://127.0.0.1:7002",
        "reports": "tcp://127.0.0.1:7003",
    }
    elsewhere = {**here, "graph.run": ["renderer"], "graph.host": False, "graph.endpoints": endpoints}
    check_start(load("lite", elsewhere))


def test_nodes_out_of_reach_of_each_other_are_refused_before_anything_starts():
    with pytest.raises(ConfigError, match=r"graph\.endpoints\.\w+ is not set"):
        check_start(load("lite", {"graph.run": ["renderer"]}))


def test_a_summary_can_not_be_written_to_a_folder_or_into_one_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        read_command_line(["--summary", str(tmp_path)])
    with pytest.raises(ConfigError, match="does not exist"):
        read_command_line(["--summary", str(tmp_path / "gone" / "x.json")])


SUMMARY = {
    "frames": {"captured": 10, "passed_over": 1, "decoded": 9},
    "latency_ms": {"p50": 12.0, "p95": 20.0},
    "nodes": {"decoder": {"rate_hz": 25.0}},
    "reconnects": 3,
    "restarts": 1,
    "truth": {"mean_iou": 0.9},
}


def test_the_last_lines_say_what_was_done_and_the_file_holds_all_of_it(tmp_path, capsys):
    conclude(read_command_line(["--summary", str(tmp_path / "x.json")]), SUMMARY, failed=False)
    assert json.loads((tmp_path / "x.json").read_text()) == SUMMARY
    printed = capsys.readouterr().out
    for line in (
        "10 captured, 1 passed over, 9 decoded",
        "25.0 frames/s",
        "p95 20.0 ms",
        "reconnects 3",
        "restarts   1",
    ):
        assert line in printed


def test_the_last_lines_come_after_the_log_and_before_the_error_whichever_stream_is_written_sooner(monkeypatch):
    written = []

    class Terminal(io.StringIO):
        def __init__(self, slowness_s):
            super().__init__()
            self.slowness_s = slowness_s

        def write(self, text):
            time.sleep(self.slowness_s)
            written.extend(text.splitlines())
            return len(text)

    for out_s, err_s in ((0.1, 0.0), (0.0, 0.1)):
        written.clear()
        monkeypatch.setattr(sys, "stdout", Terminal(out_s))
        monkeypatch.setattr(sys, "stderr", Terminal(err_s))
        with outputs():
            print("decoder restarted", file=sys.stderr)
            conclude(read_command_line([]), SUMMARY, failed=True)
            print("the error", file=sys.stderr)
        assert written[0] == "decoder restarted"
        assert written[-2:] == ["restarts   1", "the error"]


FILE = {"path": "out/a-2.mp4", "files": 1, "pictures": 9}


@pytest.mark.parametrize(
    ("state", "written", "line", "exit_code"),
    [
        ("written", FILE, "video      out/a-2.mp4", 0),
        ("written", {**FILE, "files": 3}, "video      out/a-2.mp4 (the last of 3 files)", 0),
        ("failed: disk full", FILE, "video      out/a-2.mp4, then failed: disk full", 0),
        ("failed: disk full", None, "video      failed: disk full", 1),
        ("nothing written", None, "video      nothing written", 0),
    ],
)
def test_the_last_lines_name_what_is_there_and_a_sink_that_wrote_nothing_is_a_failure(
    state, written, line, exit_code, capsys
):
    sinks = {"sinks": {"record": state}, "written": {"record": written} if written else {}}
    assert conclude(read_command_line([]), {**SUMMARY, **sinks}, failed=False) == exit_code
    assert capsys.readouterr().out.splitlines()[-1] == line


def test_a_summary_that_can_not_be_written_is_a_failure(tmp_path, capsys):
    command_line = read_command_line(["--summary", str(tmp_path / "x.json")])
    (tmp_path / "x.json").mkdir()
    assert conclude(command_line, SUMMARY, failed=False) == 1
    assert "--summary" in capsys.readouterr().err


@pytest.mark.parametrize(("captured", "decoded", "failed"), [(0, 0, False), (5, 0, True)])
def test_nothing_is_printed_where_nothing_was_done(captured, decoded, failed, capsys):
    frames = {"captured": captured, "passed_over": 0, "decoded": decoded}
    conclude(read_command_line([]), {**SUMMARY, "frames": frames}, failed=failed)
    assert capsys.readouterr().out == ""
