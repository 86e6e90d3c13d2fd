"""What is done in the window, sent through the control socket like everybody else's requests."""

from __future__ import annotations

from typing import Any

from stream.runtime import Runtime
from stream.service_sockets import RequestClient
from stream.wire import from_json, to_json

Request = dict[str, Any]


class Steering:
    """A control client that never waits."""

    def __init__(self, node: Runtime) -> None:
        endpoint = node.config.control.endpoint or node.endpoints.endpoint("control")
        self.client = RequestClient(endpoint, node.config.graph.keys, node.context)
        self.asked: dict[int, Request] = {}  # requests without a reply yet
        self.count = 0

    def send(self, request: Request) -> None:
        """Send a request; its reply comes out of `replies` later."""
        self.count += 1
        self.asked[self.count] = request
        self.client.send(to_json({"id": self.count, **request}))

    def replies(self) -> list[tuple[Request, dict[str, Any]]]:
        """Each request that was answered, with its reply."""
        answered = []
        while (body := self.client.recv(0)) is not None:
            reply = from_json(body)
            request = self.asked.pop(reply.get("id"), None)
            if request is not None:
                answered.append((request, reply))
        return answered

    def close(self) -> None:
        """Close the socket."""
        self.client.close()
