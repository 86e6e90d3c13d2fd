"""Percentiles of durations over weeks in constant memory."""

from __future__ import annotations

import math


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
