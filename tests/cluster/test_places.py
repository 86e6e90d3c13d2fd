"""Places of processes on other hosts, with agents and Ray played by the test."""

from __future__ import annotations

from collections import deque

import pytest

from stream.errors import SourceError
from stream.settings.config import Graph, Placement
from stream.supervision.placing.cluster import AVOID_S, IDLE_S, KILL_S, LOST_S, SILENT_S, Cluster
from stream.supervision.placing.driver import RETRY_S
from stream.supervision.placing.link_messages import Alive, Ended, Kill, Line, Run, Started, Tell, Terminate

KILLED = -9


class FakeLinks:
    endpoint = "tcp://192.168.1.10:7000"

    def __init__(self):
        self.came = deque()
        self.sent = []
        self.expected, self.dismissed = [], []
        self.closed = False

    def expect(self, agent):
        self.expected.append(agent)

    def dismiss(self, agent):
        self.dismissed.append(agent)

    def send(self, agent, message):
        self.sent.append((agent, message))

    def take(self):
        return self.came.popleft() if self.came else None

    def close(self):
        self.closed = True


class FakeDriver:
    def __init__(self, cluster, answers):
        self.cluster = cluster
        self.closed = False
        self.asked = []
        self.answers = deque(answers)

    def ask(self, **request):
        self.asked.append(request)

    def take(self):
        return self.answers.popleft() if self.answers else None

    def close(self, wait_s=1.0):
        self.closed = True


class ClusterUnderTest:
    """A cluster whose agents and whose Ray say what the test has them say."""

    def __init__(self, **graph):
        self.now_s = 100.0
        self.links = FakeLinks()
        self.drivers = []
        self.greeting = [{"joined": "192.168.1.10:6379"}]  # of a driver
        self.lines = []
        self.cluster = Cluster(
            self.links, Graph(engine="ray", **graph), self.lines.append, self.start_driver, lambda: self.now_s
        )

    def start_driver(self, cluster):
        self.drivers.append(FakeDriver(cluster, self.greeting))
        return self.drivers[-1]

    @property
    def driver(self):
        return self.drivers[-1]

    def launch(self, name="door", **needs):
        process = self.cluster.launch(name, "the plan", Placement(**needs))
        process.exit_code()  # a round of the supervisor
        return process

    def answer(self, **values):
        self.driver.answers.append(values)
        self.cluster.update()

    def says(self, message, agent=None):
        self.links.came.append((agent or self.agent, message))
        self.cluster.update()

    def after(self, seconds):
        self.now_s += seconds
        self.cluster.update()

    @property
    def agent(self):
        """The name of the newest one."""
        return self.links.expected[-1]

    def asked(self, key):
        return [request for driver in self.drivers for request in driver.asked if key in request]

    def sent(self, kind):
        return [message for _, message in self.links.sent if isinstance(message, kind)]

    def run(self, name="door", node="node-a"):
        """A process that runs on that node."""
        process = self.launch(name)
        self.answer(placed=self.agent, node=node, pid=7)
        self.says(Alive(address="192.168.1.11"))
        self.says(Started(number=process.number, pid=70))
        return process

    def ends(self, process, code=1):
        """It ends, and the supervisor lets go of it."""
        self.says(Ended(number=process.number, code=code))
        assert process.exit_code() == code
        process.close()


def test_a_place_is_asked_for_with_what_the_camera_needs():
    under = ClusterUnderTest(cluster="192.168.1.10:6379", place_within_s=9.0)
    process = under.launch(cpus=1.5, cameras_per_gpu=4, resources={"camera-net-a": 0.01})
    assert under.driver.cluster == "192.168.1.10:6379"
    (request,) = under.asked("place")
    assert request["needs"] == {"num_cpus": 1.5, "num_gpus": 0.25, "resources": {"camera-net-a": 0.01}}
    assert (request["threads"], request["avoid"], request["within_s"]) == (2, [], 9.0)
    assert (process.exit_code(), process.placed) == (None, False)


def test_what_goes_through_ray_holds_no_plan():  # which may hold the password of a camera
    under = ClusterUnderTest()
    under.launch()
    assert "the plan" not in str(under.driver.asked)


def test_an_agent_that_connects_runs_the_process_and_its_lines_are_passed_on():
    under = ClusterUnderTest()
    process = under.run()
    (run,) = under.sent(Run)
    assert (run.name, run.plan, run.number) == ("door", "the plan", process.number)
    assert (process.placed, process.pid) == (True, 70)
    assert process.where == {"address": "192.168.1.11", "node": "node-a"}
    under.says(Line(text="12:00:00 door/capture: open"))
    assert under.lines == ["12:00:00 door/capture: open"]
    process.restart_nodes("another plan")
    process.terminate()
    assert under.sent(Tell)[0].plan == "another plan"
    assert under.sent(Terminate)


def test_a_process_that_ends_is_restarted_by_its_agent_without_ray():
    under = ClusterUnderTest()
    under.ends(under.run())
    again = under.launch()
    assert len(under.asked("place")) == 1
    assert [run.number for run in under.sent(Run)] == [1, again.number]


def test_what_is_heard_of_the_process_before_is_not_of_the_next_one():
    under = ClusterUnderTest()
    first = under.run()
    under.ends(first)
    again = under.launch()
    under.says(Ended(number=first.number, code=1))
    assert again.exit_code() is None


def test_a_camera_of_other_needs_gets_another_place():
    under = ClusterUnderTest()
    under.ends(under.run())
    under.launch(cpus=2.0)
    assert len(under.asked("place")) == 2


def test_a_host_that_says_nothing_is_given_up_and_avoided():
    under = ClusterUnderTest()
    process = under.run(node="node-a")
    under.after(SILENT_S + 0.1)
    process.kill()  # as its nodes are silent, too
    assert process.exit_code() == KILLED
    assert under.asked("give_up")
    process.close()
    under.launch()
    assert under.asked("place")[-1]["avoid"] == ["node-a"]
    under.says(Alive(address="192.168.1.12"))
    under.after(AVOID_S)
    under.launch("hall")
    assert under.asked("place")[-1]["avoid"] == []


def test_a_host_whose_agent_alone_was_stuck_may_have_the_camera_again():
    under = ClusterUnderTest()
    process = under.run(node="node-a")
    under.after(SILENT_S + 0.1)
    process.kill()
    process.close()
    under.launch()
    assert under.asked("place")[-1]["avoid"] == ["node-a"]
    under.answer(reached="node-a")
    under.cluster.update()
    assert under.asked("place")[-1]["avoid"] == []
    assert len(under.asked("give_up")) == 2


def test_an_agent_that_is_silent_for_long_is_gone_without_anybody_asking():
    under = ClusterUnderTest()
    process = under.run()
    under.after(LOST_S + 0.1)
    assert process.exit_code() == KILLED


def test_a_process_that_hangs_is_killed_by_its_agent_and_else_by_ray():
    under = ClusterUnderTest()
    process = under.run()
    process.kill()
    assert under.sent(Kill)
    assert process.exit_code() is None
    under.after(KILL_S + 0.1)
    assert process.exit_code() == KILLED
    assert under.asked("give_up") == [{"give_up": under.agent}]


def test_a_place_that_ray_takes_away_is_left_while_the_head_is_there():
    under = ClusterUnderTest()
    process = under.run()
    under.says(Alive(address="192.168.1.11", held=False))
    assert under.asked("is_head_there") == [{"is_head_there": under.agent}]
    under.answer(head=under.agent, there=True)
    assert process.exit_code() == KILLED
    assert under.links.dismissed == [under.agent]


@pytest.mark.parametrize("driver_lives", [True, False])
def test_a_camera_goes_on_without_rays_head_and_its_process_is_restarted(driver_lives):
    under = ClusterUnderTest()
    process = under.run()
    if driver_lives:
        under.says(Alive(address="192.168.1.11", held=False))
        under.answer(head=under.agent, there=False)
    else:
        under.answer(error="it is gone")
        under.says(Alive(address="192.168.1.11", held=False))
    assert process.exit_code() is None
    under.ends(process)
    assert under.launch().exit_code() is None
    assert len(under.sent(Run)) == 2


def test_a_new_camera_without_a_place_has_failed_and_says_why():
    under = ClusterUnderTest(place_within_s=9.0)
    process = under.launch()
    under.answer(waiting=under.agent, why="it needs CPU 8; 192.168.1.11 has CPU 4")
    assert process.exit_code() == 3
    assert isinstance(process.error, SourceError)
    assert str(process.error) == (
        "door can't be placed: no host of the cluster has had room within 9 s: it needs CPU 8; 192.168.1.11 has CPU 4"
    )
    assert under.asked("give_up")


def test_a_camera_that_has_run_waits_for_a_place_and_is_asked_for_again():
    under = ClusterUnderTest()
    process = under.run()
    under.after(LOST_S + 0.1)
    process.close()
    again = under.launch()
    under.answer(waiting=under.agent, why="192.168.1.11 is taken by others")
    assert again.exit_code() is None
    assert len(under.asked("place")) == 3
    under.says(Alive(address="192.168.1.12"))
    under.says(Started(number=again.number, pid=71))
    assert again.pid == 71


def test_without_a_cluster_a_new_camera_has_failed_and_another_one_tries_again():
    under = ClusterUnderTest()
    under.run("door")
    under.after(LOST_S + 0.1)
    door, hall = under.launch("door"), under.launch("hall")
    under.answer(error="Could not find any running Ray instance")
    assert door.exit_code() is None
    assert hall.exit_code() == 3
    assert "Could not find any running Ray instance" in str(hall.error)
    assert len(under.drivers) == 1
    under.after(RETRY_S + 0.1)
    assert len(under.drivers) == 2
    under.cluster.update()
    assert under.driver.asked[0]["place"] == under.agent


def test_a_cluster_that_does_not_answer_is_none():
    under = ClusterUnderTest(place_within_s=9.0)
    under.greeting = []
    process = under.launch()
    assert process.exit_code() is None
    under.after(9.1)
    assert process.exit_code() == 3
    assert under.driver.closed


def test_an_agent_that_can_not_start_says_why():
    under = ClusterUnderTest()
    process = under.launch()
    under.answer(failed=under.agent, error="graph.keys is '/keys': no key pair there")
    assert process.exit_code() == 3
    assert str(process.error) == "door can't be placed: graph.keys is '/keys': no key pair there"
    assert not under.driver.closed


def test_a_process_that_is_stopped_before_it_has_a_place_has_ended():
    under = ClusterUnderTest()
    process = under.launch()
    process.terminate()
    assert process.exit_code() == 0
    process.close()
    assert under.asked("give_up")


def test_a_place_that_nobody_needs_is_given_back():
    under = ClusterUnderTest()
    under.ends(under.run(), code=0)
    under.after(IDLE_S / 2)
    assert not under.asked("give_up")
    under.after(IDLE_S)
    assert under.asked("give_up")
    assert under.links.dismissed == [under.agent]


def test_the_end_has_all_agents_leave_and_takes_back_what_was_asked_for():
    under = ClusterUnderTest()
    under.run("door")
    under.launch("hall")
    under.cluster.close()
    assert under.links.closed
    assert under.driver.closed
    assert under.asked("give_up") == [{"give_up": under.agent}]
