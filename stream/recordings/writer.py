"""Packets in, segments out: begun, cut and ended as the plan says, within the limits, paused where there is no room.

It runs in whatever thread calls it, and may wait for the disk: `recorder.py` gives it a thread of its own.
"""

from __future__ import annotations

import logging
from pathlib import Path

from stream.errors import StreamError
from stream.mp4.boxes import cut_torn_fragment
from stream.recordings.folder import RecordingFolder
from stream.recordings.packets import EncodedPacket, PacketRing, SegmentClock
from stream.recordings.plan import PlanOptions, RecordingPlan
from stream.recordings.segment_file import INDEX_BYTES, MUX_ERRORS, SegmentFile, StreamTemplate

log = logging.getLogger(__name__)

RING_BYTES = 64 << 20  # 30 s of 16 Mbit/s; what is longer than that is not kept from before
RETRY_S = 5.0  # after a pause
FIRST_BYTES = 1 << 20  # that must fit in before a segment begins
TIDY_S = 30.0  # how often the limits are looked after while nothing is written


class SegmentWriter:
    """The recording of one camera."""

    def __init__(self, folder: RecordingFolder, options: PlanOptions, *, timed_by_source: bool = True) -> None:
        """`timed_by_source`: the packets' times are the source's presentation times, which masks bear, too."""
        self.written = 0  # pictures
        self.files = 0  # segments begun
        self.error = ""  # why it is paused
        self.path: Path | None = None  # of the newest segment
        self._folder = folder
        self._plan = RecordingPlan(options)
        self._ring = PacketRing(options.pre_s, RING_BYTES) if options.when == "objects" else None
        self._timed_by_source = timed_by_source
        self._template: StreamTemplate | None = None
        self._file: SegmentFile | None = None
        self._clock = SegmentClock(0.04)  # of the segment under way
        self._began_ns = 0
        self._newest: EncodedPacket | None = None
        self._tidy_at_ns = 0
        self._paused_ns: int | None = None  # when it was paused, or tried again in vain

    @property
    def recording(self) -> bool:
        """Whether a segment is under way."""
        return self._file is not None

    @property
    def on(self) -> bool:
        """Whether recording is switched on."""
        return self._plan.on

    def begin_stream(self, template: StreamTemplate) -> None:
        """Packets of another connection follow: they go to a new segment."""
        self._finish(None)
        self._template = template
        if self._ring is not None:
            self._ring.clear()

    def see_objects(self, now_ns: int) -> None:
        """Objects are in sight."""
        self._plan.see_objects(now_ns)

    def switch(self, on: bool) -> None:
        """Record from now on, or no longer."""
        self._plan.switch(on)
        if not on:
            self._finish(None)

    def write(self, packet: EncodedPacket) -> None:
        """Take the next packet."""
        if self._paused_ns is not None and packet.arrived_ns - self._paused_ns < RETRY_S * 1e9:
            self._keep(packet)
            return
        try:
            self._take(packet)
        except (*MUX_ERRORS, StreamError) as error:
            self._pause(error, packet.arrived_ns)

    def close(self) -> None:
        """Finish the segment under way; may be called again."""
        self._finish(None)
        self._folder.close()

    def _take(self, packet: EncodedPacket) -> None:
        self._open()
        began_ns = self._began_ns if self._file is not None else None
        has_key = self._ring is not None and len(self._ring) > 0
        step = self._plan.step(is_key=packet.is_key, arrived_ns=packet.arrived_ns, began_ns=began_ns, has_key=has_key)
        if step == "cut" or step == "end":
            self._finish(packet)
        if step in ("skip", "end"):
            self._keep(packet)
            return
        if step in ("begin", "cut"):
            before = self._ring.take() if self._ring is not None else []
            self._begin([*before, packet])
        else:
            self._append(packet)

    def _keep(self, packet: EncodedPacket) -> None:
        """Remember a packet that is not recorded, for the time before an object is seen; segments still grow old."""
        if self._ring is not None:
            self._ring.put(packet)
        if self._folder.is_open and self._paused_ns is None and packet.arrived_ns >= self._tidy_at_ns:
            self._tidy_at_ns = packet.arrived_ns + round(TIDY_S * 1e9)
            self._folder.make_room(0)

    def _open(self) -> None:
        if not self._folder.is_open:
            self._folder.open()

    def _begin(self, packets: list[EncodedPacket]) -> None:
        assert self._template is not None, "packets come after their stream"
        first = packets[0]
        self._folder.make_room(max(FIRST_BYTES, INDEX_BYTES + 2 * sum(len(p.data) for p in packets)))
        self._clock = SegmentClock(self._template.nominal_s)
        self._began_ns = first.arrived_ns
        origin_s = first.dts_s if first.dts_s is not None else first.pts_s
        self.path = self._folder.begin(first.arrived_unix_ns, origin_s if self._timed_by_source else None)
        self._file = SegmentFile(self.path, self._template)
        for packet in packets:
            self._append(packet)
        self.files += 1
        if self._paused_ns is not None:
            log.warning("the recording goes on in %s", self.path)
        self._paused_ns, self.error = None, ""

    def _append(self, packet: EncodedPacket) -> None:
        assert self._file is not None, "a segment was begun"
        pts, dts = self._clock.place(packet)
        if needed := self._file.room_for(packet, dts):
            self._folder.make_room(needed)
            if self._timed_by_source:
                self._folder.move_origin(self._clock.origin_s)
        self._file.write(packet, pts, dts)
        self._newest = packet
        self.written += 1

    def _finish(self, successor: EncodedPacket | None) -> None:
        """End the segment under way; `successor` begins the next one, so that no time is between them."""
        if (file := self._file) is None or (newest := self._newest) is None:
            return
        self._file = None
        try:
            file.close()
        except MUX_ERRORS as error:
            self._cut(file)
            log.warning("recording to %s: its end can't be written: %s", file.path, reason(error))
        nominal_ns = 0 if self._template is None else round(self._template.nominal_s * 1e9)
        self._folder.finish(successor.arrived_unix_ns if successor else newest.arrived_unix_ns + nominal_ns)

    def _pause(self, error: Exception, now_ns: int) -> None:
        """There is no room, or the disk is gone: say so once, keep what is whole, try again later."""
        if self._paused_ns is None:
            log.warning("the recording is paused: %s; it goes on when that is over", reason(error))
        self.error, self._paused_ns = reason(error), now_ns
        if (file := self._file) is not None:
            self._file = None
            file.give_up()
            self._cut(file)
            end = self._newest.arrived_unix_ns if self._newest else 0
            self._folder.finish(end)

    @staticmethod
    def _cut(file: SegmentFile) -> None:
        try:
            if not cut_torn_fragment(file.path):
                file.path.unlink()
        except OSError:
            pass  # the disk is gone: at the next start it is looked at again


def reason(error: Exception) -> str:
    """An error in the system's own words."""
    return getattr(error, "strerror", None) or str(error)
