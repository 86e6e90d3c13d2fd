"""One connection to an RTSP server: pictures of one size in, H.264 out. Video encoding (av) enters here."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType

from nodes.renderer.encoding import KEY_S, TICKS, PictureConverter, add_h264_stream, even_size, with_even_edges
from nodes.renderer.rtsp_push.pictures import Picture

NOMINAL_FPS = 25.0  # until times tell
LONGEST_GAP_S = 10  # a longer one is left out: players wait for it
# A live stream: each picture leaves the encoder at once.
LIVE = {"preset": "superfast", "tune": "zerolatency", "crf": "23", "forced-idr": "1"}


class RtspStream:
    """Opened by its first picture. Everything may wait for the server, some of it with Python's lock held."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._container: Any = None
        self._stream: Any = None
        self._converter = PictureConverter()
        self._form: tuple[Any, ...] = ()  # (height, width) and pixel aspect that it was opened with
        self._origin_ns = 0
        self._last_tick = -1
        self._key_tick = 0

    def takes(self, picture: Picture) -> bool:
        """Whether a picture fits: one of another size needs another connection."""
        return not self._form or self._form == (picture.rgb.shape, picture.pixel_aspect)

    def push(self, picture: Picture) -> None:
        """Encode and send one; av.FFmpegError or OSError where the server is away."""
        if self._container is None:
            self._open(picture)
        frame = self._converter.to_frame(with_even_edges(picture.rgb), self._next_tick(picture.captured_ns))
        if self._last_tick == 0 or self._last_tick - self._key_tick >= KEY_S * TICKS:
            frame.pict_type, self._key_tick = PictureType.I, self._last_tick
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Say goodbye to the server."""
        if self._container is not None:
            self._container.close()

    def _open(self, picture: Picture) -> None:
        self._form = (picture.rgb.shape, picture.pixel_aspect)
        self._origin_ns = picture.captured_ns
        self._container = av.open(self._url, "w", format="rtsp", options={"rtsp_transport": "tcp"})
        nominal = round(TICKS / NOMINAL_FPS)
        self._stream = add_h264_stream(
            self._container, even_size(picture.rgb), Fraction(*picture.pixel_aspect), nominal
        )
        self._stream.options = LIVE

    def _next_tick(self, captured_ns: int) -> int:
        """The picture's time in the stream: 0 first, then always later, however the clock jumps."""
        tick = (captured_ns - self._origin_ns) * TICKS // 1_000_000_000
        if not self._last_tick < tick < self._last_tick + LONGEST_GAP_S * TICKS:
            tick = self._last_tick + round(TICKS / NOMINAL_FPS)
            self._origin_ns = captured_ns - tick * 1_000_000_000 // TICKS
        self._last_tick = tick
        return tick
