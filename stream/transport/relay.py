"""One client of a gate: bytes from its connection to a ZeroMQ socket of ours and back, neither read nor waited for."""

from __future__ import annotations

import contextlib
import selectors
import socket as socketlib
from collections.abc import Callable
from dataclasses import dataclass

from stream.bucket import Bucket

CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Allowance:
    """How many clients there may be, and what each may send: so many bytes at once, and so many a second.

    As many as there may be are let in at once, and `joins_per_s` afterwards.
    """

    clients: int
    burst_bytes: float
    bytes_per_s: float
    joins_per_s: float = float("inf")


@dataclass(frozen=True)
class Inside:
    """A connection to a ZeroMQ socket of ours, and what is to be done once it is closed."""

    socket: socketlib.socket
    leave: Callable[[], None] = lambda: None


class Relay:
    """A client and its connection to our ZeroMQ socket."""

    def __init__(
        self, outside: socketlib.socket, inside: Inside, allowance: Allowance, now_s: float, peer: str = ""
    ) -> None:
        self.outside = outside
        self.peer = peer  # who the client is
        self.inside = inside.socket
        self.inbound = b""  # read from the client, not yet written to our socket
        self.outbound = b""  # the other way
        self.received = 0
        self.ended = False  # the client sends nothing any more
        self.gone = False  # nor does it read
        self._leave = inside.leave
        self._bytes = Bucket(allowance.burst_bytes, allowance.bytes_per_s, now_s)

    def budget(self, now_s: float) -> int:
        """How many bytes may be read from the client now."""
        return int(self._bytes.left(now_s))

    def read_client(self, now_s: float) -> None:
        """Take what the client has sent, as much as it may send now."""
        budget = min(CHUNK_BYTES, self.budget(now_s))
        if budget < 1 or self.ended:
            return
        try:
            data = self.outside.recv(budget)
        except BlockingIOError:
            return
        except OSError:  # it has broken off
            self.abandon()
            return
        self._bytes.take(len(data))
        self.received += len(data)
        self.inbound = data
        self.ended = not data
        self.write_inside()

    def write_inside(self) -> None:
        """Pass on what the client has sent; after its last byte our half is shut."""
        try:
            while self.inbound:
                self.inbound = self.inbound[self.inside.send(self.inbound) :]
        except BlockingIOError:
            return
        except OSError:  # our socket has closed the connection; what it wrote before is still read
            self.inbound = b""
        if self.ended:
            with contextlib.suppress(OSError):
                self.inside.shutdown(socketlib.SHUT_WR)

    def read_inside(self) -> bool:
        """Take what our socket has written; False when it has closed the connection."""
        try:
            data = self.inside.recv(CHUNK_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not self.gone:
            self.outbound = data
            self.write_client()
        return bool(data)

    def write_client(self) -> None:
        """Pass on what our socket has written."""
        try:
            while self.outbound:
                self.outbound = self.outbound[self.outside.send(self.outbound) :]
        except BlockingIOError:
            return
        except OSError:
            self.abandon()

    def abandon(self) -> None:
        """The client is gone: our socket reads to the end of what is there, and its answers are dropped."""
        self.inbound = self.outbound = b""
        self.ended = self.gone = True
        self.write_inside()

    def interests(self, now_s: float) -> tuple[int, int]:
        """What to wait for, outside and inside."""
        outside = selectors.EVENT_WRITE if self.outbound else 0
        if not self.ended and not self.inbound and self.budget(now_s) >= 1:
            outside |= selectors.EVENT_READ
        inside = selectors.EVENT_WRITE if self.inbound else 0
        return outside, inside if self.outbound else inside | selectors.EVENT_READ

    def close(self) -> None:
        """Close both ends."""
        self.outside.close()
        self.inside.close()
        self._leave()
