"""Masks in, `events/<camera>` out: what happened on each frame, and once a second how things stand."""

from __future__ import annotations

from nodes.publisher.zones.zone_events import ZoneEvents
from stream.messages import Masks
from stream.public_wire.events import pack_events
from stream.settings.zones import Zones

COUNTS_S = 1.0  # how often counts are told where nothing happens, for who joins late


class EventStream:
    """Numbers the events messages of one publisher."""

    def __init__(self, zones: Zones, publisher: str, *, live: bool) -> None:
        self.sent = 0
        self._core = ZoneEvents(zones)
        self._publisher = publisher
        self._live = live
        self._counts_at_ns = 0

    def set_zones(self, zones: Zones) -> None:
        """Other zones from now on; how things stand is told with the next frame."""
        self._core.set_zones(zones)
        self._counts_at_ns = 0

    def take(self, masks: Masks, now_ns: int) -> list[bytes] | None:
        """The message of a frame, packed at `now_ns`; None where there is nothing to tell."""
        stamp = masks.stamp
        timed = self._live or stamp.pts_s is None
        events = self._core.step(masks, stamp.captured_ns / 1e9 if timed or stamp.pts_s is None else stamp.pts_s)
        if not events and now_ns < self._counts_at_ns:
            return None
        self._counts_at_ns = now_ns + round(COUNTS_S * 1e9)
        self.sent += 1
        return pack_events(
            stamp,
            masks.size,
            events,
            self._core.counts(),
            published_ns=now_ns,
            publisher=self._publisher,
            sequence=self.sent - 1,
        )
