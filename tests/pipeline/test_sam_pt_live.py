"""PIPS and SAM in the whole graph, on weights made by a rule: the masks mean nothing, the mechanics are real."""

from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest
import torch
from PIL import Image
from running import GONE_S, crowding, until

from tools.goldens.sam_weights import sam_weights
from tools.goldens.weights import pips_weights

SMALL = ("--set", "tracker.size=64x112", "--set", "capture.demo_size=128x96")
BOX = ("--box", "1:20,20,80,70")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Arguments that name checkpoints of PIPS and MobileSAM in the form of the published files."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save({"model_state_dict": pips_weights(0)}, folder / "pips.pth")
    torch.save(sam_weights(0, "mobile_sam", "vit_tiny"), folder / "mobile_sam.pt")
    return {
        "pips": ("--set", f"tracker.checkpoint={folder / 'pips.pth'}"),
        "sam": (
            *("--set", f"decoder.checkpoint={folder / 'mobile_sam.pt'}", "--set", "decoder.side=256"),
            *("--set", "decoder.backend=mobile_sam", "--set", "decoder.model=vit_tiny"),
            *("--set", "decoder.iou_threshold=0", "--set", "decoder.refinement_passes=1"),
        ),
    }


def summary(tmp_path) -> dict:
    return json.loads((tmp_path / "s.json").read_text())


@pytest.mark.parametrize(
    ("preset", "emit"), [("sam_pt", "horizon"), pytest.param("sam_pt_reinit", "frame", marks=pytest.mark.slow)]
)
def test_pips_follows_a_file_without_losing_a_frame(start, weights, tmp_path, preset, emit):
    run = start(
        *("--config", preset, *weights["pips"], *SMALL, *BOX, "--set", "decoder.backend=lite", "--frames", 20),
        *("--set", f"tracker.emit={emit}", "--set", "tracker.negative_points=4"),
        *("--save-masks", "masks", "--summary", "s.json"),
    )
    assert run.wait(180) == 0, run.output
    frames = summary(tmp_path)["frames"]
    assert (frames["tracked"], frames["decoded"], frames["passed_over"], frames["failed"]) == (20, 20, 0, 0)
    assert len(list((tmp_path / "masks").rglob("*.png"))) == 20


@pytest.mark.slow  # tests/tracker/test_every_tracker.py has one of its kind
def test_a_live_feed_faster_than_pips_is_followed_with_counted_skips(start, weights, tmp_path):
    run = start(
        *("--config", "sam_pt_reinit", *weights["pips"], *BOX, "--set", "decoder.backend=lite", "--realtime"),
        *("--set", "tracker.size=192x256", "--set", "tracker.negative_points=4", "--summary", "s.json"),
        *("--set", "capture.demo_frames=150", "--set", "capture.demo_fps=50"),
    )
    assert run.wait(180) == 0, run.output
    figures = summary(tmp_path)
    frames = figures["frames"]
    assert frames["tracked"] > 0
    assert frames["passed_over"] > 0
    assert frames["tracked"] + frames["passed_over"] <= frames["captured"]
    assert figures["masks_published"] == frames["tracked"]


@pytest.mark.slow
def test_a_finished_clip_is_decoded_in_full(start, weights, tmp_path):
    run = start(
        *("--config", "sam_pt", *weights["pips"], *weights["sam"], *SMALL, *BOX, "--frames", 6, "--summary", "s.json")
    )
    assert run.wait(180) == 0, run.output
    frames = summary(tmp_path)["frames"]
    assert (frames["tracked"], frames["decoded"], frames["propagated"], frames["failed"]) == (6, 6, 0, 0)


def test_objects_come_and_go_on_a_live_feed_that_sam_cannot_keep_up_with(start, weights, tmp_path):
    run = start(
        *("--config", "sam_pt_reinit", *weights["sam"], *BOX, "--realtime", "--summary", "s.json"),
        *("--set", "tracker.backend=lucas_kanade", "--set", "capture.demo_frames=100000"),
        *("--set", "capture.demo_size=128x96"),
    )
    run.says("running")
    until(lambda: run.ctl("stats")["frames"]["decoded"] > 0, "the first mask")
    run.ctl("add", "--box", "60,30,110,80")
    run.ctl("refine", "1", "--point", "40,40")
    until(lambda: {o["id"] for o in run.ctl("list")["objects"]} == {1, 2}, "a second object")
    run.ctl("remove", "1")
    until(lambda: {o["id"] for o in run.ctl("list")["objects"]} == {2}, "its removal")
    figures = until(lambda: (s := run.ctl("stats"))["frames"]["propagated"] > 20 and s, "carried masks")
    assert figures["budget"]["encode_ms"] > 0
    assert figures["nodes"]["decoder"]["restarts"] == figures["nodes"]["tracker"]["restarts"] == 0
    began = time.monotonic()
    run.send(signal.SIGINT)
    assert run.wait() == 0, run.output
    assert time.monotonic() - began < GONE_S * crowding() + 1


AUTO = ("--auto", 3, "--set", "decoder.auto_iou=0", "--set", "decoder.auto_stability=0", "--set", "decoder.auto_side=6")


@pytest.mark.slow
def test_objects_are_found_on_the_first_frame_and_have_masks_from_there_on(start, weights, tmp_path):
    run = start(
        *("--config", "sam_pt_reinit", *weights["sam"], *AUTO, "--set", "tracker.backend=lucas_kanade", "--frames", 4),
        *("--set", "capture.demo_size=128x96", "--save-masks", "masks", "--summary", "s.json"),
    )
    assert run.wait(180) == 0, run.output
    figures = summary(tmp_path)
    frames = figures["frames"]
    assert (frames["tracked"], frames["decoded"], frames["failed"], figures["masks_published"]) == (4, 4, 0, 4)
    found = [o["id"] for o in figures["objects"]]
    assert found == list(range(1, len(found) + 1))
    assert 1 <= len(found) <= 3
    assert f"objects found on frame 0: {', '.join(map(str, found))}" in run.output
    first = np.array(Image.open(tmp_path / "masks" / "00000.png"))
    assert set(np.unique(first)) - {0} == set(found)
    assert "truth" not in figures  # its ids are not those of the scene


def test_objects_are_found_on_a_live_feed_and_followed_from_the_newest_frame_on(start, weights, tmp_path):
    run = start(
        *("--config", "sam_pt_reinit", *weights["sam"], *AUTO, "--realtime", "--set", "decoder.auto_side=12"),
        *("--set", "tracker.backend=lucas_kanade", "--set", "capture.demo_frames=100000"),
        *("--set", "capture.demo_size=128x96", "--summary", "s.json"),
    )
    run.says("objects found on frame")
    decoded = run.ctl("stats")["frames"]["decoded"]
    assert run.ctl("list")["objects"][0]["id"] == 1
    until(lambda: all(o["area"] is not None for o in run.ctl("list")["objects"]), "their masks")
    until(lambda: run.ctl("stats")["frames"]["decoded"] > decoded, "SAM's answer on a newer frame")
    run.send(signal.SIGINT)
    assert run.wait() == 0, run.output


def test_missing_weights_end_the_run_with_the_command_that_fetches_them(start, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    lucas = ("--set", "tracker.backend=lucas_kanade")
    for arguments, names in ((("sam_pt",), "pips sam_vit_h"), (("mobile_sam_pt", *lucas), "mobile_sam")):
        run = start("--config", *arguments)
        assert run.wait() == 3, run.output
        assert f"`python tools/fetch_weights.py {names}`" in run.lines[-1]
        assert "Traceback" not in run.output
