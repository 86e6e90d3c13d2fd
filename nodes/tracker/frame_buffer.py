"""The newest frames of the feed with their features: encoded once, held for a bounded time, found by frame_id."""

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

    def push(self, frame: Frame, features: Features) -> BufferedFrame:
        """Hold the newest frame; the oldest one goes when the buffer is full."""
        buffered = BufferedFrame(frame, features)
        self.frames.append(buffered)
        return buffered

    def clear(self) -> None:
        """Forget every frame."""
        self.frames.clear()

    @property
    def newest(self) -> Frame | None:
        """The frame pushed last; None when the buffer is empty."""
        return self.frames[-1].frame if self.frames else None

    @property
    def ids(self) -> list[int]:
        """The frame_ids, oldest first."""
        return [buffered.frame_id for buffered in self.frames]

    def find(self, frame_id: int) -> BufferedFrame | None:
        """The frame of that id; None when it is not (or no longer) in the buffer."""
        return next((buffered for buffered in self.frames if buffered.frame_id == frame_id), None)

    def features(self, ids: Sequence[int]) -> list[Features]:
        """The features of the frames `ids`, which are in the buffer, in the order of the buffer."""
        wanted = set(ids)
        return [buffered.features for buffered in self.frames if buffered.frame_id in wanted]

    def count_from(self, start: int) -> int:
        """How many frames there are from id `start` on, that one included."""
        return sum(buffered.frame_id >= start for buffered in self.frames)
