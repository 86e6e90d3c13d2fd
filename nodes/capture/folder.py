"""Picture files in, one after the other out: a folder of frames, or one picture."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from nodes.capture.source import Picture, SourceInfo
from stream.arrays import Array
from stream.errors import SourceError

log = logging.getLogger(__name__)

PICTURES = (".jpg", ".jpeg", ".png", ".bmp")
OTHERS = (".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif", ".jp2", ".heic", ".avif", ".exr", ".dng")  # not played
DEPTHS = (10, 12, 14, 16)  # bits that sensors give, stored in words of 16


class PictureSource:
    """Picture files in the order given; their sizes may differ. What can't be read is passed over and counted."""

    live = False

    def __init__(self, paths: Sequence[Path], fps: float | None = None) -> None:
        self._paths = list(paths)
        self._fps = fps  # at which a live feed plays them
        self._index = 0  # of the next file
        self._first: Picture | None = None  # that `open` has read already
        self._unreadable: list[SourceError] = []
        self._stems: Counter[str] | None = None  # how many of the files have that name, whatever their ending
        self._depth = 0  # bits of the 16-bit pictures so far: what one scale serves, so that brightness does not jump

    def open(self) -> SourceInfo:
        self._first = self._next()
        if self._first is None:
            raise self._unreadable[0]
        height, width = self._first.rgb.shape[:2]
        return SourceInfo((height, width), self._fps, len(self._paths))

    def skip(self, count: int) -> None:
        for _ in range(count):
            if self.read() is None:
                return

    def read(self) -> Picture | None:
        picture, self._first = self._first or self._next(), None
        if picture is None:
            self._warn_of_losses()
        return picture

    def close(self) -> None:
        self._paths, self._first = [], None

    def _next(self) -> Picture | None:
        """The next picture that can be read; None at the end."""
        while self._index < len(self._paths):
            path = self._paths[self._index]
            self._index += 1
            try:
                pixels = _read_pixels(path)
            except SourceError as error:
                self._unreadable.append(error)
                continue
            if pixels.dtype == np.uint16:
                pixels = to_8_bit(pixels, self._shared_depth(path, pixels))
            return Picture(pixels, name=self._name_of(path))
        return None

    def _name_of(self, path: Path) -> str:
        """The file's name without its ending, unless another file has the same one."""
        if self._stems is None:
            self._stems = Counter(p.stem for p in self._paths)
        return path.stem if self._stems[path.stem] == 1 else path.name

    def _shared_depth(self, path: Path, pixels: Array) -> int:
        depth = max(self._depth, depth_of(pixels))
        if depth > self._depth and depth < 16:
            white = (1 << depth) - 1
            log.warning("%s: 16-bit pictures that hold %d bits; %d is shown as white", path, depth, white)
        self._depth = depth
        return depth

    def _warn_of_losses(self) -> None:
        """One warning at the end, as for a damaged video."""
        if self._unreadable:
            lost, of = len(self._unreadable), len(self._paths)
            log.warning("%d of %d pictures were passed over; the first of them: %s", lost, of, self._unreadable[0])
            self._unreadable = []


class FolderSource(PictureSource):
    """The pictures of a folder in natural order (2.jpg before 10.jpg)."""

    def __init__(self, folder: Path, fps: float | None = None) -> None:
        super().__init__([], fps)
        self._folder = folder

    def open(self) -> SourceInfo:
        try:
            entries = visible_entries(self._folder)
        except OSError as error:
            raise SourceError(f"--source {self._folder}: the folder can't be read ({error.strerror})") from None
        self._paths = sorted((p for p in entries if p.suffix.lower() in PICTURES), key=natural_order)
        if not self._paths:
            raise SourceError(
                f"--source {self._folder}: the folder holds {len(entries)} entries, none of them a picture; "
                "needs frames as *.jpg, *.png or *.bmp, named in the order to play them"
            )
        if others := [p for p in entries if p.suffix.lower() in OTHERS]:
            log.warning(
                "--source %s: %d pictures are passed over, the first of them %s; frames are *.jpg, *.png or *.bmp: "
                "convert the others", self._folder, len(others), min(others, key=natural_order).name,
            )  # fmt: skip
        return super().open()


def is_picture(path: Path) -> bool:
    """Whether a file holds one picture; an animated PNG is a film."""
    if path.suffix.lower() not in PICTURES or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return b"acTL" not in file.read(4096)
    except OSError:
        return False  # the source of video files has the words for it


def visible_entries(folder: Path) -> list[Path]:
    """What a folder holds, without hidden entries such as the `._1.jpg` that macOS leaves on other disks."""
    return [p for p in folder.iterdir() if not p.name.startswith(".")]


def natural_order(path: Path) -> list[tuple[int, str]]:
    """A sort key that compares the numbers in a name as numbers."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if k % 2 else (-1, part) for k, part in enumerate(parts)]


def read_picture(path: Path) -> Picture:
    """The picture in a file; SourceError names the file where there is none."""
    pixels = _read_pixels(path)
    return Picture(to_8_bit(pixels, depth_of(pixels)) if pixels.dtype == np.uint16 else pixels)


def depth_of(pixels: Array) -> int:
    """How many bits the values of a uint16 picture need, of those that sensors give."""
    highest = int(pixels.max(initial=0))
    return next(depth for depth in DEPTHS if highest < 1 << depth)


def to_8_bit(pixels: Array, depth: int) -> Array:
    """A uint16 picture of so many bits as uint8."""
    return (pixels >> (depth - 8)).astype(np.uint8)


def _read_pixels(path: Path) -> Array:
    """(H, W, 3) RGB, uint8 or uint16, upright as its EXIF orientation says."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f"--source: {path} can't be read ({error.strerror})") from None
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if data.size else None
    except cv2.error:
        bgr = None
    if bgr is None or bgr.dtype not in (np.uint8, np.uint16):
        raise SourceError(f"--source: {path} is no readable picture ({data.size} bytes); replace or remove it")
    rgb: Array = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb
