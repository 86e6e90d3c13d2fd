"""The fork server itself, once: it loads packages for some seconds."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from running import until

from stream.supervision import forking
from stream.supervision.forking import ForkServer
from stream.supervision.processes import NodeProcess, environment


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One that has loaded its packages."""
    folder = tmp_path_factory.mktemp("run")
    made = ForkServer(folder, environment())
    first = made.fork(["door", str(folder)])
    until(lambda: first.pid, "the server to load", forking.ANSWER_S * 3)
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdin.close()
    first.stdout.close()
    yield made
    made.close()


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_forked_process_is_our_child_and_looks_like_one_that_was_started(server, tmp_path):
    process = server.fork(["door", str(tmp_path)])
    pid = until(lambda: process.pid, "the process")
    assert parent_of(pid) == os.getpid()
    words = until(
        lambda: w if b"door" in (w := Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")) else None, "its arguments"
    )
    assert words[1:6] == [b"-P", b"-m", b"nodes", b"door", os.fsencode(tmp_path)]
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdin.close()
    process.stdout.close()


def test_one_whose_input_closes_before_it_knows_what_to_run_ends_with_an_error(server, tmp_path):
    process = server.fork(["door", str(tmp_path)])
    process.stdin.close()
    assert until(lambda: process.poll() is not None, "its end")
    assert process.returncode == 1
    process.stdout.close()


def test_a_signal_that_comes_too_early_is_not_lost(server, tmp_path):
    process = server.fork(["door", str(tmp_path)])
    process.send_signal(signal.SIGKILL)
    until(lambda: process.poll() is not None, "its end")
    assert process.returncode == -signal.SIGKILL
    process.stdin.close()
    process.stdout.close()


def test_what_is_not_forked_yet_ends_with_the_server(tmp_path):
    server = ForkServer(tmp_path, environment())
    processes = [server.fork(["door", str(tmp_path)]) for _ in range(3)]  # it still loads
    server.kill()
    assert [process.poll() for process in processes] == [1, 1, 1]
    for process in processes:
        process.stdin.close()
        process.stdout.close()
    server.close()


def test_a_server_that_is_stopped_holds_up_no_end(tmp_path):
    server = ForkServer(tmp_path, environment())
    os.kill(server._process.pid, signal.SIGSTOP)
    process = NodeProcess("door", tmp_path, "{}", print, server)
    process.terminate()
    process.kill()
    began_s = time.monotonic()
    process.close()
    server.close()
    assert time.monotonic() - began_s < forking.ANSWER_S / 2
    assert process.exit_code() == 1


def test_a_server_that_hangs_is_ended_so_that_the_next_process_is_started_without_it(tmp_path, monkeypatch):
    monkeypatch.setattr(forking, "ANSWER_S", 0.0)
    server = ForkServer(tmp_path, environment())
    os.kill(server._process.pid, signal.SIGSTOP)
    process = server.fork(["door", str(tmp_path)])
    until(lambda: process.poll() is not None, "the process to be given up")
    assert not server.alive
    with pytest.raises(ConnectionError):
        server.fork(["door", str(tmp_path)])
    process.stdin.close()
    process.stdout.close()
    server.close()


def test_what_it_prints_is_passed_on(server, tmp_path):
    lines = []
    process = NodeProcess("door", tmp_path, "no plan", lines.append, server)
    until(lambda: process.exit_code() is not None, "its end")
    process.close()
    assert process.exit_code() == 1
    assert any("JSONDecodeError" in line for line in lines)


def test_a_process_that_nobody_can_fork_any_more_has_failed(tmp_path):
    server = ForkServer(tmp_path, environment())
    process = server.fork(["door", str(tmp_path)])
    server.close()
    assert process.wait() in (1, 0)
    process.stdin.close()
    process.stdout.close()
