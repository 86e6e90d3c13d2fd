"""What the run publishes in, what each viewer gets out; and what is known of the run. Lives in the event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import msgspec

from nodes.web.camera_events import CameraEvents
from nodes.web.camera_summaries import summarise
from nodes.web.counts import Latencies
from nodes.web.pictures import BurntPictures, rescale
from nodes.web.relay import Listening, Parts, Requests
from nodes.web.scene_message import WebScene
from nodes.web.viewers import Viewer, Viewers
from stream.errors import MessageError

log = logging.getLogger(__name__)

SILENCE_S = 3.0  # without a word of the publisher, after which pages are told
LINGER_S = 3.0  # so long scenes still come after the last viewer has looked away: a reload is no reason to stop
TICK_S = 1.0
GRID_S = 0.5  # between two pictures of a camera in the grid; in between, none is asked for, nor made
MAX_CAMERAS = 64
ALWAYS = ("status/", "masks/")  # what is listened to while nobody looks


class _Status(msgspec.Struct, frozen=True):
    """The header of a status message."""

    camera: str
    status: msgspec.Raw


class _Masks(msgspec.Struct, frozen=True):
    """What counts of the header of a masks message."""

    camera: str
    captured_ns: int
    published_ns: int


class Hub:
    """The viewers, and the run that they look at."""

    def __init__(
        self,
        listening: Listening,
        requests: Requests,
        cameras: Sequence[str],
        max_viewers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.viewers = Viewers(max_viewers)
        self.requests = requests
        self.cameras = list(cameras)
        self._learns_cameras = True  # from their statuses; False: it is told which there are
        self.malformed = 0  # messages of the publisher that are none
        self.heard_s = clock()  # when the publisher was heard last
        self.ended = ""  # why, once the run has ended
        self.latencies: dict[str, Latencies] = {}  # by camera, of the frames since the server began
        self.newest: dict[str, WebScene] = {}  # by camera, of those that somebody has looked at
        self._burnt = BurntPictures()
        self._encoder = ThreadPoolExecutor(1, "web-encoder")
        self._listening = listening
        self._clock = clock
        self._statuses: dict[str, bytes] = {}  # JSON by camera
        self._events: dict[str, CameraEvents] = {}  # by camera
        self._looked_s: dict[str, float] = {}  # camera -> when somebody looked at it last
        self._grid_s: dict[str, float] = {}  # camera -> when the grid got its last picture

    # --- viewers ---

    def join(self, viewer: Viewer) -> bool:
        """Let a viewer in, if there is room."""
        return self.viewers.add(viewer)

    @contextmanager
    def looking(self, camera: str) -> Iterator[tuple[Viewer | None, asyncio.Event]]:
        """A viewer that looks at a camera, and what wakes it; None where there is no room."""
        woken = asyncio.Event()
        viewer = Viewer("viewer", wake=woken.set)
        if not self.join(viewer):
            yield None, woken
            return
        try:
            self.look(viewer, camera, None)
            yield viewer, woken
        finally:
            self.leave(viewer)

    def leave(self, viewer: Viewer) -> None:
        """A viewer is gone."""
        self.viewers.remove(viewer)
        self.choose_topics()

    def look(self, viewer: Viewer, camera: str | None, max_width: int | None, *, grid: bool = False) -> bool:
        """Let a viewer look at a camera (None: at nothing), or at the grid; False where there is no such camera."""
        if camera is not None and camera not in self.cameras:
            return False
        if grid and not viewer.grid:
            self._grid_s.clear()  # it shall not wait for its first pictures
        changes = camera != viewer.camera
        viewer.look(camera, max_width, grid=grid)
        self.choose_topics()
        if changes and camera in self._events:
            viewer.report(camera, list(self._events[camera].events), self._events[camera].counts)
        return True

    def choose_topics(self) -> None:
        """Ask the publisher for the scenes that somebody looks at, and for no others."""
        now_s = self._clock()
        self._looked_s |= dict.fromkeys(self.viewers.looked_at(), now_s)
        self._looked_s = {camera: at_s for camera, at_s in self._looked_s.items() if now_s - at_s <= LINGER_S}
        due = [camera for camera in self.cameras if self._due_in_grid(camera)] if self.viewers.at_grid else []
        scenes = {f"scenes/{camera}" for camera in {*self._looked_s, *due}}
        self._listening.want(frozenset(scenes | {f"events/{camera}" for camera in self._looked_s}))

    def set_cameras(self, cameras: Sequence[str]) -> None:
        """These are the cameras from now on."""
        self._learns_cameras = False
        self.cameras[:] = cameras
        for known in (self.latencies, self._statuses, self._looked_s, self._events):
            for camera in set(known) - set(cameras):
                del known[camera]

    # --- what the run publishes ---

    def take(self, messages: list[Parts]) -> None:
        """Messages of the publisher have come."""
        self.heard_s = self._clock()
        for parts in messages:
            try:
                if parts[0].startswith(b"scenes/"):
                    self._take_scene(WebScene(parts))
                elif parts[0].startswith(b"status/"):
                    self._take_status(parts)
                elif parts[0].startswith(b"masks/"):
                    self._take_masks(parts)
                elif parts[0].startswith(b"events/"):
                    self._take_events(parts)
            except MessageError as error:
                self.pass_over(error)

    def pass_over(self, error: MessageError) -> None:
        """Count what the publisher has sent and nobody can read."""
        self.malformed += 1
        log.debug("publisher: %s", error)

    async def packed(self, scene: WebScene, max_width: int | None) -> bytes:
        """A scene as a page gets it that can use `max_width` px."""
        width = scene.width_for(max_width)
        if not scene.has(width):
            # One thread makes all smaller pictures, so that the second page that asks finds what the first one got.
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._encoder, scene.packed, width, rescale)
        return scene.packed(width, rescale)

    async def burnt(self, scene: WebScene) -> bytes:
        """A scene's picture with its masks in it, as JPEG."""
        return await asyncio.get_running_loop().run_in_executor(self._encoder, self._burnt.burn, scene)

    def _take_scene(self, scene: WebScene) -> None:
        if scene.camera in self.cameras:
            self.newest[scene.camera] = scene
        for_grid = bool(self.viewers.at_grid) and self._due_in_grid(scene.camera)
        for viewer in self.viewers.offer(scene, for_grid=for_grid):
            viewer.wake()
        if for_grid and scene.camera in self.cameras:
            self._grid_s[scene.camera] = self._clock()
            self.choose_topics()

    def _due_in_grid(self, camera: str) -> bool:
        return self._clock() - self._grid_s.get(camera, -GRID_S) >= GRID_S

    def _take_masks(self, parts: Parts) -> None:
        try:
            masks = msgspec.json.decode(parts[1], type=_Masks)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, IndexError) as error:
            raise MessageError(f"no masks header: {str(error)[:200]}") from None
        if masks.camera in self.cameras:
            ages = self.latencies.setdefault(masks.camera, Latencies())
            ages.add((masks.published_ns - masks.captured_ns) / 1e9)

    def _take_events(self, parts: Parts) -> None:
        camera = parts[0].removeprefix(b"events/").decode(errors="replace")
        if camera not in self.cameras:
            return
        own = self._events.setdefault(camera, CameraEvents())
        events = own.take(parts, camera)
        for viewer in self.viewers:
            if viewer.camera == camera and viewer.takes_events:
                viewer.report(camera, events, own.counts)
                viewer.wake()

    def _take_status(self, parts: Parts) -> None:
        if len(parts) != 2:
            raise MessageError(f"{len(parts)} parts came; a status message has 2")
        try:
            status = msgspec.json.decode(parts[1], type=_Status)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise MessageError(f"no status: {str(error)[:200]}") from None
        if parts[0] != f"status/{status.camera}".encode():
            raise MessageError("a status came with another camera's topic")
        if status.camera not in self.cameras:
            if not self._learns_cameras:  # the last word of one that was removed
                return
            if len(self.cameras) >= MAX_CAMERAS:
                raise MessageError(f"more than {MAX_CAMERAS} cameras")
            self.cameras.append(status.camera)
        self._statuses[status.camera] = bytes(status.status)

    # --- what viewers are told ---

    def tick(self) -> None:
        """Tell everybody how the run is; called once a second."""
        self.choose_topics()
        silent_s = self._clock() - self.heard_s
        silence = json.dumps({"type": "silence", "since_s": round(silent_s, 1)}) if silent_s > SILENCE_S else ""
        summaries = self.summaries_text() if self.viewers.at_grid else ""
        for viewer in self.viewers:
            if viewer.grid and not silence:
                viewer.say(summaries)
            if text := silence or self.status_text(viewer):
                viewer.say(text)
                viewer.wake()

    def status_text(self, viewer: Viewer) -> str:
        """The status message for a viewer; "" while nothing is known."""
        camera = viewer.camera or viewer.last_camera or (self.cameras[0] if self.cameras else "")
        status = self._statuses.get(camera)
        if status is None:
            return ""
        own = {"sent": viewer.sent, "dropped": viewer.dropped, "viewers": len(self.viewers)}
        return (
            f'{{"type":"status","camera":{json.dumps(camera)},"status":{status.decode()},"viewer":{json.dumps(own)}}}'
        )

    def summaries_text(self) -> str:
        """What the grid shows of each camera beside its picture."""
        summaries = {camera: summarise(self.status(camera)) for camera in self.cameras}
        return json.dumps({"type": "cameras", "cameras": summaries})

    def status(self, camera: str) -> dict[str, Any]:
        """The newest status of a camera; {} while nothing is known."""
        found = self._statuses.get(camera)
        return dict(json.loads(found)) if found else {}

    @property
    def well(self) -> bool:
        """Whether frames flow, or a file has ended well."""
        statuses = [self.status(camera) for camera in self.cameras]
        if not statuses or any(not status for status in statuses):
            return False
        if all(status.get("state") == "ended" for status in statuses):
            return True
        return not self.silent and all(status.get("state") in ("running", "degraded") for status in statuses)

    @property
    def silent(self) -> bool:
        """Whether the publisher has not been heard for too long."""
        return self._clock() - self.heard_s > SILENCE_S

    def close(self) -> None:
        """End the encoder's thread."""
        self._encoder.shutdown(wait=False, cancel_futures=True)

    def end(self, reason: str) -> None:
        """The run has ended: tell everybody."""
        self.ended = reason
        for viewer in self.viewers:
            viewer.say(json.dumps({"type": "ended", "reason": reason}))
            viewer.wake()
