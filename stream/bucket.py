"""An allowance that fills up again as time passes: so much at once, and so much a second in the long run."""

from __future__ import annotations


class Bucket:
    """Tokens: so many at once, and so many a second."""

    def __init__(self, most: float, per_s: float, now_s: float) -> None:
        self._most = self._left = most
        self._per_s = per_s
        self._refilled_s = now_s

    def left(self, now_s: float) -> float:
        """How many there are now."""
        if now_s > self._refilled_s:
            self._left = min(self._most, self._left + (now_s - self._refilled_s) * self._per_s)
            self._refilled_s = now_s
        return self._left

    def full(self, now_s: float) -> bool:
        """Whether all of them are there."""
        return self.left(now_s) >= self._most

    def take(self, count: float) -> None:
        """Take so many of those that are left."""
        self._left -= count
