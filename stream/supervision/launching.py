"""What this host launches for a graph, and how: processes, or for `--threads` a thread for each node.

A process is told what it runs in one line of JSON: {"parts": [{"config", "in_fleet", "base", "stages"}, ...]}, a part
for each graph that it runs nodes of. `nodes/__main__.py` reads it. With `graph.engine: ray` the processes of cameras
are on other hosts (`placing/`), and the line goes there.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Sequence

from stream.console.device_lines import DEVICE
from stream.runtime import StopFlag
from stream.settings.config import Config, FleetConfig
from stream.settings.presets import plain
from stream.supervision.connections import Connections
from stream.supervision.fleet.device_processes import DeviceMember, DeviceProcess
from stream.supervision.forking import ForkServer
from stream.supervision.placing.agent_links import AgentLinks
from stream.supervision.placing.cluster import Cluster
from stream.supervision.placing.placed_process import PlacedProcess
from stream.supervision.processes import NodeProcess, NodeThread, environment
from stream.topology import Graph
from stream.transport.sockets import Context

log = logging.getLogger(__name__)

# Each of many threads would have memory of its own that is kept for it: 40 MB for twenty, measured.
# Cameras share the cores, so that each works on one object after the other.
BESIDE_OTHERS = {"MALLOC_ARENA_MAX": "2", "LITE_THREADS": "1"}

RunNode = Callable[[str, Config, Graph, str, Context, StopFlag], None]  # runs a node to its end, in a thread


def nodes_by_process(config: Config, graph: Graph) -> dict[str, tuple[str, ...]]:
    """What is launched on this host, by name, each with the stages of its nodes."""
    if not config.supervisor.threads:
        return graph.processes()
    return {graph.nodes[stage].name: (stage,) for stages in graph.processes().values() for stage in stages}


def make_plan(config: Config, graph: Graph, base: str, stages: Sequence[str]) -> str:
    """What a process is told of the nodes that it runs, or is to restart."""
    part = {"config": plain(config), "in_fleet": graph.in_fleet, "base": base, "stages": stages}
    return json.dumps({"parts": [part]})


class Launcher:
    """Launches what runs nodes; `write_line` takes the log lines of processes."""

    def __init__(self, connections: Connections, run_node: RunNode, write_line: Callable[[str], None]) -> None:
        self._connections = connections
        self._run_node = run_node
        self._write_line = write_line
        self._fork_server: ForkServer | None = None
        self._devices: dict[str, DeviceProcess] = {}  # by name
        self._cluster: Cluster | None = None  # from when the first process is placed

    def fork_from_now_on(self) -> None:
        """Have processes forked from one that has their packages loaded, where this system can do it."""
        env = {**environment(), **BESIDE_OTHERS}
        try:
            self._fork_server = ForkServer(self._connections.run_dir.path, env)
        except OSError as error:
            log.warning("processes can't share their packages' memory here: %s", error)

    def launch_no_more(self) -> None:
        """End the fork server: what it has not forked yet has ended by that."""
        if self._fork_server is not None:
            self._fork_server.kill()

    def close(self) -> None:
        """End the fork server, leave the cluster, and wait for the processes of devices."""
        if self._cluster is not None:
            self._cluster.close()
        for device in self._devices.values():
            device.process.close()
        if self._fork_server is not None:
            self._fork_server.close()

    def launch(
        self, name: str, config: Config, graph: Graph, base: str, stages: Sequence[str]
    ) -> NodeProcess | NodeThread | DeviceMember | PlacedProcess:
        """Start a process of that name, which runs stages of one graph; that of a device is there once."""
        connections = self._connections
        if config.graph.engine == "ray" and not isinstance(config, FleetConfig):
            return self._place(name, config, make_plan(config, graph, base, stages))
        if name.startswith(DEVICE) and not config.supervisor.threads:
            return self._join_device(name, config.capture.camera, make_plan(config, graph, base, stages))
        if config.supervisor.threads:
            (stage,) = stages
            return NodeThread(name, lambda stop: self._run_node(stage, config, graph, base, connections.context, stop))
        process = self._start(name, make_plan(config, graph, base, stages))
        log.debug("%s started, pid %d", name, process.pid)
        return process

    def _start(self, name: str, plan: str) -> NodeProcess:
        """A process that is forked where that can be, else started from nothing."""
        folder, server = self._connections.run_dir.path, self._fork_server
        if server is not None and server.alive:
            with contextlib.suppress(OSError):  # it has just died
                return NodeProcess(name, folder, plan, self._write_line, server)
        if server is not None:
            log.warning(
                "the process that others are forked from has ended; they take 60 MB more each",
                extra={"once_key": "no fork server"},
            )
        return NodeProcess(name, folder, plan, self._write_line)

    def _place(self, name: str, config: Config, plan: str) -> PlacedProcess:
        if self._cluster is None:
            links = AgentLinks(self._connections.context, f"tcp://{config.graph.address}:0")
            self._cluster = Cluster(links, config.graph, self._write_line)
        return self._cluster.launch(name, plan, config.placement)

    def _join_device(self, name: str, camera: str, plan: str) -> DeviceMember:
        device = self._devices.get(name)
        if device is not None and device.alive:
            device.process.tell(plan)
        else:
            folder = self._connections.run_dir.path
            device = DeviceProcess(
                plan, lambda first, write_line: NodeProcess(name, folder, first, write_line), self._write_line
            )
            self._devices[name] = device
            log.debug("%s started, pid %d", name, device.process.pid)
        return DeviceMember(device, camera)
