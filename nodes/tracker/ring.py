"""The newest frames of the feed with their features: encoded once, kept for a bounded time, found by frame_id."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from nodes.tracker.model import Features
from stream.messages import Frame


@dataclass(frozen=True)
class Kept:
    """A frame, its features, and whether a window ended on it."""

    frame: Frame
    features: Features
    boundary: bool

    @property
    def frame_id(self) -> int:
        """The count that capture gave it."""
        return self.frame.stamp.frame_id


class Ring:
    """At most `length` frames, oldest first. Gaps in frame_id are frames passed over: windows count frames seen."""

    def __init__(self, length: int) -> None:
        self.frames: deque[Kept] = deque(maxlen=length)

    def push(self, frame: Frame, features: Features, boundary: bool) -> None:
        """Keep the newest frame; the oldest one goes when the ring is full."""
        self.frames.append(Kept(frame, features, boundary))

    def clear(self) -> None:
        """Forget every frame."""
        self.frames.clear()

    def index(self, frame_id: int) -> int | None:
        """The place of a frame in the ring; None when it is not (or no longer) there."""
        return next((i for i, kept in enumerate(self.frames) if kept.frame_id == frame_id), None)

    def find(self, frame_id: int) -> Kept | None:
        """The kept frame of that id; None when it is not (or no longer) there."""
        index = self.index(frame_id)
        return None if index is None else self.frames[index]

    def window(self, start: int, end: int | None = None) -> Sequence[Features]:
        """The features of the frames from id `start` to `end` (None: the newest), both included."""
        return [k.features for k in self.frames if start <= k.frame_id and (end is None or k.frame_id <= end)]

    def boundaries_after(self, frame_id: int) -> list[int]:
        """The ids of the boundary frames that are newer than `frame_id`, oldest first."""
        return [k.frame_id for k in self.frames if k.boundary and k.frame_id > frame_id]
