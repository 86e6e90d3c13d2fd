"""A run's place on the machine: the ports that the system chooses, its folder, what dies with it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from running import LOOP, PATIENCE_S, nodes_of, until

from stream.run_directory import find_run
from stream.transport.service_sockets import subscribe

ANY_PORT = "tcp://127.0.0.1:0"


def hears_masks(endpoint):
    """Wait for a message at the endpoint."""
    listener = subscribe(endpoint, ["masks/"])
    try:
        return until(lambda: listener.recv(100), f"masks at {endpoint}")
    finally:
        listener.close()


def publisher_of(parts):
    """Who has published a message; "" where none came."""
    return json.loads(parts[1])["publisher"] if parts else ""


def test_ports_that_the_system_chooses_are_announced_as_bound(start):
    run = start(*LOOP, "--publish", ANY_PORT, "--set", f"control.endpoint={ANY_PORT}")
    run.tracks(1)
    found = find_run()
    assert f"requests are taken at {found.control_endpoint}" in run.output
    assert f"masks are published at {found.publish_endpoint}" in run.output
    listener = subscribe(found.publish_endpoint, ["masks/"])
    try:
        first = until(lambda: listener.recv(100), "masks")
        os.kill(run.pids()["publisher"], signal.SIGKILL)
        # who has subscribed before hears the next publisher
        until(lambda: publisher_of(listener.recv(100)) not in ("", publisher_of(first)), "the next publisher's masks")
    finally:
        listener.close()
    assert run.output.count("masks are published at ") == 1


def test_masks_of_a_run_in_threads_are_published_where_it_says(start):
    run = start(*LOOP, "--threads")
    run.tracks(1)
    hears_masks(find_run().publish_endpoint)


def test_no_file_holds_a_password_and_nodes_are_restarted_without_any_file(start, own_run_folder, tmp_path):
    source = "rtsp://admin:hunter2secret@127.0.0.1:9/cam"
    run = start("--source", source, "--set", "capture.wait_for_source=true")
    run.says("next try in")
    files = [p for p in own_run_folder.rglob("*") if p.is_file()]
    assert [p.name for p in files] == ["run.json"]
    assert b"hunter2secret" not in files[0].read_bytes()
    files[0].unlink()  # as a cleaner of /tmp does
    until(lambda: run.ctl("list", check=False)[0] == 0, "the run to be announced again")
    pid = until(lambda: run.pids()["capture"], "capture")
    os.kill(pid, signal.SIGKILL)
    until(lambda: run.pids()["capture"] != pid, "the restart")
    for process in (run.process.pid, *nodes_of(run.process.pid)):
        assert b"hunter2secret" not in Path(f"/proc/{process}/cmdline").read_bytes()
    assert "hunter2secret" not in run.output


def test_a_stopped_node_does_not_outlive_a_supervisor_that_is_killed(start, own_run_folder):
    run = start(*LOOP)
    until(lambda: len(nodes_of(run.process.pid)) == 5, "the nodes")
    run.tracks(1)
    pids = run.pids()
    os.kill(pids["decoder"], signal.SIGSTOP)
    run.send(signal.SIGKILL)
    until(lambda: not nodes_of(run.process.pid), "the nodes to end")
    until(lambda: not list(own_run_folder.iterdir()), "the folder to go")


def test_a_log_that_nobody_reads_holds_neither_control_nor_the_stop_up(start, own_run_folder):
    import fcntl

    read_fd, write_fd = os.pipe()
    fcntl.fcntl(write_fd, fcntl.F_SETPIPE_SZ, 4096)
    try:
        run = start(*LOOP, "--debug", output=write_fd)
        run.tracks(1)
        until(lambda: is_full(write_fd), "the pipe to be full")
        for _ in range(20):
            run.ctl("list")
        run.send(signal.SIGTERM)
        assert run.process.wait(PATIENCE_S) == 0
    finally:
        os.close(read_fd)
        os.close(write_fd)


def is_full(write_fd):
    import select

    return not select.select([], [write_fd], [], 0)[1]


def test_modules_that_lie_in_the_folder_where_it_is_started_are_not_run(start, tmp_path):
    for name in ("secrets", "random", "queue", "nodes"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the user, which happens to be called so')")
    run = start(*LOOP)
    run.tracks(1)
    assert "happens to be called so" not in run.output
