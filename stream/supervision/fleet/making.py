"""Makes the groups of nodes of a run: their graphs, sockets, journals, and what launches their processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import structs

from stream.messages import Prompt
from stream.settings.cameras import common_config
from stream.settings.config import Config, FleetConfig
from stream.state.folder import prepare_state
from stream.supervision.connections import Connections
from stream.supervision.fleet.camera_run import CameraRun
from stream.supervision.fleet.clients import ClientsOfSeveral, RunClients
from stream.supervision.fleet.common_nodes import CommonNodes
from stream.supervision.fleet.node_group import NodeHost
from stream.supervision.fleet.node_sockets import NodeSockets
from stream.supervision.journal import find_journal
from stream.supervision.launching import Launcher, RunNode, make_plan, nodes_by_process
from stream.supervision.lifecycle import Running
from stream.topology import Graph, common_wiring, wiring

C = TypeVar("C", bound=Config)


def with_own_endpoints(config: Config, sockets: NodeSockets) -> Config:
    """The config for nodes on other hosts: where our sockets to them are; for those of this host, as it is."""
    if not sockets.endpoints:
        return config
    keys = str(Path(config.graph.keys).absolute()) if config.graph.keys else ""
    return structs.replace(config, graph=structs.replace(config.graph, endpoints=sockets.endpoints, keys=keys))


class GroupMaker:
    """Makes cameras and the common nodes."""

    def __init__(
        self, connections: Connections, clients: RunClients, run_node: RunNode, write_line: Callable[[str], None]
    ) -> None:
        self._connections = connections
        self._clients = clients
        self._launcher = Launcher(connections, run_node, write_line)
        self._cameras = 0  # made so far

    def camera(self, config: Config, prompts: Sequence[Prompt] = (), *, in_fleet: bool = False) -> CameraRun:
        """A camera with its sockets open and its journal locked; ConfigError where that can't be."""
        graph = wiring(config, in_fleet=in_fleet)
        graph.check()
        prepare_state(config)  # of a camera that is added while others run
        journal = find_journal(config)
        self._cameras += 1  # a name may be longer than the path of a socket bears
        sockets = self._connections.open_node_sockets(graph, str(self._cameras) if in_fleet else "")
        try:
            if journal is not None:
                journal.lock()
            clients = ClientsOfSeveral(self._clients) if in_fleet else self._clients
            host = self._host(config, graph, sockets)
            return CameraRun(self.with_bound_endpoints(config), graph, prompts, journal, host, clients)
        except Exception:
            sockets.close()
            if journal is not None:
                journal.close()
            raise

    def common_nodes(self, config: FleetConfig) -> CommonNodes:
        """The nodes that a run of several cameras has once."""
        if not config.supervisor.threads and config.graph.engine == "local":
            self._launcher.fork_from_now_on()
        own, graph = self.common_config(config)
        sockets = self._connections.open_node_sockets(graph)
        return CommonNodes(own, graph, self._host(own, graph, sockets))

    def common_config(self, config: FleetConfig) -> tuple[FleetConfig, Graph]:
        """What the common nodes are told of the config, and their graph."""
        own = common_config(self.with_bound_endpoints(config))
        return own, common_wiring(own)

    def _host(self, config: Config, graph: Graph, sockets: NodeSockets) -> NodeHost:
        def launch(name: str, config: Config, graph: Graph, stages: Sequence[str]) -> Running:
            return self._launcher.launch(name, with_own_endpoints(config, sockets), graph, sockets.base, stages)

        def plan(config: Config, graph: Graph, stages: Sequence[str]) -> str:
            return make_plan(with_own_endpoints(config, sockets), graph, sockets.base, stages)

        return NodeHost(sockets, nodes_by_process(config, graph), launch, plan)

    def make_no_more(self) -> None:
        """The run ends: what is about to be started need not be waited for."""
        self._launcher.launch_no_more()

    def close(self) -> None:
        """End what launches processes."""
        self._launcher.close()

    def with_bound_endpoints(self, config: C) -> C:
        """The config for our nodes: where the sockets to the outside are."""
        if not config.graph.host:
            return config
        publish = config.publisher.endpoint or self._connections.publish_endpoint
        return structs.replace(
            config,
            publisher=structs.replace(config.publisher, endpoint=publish),
            control=structs.replace(config.control, endpoint=self._connections.control_endpoint),
        )
