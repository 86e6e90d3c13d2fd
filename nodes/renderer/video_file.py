"""Drawn pictures in, an MP4 out that plays at the feed's own speed. Video encoding (av) enters the renderer here."""

from __future__ import annotations

import contextlib
import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import PictureType

from nodes.renderer.encoding import KEY_S as FRAGMENT_S
from nodes.renderer.encoding import TICKS, PictureConverter, add_h264_stream, even_size, with_even_edges
from nodes.renderer.letterbox import fit
from nodes.renderer.sinks import reason
from nodes.renderer.video_index import make_ordinary
from stream.arrays import Array
from stream.geometry import Letterbox
from stream.mp4.boxes import cut_torn_fragment

log = logging.getLogger(__name__)

LONGEST_GAP_S = 3600  # a longer one (a camera away overnight) is left out: the format counts durations in 32 bits
FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"  # a file without its end plays
SQUARE = (1, 1)  # width to height of a pixel


class VideoFile:
    """An MP4 that plays at the feed's own speed, and plays too when the process is killed while writing it.

    `fps` only guesses at the duration of a frame whose successor is unknown or earlier; else `captured_ns` decides.
    """

    def __init__(self, path: str | Path, fps: float, level: int = logging.WARNING) -> None:
        self.path = Path(path)
        self.written = 0  # pictures
        self.error = ""  # why it stopped, if by an error
        self._level = level  # of the line that tells of an error before the first picture
        self.nominal_ticks = round(TICKS / max(1.0, fps))
        self.size: tuple[int, int] | None = None  # (height, width) of the first picture, made even; that of the file
        self.pixel_aspect = Fraction(1)  # width to height of its pixels
        self.stopped = False  # by an error or by close()
        self._container: Any = None
        self._stream: Any = None
        self._converter = PictureConverter()
        self._origin_ns = 0  # captured_ns that is time 0 of the file
        self._last_tick = -1
        self._key_tick = 0
        self._warned_of_size = False

    def write(self, rgb: Array, captured_ns: int, pixel_aspect: tuple[int, int] = SQUARE) -> None:
        """Add a (H, W, 3) uint8 picture; one of another size or pixel aspect is scaled into the first one's."""
        if self.stopped:
            return
        try:
            if self._container is None:
                self._open(rgb, captured_ns, pixel_aspect)
            frame = self._converter.to_frame(self._fitted(rgb, Fraction(*pixel_aspect)), self._next_tick(captured_ns))
            # a key frame, and with it all before it on the disk: what a killed process loses at most
            if self._last_tick == 0 or self._last_tick - self._key_tick >= FRAGMENT_S * TICKS:
                frame.pict_type, self._key_tick = PictureType.I, self._last_tick
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
            self.written += 1
        except (OSError, av.FFmpegError) as error:
            self._give_up(error)

    def close(self) -> None:
        """Write what is still in the encoder, and the index that makes an ordinary, seekable file of it."""
        if self.stopped or self._container is None:
            self.stopped = True
            return
        try:
            for packet in self._stream.encode():
                self._container.mux(packet)
            self._container.close()
            self.stopped = True
            self.path.stat()  # it may have been removed meanwhile
            if not make_ordinary(self.path):
                log.warning(
                    "%s has no index of its pictures: it plays, but players may be slow to seek in it", self.path
                )
        except (OSError, av.FFmpegError) as error:
            self._give_up(error)

    def _open(self, rgb: Array, captured_ns: int, pixel_aspect: tuple[int, int]) -> None:
        self.pixel_aspect = Fraction(*pixel_aspect)
        self.size = even_size(rgb)
        self._origin_ns = captured_ns
        options = {"movflags": FRAGMENTS, "flush_packets": "1"}
        self._container = av.open(f"file:{self.path}", "w", format="mp4", options=options)
        self._stream = add_h264_stream(self._container, self.size, self.pixel_aspect, self.nominal_ticks)

    def _fitted(self, rgb: Array, pixel_aspect: Fraction) -> Array:
        """The picture in the file's size: an odd edge doubled, another size letterboxed."""
        assert self.size is not None
        if pixel_aspect != self.pixel_aspect:
            width = max(1, round(rgb.shape[1] * pixel_aspect / self.pixel_aspect))
            rgb = np.asarray(cv2.resize(rgb, (width, rgb.shape[0]), interpolation=cv2.INTER_AREA))
        height, width = rgb.shape[:2]
        if even_size(rgb) != self.size:
            if not self._warned_of_size:
                self._warned_of_size = True
                came, file = f"{width}x{height}", f"{self.size[1]}x{self.size[0]}"
                log.warning("recording %s: frames are %s now; they are scaled into its %s", self.path, came, file)
            return fit(rgb, Letterbox((height, width), self.size))
        return with_even_edges(rgb)

    def _next_tick(self, captured_ns: int) -> int:
        """The frame's time in the file: 0 first, then always later, however the clock jumps."""
        tick = (captured_ns - self._origin_ns) * TICKS // 1_000_000_000
        if not self._last_tick < tick < self._last_tick + LONGEST_GAP_S * TICKS:
            tick = self._last_tick + self.nominal_ticks
            self._origin_ns = captured_ns - tick * 1_000_000_000 // TICKS
        self._last_tick = tick
        return tick

    def _give_up(self, error: Exception) -> None:
        self.stopped = True
        self.error = reason(error)
        level = logging.WARNING if self.written else self._level
        if self._container is not None:
            with contextlib.suppress(OSError, av.FFmpegError):  # the disk is still full
                self._container.close()
        whole = False
        with contextlib.suppress(OSError):
            whole = cut_torn_fragment(self.path)
        if not whole:
            self.written = 0
            with contextlib.suppress(OSError):
                if self.path.is_file():
                    self.path.unlink()  # without a picture
        left = "what was written so far stays playable" if whole else "nothing of it is left"
        log.log(level, "recording to %s stopped: %s; %s", self.path, self.error, left)
