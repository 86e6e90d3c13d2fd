"""As much of an RTMP server as a player needs: it answers its three commands, and sends the tags of FLV."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import av

CHUNK = 128  # bytes, until a side says otherwise
SENT_CHUNK = 4096
HANDSHAKE = 1536


def amf(value: object) -> bytes:
    """A value as AMF0 writes it."""
    if value is None:
        return b"\x05"
    if isinstance(value, int | float):
        return b"\x00" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\x02" + struct.pack(">H", len(value)) + value.encode()
    assert isinstance(value, dict)
    inside = b"".join(struct.pack(">H", len(k)) + k.encode() + amf(v) for k, v in value.items())
    return b"\x03" + inside + b"\x00\x00\x09"


class Tags:
    """A file that FFmpeg writes FLV into: its tags as (kind, time in ms, data)."""

    def __init__(self) -> None:
        self._bytes = b""
        self._header = True

    def write(self, data: bytes) -> int:
        self._bytes += bytes(data)
        return len(data)

    def take(self) -> Iterator[tuple[int, int, bytes]]:
        if self._header and len(self._bytes) >= 13:
            self._bytes, self._header = self._bytes[13:], False
        while not self._header and len(self._bytes) >= 15:
            size = int.from_bytes(self._bytes[1:4], "big")
            if len(self._bytes) < 15 + size:
                return
            time_ms = int.from_bytes(self._bytes[7:8] + self._bytes[4:7], "big")
            yield self._bytes[0], time_ms, self._bytes[11 : 11 + size]
            self._bytes = self._bytes[15 + size :]


class Player:
    """The connection of one player."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._chunk = CHUNK  # of what comes
        self._sent_chunk = CHUNK
        self._heads: dict[int, tuple[int, int]] = {}  # length and kind of the newest message of a chunk stream

    def shake_hands(self) -> None:
        first = self._read(1 + HANDSHAKE)
        self._connection.sendall(b"\x03" + bytes(HANDSHAKE) + first[1:])
        self._read(HANDSHAKE)

    def commands(self) -> Iterator[tuple[str, float]]:
        """The name and number of each command that comes."""
        while True:
            kind, body = self._message()
            if kind == 1:
                self._chunk = int.from_bytes(body[:4], "big")
            elif kind == 20:
                length = int.from_bytes(body[1:3], "big")
                number = struct.unpack(">d", body[3 + length + 1 : 3 + length + 9])[0]
                yield body[3 : 3 + length].decode(), number

    def send(self, kind: int, body: bytes, stream: int = 0, time_ms: int = 0) -> None:
        head = bytes([3 if kind == 20 else 6 if stream else 2])
        head += time_ms.to_bytes(3, "big") + len(body).to_bytes(3, "big") + bytes([kind]) + struct.pack("<I", stream)
        parts = [body[i : i + self._sent_chunk] for i in range(0, len(body), self._sent_chunk)]
        self._connection.sendall(head + bytes([0xC0 | head[0]]).join(parts))
        if kind == 1:
            self._sent_chunk = int.from_bytes(body, "big")

    def reply(self, *values: object, stream: int = 0) -> None:
        self.send(20, b"".join(map(amf, values)), stream)

    def _message(self) -> tuple[int, bytes]:
        body, length = b"", -1
        while len(body) != length:
            first = self._read(1)[0]
            form, channel = first >> 6, first & 63
            head = self._read((11, 7, 3, 0)[form])
            if form < 2:
                self._heads[channel] = int.from_bytes(head[3:6], "big"), head[6]
            length, kind = self._heads[channel]
            body += self._read(min(self._chunk, length - len(body)))
        return kind, body

    def _read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            if not (more := self._connection.recv(count - len(found))):
                raise ConnectionError("the player has gone")
            found += more
        return found


class RtmpServer:
    """Sends pictures to whoever plays, until it is closed. `refuses`: there is no such stream."""

    def __init__(self, port: int, pictures: Iterator[av.VideoFrame], fps: int, *, refuses: bool = False) -> None:
        self._pictures, self._fps, self._refuses = pictures, fps, refuses
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port))
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        for end in (self._listener, self._connection):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._thread.join(20)

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError):
                self._connection = self._listener.accept()[0]
                self._serve(Player(self._connection))

    def _serve(self, player: Player) -> None:
        player.shake_hands()
        for name, number in player.commands():
            if name == "connect":
                player.send(5, (2500000).to_bytes(4, "big"))
                player.send(1, SENT_CHUNK.to_bytes(4, "big"))
                status = {"level": "status", "code": "NetConnection.Connect.Success", "description": ""}
                player.reply("_result", number, {"fmsVer": "FMS/3,0,1,123"}, status)
            elif name == "createStream":
                player.reply("_result", number, None, 1)
            elif name == "play":
                code = "NetStream.Play.StreamNotFound" if self._refuses else "NetStream.Play.Start"
                status = {"level": "error" if self._refuses else "status", "code": code, "description": code}
                player.reply("onStatus", 0, None, status, stream=1)
                if not self._refuses:
                    self._stream(player)
                return

    def _stream(self, player: Player) -> None:
        tags = Tags()
        with av.open(tags, "w", format="flv", options={"flvflags": "no_duration_filesize"}) as container:
            stream = container.add_stream("libx264", rate=self._fps)
            began_s = time.monotonic()
            for count, frame in enumerate(self._pictures, 1):
                if count == 1:
                    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                    stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "12"}
                container.mux(stream.encode(frame))
                for kind, time_ms, data in tags.take():
                    player.send(kind, data, stream=1, time_ms=time_ms)
                if self._stopping.wait(max(0.0, began_s + count / self._fps - time.monotonic())):
                    return
