"""Messages of `events/<camera>` in, what pages are told of them out; the newest ones stay for whoever looks later."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from stream.errors import MessageError
from stream.public_wire.events import unpack_events

STORED = 50  # events of a camera


class CameraEvents:
    """The newest events of one camera, and its zones and lines as they are now."""

    def __init__(self) -> None:
        self.events: deque[dict[str, Any]] = deque(maxlen=STORED)
        self.counts: dict[str, Any] = {"zones": {}, "lines": {}}

    def take(self, parts: Sequence[bytes], camera: str) -> list[dict[str, Any]]:
        """The events of a message as JSON values, each with its camera's time; MessageError where it is none."""
        header = unpack_events(parts)
        if header.camera != camera:
            raise MessageError("events came with another camera's topic")
        self.counts = msgspec.to_builtins({"zones": header.zones, "lines": header.lines})
        new = [
            {"unix_s": round(header.captured_unix_ns / 1e9, 3), "frame_id": header.frame_id, **event}
            for event in msgspec.to_builtins(header.events)
        ]
        self.events.extend(new)
        return new
