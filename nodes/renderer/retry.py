"""When a sink that failed is tried again: a disk that was full has room later, a network drive comes back."""

from __future__ import annotations

FIRST_WAIT_S = 5.0  # doubles with each failure
LONGEST_WAIT_S = 300.0
HEALTHY_S = 60.0  # after so long without a failure the waits begin at the first again


class Retry:
    """The waits between attempts. It holds no clock: every call brings the time, s."""

    def __init__(self) -> None:
        self._wait_s = FIRST_WAIT_S
        self._failed_s: float | None = None  # when the newest attempt failed

    def fail(self, now_s: float) -> None:
        """An attempt has failed: the next one is due later."""
        if self._failed_s is not None:
            lasted = now_s - self._failed_s - self._wait_s >= HEALTHY_S
            self._wait_s = FIRST_WAIT_S if lasted else min(2 * self._wait_s, LONGEST_WAIT_S)
        self._failed_s = now_s

    def postpone(self, now_s: float) -> None:
        """It was no time for an attempt: wait as long again."""
        self._failed_s = now_s

    def is_due(self, now_s: float) -> bool:
        """Whether it is time for the next attempt."""
        return self._failed_s is None or now_s - self._failed_s >= self._wait_s
