"""The nodes that a run of several cameras has once: the proxy; the page, MQTT and webhooks where they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream.commands import PublishStatus, SetCameras, Start, Stop
from stream.reports import Bound, Report
from stream.settings.config import Config
from stream.supervision.fleet.node_group import NodeGroup, NodeHost
from stream.supervision.lifecycle import SupervisedNode
from stream.supervision.run_summary import integration_entries, node_entries
from stream.topology import Graph
from stream.transport.wire import to_json


class CommonNodes(NodeGroup):
    """They are told which cameras there are, when they begin and when that changes."""

    def __init__(self, config: Config, graph: Graph, host: NodeHost) -> None:
        super().__init__(config, graph, host)
        self._endpoints: dict[str, str] = {}  # of the cameras' publishers

    def set_cameras(self, endpoints: Mapping[str, str]) -> None:
        """Tell the nodes which cameras there are, and where their publishers are bound, if that has changed."""
        if endpoints == self._endpoints:
            return
        self._endpoints = dict(endpoints)
        for stage, node in self.nodes.items():
            if node.loaded:
                self.sockets.send(stage, SetCameras(endpoints=self._endpoints))

    def publish_status(self, camera: str, summary: Mapping[str, Any]) -> None:
        """Publish the status of a camera that has no publisher any more."""
        if self.nodes["proxy"].loaded:
            self.sockets.send("proxy", PublishStatus(camera=camera, status=to_json(summary).decode()))

    def serve(self) -> None:
        """Serve what has come."""
        if self.sockets.ready:
            self.take_reports()
            self.sockets.send_commands()

    def summary(self, now_s: float) -> dict[str, Any]:
        """The entry of each node, as among the nodes of a camera."""
        return node_entries(self.nodes, self.processes, now_s)

    def integrations(self) -> dict[str, dict[str, int]]:
        """What the nodes that tell other systems say of it."""
        return integration_entries(self.nodes)

    def refused(self) -> dict[str, int]:
        """How many their sockets to the outside have not let in, by the reason."""
        totals = [node.counters.totals(node.health) for node in self.nodes.values()]
        return {kind: sum(int(t.get(f"refused_{kind}", 0)) for t in totals) for kind in ("keys", "connections")}

    def on_hello(self, node: SupervisedNode, now_s: float) -> None:
        """A node has loaded."""
        self.sockets.send(node.stage, Start(restarts=node.loads - 1))
        self.sockets.send(node.stage, SetCameras(endpoints=self._endpoints))

    def on_report(self, node: SupervisedNode, report: Report, now_s: float) -> None:
        """The proxy says where masks are published."""
        if isinstance(report, Bound):
            self.bound = report.endpoint

    def begin_end(self) -> None:
        """Stop every node."""
        for stage in self.nodes:
            self.sockets.send(stage, Stop())
