"""A page in Chromium whose run is written by the test: scenes at a steady rate, statuses, replies to its requests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from web.served import CAMERA, Served, scene_parts, served

from browser.live_page import LivePage

PERIOD_S = 0.1
SIZE = (180, 320)
RUNNING: dict[str, Any] = {"state": "running", "reason": "", "since": 0, "frozen": False, "black": False, "nodes": {}}
FLOWING = ("running", "degraded")  # states of a camera whose pictures come


class Script:
    """What the run does; a thread of its own plays it until `close`."""

    def __init__(self, it: Served, cameras: Sequence[str] = (CAMERA,)) -> None:
        self.it = it
        self.cameras = list(cameras)
        self.flowing = True  # scenes come
        self.talking = True  # statuses come
        self.status = dict(RUNNING)
        self.states: dict[str, dict[str, Any]] = {}  # camera -> what its status has that the others' has not
        self.objects: list[dict[str, Any]] = []  # changes of the one object's header, or none for no object
        self.errors: dict[str, dict[str, str]] = {}  # method -> the error it gets
        self.results: dict[str, dict[str, Any]] = {}  # method -> the result it gets
        self.session = 0
        self._frame_id = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        it.control.reply = self._reply
        self._thread.start()

    def requests(self, method: str) -> list[dict[str, Any]]:
        """The params of the requests that came."""
        return [request["params"] for request in self.it.control.requests if request["method"] == method]

    def close(self) -> None:
        """Play no more."""
        self._over.set()
        self._thread.join(10)

    def _reply(self, request: dict[str, Any]) -> dict[str, Any]:
        if error := self.errors.get(request["method"]):
            return {"error": error}
        if request["method"] in ("add_object", "refine_object"):
            return {"result": {"object_id": 1}}
        return {"result": self.results.get(request["method"], {})}

    def _play(self) -> None:
        beat = 0
        while not self._over.wait(PERIOD_S):
            if self.flowing:
                self._frame_id += 1
                for camera in self.cameras:
                    if self.states.get(camera, self.status).get("state", "running") in FLOWING:
                        self.it.listener.publish(self._scene(camera))
            if self.talking and beat % 5 == 0:
                for camera in self.cameras:
                    self.it.publish_status(camera=camera, **(self.status | self.states.get(camera, {})))
            beat += 1

    def _scene(self, camera: str) -> list[bytes]:
        objects = self.objects  # another thread may set others meanwhile
        masks = (b"\xf0",) * len(objects)
        topic, header, *payloads = scene_parts(self._frame_id, size=SIZE, camera=camera, masks=masks)
        tree = json.loads(header)
        tree |= {"captured_unix_ns": time.time_ns(), "session": self.session}
        for described, change in zip(tree["objects"], objects, strict=True):
            described |= change
        picture = np.full((*SIZE, 3), (40, 120, 90), np.uint8)
        cv2.circle(picture, (20 + self._frame_id % 280, 90), 12, (220, 220, 220), -1)
        return [topic, json.dumps(tree).encode(), *payloads[:-1], cv2.imencode(".jpg", picture)[1].tobytes()]


@contextmanager
def scripted(chromium: Any, cameras: Sequence[str] = (CAMERA,), **options: Any) -> Iterator[tuple[Script, LivePage]]:
    """A script that runs, and a page that looks at it."""
    options.setdefault("viewport", {"width": 1100, "height": 700})
    with served(cameras=cameras) as it:
        script = Script(it, cameras)
        context = chromium.new_context(**options)
        try:
            page = LivePage(context.new_page())
            page.open(it.link)
            yield script, page
        finally:
            context.close()
            script.close()


__all__ = ["CAMERA", "Script", "scripted"]
