"""A fragmented MP4 in, an ordinary, seekable one out, in place: an index of all its pictures is put behind them.

FFmpeg does it, too (`hybrid_fragmented`), but holds 75 bytes a picture until then: 1 MB in ten minutes at 25 a second.
Here the headers of the fragments are read from the file when it is closed: 25 us each, a second for a day of video.

    fragmented    ftyp  moov (no pictures)  moof mdat  moof mdat ...  [mfra]
    ordinary      ftyp  mdat (all of this, its first 16 bytes replaced)  moov (all pictures)
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stream.arrays import Array
from stream.mp4.boxes import whole_boxes

NO_KEY_FRAME = 0x10000  # among the flags of a picture: others are needed to decode it
PATIENCE_S = 1.5  # a node that is to stop is killed after 3 s, and has more to do
LARGEST_32 = (1 << 32) - 1
HOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")  # boxes that hold the boxes of tables


class NoIndexError(ValueError):
    """The file is not what the writer of recordings makes, or there is no time to read it."""


@dataclass(frozen=True)
class Fragment:
    """The pictures of one fragment, one behind the other in the file."""

    at: int  # where the first one is
    begin: int  # of the first one, ticks
    durations: Array  # (N,) ticks
    sizes: Array  # (N,) bytes
    keys: Array  # (N,) bool


def make_ordinary(path: Path, patience_s: float = PATIENCE_S) -> bool:
    """Put an index behind the pictures of a fragmented file.

    False where it has none, is not of that kind, or is not read within `patience_s`: it is left as it was, and plays.
    """
    until_s = time.monotonic() + patience_s
    with path.open("r+b") as file:
        try:
            moov_at, moov_size, fragments, end = _read(file, until_s)
            if not fragments:
                return False
            file.seek(moov_at)
            moov = _with_tables(file.read(moov_size), fragments)
        except (NoIndexError, struct.error):
            return False
        file.truncate(end)  # an index of the fragments may follow
        file.seek(end)
        file.write(moov)
        file.flush()
        # Only now: until here it is a fragmented file with something behind it.
        file.seek(moov_at)
        file.write(struct.pack(">I4sQ", 1, b"mdat", end - moov_at))
    return True


def _read(file: BinaryIO, until_s: float) -> tuple[int, int, list[Fragment], int]:
    """Where the first index is, and its size; all fragments, and where the last of them ends."""
    moov_at = moov_size = end = read_to = 0
    fragments: list[Fragment] = []
    for kind, at, read_to in whole_boxes(file):
        if time.monotonic() > until_s:
            raise NoIndexError
        if kind == b"moov":
            moov_at, moov_size = at, read_to - at
        elif kind == b"moof":
            file.seek(at)
            fragments.append(_fragment(file.read(read_to - at), at))
        elif kind == b"mdat":
            end = read_to
    if moov_size < 16 or file.seek(0, os.SEEK_END) - read_to >= 8:  # a torn box follows
        raise NoIndexError
    return moov_at, moov_size, fragments, end


def _boxes(data: bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes between two places: kind, and from where to where its content goes."""
    while begin + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, begin)
        if size < 8 or begin + size > end:
            raise NoIndexError
        yield kind, begin + 8, begin + size
        begin += size


def _fragment(moof: bytes, moof_at: int) -> Fragment:
    """What the header of a fragment says of its pictures."""
    trafs = [(begin, end) for kind, begin, end in _boxes(moof, 8, len(moof)) if kind == b"traf"]
    if len(trafs) != 1:
        raise NoIndexError
    found = [(kind, begin) for kind, begin, _ in _boxes(moof, *trafs[0])]
    boxes = dict(found)
    if not {b"tfhd", b"tfdt", b"trun"} <= boxes.keys() or len(boxes) < len(found):
        raise NoIndexError
    duration, size, flags = _defaults(moof, boxes[b"tfhd"])
    wide = moof[boxes[b"tfdt"]] == 1
    (begin,) = struct.unpack_from(">Q" if wide else ">I", moof, boxes[b"tfdt"] + 4)
    form, count = struct.unpack_from(">II", moof, boxes[b"trun"])
    at = boxes[b"trun"] + 8
    if not form & 0x1 or form & 0x800:  # without a place; with times of showing that are not those of decoding
        raise NoIndexError
    (offset,) = struct.unpack_from(">i", moof, at)
    at += 4
    first_flags = None
    if form & 0x4:
        (first_flags,) = struct.unpack_from(">I", moof, at)
        at += 4
    columns = [bit for bit in (0x100, 0x200, 0x400) if form & bit]
    table = np.frombuffer(moof, ">u4", count * len(columns), at).reshape(count, len(columns)).astype(np.int64)
    given = {bit: table[:, i] for i, bit in enumerate(columns)}
    picture_flags = given.get(0x400, np.full(count, flags, np.int64))
    if first_flags is not None and count:
        picture_flags[0] = first_flags
    return Fragment(
        moof_at + offset,
        begin,
        given.get(0x100, np.full(count, duration, np.int64)),
        given.get(0x200, np.full(count, size, np.int64)),
        (picture_flags & NO_KEY_FRAME) == 0,
    )


def _defaults(moof: bytes, at: int) -> tuple[int, int, int]:
    """Duration, size and flags of a picture for which nothing else is said."""
    (form,) = struct.unpack_from(">I", moof, at)
    if form & 0x1 or not form & 0x20000:  # places count from elsewhere than the header of the fragment
        raise NoIndexError
    at += 8 + (4 if form & 0x2 else 0)
    values = []
    for bit in (0x8, 0x10, 0x20):
        values.append(struct.unpack_from(">I", moof, at)[0] if form & bit else 0)
        at += 4 if form & bit else 0
    return values[0], values[1], values[2]


def _with_tables(moov: bytes, fragments: list[Fragment]) -> bytes:
    """The index of the whole file, from that of the empty one."""
    times = np.concatenate([f.begin + np.cumsum(f.durations) - f.durations for f in fragments])
    end = fragments[-1].begin + int(fragments[-1].durations.sum())
    durations = np.diff(np.append(times, end))
    movie_hz = media_hz = 0
    for kind, begin, _ in _walk(moov, 0, len(moov)):
        if kind in (b"mvhd", b"mdhd"):
            if moov[begin] != 0:
                raise NoIndexError
            (hz,) = struct.unpack_from(">I", moov, begin + 12)
            movie_hz, media_hz = (hz, media_hz) if kind == b"mvhd" else (movie_hz, hz)
    if not movie_hz or not media_hz or durations.min(initial=0) < 0:
        raise NoIndexError
    shown = min(LARGEST_32, -(-end * movie_hz // media_hz))
    tables = {
        b"stts": _table(b"stts", _runs(durations)),
        b"stss": _table(b"stss", 1 + np.flatnonzero(np.concatenate([f.keys for f in fragments]))),
        b"stsc": _table(b"stsc", _chunks(np.array([len(f.sizes) for f in fragments]))),
        b"stsz": _sizes(np.concatenate([f.sizes for f in fragments])),
        b"stco": _places([f.at for f in fragments]),
    }

    def rebuilt(outer: int, outer_end: int) -> bytes:
        parts = []
        for kind, first, last in _boxes(moov, outer, outer_end):
            content = moov[first:last]
            if kind == b"mvex":  # says that fragments follow
                continue
            if kind in tables:
                parts.append(tables[kind] + (tables[b"stss"] if kind == b"stts" else b""))
                continue
            if kind in HOLDERS:
                content = rebuilt(first, last)
            elif kind == b"mvhd":
                content = content[:16] + struct.pack(">I", shown) + content[20:]
            elif kind == b"tkhd":
                content = content[:20] + struct.pack(">I", shown) + content[24:]
            elif kind == b"mdhd":  # in its second form: 32 bits are 13 hours
                made, changed, hz = struct.unpack_from(">III", content, 4)
                content = b"\1" + content[1:4] + struct.pack(">QQIQ", made, changed, hz, end) + content[20:]
            parts.append(_box(kind, content))
        return b"".join(parts)

    return rebuilt(0, len(moov))


def _walk(data: bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """All boxes, those inside others too."""
    for kind, first, last in _boxes(data, begin, end):
        yield kind, first, last
        if kind in HOLDERS:
            yield from _walk(data, first, last)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _table(kind: bytes, rows: Array) -> bytes:
    """A box with rows of 32-bit numbers: their count, then they."""
    return _box(kind, struct.pack(">II", 0, len(rows)) + rows.astype(">u4").tobytes())


def _runs(values: Array) -> Array:
    """(R, 2): how often in a row, and which value."""
    begins = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    return np.stack([np.diff(np.append(begins, len(values))), values[begins]], axis=1)


def _chunks(counts: Array) -> Array:
    """(R, 3): from which chunk on (the first is 1) each has how many pictures, of which description."""
    begins = np.flatnonzero(np.append(True, counts[1:] != counts[:-1]))
    return np.stack([1 + begins, counts[begins], np.ones_like(begins)], axis=1)


def _sizes(sizes: Array) -> bytes:
    return _box(b"stsz", struct.pack(">III", 0, 0, len(sizes)) + sizes.astype(">u4").tobytes())


def _places(places: list[int]) -> bytes:
    """Where chunks are: in 64 bits where 32 do not suffice."""
    if places[-1] <= LARGEST_32:
        return _table(b"stco", np.array(places))
    return _box(b"co64", struct.pack(">II", 0, len(places)) + np.array(places).astype(">u8").tobytes())
