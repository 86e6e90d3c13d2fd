"""A folder of pictures in, one after the other out."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from nodes.capture.source import Picture, SourceInfo
from stream.errors import SourceError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp")


class FolderSource:
    """The pictures of a folder in natural order (2.jpg before 10.jpg); their sizes may differ."""

    live = False

    def __init__(self, folder: Path, fps: float | None = None) -> None:
        self._folder = folder
        self._fps = fps  # at which a live feed plays it
        self._paths: list[Path] = []
        self._index = 0

    def open(self) -> SourceInfo:
        try:
            entries = list(self._folder.iterdir())
        except OSError as error:
            raise SourceError(f"--source {self._folder}: the folder can't be read ({error.strerror})") from None
        self._paths = sorted((p for p in entries if p.suffix.lower() in PICTURES), key=natural_order)
        if not self._paths:
            raise SourceError(
                f"--source {self._folder}: the folder holds {len(entries)} entries, none of them a picture; "
                "needs frames as *.jpg, *.png or *.bmp, named in the order to play them"
            )
        return SourceInfo(read_picture(self._paths[0]).rgb.shape[:2], self._fps, len(self._paths))

    def skip(self, count: int) -> None:
        self._index += count

    def read(self) -> Picture | None:
        if self._index >= len(self._paths):
            return None
        self._index += 1
        return read_picture(self._paths[self._index - 1])

    def close(self) -> None:
        self._paths = []


def natural_order(path: Path) -> list[tuple[int, str]]:
    """A sort key that compares the numbers in a name as numbers."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if k % 2 else (-1, part) for k, part in enumerate(parts)]


def read_picture(path: Path) -> Picture:
    """The picture in a file; SourceError names the file where there is none."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f"--source: {path} can't be read ({error.strerror})") from None
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        bgr = None
    if bgr is None:
        raise SourceError(
            f"--source: {path} is no readable picture ({data.size} bytes); replace or remove it and start again"
        )
    return Picture(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
