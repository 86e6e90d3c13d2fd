"""Masks of a frame in, one line of JSON out, and back: what lies beside each segment of a recording.

docs/recording.md is the reference. Each mask is COCO's `segmentation`, {"size": [height, width], "counts": "..."}, over
the whole frame, as pycocotools has it.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from stream.errors import ConfigError, MessageError
from stream.geometry import MAX_PIXELS
from stream.messages import Masks, ObjectMask, Origin, Stamp, State
from stream.public_wire import coco_rle
from stream.public_wire.headers import Count, ObjectId, Px, Share, Side

VERSION = 1
MATCH_S = 0.03  # how far a line's time may lie from that of a frame it belongs to


class Segmentation(msgspec.Struct, frozen=True):
    """COCO's compressed run lengths of a mask over the whole frame."""

    size: tuple[Side, Side]  # height, width
    counts: str


class ObjectLine(msgspec.Struct, frozen=True, kw_only=True):
    """One object of a frame; an empty mask has no segmentation."""

    id: ObjectId
    state: State
    origin: Origin
    score: Share
    bbox: tuple[Px, Px, Px, Px]
    area: Count
    label: str = ""
    reason: str = ""
    segmentation: Segmentation | None = None


class MaskLine(msgspec.Struct, frozen=True, kw_only=True):
    """One frame."""

    version: int = VERSION
    t: float  # s since time 0 of the video beside it
    session: Count
    frame_id: Count
    epoch: Count
    captured_unix_ns: Count
    pts: float | None = None
    width: Side
    height: Side
    objects: Annotated[list[ObjectLine], Meta(max_length=4096)]

    def masks(self, stamp: Stamp) -> Masks:
        """The masks, as of a frame of that stamp; MessageError where a mask is none."""
        size = self.height, self.width
        return Masks(stamp=stamp, size=size, objects=tuple(_object(o, size) for o in self.objects))


def to_line(masks: Masks, t: float) -> bytes:
    """The line of a frame that is shown at `t` s, its end of line included."""
    stamp, (height, width) = masks.stamp, masks.size
    objects = [
        ObjectLine(
            id=o.object_id,
            state=o.state,
            origin=o.origin,
            score=round(min(1.0, max(0.0, float(o.score))), 4),
            bbox=o.bbox,
            area=int(np.count_nonzero(o.mask)),
            label=o.label,
            reason=o.reason,
            segmentation=Segmentation(masks.size, coco_rle.encode(o.mask, o.bbox, masks.size).decode())
            if o.area
            else None,
        )
        for o in masks.objects
    ]
    line = MaskLine(
        t=round(t, 6),
        session=stamp.session,
        frame_id=stamp.frame_id,
        epoch=stamp.epoch,
        captured_unix_ns=stamp.captured_unix_ns,
        pts=stamp.pts_s,
        width=width,
        height=height,
        objects=objects,
    )
    return msgspec.json.encode(line) + b"\n"


def read_lines(path: Path) -> list[MaskLine]:
    """The lines of a file in the order of time, without a last one that is torn; ConfigError says what is wrong."""
    try:
        rows = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be read ({error.strerror}); needs a file of masks, NAME.masks.jsonl"
        ) from None
    lines = []
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        try:
            line = msgspec.json.decode(row, type=MaskLine)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            if number == len(rows):
                break  # its writer was killed
            raise ConfigError(f"{path}: line {number} is no line of masks ({str(error)[:120]})") from None
        if line.version != VERSION or line.width * line.height > MAX_PIXELS:
            raise ConfigError(f"{path}: line {number} is of version {line.version} or too large; version 1 is read")
        lines.append(line)
    return sorted(lines, key=lambda line: line.t)


class LineOfTime:
    """Finds the line of a frame by the frame's time in the video."""

    def __init__(self, lines: Sequence[MaskLine]) -> None:
        self._lines = lines
        self._times = [line.t for line in lines]

    def at(self, t: float) -> MaskLine | None:
        """The line whose time is nearest, if it is near enough."""
        after = bisect_left(self._times, t)
        near = [i for i in (after - 1, after) if 0 <= i < len(self._times)]
        best = min(near, key=lambda i: abs(self._times[i] - t), default=None)
        return self._lines[best] if best is not None and abs(self._times[best] - t) <= MATCH_S else None


def frame_indices(lines: Iterable[MaskLine]) -> dict[int, MaskLine]:
    """The lines by the index of their frame in the video: by their times, and what a frame takes."""
    ordered = list(lines)
    steps = [
        (b.t - a.t) / (b.frame_id - a.frame_id)
        for a, b in itertools.pairwise(ordered)
        if b.frame_id > a.frame_id and b.t > a.t
    ]
    step_s = float(np.median(steps)) if steps else 0.04
    return {round(line.t / step_s): line for line in ordered}


def _object(o: ObjectLine, size: tuple[int, int]) -> ObjectMask:
    x, y, width, height = o.bbox
    if x + width > size[1] or y + height > size[0]:
        raise MessageError(f"bbox {o.bbox} lies outside the frame of {size[1]}x{size[0]}")
    if o.segmentation is None:
        bbox, mask = (0, 0, 0, 0), np.zeros((0, 0), np.uint8)
    else:
        if o.segmentation.size != size:
            raise MessageError(f"a mask of {o.segmentation.size} came; its frame is {size}")
        bbox, mask = o.bbox, coco_rle.decode(o.segmentation.counts.encode(), o.bbox, size)
    return ObjectMask(
        object_id=o.id,
        state=o.state,
        origin=o.origin,
        score=o.score,
        bbox=bbox,
        area=int(np.count_nonzero(mask)),
        mask=mask,
        xy=np.zeros((0, 2), np.float32),
        visibility=np.zeros(0, np.float32),
        labels=np.zeros(0, np.uint8),
        label=o.label,
        reason=o.reason,
    )
