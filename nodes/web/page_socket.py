"""One page's WebSocket: its messages in, scenes and texts out (docs/web.md has the protocol)."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
import time
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from msgspec import Meta

from nodes.web.access.passwords import Role
from nodes.web.allowances import Allowances
from nodes.web.camera_feed import CameraFeed, CameraFrame
from nodes.web.counts import Counts
from nodes.web.hub import Hub
from nodes.web.relay import refusal
from nodes.web.viewers import Viewer
from stream.errors import MessageError

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 1 << 20
MAX_PING_BYTES = 512
PING_S = 20.0  # a page that does not answer a ping within half of it is gone
CLOSE_S = 2.0  # for the page's own close frame
SEND_S = 15.0  # one that takes nothing for so long, too
MALFORMED = 5  # messages that are none, after which a page is closed
MESSAGES_PER_S, MESSAGE_BURST = 200.0, 400.0
MAX_REQUESTS = 16  # of one page, without a reply
VIEWER_METHODS = ("list_objects", "stats", "list_cameras", "list_zones")
LOGGED_OUT = 4401  # close code


class Look(msgspec.Struct, tag_field="type", tag="look"):
    camera: Annotated[str, Meta(max_length=64)] | None = None
    max_width: Annotated[int, Meta(ge=16, le=65535)] | None = None
    grid: bool = False


class Ack(msgspec.Struct, tag_field="type", tag="ack"):
    pass


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    t: msgspec.Raw = msgspec.Raw(b"null")


class Request(msgspec.Struct, tag_field="type", tag="request"):
    id: Annotated[str, Meta(max_length=128)] | float
    method: Annotated[str, Meta(max_length=64)]
    params: dict[str, Any] = {}


class CameraState(msgspec.Struct, tag_field="type", tag="camera"):
    state: Literal["on", "denied", "ended"]
    message: Annotated[str, Meta(max_length=500)] = ""


_decoder = msgspec.json.Decoder(Look | Ack | Ping | Request | CameraState)
_frame_decoder = msgspec.json.Decoder(CameraFrame)


class PageSocket:
    """A page that is connected."""

    def __init__(self, hub: Hub, camera_feed: CameraFeed, role: Role, counts: Counts, session: str) -> None:
        """`session`: whose page it is."""
        self.viewer = Viewer(role, takes_events=True)
        self.close_code = 0  # set: the writer closes the socket with it
        self._hub = hub
        self._camera_feed = camera_feed
        self._counts = counts
        self._session = session
        self._ws = web.WebSocketResponse(
            heartbeat=PING_S, timeout=CLOSE_S, max_msg_size=MAX_MESSAGE_BYTES, compress=False
        )
        self._transport: asyncio.Transport | None = None  # once connected
        self._woken = asyncio.Event()
        self._malformed = 0
        self._closing = False  # the writer closes the socket
        self._messages = Allowances(MESSAGE_BURST, MESSAGES_PER_S, time.monotonic)
        self._tasks: set[asyncio.Task[None]] = set()
        self.viewer.wake = self._woken.set

    async def serve(self, request: web.BaseRequest, welcome: dict[str, Any]) -> web.WebSocketResponse:
        """Stay with the page until one of us leaves."""
        await self._ws.prepare(request)
        self._transport = request.transport
        self._say(welcome)
        if text := self._hub.status_text(self.viewer):
            self.viewer.say(text)
        writer = asyncio.create_task(self._write())
        try:
            async for message in self._ws:
                if fault := self._take(message.type, message.data):
                    self._counts.closed_pages += 1
                    await self._ws.close(code=WSCloseCode.POLICY_VIOLATION, message=fault.encode())
                    break
        finally:
            self._camera_feed.left(self)
            if self._closing:
                await asyncio.wait([writer], timeout=CLOSE_S)  # it is about to send the close frame
            for task in (writer, *self._tasks):
                task.cancel()
            await asyncio.gather(writer, *self._tasks, return_exceptions=True)
            if not self._ws.closed:
                await self._ws.close()
        return self._ws

    def close(self, code: int) -> None:
        """Close the page once what waits for it is out."""
        self.close_code = code
        self._woken.set()

    def log_out(self) -> None:
        """The page's session is over."""
        self._say({"type": "logged_out"})
        self.close(LOGGED_OUT)

    def say(self, message: dict[str, Any]) -> None:
        """Send a message beside the scenes; for the camera feed."""
        self._say(message)

    # --- in ---

    def _take(self, kind: WSMsgType, data: Any) -> str:
        """Take one message; the answer is empty, or why the page is to be closed."""
        if not self._messages.take(""):
            return "too many messages"
        try:
            if kind is WSMsgType.TEXT:
                self._take_text(data)
            elif kind is WSMsgType.BINARY:
                self._take_binary(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._malformed += 1
            self._counts.malformed_messages += 1
            log.debug("a page sent what is no message: %s", str(error)[:200])
            if self._malformed >= MALFORMED:
                return "malformed messages"
        return ""

    def _take_text(self, text: str) -> None:
        match _decoder.decode(text):
            case Look(camera=camera, max_width=max_width, grid=grid):
                if grid and camera is not None:
                    raise ValueError("one camera, or the grid")
                if not self._hub.look(self.viewer, camera, max_width, grid=grid):
                    raise ValueError("no such camera")
                if grid:
                    self._say_text(self._hub.summaries_text())
            case Ack():
                self.viewer.acknowledge()
                self._woken.set()
            case Ping(t=t):
                if len(text) > MAX_PING_BYTES:
                    raise ValueError("a ping is short")
                self._say_text(f'{{"type":"pong","t":{bytes(t).decode()},"unix_ms":{time.time() * 1e3:.3f}}}')
            case Request() as request:
                self._take_request(request)
            case CameraState(state=state, message=message):
                if self.viewer.role == "operator":
                    self._camera_feed.tell(self, state, message)

    def _take_binary(self, data: bytes) -> None:
        if len(data) < 4:
            raise ValueError("a binary message has a header")
        (size,) = struct.unpack_from("<I", data)
        if not 0 < size <= min(len(data) - 4, 4096):
            raise ValueError("a binary message has a header of 1 to 4096 bytes")
        header = _frame_decoder.decode(data[4 : 4 + size])
        if self.viewer.role != "operator":
            self._say({"type": "camera_refused", "message": "needs the role operator"})
            return
        self._camera_feed.take(self, header, data[4 + size :])

    def _take_request(self, request: Request) -> None:
        if self.viewer.role != "operator" and request.method not in VIEWER_METHODS:
            self._reply(request.id, refusal("forbidden", f"{request.method} needs the role operator"))
        elif len(self._tasks) >= MAX_REQUESTS:
            self._reply(request.id, refusal("too_many_requests", f"{MAX_REQUESTS} requests of this page are under way"))
        else:
            task = asyncio.create_task(self._ask(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, request: Request) -> None:
        self._reply(request.id, await self._hub.requests.ask(request.method, request.params, self._session))

    def _reply(self, request_id: str | float, reply: dict[str, Any]) -> None:
        number = int(request_id) if isinstance(request_id, float) and request_id.is_integer() else request_id
        self._say({"type": "reply", "id": number, **reply})

    # --- out ---

    def _say(self, message: dict[str, Any]) -> None:
        self._say_text(json.dumps(message))

    def _say_text(self, text: str) -> None:
        self.viewer.say(text)
        self._woken.set()

    async def _write(self) -> None:
        """Send what there is to send; the newest of it, since nothing is packed before its turn comes."""
        viewer = self.viewer
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                while viewer.texts or viewer.to_send or viewer.news:
                    async with asyncio.timeout(SEND_S):
                        if viewer.texts:
                            await self._ws.send_str(viewer.texts.popleft())
                        elif news := viewer.take_news():
                            await self._ws.send_str(news)
                        else:
                            await self._send_scene()
                if self.close_code or viewer.overflowed:
                    self._closing = True
                    self._counts.closed_pages += viewer.overflowed
                    await self._ws.close(code=self.close_code or WSCloseCode.TRY_AGAIN_LATER)
                    return
        except ConnectionError:
            return  # the page has left
        except TimeoutError:
            self._counts.closed_pages += 1
            self._abort()  # a close frame would wait behind what the page does not take
        except Exception:
            log.exception("a page can't be served", extra={"once_key": "page"})
            self._abort()

    async def _send_scene(self) -> None:
        scene = self.viewer.to_send.popleft()
        try:
            packed = await self._hub.packed(scene, self.viewer.max_width)
        except MessageError as error:
            self._hub.pass_over(error)
            self.viewer.acknowledge()  # nobody else will
            return
        await self._ws.send_bytes(packed)
        self.viewer.sent += 1

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
