"""Who sends requests to the run, as a camera sees them: where replies go, and what is counted."""

from __future__ import annotations

from stream.supervision.connections import Connections
from stream.supervision.control import RequestHandler


class RunClients:
    """Those of the run's control socket."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._requests: RequestHandler | None = None

    def serve_with(self, requests: RequestHandler) -> None:
        """Count what this handler refuses."""
        self._requests = requests

    def reply(self, address: tuple[bytes, ...], body: bytes) -> None:
        """Reply to a request."""
        self._connections.reply(address, body)

    def malformed(self) -> dict[str, int]:
        """Requests that were none."""
        return {"control": self._requests.malformed if self._requests else 0}

    def refused(self) -> dict[str, int]:
        """Connections and requests that were not let in, by the reason."""
        return {**self._connections.refused(), "requests": self._requests.refused if self._requests else 0}


class ClientsOfSeveral:
    """As one camera of several sees them: replies go out, and the run counts."""

    def __init__(self, clients: RunClients) -> None:
        self.reply = clients.reply

    def malformed(self) -> dict[str, int]:
        """None of the camera's own."""
        return {}

    def refused(self) -> dict[str, int]:
        """None of the camera's own."""
        return {}
