"""Nodes on several hosts, and a camera that is lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import ExitStack

import av
import numpy as np
import pytest
from rtsp_fixture import need_rtsp, start_rtsp_server
from running import ROOT, reserved_port, until


@pytest.fixture
def reserve():
    """Enters contexts that are left at the end of the test."""
    with ExitStack() as stack:
        yield stack.enter_context


def test_nodes_run_on_another_host_by_configuration_alone(start, tmp_path, reserve):
    keys = tmp_path / "keys"
    subprocess.run([sys.executable, str(ROOT / "tools/ctl.py"), "keygen", str(keys)], check=True, capture_output=True)
    topics = ("commands", "reports", "frames", "tracks", "seeds", "masks", "scenes")
    ports = [reserve(reserved_port()) for _ in topics]
    both = [f"graph.endpoints={json.dumps({t: f'tcp://127.0.0.1:{p}' for t, p in zip(topics, ports, strict=True)})}"]
    both += [f"graph.keys={keys}"]
    near = [*both, "graph.run=[capture, renderer, publisher]"]
    far = [*both, "graph.run=[tracker, decoder]", "graph.host=false"]

    def sets(values):
        return [word for value in values for word in ("--set", value)]

    lender = start(*sets(far))
    host = start(*sets(near), "--frames", 40, "--summary", "s.json")
    assert host.wait() == 0, host.output + lender.output
    assert lender.wait() == 0, lender.output
    assert json.loads((tmp_path / "s.json").read_text())["frames"]["decoded"] == 40


def clip(path, scene_frames):
    """The demo scene as an MP4."""
    from nodes.capture.scene import DemoScene

    scene = DemoScene((360, 640), 25.0, scene_frames, 0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for i in range(scene_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene.draw(i)[0], format="rgb24")))
        container.mux(stream.encode())
    truth = scene.draw(0)[1]
    rows, columns = np.nonzero(truth == 1)
    return f"{columns.min()},{rows.min()},{columns.max() + 1},{rows.max() + 1}"


@pytest.mark.rtsp
def test_an_rtsp_feed_is_followed_through_the_death_of_its_server(start, tmp_path):
    need_rtsp()
    box = clip(tmp_path / "scene.mp4", 250)
    with start_rtsp_server(0, file=str(tmp_path / "scene.mp4")) as server:
        port = server.port
        run = start("--source", f"rtsp://127.0.0.1:{port}/cam", "--box", box)
        run.tracks(1)
        server.kill()
        run.says("next try in")
        with start_rtsp_server(port, file=str(tmp_path / "scene.mp4")):
            run.says("session 1")
            newest = run.ctl("list")["objects"][0]["frame_id"]
            until(lambda: run.ctl("list")["objects"][0]["frame_id"] > newest + 20, "masks of the new session")
            # numbers come with a heartbeat, and a busy machine may lose the camera once more
            until(lambda: run.ctl("stats")["reconnects"] >= 1, "the count of reconnections")
            stats = run.ctl("stats")
            assert stats["sessions"] == stats["reconnects"] + 1
            assert [o["id"] for o in stats["objects"]] == [1]
            run.send(signal.SIGINT)
            assert run.wait() == 0
