"""Pictures on their way through a pipe, and the lines that come back: what both processes speak."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from io import BufferedReader

import numpy as np

from stream.arrays import Array

HEADER = struct.Struct("<qIIII")  # captured_ns, height, width, width and height of a pixel
SQUARE = (1, 1)

# What the process that pushes says, a word and perhaps a reason on a line.
READY, PUSHED, CONNECTED, FAILED = b"ready", b"pushed", b"connected", b"failed"


@dataclass(frozen=True)
class Picture:
    """What is to be pushed."""

    rgb: Array  # (H, W, 3) uint8
    captured_ns: int
    pixel_aspect: tuple[int, int] = SQUARE  # width to height of a pixel


def write_picture(descriptor: int, picture: Picture) -> None:
    """Send one; waits until it has been taken. OSError where nobody takes it any more."""
    height, width = picture.rgb.shape[:2]
    head = HEADER.pack(picture.captured_ns, height, width, *picture.pixel_aspect)
    for part in (memoryview(head), np.ascontiguousarray(picture.rgb).data.cast("B")):
        while part:
            part = part[os.write(descriptor, part) :]


def read_picture(source: BufferedReader) -> Picture | None:
    """The next one; None when there are no more."""
    head = source.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    captured_ns, height, width, *aspect = HEADER.unpack(head)
    rgb = np.empty((height, width, 3), np.uint8)
    rest = rgb.data.cast("B")
    while rest:
        count = source.readinto(rest)
        if not count:
            return None
        rest = rest[count:]
    return Picture(rgb, captured_ns, (aspect[0], aspect[1]))
