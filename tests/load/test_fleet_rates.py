"""Four RTSP cameras at 10 frames/s on two cores: each keeps its rate, whatever happens to another (an idle machine)."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import defaultdict
from contextlib import ExitStack

import pytest
from rtsp_fixture import need_rtsp, start_rtsp_server
from running import until

from stream.public_wire.messages import unpack_masks
from stream.run_directory import find_run
from stream.transport.service_sockets import subscribe

NAMES = ("door", "hall", "roof", "yard")
FPS, MEASURED_S = 10, 20.0
BOX = "200,100,330,230"
RATE, RATE_BESIDE, AGE_P95_MS = 0.95, 0.90, 120.0


class Measured:
    """What a program outside got of each camera in a stretch of time."""

    def __init__(self, listener, seconds=MEASURED_S):
        self.ages_ms, self.ids = defaultdict(list), {}
        while listener.recv(0) is not None:  # what piled up before
            pass
        began_s = time.monotonic()
        while time.monotonic() < began_s + seconds:
            if (parts := listener.recv(100)) is not None:
                received = unpack_masks(parts)
                camera = received.masks.stamp.camera
                self.ages_ms[camera].append((received.published_ns - received.masks.stamp.captured_ns) / 1e6)
                self.ids[camera] = {o.object_id for o in received.masks.objects}
        self.rates = {camera: len(ages) / seconds / FPS for camera, ages in self.ages_ms.items()}
        self.p95_ms = {camera: sorted(ages)[int(0.95 * len(ages))] for camera, ages in self.ages_ms.items()}
        print(json.dumps({"rate": self.rates, "p95_ms": self.p95_ms}))


@pytest.mark.rtsp
@pytest.mark.load
def test_four_cameras_keep_their_rate_whatever_happens_to_one_of_them(start, tmp_path):
    need_rtsp()
    with ExitStack() as stack:
        servers = [stack.enter_context(start_rtsp_server(size="640x360", fps=FPS)) for _ in range(5)]
        urls = [server.url for server in servers]
        config = tmp_path / "fleet.yaml"
        cameras = {name: {"capture": {"source": url}} for name, url in zip(NAMES, urls[:4], strict=True)}
        config.write_text(json.dumps({"base": "rtsp", "cameras": cameras}))
        run = start("--config", str(config))
        until(lambda: run.ctl("list-cameras", check=False)[0] == 0, "a run that takes requests")
        for name in NAMES:
            until(lambda name=name: run.ctl("--camera", name, "add", "--box", BOX, check=False)[0] == 0, name)
        listener = subscribe(until(lambda: find_run().publish_endpoint, "the endpoint"), ["masks/"])
        stack.callback(listener.close)
        Measured(listener, 5)

        alone = Measured(listener)
        assert min(alone.rates[name] for name in NAMES) >= RATE, alone.rates
        assert max(alone.p95_ms.values()) < AGE_P95_MS, alone.p95_ms

        servers[0].kill()
        assert_go_on(Measured(listener), "hall", "roof", "yard")
        os.kill(run.ctl("--camera", "hall", "stats")["nodes"]["tracker"]["pid"], signal.SIGKILL)
        assert_go_on(Measured(listener), "roof", "yard")
        run.ctl("remove-camera", "roof")
        run.ctl("add-camera", "gate", "--source", urls[4])
        assert_go_on(Measured(listener), "yard", "hall")


def assert_go_on(measured, *names):
    assert min(measured.rates[name] for name in names) >= RATE_BESIDE, measured.rates
    assert {name: measured.ids[name] for name in names} == {name: {1} for name in names}
