"""The supervisor's sockets and the run's folder: requests in, replies out. Those of its nodes: `fleet/node_sockets.py`.

Nothing here decides anything, and nothing waits but `wait`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, replace

from stream.errors import StreamError
from stream.run_directory import Run, RunDir
from stream.settings.config import Config
from stream.supervision.fleet.node_sockets import LentNodeSockets, NodeSockets
from stream.topology import Graph
from stream.transport.service_sockets import RequestServer
from stream.transport.sockets import Context, Poller, Refused, Waker

Request = tuple[tuple[bytes, ...], list[bytes]]  # the client's address, the parts of the body


class Connections:
    """Those of a host that lends its nodes to another: nodes are launched here, and report there."""

    def __init__(self, config: Config) -> None:
        self.run_dir = RunDir.create()
        try:
            self.context = Context(config.graph.keys)
        except StreamError:
            self.run_dir.remove()
            raise
        self._threads = config.supervisor.threads
        self.poller = Poller()
        self._waker = Waker()
        self._refused = Refused()
        self._node_sockets: list[NodeSockets] = []
        self.poller.watch(self._waker.fd)

    def base(self, part: str = "") -> str:
        """Where topics are that do not leave the host; `part`: a folder of their own, for one of several graphs."""
        path = self.run_dir.path / part
        path.mkdir(exist_ok=True)
        place = f"inproc://{self.run_dir.path.name}" if self._threads else f"ipc://{self.run_dir.path}"
        return f"{place}/{part}/" if part else f"{place}/"

    def open_node_sockets(self, graph: Graph, part: str = "") -> NodeSockets:
        """The sockets to the nodes of a graph, whose topics are at `base(part)`; closed with all the others."""
        return LentNodeSockets(self.context, graph, self.base(part), self.poller)

    def announce(self, config: Config) -> None:
        """Let tools find the run."""

    def announce_publisher(self, endpoint: str) -> None:
        """Let tools find the masks where the publisher has bound its socket."""

    def announce_cameras(self, cameras: tuple[str, ...]) -> None:
        """Let tools find the run by any of its cameras."""

    def keep_announced(self) -> None:
        """Announce again what a cleaner of /tmp has removed."""

    @property
    def control_endpoint(self) -> str:
        """Where requests are taken; empty: nowhere here."""
        return ""

    @property
    def publish_endpoint(self) -> str:
        """Where masks are published if the config does not say; empty: nowhere here."""
        return ""

    def wait(self, timeout_ms: int) -> None:
        """Wait until something comes or `wake` is called."""
        arrived = self.poller.wait(timeout_ms)
        self._waker.drain()
        for sockets in self._node_sockets:
            sockets.note(arrived)

    def wake(self) -> None:
        """End the wait; safe in a signal handler and from any thread."""
        self._waker.wake()

    def take_requests(self, most: int) -> Iterator[Request]:
        """The requests that have come."""
        return iter(())

    def reply(self, address: tuple[bytes, ...], body: bytes) -> None:
        """Reply to a request."""

    def refused(self) -> dict[str, int]:
        """How many our sockets have not let in, by the reason; without those that nodes in this process tell."""
        self._refused += self.context.take_refused()
        return asdict(self._refused)

    def close(self, *, in_use: bool = False) -> None:
        """Leave no socket and no folder; a context that is `in_use` by a thread that did not stop ends with us."""
        for sockets in self._node_sockets:
            sockets.close()
        if not in_use:
            self.context.close()
        self.run_dir.remove()


class HostConnections(Connections):
    """Those of the host that the graph belongs to."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._run: Run | None = None  # as it was announced
        try:
            self._requests = RequestServer(self.context, config.control.endpoint or self.run_dir.endpoint("control"))
        except StreamError:
            super().close()
            raise
        self.poller.watch(self._requests)

    def open_node_sockets(self, graph: Graph, part: str = "") -> NodeSockets:
        """The sockets to the nodes of a graph, whose topics are at `base(part)`; closed with all the others."""
        self._node_sockets = [sockets for sockets in self._node_sockets if not sockets.closed]
        sockets = NodeSockets(self.context, graph, self.base(part), self.poller)
        self._node_sockets.append(sockets)
        return sockets

    def announce(self, config: Config) -> None:
        """Let tools find the run."""
        publish = config.publisher.endpoint or self.publish_endpoint
        self._run = Run(os.getpid(), config.capture.camera, self._requests.endpoint, publish)
        self.run_dir.announce(self._run)

    def announce_publisher(self, endpoint: str) -> None:
        """Let tools find the masks where the publisher has bound its socket."""
        if self._run is not None and endpoint != self._run.publish_endpoint:
            self._run = replace(self._run, publish_endpoint=endpoint)
            self.run_dir.announce(self._run)

    def announce_cameras(self, cameras: tuple[str, ...]) -> None:
        """Let tools find the run by any of its cameras."""
        if self._run is not None and cameras != self._run.cameras:
            self._run = replace(self._run, camera=cameras[0] if cameras else "", cameras=cameras)
            self.run_dir.announce(self._run)

    def keep_announced(self) -> None:
        """Announce again what a cleaner of /tmp has removed."""
        self.run_dir.keep()

    @property
    def control_endpoint(self) -> str:
        """Where requests are taken."""
        return self._requests.endpoint

    @property
    def publish_endpoint(self) -> str:
        """Where masks are published if the config does not say."""
        return self.run_dir.endpoint("publish")

    def take_requests(self, most: int) -> Iterator[Request]:
        """The requests that have come."""
        for _ in range(most):
            if (request := self._requests.take()) is None:
                return
            address, parts = request
            yield tuple(address), parts

    def reply(self, address: tuple[bytes, ...], body: bytes) -> None:
        """Reply to a request."""
        self._requests.reply(list(address), body)

    def close(self, *, in_use: bool = False) -> None:
        """As above; the last replies go out."""
        self._requests.close()
        super().close(in_use=in_use)
