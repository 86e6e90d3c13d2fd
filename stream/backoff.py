"""How long to wait before something that was lost is tried again: a source, a broker, a receiver, a server."""

from __future__ import annotations

import random


class Backoff:
    """Waits that double from `base_s` to `max_s`, each off by up to `jitter` of itself, so that many cameras behind one
    switch don't all come back at once. It holds no clock: `healthy` takes how long a connection lasted."""

    def __init__(
        self, base_s: float, max_s: float, jitter: float, healthy_after_s: float, rng: random.Random | None = None
    ) -> None:
        self.base_s = base_s
        self.max_s = max_s
        self.jitter = jitter  # 0..1
        self.healthy_after_s = healthy_after_s
        self._rng = rng or random.Random()
        self._wait_s = base_s  # the next wait, before jitter

    def next_wait(self) -> float:
        """Seconds to wait now; the next wait is twice as long."""
        wait_s = self._wait_s * self._rng.uniform(1 - self.jitter, 1 + self.jitter)
        self._wait_s = min(2 * self._wait_s, self.max_s)
        return wait_s

    def healthy(self, for_s: float) -> None:
        """Take note of how long a connection lasted; after enough seconds the waits begin at the base again."""
        if for_s >= self.healthy_after_s:
            self._wait_s = self.base_s
