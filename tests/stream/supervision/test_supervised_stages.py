"""A supervisor with its own sockets, in memory, and stages that do nearly nothing, as threads."""

from __future__ import annotations

import json

import pytest
from supervision_fakes import SIZE, SilentDashboard, config_of

from stream.errors import SourceError
from stream.node import Stage
from stream.reports import Opened, Progress
from stream.run_directory import find_run
from stream.runtime import run_stage
from stream.supervision.supervisor import make_supervisor
from stream.transport.service_sockets import RequestClient


class EmptyFeed(Stage):
    """Opens a source, whose feed ends when the feed is paused."""

    def __init__(self, node):
        self.node = node

    def handle_command(self, command):
        if type(command).__name__ == "StartCapture":
            self.node.report(Opened(size=SIZE, fps=20.0))
        elif type(command).__name__ == "Pause":
            self.node.end_feed()

    def progress(self):
        return Progress(gauges={"session": 4})


class Quiet(Stage):
    """Passes the end on."""


def run_with(make_stage, dashboard):
    def run_node(node, config, graph, base, context, stop):
        run_stage(lambda config, context: make_stage(node, context), node, config, graph, base, context, stop)

    config = config_of(supervisor__threads=True, supervisor__heartbeat_s=0.05)
    return make_supervisor(config, [], run_node, dashboard)


class PausingDashboard(SilentDashboard):
    """Requests a pause once the source is open."""

    def __init__(self):
        self.client = None

    def update(self, summary):
        super().update(summary)
        if self.client is None and self.newest["sessions"]:
            self.client = RequestClient(find_run().control_endpoint)
            self.client.send(json.dumps({"id": 1, "method": "pause"}).encode())


def test_commands_reports_and_requests_reach_whom_they_are_for(own_run_folder):
    dashboard = PausingDashboard()
    supervisor = run_with(lambda node, context: EmptyFeed(context) if node == "capture" else Quiet(), dashboard)
    supervisor.run()
    assert json.loads(dashboard.client.recv(60_000)) == {"id": 1, "result": {"paused": True}}
    dashboard.client.close()
    assert dashboard.newest["sessions"] >= 1
    assert supervisor.summary()["sessions"] == 5
    assert list(own_run_folder.iterdir()) == []  # the end came down the chain, and nothing is left


def test_a_stage_that_can_not_be_made_ends_the_run_with_its_error(own_run_folder):
    def make_stage(node, context):
        if node == "decoder":
            raise SourceError("no such weights")
        return Quiet()

    with pytest.raises(Exception, match="no such weights") as error:
        run_with(make_stage, SilentDashboard()).run()
    assert error.value.exit_code == 3
    assert list(own_run_folder.iterdir()) == []
