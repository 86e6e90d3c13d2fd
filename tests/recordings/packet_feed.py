"""Encoded pictures of a drawn clip, as often as a test wants them, with a clock that it moves."""

from __future__ import annotations

import functools
import io

import av
import numpy as np

from stream.recordings.packets import EncodedPacket
from stream.recordings.segment_file import StreamTemplate

FPS = 25
GROUP = 50  # pictures from one key frame to the next: 2 s


@functools.cache
def encoded_clip(
    frames: int = 100, size: tuple[int, int] = (96, 128)
) -> tuple[StreamTemplate, list[tuple[bytes, bool]]]:
    """A template, and each picture's bytes and whether it is a key frame."""
    holder = av.open(io.BytesIO(), "w", format="mp4")
    stream = holder.add_stream("libx264", rate=FPS)
    stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
    stream.codec_context.max_b_frames = 0
    stream.codec_context.gop_size = GROUP
    stream.options = {"preset": "ultrafast", "sc_threshold": "0", "tune": "zerolatency"}
    holder.start_encoding()  # else the stream holds no parameter sets that could be copied
    noise = np.random.default_rng(0)
    packets = []
    for i in range(frames):
        rgb = noise.integers(0, 255, (*size, 3), np.uint8)
        rgb[:, i % size[1]] = 255
        packets += stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24"))
    packets += stream.encode()
    return StreamTemplate(stream, FPS), [(bytes(p), p.is_keyframe) for p in packets]


class PacketFeed:
    """Packets of the clip in a loop, at 25 a second of a clock of their own."""

    def __init__(self, unix_s: float = 1_800_000_000.0) -> None:
        self.template, self._clip = encoded_clip()
        self._unix_ns = round(unix_s * 1e9)
        self.count = 0

    @property
    def unix_ns(self) -> int:
        """Now, by the clock of the packets."""
        return self._unix_ns + self.count * 1_000_000_000 // FPS

    def next(self) -> EncodedPacket:
        """The next packet."""
        data, is_key = self._clip[self.count % len(self._clip)]
        at_s = self.count / FPS
        packet = EncodedPacket(data, is_key, 7.0 + at_s, 7.0 + at_s, round(at_s * 1e9), self.unix_ns)
        self.count += 1
        return packet

    def take(self, seconds: float) -> list[EncodedPacket]:
        """As many packets as come in so many seconds."""
        return [self.next() for _ in range(round(seconds * FPS))]


def times_in(path) -> list[float]:
    """When each picture of a video is shown, s."""
    with av.open(str(path)) as video:
        return [round(frame.time, 3) for frame in video.decode(video=0)]
