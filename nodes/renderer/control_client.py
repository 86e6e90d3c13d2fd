"""What is done in the window, sent through the control socket like everybody else's requests."""

from __future__ import annotations

from typing import Any

from stream.node import ControlClient
from stream.transport.wire import from_json, to_json

Request = dict[str, Any]


class ControlRequests:
    """Requests that were sent, and their replies as they come; nothing here waits."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._pending: dict[int, Request] = {}  # by id: requests without a reply yet
        self._count = 0

    def send(self, request: Request) -> None:
        """Send a request; its reply comes out of `replies` later."""
        self._count += 1
        self._pending[self._count] = request
        self._client.send(to_json({"id": self._count, **request}))

    def replies(self) -> list[tuple[Request, dict[str, Any]]]:
        """Each request that a reply has come for since the last call, with that reply."""
        pairs = []
        while (body := self._client.recv(0)) is not None:
            reply = from_json(body)
            request = self._pending.pop(reply.get("id"), None)
            if request is not None:
                pairs.append((request, reply))
        return pairs

    def close(self) -> None:
        """Close the socket."""
        self._client.close()
