"""A ZeroMQ client made of a plain TCP connection, which may do what libzmq's never do: break off, be mute, flood."""

from __future__ import annotations

import socket
import struct
import time

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
COMMAND, LONG, MORE = 4, 2, 1


def frame(body: bytes, flags: int = 0) -> bytes:
    """A frame of ZMTP 3."""
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body


def announced(length: int) -> bytes:
    """The beginning of a frame of that many bytes."""
    return bytes([LONG]) + struct.pack(">Q", length)


def ping() -> bytes:
    """A heartbeat."""
    return frame(b"\4PING" + bytes(2), COMMAND)


def ready(kind: str, identity: bytes = b"") -> bytes:
    """The end of the handshake."""
    properties = [(b"Socket-Type", kind.encode()), (b"Identity", identity)]
    body = b"".join(bytes([len(name)]) + name + struct.pack(">I", len(value)) + value for name, value in properties)
    return frame(b"\5READY" + body, COMMAND)


class RawClient:
    """Connects and shakes hands; `reset` breaks off as a machine that is switched off does."""

    def __init__(self, endpoint: str, kind: str = "DEALER", *, mute: bool = False) -> None:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), 10)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST on close
        if not mute:
            self.socket.sendall(GREETING + ready(kind))
            came = 0
            while came < len(GREETING) + 2:
                came += len(data := self.socket.recv(4096))
                if not data:
                    raise ConnectionError("the connection was closed")

    def flood(self, data: bytes, wait_s: float = 0.2, most_s: float = 2.0) -> int:
        """Send whole frames again and again, until nobody has taken any for `wait_s`; the bytes that were taken."""
        self.socket.settimeout(wait_s)
        block, rest, sent = data * (1 + (1 << 16) // len(data)), b"", 0
        end_s = time.monotonic() + most_s
        try:
            while time.monotonic() < end_s:
                rest = rest or block
                taken = self.socket.send(rest)
                rest, sent = rest[taken:], sent + taken
        except OSError:
            pass
        return sent

    def reset(self) -> None:
        self.socket.close()
