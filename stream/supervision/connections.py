"""The supervisor's sockets and the run's folder: reports, masks and requests in; commands and replies out.

Nothing here decides anything, and nothing waits but `wait`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import cast

from msgspec import structs

from stream.commands import Command
from stream.errors import StreamError
from stream.messages import Masks
from stream.reports import REPORTS, Report
from stream.run_directory import Run, RunDir
from stream.settings.config import Config
from stream.topology import SUPERVISOR, Graph
from stream.transport.service_sockets import Inlet, RequestServer
from stream.transport.sockets import Context, Poller, Refused, Waker
from stream.transport.topics import Publisher, Subscriber

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
        threads = config.supervisor.threads
        self.base = f"inproc://{self.run_dir.path.name}/" if threads else f"ipc://{self.run_dir.path}/"
        self.poller = Poller()
        self._waker = Waker()
        self._refused = Refused()
        self.poller.watch(self._waker.fd)

    def announce(self, config: Config) -> None:
        """Let tools find the run."""

    def announce_publisher(self, endpoint: str) -> None:
        """Let tools find the masks where the publisher has bound its socket."""

    def keep_announced(self) -> None:
        """Announce again what a cleaner of /tmp has removed."""

    def with_bound_endpoints(self, config: Config) -> Config:
        """The config for our nodes: where the sockets to the outside are."""
        return config

    def wait(self, timeout_ms: int) -> None:
        """Wait until something comes or `wake` is called."""
        self.poller.wait(timeout_ms)
        self._waker.drain()

    def wake(self) -> None:
        """End the wait; safe in a signal handler and from any thread."""
        self._waker.wake()

    def take_report(self) -> Report | None:
        """The next report that has come, if any."""
        return None

    def ask_for_masks(self) -> None:
        """Have the newest masks sent once."""

    def take_masks(self) -> Masks | None:
        """The masks that have come, if any."""
        return None

    def take_requests(self, most: int) -> Iterator[Request]:
        """The requests that have come."""
        return iter(())

    def send(self, node: str, command: Command) -> None:
        """Let a command wait for a node; it goes when the node asks for it."""

    def waiting(self, node: str) -> int:
        """How many commands the node has not asked for yet."""
        return 0

    def send_commands(self) -> None:
        """Send the commands that a node has asked for."""

    def expect(self, node: str, incarnation: bytes) -> None:
        """A node has been restarted: what waits for it is dropped, and only this incarnation of it gets commands."""

    def reply(self, address: tuple[bytes, ...], body: bytes) -> None:
        """Reply to a request."""

    @property
    def malformed(self) -> dict[str, int]:
        """Messages that could not be read, by the socket that they came to."""
        return {"reports": 0, "commands": 0}

    def refused(self) -> dict[str, int]:
        """How many our sockets have not let in, by the reason; without those that nodes in this process tell."""
        self._refused += self.context.take_refused()
        return asdict(self._refused)

    def close(self, *, in_use: bool = False) -> None:
        """Leave no socket and no folder; a context that is `in_use` by a thread that did not stop ends with us."""
        if not in_use:
            self.context.close()
        self.run_dir.remove()


class HostConnections(Connections):
    """Those of the host that the graph belongs to."""

    def __init__(self, config: Config, graph: Graph) -> None:
        super().__init__(config)
        self._run: Run | None = None  # as it was announced
        try:
            self._reports = Inlet(self.context, graph.endpoint("reports", self.base), REPORTS)
            self._commands = Publisher(
                self.context, graph.endpoint("commands", self.base), "commands", graph.outputs(SUPERVISOR)["commands"]
            )
            (edge,) = graph.inputs(SUPERVISOR)
            self._masks = Subscriber(self.context, graph.endpoint(edge.topic, self.base), edge)
            self._requests = RequestServer(self.context, config.control.endpoint or self.run_dir.endpoint("control"))
        except StreamError:
            super().close()
            raise
        for socket in (self._reports, self._commands, self._masks, self._requests):
            self.poller.watch(socket)

    def announce(self, config: Config) -> None:
        """Let tools find the run."""
        publish = config.publisher.endpoint or self.run_dir.endpoint("publish")
        self._run = Run(os.getpid(), config.capture.camera, self._requests.endpoint, publish)
        self.run_dir.announce(self._run)

    def announce_publisher(self, endpoint: str) -> None:
        """Let tools find the masks where the publisher has bound its socket."""
        if self._run is not None and endpoint != self._run.publish_endpoint:
            self._run = replace(self._run, publish_endpoint=endpoint)
            self.run_dir.announce(self._run)

    def keep_announced(self) -> None:
        """Announce again what a cleaner of /tmp has removed."""
        self.run_dir.keep()

    def with_bound_endpoints(self, config: Config) -> Config:
        """The config for our nodes: where the sockets to the outside are."""
        publish = config.publisher.endpoint or self.run_dir.endpoint("publish")
        return structs.replace(
            config,
            publisher=structs.replace(config.publisher, endpoint=publish),
            control=structs.replace(config.control, endpoint=self._requests.endpoint),
        )

    def take_report(self) -> Report | None:
        """The next report that has come, if any."""
        return cast("Report | None", self._reports.take())

    def ask_for_masks(self) -> None:
        """Have the newest masks sent once."""
        self._masks.ask()

    def take_masks(self) -> Masks | None:
        """The masks that have come, if any."""
        masks = self._masks.take()
        return masks if isinstance(masks, Masks) else None  # else it is the End of the feed

    def take_requests(self, most: int) -> Iterator[Request]:
        """The requests that have come."""
        for _ in range(most):
            if (request := self._requests.take()) is None:
                return
            address, parts = request
            yield tuple(address), parts

    def send(self, node: str, command: Command) -> None:
        """Let a command wait for a node; it goes when the node asks for it."""
        self._commands.send(command, to=node)

    def waiting(self, node: str) -> int:
        """How many commands the node has not asked for yet."""
        return self._commands.waiting(node)

    def send_commands(self) -> None:
        """Send the commands that a node has asked for."""
        self._commands.pump()

    def expect(self, node: str, incarnation: bytes) -> None:
        """A node has been restarted: what waits for it is dropped, and only this incarnation of it gets commands."""
        self._commands.expect(node, incarnation)

    def reply(self, address: tuple[bytes, ...], body: bytes) -> None:
        """Reply to a request."""
        self._requests.reply(list(address), body)

    @property
    def malformed(self) -> dict[str, int]:
        """Messages that could not be read, by the socket that they came to."""
        return {"reports": self._reports.malformed, "commands": self._commands.malformed}

    def close(self, *, in_use: bool = False) -> None:
        """As above; the last replies go out."""
        for socket in (self._reports, self._commands, self._masks, self._requests):
            socket.close()
        super().close(in_use=in_use)
