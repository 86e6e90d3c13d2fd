"""A run of two cameras tells a broker and a receiver of both, and goes on while its MQTT node is dead."""

from __future__ import annotations

import json
import os
import signal

from integrations.mosquitto import start_mosquitto, watch
from integrations.receiver import SECRET, start_receiver
from running import until

CONFIG = """
base: lite
capture: {realtime: true, demo_frames: 100000, demo_size: 160x96, demo_fps: 10}
zones: {polygons: {everywhere: {points: [[0, 0], [1, 0], [1, 1], [0, 1]], inside: any}}}
cameras: {door: {capture: {demo_seed: 1}}, hall: {capture: {demo_seed: 2}}}
"""
RUN = "sam-pt-live/runs/cameras/availability"


def test_two_cameras_are_told_of_and_a_dead_node_is_noticed(start, tmp_path):
    (tmp_path / "two.yaml").write_text(CONFIG)
    with start_mosquitto(tmp_path) as broker, start_receiver() as receiver, watch(broker) as watcher:
        run = start(
            "--config",
            "two.yaml",
            "--mqtt",
            broker.url,
            "--webhook",
            receiver.url,
            "--set",
            f"webhooks.secret={SECRET}",
        )

        def told(camera, count):
            counts = json.loads(watcher.retained.get(f"sam-pt-live/cameras/{camera}/counts", b"{}"))
            return counts.get("zones", {}).get("everywhere", {}).get("entered", 0) >= count

        until(lambda: told("door", 1) and told("hall", 1), "the counts of both")
        for camera in ("door", "hall"):
            topic = f"sam-pt-live/cameras/{camera}/availability"
            until(lambda topic=topic: watcher.retained.get(topic) == b"online", topic)
        until(
            lambda: {b["camera"] for b in receiver.taken if b["event"]["kind"] == "enter"} == {"door", "hall"}, "events"
        )

        os.kill(run.ctl("stats")["nodes"]["mqtt"]["pid"], signal.SIGKILL)
        until(lambda: (RUN, b"offline") in watcher.live, "the last will")
        until(lambda: watcher.retained[RUN] == b"online", "its return")
        until(lambda: run.ctl("stats")["mqtt"]["connected"] == 1, "the heartbeat")

        stats = run.ctl("--camera", "door", "stats")
        assert stats["webhooks"]["delivered"] >= 2
        assert stats["webhooks"]["dead_letters"] == stats["webhooks"]["dropped"] == 0
        run.send(signal.SIGTERM)
        assert run.wait() == 0
        until(lambda: watcher.retained[RUN] == b"offline", "the end")
        assert receiver.forged == 0
        assert SECRET not in run.output
        assert "token=of-the-receiver" not in run.output
