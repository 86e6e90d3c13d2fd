"""Who waits for a snapshot: the renderer's answers, and time, in; whoever is to get a reply now, out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 5.0


@dataclass(frozen=True)
class SnapshotRequest:
    """A request of a client that waits for the renderer."""

    address: tuple[bytes, ...]
    request_id: Any  # as the client wrote it
    until_s: float  # no longer than that


class Snapshots:
    """Requests for a snapshot that have no reply yet."""

    def __init__(self) -> None:
        self._newest = 0
        self._waiting: dict[int, SnapshotRequest] = {}

    @property
    def waiting(self) -> int:
        """How many have no reply yet."""
        return len(self._waiting)

    def add(self, address: tuple[bytes, ...], request_id: Any, now_s: float) -> int:
        """The number of a new request."""
        self._newest += 1
        self._waiting[self._newest] = SnapshotRequest(address, request_id, now_s + TIMEOUT_S)
        return self._newest

    def take(self, number: int) -> SnapshotRequest | None:
        """The request of that number, once, if it still waits."""
        return self._waiting.pop(number, None)

    def take_expired(self, now_s: float) -> list[SnapshotRequest]:
        """Those that have waited for too long, once."""
        numbers = [n for n, request in self._waiting.items() if now_s > request.until_s]
        return [self._waiting.pop(n) for n in numbers]

    def take_all(self) -> list[SnapshotRequest]:
        """All that still wait, once."""
        requests = list(self._waiting.values())
        self._waiting.clear()
        return requests
