from __future__ import annotations

import logging
import signal

import pytest
from fleet_fakes import Fleet

from stream.commands import PublishStatus, SetCameras, Start, Stop
from stream.reports import Bound, Done, Failure, Hello
from stream.settings.presets import build, plain

NAMES = ("door", "hall")


def hello(node):
    return Hello(node=node, pid=3, incarnation=b"12345678")


@pytest.fixture
def fleet():
    return Fleet(*NAMES)


def test_each_camera_and_what_they_have_in_common_are_processes(fleet):
    assert [process.name for process in fleet.maker.launched] == ["proxy", "door", "hall"]
    assert [process.config.capture.camera for process in fleet.maker.launched[1:]] == ["door", "hall"]


def test_nodes_may_have_a_process_each():
    fleet = Fleet(*NAMES, graph={"processes": "node"}, web={"endpoint": "127.0.0.1:0"})
    names = [process.name for process in fleet.maker.launched]
    assert names[:4] == ["proxy", "web", "door/capture", "door/tracker"]
    assert len(names) == 2 + 2 * 5


def test_the_common_nodes_are_told_where_the_cameras_publish(fleet):
    fleet.maker.sockets[""].reports.append(hello("proxy"))
    fleet.rounds(1)
    endpoints = {name: f"ipc:///run/{name}/publish" for name in NAMES}
    assert [command for _, command in fleet.maker.sockets[""].sent] == [Start(), SetCameras(endpoints=endpoints)]


def test_masks_are_published_where_the_proxy_says(fleet):
    fleet.maker.sockets[""].reports.append(Bound(node="proxy", pid=1, endpoint="tcp://127.0.0.1:5000"))
    fleet.rounds(1)
    assert fleet.cameras.bound == "tcp://127.0.0.1:5000"


def test_a_proxy_that_is_restarted_binds_the_port_that_the_system_chose_before():
    fleet = Fleet(*NAMES, publisher={"endpoint": "tcp://127.0.0.1:0"})
    assert fleet.running("proxy").config.publisher.endpoint == "tcp://127.0.0.1:0"
    fleet.maker.sockets[""].reports.append(Bound(node="proxy", pid=1, endpoint="tcp://127.0.0.1:5000"))
    fleet.rounds(1)
    fleet.running("proxy").code = -signal.SIGKILL
    fleet.rounds(1)
    restarted_with = fleet.running("proxy").config
    assert restarted_with.publisher.endpoint == "tcp://127.0.0.1:5000"
    assert build(plain(restarted_with)) == restarted_with  # as a process reads it
    assert fleet.membership.reload() == {"added": [], "removed": [], "restarted": {}}


def test_the_death_of_a_process_is_one_restart_whatever_runs_in_it(fleet):
    fleet.running("hall").code = -signal.SIGKILL
    fleet.rounds()
    summary = fleet.cameras.summary()
    assert summary["totals"]["restarts"] == 1
    assert {name: camera["restarts"] for name, camera in summary["cameras"].items()} == {"door": 0, "hall": 1}


def test_a_process_that_dies_is_restarted_and_its_camera_is_named(fleet, caplog):
    fleet.running("hall").code = -signal.SIGKILL
    fleet.rounds()
    assert [process.name for process in fleet.maker.launched] == ["proxy", "door", "hall", "hall"]
    assert "hall was killed by SIGKILL; it is restarted (restart 1)" in caplog.text


def test_a_camera_that_fails_ends_alone_and_its_status_goes_on_being_published(fleet, caplog):
    fleet.maker.sockets[""].reports.append(hello("proxy"))
    fleet.maker.sockets["hall"].reports.append(Failure(node="capture", pid=1, message="no camera", exit_code=3))
    fleet.rounds()
    assert fleet.running("hall").code == 0  # it was told to stop
    assert [node for node, command in fleet.maker.sockets["hall"].sent if isinstance(command, Stop)]
    assert not fleet.cameras.finished
    fleet.rounds(25)
    assert {command.camera for command in fleet.sent("", PublishStatus)} == {"hall"}
    states = {name: camera["state"] for name, camera in fleet.cameras.summary()["cameras"].items()}
    assert states == {"door": "starting", "hall": "failed"}
    assert fleet.cameras.summary()["cameras"]["hall"]["reason"] == "no camera"
    assert "it has failed: no camera" in caplog.text


@pytest.mark.parametrize(("failing", "exit_code"), [(["hall"], 1), (["door", "hall"], 3), ([], None)])
def test_the_run_is_over_when_every_camera_has_ended_or_failed(fleet, failing, exit_code):
    for name in NAMES:
        end = Failure(node="capture", pid=1, message="no camera", exit_code=3)
        done = [Done(node=node, pid=1) for node in ("renderer", "publisher")]
        fleet.maker.sockets[name].reports.extend([end] if name in failing else done)
    fleet.rounds()
    assert fleet.cameras.finished
    error = fleet.cameras.error
    assert (None if error is None else error.exit_code) == exit_code
    assert all(f"camera {name} has failed: no camera" in str(error) for name in failing)


def test_a_camera_that_is_killed_too_often_fails_and_the_others_go_on():
    fleet = Fleet(cameras={"door": {}, "hall": {"supervisor": {"max_restarts": 1}}})
    for _ in range(2):
        fleet.running("hall").code = 1
        fleet.rounds(1)
    assert fleet.cameras.cameras["hall"].finished
    assert "for more than the 1 times in 60 s that are allowed; the camera is over" in str(fleet.cameras.error)
    assert fleet.running("door").code is None


def test_the_summary_sums_up(fleet):
    summary = fleet.cameras.summary()
    assert list(summary["cameras"]) == ["door", "hall"]
    assert summary["totals"]["cameras"] == 2
    assert summary["totals"]["states"] == {"starting": 2}
    assert set(summary["nodes"]) == {"proxy", "supervisor"}


def test_log_lines_of_a_camera_name_it(fleet, capsys):
    from stream.console.logs import TextLines, install
    from stream.settings.config import Log

    lines = []
    before = logging.getLogger().handlers[:]
    try:
        install(Log(), "graph", lines.append)
        fleet.maker.sockets["hall"].reports.extend(Done(node=node, pid=1) for node in ("renderer", "publisher"))
        fleet.rounds(1)
    finally:
        logging.getLogger().handlers[:] = before
    assert [line.partition(" ")[2] for line in lines] == ["hall: the feed has ended"]
    assert TextLines("graph").camera_of("door/tracker") == "door"
