from __future__ import annotations

import signal

import pytest

from stream.reports import Health
from stream.settings.config import Config, Graph
from stream.supervision.lifecycle import Supervised, end


class FakeLife:
    def __init__(self, node):
        self.node, self.pid = node, 7
        self.code = None
        self.did = []

    def exit_code(self):
        return self.code

    def terminate(self):
        self.did.append("terminate")

    def kill(self):
        self.did.append("kill")
        self.code = -signal.SIGKILL

    def close(self):
        self.did.append("close")


@pytest.fixture
def node():
    node = Supervised("tracker", Config(), FakeLife)
    node.start()
    return node


def health(**values):
    return Health(node="tracker", pid=7, **values)


def test_a_silent_node_is_killed_and_its_end_is_told_once(node):
    node.loaded()
    life, late_s = node.life, node.beat_s + 3.1
    assert node.watch(node.beat_s + 2.9) is None
    assert life.did == []
    assert node.watch(late_s) is None
    assert life.did == ["kill"]
    assert node.watch(late_s) == -signal.SIGKILL
    assert life.did == ["kill", "close"]
    assert node.watch(late_s) is None


def test_a_node_that_is_still_loading_may_be_silent_for_longer(node):
    assert node.fault(node.beat_s + 119) == ""
    assert node.fault(node.beat_s + 121) == "silent for 121.0 s"


def test_a_node_that_beats_and_never_ends_its_step_hangs(node):
    node.loaded()
    node.beats(health(in_step_s=119.0))
    assert node.fault(node.beat_s) == ""
    node.beats(health(in_step_s=121.0))
    assert node.fault(node.beat_s) == "inside one step for 121 s"


def test_a_node_that_is_lent_to_another_host_is_not_judged_by_its_silence():
    node = Supervised("tracker", Config(graph=Graph(host=False)), FakeLife)
    node.start()
    assert node.fault(node.beat_s + 1000) == ""


def test_a_new_life_has_to_say_hello_again_and_goes_on_counting(node):
    node.loaded()
    node.beats(health(steps=3, frame_id=9))
    node.count_past()
    node.start()
    assert (node.said_hello, node.health, node.lives) == (False, None, 1)
    assert (node.tally.numbers(health(steps=2))["steps"], node.tally.newest) == (5, 9)


def test_at_the_end_only_who_does_not_stop_is_killed(node):
    obeys, never_started = Supervised("decoder", Config(), FakeLife), Supervised("renderer", Config(), FakeLife)
    obeys.start()
    obeys.life.code = 0
    end([node, obeys, never_started], 0.0, lambda: None)
    assert node.life.did == ["terminate", "kill", "close"]
    assert obeys.life.did == ["terminate", "close"]


def test_the_end_waits_for_a_node_that_needs_a_moment(node):
    def wait():
        node.life.code = 0

    end([node], 60.0, wait)
    assert node.life.did == ["terminate", "close"]
