"""What this host launches for a graph, and how: processes, or for `--threads` a thread for each node.

A process is told what it runs in one line of JSON: {"parts": [{"config", "in_fleet", "base", "stages"}, ...]}, a part
for each graph that it runs nodes of. `nodes/__main__.py` reads it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence

from stream.runtime import StopFlag
from stream.settings.config import Config
from stream.settings.presets import plain
from stream.supervision.connections import Connections
from stream.supervision.processes import NodeProcess, NodeThread
from stream.topology import Graph
from stream.transport.sockets import Context

log = logging.getLogger(__name__)

RunNode = Callable[[str, Config, Graph, str, Context, StopFlag], None]  # runs a node to its end, in a thread


def nodes_by_process(config: Config, graph: Graph) -> dict[str, tuple[str, ...]]:
    """What is launched on this host, by name, each with the stages of its nodes."""
    if not config.supervisor.threads:
        return graph.processes()
    return {graph.nodes[stage].name: (stage,) for stages in graph.processes().values() for stage in stages}


class Launcher:
    """Launches what runs nodes; `write_line` takes the log lines of processes."""

    def __init__(self, connections: Connections, run_node: RunNode, write_line: Callable[[str], None]) -> None:
        self._connections = connections
        self._run_node = run_node
        self._write_line = write_line

    def launch(
        self, name: str, config: Config, graph: Graph, base: str, stages: Sequence[str]
    ) -> NodeProcess | NodeThread:
        """Start a process of that name, which runs stages of one graph."""
        connections = self._connections
        if config.supervisor.threads:
            (stage,) = stages
            return NodeThread(name, lambda stop: self._run_node(stage, config, graph, base, connections.context, stop))
        part = {"config": plain(config), "in_fleet": graph.in_fleet, "base": base, "stages": stages}
        process = NodeProcess(name, connections.run_dir.path, json.dumps({"parts": [part]}), self._write_line)
        log.debug("%s started, pid %d", name, process.pid)
        return process
