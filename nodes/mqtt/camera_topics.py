"""Status and events of one camera in, its topics at the broker out. Plain values: no sockets, no clock."""

from __future__ import annotations

from typing import Any

import msgspec

from nodes.mqtt.home_assistant import components_of, discovery
from nodes.mqtt.names import OFFLINE, ONLINE, Names
from nodes.mqtt.outbox import Outbox
from stream.public_wire.events import EventsHeader

SILENCE_S = 5.0  # without a word of its publisher, after which a camera counts as away
THERE = ("running", "degraded", "paused")  # states of a camera that is there
RETAINED = ("availability", "state", "counts", "snapshot")


class CameraTopics:
    """Writes what has changed into the outbox."""

    def __init__(self, camera: str, names: Names, outbox: Outbox, state_s: float, *, snapshot: bool) -> None:
        self.camera = camera
        self._names = names
        self._outbox = outbox
        self._state_s = state_s
        self._snapshot = snapshot
        self._state: dict[str, Any] = {}  # as it was told last
        self._state_at_s = float("-inf")  # when that was
        self._heard_s = float("-inf")  # when its publisher was
        self._zones: frozenset[str] = frozenset()
        self._lines: frozenset[str] = frozenset()
        self._announced: frozenset[str] = frozenset()  # ids of components that Home Assistant has been told of

    def take_status(self, status: dict[str, Any], now_s: float) -> None:
        """The camera's status, as it comes once a second."""
        self._heard_s = now_s
        self._announce()
        state = state_of(status)
        changed = any(state[key] != self._state.get(key) for key in ("state", "reason", "objects", "object_states"))
        if changed or now_s - self._state_at_s >= self._state_s:
            self._state, self._state_at_s = state, now_s
            self._retain("state", msgspec.json.encode(state))
        self._retain("availability", ONLINE if state["state"] in THERE else OFFLINE)

    def take_events(self, header: EventsHeader, now_s: float) -> None:
        """What has happened on a frame, and how things stand in zones and at lines."""
        zones, lines = frozenset(header.zones), frozenset(header.lines)
        if (zones, lines) != (self._zones, self._lines):
            self._zones, self._lines = zones, lines
            self._announce()
        counts = {
            "zones": {
                name: {"count": len(zone.inside), "inside": zone.inside, "entered": zone.entered, "left": zone.left}
                for name, zone in header.zones.items()
            },
            "lines": {
                name: {"to_right": line.to_right, "to_left": line.to_left} for name, line in header.lines.items()
            },
        }
        self._retain("counts", msgspec.json.encode(counts))
        when = {
            "camera": self.camera,
            "captured_unix_s": round(header.captured_unix_ns / 1e9, 3),
            "session": header.session,
            "frame_id": header.frame_id,
        }
        for event in header.events:
            own = msgspec.to_builtins(event)
            payload = {"event_type": own.pop("kind"), **when, **own}
            self._outbox.send(self._names.of(self.camera, "events"), msgspec.json.encode(payload))

    def take_snapshot(self, jpeg: bytes) -> None:
        """A picture with its masks."""
        self._retain("snapshot", jpeg)

    def tick(self, now_s: float) -> None:
        """Notice that nothing is heard any more."""
        if now_s - self._heard_s > SILENCE_S:
            self._retain("availability", OFFLINE)

    def end(self) -> None:
        """The run ends."""
        self._retain("availability", OFFLINE)

    def remove(self) -> None:
        """The camera is removed from the run: leave nothing of it at the broker."""
        for what in RETAINED:
            self._retain(what, b"")
        if self._names.discovery:
            self._outbox.retain(self._names.discovery_topic(self.camera), b"")

    def _retain(self, what: str, payload: bytes) -> None:
        self._outbox.retain(self._names.of(self.camera, what), payload)

    def _announce(self) -> None:
        """Tell Home Assistant of the device as it is now."""
        if not self._names.discovery:
            return
        of_now = (self._names, self.camera, sorted(self._zones), sorted(self._lines))
        ids = frozenset(components_of(*of_now, snapshot=self._snapshot))
        gone, self._announced = sorted(self._announced - ids), self._announced | ids
        payload = discovery(*of_now, gone, snapshot=self._snapshot)
        self._outbox.retain(self._names.discovery_topic(self.camera), msgspec.json.encode(payload))


def state_of(status: dict[str, Any]) -> dict[str, Any]:
    """What is told of a camera's status."""
    recent = status.get("recent") if isinstance(status.get("recent"), dict) else {}
    latency = recent.get("latency_ms") if isinstance(recent, dict) else None
    objects = [o for o in status.get("objects") or () if isinstance(o, dict)]
    states = [str(o.get("state")) for o in objects]
    return {
        "state": status.get("state", "starting"),
        "reason": status.get("reason", ""),
        "since": status.get("since"),
        "fps": recent.get("published_hz", 0.0) if isinstance(recent, dict) else 0.0,
        "age_ms": latency.get("p50", 0.0) if isinstance(latency, dict) else 0.0,
        "frame_age_s": status.get("frame_age_s"),
        "objects": len(objects),
        "object_states": {state: states.count(state) for state in sorted(set(states))},
    }
