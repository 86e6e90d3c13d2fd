"""The newest frames of the feed with their features: encoded once, kept for a bounded time, found by frame_id."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from nodes.tracker.point_model import Features
from stream.messages import Frame


@dataclass(frozen=True)
class BufferedFrame:
    """A frame and its features."""

    frame: Frame
    features: Features

    @property
    def frame_id(self) -> int:
        """The count that capture gave it."""
        return self.frame.stamp.frame_id


class FrameBuffer:
    """At most `length` frames, oldest first. Gaps in frame_id are frames passed over: windows count frames seen."""

    def __init__(self, length: int) -> None:
        self.frames: deque[BufferedFrame] = deque(maxlen=length)

    def push(self, frame: Frame, features: Features) -> None:
        """Keep the newest frame; the oldest one goes when the ring is full."""
        self.frames.append(BufferedFrame(frame, features))

    def clear(self) -> None:
        """Forget every frame."""
        self.frames.clear()

    @property
    def ids(self) -> list[int]:
        """The frame_ids, oldest first."""
        return [kept.frame_id for kept in self.frames]

    def find(self, frame_id: int) -> BufferedFrame | None:
        """The kept frame of that id; None when it is not (or no longer) there."""
        return next((kept for kept in self.frames if kept.frame_id == frame_id), None)

    def features(self, ids: Sequence[int]) -> list[Features]:
        """The features of the frames `ids`, which are in the ring, in the order of the ring."""
        wanted = set(ids)
        return [kept.features for kept in self.frames if kept.frame_id in wanted]

    def count_from(self, start: int) -> int:
        """How many frames there are from id `start` on, that one included."""
        return sum(kept.frame_id >= start for kept in self.frames)
