"""The supervisor's sockets to the nodes of one graph: reports and masks in, commands out. Nothing here waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from stream.commands import Command
from stream.errors import StreamError
from stream.messages import Masks
from stream.reports import REPORTS, Report
from stream.topology import SUPERVISOR, Graph
from stream.transport.service_sockets import Inlet
from stream.transport.sockets import Context, Poller
from stream.transport.topics import Publisher, Subscriber


class NodeSockets:
    """Those of the host that the graph belongs to."""

    def __init__(self, context: Context, graph: Graph, base: str, poller: Poller) -> None:
        self.base = base
        self.closed = False
        self.ready = True  # something has come, as of the last wait
        self.endpoints: dict[str, str] = {}  # topic -> as bound, where nodes on another host connect
        self._context = context
        self._graph = graph
        self._poller = poller
        self._open: list[Inlet | Publisher | Subscriber] = []
        self._masks: Subscriber | None = None  # common nodes have none
        try:
            self._reports: Inlet = self._keep(Inlet(context, graph.endpoint("reports", base), REPORTS))
            edges = graph.outputs(SUPERVISOR)["commands"]
            commands = Publisher(context, graph.endpoint("commands", base), "commands", edges)
            self._commands: Publisher = self._keep(commands)
            if graph.outside:
                self.endpoints = {"reports": self._reports.endpoint, "commands": self._commands.endpoint}
            else:
                self._open_masks()
        except StreamError:
            self.close()
            raise

    def _open_masks(self, endpoint: str = "") -> None:
        for edge in self._graph.inputs(SUPERVISOR):
            place = endpoint or self._graph.endpoint(edge.topic, self.base)
            self._masks = self._keep(Subscriber(self._context, place, edge))

    def take_masks_from(self, endpoint: str) -> None:
        """The decoder is on another host, and has bound its socket there: take masks from it alone."""
        if self._masks is not None:
            self._poller.watch(self._masks, False)
            self._open.remove(self._masks)
            self._masks.close()
        self._open_masks(endpoint)

    def _keep(self, socket: Any) -> Any:
        self._open.append(socket)
        self._poller.watch(socket)
        return socket

    def note(self, arrived: Sequence[Any]) -> None:
        """Learn what has input."""
        self.ready = any(socket in arrived for socket in self._open)

    def take_report(self) -> Report | None:
        """The next report that has come, if any."""
        return cast("Report | None", self._reports.take())

    def ask_for_masks(self) -> None:
        """Have the newest masks sent once."""
        if self._masks is not None:
            self._masks.ask()

    def take_masks(self) -> Masks | None:
        """The masks that have come, if any."""
        masks = self._masks.take() if self._masks is not None else None
        return masks if isinstance(masks, Masks) else None  # else it is the End of the feed

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

    @property
    def malformed(self) -> dict[str, int]:
        """Messages that could not be read, by the socket that they came to."""
        return {"reports": self._reports.malformed, "commands": self._commands.malformed}

    def close(self) -> None:
        """Close the sockets, once."""
        self.closed = True
        for socket in self._open:
            self._poller.watch(socket, False)
            socket.close()
        self._open = []


class LentNodeSockets(NodeSockets):
    """Those of a host that lends its nodes to another: they hear from there, and report there."""

    def __init__(self, context: Context, graph: Graph, base: str, poller: Poller) -> None:
        self.base = base
        self.closed = False
        self.ready = True
        self.endpoints = {}

    def note(self, arrived: Sequence[Any]) -> None:
        """Nothing comes here."""

    def take_report(self) -> Report | None:
        """None comes here."""
        return None

    def ask_for_masks(self) -> None:
        """Nobody is asked."""

    def take_masks(self) -> Masks | None:
        """None come here."""
        return None

    def send(self, node: str, command: Command) -> None:
        """Commands come from the other host."""

    def waiting(self, node: str) -> int:
        """None wait here."""
        return 0

    def send_commands(self) -> None:
        """None are sent from here."""

    def expect(self, node: str, incarnation: bytes) -> None:
        """Nothing waits for it."""

    @property
    def malformed(self) -> dict[str, int]:
        """None."""
        return {"reports": 0, "commands": 0}

    def close(self) -> None:
        """Nothing is open."""
        self.closed = True
