"""What the run's publishers say in, the topics of all its cameras at the broker out."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from nodes.mqtt.camera_topics import CameraTopics
from nodes.mqtt.names import OFFLINE, ONLINE, Names
from nodes.mqtt.outbox import Outbox
from stream.errors import MessageError
from stream.public_wire.events import unpack_events
from stream.public_wire.headers import StatusHeader, read_header

log = logging.getLogger(__name__)


class RunTopics:
    """The cameras by name."""

    def __init__(self, names: Names, outbox: Outbox, state_s: float, *, snapshot: bool) -> None:
        self.malformed = 0
        self._names = names
        self._outbox = outbox
        self._state_s = state_s
        self._snapshot = snapshot
        self._cameras: dict[str, CameraTopics] = {}
        outbox.retain(names.run_availability, ONLINE)

    def set_cameras(self, cameras: Collection[str]) -> None:
        """These are the cameras from now on."""
        for name in set(self._cameras) - set(cameras):
            self._cameras.pop(name).remove()
        for name in cameras:
            if name not in self._cameras:
                made = CameraTopics(name, self._names, self._outbox, self._state_s, snapshot=self._snapshot)
                self._cameras[name] = made

    def take(self, parts: Sequence[bytes], now_s: float) -> None:
        """A message of `status/...` or `events/...`; of a camera that there is not, nothing is told."""
        try:
            if parts[0].startswith(b"status/"):
                status = read_header(parts, "status", StatusHeader)
                if (camera := self._cameras.get(status.camera)) is not None:
                    camera.take_status(status.status, now_s)
            elif parts[0].startswith(b"events/"):
                events = unpack_events(parts)
                if (camera := self._cameras.get(events.camera)) is not None:
                    camera.take_events(events, now_s)
        except MessageError as error:
            self.malformed += 1
            log.debug("publisher: %s", error)

    def take_snapshot(self, camera: str, jpeg: bytes) -> None:
        """A picture of a camera with its masks."""
        if camera in self._cameras:
            self._cameras[camera].take_snapshot(jpeg)

    def tick(self, now_s: float) -> None:
        """Notice which cameras are heard no more."""
        for camera in self._cameras.values():
            camera.tick(now_s)

    def end(self) -> None:
        """The run ends: the broker is told, not left to find out."""
        for camera in self._cameras.values():
            camera.end()
        self._outbox.retain(self._names.run_availability, OFFLINE)
