"""A web server without a run: what is published and replied is written by the test."""

from __future__ import annotations

import asyncio
import json
import struct
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
from msgspec.structs import replace

from nodes.web.hub import ALWAYS
from nodes.web.relay import Listening, Requests
from nodes.web.server import WebServer
from stream.in_memory import InMemoryListener
from stream.recordings.index_file import IndexedFolder
from stream.settings.config import Web

CAMERA = "door"
CHANGE = {"X-SAM-PT": "1"}


class RepliesItself:
    """A control client whose replies a function makes."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.reply: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda request: {"result": {}}
        self._bodies: list[bytes] = []

    def send(self, body: bytes) -> None:
        """Take a request."""
        request = json.loads(body)
        self.requests.append(request)
        if (reply := self.reply(request)) is not None:
            self._bodies.append(json.dumps({"id": request["id"], **reply}).encode())

    def recv(self, timeout_ms: int) -> bytes | None:
        """The next reply."""
        return self._bodies.pop(0) if self._bodies else None

    def close(self) -> None:
        """Nothing is open."""


class Served:
    """A server that runs, and both ends of what it talks to."""

    def __init__(self, web: Web, folder: Path, cameras: Sequence[str] = (CAMERA,)) -> None:
        self.listener = InMemoryListener([f"{topic}{camera}" for topic in ALWAYS for camera in cameras])
        self.control = RepliesItself()
        self.recordings = folder / "recordings"  # of CAMERA; a test writes them
        recordings = {CAMERA: IndexedFolder(self.recordings, self.recordings / "index.json")}
        ends = Listening(self.listener), Requests(self.control)
        self.server = WebServer(web, *ends, cameras, folder, recordings=recordings)
        self.link = self.server.start()
        self.url = self.server.door.url

    def publish_scene(self, frame_id: int, *, size: tuple[int, int] = (60, 80), camera: str = CAMERA) -> list[bytes]:
        """Publish a scene of one gray; its parts."""
        parts = scene_parts(frame_id, size=size, camera=camera)
        self.listener.publish(parts)
        return parts

    def publish_status(self, *, camera: str = CAMERA, **status: Any) -> None:
        """Publish a status."""
        header = {"schema": "sam-pt-live/status", "version": 1, "camera": camera, "status": status}
        self.listener.publish([f"status/{camera}".encode(), json.dumps(header).encode()])

    @property
    def looked_at(self) -> bool:
        """Whether the server asks for scenes."""
        return f"scenes/{CAMERA}" in self.listener.topics


def scene_parts(
    frame_id: int = 0, *, size: tuple[int, int] = (60, 80), camera: str = CAMERA, masks: tuple[bytes, ...] = (b"\xf0",)
) -> list[bytes]:
    """A scenes message of one object for each of `masks`, and a picture of one gray."""
    height, width = size
    jpeg = bytes(cv2.imencode(".jpg", np.full((height, width, 3), frame_id % 256, np.uint8))[1])
    objects = [
        {
            "id": i + 1,
            "state": "tracked",
            "origin": "decoded",
            "score": 0.9,
            "bbox": [2, 3, 2, 2],
            "area": 4,
            "points": [[3.0, 3.5, 1, 1.0]],
            "codec": "packbits",
            "payload": i,
            "shape": [2, 2],
            "label": "",
            "reason": "",
        }
        for i in range(len(masks))
    ]
    header = {
        "schema": "sam-pt-live/scenes",
        "version": 1,
        "camera": camera,
        "session": 0,
        "frame_id": frame_id,
        "captured_ns": frame_id,
        "captured_unix_ns": frame_id,
        "pts": None,
        "epoch": 0,
        "width": width,
        "height": height,
        "published_ns": frame_id,
        "publisher": "9f86d081",
        "sequence": frame_id,
        "passed_over": 0,
        "objects": objects,
        "picture": {"payload": len(masks), "codec": "jpeg", "width": width, "height": height},
    }
    return [f"scenes/{camera}".encode(), json.dumps(header).encode(), *masks, jpeg]


@contextmanager
def served(folder: Path | None = None, cameras: Sequence[str] = (CAMERA,), **web: Any) -> Iterator[Served]:
    """A server at a port of its own; `folder` is the run's, where one of a test is to outlive the server."""
    with tempfile.TemporaryDirectory() as own:
        it = Served(replace(Web(endpoint="127.0.0.1:0"), **web), folder or Path(own), cameras)
        try:
            yield it
        finally:
            it.server.stop("the test is over")


def unpacked(message: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The header and the payloads of a binary message to a page."""
    (size,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + size])
    payloads, at = [], 4 + size
    for length in header["payload_bytes"]:
        payloads.append(message[at : at + length])
        at += length
    assert at == len(message)
    return header, payloads


class Page:
    """A page as a program: its WebSocket, and what came over it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, kind: str, **fields: Any) -> None:
        """Send a message."""
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    async def hears(self, kind: str) -> dict[str, Any]:
        """The next text message of a kind; others are passed over."""
        while True:
            message = await self._next()
            if message.type is aiohttp.WSMsgType.TEXT and (found := json.loads(message.data))["type"] == kind:
                return dict(found)

    async def sees(self) -> tuple[dict[str, Any], list[bytes]]:
        """The next scene."""
        while True:
            message = await self._next()
            if message.type is aiohttp.WSMsgType.BINARY:
                return unpacked(message.data)

    async def is_closed(self) -> int:
        """The code that it is closed with."""
        while True:
            message = await asyncio.wait_for(self.socket.receive(), 30)
            if message.type is aiohttp.WSMsgType.CLOSE:
                return int(message.data)
            assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message

    async def _next(self) -> aiohttp.WSMessage:
        message = await asyncio.wait_for(self.socket.receive(), 30)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        return message


def browse(work: Callable[[aiohttp.ClientSession], Coroutine[Any, Any, None]], link: str = "") -> None:
    """Do something as a browser that keeps cookies; with a link, it is opened first."""

    async def run() -> None:
        jar = aiohttp.CookieJar(unsafe=True)  # of addresses in numbers, too
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(30)) as session:
            if link:
                async with session.get(link, allow_redirects=False) as response:
                    assert response.status == 303, await response.text()
            await work(session)

    asyncio.run(run())


async def seen(condition: Callable[[], Any]) -> None:
    """Wait until the condition holds."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited 30 s in vain")


def threads_named(prefix: str) -> list[str]:
    """The threads that live, by name."""
    return [t.name for t in threading.enumerate() if t.name.startswith(prefix)]
