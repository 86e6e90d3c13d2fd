"""EdgeTAM in the whole graph, on weights made by a rule: the masks mean nothing, the mechanics are real."""

from __future__ import annotations

import json
import os
import signal

import pytest
import torch
from running import until

from tools.goldens.sam2_weights import sam2_weights

LUCAS = ("--set", "tracker.backend=lucas_kanade", "--set", "capture.demo_size=128x96")
BOX = ("--box", "1:20,20,80,70")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Arguments that name a checkpoint of EdgeTAM."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save(sam2_weights(0, "edgetam"), folder / "edgetam.pt")
    return (
        *("--set", f"decoder.checkpoint={folder}", "--set", "decoder.side=256"),
        *("--set", "decoder.iou_threshold=0", "--set", "decoder.refinement_passes=1"),
    )


@pytest.mark.slow
def test_a_finished_clip_is_decoded_in_full(start, weights, tmp_path):
    run = start("--config", "edgetam_pt", *weights, *LUCAS, *BOX, "--frames", 6, "--summary", "s.json")
    assert run.wait(240) == 0, run.output
    frames = json.loads((tmp_path / "s.json").read_text())["frames"]
    assert (frames["tracked"], frames["decoded"], frames["propagated"], frames["failed"]) == (6, 6, 0, 0)


@pytest.mark.slow
def test_objects_come_and_go_on_a_live_feed_that_it_cannot_keep_up_with(start, weights, tmp_path):
    run = start(
        *("--config", "edgetam_pt", *weights, *LUCAS, *BOX, "--realtime", "--set", "tracker.reinit=true"),
        *("--set", "capture.demo_frames=100000", "--set", "capture.demo_fps=100", "--summary", "s.json"),
    )
    run.says("running")
    until(lambda: run.ctl("stats")["frames"]["decoded"] > 0, "the first mask")
    run.ctl("add", "--box", "60,30,110,80")
    run.ctl("refine", "1", "--point", "40,40")
    until(lambda: {o["id"] for o in run.ctl("list")["objects"]} == {1, 2}, "a second object")
    run.ctl("find", "1")
    run.ctl("remove", "1")
    until(lambda: 1 not in {o["id"] for o in run.ctl("list")["objects"]}, "its removal")
    figures = until(lambda: (s := run.ctl("stats"))["frames"]["propagated"] > 20 and s, "carried masks")
    assert figures["budget"]["encode_ms"] > 0
    assert figures["nodes"]["decoder"]["restarts"] == figures["nodes"]["tracker"]["restarts"] == 0
    run.send(signal.SIGINT)
    assert run.wait() == 0, run.output


class Call:
    """What a pickle with code in it holds."""

    def __reduce__(self):
        return os.mkdir, ("was-run",)


def test_a_bad_file_ends_the_run_with_one_message(start, tmp_path):
    torch.save({"model": Call()}, tmp_path / "edgetam.pt")
    run = start("--config", "edgetam_pt", *LUCAS, "--set", f"decoder.checkpoint={tmp_path / 'edgetam.pt'}")
    assert run.wait(120) == 3, run.output
    assert "none of it was run" in run.lines[-1]
    assert "Traceback" not in run.output
    assert not (tmp_path / "was-run").exists()
