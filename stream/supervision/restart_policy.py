"""How often a process may be restarted."""

from __future__ import annotations

from collections import deque


class RestartPolicy:
    """At most so many restarts in a sliding window of time (`supervisor.max_restarts`, `restart_window_s`)."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit = limit
        self.window_s = window_s
        self.total = 0
        self._times: deque[float] = deque()

    def set_limit(self, limit: int, window_s: float) -> None:
        """Allow so many from now on."""
        self.limit, self.window_s = limit, window_s

    def allows(self, now_s: float) -> bool:
        """Count one more restart, unless that is more than the limit."""
        while self._times and now_s - self._times[0] > self.window_s:
            self._times.popleft()
        if len(self._times) >= self.limit:
            return False
        self._times.append(now_s)
        self.total += 1
        return True
