"""HTTP for programs: pictures, streams, the control methods, health, metrics."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from nodes.web.http.replies import as_json, dress, plain
from nodes.web.http.visitor import Visitor
from nodes.web.hub import Hub
from nodes.web.metrics import CONTENT_TYPE, Metrics
from nodes.web.page_socket import VIEWER_METHODS
from nodes.web.relay import refusal
from nodes.web.scene_message import WebScene
from nodes.web.viewers import Viewer
from stream.errors import MessageError

BODY_S = 10.0  # within which the body of a request has to be there
SNAPSHOT_S = 5.0  # so long a snapshot waits for the next frame
WRITE_S = 10.0  # a stream that takes nothing for so long is closed
BOUNDARY = "frame"
ERROR_STATUS = {
    "unknown_method": 404,
    "forbidden": 403,
    "too_many_requests": 429,
    "timeout": 504,
    "busy": 503,
    "unknown_camera": 404,
}


class ProgramHandlers:
    """The answers of the routes that programs ask for."""

    def __init__(self, hub: Hub, metrics: Metrics) -> None:
        self._hub = hub
        self._metrics = metrics

    async def snapshot(self, visitor: Visitor, camera: str) -> web.StreamResponse:
        """The next frame, or the one that a paused run shows; with ?masks=1 the masks are drawn into it."""
        if camera not in self._hub.cameras:
            return plain(404, "no such camera")
        with_masks = visitor.request.query.get("masks", "0") == "1"
        if (held := self._held(camera)) is not None:
            return await self._as_picture(held, with_masks)
        with self._hub.looking(camera) as (viewer, woken):
            if viewer is None:
                return plain(503, f"{self._hub.viewers.most} look already; try again later")
            try:
                async with asyncio.timeout(SNAPSHOT_S):
                    while not viewer.to_send:
                        await woken.wait()
                        woken.clear()
            except TimeoutError:
                return plain(503, f"no frame came within {SNAPSHOT_S:g} s")
            scene = viewer.to_send.popleft()
        return await self._as_picture(scene, with_masks)

    def _held(self, camera: str) -> WebScene | None:
        """What pages show of a run that is paused."""
        return self._hub.newest.get(camera) if self._hub.status(camera).get("state") == "paused" else None

    async def _as_picture(self, scene: WebScene, with_masks: bool) -> web.StreamResponse:
        jpeg = await self._picture(scene, with_masks)
        if jpeg is None:
            return plain(503, "the run's picture can't be read")
        return web.Response(body=jpeg, content_type="image/jpeg")

    async def mjpeg(self, visitor: Visitor, camera: str) -> web.StreamResponse:
        """A stream of pictures without end, the newest each time; with ?masks=0 without masks in them."""
        if camera not in self._hub.cameras:
            return plain(404, "no such camera")
        with_masks = visitor.request.query.get("masks", "1") != "0"
        with self._hub.looking(camera) as (viewer, woken):
            if viewer is None:
                return plain(503, f"{self._hub.viewers.most} look already; try again later")
            response = web.StreamResponse()
            dress(response)
            response.content_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
            await response.prepare(visitor.request)
            try:
                await self._stream(response, viewer, woken, visitor, with_masks)
            except (TimeoutError, ConnectionError):
                if visitor.request.transport is not None:
                    visitor.request.transport.abort()
            return response

    async def _stream(
        self,
        response: web.StreamResponse,
        viewer: Viewer,
        woken: asyncio.Event,
        visitor: Visitor,
        with_masks: bool,
    ) -> None:
        while visitor.still_in() and not self._hub.ended:
            try:
                async with asyncio.timeout(1.0):
                    await woken.wait()
            except TimeoutError:
                continue
            woken.clear()
            viewer.texts.clear()  # messages for pages
            while viewer.to_send:
                jpeg = await self._picture(viewer.to_send.popleft(), with_masks)
                if jpeg is None:
                    viewer.acknowledge()
                    continue
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                async with asyncio.timeout(WRITE_S):
                    await response.write(head.encode() + jpeg + b"\r\n")
                viewer.sent += 1
                viewer.acknowledge()

    async def _picture(self, scene: WebScene, with_masks: bool) -> bytes | None:
        """The scene's picture; None where it can't be read."""
        try:
            return await self._hub.burnt(scene) if with_masks else scene.jpeg
        except MessageError as error:
            self._hub.pass_over(error)
            return None

    async def api(self, visitor: Visitor, method: str) -> web.StreamResponse:
        """A control method."""
        if visitor.role != "operator" and method not in VIEWER_METHODS:
            return as_json(403, refusal("forbidden", f"{method} needs the role operator"))
        body = await visitor.body(BODY_S)
        try:
            params = json.loads(body) if body.strip() else {}
        except (ValueError, RecursionError):
            params = None
        if not isinstance(params, dict):
            return as_json(400, refusal("bad_request", "the body is a JSON object of params"))
        reply = await self._hub.requests.ask(method, params, visitor.cookie)
        code = reply["error"].get("code", "") if "error" in reply else None
        return as_json(200 if code is None else ERROR_STATUS.get(code, 400), reply)

    async def healthz(self, visitor: Visitor) -> web.StreamResponse:
        """One word: 200 only while frames flow, or when a file has ended well."""
        well = self._hub.well
        return plain(200 if well else 503, "ok" if well else "failing")

    async def metrics(self, visitor: Visitor) -> web.StreamResponse:
        """Prometheus' text."""
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})
