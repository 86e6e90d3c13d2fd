"""A source's encoded packets on their way to a recorder: copied, never held back, never changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from stream.recordings.packets import EncodedPacket
from stream.recordings.recorder import Recorder
from stream.recordings.segment_file import StreamTemplate

log = logging.getLogger(__name__)


class PacketTap:
    """Takes what a source demuxes. Called from the thread that reads the source."""

    def __init__(
        self,
        recorder: Recorder,
        clock: Callable[[], int] = time.monotonic_ns,
        unix_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.refused = ""  # why the packets of this stream are not recorded
        self._recorder = recorder
        self._clock = clock
        self._unix_clock = unix_clock

    def open(self, stream: Any, fps: float) -> None:
        """A connection has opened; its packets come from this stream (of av)."""
        try:
            template = StreamTemplate(stream, fps)
        except ValueError as error:
            if not self.refused:
                log.warning("nothing is recorded: %s; with recording.overlay=true it is encoded anew", error)
            self.refused = str(error)
            return
        self.refused = ""
        self._recorder.begin_stream(template)

    def take(self, packet: Any) -> None:
        """A packet (of av), before it is decoded."""
        if self.refused or not packet.size:
            return
        base = packet.time_base
        self._recorder.take(
            EncodedPacket(
                data=bytes(packet),
                is_key=packet.is_keyframe,
                pts_s=None if packet.pts is None else float(packet.pts * base),
                dts_s=None if packet.dts is None else float(packet.dts * base),
                arrived_ns=self._clock(),
                arrived_unix_ns=self._unix_clock(),
            )
        )
