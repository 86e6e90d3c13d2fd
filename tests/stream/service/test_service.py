"""What systemd is told: ready, a status, and a sign of life that is withheld once frames that should flow do not."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import replace

import pytest
from running import LOOP, until

from stream.service.notify import find_notifier
from stream.service.service_state import STUCK_S, CameraSigns, ServiceState, describe

RUNNING = CameraSigns("door", "running", published=1, published_hz=25.0, objects=2)
LOST = CameraSigns("hall", "interrupted", "source_lost", retry_in_s=12.4)
LOADING = CameraSigns("door", "starting")


def ready(*cameras):
    """A service that has begun to run at time 0."""
    service = ServiceState(watchdog=True)
    assert service.update(cameras, 0.0)["READY"] == "1"
    return service


def signs_of_life(service, cameras_at, until_s):
    """The seconds at which the watchdog is told."""
    return [t for t in range(1, until_s) if "WATCHDOG" in service.update(cameras_at(t), float(t))]


def test_it_is_ready_once_every_camera_runs_or_waits_and_asks_for_time_until_then():
    service = ServiceState(watchdog=True)
    for now_s in (0.0, 1.0):
        words = service.update([LOADING, LOST], now_s)
        assert "READY" not in words
        assert int(words["EXTEND_TIMEOUT_USEC"]) >= 10_000_000
    words = service.update([RUNNING, LOST], 2.0)
    assert words["READY"] == "1"
    assert "EXTEND_TIMEOUT_USEC" not in words
    assert "READY" not in service.update([LOADING, LOST], 3.0)  # once is enough
    waiting = CameraSigns("door", "starting", "waiting_for_source")
    assert "READY" in ServiceState(watchdog=False).update([waiting], 0.0)


def test_the_sign_of_life_is_given_while_masks_come():
    service = ready(RUNNING)
    told = signs_of_life(service, lambda t: [replace(RUNNING, published=t)], 200)
    assert told == list(range(1, 200))


def test_the_sign_of_life_is_withheld_once_no_masks_come_of_a_camera_that_says_it_runs():
    service = ready(RUNNING)
    assert signs_of_life(service, lambda _: [RUNNING], 200) == list(range(1, round(STUCK_S) + 1))
    assert "no masks come" in describe([RUNNING], ["door"])
    assert "WATCHDOG" in service.update([replace(RUNNING, published=9)], 201.0)  # they come again


@pytest.mark.parametrize(
    "camera",
    [
        LOST,
        CameraSigns("door", "paused"),
        CameraSigns("door", "ended"),
        CameraSigns("door", "degraded", "restarting decoder"),
        CameraSigns("door", "starting", "waiting_for_source"),
    ],
)
def test_a_camera_that_waits_for_what_no_restart_brings_is_no_reason_for_one(camera):
    assert signs_of_life(ready(camera), lambda _: [camera], 200) == list(range(1, 200))


def test_a_camera_that_comes_back_gets_its_time_again():
    service = ready(LOST)
    service.update([LOST], 500.0)
    back = replace(LOST, state="running", reason="")
    assert "WATCHDOG" in service.update([back], 500.0 + STUCK_S)
    assert "WATCHDOG" not in service.update([back], 501.0 + STUCK_S)


def test_a_model_that_takes_long_for_a_frame_is_not_stuck():
    slow = replace(RUNNING, step_s=20.0)
    assert max(signs_of_life(ready(slow), lambda _: [slow], 200)) == 60


def test_one_camera_that_is_stuck_does_not_have_the_others_restarted():
    service = ready(RUNNING, replace(RUNNING, name="hall"))
    told = signs_of_life(service, lambda t: [RUNNING, replace(RUNNING, name="hall", published=t)], 100)
    assert told == list(range(1, 100))


def test_without_a_watchdog_nothing_is_told_twice():
    service = ServiceState(watchdog=False)
    assert set(service.update([RUNNING], 0.0)) == {"READY", "STATUS"}
    assert service.update([RUNNING], 1.0) == {}


def test_the_status_says_how_each_camera_is():
    assert describe([RUNNING, LOST]) == "hall: interrupted source lost, next try in 12 s; door: 25 frames/s, 2 objects"
    many = [replace(RUNNING, name=f"c{i}") for i in range(15)]
    assert describe([*many, LOST]).endswith("; 15 of 16 cameras give masks, 375 frames/s in all")


@pytest.mark.parametrize("abstract", [False, True])
def test_words_reach_the_socket_and_nodes_do_not_inherit_it(tmp_path, abstract):
    path = f"@spl-{os.getpid()}-{tmp_path.name}" if abstract else str(tmp_path / "n")
    environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid()), "A": "b"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + path[1:] if abstract else path)
        notifier = find_notifier(environment)
        assert environment == {"A": "b"}
        assert notifier.watchdog_s == 2.0
        notifier.tell({"READY": "1", "STATUS": "well"})
        assert systemd.recv(100) == b"READY=1\nSTATUS=well"
        notifier.close()


def test_without_systemd_there_is_nobody_to_tell():
    assert find_notifier({}) is None
    assert find_notifier({"NOTIFY_SOCKET": "vsock:2:3"}) is None
    other = find_notifier({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    assert other.watchdog_s is None  # it is another process that is watched
    other.tell({"READY": "1"})  # nobody is there, and nothing is raised
    other.close()


def test_a_run_tells_systemd_that_it_is_ready_lives_and_stops(start, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        run = start(*LOOP)
        told = []
        until(lambda: told.append(systemd.recv(4096).decode()) or "READY=1" in told[-1], "READY")
        until(lambda: told.append(systemd.recv(4096).decode()) or "frames/s" in told[-1], "the rate")
        assert "WATCHDOG=1" in told[-1]
        run.send(signal.SIGTERM)
        until(lambda: told.append(systemd.recv(4096).decode()) or "STOPPING=1" in told[-1], "STOPPING")
        assert run.wait() == 0
