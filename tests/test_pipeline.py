"""The whole command, as a user starts it: real processes, real sockets on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from rtsp_fixture import need_rtsp, start_rtsp_server
from running import ROOT, Run, nodes_of, until

NODES = ("capture", "tracker", "decoder", "renderer", "publisher")
GONE_S = 5.0  # the design's number for "everything is gone"
LOOP = ("--realtime", "--set", "capture.demo_frames=100000")  # the demo scene as a feed that does not end


@pytest.fixture
def start(tmp_path):
    """Start runs; whatever is left of them is ended."""
    runs = []

    def begin(*arguments):
        runs.append(Run(*arguments, cwd=tmp_path))
        return runs[-1]

    yield begin
    for run in runs:
        run.close()


def gone(run, folder):
    """True when neither a process nor a socket of the run is left."""
    return run.process.poll() is not None and not nodes_of(run.process.pid) and not list(folder.glob("sam-pt-live-*"))


def video_frames(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


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


def test_threads_give_the_same_masks_as_processes(start, tmp_path):
    for name, more in (("processes", ()), ("threads", ("--threads",))):
        run = start("--frames", 24, "--save-masks", name, *more)
        assert run.wait() == 0, run.output
    for one in sorted((tmp_path / "processes").iterdir()):
        assert one.read_bytes() == (tmp_path / "threads" / one.name).read_bytes(), one.name


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
    stats = run.ctl("stats")
    assert stats["frames"]["decoded"] > 0
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


def test_paused_means_that_no_mask_is_published(start):
    run = start(*LOOP)
    run.tracks(1)
    run.ctl("pause")

    def still():
        before = run.ctl("stats")["masks_published"]
        time.sleep(1.2)  # more than one beat, by which the count is told
        return before == run.ctl("stats")["masks_published"] and before

    count = until(still, "the count to stand still")
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
        run = start("--publish", endpoint, "--realtime", "--frames", 75, "--save-masks", "saved", "--summary", "s.json")
        assert run.wait() == 0, run.output
    finally:
        consumer.send_signal(signal.SIGINT)
        assert consumer.wait(30) == 0
    published = json.loads((tmp_path / "s.json").read_text())["masks_published"]
    got = {p.name: p.read_bytes() for p in (tmp_path / "got").iterdir()}
    saved = {p.name: p.read_bytes() for p in (tmp_path / "saved").iterdir()}
    assert len(got) == published > 10
    assert got == saved


@pytest.mark.parametrize("victim", NODES)
def test_a_killed_node_is_restarted_and_the_masks_of_the_same_ids_come_back(start, victim):
    run = start(*LOOP)
    run.tracks(1, 2, 3)
    before = run.pids()
    os.kill(before[victim], signal.SIGKILL)

    def back():
        stats = run.ctl("stats")
        return (
            stats["nodes"][victim]["restarts"] == 1
            and stats["nodes"][victim]["pid"] not in (0, before[victim])
            and stats
        )

    until(back, "the restart")
    after = run.pids()
    assert {n: p for n, p in after.items() if n != victim} == {n: p for n, p in before.items() if n != victim}
    newest = max(o["frame_id"] for o in run.ctl("list")["objects"])
    fresh = until(
        lambda: (found := run.ctl("list")["objects"]) and min(o["frame_id"] for o in found) > newest + 5 and found,
        "new masks",
    )
    assert [o["id"] for o in fresh] == [1, 2, 3]
    until(lambda: any(o["area"] for o in run.ctl("list")["objects"]), "a mask")


def test_a_node_that_hangs_is_ended_and_restarted(start):
    run = start(*LOOP)
    run.tracks(1)
    pid = run.pids()["tracker"]
    os.kill(pid, signal.SIGSTOP)
    run.says("has been silent for")
    until(lambda: run.ctl("stats")["nodes"]["tracker"]["restarts"] == 1, "the restart")
    run.tracks(1)


def test_a_node_that_dies_again_and_again_ends_the_run(start):
    run = start(*LOOP, "--set", "supervisor.max_restarts=1")
    run.tracks(1)
    first = run.pids()["decoder"]
    os.kill(first, signal.SIGKILL)
    second = until(lambda: (pid := run.pids()["decoder"]) != first and pid, "the next life")
    os.kill(second, signal.SIGKILL)
    assert run.wait() == 1
    assert "decoder was killed by SIGKILL" in run.lines[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["loading", "running", "connecting", "backing off"])
def test_a_signal_ends_everything_in_every_phase(start, phase, number, tmp_path, own_run_folder, silent_port):
    source = {
        "connecting": ("--source", f"rtsp://127.0.0.1:{silent_port}/cam"),  # accepts, and never answers
        "backing off": ("--source", "rtsp://127.0.0.1:9/cam", "--set", "capture.wait_for_source=true"),
    }.get(phase, LOOP)
    run = start(*source, "--record", "live.mp4")
    if phase == "loading":
        until(lambda: nodes_of(run.process.pid), "a node")
    elif phase == "running":
        run.tracks(1)
    elif phase == "connecting":
        until(lambda: run.ctl("list", check=False)[0] == 0, "control")
        until(lambda: run.ctl("stats")["nodes"]["capture"]["rss_mb"] > 0, "capture")
    else:
        run.says("next try in")
    began = time.monotonic()
    run.send(number)
    until(lambda: gone(run, own_run_folder), "the end")
    assert time.monotonic() - began < GONE_S + 1  # a second for this machine's noise; the supervisor's own limit is 3 s
    assert run.wait() == 0, run.output
    assert "Traceback" not in run.output
    if phase == "running":
        assert video_frames(tmp_path / "live.mp4") > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_anything_has_started_ends_the_run_in_order(start, number, own_run_folder):
    run = start(*LOOP)
    until(
        lambda: "\nSigBlk:\t0000000000004003" in Path(f"/proc/{run.process.pid}/status").read_text(), "the first line"
    )
    run.send(number)
    assert run.wait() == 0, run.output
    assert "Traceback" not in run.output
    assert gone(run, own_run_folder)


def test_a_paused_feed_stays_paused_when_capture_is_restarted(start):
    run = start(*LOOP)
    run.tracks(1)
    run.ctl("pause")
    pid = run.pids()["capture"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: run.pids()["capture"] != pid, "the restart")
    until(lambda: run.ctl("stats")["phase"] == "paused", "capture to be paused again")
    newest = max(o["frame_id"] for o in run.ctl("list")["objects"])
    run.ctl("resume")
    until(lambda: max(o["frame_id"] for o in run.ctl("list")["objects"]) > newest, "masks to come again")


def test_nodes_end_by_themselves_when_the_supervisor_is_killed(start, own_run_folder):
    run = start(*LOOP)
    run.tracks(1)
    run.send(signal.SIGKILL)
    began = time.monotonic()
    until(lambda: gone(run, own_run_folder), "the nodes to end")
    assert time.monotonic() - began < GONE_S + 1


def test_objects_outlive_the_run_in_a_journal(start, tmp_path):
    for _ in range(2):
        run = start(*LOOP, "--box", "7:10,10,90,80", "--set", "supervisor.journal=objects.json")
        run.tracks(7)
        assert [o["id"] for o in run.ctl("list")["objects"]] == [7]
        run.send(signal.SIGTERM)
        assert run.wait() == 0
    assert json.loads((tmp_path / "objects.json").read_text())["next_id"] == 8
    assert "object 7 is in the journal already" in run.output
    run = start(*LOOP, "--box", "7:200,10,290,80", "--set", "supervisor.journal=objects.json")
    run.tracks(8)
    assert "the new object is 8" in run.output


def test_garbage_on_every_open_socket_ends_no_node_and_is_counted(start, own_run_folder):
    import random

    import zmq

    run = start(*LOOP)
    run.tracks(1)
    before = run.pids()
    rng = random.Random(5)
    folder = next(own_run_folder.glob("sam-pt-live-*/*/run.json")).parent
    context = zmq.Context()
    kinds = {"reports": zmq.PUSH, "control": zmq.DEALER, "publish": zmq.SUB}
    sent, sockets = {}, []
    try:
        for path in sorted(folder.iterdir()):
            if not path.is_socket():
                continue
            socket = context.socket(kinds.get(path.name, zmq.DEALER))
            sockets.append(socket)
            socket.linger, socket.sndhwm = 0, 10_000
            socket.connect(f"ipc://{path}")
            if path.name == "publish":  # a PUB takes subscriptions alone
                for _ in range(1000):
                    socket.subscribe(rng.randbytes(rng.randrange(50)))
                continue
            sent[path.name] = 0
            for _ in range(1000):
                parts = [rng.randbytes(rng.randrange(100)) or b"x" for _ in range(rng.randint(1, 4))]
                parts = rng.choice([parts, [b"[" * 50_000], [b'{"id":1,"method":'], [b"{}"], [b"x" * (1 << 16)]])
                if socket.poll(5000, zmq.POLLOUT):
                    socket.send_multipart(parts, zmq.DONTWAIT)
                    sent[path.name] += 1
            if path.name == "reports":
                socket.send(b"\0" * (65 << 20))  # beyond the largest message
                sent[path.name] += 1

        def counted():
            malformed = run.ctl("stats")["malformed"]
            writers = {
                "frames": "capture",
                "tracks": "tracker",
                "masks": "decoder",
                "scenes": "decoder",
                "seeds": "decoder",
            }
            wanted = {}
            for topic, count in sent.items():
                who = writers.get(topic, topic)
                wanted[who] = wanted.get(who, 0) + count
            return all(malformed[who] == count for who, count in wanted.items())

        until(counted, f"all of {sent} to be counted", 20)
    finally:
        for socket in sockets:
            socket.close(linger=0)
        context.term()
    assert run.pids() == before
    published = run.ctl("stats")["masks_published"]
    until(lambda: run.ctl("stats")["masks_published"] > published, "masks to go on")


def test_nodes_run_on_another_host_by_configuration_alone(start, tmp_path):
    keys = tmp_path / "keys"
    subprocess.run([sys.executable, str(ROOT / "tools/ctl.py"), "keygen", str(keys)], check=True, capture_output=True)
    topics = ("commands", "reports", "frames", "tracks", "seeds", "masks", "scenes")
    ports = free_ports(len(topics))
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


def free_ports(count):
    import socket

    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture
def silent_port():
    """A port that takes connections and never says a word."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1]


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
        stats = run.ctl("stats")
        assert (stats["sessions"], stats["reconnects"]) == (2, 1)
        assert [o["id"] for o in stats["objects"]] == [1]
        run.send(signal.SIGINT)
        assert run.wait() == 0


@pytest.mark.display
def test_a_click_in_the_window_starts_an_object_and_q_ends_the_run(start, monkeypatch):
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"NO WINDOW TEST WAS RUN: no {program}; apt-get install xvfb xdotool")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24"], pass_fds=[write], stderr=subprocess.DEVNULL
    )
    try:
        monkeypatch.setenv("DISPLAY", f":{os.read(read, 16).decode().strip()}")

        def xdotool(*words):
            return subprocess.run(
                ["xdotool", *map(str, words)], capture_output=True, text=True, check=False
            ).stdout.split()

        run = start(*LOOP, "--window")
        run.tracks(1)
        window = until(lambda: xdotool("search", "--name", "SAM-PT Live: camera"), "the window")[-1]

        def clicked():
            xdotool("mousemove", "--window", window, 60, 60, "click", 1)
            return any(o["id"] > 3 for o in run.ctl("list")["objects"])

        until(clicked, "the new object")
        until(lambda: xdotool("key", "--window", window, "q") is None or run.process.poll() is not None, "the end")
        assert run.wait() == 0, run.output
    finally:
        server.kill()
        server.wait()
        os.close(read)
        os.close(write)
