"""Who waits for a node to answer: the nodes' answers, and time, in; whoever is to get a reply now, out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_S = 5.0
MAX_WAITING = 64  # for one node


@dataclass(frozen=True)
class WaitingRequest:
    """A request of a client that waits for a node."""

    address: tuple[bytes, ...]
    request_id: Any  # as the client wrote it
    node: str
    until_s: float  # no longer than that
    late_because: str  # what keeps a node from answering, for the refusal
    result: Mapping[str, Any] = field(default_factory=dict)  # what is known of it already
    within_s: float = TIMEOUT_S
    take_back: Callable[[], None] | None = None  # undoes what was done for it already


class WaitingRequests:
    """Requests that have no reply yet."""

    def __init__(self) -> None:
        self._newest = 0
        self._waiting: dict[int, WaitingRequest] = {}

    def count(self, node: str) -> int:
        """How many wait for that node."""
        return sum(request.node == node for request in self._waiting.values())

    def add(self, request: WaitingRequest) -> int:
        """The number of a new request: the node's Answer names it."""
        self._newest += 1
        self._waiting[self._newest] = request
        return self._newest

    def take(self, number: int) -> WaitingRequest | None:
        """The request of that number, once, if it still waits."""
        return self._waiting.pop(number, None)

    def take_expired(self, now_s: float) -> list[WaitingRequest]:
        """Those that have waited for too long, once."""
        numbers = [n for n, request in self._waiting.items() if now_s > request.until_s]
        return [self._waiting.pop(n) for n in numbers]

    def take_all(self) -> list[WaitingRequest]:
        """All that still wait, once."""
        requests = list(self._waiting.values())
        self._waiting.clear()
        return requests
