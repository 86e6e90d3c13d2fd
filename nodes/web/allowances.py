"""How much each may ask: names in, whether there is something left out. A bucket each, filled again as time passes."""

from __future__ import annotations

from collections.abc import Callable

from stream.bucket import Bucket

MAX_NAMES = 4096


class Allowances:
    """`burst` at once and `per_s` in the long run, for each name."""

    def __init__(self, burst: float, per_s: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._per_s = per_s
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}  # by name; whoever took one last comes last

    def take(self, name: str) -> bool:
        """Whether there is one left for that name; it is spent."""
        now_s = self._clock()
        bucket = self._buckets.get(name) or Bucket(self._burst, self._per_s, now_s)
        if bucket.left(now_s) < 1:
            return False
        self._buckets.pop(name, None)
        if len(self._buckets) >= MAX_NAMES:
            self._forget(now_s)
        bucket.take(1)
        self._buckets[name] = bucket
        return True

    def give_back(self, name: str) -> None:
        """Let a name have all of its own again."""
        self._buckets.pop(name, None)

    def _forget(self, now_s: float) -> None:
        """Make room: those that have all of theirs again are as good as forgotten; of the others the oldest go."""
        spending = [(name, bucket) for name, bucket in self._buckets.items() if not bucket.full(now_s)]
        self._buckets = dict(spending[-MAX_NAMES * 3 // 4 :])
