"""The agent of a supervisor on another host, and the link between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, until

from stream.settings.presets import build, plain
from stream.supervision.placing.agent import address_towards
from stream.supervision.placing.agent_links import AgentLinks
from stream.supervision.placing.link_messages import TO_AGENT, TO_SUPERVISOR, Alive, Ended, Leave, Run, Started, Tell
from stream.topology import wiring
from stream.transport.links import Link, LinkServer
from stream.transport.sockets import Context


@pytest.fixture
def context():
    context = Context()
    yield context
    context.close()


def messages(take):
    """What comes, until the kind that is asked for."""

    def wait_for(kind):
        def came():
            message = take()
            return message if isinstance(message, kind) else None

        return until(came, kind.__name__)

    return wait_for


def test_what_is_sent_to_an_agent_waits_until_it_has_connected(context):
    links = AgentLinks(context, "tcp://127.0.0.1:0")
    links.expect("door-1")
    links.send("door-1", Tell(plan="a plan"))
    link = Link(context, links.endpoint, "door-1", TO_AGENT)
    link.send(Alive(address="127.0.0.1"))
    assert messages(lambda: link.take(50))(Tell).plan == "a plan"
    agent, message = until(links.take, "its message")
    assert (agent, message) == ("door-1", Alive(address="127.0.0.1"))
    links.dismiss("door-1")
    messages(lambda: link.take(50))(Leave)
    links.close()


def test_an_agent_that_nobody_expects_is_sent_away_and_not_heard(context):
    links = AgentLinks(context, "tcp://127.0.0.1:0")
    link = Link(context, links.endpoint, "door-0", TO_AGENT)
    link.send(Alive(address="127.0.0.1"))
    messages(lambda: link.take(50))(Leave)
    assert links.take() is None
    links.close()


def test_the_end_of_the_supervisor_sends_every_agent_away(context):
    links = AgentLinks(context, "tcp://127.0.0.1:0")
    links.expect("door-1")
    link = Link(context, links.endpoint, "door-1", TO_AGENT)
    link.send(Alive(address="127.0.0.1"))
    until(links.take, "its message")
    links.close()
    messages(lambda: link.take(50))(Leave)


def test_the_address_of_a_host_is_that_of_its_way_to_the_supervisor():
    assert address_towards("tcp://127.0.0.1:7000") == "127.0.0.1"


class RunningAgent:
    """The process of an agent, and the actor's pipes to it."""

    def __init__(self, **start):
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "stream.supervision.placing.agent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
        self.process.stdin.write(json.dumps({"keys": "", "name": "door-1", **start}).encode() + b"\n")
        self.process.stdin.flush()
        self.answer = json.loads(self.process.stdout.readline())
        self.process.wait()  # it goes on as nobody's child

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()


def is_there(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # it has ended, and nobody has asked how


def test_an_agent_whose_supervisor_is_gone_ends_with_its_process(context, own_run_folder):
    server = LinkServer(context, "tcp://127.0.0.1:0", TO_SUPERVISOR)
    agent = RunningAgent(endpoint=server.endpoint)
    came = messages(lambda: (server.wait(50), (server.take() or (None, None))[1])[1])
    assert came(Alive) == Alive(address="127.0.0.1")

    agent.process.stdin.close()  # as when its actor dies: it says so, and goes on
    until(lambda: came(Alive).held is False, "that its actor is gone")
    config = build({"graph": {"engine": "ray"}})
    graph = plain(config)["graph"]
    ends = {topic: f"tcp://127.0.0.1:{port}" for topic, port in (("reports", 9), ("commands", 9))}
    part = {"config": {"graph": {**graph, "endpoints": ends}}, "in_fleet": True, "base": "", "stages": ["renderer"]}
    assert set(wiring(config, in_fleet=True).outside) == {"masks", "publish"}
    server.send("door-1", Run(number=1, name="door", plan=json.dumps({"parts": [part]})))
    pid = came(Started).pid
    assert is_there(pid)
    until(lambda: not is_there(pid), "the end of its process")  # nothing more comes from here
    until(lambda: not is_there(agent.answer["pid"]), "its own end")
    assert not list(own_run_folder.glob("sam-pt-live-*"))
    agent.close()
    server.close()


def test_an_agent_runs_one_process_after_another_until_it_is_told_to_leave(context):
    links = AgentLinks(context, "tcp://127.0.0.1:0")
    links.expect("door-1")
    agent = RunningAgent(endpoint=links.endpoint)
    came = messages(lambda: (links.take() or (None, None))[1])
    for number in (1, 2):
        links.send("door-1", Run(number=number, name="door", plan=json.dumps({"parts": []})))
        ended = came(Ended)
        assert (ended.number, ended.code) == (number, 1)  # of a plan without nodes
    links.dismiss("door-1")
    until(lambda: not is_there(agent.answer["pid"]), "its end")
    assert agent.process.stdout.read() == b""  # by which the actor knows it
    agent.close()
    links.close()


def test_an_agent_without_its_keys_says_so(tmp_path):
    agent = RunningAgent(endpoint="tcp://127.0.0.1:9", keys=str(tmp_path))
    assert "no key pair there" in agent.answer["error"]
    agent.close()
