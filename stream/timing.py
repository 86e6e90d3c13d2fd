"""Percentiles of durations, over weeks in constant memory and over the last seconds; the period of a feed."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

RECENT_S = 10.0  # how far back "lately" reaches, here and in the status
MOST = 2000  # durations that are kept: ten seconds at 200 frames/s
MEASURED = 15  # intervals that the median is taken over
ENOUGH = 8  # of them: before, the rate that the source states is believed, if it states one


class Latency:
    """A histogram with bins 2 % wide, from 10 us to some hours."""

    _RATIO = math.log(1.02)
    _FLOOR_MS = 0.01

    def __init__(self) -> None:
        self.counts = [0] * 1200
        self.total = 0

    def add(self, duration_ms: float) -> None:
        """Count one duration."""
        position = math.log(max(duration_ms, self._FLOOR_MS) / self._FLOOR_MS) / self._RATIO
        self.counts[min(len(self.counts) - 1, int(position))] += 1
        self.total += 1

    def quantile(self, share: float) -> float:
        """The duration, ms, that this share of all is not above (to 2 %); 0 when there is none."""
        rank, below = share * self.total, 0
        for i, count in enumerate(self.counts):
            below += count
            if count and below >= rank:
                return self._FLOOR_MS * math.exp((i + 0.5) * self._RATIO)
        return 0.0


class RecentLatency:
    """Percentiles of the durations of the last ten seconds."""

    def __init__(self) -> None:
        self._durations: deque[tuple[float, float]] = deque(maxlen=MOST)  # when it ended, s; ms

    def add(self, duration_ms: float, now_s: float) -> None:
        """Count one duration."""
        self._durations.append((now_s, duration_ms))

    def quantile(self, share: float, now_s: float) -> float:
        """The duration, ms, that this share of them is not above; 0 when there is none. Any thread may ask."""
        lately = sorted(ms for at_s, ms in self._durations.copy() if now_s - at_s <= RECENT_S)
        return lately[max(0, math.ceil(share * len(lately)) - 1)] if lately else 0.0


class FramePeriod:
    """The period of one feed, from the frames that are taken of it.

    A median, because intervals lie: a server that keeps its last group of pictures sends it all at once to whoever
    connects, FFmpeg gives what it read while it analysed the stream at once, too, and a network stalls and catches up.
    """

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
