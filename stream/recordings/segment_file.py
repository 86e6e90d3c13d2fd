"""Encoded packets in, one fragmented MP4 out that plays to within a fragment however its writer ends.

Video muxing (av) enters recordings here. Nothing is decoded or encoded: a packet of a camera costs what its bytes cost.
"""

from __future__ import annotations

import contextlib
import io
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from stream.recordings.packets import TICKS, EncodedPacket

FRAGMENT_S = 2.0  # what a power cut loses at most
BYTES_A_SAMPLE = 40  # in the index of a fragment and in that of the file, more than they take
INDEX_BYTES = 8192  # of a file without samples, more than it takes
MUX_ERRORS = (OSError, av.FFmpegError, ValueError)  # what comes of a full disk, or of a codec that MP4 does not hold


class StreamTemplate:
    """What a segment must know of its stream (codec, size, parameter sets), copied, so that its source may be gone."""

    def __init__(self, stream: Any, fps: float = 25.0) -> None:
        """`stream` of an open container; ValueError where MP4 does not hold its codec."""
        self.nominal_s = 1 / fps
        self.codec = str(stream.codec_context.name)
        self._holder = av.open(io.BytesIO(), "w", format="mp4")
        try:
            self.stream = self._holder.add_stream_from_template(stream)
        except (av.FFmpegError, ValueError) as error:
            raise ValueError(f"{self.codec} can't be copied into MP4 ({error})") from None


class SegmentFile:
    """One segment while it is written. Raises what is in MUX_ERRORS."""

    def __init__(self, path: Path, template: StreamTemplate) -> None:
        self.path = path
        self.samples = 0
        self._pending = 0  # bytes of packets that wait for their fragment to be whole
        self._flushed_ticks = 0  # where the fragment under way begins
        self._size = 0
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            # "file:" keeps FFmpeg from reading a colon in a file's name as a protocol
            self._container = av.open(f"file:{path}", "w", format="mp4", options=_options())
            self._stream = self._container.add_stream_from_template(template.stream)
        except MUX_ERRORS:
            os.close(self._descriptor)
            raise

    @property
    def bytes(self) -> int:
        """Written so far."""
        return self._size

    def room_for(self, packet: EncodedPacket, dts: int) -> int:
        """Bytes that writing this packet may take on the disk, all that follows at a close included; 0: none at all."""
        if not self._begins_fragment(packet, dts):
            return 0
        return self.room_to_close() + len(packet.data)

    def room_to_close(self) -> int:
        """Bytes that the end of the file takes at most."""
        return self._pending + (self.samples + 1) * BYTES_A_SAMPLE + INDEX_BYTES

    def write(self, packet: EncodedPacket, pts: int, dts: int) -> None:
        """Add a packet at these ticks; what was flushed before it is on the disk itself when this returns."""
        begins = self._begins_fragment(packet, dts)
        out = av.Packet(packet.data)
        out.pts, out.dts, out.time_base = pts, dts, Fraction(1, TICKS)
        out.is_keyframe = packet.is_key
        out.stream = self._stream
        self._container.mux(out)
        self.samples += 1
        if begins:
            self._pending, self._flushed_ticks = 0, dts
            self._size = os.fstat(self._descriptor).st_size
            os.fdatasync(self._descriptor)
        self._pending += len(packet.data)

    def close(self) -> None:
        """Write what is left, and the index that makes an ordinary, seekable file of it."""
        try:
            self._container.close()
            os.fdatasync(self._descriptor)
            self._size = os.fstat(self._descriptor).st_size
        finally:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)

    def give_up(self) -> None:
        """Close it after an error: what is whole stays."""
        with contextlib.suppress(*MUX_ERRORS):
            self._container.close()
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def _begins_fragment(self, packet: EncodedPacket, dts: int) -> bool:
        return self.samples > 0 and (packet.is_key or dts - self._flushed_ticks >= FRAGMENT_S * TICKS)


def _options() -> dict[str, str]:
    """Fragments, so that a file without its end plays; with FFmpeg 7.1 also an ordinary index once it is closed."""
    hybrid = av.library_versions["libavformat"] >= (61, 7, 0)
    flags = "hybrid_fragmented" if hybrid else "empty_moov+default_base_moof"
    return {
        "movflags": f"{flags}+frag_keyframe",
        "frag_duration": str(round(FRAGMENT_S * 1e6)),
        "flush_packets": "1",
    }
