"""Drawn pictures in, an MP4 out that plays at the feed's own speed. Video encoding (av) enters the renderer here."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import struct
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import Colorspace

from nodes.renderer.letterbox import fit
from nodes.renderer.retry import Retry
from nodes.renderer.sinks import as_text, reason
from stream.arrays import Array
from stream.geometry import Letterbox
from stream.reports import SinkState

log = logging.getLogger(__name__)

NOMINAL_FPS = 25.0  # guesses at the duration of the last frame
TICKS = 90_000  # a second in the file's own time
FRAGMENT_S = 2  # a key frame, and with it all before it on the disk: what a killed process loses at most
LONGEST_GAP_S = 3600  # a longer one (a camera away overnight) is left out: the format counts durations in 32 bits
ROOM_BYTES = 64 << 20  # on the disk, before a recording that failed goes on
SQUARE = (1, 1)  # width to height of a pixel
BT709 = 1  # the number of this colour space in H.264


class Recording:
    """What --record writes: one video file; several where each has a limit, or where writing failed in between.

    No file is ever written over: where the name is taken, the next number is put behind it.
    """

    def __init__(self, path: str, segment_s: float, restarts: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path)
        self._segment_s = segment_s  # 0: one file
        self._restarts = restarts  # of the renderer: its next life does not write over what the last one has recorded
        self._clock = clock
        self._video: VideoFile | None = None  # the newest, from the first picture on
        self._files = 0  # before it, each with pictures
        self._last_path: Path | None = None  # of the last of them
        self._written = 0  # pictures in them
        self._segment_began_ns = 0
        self._retry = Retry()
        self._failing = False  # the newest attempt to write failed
        self._closed = False

    @property
    def written(self) -> int:
        """Pictures recorded."""
        return self._written + (self._video.written if self._video else 0)

    def state(self) -> SinkState:
        """What became of it."""
        video = self._video
        if video is None:
            return SinkState()
        path = video.path if video.written else self._last_path
        files = self._files + (video.written > 0)
        return SinkState(path=as_text(path) if path else "", files=files, error=video.error)

    def write(self, rgb: Array, time_ns: int, pixel_aspect: tuple[int, int] = SQUARE) -> None:
        """Add a (H, W, 3) uint8 picture that is to be played at `time_ns`; a full segment is closed before."""
        if self._closed:
            return
        if self._failing and not self._can_go_on():
            return
        full = self._segment_s and time_ns - self._segment_began_ns >= self._segment_s * 1e9
        if self._video is None or self._video.stopped or full:
            self._begin(time_ns)
        assert self._video is not None, "one was begun"
        self._video.write(rgb, time_ns, pixel_aspect)
        if self._video.stopped:
            self._failing = True
            self._retry.fail(self._clock())
        elif self._failing:
            self._failing = False
            log.warning("the recording goes on in %s", self._video.path)

    def close(self) -> None:
        """Finish the file; may be called again."""
        self._closed = True
        if self._video:
            self._video.close()

    def _can_go_on(self) -> bool:
        if not self._retry.is_due(self._clock()):
            return False
        try:
            disk = shutil.disk_usage(self._path.parent)
            enough = disk.free >= min(ROOM_BYTES, disk.total // 10)
        except OSError:
            enough = False  # the folder is gone
        if not enough:
            self._retry.postpone(self._clock())
        return enough

    def _begin(self, time_ns: int) -> None:
        """Begin the first file, or the next one."""
        if self._video:
            self._video.close()
            if self._video.written:
                self._files, self._last_path = self._files + 1, self._video.path
            self._written += self._video.written
        path = self._next_path(warn=self._video is None and not self._restarts)
        self._video = VideoFile(path, NOMINAL_FPS, logging.DEBUG if self._failing else logging.WARNING)
        self._segment_began_ns = time_ns

    def _next_path(self, *, warn: bool) -> Path:
        """The path as given, or one that names the time or the number of this file, if there are several."""
        path, number = self._path, self._restarts + 1
        if self._segment_s:
            path, number = path.with_stem(f"{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}"), 1
        while True:
            free = path.with_stem(f"{path.stem}-{number}") if number > 1 else path
            if _take(free):
                break
            number += 1
        if warn and free != path:
            log.warning("--record %s: there is such a file already; this recording is %s", path, free)
        return free


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
            frame = av.VideoFrame.from_ndarray(self._fitted(rgb, Fraction(*pixel_aspect)), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            frame.pts, frame.time_base = self._next_tick(captured_ns), Fraction(1, TICKS)
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
        except (OSError, av.FFmpegError) as error:
            self._give_up(error)

    def _open(self, rgb: Array, captured_ns: int, pixel_aspect: tuple[int, int]) -> None:
        height, width = rgb.shape[:2]
        self.pixel_aspect = Fraction(*pixel_aspect)
        self.size = height + height % 2, width + width % 2  # yuv420p has one colour for 2x2 px
        self._origin_ns = captured_ns
        options = {"movflags": _movflags(), "flush_packets": "1"}
        self._container = av.open(f"file:{self.path}", "w", format="mp4", options=options)
        self._stream = self._container.add_stream("libx264", rate=Fraction(TICKS, self.nominal_ticks))
        self._stream.height, self._stream.width = self.size
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = Fraction(1, TICKS)
        encoder = self._stream.codec_context
        encoder.sample_aspect_ratio = self.pixel_aspect
        encoder.time_base = Fraction(1, TICKS)
        encoder.max_b_frames = 0  # a frame leaves the encoder in the order and soon after it came
        encoder.gop_size = 1 << 20  # key frames by time, above: a slow feed would wait long for a count
        encoder.thread_count = 2
        encoder.colorspace = encoder.color_primaries = encoder.color_trc = BT709
        self._stream.options = {"crf": "20", "preset": "veryfast", "rc-lookahead": "8", "forced-idr": "1"}

    def _fitted(self, rgb: Array, pixel_aspect: Fraction) -> Array:
        """The picture in the file's size: an odd edge doubled, another size letterboxed."""
        assert self.size is not None
        if pixel_aspect != self.pixel_aspect:
            width = max(1, round(rgb.shape[1] * pixel_aspect / self.pixel_aspect))
            rgb = np.asarray(cv2.resize(rgb, (width, rgb.shape[0]), interpolation=cv2.INTER_AREA))
        height, width = rgb.shape[:2]
        if (height + height % 2, width + width % 2) != self.size:
            if not self._warned_of_size:
                self._warned_of_size = True
                came, file = f"{width}x{height}", f"{self.size[1]}x{self.size[0]}"
                log.warning("recording %s: frames are %s now; they are scaled into its %s", self.path, came, file)
            return fit(rgb, Letterbox((height, width), self.size))
        if (height, width) == self.size:
            return np.ascontiguousarray(rgb)
        padded: Array = cv2.copyMakeBorder(rgb, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        return padded

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
            whole = _cut_torn_fragment(self.path)
        if not whole:
            self.written = 0
            with contextlib.suppress(OSError):
                if self.path.is_file():
                    self.path.unlink()  # without a picture
        left = "what was written so far stays playable" if whole else "nothing of it is left"
        log.log(level, "recording to %s stopped: %s; %s", self.path, self.error, left)


def _movflags() -> str:
    """Fragments, so that a file without its end plays; with FFmpeg 7.1 also an ordinary index once it is closed."""
    if av.library_versions["libavformat"] >= (61, 7, 0):
        return "hybrid_fragmented"
    return "frag_keyframe+empty_moov+default_base_moof"


def _take(path: Path) -> bool:
    """Whether a new file may have this path; an empty one is left there, so that no other run takes it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        with contextlib.suppress(OSError):
            return path.stat().st_size == 0  # nothing to lose
    except OSError:
        pass  # who opens it says why
    return True


def _cut_torn_fragment(path: Path) -> bool:
    """Cut the fragment off that was being written when the disk was full: players stumble over half of one.

    Returns whether a whole one is left.
    """
    with path.open("r+b") as file:
        length, whole, at = file.seek(0, os.SEEK_END), 0, 0
        fragments, begun = 0, False
        while at + 8 <= length:
            file.seek(at)
            size, kind = struct.unpack(">I4s", file.read(8))
            if size < 8:  # a box of another length field: nothing that this file's writer makes
                return True
            at += size
            if kind != b"moof" and at <= length:  # the index of a fragment is of use only with its data behind it
                whole = at
                fragments += begun
            begun = kind == b"moof"
        file.truncate(whole)
    return fragments > 0
