"""Pictures and label images in; a video file, a folder of label images or a single PNG out.

A sink never stops the feed: where the disk is full or gone it says so once and takes no more, and what it wrote stays
readable. What can be known before the run (`check_file`, `check_folder`) is an error there instead.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import struct
import tempfile
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import Colorspace

from nodes.renderer.letterbox import fit
from stream.arrays import Array
from stream.errors import ConfigError
from stream.geometry import Letterbox
from stream.settings.config import Renderer

log = logging.getLogger(__name__)

TICKS = 90_000  # a second in the file's own time
FRAGMENT_S = 2  # a key frame, and with it all before it on the disk: what a killed process loses at most
LONGEST_GAP_S = 3600  # a longer one (a camera away overnight) is left out: the format counts durations in 32 bits
BT709 = 1  # the number of this colour space in H.264


class VideoFile:
    """An MP4 that plays at the feed's own speed, and plays too when the process is killed while writing it.

    `fps` only guesses at the duration of a frame whose successor is unknown or earlier; else `captured_ns` decides.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path = Path(path)
        self.nominal_ticks = round(TICKS / max(1.0, fps))
        self.size: tuple[int, int] | None = None  # (height, width) of the first picture, made even; that of the file
        self.stopped = False  # by an error or by close()
        self._container: Any = None
        self._stream: Any = None
        self._origin_ns = 0  # captured_ns that is time 0 of the file
        self._last_tick = -1
        self._key_tick = 0
        self._told_of_size = False

    def write(self, rgb: Array, captured_ns: int) -> None:
        """Add a (H, W, 3) uint8 picture; one of another size is scaled into the first one's."""
        if self.stopped:
            return
        try:
            if self._container is None:
                self._open(rgb, captured_ns)
            frame = av.VideoFrame.from_ndarray(self._fitted(rgb), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            frame.pts, frame.time_base = self._next_tick(captured_ns), Fraction(1, TICKS)
            if self._last_tick == 0 or self._last_tick - self._key_tick >= FRAGMENT_S * TICKS:
                frame.pict_type, self._key_tick = PictureType.I, self._last_tick
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
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
        except (OSError, av.FFmpegError) as error:
            self._give_up(error)

    def _open(self, rgb: Array, captured_ns: int) -> None:
        height, width = rgb.shape[:2]
        self.size = height + height % 2, width + width % 2  # yuv420p has one colour for 2x2 px
        self._origin_ns = captured_ns
        options = {"movflags": _movflags(), "flush_packets": "1"}
        self._container = av.open(str(self.path), "w", format="mp4", options=options)
        self._stream = self._container.add_stream("libx264", rate=Fraction(TICKS, self.nominal_ticks))
        self._stream.height, self._stream.width = self.size
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = Fraction(1, TICKS)
        encoder = self._stream.codec_context
        encoder.time_base = Fraction(1, TICKS)
        encoder.max_b_frames = 0  # a frame leaves the encoder in the order and soon after it came
        encoder.gop_size = 1 << 20  # key frames by time, above: a slow feed would wait long for a count
        encoder.thread_count = 2
        encoder.colorspace = encoder.color_primaries = encoder.color_trc = BT709
        self._stream.options = {"crf": "20", "preset": "veryfast", "rc-lookahead": "8", "forced-idr": "1"}

    def _fitted(self, rgb: Array) -> Array:
        """The picture in the file's size: an odd edge doubled, another size letterboxed."""
        assert self.size is not None
        height, width = rgb.shape[:2]
        if (height + height % 2, width + width % 2) != self.size:
            if not self._told_of_size:
                self._told_of_size = True
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
        log.warning("recording to %s stopped: %s; what was written so far stays playable", self.path, _reason(error))
        if self._container is not None:
            with contextlib.suppress(OSError, av.FFmpegError):  # the disk is still full
                self._container.close()
            with contextlib.suppress(OSError):
                _cut_torn_fragment(self.path)


def _movflags() -> str:
    """Fragments, so that a file without its end plays; with FFmpeg 7.1 also an ordinary index once it is closed."""
    if av.library_versions["libavformat"] >= (61, 7, 0):
        return "hybrid_fragmented"
    return "frag_keyframe+empty_moov+default_base_moof"


def _cut_torn_fragment(path: Path) -> None:
    """Cut the fragment off that was being written when the disk was full: players stumble over half of one."""
    with path.open("r+b") as file:
        length, whole, at = file.seek(0, os.SEEK_END), 0, 0
        while at + 8 <= length:
            file.seek(at)
            size, kind = struct.unpack(">I4s", file.read(8))
            if size < 8:  # a box of another length field: nothing that this file's writer makes
                return
            at += size
            if kind != b"moof" and at <= length:  # the index of a fragment is of use only with its data behind it
                whole = at
        file.truncate(whole)


class LabelImages:
    """A folder of 00000.png ... in the layout of DAVIS, named by frame_id, each pixel the id of the object there."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.stopped = False

    def write(self, labels: Array, frame_id: int) -> None:
        """Add a (H, W) label image: a palette PNG of a uint8 one, a 16-bit gray PNG of a uint16 one (ids above 255)."""
        if self.stopped:
            return
        try:
            replace_file(self.folder / f"{frame_id:05d}.png", label_png(labels))
        except OSError as error:
            self.stopped = True
            log.warning("label images in %s stopped at frame %d: %s", self.folder, frame_id, _reason(error))


def davis_palette() -> Array:
    """(256, 3) uint8 RGB: the palette of the DAVIS annotations, by which tools know an object again."""
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    for i in range(22):  # bit k of the id lights a channel: bits 0 to 2 with 128, bits 3 to 5 with 64 more
        for channel in range(3):
            low, high = i >> channel & 1, i >> (channel + 3) & 1
            palette[i, channel] = (0, 64, 128, 191)[2 * low + high]
    return palette


def label_png(labels: Array) -> bytes:
    """A PNG file of a (H, W) label image, uint8 as palette indices, uint16 as 16-bit gray; OpenCV can't write it."""
    height, width = labels.shape
    wide = labels.dtype != np.uint8
    rows = np.ascontiguousarray(labels.astype(">u2") if wide else labels).view(np.uint8).reshape(height, -1)
    filtered = np.pad(rows, ((0, 0), (1, 0)))  # each row begins with its filter, 0: none
    packer = zlib.compressobj(3, strategy=zlib.Z_RLE)  # long runs: as small as level 9 in a fifth of the time
    header = struct.pack(">IIBBBBB", width, height, 16 if wide else 8, 0 if wide else 3, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", packer.compress(filtered.tobytes()) + packer.flush()), (b"IEND", b"")]
    if not wide:
        chunks.insert(1, (b"PLTE", davis_palette().tobytes()))
    body = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def save_png(path: str | Path, rgb: Array) -> None:
    """Write a (H, W, 3) uint8 picture; OSError where it can't be written."""
    _, png = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    replace_file(Path(path), png.tobytes())


def replace_file(path: Path, data: bytes) -> None:
    """Put a file there whole or not at all, so that whoever watches the folder never reads half of one."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def check_file(path: str | Path, option: str, suffix: str) -> None:
    """Make sure that a file can be written there, missing folders made; ConfigError says why it can't."""
    path = Path(path)
    if os.path.isdir(path):  # unlike Path.is_dir, no error where a parent may not be read
        raise ConfigError(f"{option} {path}: is a folder; needs a file, for example {path / f'live{suffix}'}")
    if path.suffix.lower() != suffix:
        raise ConfigError(f"{option} {path}: needs a name that ends in {suffix}")
    check_folder(path.parent, option)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{option} {path}: is no regular file")
        with path.open("r+b"):
            pass
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ConfigError(f"{option} {path}: can't be written ({_reason(error)})") from None


def check_folder(path: str | Path, option: str) -> None:
    """Make sure that files can be written into the folder, making it where it is missing; ConfigError says why not."""
    path = Path(path)
    if os.path.exists(path) and not os.path.isdir(path):
        raise ConfigError(f"{option}: {path} is a file; needs a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{option}: the folder {path} can't be made ({_reason(error)})") from None
    try:
        with tempfile.TemporaryFile(dir=path):  # asking for the rights would not notice a read-only or full disk
            pass
    except OSError as error:
        raise ConfigError(f"{option}: the folder {path} can't be written ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    number: int | None = getattr(error, "errno", None)
    return os.strerror(number) if number and number > 0 else str(error)


def check_sinks(own: Renderer) -> None:
    """Make sure that everything that is asked for can be written; ConfigError says what can't, and why."""
    if own.record:
        check_file(own.record, "--record", ".mp4")
    if own.picture:
        check_file(own.picture, "renderer.picture", ".png")
    if own.save_masks:
        check_folder(own.save_masks, "--save-masks")
