"""The whole command, as a user starts it: real processes, real sockets on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
from running import LOOP, NODES, PATIENCE_S, ROOT, nodes_of, until, video_frames
from x_display import x_display


def test_the_demo_is_followed_and_every_output_is_written(start, tmp_path):
    run = start(
        *("--frames", 60, "--record", "live.mp4", "--save-masks", "masks", "--summary", "s.json"),
        *("--set", "renderer.picture=picture.png"),
    )
    assert run.wait() == 0, run.output
    summary = json.loads((tmp_path / "s.json").read_text())
    all_of_them = {"captured": 60, "tracked": 60, "decoded": 60}
    assert summary["frames"] == {**all_of_them, "passed_over": 0, "propagated": 0, "failed": 0}
    assert summary["masks_published"] == 60
    assert summary["truth"]["mean_iou"] > 0.7
    assert set(summary["latency_ms"]) == {"p50", "p95", "p99"}
    assert set(summary["nodes"]) == {*NODES, "supervisor"}
    assert (summary["reconnects"], summary["sessions"]) == (0, 1)
    assert video_frames(tmp_path / "live.mp4") == 60
    assert sorted(p.name for p in (tmp_path / "masks").iterdir()) == [f"{i:05d}.png" for i in range(60)]
    assert cv2.imread(str(tmp_path / "picture.png")).shape == (360, 640, 3)


def test_nodes_in_one_process_or_in_threads_give_the_same_masks_as_in_processes_of_their_own(start, tmp_path):
    ways = {"node": (), "camera": ("--set", "graph.processes=camera"), "threads": ("--threads",)}
    for name, more in ways.items():
        run = start("--frames", 12, "--save-masks", name, *more)
        assert run.wait() == 0, run.output
    written = sorted((tmp_path / "node").iterdir())
    assert len(written) == 12
    for way in ways:
        for one in written:
            assert one.read_bytes() == (tmp_path / way / one.name).read_bytes(), (way, one.name)


def test_no_process_of_the_lite_graph_loads_torch(start, tmp_path):
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    os.environ["PYTHONPATH"], before = str(trap), os.environ.get("PYTHONPATH")
    try:
        run = start("--frames", 10)
        assert run.wait() == 0, run.output
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    assert "torch" not in run.output


def test_objects_are_added_refined_listed_and_removed_while_it_runs(start, tmp_path):
    run = start(*LOOP)
    run.tracks(1, 2, 3)
    other = {o["id"]: o for o in run.ctl("list")["objects"]}
    assert run.ctl("add", "--box", "10,10,90,80") == {"object_id": 4}
    run.tracks(4)
    assert run.ctl("refine", 4, "--point", "30,30", "--point", "200,200,0") == {"object_id": 4}
    assert run.ctl("remove", 4) == {"object_id": 4}
    assert run.ctl("add", "--point", "40,40") == {"object_id": 5}, "an id is never used twice"
    assert set(other) < {o["id"] for o in run.ctl("list")["objects"]}
    until(lambda: run.ctl("stats")["frames"]["decoded"] > 0, "a heartbeat that counts what was decoded")
    stats = run.ctl("stats")
    assert stats["nodes"]["tracker"]["pid"] in nodes_of(run.process.pid)
    snapshot = run.ctl("snapshot")
    assert cv2.imread(snapshot["picture"]).shape == (360, 640, 3)
    assert Path(snapshot["labels"]).exists()
    run.ctl("pause")
    run.ctl("resume")
    for arguments, code in (
        (("refine", 99, "--point", "1,1"), "unknown_object"),
        (("add", "--point", "9999,1"), "outside_frame"),
        (("add", "--point", "1,1,0"), "bad_params"),
        (("remove", 4), "unknown_object"),
    ):
        assert code in run.ctl(*arguments, check=False)[1]
    assert run.ctl("shutdown") == {}
    assert run.wait() == 0


def stands_still(value):
    """The value, if it is the same for longer than a heartbeat, by which counts come."""
    before = value()
    time.sleep(1.5)
    return before if before == value() else None


def test_paused_means_that_no_mask_is_published(start):
    run = start(*LOOP)
    run.tracks(1)
    run.ctl("pause")

    count = until(lambda: stands_still(lambda: run.ctl("stats")["masks_published"]), "the count to stand still")
    run.ctl("resume")
    until(lambda: run.ctl("stats")["masks_published"] > count, "masks to come again")


def test_a_consumer_gets_every_mask_bit_for_bit(start, tmp_path):
    endpoint = f"ipc://{tmp_path}/masks"
    consumer = subprocess.Popen(
        [sys.executable, str(ROOT / "tools/watch.py"), endpoint, "--save-masks", "got", "--json", "w.json", "--plain"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    try:
        # slow enough for the consumer to keep up on a busy machine
        run = start(
            *("--publish", endpoint, *LOOP, "--set", "capture.demo_fps=10", "--save-masks", "saved"),
            *("--summary", "s.json"),
        )
        until(lambda: (tmp_path / "got").is_dir() and len([*(tmp_path / "got").glob("*.png")]) > 10, "ten masks")
        run.ctl("pause")  # so that nothing is under way when it stops
        until(lambda: run.ctl("stats")["phase"] == "paused", "the feed to be paused")
        until(lambda: stands_still(lambda: counts(run, tmp_path)), "all masks to be written")
        run.send(signal.SIGTERM)
        assert run.wait() == 0, run.output
    finally:
        consumer.send_signal(signal.SIGINT)
        assert consumer.wait(PATIENCE_S) == 0
    published = json.loads((tmp_path / "s.json").read_text())["masks_published"]
    received = json.loads((tmp_path / "w.json").read_text())
    got = {p.name: p.read_bytes() for p in (tmp_path / "got").iterdir()}
    saved = {p.name: p.read_bytes() for p in (tmp_path / "saved").iterdir()}
    assert len(saved) == published
    assert (received["received"], received["gaps"]) == (len(got), 0)
    assert got == {name: data for name, data in saved.items() if name >= min(got)}  # it may have come a little late


def counts(run, folder):
    """Masks published, received and saved."""
    return run.ctl("stats")["masks_published"], *(len([*(folder / name).glob("*.png")]) for name in ("got", "saved"))


@pytest.mark.display
def test_a_click_in_the_window_starts_an_object_and_q_ends_the_run(start, monkeypatch):
    with x_display() as display:
        monkeypatch.setenv("DISPLAY", display.name)
        run = start(*LOOP, "--window")
        run.tracks(1)
        search = ["xdotool", "search", "--name", "SAM-PT Live: camera"]
        found = until(lambda: subprocess.run(search, capture_output=True, text=True, check=False).stdout, "the window")
        window = found.split()[-1]

        def clicked():
            display.do("mousemove", "--window", window, 60, 60, "click", 1)
            return any(o["id"] > 3 for o in run.ctl("list")["objects"])

        until(clicked, "the new object")

        def ended():
            subprocess.run(["xdotool", "key", "--window", window, "q"], capture_output=True, check=False)
            return run.process.poll() is not None

        until(ended, "the end")
        assert run.wait() == 0, run.output
