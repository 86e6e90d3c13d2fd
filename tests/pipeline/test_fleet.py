"""Several cameras in one run: what happens to one leaves the others alone."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack

import pytest
from pipeline.mask_consumer import Consumer
from rtsp_fixture import need_rtsp, start_rtsp_server
from running import until

SIZE, FPS = "320x180", 5  # of a camera: four of them leave room on a busy machine
BOX = "50,50,110,110"


def fleet_file(folder, cameras, **sections):
    """A config with these sources by camera; JSON is YAML."""
    path = folder / "fleet.yaml"
    tree = {"base": "rtsp", "supervisor": {"journal": "{camera}.json"}, **sections}
    path.write_text(json.dumps({**tree, "cameras": {n: {"capture": {"source": s}} for n, s in cameras.items()}}))
    return path


@pytest.mark.rtsp
def test_what_happens_to_one_of_four_cameras_leaves_the_others_alone(start, tmp_path):
    need_rtsp()
    with ExitStack() as stack:
        servers = [stack.enter_context(start_rtsp_server(size=SIZE, fps=FPS)) for _ in range(5)]
        names = ("door", "hall", "roof", "yard")
        urls = dict(zip((*names, "gate"), (s.url for s in servers), strict=True))
        run = start("--config", str(fleet_file(tmp_path, {n: urls[n] for n in names})), "--summary", "s.json")
        takes_requests(run)

        def state(name):
            return run.ctl("list-cameras")["states"].get(name, {}).get("state")

        for name in names:
            until(lambda name=name: state(name) == "running", f"{name} to run")
            assert run.ctl("--camera", name, "add", "--box", BOX)["object_id"] == 1
        consumer = Consumer()
        stack.callback(consumer.close)
        consumer.hears(*names)
        assert consumer.ids == {name: {1} for name in names}

        servers[0].kill()  # door loses its source,
        until(lambda: state("door") == "interrupted", "the door's state")
        killed = run.ctl("--camera", "hall", "stats")["nodes"]["tracker"]["pid"]
        os.kill(killed, signal.SIGKILL)  # hall its tracker,
        run.ctl("remove-camera", "roof")  # roof is removed,
        run.ctl("add-camera", "gate", "--source", urls["gate"])  # and another one comes
        until(lambda: state("gate") == "running", "the new camera")
        run.ctl("--camera", "gate", "add", "--box", BOX)
        consumer.hears("yard", "hall", "gate")
        assert {name: consumer.ids[name] for name in ("yard", "hall", "gate")} == {
            "yard": {1},
            "hall": {1},
            "gate": {1},
        }

        stats = run.ctl("stats")
        assert list(stats["cameras"]) == ["door", "hall", "yard", "gate"]
        yard = stats["cameras"]["yard"]
        assert (yard["reconnects"], yard["sessions"]) == (0, 1)
        assert {n: v["restarts"] for n, v in yard["nodes"].items()} == dict.fromkeys(yard["nodes"], 0)
        assert stats["cameras"]["hall"]["nodes"]["tracker"]["restarts"] == 1
        run.send(signal.SIGTERM)
        assert run.wait() == 0, run.output
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["totals"]["cameras"] == 4
    assert (tmp_path / "yard.json").exists()  # each camera has a journal of its own


@pytest.fixture
def drawn(start, tmp_path):
    """A run of two drawn cameras: `drawn(sections..., cameras={name: overlay})`, and the path of its config."""

    def begin(cameras, *arguments):
        path = tmp_path / "fleet.yaml"
        capture = {"realtime": True, "demo_frames": 100000, "demo_fps": FPS, "demo_size": SIZE}
        path.write_text(json.dumps({"base": "lite", "capture": capture, "cameras": cameras}))
        return start("--config", str(path), *arguments), path

    return begin


def takes_requests(run):
    until(lambda: run.ctl("list-cameras", check=False)[0] == 0, "a run that takes requests")


def pids(run, camera):
    return {n: v["pid"] for n, v in run.ctl("--camera", camera, "stats")["nodes"].items()}


def test_a_reload_restarts_what_has_changed_and_refuses_a_bad_file(drawn, tmp_path):
    run, path = drawn({"door": {}, "hall": {}}, "--set", "graph.processes=node", "--state", "state")
    takes_requests(run)
    for name in ("door", "hall"):
        until(lambda name=name: all(pids(run, name).values()), f"the nodes of {name}")
        until(lambda name=name: run.ctl("--camera", name, "stats")["masks_published"], f"masks of {name}")
    before = {name: pids(run, name) for name in ("door", "hall")}
    good = path.read_text()
    path.write_text(good.replace('"hall": {}', '"hall": {"tracker": {"positve_points": 9}}'))
    code, error = run.ctl("reload", check=False)
    assert (code, "did you mean 'positive_points'" in error) == (1, True)
    path.write_text(good.replace('"hall": {}', '"hall": {"tracker": {"positive_points": 9}}, "yard": {}'))
    assert run.ctl("reload") == {"added": ["yard"], "removed": [], "restarted": {"hall": ["tracker"]}}

    def changed():
        after = {name: pids(run, name) for name in ("door", "hall")}
        return after if all(after["hall"].values()) and after["hall"]["tracker"] != before["hall"]["tracker"] else None

    after = until(changed, "the new tracker")
    assert after["door"] == before["door"]
    assert {n for n in after["hall"] if after["hall"][n] != before["hall"][n]} == {"tracker"}
    until(lambda: run.ctl("--camera", "yard", "stats")["masks_published"], "masks of the new camera")
    assert run.ctl("list", check=False)[1].startswith("ctl: which_camera: camera: needs the name of one: door, hall")
    run.ctl("shutdown")
    assert run.wait() == 0, run.output
    journals = (tmp_path / "state" / "cameras").glob("*/objects.json")  # each camera's, also the new one's
    assert sorted(p.parent.name for p in journals) == ["door", "hall", "yard"]


def test_a_camera_that_fails_for_good_ends_alone_and_is_reported(drawn, tmp_path):
    cameras = {"door": {"capture": {"frames": 20}}, "hall": {"capture": {"source": "rtsp://127.0.0.1:9/none"}}}
    run, _ = drawn(cameras, "--summary", "s.json")
    assert run.wait() == 1, run.output
    summary = json.loads((tmp_path / "s.json").read_text())
    door, hall = summary["cameras"]["door"], summary["cameras"]["hall"]
    assert (door["state"], door["frames"]["captured"]) == ("ended", 20)
    assert (hall["state"], hall["exit_code"]) == ("failed", 3)
    assert "camera hall has failed: " in run.output
