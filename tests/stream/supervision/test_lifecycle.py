from __future__ import annotations

import signal

import pytest
from supervision_fakes import FakeRunning, config_of, health

from stream.errors import SourceError
from stream.supervision.lifecycle import Exit, SupervisedNode, SupervisedProcess, end


def started(*nodes, name="", config=None):
    process = SupervisedProcess(
        name or nodes[0], [SupervisedNode(n) for n in nodes], config or config_of(), FakeRunning
    )
    process.start(100.0)
    return process


@pytest.fixture
def process():
    return started("tracker")


@pytest.fixture
def node(process):
    return process.nodes[0]


def test_a_silent_node_is_killed_and_its_end_is_told_once(process, node):
    node.load()
    running = process.running
    assert process.watch(102.9) is None
    assert running.calls == []
    assert process.watch(103.1) is None
    assert running.calls == ["kill"]
    assert process.watch(103.1) == Exit(-signal.SIGKILL)
    assert running.calls == ["kill", "close"]
    assert process.watch(103.1) is None


def test_a_process_that_does_not_end_at_once_is_killed_only_once(process, node, caplog):
    node.load()
    process.running.kill = lambda: process.running.calls.append("kill")
    for now_s in (103.1, 103.2, 110.0):
        assert process.watch(now_s) is None
    assert process.running.calls == ["kill"]
    assert caplog.text.count("tracker has been silent for 3.1 s; it is ended and restarted") == 1


def test_a_node_that_is_still_loading_may_be_silent_for_longer(process):
    assert process.fault(100.0 + 119) == ""
    assert process.fault(100.0 + 121) == "tracker has been silent for 121.0 s"


def test_a_node_that_sends_heartbeats_and_never_ends_its_step_hangs(process, node):
    node.load()
    node.take_health(health(in_step_s=119.0))
    assert process.fault(100.0) == ""
    node.take_health(health(in_step_s=121.0))
    assert process.fault(100.0) == "tracker has been inside one step for 121 s"


def test_every_report_ends_a_silence(process, node):
    node.load()
    node.hear(110.0)
    assert process.fault(112.9) == ""


def test_a_node_that_is_lent_to_another_host_is_not_judged_by_its_silence():
    process = started("tracker", config=config_of(graph__host=False))
    assert process.fault(100.0 + 1000) == ""


def test_a_restarted_node_has_to_say_hello_again_and_goes_on_counting(process, node):
    node.load()
    node.take_health(health(steps=3, frame_id=9))
    node.end_incarnation()
    process.start(200.0)
    assert (node.loaded, node.health) == (False, None)
    assert node.counters.totals(health(steps=2))["steps"] == 5


def test_a_node_of_another_host_counts_on_when_it_says_hello_again():
    node = SupervisedNode("tracker", here=False)
    node.load()
    node.take_health(health(steps=3))
    node.load()
    assert node.health is None
    assert node.counters.totals(health(steps=2))["steps"] == 5


# --- several nodes in one process ---


def test_one_node_that_hangs_ends_the_process_with_all_its_nodes():
    process = started("tracker", "decoder", name="door")
    for node in process.nodes:
        node.load()
        node.hear(110.0)
    process.nodes[0].hear(115.0)
    assert process.fault(115.0) == "decoder has been silent for 5.0 s"
    process.watch(115.0)
    assert process.running.calls == ["kill"]


def test_while_one_node_loads_the_others_may_be_silent():
    process = started("tracker", "decoder", name="door")
    process.nodes[0].load()
    assert process.fault(100.0 + 60) == ""
    process.nodes[1].load()
    assert process.fault(100.0 + 60) == "tracker has been silent for 60.0 s"


def test_a_restart_lets_every_node_of_the_process_load_again():
    process = started("tracker", "decoder", name="door")
    for node in process.nodes:
        node.load()
    process.start(200.0)
    assert [(n.loaded, n.heard_s) for n in process.nodes] == [(False, 200.0)] * 2


# --- the end ---


def test_at_the_end_only_what_does_not_stop_is_killed(process):
    stops, never_started = started("decoder"), SupervisedProcess("renderer", [], config_of(), FakeRunning)
    stops.running.code = 0
    assert end([process, stops, never_started], 0.0, lambda: None) == []
    assert process.running.calls == ["terminate", "kill", "close"]
    assert stops.running.calls == ["terminate", "close"]


def test_the_end_waits_for_a_node_that_needs_a_moment(process):
    def wait():
        process.running.code = 0

    end([process], 60.0, wait)
    assert process.running.calls == ["terminate", "close"]


def test_the_end_tells_what_a_thread_failed_with(process):
    process.running.error = error = SourceError("the recording can't be closed")
    process.running.code = 3
    assert end([process], 60.0, lambda: None) == [error]
