"""Plain WebSocket viewers of a run's page, without a browser: they take pictures, acknowledge and count them."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import struct
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from stream.errors import StreamError

OPEN_S = 10.0
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONNECTION_LOST = 1006


@dataclass(frozen=True)
class Entrance:
    """A page's address and the cookie that opens it."""

    host: str
    port: int
    cookie: str  # NAME=VALUE

    @property
    def url(self) -> str:
        """The page itself, without a token."""
        return f"http://{self.host}:{self.port}/"


def enter(url: str) -> Entrance:
    """Exchange the token of a printed URL for a cookie, as a browser does."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=OPEN_S)
    try:
        connection.request("GET", f"{parts.path or '/'}?{parts.query}")
        answer = connection.getresponse()
        cookies = [value.partition(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    finally:
        connection.close()
    if not cookies:
        raise StreamError(f"the page gave no cookie for its own address (status {answer.status})")
    return Entrance(parts.hostname, parts.port, cookies[0])


class Viewer:
    """One WebSocket on /ws. `pictures` counts what came since `look`."""

    def __init__(self, entrance: Entrance) -> None:
        self.pictures = 0
        self.bytes = 0
        self.closed = 0  # the code that the server closed with; 1006: it just went away
        self._socket = socket.create_connection((entrance.host, entrance.port), OPEN_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sending = threading.Lock()
        self._buffer = b""
        self._thread: threading.Thread | None = None
        place = f"{entrance.host}:{entrance.port}"
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {place}\r\nOrigin: http://{place}\r\nCookie: {entrance.cookie}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status = head.partition(b"\r\n")[0].decode(errors="replace")
        if " 101 " not in status:
            raise StreamError(f"the page refused a WebSocket: {status}")
        self._socket.settimeout(None)

    def look(self, camera: str, max_width: int | None = None) -> None:
        """Ask for pictures of a camera."""
        self.say({"type": "look", "camera": camera, "max_width": max_width})

    def start(self) -> None:
        """Take what comes, in a thread, until `close`."""
        self._thread = threading.Thread(target=self._run, name="viewer", daemon=True)
        self._thread.start()

    def say(self, message: dict[str, object]) -> None:
        """Send a text message."""
        self._send(TEXT, json.dumps(message).encode())

    def close(self) -> None:
        """Leave."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is gone already
        if self._thread is not None:
            self._thread.join(OPEN_S)
        self._socket.close()

    def receive(self) -> tuple[int, bytes]:
        """(kind, payload) of the next whole message; ConnectionError when there is none any more."""
        payload, kind = b"", 0
        while True:
            first, second = self._take(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self._take(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._take(8))
            part = self._take(length)
            if first & 0x0F == PING:
                self._send(PONG, part)
                continue
            kind, payload = (first & 0x0F) or kind, payload + part
            if first & 0x80:
                return kind, payload

    def _run(self) -> None:
        try:
            while True:
                kind, payload = self.receive()
                if kind == BINARY:
                    self.pictures += 1
                    self.bytes += len(payload)
                    self.say({"type": "ack"})
                elif kind == CLOSE:
                    self.closed = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else CONNECTION_LOST
                    return
        except OSError:
            self.closed = self.closed or CONNECTION_LOST

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _receive(self) -> None:
        part = self._socket.recv(1 << 18)
        if not part:
            raise ConnectionError("the server has closed the connection")
        self._buffer += part

    def _send(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4)
        head = bytes([0x80 | kind])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        else:
            head += bytes([0x80 | 126]) + struct.pack(">H", len(payload))
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        with self._sending:
            self._socket.sendall(head + mask + masked)


@dataclass
class Crowd:
    """Several viewers at once."""

    viewers: list[Viewer] = field(default_factory=list)

    def join(self, entrance: Entrance, camera: str, count: int) -> None:
        """Let further viewers in until there are `count`."""
        while len(self.viewers) < count:
            viewer = Viewer(entrance)
            viewer.look(camera)
            viewer.start()
            self.viewers.append(viewer)

    def pictures(self) -> list[int]:
        """How many each has got."""
        return [viewer.pictures for viewer in self.viewers]

    def leave(self) -> None:
        """All go."""
        for viewer in self.viewers:
            viewer.close()
        self.viewers.clear()
