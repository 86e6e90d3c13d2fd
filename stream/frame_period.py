"""Frame ids and capture times in, the time between two frames of the feed out.

A median, because intervals lie: a server that keeps its last group of pictures sends it all at once to whoever
connects, FFmpeg gives what it read while it analysed the stream at once, too, and a network stalls and catches up.
"""

from __future__ import annotations

from collections import deque
from statistics import median

MEASURED = 15  # intervals that the median is taken over
ENOUGH = 8  # of them: before, the rate that the source states is believed, if it states one


class FramePeriod:
    """The period of one feed, from the frames that are taken of it."""

    def __init__(self) -> None:
        self._stated_s = 0.0  # by the source; 0: it does not say
        self._last: tuple[int, int] | None = None  # frame_id and captured_ns of the last frame
        self._intervals_s: deque[float] = deque(maxlen=MEASURED)  # for one frame each

    @property
    def s(self) -> float:
        """Seconds from one frame to the next; 0 while nothing is known of it."""
        if self._stated_s and len(self._intervals_s) < ENOUGH:
            return self._stated_s
        return median(self._intervals_s) if self._intervals_s else 0.0

    def state(self, fps: float | None) -> None:
        """The source says its rate, frames/s."""
        self._stated_s = 1 / fps if fps else 0.0

    def add(self, frame_id: int, captured_ns: int) -> None:
        """A frame is taken; between it and the last one others may have been passed over."""
        if self._last is not None and frame_id > self._last[0]:
            frames = frame_id - self._last[0]
            self._intervals_s.append(max(captured_ns - self._last[1], 0) / 1e9 / frames)
        self._last = (frame_id, captured_ns)
