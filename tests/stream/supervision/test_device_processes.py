"""One process for the nodes of several cameras, as each of them sees it."""

from __future__ import annotations

import json

import pytest

from stream.console.device_lines import ended_line, read_ended, stop_line
from stream.settings.presets import load
from stream.supervision.fleet.device_processes import DeviceMember, DeviceProcess
from stream.supervision.lifecycle import SupervisedProcess, count_restarts
from stream.topology import wiring


class FakeProcess:
    name, pid = "device cpu", 7

    def __init__(self, plan, write_line):
        self.told, self.write_line = [plan], write_line
        self.code, self.terminated, self.killed, self.closed = None, 0, 0, 0

    def exit_code(self):
        return self.code

    def tell(self, line):
        self.told.append(line)

    def terminate(self):
        self.terminated += 1

    def kill(self):
        self.killed += 1

    def close(self):
        self.closed += 1


@pytest.fixture
def lines():
    return []


@pytest.fixture
def device(lines):
    return DeviceProcess("plan of a", FakeProcess, lines.append)


def test_cameras_join_and_the_process_outlives_each_of_them(device, lines):
    a, b = DeviceMember(device, "a"), DeviceMember(device, "b")
    assert (a.exit_code(), b.exit_code(), a.pid) == (None, None, 7)
    a.terminate()
    assert device.process.told[-1] == stop_line("a")
    assert device.process.terminated == 0
    device.process.write_line(ended_line("a", 0))
    assert (a.exit_code(), b.exit_code()) == (0, None)
    a.close()
    assert device.alive
    assert lines == []


def test_a_camera_whose_nodes_have_failed_is_told_alone_and_joins_again(device):
    a, b = DeviceMember(device, "a"), DeviceMember(device, "b")
    device.process.write_line(ended_line("a", 1))
    assert (a.exit_code(), b.exit_code()) == (1, None)
    a.close()
    again = DeviceMember(device, "a")
    assert again.exit_code() is None
    assert device.process.terminated == 0


def test_when_the_process_dies_all_cameras_are_told(device):
    a, b = DeviceMember(device, "a"), DeviceMember(device, "b")
    device.process.code = -9
    assert (a.exit_code(), b.exit_code()) == (-9, -9)
    assert not device.alive


def test_a_death_of_the_process_is_one_restart_for_all_its_cameras():
    devices = [DeviceProcess("plan", FakeProcess, print) for _ in range(2)]
    now_in = iter([devices[0], devices[0], devices[0], devices[1], devices[1]])
    of = {
        camera: SupervisedProcess(
            "device cpu", [], load("lite"), lambda _, camera=camera: DeviceMember(next(now_in), camera)
        )
        for camera in ("a", "b")
    }

    def restart():
        for process in of.values():
            ended = process.running and process.watch(1.0)
            if process.running is None:
                assert ended is None or process.may_restart(ended, 1.0)
                process.start(1.0)
        return count_restarts(of.values())

    assert restart() == 0
    devices[0].process.write_line(ended_line("a", 1))
    assert restart() == 1
    devices[0].process.code = -9
    assert restart() == 2
    assert [process.policy.total for process in of.values()] == [2, 1]


def test_the_last_one_that_is_told_to_stop_stops_the_process_and_waits_for_it(device):
    a, b = DeviceMember(device, "a"), DeviceMember(device, "b")
    a.terminate()
    b.terminate()
    assert device.process.terminated == 1
    device.process.write_line(ended_line("b", 0))
    assert b.exit_code() is None, "the process still runs"
    device.process.code = 0
    assert (a.exit_code(), b.exit_code()) == (0, 0)
    assert not device.alive


def test_a_process_that_everybody_has_left_ends(device):
    a, b = DeviceMember(device, "a"), DeviceMember(device, "b")
    for member in (a, b):
        device.process.write_line(ended_line(member.camera, 0))
        member.close()
    assert device.process.terminated == 1
    assert not device.alive


def test_a_node_that_hangs_costs_the_process(device):
    DeviceMember(device, "b")
    DeviceMember(device, "a").kill()
    assert device.process.killed == 1


def test_other_lines_are_those_of_the_log(device, lines):
    device.process.write_line("12:00 door/decoder loaded")
    assert lines == ["12:00 door/decoder loaded"]
    assert read_ended("12:00 door/decoder loaded") is None


def test_a_stop_is_a_line_of_json():
    assert json.loads(stop_line("door")) == {"stop": "door"}
    assert read_ended(ended_line("door", 3)) == ("door", 3)


def test_trackers_and_decoders_run_by_device_and_the_rest_by_camera():
    keys = {"graph.processes": "device", "capture.camera": "door", "decoder.device": "cpu"}
    processes = wiring(load("mobile_sam_pt", keys), in_fleet=True).processes()
    assert processes == {
        "door": ("capture", "renderer", "publisher"),
        "device auto": ("tracker",),
        "device cpu": ("decoder",),
    }
