"""Pictures and label images in; a folder of label images or a single PNG out. Videos are written by `recording.py`.

A sink never stops the feed: where the disk is full or gone it says so once and tries again later, and what it wrote
stays readable. What can be checked before the run (`check_file`, `check_folder`) is an error there instead.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import struct
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from nodes.renderer.retry import Retry
from stream.arrays import Array
from stream.errors import ConfigError
from stream.reports import SinkState
from stream.settings.config import Renderer
from stream.settings.recordings import is_folder

log = logging.getLogger(__name__)


class LabelImages:
    """A folder of PNGs in the layout of DAVIS, each pixel the id of the object there.

    They have the names of their frames (of a folder of pictures); else they are named by frame_id: 00000.png.
    """

    def __init__(self, folder: str | Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = Path(folder)
        self.written = 0
        self.error = ""  # why it writes no more
        self._clock = clock
        self._retry = Retry()
        self._missing = 0  # frames since it failed

    def state(self) -> SinkState:
        """What became of it."""
        return SinkState(path=as_text(self.folder), files=self.written, error=self.error)

    def write(self, labels: Array, frame_id: int, name: bytes = b"") -> None:
        """Add a (H, W) label image: a palette PNG of a uint8 one, a 16-bit gray PNG of a uint16 one (ids above 255)."""
        if self.error and not self._retry.is_due(self._clock()):
            self._missing += 1
            return
        try:
            file = f"{os.fsdecode(name) or f'{frame_id:05d}'}.png"
            replace_file(self.folder / file, label_png(labels))
        except OSError as error:
            if not self.error:
                log.warning("label images in %s stopped at frame %d: %s", self.folder, frame_id, reason(error))
            self._retry.fail(self._clock())
            self._missing += 1
            self.error = reason(error)
            return
        if self.error:
            log.warning("label images in %s go on at frame %d; %d are missing", self.folder, frame_id, self._missing)
        self.written += 1
        self.error, self._missing = "", 0


class StillPicture:
    """One drawn frame as a PNG, written at the end: the one that is wanted, or the last one before it."""

    def __init__(self, path: str | Path, frame_id: int) -> None:
        self.path = Path(path)
        self.written = 0
        self.error = ""
        self._wanted = frame_id
        self._rgb: Array | None = None  # the newest one up to the wanted one

    def state(self) -> SinkState:
        """What became of it."""
        return SinkState(path=as_text(self.path), files=self.written, error=self.error)

    def offer(self, rgb: Array, frame_id: int) -> None:
        """Take a (H, W, 3) uint8 picture if it is nearer to the wanted one."""
        if self._rgb is None or frame_id <= self._wanted:
            self._rgb = rgb

    def close(self) -> None:
        """Write it; may be called again."""
        if self._rgb is None:
            return
        try:
            save_png(self.path, self._rgb)
            self.written = 1
        except OSError as error:
            self.error = reason(error)
            log.warning("the picture %s can't be written: %s", self.path, self.error)
        self._rgb = None


def as_text(path: Path) -> str:
    """A path for reports; of a name that is no UTF-8, the bytes are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


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
    part = path.with_name(f".{os.getpid()}.part")  # no longer than the longest name that a file may have
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
        raise ConfigError(f"{option} {path}: can't be written ({reason(error)})") from None


def check_folder(path: str | Path, option: str) -> None:
    """Make sure that files can be written into the folder, making it where it is missing; ConfigError says why not."""
    path = Path(path)
    if os.path.exists(path) and not os.path.isdir(path):
        raise ConfigError(f"{option}: {path} is a file; needs a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{option}: the folder {path} can't be made ({reason(error)})") from None
    try:
        with tempfile.TemporaryFile(dir=path):  # asking for the rights would not notice a read-only or full disk
            pass
    except OSError as error:
        raise ConfigError(f"{option}: the folder {path} can't be written ({reason(error)})") from None


def reason(error: Exception) -> str:
    """An error in the system's own words."""
    number: int | None = getattr(error, "errno", None)
    return os.strerror(number) if number and number > 0 else str(error)


def check_sinks(own: Renderer) -> None:
    """Make sure that everything in the config can be written; ConfigError says what can't, and why."""
    if is_folder(own.record):
        check_folder(own.record, "--record")
    elif own.record:
        check_file(own.record, "--record", ".mp4")
    if own.picture:
        check_file(own.picture, "renderer.picture", ".png")
    if own.save_masks:
        check_folder(own.save_masks, "--save-masks")
