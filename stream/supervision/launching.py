"""What this host launches for a graph, and how: processes, or for `--threads` a thread for each node."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

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
    """What is launched on this host, by name, each with its nodes."""
    if not config.supervisor.threads:
        return graph.processes()
    return {node: (node,) for nodes in graph.processes().values() for node in nodes}


def make_launch(
    config: Config, graph: Graph, connections: Connections, run_node: RunNode, write_line: Callable[[str], None]
) -> Callable[[str], NodeProcess | NodeThread]:
    """The function that launches by name; `write_line` takes the log lines of processes."""
    config = connections.with_bound_endpoints(config)
    if config.supervisor.threads:
        base, context = connections.base, connections.context
        return lambda name: NodeThread(name, lambda stop: run_node(name, config, graph, base, context, stop))
    folder = connections.run_dir.path

    def launch(name: str) -> NodeProcess:
        process = NodeProcess(name, folder, json.dumps(plain(config)), write_line)
        log.debug("%s started, pid %d", name, process.pid)
        return process

    return launch
