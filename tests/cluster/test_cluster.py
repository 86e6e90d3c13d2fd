"""Cameras on the hosts of a Ray cluster: where they run, and what becomes of them when hosts die."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from pipeline.mask_consumer import Consumer
from running import crowding, until

from stream.transport.keys import make_keys

BACK_S = 15.0  # until the masks of a camera are back whose host has died
GONE_S = 10.0  # until nothing of a run is left on any host
CAPTURE = {"realtime": True, "demo_frames": 100000, "demo_fps": 5, "demo_size": "320x180", "demo_objects": False}


class Cluster:
    """The process that holds the hosts."""

    def __init__(self, folder):
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("ray_cluster.py"), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._folder = folder
        line = self._process.stdout.readline()
        if not line.startswith("{"):
            self.close()
            pytest.skip(f"no Ray cluster starts here: run {Path(__file__).with_name('ray_cluster.py')} to see why")
        told = json.loads(line)
        self.address, self.names = told["address"], told["nodes"]

    def kill(self, what):
        self._process.stdin.write(f"kill {what}\n")
        self._process.stdin.flush()

    def close(self):
        for pid in _processes(self._folder):  # its own end takes seconds
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


def _processes(*words):
    """Processes that live, whose arguments or environment hold all these words."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z" and all(word.encode() in text for word in words):
                found.append(int(entry.name))
    return found


@pytest.fixture
def cluster(monkeypatch):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install -r requirements-ray.txt -c constraints.txt")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    folder = tempfile.mkdtemp(prefix="spr-", dir="/tmp")  # paths of sockets are in it
    started = Cluster(folder)
    yield started
    started.close()
    shutil.rmtree(folder, ignore_errors=True)


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.ray
def test_cameras_on_a_cluster_outlive_a_host_and_the_head_and_leave_nothing(start, tmp_path, cluster, own_run_folder):
    cameras = {
        "door": {"placement": {"resources": {"camera-net-a": 0.01}}},
        "hall": {"placement": {"resources": {"camera-net-b": 0.01}}},
    }
    make_keys(str(tmp_path / "keys"))
    keys = str(tmp_path / "keys")
    graph = {"engine": "ray", "cluster": cluster.address, "place_within_s": 180, "keys": keys}
    path = tmp_path / "fleet.yaml"
    sections = {"capture": CAPTURE, "graph": graph, "supervisor": {"dead_after_s": 10.0}}  # of a busy machine
    path.write_text(json.dumps({"base": "lite", **sections, "cameras": cameras}))
    run = start("--config", str(path))

    def stats(name):
        return run.ctl("--camera", name, "stats")

    def host(name):
        return cluster.names.get(stats(name).get("host", {}).get("node"))

    until(lambda: run.ctl("list-cameras", check=False)[0] == 0, "a run that takes requests")
    for name in cameras:
        until(lambda name=name: stats(name)["frames"]["tracked"], f"frames of {name}", 180)
        assert run.ctl("--camera", name, "add", "--box", "50,50,110,110")["object_id"] == 1
    consumer = Consumer()
    try:
        consumer.hears("door", "hall", more=3)
        assert consumer.ids == {"door": {1}, "hall": {1}}
        first = host("hall")  # each is where its network is
        assert (host("door"), first in ("b", "c")) == ("a", True), run.output

        pid = stats("hall")["nodes"]["tracker"]["pid"]  # all that is on this host dies at once
        for process in (parent(pid), pid):
            os.kill(process, signal.SIGKILL)
        cluster.kill(next(node for node, name in cluster.names.items() if name == first))
        died_s, patience_s = time.monotonic(), BACK_S * max(crowding() for _ in range(5))
        until(lambda: host("hall") not in (None, first), "another host", patience_s)
        consumer.listen()
        consumer.hears("hall", more=1, patience_s=patience_s - (time.monotonic() - died_s))
        consumer.hears("door", "hall", more=3)
        assert consumer.ids == {"door": {1}, "hall": {1}}
        assert {n["restarts"] for n in stats("door")["nodes"].values()} == {0}

        cluster.kill("head")
        os.kill(stats("hall")["nodes"]["tracker"]["pid"], signal.SIGKILL)  # a restart needs nobody else
        until(lambda: stats("hall")["nodes"]["tracker"]["restarts"] > 1, "the restart")
        consumer.hears("door", "hall", more=3)
        assert consumer.ids == {"door": {1}, "hall": {1}}

        run.send(signal.SIGINT)
        assert run.wait() == 0, run.output
        ours = ("stream.supervision.placing", "-P\0-m\0nodes", "ray::Holder")
        for word in ours:
            until(
                lambda word=word: not _processes(word, str(own_run_folder)), f"the end of {word}", GONE_S * crowding()
            )
        assert not list(own_run_folder.glob("sam-pt-live-*"))
    finally:
        consumer.close()
