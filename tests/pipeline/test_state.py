"""A run with a state folder: it goes on where the last one ended, also from a copy of the folder."""

from __future__ import annotations

import json
import shutil
import signal

from running import LOOP, until


def test_objects_labels_zones_and_recordings_outlive_the_run_and_a_move(start, tmp_path):
    run = start(*LOOP, "--box", "7:10,10,90,80", "--state", "state", "--record", "rec/")
    run.tracks(7)
    run.ctl("rename", 7, "the van")
    until(lambda: run.ctl("stats")["recording_path"], "a recording")
    run.send(signal.SIGTERM)
    assert run.wait() == 0
    own = tmp_path / "state/cameras/camera"
    (recorded,) = json.loads((own / "recordings.json").read_text())["segments"]
    assert (tmp_path / "rec/camera" / f"{recorded['name']}.mp4").exists()
    assert not (tmp_path / "rec/camera/index.json").exists()
    assert json.loads((tmp_path / "state/state.json").read_text()) == {"state": 1}
    shutil.move(tmp_path / "state", tmp_path / "moved")
    run = start(*LOOP, "--state", "moved", "--set", "capture.demo_objects=false")
    run.tracks(7)
    assert [(o["id"], o["label"]) for o in run.ctl("list")["objects"]] == [(7, "the van")]
