"""The boxes of an MP4 file that is written in fragments, so that whatever was written plays."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def cut_torn_fragment(path: Path) -> bool:
    """Cut off what was being written when the disk was full or the power went: players stumble over half a fragment.

    Returns whether a whole fragment is left.
    """
    with path.open("r+b") as file:
        whole, fragments, index_begun, all_in_one = 0, 0, False, False
        for kind, _, end in whole_boxes(file):
            if kind == b"mdat" and not index_begun:
                all_in_one = True  # a file that was closed: one mdat hides all of its fragments, the moov comes last
                continue
            if kind == b"moof" or (kind == b"moov" and not all_in_one):
                index_begun = True  # of use only with its data behind it; that of the first fragment is in the moov
                continue
            fragments += kind in (b"mdat", b"moov")
            whole, index_begun = end, False
        if whole < file.seek(0, os.SEEK_END):
            file.truncate(whole)
    return fragments > 0


def whole_boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """The outermost boxes of an MP4 file, up to one that is torn: kind, where it begins, where it ends."""
    length, at = file.seek(0, os.SEEK_END), 0
    while at + 8 <= length:
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        if size < 8 or at + size > length:
            return
        yield kind, at, at + size
        at += size
