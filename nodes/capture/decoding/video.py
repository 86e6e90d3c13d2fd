"""Whatever FFmpeg opens in, its pictures out. Video decoding (av) enters the capture node here.

Measured with GStreamer's RTSP server, H.264 at 25 fps: frame threading (FFmpeg's default) delays a live picture by
100 ms, so live decoding is threaded by slices. H.264 is not: with slices in threads its decoder neither conceals nor
reports damage, and cameras send pictures of one slice, which gain nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any, Protocol

import av
from av.video.reformatter import VideoReformatter

from nodes.capture.decoding.damage import DamageWatch
from nodes.capture.decoding.display import Orientation, pixel_shape, upright
from nodes.capture.decoding.hardware import HardwareDecoding
from nodes.capture.decoding.silence import SilenceDetector
from nodes.capture.pace import FALLBACK_FPS
from nodes.capture.source import Picture, SourceInfo
from stream.errors import SourceError

log = logging.getLogger(__name__)
errors = av.error  # for the modules that put failures into words
library_versions = av.library_versions

MAX_FPS = 1000  # a higher rate is none, but the ticks of a clock
STEP_BACK_S = 1.0  # a step back between presentation times of less is a fault of the file
NO_PICTURE_S = 15.0  # a live source may send packets for so long before one becomes a picture (a late key frame)


class Tap(Protocol):
    """What gets a copy of a source's encoded packets: a recording."""

    def open(self, stream: Any, fps: float) -> None: ...
    def take(self, packet: Any) -> None: ...


class VideoSource:
    """Pictures of whatever FFmpeg opens. A subclass says what to open and puts its failures into words."""

    live = False

    def __init__(
        self,
        name: str,
        address: str,
        *,
        container: str | None = None,
        options: dict[str, str] | None = None,
        timeout_s: tuple[float, float] | None = None,
    ) -> None:
        self.name = name  # for messages; without a password
        self._address = address
        self._open_arguments = {
            "format": container,
            "options": options or {},
            "timeout": timeout_s,
            "metadata_errors": "replace",  # a title in Latin-1 or GBK is no reason to refuse the pictures
        }
        self._silence = SilenceDetector(timeout_s[1]) if timeout_s else None
        self._container: Any = None
        self._frames: Iterator[Any] = iter(())
        self._first: Any = None  # the frame that `open` waited for
        self._stream: Any = None
        self._tap: Tap | None = None  # what gets a copy of each packet
        self._hardware = HardwareDecoding()
        self._timed = True  # its packets bear times that mean something
        self._given = 0
        self._orientation = Orientation(_tiny)
        # One for all frames: each would start threads of its own, which live as long as the frame.
        self._reformatter = VideoReformatter()
        self.damaged = 0  # packets that did not decode
        self._damage = DamageWatch()
        self._picture_damaged = False  # the newest frame of `_next`
        self._broken = ""  # why a finite source could not be read to its end
        self._highest_s: float | None = None  # presentation time of a frame so far; it may start again in the middle
        self._presented: float | None = None  # presentation time of the newest picture, s
        self._step_s = 1 / FALLBACK_FPS  # between two pictures
        self._end_s: float | None = None  # presentation time at which it should end

    def copy_packets_to(self, tap: Tap) -> None:
        """Give each packet to `tap` as well, from the next opening on."""
        self._tap = tap

    def decode_by(self, hardware: HardwareDecoding) -> None:
        """Have pictures decoded by a device where it can be, from the next opening on."""
        self._hardware = hardware

    def open(self) -> SourceInfo:
        self.check()
        begun = time.monotonic()
        try:
            self._container = av.open(self._address, **self._open_arguments, **self._hardware.open_arguments())
        except (av.error.FFmpegError, ValueError) as error:
            raise self.open_failure(error, time.monotonic() - begun) from None
        try:
            return self._begin()
        except SourceError:
            self.close()
            if not (self._hardware.in_use and self.damaged):
                raise
        self._hardware.give_up()
        self.damaged = 0  # that was the device's, not the camera's
        return self.open()

    def skip(self, count: int) -> None:
        for _ in range(count):
            if self._next() is None:
                return

    def read(self) -> Picture | None:
        frame = self._next()
        if frame is not None:
            flips = self._orientation.of(frame)
            shape = self._pixel_aspect(transposed=flips[0])
            rgb = upright(self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), flips)
            return Picture(rgb, self._presented_s(frame), pixel_aspect=shape, corrupt=self._picture_damaged)
        if self.live:
            raise SourceError(f"{self.name}: the connection was closed after {self._given} frames")
        return None

    def close(self) -> None:
        self._frames, self._first, self._stream = iter(()), None, None
        if self._container is not None:
            self._container.close()
            self._container = None

    def check(self) -> None:
        """Refuse what needs no decoder to be refused."""

    def open_failure(self, error: Exception, took_s: float) -> SourceError:
        """The error to raise for one that came while opening."""
        return SourceError(f"{self.name}: can't be opened ({reason(error)})")

    def read_failure(self, error: Exception) -> SourceError:
        """The error to raise for one that came while a live source was read."""
        return SourceError(f"{self.name}: lost after {self._given} frames ({reason(error)})")

    def _begin(self) -> SourceInfo:
        streams = self._container.streams
        if not streams.video:
            found = " and ".join(sorted({s.type for s in streams})) or "nothing"
            raise SourceError(f"{self.name}: holds no video, only {found}; needs a video stream")
        stream = streams.best("video")  # as players choose: no cover picture where there is a film
        self._stream = stream
        stream.thread_type = "SLICE" if self.live else "AUTO"
        if self.live and stream.codec_context.name == "h264":
            stream.codec_context.thread_count = 1
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        self._step_s = 1 / fps if 0 < fps <= MAX_FPS else 1 / FALLBACK_FPS
        length_s = float(stream.duration * stream.time_base) if stream.duration else None
        if length_s is not None and not self.live:
            self._end_s = length_s + float((stream.start_time or 0) * stream.time_base)
        if self._tap is not None:
            self._tap.open(stream, 1 / self._step_s)
        self._frames = self._decode(stream)
        first = self._next()
        if first is None:
            raise SourceError(
                f"{self.name}: ended before a picture could be decoded ({self.damaged} damaged packets, "
                f"codec {stream.codec_context.name}); check it with another player"
            )
        self._hardware.see_first(stream.codec_context, first)
        self._first, self._given = first, 0
        size = (first.height, first.width)
        if self._orientation.of(first)[0]:
            size = (first.width, first.height)
        expected = stream.frames or (round(length_s * fps) if length_s and fps else None)
        return SourceInfo(
            size,
            fps if 0 < fps <= MAX_FPS else None,
            None if self.live else expected,
            codec=str(stream.codec_context.name),
        )

    def _next(self) -> Any:
        """The next decoded frame; None at the end."""
        frame, self._first = self._first, None
        if frame is None:
            try:
                frame = next(self._frames, None)
            except av.error.FFmpegError as error:
                raise self.read_failure(error) from None
            if frame is not None:
                self._picture_damaged = self._damage.damages(
                    frame.pts, key_frame=bool(frame.key_frame), corrupt=frame.is_corrupt
                )
        if frame is not None:
            self._given += 1
            if frame.time is not None:
                self._highest_s = max(frame.time, self._highest_s or 0.0)
        return frame

    def _presented_s(self, frame: Any) -> float | None:
        """A frame's presentation time; in a file, a picture is shown after the one before it, known or not.

        A larger step back stays: there another recording begins (two MPEG-TS files in one).
        """
        time_s, before_s = frame.time, self._presented
        if not self.live and before_s is not None and (time_s is None or -STEP_BACK_S < time_s - before_s <= 0):
            time_s = before_s + self._step_s
        self._presented = time_s
        return None if time_s is None else float(time_s)

    def _pixel_aspect(self, *, transposed: bool) -> tuple[int, int]:
        """(width, height) of a pixel of the upright picture."""
        # a container's word counts before that of the coded pictures; those of a live one may change
        source = self._stream.codec_context if self.live else self._stream
        return pixel_shape(source.sample_aspect_ratio, transposed=transposed)

    def _decode(self, stream: Any) -> Iterator[Any]:
        """Every frame that can be had: damaged packets are passed over, and a file that breaks off just ends."""
        packets = self._container.demux(stream)
        fruitful_s = time.monotonic()
        packet: Any = packets  # anything but None
        while packet is not None:
            read_began_s = time.monotonic()
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                if self.live:
                    raise
                self._broken, packet = reason(error), None
            silent = self._silence is not None and self._silence.after_packet(time.monotonic() - read_began_s)
            if self.live and packet is not None and not packet.size:
                continue  # a camera's spoilt buffer; the decoder would take it for the end of the stream
            if packet is not None and not self._timed:
                packet.pts = packet.dts = None
            if self._tap is not None and packet is not None:
                self._tap.take(packet)
            if packet is not None and packet.is_corrupt:
                self._damage.packet_damaged(packet.pts)
            frames = self._decode_packet(stream, packet)
            yield from frames
            if silent:
                raise self.read_failure(TimeoutError())
            if frames:
                fruitful_s = time.monotonic()
            elif self.live and time.monotonic() - fruitful_s > NO_PICTURE_S:
                raise SourceError(f"{self.name}: sends data, but for {NO_PICTURE_S:g} s no picture that can be decoded")
        if not self.live and (self._given or not self._hardware.in_use):  # else software tries it next
            self._warn_of_losses(stream)

    def _decode_packet(self, stream: Any, packet: Any) -> list[Any]:
        """The frames that a packet completes; None empties the decoder."""
        try:
            return list(stream.decode(packet))
        except av.error.EOFError:  # the decoder was empty already
            return []
        except av.error.FFmpegError:
            self.damaged += 1
            self._damage.packet_damaged(packet.pts if packet is not None else None)
            return []

    def _warn_of_losses(self, stream: Any) -> None:
        """One warning at the end of a file that gave less than it promised."""
        step_s = 1 / float(stream.average_rate or 25)
        # both must be short: files trimmed by an edit list count frames that are never shown
        short_count = self._given < stream.frames or not stream.frames
        end_s, highest_s = self._end_s, self._highest_s
        short_time = end_s is not None and highest_s is not None and highest_s < end_s - 3 * step_s
        if not self.damaged and not self._broken and not (short_count and short_time):
            return
        of = f" of {stream.frames}" if stream.frames else ""
        until = f", up to {highest_s:.2f} s of {end_s:.2f} s" if short_time else ""
        why = f"; reading stopped: {self._broken}" if self._broken else ""
        log.warning(
            "%s: %d%s frames could be read%s; %d packets were damaged%s: the file is cut off or damaged",
            self.name, self._given, of, until, self.damaged, why,
        )  # fmt: skip


def _tiny(frame: Any) -> Any:
    """A copy of a frame, 2 px wide and high."""
    return VideoReformatter().reformat(frame, width=2, height=2, format="rgb24", threads=1)


def reason(error: Exception) -> str:
    """An error's own words, without the address that FFmpeg adds to them."""
    return getattr(error, "strerror", None) or type(error).__name__
