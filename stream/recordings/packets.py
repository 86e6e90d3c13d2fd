"""Encoded packets as a recording keeps them: one picture each, with its times; and the bounded ring of the newest."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

TICKS = 90_000  # a second in a segment's own time
LONGEST_STEP_S = 60.0  # between two packets; a longer one, or one back, is a jump of the source's clock


@dataclass(frozen=True)
class EncodedPacket:
    """One encoded picture, and when it came."""

    data: bytes
    is_key: bool
    pts_s: float | None  # presentation time by the source; None where it gives none
    dts_s: float | None  # decoding time by the source
    arrived_ns: int  # monotonic
    arrived_unix_ns: int


class PacketRing:
    """The newest packets, from a key frame on: at least `seconds` of them, where they fit into `most_bytes`."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._span_ns = round(seconds * 1e9)
        self._most_bytes = most_bytes
        self._packets: deque[EncodedPacket] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._packets)

    def put(self, packet: EncodedPacket) -> None:
        """Add the newest; the oldest group of pictures goes once the later ones reach back far enough."""
        if not self._packets and not packet.is_key:
            return  # nothing could be decoded from there
        self._packets.append(packet)
        self.bytes += len(packet.data)
        since_ns = packet.arrived_ns - self._span_ns
        while self._packets and (self.bytes > self._most_bytes or self._second_key_ns() <= since_ns):
            self._drop_group()

    def take(self) -> list[EncodedPacket]:
        """All of them, oldest first; the ring is empty afterwards."""
        packets = list(self._packets)
        self.clear()
        return packets

    def clear(self) -> None:
        """Forget them."""
        self._packets.clear()
        self.bytes = 0

    def _second_key_ns(self) -> float:
        """When the second group of pictures came; infinity where there is only one."""
        keys = (p.arrived_ns for i, p in enumerate(self._packets) if i and p.is_key)
        return next(keys, float("inf"))

    def _drop_group(self) -> None:
        """Drop the oldest key frame, and what can't be decoded without it."""
        while self._packets:
            self.bytes -= len(self._packets.popleft().data)
            if self._packets and self._packets[0].is_key:
                return


class SegmentClock:
    """A source's times in, those of one segment out, in ticks: from 0 on, decoding times always growing."""

    def __init__(self, nominal_s: float) -> None:
        """`nominal_s`: between two packets, where nothing tells it."""
        self._nominal_ticks = max(1, round(nominal_s * TICKS))
        self._origin: int | None = None  # in the source's ticks: time 0 of the segment
        self._last = -1  # decoding time of the newest packet
        self._arrived_ns = 0  # of the first packet

    @property
    def origin_s(self) -> float | None:
        """The source's time at time 0 of the segment; None where it gives no times."""
        return None if self._origin is None else self._origin / TICKS

    def place(self, packet: EncodedPacket) -> tuple[int, int]:
        """(presentation, decoding) time of a packet, in ticks."""
        if self._last < 0:
            self._arrived_ns = packet.arrived_ns
        pts = None if packet.pts_s is None else round(packet.pts_s * TICKS)
        dts = pts if packet.dts_s is None else round(packet.dts_s * TICKS)
        if dts is None:
            at = max(self._last + 1, (packet.arrived_ns - self._arrived_ns) * TICKS // 1_000_000_000)
            self._last = at
            return at, at
        if self._origin is None:
            self._origin = dts - (self._last + self._nominal_ticks if self._last >= 0 else 0)
        at = dts - self._origin
        if not self._last < at < self._last + LONGEST_STEP_S * TICKS:  # the source's clock has jumped
            at = self._last + self._nominal_ticks
            self._origin = dts - at
        self._last = at
        return max(at, (pts if pts is not None else dts) - self._origin), at
